"""How near is near, and why: whether what is said of answers is so.

Whether rarities are what they say, what "nothing is like it" hides, and whether *Why?* by
experiment names what an answer is near for, where that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from artsearch.base.errors import ImageError, check_whole
from artsearch.base.progress import Progress
from artsearch.base.text import fold
from artsearch.evaluate.estimates import MetricsTable, estimate_mean
from artsearch.evaluate.experiments import CONTENT, CORRECTED, MANNER
from artsearch.features.blend import OneLayer, WeightedBlend
from artsearch.features.extractor import FeatureExtractor
from artsearch.index.factory import construct_exact_index
from artsearch.search.experiment import SIDE, Experiment, experiment, lose_colours
from artsearch.search.question import Question
from artsearch.search.rarity import WORDS
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image

#: Works that are asked for, drawn by chance.
QUERIES = 500
#: What is measured, in this order.
UNUSUAL, NOTHING, HIDDEN = "unusual, other hands", "nothing alike", "same hand hidden"
#: An answer is asked about where it comes at this rank or before, as a visitor sees it.
NEAR = 20
#: A work drawn by chance, and the one at this rank of its answer, are given the same.
APART = 60
#: Lights in which two works are seen: red, green and blue, as shares.
LIGHTS = ((1, 0.4, 0.3), (0.3, 0.6, 1), (0.45, 1, 0.35), (1, 0.8, 0.2), (0.8, 0.35, 1))
#: A frame around two works, as a share of the shorter side, and its colours.
WIDE = 0.14
WOODS = ((122, 78, 42), (200, 170, 60), (30, 30, 30), (235, 230, 220), (90, 20, 25))
#: What is measured: how often a cause is named where it is the one, by chance where another one is.
NAMED = "cause named"


def nearness(
    searches: Searches, k: int = 10, seed: int = 0, queries: int = QUERIES
) -> MetricsTable:
    """Measure what rarities are worth, for the final layer and the blend of each network.

    Metrics, with the label "artist", of works by hand whose artist is known: UNUSUAL, how many get
    an answer of k works that holds one called unusual or more where their own hand is left out, by
    chance 0.1 at most; NOTHING, to how many it is said that nothing is like them; and HIDDEN, how
    many of these have a work by their own hand among the k nearest all the same, by chance as many
    as any k works have one. Intervals draw artists again.
    """
    check_whole("k", k)
    metrics, collection = MetricsTable(), searches.collection
    if not (collection.works["artist"] != "").any():
        metrics.note("no work has an artist: what rarities hide cannot be measured")
        return metrics
    for network, crop in searches:
        descriptors = searches.descriptors(network, crop)
        for name in CORRECTED:
            if name in descriptors:
                index = construct_exact_index("angular", descriptors[name].features)
                search = Search(collection, index)
                _measure(metrics, (network, crop, name, "artist"), search, k, seed, queries)
    return metrics


def _measure(metrics: MetricsTable, key: tuple, search: Search, k: int, seed: int, queries: int):
    collection = search.collection
    folded = collection.columns.folded("artist")
    hands = {id: folded.iloc[collection.row(id)] for id in search.index.ids}
    counts = folded[folded != ""].value_counts()
    known = [id for id, hand in hands.items() if hand and id not in collection.machines]
    known = np.random.default_rng(seed).permutation(np.array(known, object))[:queries].tolist()
    unusual, nothing, hidden, chances = {}, {}, {}, {}
    k = min(k, len(hands) - 1)
    for id in known if k else ():
        others = search.ask(id, k, exclude_same="artist")
        if others.cut is not None:
            unusual[id] = min(one.rarity.by_chance for one in others) < WORDS[1][0]
        answer = search.by_work(id, k)
        if answer.cut is None:
            continue
        nothing[id] = answer.cut == 0
        if nothing[id]:
            own = counts[hands[id]] - 1
            hidden[id] = any(hands[other] == hands[id] for other in answer.ids)
            chances[id] = 1 - _none_of(own, k, len(hands) - 1)
    expected = ((UNUSUAL, unusual, WORDS[1][0]), (NOTHING, nothing, 0.0))
    if hidden:
        expected += ((HIDDEN, hidden, float(np.mean([*chances.values()]))),)
    for metric, values, chance in expected:
        if not values:
            metrics.note(f"{metric}: too few works by different hands to say what is usual")
            continue
        units = [hands[id] for id in values]
        estimate = estimate_mean(metric, k, [*values.values()], chance, [*values], units, seed)
        same_artist = "no" if metric == UNUSUAL else "yes"
        metrics.add(key, estimate, same_artist)
        if metric != NOTHING:
            metrics.add_chance((*key[:2], f"{key[2]}, chance", key[3]), estimate, same_artist)


def _none_of(own: int, k: int, others: int) -> float:
    """Return the chance that of k works drawn from some others none is one of the own."""
    from scipy.stats import hypergeom

    return float(hypergeom.pmf(0, others, own, k))


def light(image: Image.Image, number: int) -> Image.Image:
    """Return a picture in one coloured light."""
    red, green, blue = LIGHTS[number % len(LIGHTS)]
    image = lose_colours(image)
    return image.convert("RGB", (red, 0, 0, 0, 0, green, 0, 0, 0, 0, blue, 0))


def hatch(image: Image.Image, number: int) -> Image.Image:
    """Return a picture under fine dark lines, some pixels apart."""
    angle, apart = np.pi * (number % 7) / 7, 6 + number % 3
    across, down = np.meshgrid(np.arange(image.width), np.arange(image.height))
    waves = np.sin(2 * np.pi * (across * np.cos(angle) + down * np.sin(angle)) / apart)
    lines = np.where(waves > 0.3, 0.5, 1.0)[..., None]
    return Image.fromarray((np.asarray(image) * lines).astype(np.uint8))


def frame(image: Image.Image, number: int) -> Image.Image:
    """Return a picture in a frame of two colours."""
    wide = max(1, round(WIDE * min(image.size)))
    for step, width in enumerate((wide, max(1, wide // 4))):
        image = ImageOps.expand(image, width, WOODS[(number + step) % len(WOODS)])
    return image


#: What two works are given that have nothing else in common, by the cause that is to be named.
GIVEN: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "colours": light,
    "fine detail": hatch,
    "margins": frame,
}


class _Staged(Search):
    """A search by one descriptor, in which one work may have another picture than its own."""

    def __init__(
        self,
        collection: Collection,
        descriptor: OneLayer | WeightedBlend,
        extractor: FeatureExtractor,
    ):
        self._staged = collection, descriptor, extractor
        super().__init__(collection, construct_exact_index("angular", descriptor.features))

    def look(self, image: ImageSource) -> Described:
        _, descriptor, extractor = self._staged
        row = descriptor.rows(extractor.describe([open_image(image)]))[0]
        return Described(row, row)

    def with_picture(self, work_id: str, picture: Image.Image) -> _Staged:
        """Return the search in which a work has another picture."""
        collection, descriptor, extractor = self._staged
        other, features = _Staged.__new__(_Staged), descriptor.features
        vectors = np.array(features.vectors)
        vectors[features.ids.index(work_id)] = self.look(picture).row
        other._staged = self._staged
        Search.__init__(
            other, collection, construct_exact_index("angular", replace(features, vectors=vectors))
        )
        return other


def reasons(
    searches: Searches,
    repainted: Searches | None = None,
    sample: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> MetricsTable:
    """Measure how often an experiment names the cause where it is known by construction.

    Two works drawn by chance, `sample` times, are given the same coloured light, hatching, or
    frame: then the second is near to the first for its colours, its fine detail, or its margins. Of
    the `repainted` works, some are near for their manner alone: the label is the cause. Asked about
    are answers at rank NEAR or before. What stands as chance is how often the same cause is named
    of answers that are near for another one (for the manner: that share the content alone).
    Intervals draw queries again.
    """
    check_whole("sample", sample)
    metrics = MetricsTable()
    for network, crop in searches:
        for name in CORRECTED:
            found: dict[str, list[Experiment]] = {cause: [] for cause in GIVEN}
            search = _stage(searches, network, crop, name)
            if search is None:
                continue
            for cause, one in _planted(search, sample, seed, progress):
                found[cause].append(one)
            if repainted is not None:
                staged = _stage(repainted, network, crop, name)
                for cause, one in _painted(staged, sample, seed, progress):
                    found.setdefault(cause, []).append(one)
            _add(metrics, (network, crop, name), found, seed)
    return metrics


def _stage(searches: Searches, network: str, crop: str, name: str) -> _Staged | None:
    descriptors = searches.descriptors(network, crop)
    if name not in descriptors:
        return None
    extractor = searches.extractor(network, crop, blend=len(descriptors) > 1)
    return _Staged(searches.collection, descriptors[name], extractor)


def _planted(
    search: _Staged, sample: int, seed: int, progress: bool
) -> Iterator[tuple[str, Experiment]]:
    """Yield experiments on two works that were given the same, with the cause."""
    collection = search.collection
    ids = [id for id in search.index.ids if id not in collection.machines]
    drawn = np.random.default_rng(seed).permutation(np.array(ids, object))[:sample].tolist()
    with Progress(len(drawn), "Why", show=progress) as bar:
        for number, first in enumerate(drawn):
            bar.update()
            apart = search.ask(first, APART, machine_made=False)
            if len(apart) < APART:
                continue
            second = apart.ids[-1]
            try:
                pictures = [open_image(collection.path(id), SIDE) for id in (first, second)]
            except ImageError:
                continue
            for picture in pictures:
                picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            for cause, give in GIVEN.items():
                query, answer = (give(picture, number) for picture in pictures)
                staged = search.with_picture(second, answer)
                question = Question("the query", exclude=(first,))
                if second in staged.ask(query, NEAR, exclude=first).ids:
                    found = experiment(staged, question, second, query)
                    yield cause, replace(found, query=first)


def _painted(
    search: _Staged, sample: int, seed: int, progress: bool
) -> Iterator[tuple[str, Experiment]]:
    """Yield experiments on repainted works that share the manner alone, or the content alone."""
    works = search.collection.works.set_index("id").loc[list(search.index.ids)]
    kinds = {label: dict(works[label].map(fold)) for label in (CONTENT, MANNER)}
    known = [id for id in works.index if kinds[CONTENT][id] and kinds[MANNER][id]]
    drawn = np.random.default_rng(seed).permutation(np.array(known, object))[:sample].tolist()
    with Progress(len(drawn), "Why, repainted", show=progress) as bar:
        for id in drawn:
            bar.update()
            near = search.by_work(id, min(NEAR, len(works) - 1)).ids
            for label, other in ((MANNER, CONTENT), (CONTENT, MANNER)):
                same = (
                    one
                    for one in near
                    if kinds[label][one] == kinds[label][id] != ""
                    and kinds[other][one] != kinds[other][id]
                )
                if (answer := next(same, None)) is not None:
                    picture = search.collection.path(id)
                    yield label, experiment(search, Question(id), answer, picture)


def _add(metrics: MetricsTable, key: tuple, found: dict[str, list[Experiment]], seed: int) -> None:
    for cause in (*GIVEN, MANNER):
        own = found.get(cause, [])
        if not own:
            metrics.note(
                f"{cause}: no answer that is near for it alone came at rank {NEAR} or before"
            )
            continue
        others = [CONTENT] if cause == MANNER else [one for one in GIVEN if one != cause]
        named = [cause in one.causes for other in others for one in found.get(other, ())]
        chance = float(np.mean(named)) if named else np.nan
        ids = [one.query for one in own]
        values = [cause in one.causes for one in own]
        estimate = estimate_mean(NAMED, None, values, chance, ids, ids, seed)
        metrics.add((*key, cause), estimate)
        metrics.add_chance((*key[:2], f"{key[2]}, other causes", cause), estimate)
