"""What pytest checks in the notebooks beside what nbval compares: their pictures, and warnings.

nbval executes each notebook once and compares the texts of the cells tagged nbval-check-output.
"""

import base64
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

from artsearch.works.images import open_image

#: How far two pictures may be apart: root mean square, of 255.
FARTHEST = 10
#: By which unit the committed pictures were computed, where a notebook's metadata say nothing. The
#: third digit of a distance depends on it, and with it which works are shown.
COMPUTED_BY = "avx512_bf16"
#: Pictures of cells with these tags are other ones each time. UMAP is chaotic: the last digit of a
#: sum, another one on another processor, moves a crowd.
VARYING = {"times", "map"}


def execute(kernel: RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
    """Execute a cell as Jupyter does, which keeps a history: without one a `;` hides nothing.

    A figure would be drawn a second time then, as what the cell returns, and a pixel smaller.
    """
    return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = execute

#: Not read for examples, as modules are: the tests have a conftest as well.
collect_ignore = ["conftest.py"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    yield
    if not isinstance(item, IPyNbCell):
        return
    warned = [out.text for out in item.test_outputs if out.get("name") == "stderr"]
    if warned:
        item.raise_cell_error("Cell wrote to stderr", "".join(warned))
    made_by = item.parent.nb.metadata.get("computed_by", COMPUTED_BY)
    if made_by == unit() and not VARYING & set(item.cell.metadata.get("tags", [])):
        compare(item, pictures_of(item.cell.outputs), pictures_of(item.test_outputs))


@cache
def unit() -> str:
    """Return by which unit of this processor oneDNN computes in bfloat16; "" for none."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "replace").split()
    except OSError:
        return ""
    return next((one for one in ("amx_bf16", "avx512_bf16") if one in flags), "")


def compare(item, old: list[np.ndarray], new: list[np.ndarray]) -> None:
    """Let the cell fail where its pictures are not nearly the committed ones."""
    if len(new) != len(old):
        item.raise_cell_error(f"Cell has {len(new)} pictures, and {len(old)} are committed")
    for number, (one, other) in enumerate(zip(old, new, strict=True), 1):
        if one.shape != other.shape:
            item.raise_cell_error(f"Picture {number} is {other.shape}, committed {one.shape}")
        difference = np.sqrt(np.mean((one - other) ** 2))
        if difference >= FARTHEST:
            item.raise_cell_error(f"Picture {number} differs by {difference:.1f} of 255")


def pictures_of(outputs) -> list[np.ndarray]:
    found = [out["data"]["image/jpeg"] for out in outputs if "image/jpeg" in out.get("data", {})]
    return [np.asarray(open_image(base64.b64decode(data)), dtype=float) for data in found]
