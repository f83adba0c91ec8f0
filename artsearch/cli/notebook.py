"""What a notebook needs before its story begins: checked parameters, and paths that hold."""

from __future__ import annotations

import symtable
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from artsearch.base.errors import (
    ArtsearchError,
    EngineError,
    TooFewWorks,
    VectorsAloneError,
    WeightsError,
    check_whole,
    unknown,
)
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.index.factory import check_kind
from artsearch.index.metrics import METRICS
from artsearch.networks.network import Network
from artsearch.networks.registry import NETWORKS, choose_networks
from artsearch.networks.transforms import CROPS
from artsearch.networks.weights import fetch_weights, find_weights
from artsearch.search.results import WORDY
from artsearch.works.storage import is_address

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

#: What a cell may want that a collection lacks: works, pictures, the network of its vectors.
LEFT_OUT = (TooFewWorks, VectorsAloneError)
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
    which takes one or two minutes, once. Of a collection of one work, cells that want more say so
    in a sentence, and the others run.
    """
    from IPython import get_ipython

    check_parameters(names)
    _use_small_pictures()
    if shell := get_ipython():
        LeftOut(shell)
    collection = ensure_demo_data(project_path(str(names["COLLECTION"])))
    return collection, project_path(str(names["OUT"]))


def choose_wordy(names: str | list[str]) -> tuple[Network, str]:
    """Return a network that takes words, and a line that says which.

    It is the first of open_clip's that is named, or ViT-B-16-SigLIP2; where its weights or its
    tokenizer cannot be had, a tiny one with random weights (`is_random`), and the line says so.
    Raises ArtsearchError for an unknown one, and where open_clip is not installed.
    """
    from artsearch.features.words import load_tokenizer

    named = names.split(",") if isinstance(names, str) else names
    wordy = [name.strip() for name in named if name.strip().startswith("open_clip:")]
    network = NETWORKS[next(iter(wordy), WORDY)]
    try:
        if not network.is_random and find_weights(network.weights) is None:
            fetch_weights(network.weights, network.name)
        load_tokenizer(network)
    except WeightsError:
        random = NETWORKS["open_clip:tiny@random"]
        return random, (
            f"Networks: {random.title}, standing in for {network.title}, whose weights cannot be "
            "had here. What random weights find means nothing, so none of it is shown."
        )
    return network, choose_networks(network.name).sentence


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


class LeftOut:
    """Lets cells that want more than there is say so in a sentence, and the next ones run.

    What such a cell was to make is gone from earlier cells, too: a cell that needs it is left out.
    """

    def __init__(self, shell: InteractiveShell):
        self._shell = shell
        self._names: set[str] = set()
        # One of these at a time, however often its cell is run.
        if before := getattr(shell, "artsearch_left_out", None):
            shell.events.unregister("post_run_cell", before._go_on)
        shell.artsearch_left_out = self
        shell.set_custom_exc((*LEFT_OUT, NameError), self._say)
        shell.events.register("post_run_cell", self._go_on)

    def _say(self, shell, kind: type, error: Exception, trace: TracebackType, tb_offset=None):
        if not self._is_ours(error):
            return shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close("all")  # else a figure that was begun would be shown, empty
        is_first = isinstance(error, LEFT_OUT)
        print(f"Left out here: {error if is_first else f'it wants {error.name!r} from above'}.")

    def _go_on(self, result: ExecutionResult) -> None:
        """Let a cell that was left out count as one that ran; forget what it was to make."""
        made = _names_in(self._shell.transform_cell(result.info.raw_cell))
        if self._is_ours(result.error_in_exec):
            result.error_in_exec = None
            self._names |= made
            for name in made:
                self._shell.user_ns.pop(name, None)
        elif result.success:
            self._names -= made

    def _is_ours(self, error: BaseException | None) -> bool:
        missing = isinstance(error, NameError) and error.name in self._names
        return missing or isinstance(error, LEFT_OUT)


def _names_in(source: str) -> set[str]:
    """Return the names that a cell gives to values and functions.

    >>> sorted(_names_in("a, b = 1, 2; f = lambda c: [d for d in c]"))
    ['a', 'b', 'f']
    """
    try:
        table = symtable.symtable(source, "a cell", "exec")
    except SyntaxError:
        return set()
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}


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
