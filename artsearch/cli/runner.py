"""Notebooks run as a program would, with parameters that are checked beforehand."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from artsearch.base.errors import ArtsearchError, unknown

#: Seconds that a kernel may take to start, and its last output to come: on a busy machine the
#: usual 60 and 4 are not enough.
PATIENCE = 300


def read_parameter(text: str) -> int | float | str:
    """Return a parameter from a command line: a number where it is one, else the text.

    Files of networks get their whole path: a notebook runs in its own folder.

    >>> [read_parameter(text) for text in ("-5", "0.5", "resnet50,vgg16")]
    [-5, 0.5, 'resnet50,vgg16']
    """
    if not re.fullmatch(r"[-+]?\d{1,18}(\.\d+)?", text):
        return re.sub(r"(timm:[^,@]+@|open_clip:local-dir:)([^,]+)", _whole, text)
    return float(text) if "." in text else int(text)


def _whole(found: re.Match) -> str:
    path = Path(found[2]).expanduser()
    return found[1] + (str(path.resolve()) if path.exists() else found[2])


def run_notebook(
    notebook: str | os.PathLike,
    output: str | os.PathLike,
    parameters: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Execute a notebook with papermill and write it, with its outputs, to `output`.

    The kernel is one of this very Python, whatever kernels the user has, and gets `environment` in
    addition to what is set here.

    Raises ArtsearchError for a parameter that the notebook does not have, before it starts (where
    papermill itself prints a line and goes on), and with one sentence for a cell that fails or a
    kernel that dies; what was executed until then is in `output`.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    notebook, output = Path(notebook), Path(output)
    if not notebook.is_file():
        raise ArtsearchError(f"no notebook {str(notebook)!r}; name an .ipynb file")
    known = papermill.inspect_notebook(notebook)
    for name in parameters:
        if name not in known:
            raise unknown(f"parameter of {notebook.name}", name, known)
    # Without a handler what papermill and nbclient log would be printed; they raise it, too.
    logging.getLogger("papermill").addHandler(logging.NullHandler())
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="artsearch-kernel-", ignore_cleanup_errors=True) as own:
        kernel = _own_kernel(Path(own), environment or {})
        try:
            papermill.execute_notebook(
                str(notebook),
                str(output),
                dict(parameters),
                cwd=str(notebook.parent),
                progress_bar=False,
                start_timeout=PATIENCE,
                iopub_timeout=PATIENCE,
                kernel_manager_class=kernel,
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
        except PapermillExecutionError as error:
            reason = f"cell {error.exec_count}: {error.ename}: {error.evalue}"
        except (RuntimeError, TimeoutError) as error:  # nbclient's DeadKernelError is one, too
            reason = _why_dead(output, Path(own), error)
        else:
            return output
        finally:
            kernel.end()
    raise ArtsearchError(f"{notebook.name}, {reason} (executed as far as that: {output})")


def _own_kernel(folder: Path, environment: Mapping[str, str]) -> type:
    """Return a manager of kernels of this Python that keep what they say themselves in `folder`."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        # Not the one called python3 that is found first: it may be another Python's.
        kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )
        process = None

        async def start_kernel(self, **options) -> None:
            # A start-up file or another backend of the user's would make other notebooks of these.
            inherited = {name: os.environ[name] for name in os.environ if name != "MPLBACKEND"}
            own = {"IPYTHONDIR": str(folder / "ipython"), **environment}
            # Warnings of a kernel, of its debugger and of its connection are not for a terminal.
            with _said(folder).open("ab") as said:
                streams = {"stdout": said, "stderr": said}
                await super().start_kernel(env=inherited | own, **streams, **options)
            OwnKernel.process = self.provisioner.process

        @classmethod
        def end(cls) -> None:
            """End what is left: nbclient leaves a kernel alone that is stopped while it starts."""
            if cls.process is not None and cls.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(cls.process.pid, signal.SIGKILL)
                cls.process.wait()

    return OwnKernel


def _said(folder: Path) -> Path:
    return folder / "said.txt"


def _why_dead(output: Path, folder: Path, error: RuntimeError) -> str:
    """Say at which cell a kernel ended, and what it said at last."""
    import nbformat

    cells = nbformat.read(output, 4).cells if output.is_file() else []
    code = [cell.metadata.get("papermill", {}) for cell in cells if cell.cell_type == "code"]
    number = sum(times.get("start_time") is not None for times in code)
    said = _said(folder).read_text("utf-8", "replace").strip() if _said(folder).is_file() else ""
    last = said.split("\n")[-1].strip()[:200] or "nothing"
    reason = " ".join(str(error).split())
    return f"cell {max(1, number)}: {reason}; the last that it said was: {last}"
