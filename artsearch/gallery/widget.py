"""The gallery as a widget: for notebooks, and by way of Voilà as an app."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import anywidget
import traitlets

from artsearch.base.text import count_of
from artsearch.gallery.session_page import KINDS, to_bytes
from artsearch.gallery.state import GalleryState
from artsearch.gallery.view import make_view, to_csv
from artsearch.networks.transforms import default_crop
from artsearch.search.search import Search
from artsearch.show.html import WEB
from artsearch.show.opening import choose_opening
from artsearch.works.collection import Collection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN = Path(__file__).parent / "web"


class Gallery(anywidget.AnyWidget):
    """A drawer of works, the selected one and its neighbours, as several networks see them.

    Takes what GalleryState takes; `state` is one, and calling its methods moves the gallery too.
    Where neither a query nor a link is given it opens on a work that is chosen for its answer (see
    choose_opening), with works made by a machine left out. Only the pictures in sight travel to the
    browser, each once.

        Gallery(collection, Searches(collection))
    """

    _esm = "\n".join(
        path.read_text("utf-8")
        for path in (
            *(WEB / name for name in ("gallery.js", "ask.js", "pair.js")),
            *(OWN / name for name in ("which.js", "widget.js")),
        )
    )
    _css = "\n".join(
        path.read_text("utf-8")
        for path in (
            *(WEB / name for name in ("gallery.css", "ask.css", "pair.css", "print.css")),
            OWN / "which.css",
        )
    )
    view = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        collection: Collection,
        searches: Mapping[tuple[str, str], Search],
        k: int = 10,
        *,
        query: str | None = None,
        machine_made: bool | None = None,
        link: str | None = None,
        **options,
    ):
        # In the app, the question of the address (Voilà hands it on so).
        asked = f"?{os.environ.get('QUERY_STRING', '')}" if link is None else link
        link = asked if "like=" in asked or "words=" in asked else ""
        if machine_made is None:
            machine_made = query is not None or bool(link)
        key = (
            options.get("network") or searches.networks[0].name,
            default_crop(searches.crops, options.get("crop")),
        )
        if query is None and not link and key in searches:  # else GalleryState says what is wrong
            seed = options.get("seed", 0)
            query = choose_opening(collection, {key[0]: searches[key]}, k, seed)
        options |= {"query": query, "machine_made": machine_made, "link": link}
        self.state = GalleryState(collection, searches, k, **options)
        self._turn, self._told = 0, 0.0
        # Which work an image shows is said by another thread: no older view may follow a newer one.
        self._one_at_a_time = Lock()
        super().__init__(view=self._next_view())
        self.state.listeners.append(self._show)
        self.state.which.tell = partial(self._tell, "which")
        self.state.making.tell = partial(self._tell, "motif")
        self.on_msg(self._heed)

    def __repr__(self) -> str:
        # Stands in the notebook's file for readers without a kernel.
        return f"<Gallery of {count_of(len(self.state), 'work')}; it needs a running notebook>"

    def picture(self) -> Figure:
        """Draw what the gallery shows, for a reader without a kernel and for saving."""
        return self.state.picture()

    def _show(self) -> None:
        with self._one_at_a_time:
            self.view = self._next_view()

    def _tell(self, of: str, sentence: str) -> None:
        """Say how far it is, twice a second at most, without another view."""
        if time.monotonic() - self._told > 0.5:
            self._told = time.monotonic()
            self.send({of: sentence})

    def _next_view(self) -> dict:
        # The number makes every view a new one: the browser waits for an answer to each click.
        self._turn += 1
        return make_view(self.state) | {"turn": self._turn}

    def _heed(self, _, message: dict, buffers: list) -> None:
        """Do what the browser asks for (see gallery.js); what goes wrong is said in the gallery."""
        try:
            self._do(message, buffers)
        # Wherever an exception of a callback goes, no visitor looks there.
        except Exception as error:
            self.state.fail(f"This did not work: {type(error).__name__}: {error}")

    def _do(self, message: dict, buffers: list) -> None:
        """Do what gallery.js and ask.js ask for."""
        state = self.state
        match message:
            case {"do": "pictures", "names": names}:
                # Decoding, and waiting for the servers of museums, run side by side.
                with ThreadPoolExecutor(8) as pool:
                    files = list(pool.map(state.picture_file, names))
                self.send({"pictures": names}, files)
            case {"do": "change", **choices}:
                state.change(**choices)
            case {"do": "select" | "exclude" | "drop" as verb, "id": id}:
                getattr(state, verb)(id)
            case {"do": "like" | "unlike" as verb, "id": id, "weight": weight}:
                getattr(state, verb)(id, weight)
            case {"do": "keep", "id": id, "on": on}:
                state.keep(id, on)
            case {"do": "go_to", "position": position}:
                state.go_to(int(position))
            case {
                "do": "back" | "forward" | "refresh" | "clear" | "identify" | "make_motifs" as verb
            }:
                getattr(state, verb)()
            case {"do": "upload"}:
                state.upload(bytes(buffers[0]), str(message.get("name", "")))
            case {"do": "open"}:
                state.open_session(bytes(buffers[0]))
            case {"do": "export"}:
                # The byte order mark tells Excel that the file is UTF-8.
                self._save("similar-works.csv", "text/csv", to_csv(state).encode("utf-8-sig"))
            case {"do": "picture"}:
                self._save("similar-works.png", "image/png", _to_png(state.picture()))
            case {"do": "session", "format": "json" | "csv" | "html" as format}:
                self._save(f"session.{format}", KINDS[format], to_bytes(state.session, format))

    def _save(self, name: str, kind: str, data: bytes) -> None:
        self.send({"save": name, "type": kind}, [data])
        self._show()


def _to_png(figure: Figure) -> bytes:
    import matplotlib.pyplot as plt

    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150)
    # An open figure would be shown below the next cell that runs.
    plt.close(figure)
    return out.getvalue()
