"""Whether `identify` names the work that an altered picture shows, and none where it is gone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, ImageError, check_whole
from artsearch.base.progress import Progress
from artsearch.evaluate.alterations import ALTERATIONS, DETAILS, STRONG, Alteration, alter_all
from artsearch.evaluate.estimates import MetricsTable
from artsearch.evaluate.recovery import KEY, SIDE, measure_ranks
from artsearch.features.pipeline import look_ahead
from artsearch.points.identify import Identifier
from artsearch.points.local import MOST_OF_QUERY, find_points
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

#: What the rows are of, in place of network, crop and descriptor.
OF = ("points", "whole", "identify")
#: The label of pictures whose work was taken out: right is "none of these".
GONE = "work not there"
#: The pictures by which that is asked.
ASKED = ("as it is", "photograph")
WORKERS = 2


def identified(
    collection: Collection,
    out: str | os.PathLike = "build",
    sample: int = 100,
    seed: int = 0,
    ks: Sequence[int] = (1,),
    alterations: Mapping[str, Alteration] = ALTERATIONS | STRONG,
    details: Sequence[float] = DETAILS,
    progress: bool = True,
) -> MetricsTable:
    """Measure how often an altered work is named: recall at 1, with the label "blur" and so on.

    `sample` works are drawn, altered as `recover` alters them. A picture for which another work is
    named, or none, is a miss. With the label "work not there" the work and its photograph are asked
    for among the others: a hit is the answer that it is none of them. Raises what Identifier.of
    raises, and ArtsearchError where no work drawn can be opened.
    """
    check_whole("sample", sample)
    identifier = Identifier.of(collection, out, progress)
    drawn = np.random.default_rng(seed).permutation(len(collection))[:sample]
    ids = [collection.ids[row] for row in drawn]

    def ask(work_id: str) -> list[tuple] | str:
        try:
            image = open_image(collection.path(work_id), SIDE)
        except ImageError as error:
            return f"{work_id} is left out: {error}"
        pictures = {"as it is": image} | alter_all(image, work_id, alterations, details, seed)
        rows = []
        for name, picture in pictures.items():
            points = find_points(picture, MOST_OF_QUERY)
            if name != "as it is":
                right = identifier.recognise(points).work == work_id
                rows.append((*OF, name, work_id, 1 if right else len(collection)))
            if name in ASKED:
                right = identifier.recognise(points, without=[work_id]).work is None
                rows.append((*OF, GONE, f"{work_id}, {name}", 1 if right else len(collection)))
        return rows

    rows, unreadable = [], []
    with Progress(len(ids), "Identify", show=progress) as bar:
        for found in look_ahead(ask, ids, WORKERS):
            (unreadable.append if isinstance(found, str) else rows.extend)(found)
            bar.update(1)
    if not rows:
        raise ArtsearchError(f"none of the {len(ids)} works drawn can be opened; {unreadable[0]}")
    metrics = measure_ranks(pd.DataFrame(rows, columns=[*KEY, "id", "rank"]), ks)
    metrics.note(*unreadable)
    return metrics
