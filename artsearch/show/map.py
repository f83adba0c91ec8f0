"""A collection in two dimensions: where each work lies, how far to believe it, and a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from artsearch.base.disk import fingerprint
from artsearch.base.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.base.text import cut_text, fold, usual_spellings
from artsearch.evaluate.rankings import nearest
from artsearch.features.features import Features
from artsearch.features.store import load_features, save_features
from artsearch.index.metrics import check_finite, unit_rows
from artsearch.index.stored import checksum_rows
from artsearch.works.collection import Collection
from artsearch.works.images import ImageError, thumbnail
from artsearch.works.years import read_years

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Works that UMAP takes for a work's surroundings, and how close two may come. Its own 15 and 0.1
#: make denser crowds with wider gaps, which leaves pictures little room: of 895 paintings 68 could
#: be shown at once, and 85 so, for a trustworthiness of 0.94 in place of 0.96.
N_NEIGHBORS, MIN_DIST = 25, 0.3
#: Fewer works than this have no surroundings to speak of: their principal axes are the map.
FEW = 10
#: Works that are looked at to judge a map; all pairs of more would take minutes.
JUDGED = 3_000
#: Groups of works that get a colour of their own.
COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"),
    *("#ee7733", "#009988", "#994455", "#0077bb", "#bbcc33"),
)
#: The colour of works outside these groups, of works of which nothing is said, and of a mark.
OTHER, UNSAID, MARK = "#9a9a9a", "#d4d4d4", "#a3470b"
#: Groups into which numbers are divided.
STEPS = 6
#: Letters of a group's name.
LONGEST = 40


def map_layout(
    features: Features,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    neighbours: int = N_NEIGHBORS,
) -> Features:
    """Lay out works so that those with similar rows lie close: works × 2, from -1 to 1.

    It is UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) on rows of unit length, begun
    from their principal axes; fewer than ten works, or works that differ in one way only, are laid
    along these axes alone. The same rows and seed give the same map on the same machine. With a
    `folder` it is kept there, and known again by its rows.

    Raises ArtsearchError for no works, numbers that are not finite, and where umap is missing.
    """
    check_whole("seed", seed, 0)
    check_whole("neighbours", neighbours, 2)
    if not len(features):
        raise ArtsearchError("the features hold no work, so there is none to put on a map")
    check_finite(features)
    marks = map(str, checksum_rows(features).tolist())
    rows = fingerprint(zip(features.ids, marks, strict=True))
    provenance = {"map": "umap", "rows": rows, "seed": int(seed), "neighbours": int(neighbours)}
    if folder is None:
        return _lay_out(features, provenance)
    path = Path(folder, "-".join(map(str, provenance.values())))
    with suppress(ArtsearchError):  # none there yet, or a damaged one
        return load_features(path, **provenance)
    layout = _lay_out(features, provenance)
    save_features(layout, path)
    return layout


def _lay_out(features: Features, provenance: dict) -> Features:
    vectors = unit_rows(np.asarray(features.vectors))
    points = _principal_axes(vectors, provenance["seed"])
    if len(points) >= FEW and np.ptp(points, axis=0).all():
        # Any way may be up: the broad side lies along the longer side of a screen.
        points = _principal_axes(_umap(vectors, points, provenance), provenance["seed"])
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    return Features(points / (np.abs(points).max() or 1), features.ids, provenance)


def _principal_axes(vectors: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    points = np.zeros((len(vectors), 2))
    axes = min(2, *vectors.shape)
    if np.ptp(vectors, axis=0).any():  # else all works lie in one place, and there is no axis
        points[:, :axes] = PCA(axes, random_state=seed).fit_transform(vectors)
    return points


def _umap(vectors: np.ndarray, start: np.ndarray, provenance: dict) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError:
        raise ArtsearchError(
            "a map wants the package umap-learn: pip install 'artsearch[map]'"
        ) from None
    model = UMAP(
        n_neighbors=min(provenance["neighbours"], len(vectors) - 1),
        # As wide as UMAP's own beginnings are.
        init=(10 * start / (np.abs(start).max() or 1)).astype(np.float32),
        min_dist=MIN_DIST,
        random_state=provenance["seed"],
        n_jobs=1,  # with several threads no two maps are the same
    )
    # numba sets the number of threads that torch has from OpenMP too: it gets its own back.
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    try:
        return model.fit_transform(vectors)
    finally:
        if torch:
            torch.set_num_threads(threads)


def shadow_layout(features: Features) -> tuple[Features, float]:
    """Lay out works along the two axes in which they differ most; return the share of it, too.

    It is the shadow that the rows throw on a plane, works × 2, from -1 to 1; where no two works
    differ, all are in the middle, and there is nothing to share.
    """
    from sklearn.decomposition import PCA

    vectors = np.asarray(features.vectors)
    if not np.ptp(vectors, axis=0).any():
        return Features(np.zeros((len(vectors), 2)), features.ids), 0.0
    axes = PCA(2, svd_solver="full")
    points = axes.fit_transform(vectors)
    share = float(axes.explained_variance_ratio_.sum())
    return Features(points / np.abs(points).max(), features.ids), share


class Trust(NamedTuple):
    """How far a map can be believed, about the `k` nearest of each work.

    `trustworthiness` is 1 where no work is near another on the map alone, and about 0.5 by chance
    (Venna and Kaski 2001). `kept` is the share of a work's k nearest on the map that are its k
    nearest by their rows, and `chance` what it would be on a map that knows nothing.
    """

    k: int
    trustworthiness: float
    kept: float
    chance: float


def trust(features: Features, layout: Features, k: int = 10, seed: int = 0) -> Trust:
    """Measure how far a map can be believed; of more than 3,000 works, 3,000 are drawn by chance.

    k is lowered to fewer than half of the works. Raises MismatchError for a map of other works,
    ArtsearchError for fewer than four.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    check_whole("k", k)
    if features.ids != layout.ids:
        raise MismatchError("the map is one of other works; lay these out with map_layout")
    if len(features) < 4:
        raise ArtsearchError(f"a map of {len(features)} works cannot be judged; take four or more")
    rows = np.arange(len(features))
    if len(rows) > JUDGED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, JUDGED, replace=False))
    k = min(k, (len(rows) - 1) // 2)
    vectors, points = unit_rows(features.vectors[rows]), np.asarray(layout.vectors[rows])
    by_row = nearest(Features(vectors, [features.ids[row] for row in rows]), k)
    on_map = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    shared = [len(np.intersect1d(*pair)) for pair in zip(by_row, on_map, strict=True)]
    value = trustworthiness(vectors, points, n_neighbors=k)
    return Trust(k, float(value), float(np.mean(shared) / k), k / (len(rows) - 1))


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for each work: `groups` are numbers into `names` and `colours`."""

    groups: np.ndarray
    names: tuple[str, ...]
    colours: tuple[str, ...]


def colour_by(works: pd.DataFrame, column: str) -> Colouring:
    """Divide works by a column of their table, and give each group a colour.

    The most frequent values have one of their own, the rest is one group; what folds alike is one
    value (see `fold`), under its most frequent spelling. A column of numbers, such
    as years, is divided into up to six steps. Raises ArtsearchError for an unknown column.
    """
    if column not in works:
        raise unknown("column", column, works.columns)
    texts = works[column].astype(str)
    values, usual = texts.map(fold), usual_spellings(texts)
    texts = values[values != ""].map(usual)
    numbers = texts.map(lambda text: (read_years(text) or (np.nan,))[0])
    if numbers.notna().mean() > 0.8 and numbers.nunique() > len(COLOURS):
        groups, names, colours = _group_numbers(numbers.dropna())
    else:
        groups, names, colours = _group_texts(texts)
    groups = groups.astype(float).reindex(works.index)  # no value leaves texts, of no group
    if groups.isna().any():
        groups, names, colours = groups.fillna(len(names)), [*names, "not said"], [*colours, UNSAID]
    names = tuple(cut_text(name, LONGEST) for name in names)
    return Colouring(groups.to_numpy(np.int64), names, tuple(colours))


def _group_texts(texts: pd.Series) -> tuple[pd.Series, list[str], list[str]]:
    names = texts.value_counts().index.tolist()
    others = len(names) - len(COLOURS)
    names, colours = names[: len(COLOURS)], list(COLOURS[: len(names)])
    groups = texts.map({name: number for number, name in enumerate(names)})
    if others > 0:
        names, colours = [*names, f"{others:,} others"], [*colours, OTHER]
    return groups.fillna(len(COLOURS)), names, colours


def _group_numbers(numbers: pd.Series) -> tuple[pd.Series, list[str], list[str]]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    groups = pd.qcut(numbers, STEPS, labels=False, duplicates="drop")
    spans = numbers.groupby(groups).agg(["min", "max"])
    names = [f"{least:g} to {most:g}" for least, most in spans.to_numpy()]
    return groups, names, list(map(to_hex, colormaps["viridis"](np.linspace(0, 0.95, len(names)))))


def place_pictures(points: np.ndarray, side: float, first: Sequence[int] = ()) -> list[int]:
    """Return the rows whose pictures, `side` wide and high, can be shown none over another.

    `points` are the middles, works × 2. The rows in `first` come first, then all in an order that
    mixes them and is always the same (web/map.js has the same one).

    >>> place_pictures(np.array([[0, 0], [1, 0], [5, 0]]), side=2, first=[1])
    [1, 2]
    """
    rows = np.arange(len(points), dtype=np.uint32)
    mixed = np.argsort(rows * np.uint32(2654435761), kind="stable")
    taken: dict[tuple[int, int], tuple[float, float]] = {}
    placed = []
    for row in [*first, *mixed.tolist()]:
        x, y = points[row].tolist()
        # A square of the grid has room for the middle of one picture at most.
        column, line = int(x // side), int(y // side)
        around = [(column + a, line + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        near = (taken[square] for square in around if square in taken)
        if not any(abs(x - a) < side and abs(y - b) < side for a, b in near):
            taken[column, line] = x, y
            placed.append(row)
    return placed


def show_map(
    collection: Collection,
    layout: Features,
    colour: str | None = None,
    marked: Sequence[str] = (),
    side: float = 0.1,
) -> Figure:
    """Draw a map for a reader without a kernel: a dot a work, and pictures where there is room.

    `colour` is a column of the works' table, for the dots and the frames of the pictures. The works
    in `marked` are shown first, in a thick frame. `side` is that of a picture, where the map goes
    from -1 to 1.
    """
    import matplotlib.pyplot as plt

    points = np.asarray(layout.vectors)
    rows = {id: row for row, id in enumerate(layout.ids)}
    marks = [rows[id] for id in marked if id in rows]
    least, most = points.min(axis=0), points.max(axis=0)
    width, height = most - least
    height = 8.5 * float(np.clip(height / (width or 1), 0.4, 1)) + 0.4
    figure, ax = plt.subplots(figsize=(8.5, height), layout="constrained")
    dots, frames = OTHER, np.full(len(points), "none")
    if colour is not None:
        colouring = colour_by(works_of(collection, layout), colour)
        _draw_legend(figure, colouring, colour)
        dots = frames = np.array(colouring.colours)[colouring.groups]
    ax.scatter(*points.T, s=7, c=dots, linewidths=0)
    for row in place_pictures(points, side, marks):
        frame = (MARK, 2.5) if row in marks else (frames[row], 1.2)
        _draw_picture(ax, collection, layout.ids[row], points[row], side, frame)
    ax.set(xticks=[], yticks=[], frame_on=False, aspect="equal")
    (left, bottom), (right, top) = least - 0.6 * side, most + 0.6 * side
    ax.set(xlim=(left, right), ylim=(bottom, top))
    if len(points) > 1 and not (most - least).any():
        ax.set_title("All works lie in one place: to the network they are the same.", fontsize=9)
    return figure


def works_of(collection: Collection, layout: Features) -> pd.DataFrame:
    """Return the table of the works on a map, in its order."""
    return collection.works.iloc[[collection.row(id) for id in layout.ids]]


def _draw_legend(figure: Figure, colouring: Colouring, column: str) -> None:
    from matplotlib.lines import Line2D

    dots = [Line2D([], [], color=c, marker="o", linestyle="") for c in colouring.colours]
    style = {"title": column, "fontsize": 7, "ncols": 4, "loc": "outside lower center"}
    legend = figure.legend(dots, colouring.names, **style)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)  # it is text of the user's: a dollar sign in it is no formula


def _draw_picture(
    ax: Axes, collection: Collection, work_id: str, middle: np.ndarray, side: float, frame: tuple
) -> None:
    from matplotlib.patches import Rectangle

    try:
        picture = np.asarray(thumbnail(collection.path(work_id), 96))
    except ImageError:  # it could be read when the rows were made
        return
    height, width = (0.46 * side * length / max(picture.shape) for length in picture.shape[:2])
    x, y = middle
    ax.imshow(picture, extent=(x - width, x + width, y - height, y + height), zorder=2)
    colour, thickness = frame
    outline = {"fill": False, "color": colour, "linewidth": thickness, "zorder": 3}
    ax.add_patch(Rectangle((x - width, y - height), 2 * width, 2 * height, **outline))
