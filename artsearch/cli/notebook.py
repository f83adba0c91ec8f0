"""What a notebook needs before its story begins: checked parameters, and paths that hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from artsearch.base.errors import ArtsearchError, EngineError, check_whole, unknown
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.index.factory import check_kind
from artsearch.index.metrics import METRICS
from artsearch.networks.transforms import CROPS
from artsearch.works.storage import is_address

#: The parameters of every notebook, and the type of each, or the least that a whole number may be.
PARAMETERS: dict[str, type | tuple[type, ...] | int] = {
    "COLLECTION": str,
    "NETWORKS": (str, list),
    "CROP": str,
    "METRIC": str,
    "INDEX": str,
    "NUM_TREES": 1,
    "K": 1,
    "SEED": 0,
    "OUT": str,
}


def check_parameters(names: Mapping[str, object]) -> None:
    """Check a notebook's parameters, given its `globals()`; one sentence where one is wrong.

    papermill only prints a line when a parameter has a name that the notebook does not know, and
    then runs with the default: here it ends. Raises ArtsearchError.
    """
    for name, value in names.items():
        if name not in PARAMETERS and _looks_like_one(name, value):
            raise unknown("parameter", name, PARAMETERS)
    for name, kind in PARAMETERS.items():
        if name in names and isinstance(kind, int):
            check_whole(name, names[name], kind)
        elif name in names and not isinstance(names[name], kind):
            wanted = "a text" if kind is str else "a text or a list"
            raise ArtsearchError(f"{name} is {names[name]!r}; give it {wanted}")
    if "CROP" in names and names["CROP"] not in CROPS:
        raise unknown("crop", names["CROP"], CROPS)
    if "METRIC" in names and names["METRIC"] not in METRICS:
        raise unknown("metric", names["METRIC"], METRICS)
    if "INDEX" in names:
        check_kind(names["INDEX"])


def project_path(path: str | Path) -> Path | str:
    """Return a path as it is meant, wherever the notebook was started.

    Inside the project a relative path is taken from the project's folder, or from the current one
    when only that has it; elsewhere it is taken from the current folder. An address, such as
    "s3://museum/scans", stays what it is.
    """
    if is_address(path):
        return path
    here = Path.cwd()
    path = Path(path).expanduser()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            from_project = folder / path
            return path if path.exists() and not from_project.exists() else from_project
    return path


def setup_notebook(names: Mapping[str, object]) -> tuple[Path | str, Path]:
    """Check the parameters of a notebook and set up its pictures; return COLLECTION and OUT.

    The shipped collection is completed first: its repainted works are made when they are missing,
    which takes one or two minutes, once.
    """
    check_parameters(names)
    _use_small_pictures()
    collection = ensure_demo_data(project_path(str(names["COLLECTION"])))
    return collection, project_path(str(names["OUT"]))


@contextmanager
def if_possible() -> Iterator[None]:
    """Do what wants an engine; where that cannot be had, say so in a sentence, and go on without.

    >>> with if_possible():
    ...     raise EngineError("Ray does not start on this machine")
    Left out here: Ray does not start on this machine.
    """
    try:
        yield
    except EngineError as error:
        print(f"Left out here: {error}.")


def _looks_like_one(name: str, value: object) -> bool:
    """Tell whether a global is a parameter with a wrong name, not a variable of the notebook."""
    plain = isinstance(value, str | int | float) or value is None
    plain = plain or (isinstance(value, list) and {type(one) for one in value} == {str})
    shouted = name.isupper() and len(name) > 1 and value not in CROPS
    return plain and name[0] != "_" and (shouted or name.upper() in PARAMETERS)


def _use_small_pictures() -> None:
    """Let figures be stored as JPEG: paintings as PNG would make a notebook of several MB."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("jpeg", pil_kwargs={"quality": 72})
