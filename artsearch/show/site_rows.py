"""What the static page computes with: rows as 8-bit numbers, and the table that conditions ask."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from artsearch.base.disk import fingerprint
from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import chunks_of
from artsearch.features.blend import Blend
from artsearch.index.blend import BlendIndex
from artsearch.index.candidates import copy_distance
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import unit_of
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.years import dated

#: The format of the data, which site.js reads; it goes up where an older page could not read it.
FORMAT = 1
#: Works in a file of rows.
BLOCK = 16_384
#: The largest number where none is negative. On rows of 895 paintings by EfficientNet-Lite0 recall
#: is 0.998 with 255, 0.991 with 90, 0.987 with 63; of 10,000 works the file has 10.6, 8.5, 7.7 MB.
STEPS = 90
#: Numbers of a descriptor at most: a browser holds them in memory, a byte each, at times twice.
MOST = 400_000_000
#: Weights of the dial for which the page has the distance of near-duplicates; between, it
#: interpolates.
NEAR_AT = np.linspace(0, 1, 21).round(2).tolist()
#: Works drawn by chance whose neighbours tell the recall, how many of these, and where on the dial.
MEASURED, RECALL_K, RECALL_AT = 500, 10, (0.0, 0.25, 0.5, 0.75, 1.0)
#: Columns of the table that works.js holds as they are.
SHOWN = ("title", "artist", "year", "style", "licence")

Write = Callable[[str, dict], None]


def check_size(searches: Mapping[tuple[str, str], Search], works: int) -> None:
    """Raise ArtsearchError where a browser could not hold the rows of a search."""
    for network, crop in searches:
        dims = searches[network, crop].index.dims
        if works * dims > MOST:
            raise ArtsearchError(
                f"the page computes in the browser, which holds {MOST / 1e6:,.0f} million numbers; "
                f"{network} has {dims:,} of each of the {works:,} works, {works * dims / 1e6:,.0f} "
                "million: take a part of the collection, or serve all of it with `make app`"
            )


def write_final(search: Search, ids: Sequence[str], name: str, write: Write) -> dict:
    """Write the rows of a search as its metric compares them; return what the page knows of them.

    `write` gets the name of a data file and what is in it; `name` begins that of each file.
    """
    exact = search.exact.part(search.exact.rows_of(ids))
    told, page = _write_rows(exact.fetch(slice(None)), [exact.dims], name, write)
    near = None if exact.metric == "dot" else [search.copy_distance]
    recall = [measure_recall(exact, page)]
    _write_usual([search], ids, name, write)
    return told | _describe(exact) | {"near": near, "recall": recall, "raw": None}


def write_blend(
    dial: Callable[[float], Search], ids: Sequence[str], name: str, write: Write
) -> dict:
    """Write the rows of a blend, and those before averaging, by which near-duplicates are told.

    `dial` gives the search at a weight.
    """
    blend: Blend = dial(0.5).blend
    widths = [component.basis.shape[1] for component in blend.components.values()]
    order = BlendIndex(blend).rows_of(ids)
    told, page = _write_rows(blend.vectors[order], widths, name, write)
    raw = None
    if blend.metadata["neighbours"]:
        raw, _ = _write_rows(blend.raw[order], widths, f"{name}-raw", write)
    parts = [BlendIndex(blend, alpha).part(order) for alpha in RECALL_AT]
    near = [copy_distance(BlendIndex(blend, alpha, raw=True)) for alpha in NEAR_AT]
    recall = [measure_recall(part, page) for part in parts]
    _write_usual([dial(alpha) for alpha in RECALL_AT], ids, name, write)
    return told | _describe(parts[0]) | {"near": near, "recall": recall, "raw": raw}


def to_bytes(rows: np.ndarray, widths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as 8-bit numbers, and the scale of each work's parts (works × parts).

    With its scale a part has the length that it had.

    >>> numbers, scales = to_bytes(np.array([[0.6, 0.8, 1.0]], np.float32), [2, 1])
    >>> numbers.tolist(), (STEPS * scales.astype(float)).round(2).tolist()
    ([[68, 90, 90]], [[0.8, 1.0]])
    """
    most = 127 if rows.min(initial=0) < 0 else STEPS
    numbers = np.empty(rows.shape, np.int8 if most == 127 else np.uint8)
    scales = np.zeros((len(rows), len(widths)), np.float32)
    start = 0
    for place, width in enumerate(widths):
        part = rows[:, start : start + width].astype(np.float64)
        largest = np.abs(part).max(axis=1, keepdims=True)
        found = np.rint(part * (most / np.where(largest > 0, largest, 1)))
        numbers[:, start : start + width] = found
        lengths = np.linalg.norm(found, axis=1)
        scales[:, place] = np.linalg.norm(part, axis=1) / np.where(lengths > 0, lengths, 1)
        start += width
    return numbers, scales


def from_bytes(numbers: np.ndarray, scales: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Return rows as the page has them."""
    return numbers * np.repeat(scales, widths, axis=1)


def measure_recall(index: ExactIndex, page: np.ndarray) -> float:
    """Return what share of the RECALL_K nearest of works the page's rows find as well."""
    k = min(RECALL_K, len(index) - 1)
    if k < 1:
        return 1.0
    drawn = np.sort(np.random.default_rng(0).permutation(len(index))[:MEASURED])
    other, shares = index.with_rows(page), []
    found, again = (one._nearest_many(one.fetch(drawn), k + 1)[0] for one in (index, other))
    for own, first, second in zip(drawn, found, again, strict=True):
        first, second = (rows[rows != own][:k] for rows in (first, second))
        shares.append(len(np.intersect1d(first, second)) / k)
    return float(np.mean(shares))


def describe_table(collection: Collection, ids: Sequence[str], write: Write) -> dict:
    """Write the columns that conditions may ask and works.js lacks; return what is known of all.

    The numbers and years in texts are read here, so that the page need not know how.
    """
    columns = collection.columns
    rows = [collection.row(id) for id in ids]
    names = [name for name in collection.works if name != "id"]
    texts = {name: columns.texts(name).iloc[rows].tolist() for name in names if name not in SHOWN}
    years = {}
    for name in names:
        first, last = columns.years(name)[rows].T
        known = np.flatnonzero(np.isfinite(first))  # the page's JSON has no other numbers
        if len(known):
            years[name] = [known.tolist(), first[known].tolist(), last[known].tolist()]
    write("columns", {"packed": pack(json.dumps({"texts": texts, "years": years}).encode())})
    return {"columns": names, "values": columns.choices()}


def describe_dates(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the years in those texts that are more than a year, by text.

    >>> describe_dates(["1831", "c. 1890–95", "undated", "1831"])
    {'c. 1890–95': (1890.0, 1895.0)}
    """
    others = {text for text in texts if not re.fullmatch("[0-9]{1,9}", text)}
    read = {text: dated(text) for text in sorted(others)}
    return {text: tuple(one) for text, one in read.items() if one}


def describe_origin(collection: Collection) -> dict:
    """Return which collection a session of the page asks, as the sessions of the gallery say it."""
    name = collection.name.encode("utf-8", "replace").decode()
    ids = fingerprint((id, "") for id in collection)
    return {"name": name, "works": len(collection), "fingerprint": ids}


def pack(data: bytes) -> str:
    """Return bytes deflated, as text."""
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _write_rows(
    rows: np.ndarray, widths: Sequence[int], name: str, write: Write
) -> tuple[dict, np.ndarray]:
    """Write rows in files of BLOCK works, column by column; return what they are, and as read."""
    numbers, scales = to_bytes(rows, widths)
    blocks = []
    for block, part in zip(chunks_of(numbers, BLOCK), chunks_of(scales, BLOCK), strict=True):
        packed = pack(np.ascontiguousarray(block.T).tobytes())
        data = {"packed": packed, "scales": pack(part.astype("<f4").tobytes())}
        write(f"{name}-{len(blocks)}", data)
        blocks.append(len(block))
    told = {"file": name, "blocks": blocks, "widths": list(widths)}
    return told | {"signed": numbers.dtype == np.int8}, from_bytes(numbers, scales, widths)


def _write_usual(searches: Sequence[Search], ids: Sequence[str], name: str, write: Write) -> None:
    """Write what is usual in some searches, by which the page tells rarities."""
    place, all_told = {id: row for row, id in enumerate(ids)}, []
    for search in searches:
        told = search.usual.describe()
        if told:
            told["sample"] = [place[id] for id in told["sample"]]
        all_told.append(told)
    write(f"{name}-usual", {"packed": pack(json.dumps(all_told).encode())})


def _describe(index: ExactIndex) -> dict:
    return {"metric": index.metric, "unit": unit_of(index.metric)}
