"""The few commands; `python -m artsearch --help` lists them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import click

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import count_of, printable
from artsearch.cli.identify import identify
from artsearch.cli.judge import judge
from artsearch.cli.networks import networks
from artsearch.cli.similar import similar
from artsearch.cli.vectors import compare, export
from artsearch.fetch.command import fetch
from artsearch.networks.transforms import CROPS


class Commands(click.Group):
    """Commands whose errors are one sentence, not a traceback."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except ArtsearchError as error:
            raise click.ClickException(_lines(str(error))) from None


@click.group(cls=Commands)
def main() -> None:
    """Find visually similar artworks."""
    warnings.showwarning = lambda message, *rest, **more: click.echo(f"note: {message}", err=True)


main.add_command(fetch)
main.add_command(similar)
main.add_command(networks)
main.add_command(identify)
main.add_command(judge)
main.add_command(export)
main.add_command(compare)


@main.command()
@click.option("--collection", default="data", help="Folder of images, with or without works.csv.")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--index", default="annoy", help="Kind of index: annoy, exact, auto, milvus, …")
@click.option("--notebooks", default="1-5", help="Notebooks to execute: 1-5, all, none, 1,2,5 …")
@click.option("--out", default="build", help="Folder for all that is made.")
@click.pass_context
def demo(
    context: click.Context, collection: str, networks: str, index: str, notebooks: str, out: str
) -> None:
    """Collection, features, index, a page to open, and executed notebooks.

    Stopped at any moment, the same command goes on from there. The exit code is 1 where a notebook
    failed; everything else is there all the same.
    """
    from artsearch.cli.demo import choose_notebooks, make_demo
    from artsearch.cli.runner import read_parameter

    chosen = choose_notebooks(notebooks)
    try:
        works, searches = _open(collection, networks, out, index)
        parameters = {"NETWORKS": read_parameter(networks), "INDEX": index}
        is_whole = make_demo(works, searches, chosen, parameters, out)
    except KeyboardInterrupt:
        click.echo("\nStopped. The same command goes on from there.", err=True)
        context.exit(130)
    context.exit(0 if is_whole else 1)


@main.command()
@click.argument("folder")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--crops", default=",".join(CROPS), help="Crops, with commas between.")
@click.option("--layers", default=None, help="Layers, with commas between; else the network's own.")
@click.option("--precision", default="auto", help="auto, fast or exact.")
@click.option("--batch-size", default=None, type=int, help="Images a forward pass.")
@click.option("--workers", default=None, type=int, help="Threads that decode ahead.")
@click.option("--out", default="build", help="Folder where features are kept.")
@click.option("--engine", default="local", help="local, or ray: the processors and GPUs of many.")
@click.option("--address", default=None, help="A Ray cluster to join: auto, or HOST:PORT.")
def extract(
    folder: str,
    networks: str,
    crops: str,
    layers: str | None,
    precision: str,
    batch_size: int | None,
    workers: int | None,
    out: str,
    engine: str,
    address: str | None,
) -> None:
    """Compute the features of the images in FOLDER, in one pass over the files.

    Stopped or killed, it goes on where it was when started again. In a folder that was computed
    before only works that are new or changed are computed.

    The engine ray starts a Ray of its own on this machine, or joins the cluster at --address, whose
    nodes must see FOLDER under the same name. A cluster that asks for a token (Ray's default) wants
    RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH naming its file, on every node and here.
    """
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.features.extract import extract as run_extract
    from artsearch.features.extract import extractors_for, store_folder
    from artsearch.networks.registry import choose_networks
    from artsearch.works.collection import Collection

    works = Collection(ensure_demo_data(folder))
    chosen, sentence, _ = choose_networks(networks)
    click.echo(f"{count_of(len(works), 'work')} in {folder}. {sentence}")
    names = layers.split(",") if layers else None
    extractors = extractors_for(chosen, crops.split(","), names, precision)
    options = {"engine": engine, "address": address}
    found = run_extract(works, extractors, out, batch_size, workers, **options)
    for extractor in extractors:
        for layer in extractor.layers:
            features = found[extractor.network.name, extractor.transform.crop, layer]
            click.echo(f"{count_of(len(features), 'work')}, {features.dims:,} numbers each, in:")
            click.echo(f"  {store_folder(out, works, extractor, layer)}")
    for id, reason in dict(pair for one in found.values() for pair in one.skipped).items():
        click.echo(f"skipped: {id!r}: {reason}")


@main.command()
@click.argument("folder")
@click.option("--collection", default="data", help="Folder of images, with or without works.csv.")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--k", default=20, type=click.IntRange(1), help="Neighbours of each work.")
@click.option(
    "--image-side",
    default=800,
    type=click.IntRange(0),
    help="Longer side of the large pictures; 0 for none.",
)
@click.option("--index", default="annoy", help="Kind of index: annoy, exact, auto, milvus, …")
@click.option("--out", default="build", help="Folder where features are kept.")
def site(
    folder: str, collection: str, networks: str, k: int, image_side: int, index: str, out: str
) -> None:
    """Write the static demo to FOLDER: a page that opens by double click, or on any web host."""
    from artsearch.cli.demo import extract_all
    from artsearch.search.learnt import your_dials
    from artsearch.show.site import write_site

    works, searches = _open(collection, networks, out, index)
    extract_all(works, searches)
    click.echo(
        write_site(
            works, searches, folder, k=k, image_side=image_side, yours=your_dials(searches, out)
        )
    )


@main.command()
@click.argument("folder")
@click.option("--notebooks", default="notebooks", help="Folder of executed notebooks.")
@click.option("--docs", default="docs", help="Folder of further pages.")
@click.option("--collection", default="data", help="Folder of images, with or without works.csv.")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--out", default="build", help="Folder where features are kept.")
def book(folder: str, notebooks: str, docs: str, collection: str, networks: str, out: str) -> None:
    """Write the notebooks to FOLDER as a small site, with a gallery and a map that work."""
    from artsearch.cli.book import lay_out, write_book
    from artsearch.cli.demo import extract_all
    from artsearch.search.learnt import your_dials

    works, searches = _open(collection, networks, out, "annoy")
    extract_all(works, searches)
    yours, layout = your_dials(searches, out), lay_out(searches, out)
    click.echo(write_book(works, searches, layout, notebooks, docs, folder, yours=yours))


@main.command()
@click.argument("folder")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--crops", default=",".join(CROPS), help="Crops, with commas between.")
@click.option("--labels", default=None, help="Columns of works.csv; else all that tell kinds.")
@click.option("--repainted", default=None, help="Folder of works with a content and a manner.")
@click.option("--k", default=10, help="Neighbours that are looked at.")
@click.option("--sample", default=100, help="Works that are altered and sought again.")
@click.option("--seed", default=0, help="For what is drawn by chance.")
@click.option("--identify", is_flag=True, help="Name altered works by their points, too.")
@click.option("--motifs", is_flag=True, help="Seek parts of works in others, too.")
@click.option("--why", is_flag=True, help="Try whether experiments name causes, too.")
@click.option("--out", default="build/evaluate", help="Folder for the report.")
@click.option("--cache", default="build", help="Folder where features are kept.")
def evaluate(
    folder: str,
    networks: str,
    crops: str,
    labels: str | None,
    repainted: str | None,
    k: int,
    sample: int,
    seed: int,
    identify: bool,
    motifs: bool,
    why: bool,
    out: str,
    cache: str,
) -> None:
    """Measure what networks, crops and descriptors find in FOLDER, and write a report.

    What is known of the works is in FOLDER's works.csv: a column a label, such as style.
    """
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.evaluate.report import make_folder, make_report
    from artsearch.show.report_page import METRICS, write
    from artsearch.works.collection import Collection

    make_folder(out)
    works = Collection(ensure_demo_data(folder))
    click.echo(f"{count_of(len(works), 'work')} in {folder}.")
    report = make_report(
        works,
        networks,
        _split(crops),
        repainted,
        _split(labels) if labels else None,
        k,
        sample,
        seed,
        cache=cache,
        identify=identify,
        with_motifs=motifs,
        why=why,
        say=click.echo,
    )
    page = write(report, out)
    for sentence in (*report.verdicts, *report.ratios):
        click.echo(sentence)
    click.echo(f"Look at:\n  {page}\n  {page.with_name(METRICS)}")


@main.command()
@click.argument("folder")
@click.option("--near", default=None, type=float, help="Distance; else learnt from the works.")
@click.option("--network", default="", help="Network; else one whose features are there already.")
@click.option("--crop", default="no_crop", help="Crop.")
@click.option("--out", default="build", help="Folder where features are kept.")
@click.option("--to", default="build/duplicates", help="Folder for the page and the table.")
def duplicates(folder: str, near: float | None, network: str, crop: str, out: str, to: str) -> None:
    """List the near-duplicates in FOLDER: files that are likely to show the same work.

    A work is listed when another one is nearer than a distance: --near, or that by which answers
    leave out near-duplicates, which is learnt from the collection.
    """
    from artsearch.cli.similar import open_search
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.search.duplicates import find_duplicates
    from artsearch.show.duplicates_page import TABLE, write_duplicates
    from artsearch.works.collection import Collection

    works = Collection(ensure_demo_data(folder))
    search = open_search(works, network, crop, out=out)
    found = find_duplicates(search, near)
    page = write_duplicates(found, works, to)
    click.echo(f"{count_of(len(search.index), 'work')} in {folder}. {found.sentence}")
    for number, group in enumerate(found.groups, 1):
        ids = (f"{printable(id)} ({found.nearest[id][1]:.3f})" for id in group)
        click.echo("\n   ".join([f"{number}: {len(group):,} works", *ids]))
    click.echo(f"Look at:\n  {page}\n  {page.with_name(TABLE)}")


@main.command()
@click.argument("notebook")
@click.argument("output")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE")
def run(notebook: str, output: str, parameters: tuple[tuple[str, str], ...]) -> None:
    """Execute NOTEBOOK with parameters and write it to OUTPUT, as papermill does.

    A parameter that the notebook does not have is an error.
    """
    from artsearch.cli.runner import read_parameter, run_notebook

    values = {name: read_parameter(text) for name, text in parameters}
    click.echo(run_notebook(notebook, output, values))


@main.command()
@click.argument("out", default="build", type=click.Path(exists=True, file_okay=False))
def verify(out: str) -> None:
    """Read all that is kept below OUT, and say what is not as it was written.

    Stores of features, indexes, blends and maps hold the hash of each of their files. The exit code
    is 1 where something is damaged; what is, or is of an older version, is computed again when it
    is next wanted.
    """
    from artsearch.base.errors import DamagedError, MismatchError
    from artsearch.base.sealed import find_sealed
    from artsearch.base.sealed import verify as read_all

    found: dict[str, list] = {"sound": [], "older": [], "damaged": []}
    for folder in find_sealed(Path(out)):
        try:
            manifest = read_all(folder)
            found["sound"].append(folder)
            click.echo(f"sound    {folder} ({manifest['kind']}, {len(manifest['files'])} files)")
        except MismatchError as error:
            found["older"].append(folder)
            click.echo(f"older    {folder}: {error}")
        except DamagedError as error:
            found["damaged"].append(folder)
            click.echo(f"damaged  {folder}: {error}; it is made again when it is next wanted")
    click.echo(", ".join(f"{len(folders)} {what}" for what, folders in found.items()) + ".")
    if found["damaged"]:
        raise SystemExit(1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("notebook")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def app(notebook: str, parameters: tuple[tuple[str, str], ...], options: tuple[str, ...]) -> None:
    """Serve the gallery of NOTEBOOK in the browser, with parameters of your own.

    OPTIONS go to Voilà, such as --no-browser, --port=8866, --theme=dark.
    """
    from artsearch.cli.runner import read_parameter
    from artsearch.gallery.app import serve

    serve(notebook, {name: read_parameter(text) for name, text in parameters}, options)


def _open(folder: str, networks: str, out: str, index: str):
    """Return a collection and its searches, and say what they are."""
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.search.searches import Searches
    from artsearch.works.collection import Collection

    works = Collection(ensure_demo_data(folder))
    click.echo(f"{count_of(len(works), 'work')} in {folder}.")
    searches = Searches(works, networks, out=out, index=index)
    click.echo(searches.sentence)
    return works, searches


def _lines(text: str) -> str:
    # A message quotes what the user's tables and files hold; its own line ends stay.
    return "\n".join(map(printable, text.splitlines()))


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
