"""The map of a collection in a notebook: the works themselves, to zoom into and to select."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of, shorten
from artsearch.features.features import Features
from artsearch.search.results import Results
from artsearch.show.html import WEB
from artsearch.show.map import COLOURS, MARK, OTHER, Colouring, colour_by, works_of
from artsearch.works.collection import Collection
from artsearch.works.thumbnails import Thumbnails

#: Pictures that one message of the browser may ask for, and letters of a caption.
MOST, LONGEST = 100, 300


class MapPictures(anywidget.AnyWidget):
    """What lies over and below the points of a map: pictures, captions, the legend, an answer.

    The browser knows works by their rows alone, and asks for the pictures and captions of those in
    sight (see web/map.js); so a map of many works is as light as its points.
    """

    _esm = (WEB / "map.js").read_text("utf-8")
    _css = "".join((WEB / name).read_text("utf-8") for name in ("gallery.css", "map.css"))
    columns = traitlets.List().tag(sync=True)
    colour = traitlets.Unicode("").tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    groups = traitlets.Bytes().tag(sync=True)  # a byte a work: its place in the legend
    said = traitlets.Unicode("").tag(sync=True)
    answer = traitlets.List().tag(sync=True)


class ArtMap(ipywidgets.VBox):
    """The works of a collection where a layout has them, as points and, where there is room, as
    pictures; the deeper one zooms, the more of these.

    A lasso or a click selects works: `selection` holds their ids, and can be observed. With `ask`,
    a function from ids to Results, the works nearest to a selection are shown below the map.
    `colour` is a column of the works' table. The points are drawn by jupyter-scatter. Raises
    ArtsearchError for an unknown column, and where jupyter-scatter is missing.

        ArtMap(collection, map_layout(features), "style", ask=lambda ids: search.ask(ids))
    """

    selection = traitlets.List()

    def __init__(
        self,
        collection: Collection,
        layout: Features,
        colour: str | None = None,
        *,
        ask: Callable[[list[str]], Results] | None = None,
        height: int = 640,
        out: str | os.PathLike = "build",
    ):
        self.ids = layout.ids
        self.thumbnails = Thumbnails(collection, Path(out, "thumbs"))
        self._collection, self._ask = collection, ask
        self._works = works_of(collection, layout)
        self._rows = {id: row for row, id in enumerate(layout.ids)}
        columns = [column for column in self._works if column != "id"]
        self.pictures = MapPictures(columns=columns)
        self.scatter = _make_scatter(layout, height)
        super().__init__([self.scatter.widget, self.pictures])
        self.add_class("artsearch-map")
        self.colour(colour)
        self.scatter.widget.observe(self._heed_scatter, "selection")
        self.pictures.on_msg(self._heed)

    def __repr__(self) -> str:
        # Stands in the notebook's file for readers without a kernel.
        return f"<ArtMap of {count_of(len(self.ids), 'work')}; it needs a running notebook>"

    @property
    def state(self) -> dict:
        """What is to be seen: the number of works, the colours, the selection and its answer."""
        shown = self.pictures
        return {
            "works": len(self.ids),
            "colour": shown.colour,
            "legend": [tuple(one) for one in shown.legend],
            "selection": list(self.selection),
            "said": shown.said,
            "answer": [self.ids[row] for row, _ in shown.answer],
        }

    def select(self, ids: Iterable[str]) -> None:
        """Select works, in place of those selected so far; raises ArtsearchError for unknown ids.

        No ids deselect all.
        """
        ids = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
        for id in ids:
            if id not in self._rows:
                raise unknown("work on the map", id, self.ids)
        self.scatter.selection([self._rows[id] for id in ids])

    def colour(self, column: str | None = None) -> None:
        """Colour the works by a column of their table; None gives all the same colour."""
        if column is None:
            found = Colouring(np.zeros(len(self.ids), np.int64), ("",), COLOURS[:1])
        else:
            found = colour_by(self._works, column)
        # The names of the groups are any text, and only the legend needs them.
        numbers = [str(number) for number in range(len(found.names))]
        groups = pd.Categorical.from_codes(found.groups, numbers)
        self.scatter.color(by=groups, map=list(found.colours))
        with self.pictures.hold_sync():
            self.pictures.colour = column or ""
            self.pictures.groups = found.groups.astype(np.uint8).tobytes()
            shown = zip(found.names, found.colours, strict=True)
            self.pictures.legend = list(shown) if column else []

    def _heed_scatter(self, change: dict) -> None:
        """Ask what is near to a selection, and say it below the map."""
        rows = np.asarray(change["new"] if change["new"] is not None else [], np.int64)
        self.selection = [self.ids[row] for row in rows if row < len(self.ids)]
        count = len(self.selection)
        self.pictures.said = f"{count_of(count, 'work')} selected" if count else ""
        self.pictures.answer = []
        if self._ask is None or not count:
            return
        try:
            found = self._ask(list(self.selection)).ids
        except ArtsearchError as error:
            self.pictures.said += f"; {error}"
            return
        of = "them" if count > 1 else "it"
        self.pictures.said += f"; nearest to {of}:" if found else "; nothing else is found"
        found = [id for id in found if id in self._rows]
        self.pictures.answer = [(self._rows[id], self._caption(id)) for id in found]

    def _heed(self, _, message: dict, buffers: list) -> None:
        """Do what the browser asks for; what goes wrong is said below the map."""
        try:
            self._do(message)
        # Wherever an exception of a callback goes, no visitor looks there.
        except Exception as error:
            self.pictures.said = f"This did not work: {type(error).__name__}: {error}"

    def _do(self, message: dict) -> None:
        match message:
            case {"do": "pictures", "rows": rows}:
                rows = [int(row) for row in rows][:MOST]
                ids = [self.ids[row] for row in rows]
                self.thumbnails.prepare(ids)
                captions = [self._caption(id) for id in ids]
                files = [self.thumbnails.read(id, "small") for id in ids]
                self.pictures.send({"pictures": rows, "captions": captions}, files)
            case {"do": "select", "row": row}:
                self.select([self.ids[int(row)]])
            case {"do": "colour", "column": column}:
                self.colour(column or None)

    def _caption(self, work_id: str) -> str:
        return shorten(self._collection.caption(work_id), LONGEST)


def _make_scatter(layout: Features, height: int):
    try:
        from jscatter import Scatter
    except ImportError:
        raise ArtsearchError(
            "the map wants the package jupyter-scatter: pip install 'artsearch[map]'; show_map "
            "draws one without it"
        ) from None
    points = np.asarray(layout.vectors)
    width, length = np.abs(points).max(axis=0)
    # The same for both axes, so that the map is not stretched; what goes from -reach to reach fills
    # the height of the map, which is nearly always wider than high.
    reach = 1.05 * max(length, width / 1.4) or 1
    return Scatter(
        data=pd.DataFrame(points, columns=["x", "y"]),
        x="x",
        y="y",
        x_scale=(-reach, reach),
        y_scale=(-reach, reach),
        height=height,
        size=5,
        opacity=0.7,
        opacity_by=None,
        color_selected=MARK,
        color_hover=OTHER,
        axes=False,  # what the axes of a map by UMAP measure has no name
        reticle=False,
        lasso_on_long_press=False,
    )
