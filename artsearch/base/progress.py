"""How far a long run is: on a terminal, in a notebook, and in a log file."""

from __future__ import annotations

import sys

from tqdm import tqdm

#: In a log file each state is a line of its own, so there are few of them.
SECONDS_BETWEEN_LINES = 30

STATE = "{done} of {whole} {unit}, {speed}, {remaining} left{postfix}"
BAR = "{desc}: {percentage:3.0f}%|{bar}| " + STATE
LINE = "{desc}: " + STATE
END = "{desc}: {done} {unit} in {elapsed}, {speed}"


class Progress(tqdm):
    """A bar with works a second and time left, which leaves one plain line behind.

    `unit` is what is counted, where it is not works; `total` may be None where nobody knows it.
    On a terminal it is tqdm's own. In a notebook the text of the cell's output is replaced, and the
    saved notebook keeps the last line (a widget would be an empty box there). Where the output is
    no terminal (a log file, CI), it is a line every half a minute.

    >>> import io
    >>> log = io.StringIO()
    >>> with Progress(total=3, desc="Lite0", file=log) as bar:
    ...     _ = bar.update(3)
    >>> log.getvalue().startswith("Lite0: 3 works in 00:0")
    True
    """

    def __init__(
        self,
        total: float | None,
        desc: str,
        file=None,
        show: bool = True,
        unit: str = "works",
    ):
        file = sys.stderr if file is None else file
        options = {"total": total, "desc": desc, "unit": unit, "disable": not show}
        if not show:
            super().__init__(**options)
        elif _in_notebook():
            super().__init__(**options, file=_Cell(), bar_format=BAR, ncols=100, mininterval=0.5)
        elif file.isatty():
            super().__init__(**options, file=file, bar_format=BAR, dynamic_ncols=True)
        else:
            seconds = SECONDS_BETWEEN_LINES
            options |= {"mininterval": seconds, "maxinterval": seconds, "delay": seconds}
            super().__init__(**options, file=_Lines(file), bar_format=LINE)

    @property
    def format_dict(self):
        """What the line is made of; `speed` is works a second, over all once it is done."""
        facts = super().format_dict
        total = "?" if facts["total"] is None else f"{facts['total']:,.0f}"
        whole = facts["n"] / facts["elapsed"] if facts["elapsed"] else 0
        rate = whole if self.bar_format == END else facts["rate"] or whole
        speed = f"{rate:,.1f} {facts['unit']}/s"
        return facts | {"done": f"{facts['n']:,.0f}", "whole": total, "speed": speed}

    def close(self):
        """Leave the last line: how many works in what time."""
        if not self.disable:
            self.bar_format = END
            self.delay = 0
        super().close()


class _Lines:
    """A file in which every state of the bar is a line of its own."""

    def __init__(self, file):
        self._file = file

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            self._file.write(f"{text}\n")

    def flush(self) -> None:
        self._file.flush()


class _Cell:
    """The output of a notebook's cell, replaced by each state of the bar."""

    def __init__(self):
        self._handle = None

    def write(self, text: str) -> None:
        from IPython.display import display

        text = text.strip("\r\n ")
        if not text:
            return
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def flush(self) -> None:
        pass


def _in_notebook() -> bool:
    # Asked of the module, not imported: a script that never saw IPython has no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
