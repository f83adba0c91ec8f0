"""Asking: by a work, by a vector, by any image; the answer is works with distances."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.index.base import Index
from artsearch.search.results import WORDY, Before, Described, Neighbour, Results
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource

if TYPE_CHECKING:
    from artsearch.features.extractor import FeatureExtractor
    from artsearch.points.identify import Identification, Identifier
    from artsearch.points.motifs import Motifs
    from artsearch.search.experiment import Experiment
    from artsearch.search.matches import Match, Matcher
    from artsearch.search.question import Question, Region, Words
    from artsearch.search.rarity import Usual


class Search:
    """A collection and an index over it, ready to be asked.

    What is computed when it is first asked for, such as what finds motifs, is kept below `out`;
    `progress` says whether it is told how far that is.
    Raises MismatchError when the index holds works that the collection does not.
    """

    def __init__(
        self,
        collection: Collection,
        index: Index,
        out: str | os.PathLike = "build",
        progress: bool = True,
    ):
        gone = [id for id in index.ids if id not in collection]
        if gone:
            raise MismatchError(
                f"the index holds {len(gone)} works that {collection.name} does not, the "
                f"first is {gone[0]!r}; compute features and index again for this folder"
            )
        self.collection = collection
        self.index = index
        self.out, self.progress = out, progress
        self._extractor: FeatureExtractor | None = None
        self._identifier: tuple[str | os.PathLike, Identifier] | None = None

    def by_work(self, work_id: str, k: int = 10, normalise: str = "") -> Results:
        """Return the k nearest works to a work of the collection, itself left out.

        With `normalise` "csls" works that are near to everything are put back, as in `ask`.
        """
        if normalise:
            return self.ask(work_id, k, normalise=normalise)
        return self._results(work_id, *self.index.search(work_id, k))

    def by_vector(self, vector: np.ndarray, k: int = 10, normalise: str = "") -> Results:
        """Return the k nearest works to a row of numbers by the index's own network and layer."""
        if normalise:
            return self.ask(np.asarray(vector), k, normalise=normalise)
        vector = np.asarray(vector)
        found = self.index.search(vector, k)
        return self._results(None, *found, self.index.check_vector(vector))

    def by_image(self, image: ImageSource, k: int = 10, normalise: str = "") -> Results:
        """Return the k nearest works to any image: a path, the bytes of a file, a PIL image.

        Raises ImageError when it cannot be read.
        """
        return self.by_vector(self.describe(image), k, normalise)

    def ask(
        self,
        positive: object,
        k: int = 10,
        *,
        negative: object = (),
        where: str | Mapping | None = None,
        exclude_same: str | Sequence[str] = (),
        near_duplicates: bool = True,
        machine_made: bool = True,
        exclude: str | Sequence[str] = (),
        group_by: str = "",
        group_size: int = 1,
        region: Region | None = None,
        motif: bool = False,
        normalise: str = "",
    ) -> Results:
        """Return the works that answer a question, exactly: none that matches is missed.

        `positive` is a work's id, words, an image (a path, bytes, a PIL image), a row of numbers, a
        list of these or of pairs with a weight, or a mapping from id to weight; so is `negative`.
        Words are Words("at night"), or a text that is no work's id, of which a note tells. The
        others are those of Question. Raises ArtsearchError, WhereError for a condition, ImageError.
        """
        from artsearch.search.answer import name_things
        from artsearch.search.question import Question

        asked, given, notes = name_things(self, {"positive": positive, "negative": negative})
        question = Question(
            **asked,
            where=where,
            exclude_same=exclude_same,
            near_duplicates=near_duplicates,
            machine_made=machine_made,
            exclude=exclude,
            group_by=group_by,
            group_size=group_size,
            region=region,
            motif=motif,
            normalise=normalise,
            k=k,
        )
        answer = self.answer(question, given)
        return replace(answer, notes=(*notes, *answer.notes))

    def answer(self, question: Question, given: Mapping[str, Described] | None = None) -> Results:
        """Return the works that answer a Question; raises what `ask` raises.

        `given` holds what it names and the collection does not: an image, a row, or what `look`
        says of an image.
        """
        from artsearch.search.answer import answer

        return answer(self, question, given or {})

    def path(
        self,
        start: str,
        end: str,
        waypoints: int = 5,
        where: str | Mapping | None = None,
        exclude: str | Sequence[str] = (),
        machine_made: bool = True,
    ) -> Results:
        """Return waypoints from one work to another: works that lead there in small steps.

        The answer ends with `end`, and each distance is that to the work before, the first one that
        to `start`. At most `waypoints` works lie between, all of which match `where`, and with
        `machine_made` off no machine made them. Raises what `ask` raises.
        """
        from artsearch.search.path import find_waypoints
        from artsearch.search.question import Question

        question = Question(positive=start, where=where, exclude=exclude, machine_made=machine_made)
        return find_waypoints(self, question, end, waypoints)

    def earlier(
        self,
        ids: str | Sequence[str],
        where: str | Mapping | None = None,
        exclude: str | Sequence[str] = (),
        machine_made: bool = True,
    ) -> dict[str, Before]:
        """Return what came before each of some works: the nearest that is surely earlier.

        That is a work whose last year is before the first year of the other ("c. 1890–95" is
        before 1896, not before 1893), a copy among them. A work without a year has no answer, nor
        has the first of all; printed, each says why. What came before matches `where` and the
        others, as in `path`. Raises what `ask` raises.
        """
        from artsearch.search.path import find_earlier
        from artsearch.search.question import Question

        ids = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
        if not ids:
            return {}
        asked = {"where": where, "exclude": exclude, "machine_made": machine_made}
        return find_earlier(self, Question(ids[0], **asked), ids)

    def why(
        self, first: str | ImageSource, second: str | ImageSource, most: int = 5
    ) -> list[Match]:
        """Return the regions that match in two works or images, as the index's network sees it.

        See Matcher.match; raises ImageError and what `extractor` raises, and ArtsearchError for
        words, which have no regions.
        """
        from artsearch.search.question import Words

        if isinstance(first, Words) or isinstance(second, Words):
            raise ArtsearchError("words have no regions that could match; take two works or images")
        first, second = (
            self.collection.path(one) if isinstance(one, str) else one for one in (first, second)
        )
        return self._matcher.match(first, second, most)

    def experiment(self, query: str | ImageSource, answer: str, **asked) -> Experiment:
        """Return at which rank an answer comes when the query is grey, mirrored, repainted, …

        `query` is a work or an image, `asked` what else was asked (the fields of Question). See
        artsearch.search.experiment; raises ImageError and what `extractor` and `ask` raise.
        """
        from artsearch.search.experiment import experiment
        from artsearch.search.question import Question, Words

        if isinstance(query, Words):
            raise ArtsearchError("words are no picture that could be changed; take a work")
        name = query if isinstance(query, str) else "your image"
        picture = self.collection.path(query) if isinstance(query, str) else query
        return experiment(self, Question(name, **asked), answer, picture)

    @cached_property
    def _matcher(self) -> Matcher:
        from artsearch.search.matches import Matcher

        return Matcher(self.extractor.network, self.extractor.transform.crop)

    @cached_property
    def motifs(self) -> Motifs:
        """What finds motifs: maps of all works, computed when they are first asked for.

        Raises what Motifs.of raises.
        """
        from artsearch.points.motifs import Motifs

        return Motifs.of(self.collection, self.extractor, self.out, self.progress)

    def identify(self, image: ImageSource, out: str | os.PathLike = "build") -> Identification:
        """Return which work of the collection an image shows, or that it is none of them.

        By local features, found once and kept below `out`; the ten works that are nearest to the
        image by the network are looked at, too. Raises ImageError, and EngineError where OpenCV or
        faiss is not installed.
        """
        from artsearch.points.identify import Identifier

        if self._identifier is None or self._identifier[0] != out:
            self._identifier = out, Identifier.of(self.collection, out)
        return self._identifier[1].identify(image, self.by_image(image, 10).ids)

    @cached_property
    def exact(self) -> Index:
        """The index, or one of the same rows, that computes every distance."""
        return self.index.exact()

    @cached_property
    def comparing(self) -> Index:
        """What compares works for a question: the exact index, or a server that has the rows."""
        return self.exact if self.index.in_memory else self.index

    @cached_property
    def raw(self) -> Index:
        """The index by which near-duplicates are told: of the rows before any averaging."""
        return self.index.raw() or self.comparing

    @cached_property
    def copy_distance(self) -> float:
        """The distance below which two works are taken for near-duplicates."""
        from artsearch.index.candidates import copy_distance

        return copy_distance(self.raw)

    @cached_property
    def crowding(self) -> np.ndarray:
        """How crowded the place of each work is, by which CSLS puts back those near to all."""
        from artsearch.index.candidates import crowding_of

        return crowding_of(self.comparing)

    @cached_property
    def usual(self) -> Usual:
        """How near works of the collection usually are, by which rarities are told."""
        from artsearch.search.rarity import Usual

        return Usual(self.index, self.collection)

    @cached_property
    def collection_rows(self) -> np.ndarray:
        """For each row of the index the row of its work in the collection."""
        return np.array([self.collection.row(id) for id in self.index.ids])

    def describe(self, image: ImageSource) -> np.ndarray:
        """Return the row of any image, as `by_vector` takes it; raises ImageError."""
        return self.extractor(image)

    def look(self, image: ImageSource) -> Described:
        """Return all that `answer` wants to know of an image; raises ImageError."""
        row = self.describe(image)
        return Described(row, row)

    @property
    def no_words(self) -> str:
        """Why it cannot be asked in words, in a sentence; "" where it can."""
        made = self.index.provenance
        name = str(made.get("network", "this index"))
        if not words_by(name) or made.get("layer") or "dial" in made:
            return f"{name} takes no words; take a network that does, such as {WORDY!r}"
        if self.index.metric != "angular":
            return (
                f"words and works are compared by cosine, and the metric is {self.index.metric!r}; "
                "take 'angular'"
            )
        return ""

    def read(self, words: Words) -> Described:
        """Return what `answer` wants to know of words; raises ArtsearchError where none are taken.

        The row is that of the network's tower for words; its weights come from the same file. Of
        vectors as published that is taken from their name: nothing else says by what they are.
        """
        if self.no_words:
            raise ArtsearchError(self.no_words)
        name = self.index.provenance["network"]
        if words_by(name) == name:
            row = self.extractor.read([words.text])[0]
        else:
            from artsearch.features.words import text_encoder
            from artsearch.networks.registry import as_network

            row = text_encoder(as_network(words_by(name)))([words.text])[0]
        return Described(row, row)

    @property
    def extractor(self) -> FeatureExtractor:
        """The network that made the index, loaded when it is first needed."""
        if self._extractor is None:
            from artsearch.features.extractor import FeatureExtractor
            from artsearch.features.published import PREFIX, no_network

            provenance = self.index.provenance
            if provenance.get("network", "").startswith(PREFIX):
                raise no_network(provenance["network"], "looking at a picture")
            if not {"network", "weights", "layer", "pool", "crop"} <= provenance.keys():
                raise MismatchError(
                    "the index does not say which network made it, so an image cannot be "
                    "compared; build it from the Features that compute_features returns"
                )
            extractor = FeatureExtractor(
                provenance["network"],
                provenance["crop"],
                provenance["layer"],
                provenance["pool"] if isinstance(provenance["pool"], int) else None,
                precision=_possible_precision(provenance.get("precision", "exact")),
            )
            now = extractor.provenance(provenance["layer"])
            if now["weights"] != provenance["weights"]:
                raise MismatchError(
                    f"the index was made with weights {provenance['weights'][:8]} of "
                    f"{provenance['network']}, here are {now['weights'][:8]}; compute again"
                )
            self._extractor = extractor
        return self._extractor

    def _results(
        self,
        query: str | None,
        ids: list[str],
        distances: np.ndarray,
        vector: np.ndarray | None = None,
    ) -> Results:
        captions = (self.collection.caption(id) for id in ids)
        rate = cache(lambda: self.usual.rate(ids, vector, [query] if query else []))
        found = zip(ids, distances.tolist(), captions, strict=True)
        neighbours = tuple(Neighbour(*one, rate=rate) for one in found)
        return Results(query, neighbours, self.index.metric, self.index.provenance)


def words_by(network: str) -> str:
    """Return the network that reads words into the space of another's rows; "" where none does.

    >>> words_by("vectors:open_clip:ViT-B-16-SigLIP2"), words_by("vgg16")
    ('open_clip:ViT-B-16-SigLIP2', '')
    """
    name = network.removeprefix("vectors:")
    return name if name.startswith("open_clip:") else ""


def _possible_precision(precision: str) -> str:
    from artsearch.networks.precision import fast_is_possible

    if precision == "fast" and not fast_is_possible():
        warnings.warn(
            "the index was made with precision 'fast', which this machine has not; images asked "
            "for are computed with 'exact' (a cosine of 0.999 to the other on average)",
            stacklevel=3,
        )
        return "exact"
    return precision
