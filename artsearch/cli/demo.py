"""The demo: features, then a page and a site to look at, then the notebooks, a line each."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.cli.notebook import project_path
from artsearch.cli.runner import run_notebook
from artsearch.networks.registry import Chosen, hand_on
from artsearch.search.learnt import your_dials
from artsearch.search.searches import Searches
from artsearch.show.site import write_page, write_site
from artsearch.works.collection import Collection
from artsearch.works.storage import is_address

#: Works from which on a demo of vectors has no site: it draws a card of each.
NO_SITE_FROM = 50_000
#: What the notebooks show of each answer at most.
NEIGHBOURS = 8
#: Says, beside the executed notebooks, what each was made from.
MADE_FROM = ".made_from.json"


def make_demo(
    works: Collection,
    searches: Searches,
    notebooks: list[Path],
    parameters: Mapping[str, object],
    out: str | os.PathLike,
) -> bool:
    """Compute the features, write page and site, say where to look, and execute the notebooks.

    `parameters` are what the notebooks get beside COLLECTION, OUT and K. A notebook that fails is
    named with the reason, and the others go on. Returns whether all went well; raises
    ArtsearchError where fewer than two works can be read.
    """
    started, out = time.monotonic(), Path(out)
    fewest = extract_all(works, searches)
    look_at = [out / "site" / "index.html", out / "gallery.html"]
    if works.has_pictures or len(works) < NO_SITE_FROM:
        write_site(works, searches, look_at[0].parent, yours=your_dials(searches, out), lean=True)
    else:
        click.echo(
            f"No site is written of {len(works):,} works without pictures: `artsearch site` does, "
            "and draws a card of each; the gallery of `make app` draws those in sight."
        )
        look_at = look_at[1:]
    write_page(works, searches, look_at[-1])
    searches.close()
    say_where(f"Look at these, made in {time.monotonic() - started:.0f} s:", look_at)
    if not notebooks:
        return True
    parameters = {
        "COLLECTION": str(works.folder if is_address(works.folder) else works.folder.resolve()),
        "OUT": str(out.resolve()),
        **parameters,
    }
    if fewest <= NEIGHBOURS:  # a small folder: show as many neighbours as there are
        parameters["K"] = fewest - 1
    executed, failed = _execute_all(notebooks, out / "notebooks", parameters, searches)
    seconds = f"{time.monotonic() - started:.0f} s"
    if failed:
        click.echo(f"{len(failed)} of {len(notebooks)} notebooks failed:")
        for reason in failed:
            click.echo(f"  {reason}")
    say_where(f"Done in {seconds}. Look at:", [*look_at, *executed])
    return not failed


def choose_notebooks(text: str) -> list[Path]:
    """Return the project's notebooks of a choice: "all", "none", "1-5", "1,2,5".

    Raises ArtsearchError for a number that no notebook has.
    """
    known = {int(path.name[:2]): path for path in _notebooks()}
    if text in ("all", "none"):
        return list(known.values()) if text == "all" else []
    chosen = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise unknown("choice of notebooks", text, ["all", "none", "1-5", "1,2,5"])
        numbers = range(int(first), int(last or first) + 1)
        wrong = [number for number in numbers if number not in known]
        if wrong or not numbers:
            raise unknown("notebook", wrong[0] if wrong else part, map(str, known))
        chosen.update(numbers)
    return [known[number] for number in sorted(chosen)]


def say_where(title: str, paths: list[Path]) -> None:
    """Print a title and, in a line each, where to look."""
    click.echo(title)
    for path in paths:
        click.echo(f"  {path}")


def _notebooks() -> list[Path]:
    return sorted(project_path("notebooks").glob("[0-9][0-9]_*.ipynb"))


def extract_all(works: Collection, searches: Searches) -> int:
    """Bring all features up to date, say what there is, and return the fewest works of a search.

    Raises ArtsearchError where these are fewer than two.
    """
    searches.extract()
    fewest = len(works)
    for network, crop in searches:
        features = searches.features(network, crop)
        click.echo(f"  {network}, {crop}: {features.report()}")
        fewest = min(fewest, len(features))
    if fewest < 2:
        raise ArtsearchError(
            f"only {fewest} work of {works.folder} can be read; a search wants two or more"
        )
    return fewest


def _execute_all(
    notebooks: list[Path], folder: Path, parameters: Mapping[str, object], searches: Searches
) -> tuple[list[Path], list[str]]:
    """Execute the notebooks into `folder`; return those that are there, and why others failed."""
    click.echo("Executing notebooks, which you may stop: they are not needed for the pages.")
    handed = hand_on(Chosen(searches.networks, searches.sentence, searches.reason))
    executed, failed = [], []
    for notebook in notebooks:
        output, started = folder / notebook.name, time.monotonic()
        click.echo(f"  {notebook.stem:<24}", nl=False)
        basis = _basis(notebook, parameters, handed)
        if basis and _was_made_from(output, basis):
            click.echo("as before")
            executed.append(output)
            continue
        try:
            executed.append(run_notebook(notebook, output, parameters, handed))
        except ArtsearchError as error:
            click.echo(f"{time.monotonic() - started:3.0f} s, failed")
            failed.append(" ".join(str(error).split()))
        else:
            _note(output, basis)
            click.echo(f"{time.monotonic() - started:3.0f} s, done")
    return executed, failed


# Whether an executed notebook is what executing it again would give


def _basis(notebook: Path, parameters: Mapping[str, object], handed: Mapping[str, str]) -> str:
    """Return a hash of all that a notebook's outputs depend on; "" where that is not known.

    That is the notebook, its parameters and networks, this package and all installed ones, this
    machine, and the files of the collection and of the project's own, which notebook 5 looks at.
    """
    folder = str(parameters["COLLECTION"])
    if is_address(folder):
        return ""
    own = sorted(path for path in Path(__file__).parents[1].rglob("*") if path.suffix != ".pyc")
    facts = {
        "notebook": _hash(notebook),
        "parameters": dict(parameters),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if _counts(name)},
        "handed": dict(handed),
        "package": [_hash(path) for path in own if path.is_file()],
        "packages": sorted(f"{x.name} {x.version}" for x in importlib.metadata.distributions()),
        "machine": [platform.platform(), platform.node(), os.cpu_count(), sys.version],
        "works": [_list_files(Path(folder)), _list_files(Path(project_path("data")))],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _counts(variable: str) -> bool:
    return variable.startswith(("ARTSEARCH_", "HF_", "TORCH_", "OMP_", "MKL_", "CUDA_"))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _list_files(folder: Path) -> list[tuple[str, int, int]]:
    files = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return [(str(path), state.st_size, state.st_mtime_ns) for path, state in files]


def _was_made_from(output: Path, basis: str) -> bool:
    return output.is_file() and _read_notes(output).get(output.name) == [basis, _hash(output)]


def _note(output: Path, basis: str) -> None:
    path = output.with_name(MADE_FROM)
    new = path.with_name(f"{MADE_FROM}.new")
    notes = _read_notes(output) | {output.name: [basis, _hash(output)]}
    new.write_text(json.dumps(notes, indent=1), encoding="utf-8")
    new.replace(path)


def _read_notes(output: Path) -> dict[str, list[str]]:
    try:
        return dict(json.loads(output.with_name(MADE_FROM).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
