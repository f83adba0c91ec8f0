"""A walk through the package where nothing but its own requirements is installed.

Started by test_ranges.py as a file, by the interpreter of such an environment, in a folder with
paintings/, notebook.ipynb and out/. Prints the package's files that are no Python, one a line.
"""

import importlib
import importlib.metadata
import pkgutil
import re
import sys
import zipfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

LITE = "efficientnet_lite0"


def import_all() -> None:
    """Import every module: what an extra brings is imported when it is wanted."""
    import artsearch

    for module in pkgutil.walk_packages(artsearch.__path__, "artsearch."):
        importlib.import_module(module.name)


def read_files() -> list[str]:
    """Return what the package holds besides Python, each file read."""
    root = resources.files("artsearch")
    files = [path for path in Path(root).rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert all(path.read_bytes() for path in files)
    return sorted(path.relative_to(root).as_posix() for path in files)


def find_and_show(out: Path) -> None:
    """Compute features, ask, and write page and site, as `make demo` does."""
    from artsearch.search.searches import Searches
    from artsearch.show.site import write_page, write_site
    from artsearch.works.collection import Collection

    collection = Collection("paintings")
    searches = Searches(collection, LITE, out=out, progress=False)
    assert "asked for" in searches.sentence
    for key in searches:
        by_image = searches[key].by_image(collection.path(collection.ids[0]), 1)
        assert by_image.ids == collection.ids[:1], key
    answer = searches.dial(LITE, "no_crop", 0.5).ask(collection.ids[0], k=3, where="year > 1")
    assert len(answer) == 3
    page = write_page(collection, searches, out / "gallery.html", queries=5)
    assert page.read_text("utf-8").count("<section>") == 5
    site = write_site(collection, searches, out / "site", k=3, progress=False)
    assert {"gallery.js", "site.js", "data"} <= {path.name for path in site.parent.iterdir()}


def run_a_notebook(out: Path) -> None:
    """Execute a notebook with papermill, by a kernel of this environment."""
    from artsearch.cli.runner import run_notebook

    parameters = {"COLLECTION": "paintings", "NETWORKS": LITE, "K": 3, "OUT": str(out)}
    executed = run_notebook("notebook.ipynb", out / "executed.ipynb", parameters)
    assert '"image/jpeg"' in executed.read_text("utf-8")


def named(function: Callable, *words: object, **options: object) -> str:
    """Return the extra that a call says to install."""
    from artsearch.base.errors import ArtsearchError

    try:
        function(*words, **options)
    except ArtsearchError as error:
        found = re.search(r"pip install '?artsearch\[(\w+)\]", str(error))
        assert found, error
        return found[1]
    raise AssertionError(f"{function.__name__} works without the extra")


def name_extras(out: Path) -> None:
    """Use what each extra brings: its absence has to be said with the command that installs it."""
    from artsearch.features.extract import extract, extractors_for
    from artsearch.features.features import Features
    from artsearch.fetch.wikiart import items
    from artsearch.gallery.app import serve
    from artsearch.gallery.map_widget import ArtMap
    from artsearch.index.factory import construct_index
    from artsearch.search.searches import Searches
    from artsearch.show.map import map_layout
    from artsearch.works.collection import Collection
    from artsearch.works.table import read_table

    collection = Collection("paintings")
    features = Searches(collection, LITE, out=out, progress=False).features(LITE, "no_crop")
    for kind in ("faiss",):
        assert named(construct_index, kind, "angular", features) == "scale", kind
    assert named(construct_index, "milvus", "angular", features, uri=out / "m.db") == "scale"
    extractors = extractors_for([LITE], ["no_crop"])
    assert named(extract, collection, extractors, out / "ray", engine="ray") == "scale"
    assert named(serve, "notebook.ipynb") == "app"
    assert named(map_layout, features) == "map"
    points = Features(features.vectors[:, :2], features.ids)
    assert named(ArtMap, collection, points, out=out) == "map"
    zipfile.ZipFile(out / "works.xlsx", "w").close()
    assert named(read_table, out / "works.xlsx") == "fetch"
    assert named(list, items(1)) == "fetch"


def main() -> None:
    here, out = Path.cwd(), Path("out").resolve()
    installed = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}
    # Otherwise nothing of this says anything about the package alone.
    assert not {"ray", "pymilvus", "voila", "pytest"} & installed
    import_all()
    import artsearch

    assert here not in Path(artsearch.__file__).parents
    files = read_files()
    find_and_show(out)
    run_a_notebook(out)
    name_extras(out)
    print(*files, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
