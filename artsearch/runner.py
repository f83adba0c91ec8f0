"""Notebooks run as a program would, with parameters that are checked beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from artsearch.errors import ArtsearchError, unknown


def run_notebook(
    notebook: str | os.PathLike, output: str | os.PathLike, parameters: Mapping[str, object]
) -> Path:
    """Execute a notebook with papermill and write it, with its outputs, to `output`.

    Raises ArtsearchError for a parameter that the notebook does not have, before it starts (where
    papermill itself prints a line and goes on), and with one sentence for a cell that fails; what
    was executed until then is in `output`.
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
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            dict(parameters),
            cwd=str(notebook.parent),
            progress_bar=False,
            # The kernel's own warnings (of a connection on this machine) are not for a terminal.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
    except PapermillExecutionError as error:
        where = f"{notebook.name}, cell {error.exec_count}"
        raise ArtsearchError(
            f"{where}: {error.ename}: {error.evalue} (executed as far as that: {output})"
        ) from None
    return output
