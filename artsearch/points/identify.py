"""Which work is this? One of the collection, with the points that agree, or none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from artsearch.base.text import count_of
from artsearch.features.features import Features
from artsearch.points.local import MOST_OF_QUERY, Points, find_points
from artsearch.points.store import count_missing, points_folder, stored_points
from artsearch.points.verify import Agreement, agree, project
from artsearch.points.votes import VOTING, Votes
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image

#: Works that are looked at closely, as it is and mirrored: those with the most votes, if so many
#: points vote for them with one voice.
CANDIDATES, FEW = 12, 4
#: So many are always looked at; then it ends with one that has CERTAIN times the points it takes.
FIRST, CERTAIN = 4, 4
#: Works by which the threshold is learnt, the share of them that may be taken for another one, and
#: the least that it is.
SAMPLE, WRONG, LEAST = 200, 0.01, 11
#: Points that agree from which on two works of a collection are copies, which tell nothing of how
#: different works agree.
COPIES = 40
#: Seconds in which a work is described, and one is sought, on two cores.
A_WORK, A_QUERY = 0.2, 0.3

#: Four corners, from the upper left around, as shares of a picture's width and height.
Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Identification:
    """Which work a picture shows: its id, or None where it is none of the collection.

    `points` is how many agree, `share` which share that is of those that matched, `threshold` how
    many it takes. `in_work` is the outline of the picture in the work, `in_picture` that of the
    work in the picture (on a wall, in a frame); both may reach beyond. `mirrored` tells that left
    and right are swapped. `others` are further works that agree as well, such as copies, with their
    points.
    """

    work: str | None
    points: int
    share: float
    threshold: int
    mirrored: bool = False
    in_work: Outline = ()
    in_picture: Outline = ()
    others: tuple[tuple[str, int], ...] = ()

    def sentence(self, collection: Collection) -> str:
        """Return in a sentence which work it is."""
        if self.work is None:
            return f"None of the works of {collection.name}."
        mirrored = ", mirrored" if self.mirrored else ""
        return f"This is {collection.caption(self.work)}{mirrored} ({self.points} points agree)."


class Identifier:
    """The points of a collection, ready to be asked which of its works a picture shows."""

    def __init__(self, collection: Collection, points: Features, votes: Votes):
        self.collection, self._points, self._votes = collection, points, votes
        self._row = {id: row for row, id in enumerate(points.ids)}

    @classmethod
    def of(
        cls,
        collection: Collection,
        out: str | os.PathLike = "build",
        progress: bool = True,
        told: Callable[[str], None] = lambda sentence: None,
    ) -> Identifier:
        """Return what knows the works of a collection again; its points are kept below `out`.

        Finding them takes a fifth of a second a work, once. `told` is called with a sentence on how
        far that is. Raises EngineError where OpenCV or faiss is not installed, and what `extract`
        raises.
        """
        missing, done = count_missing(collection, out), count(1)
        points = stored_points(
            collection,
            out,
            progress,
            lambda: told(f"Points of {next(done):,} of {count_of(missing, 'work')} are found."),
        )
        folder = _votes_folder(collection, out)
        made_of = points.provenance | {"voting": VOTING, "learnt": [SAMPLE, WRONG, LEAST, COPIES]}
        votes = Votes.open(folder, made_of)
        if votes is None:
            told("All points are found; they are put in order.")
            votes = Votes.build(points)
            votes.threshold = cls(collection, points, votes).learn_threshold(told)
            votes.save(folder, made_of)
        return cls(collection, points, votes)

    @staticmethod
    def missing(collection: Collection, out: str | os.PathLike = "build") -> tuple[int, float]:
        """Return of how many works points are still to be found, and about how long `of` takes.

        The seconds are those that were measured on two cores.
        """
        works = count_missing(collection, points_folder(collection, out))
        if not works and _votes_folder(collection, out).exists():
            return 0, 0.0
        return works, works * A_WORK + min(SAMPLE, len(collection)) * A_QUERY

    @property
    def threshold(self) -> int:
        """From how many points on a picture shows a work."""
        return self._votes.threshold

    def identify(self, image: ImageSource, also: Iterable[str] = ()) -> Identification:
        """Return which work an image shows: a path, the bytes of a file, a PIL image.

        `also` names works that are looked at besides those with the most votes, such as the nearest
        by a network. Raises ImageError.
        """
        return self.recognise(find_points(open_image(image), MOST_OF_QUERY), also)

    def recognise(
        self, points: Points, also: Iterable[str] = (), without: Sequence[str] = ()
    ) -> Identification:
        """Return which work has these points, of all but those `without`."""
        found: list[tuple[Agreement, int, int]] = []
        enough = CERTAIN * max(self.threshold, LEAST)
        for way in (0, 1):
            asked = points.mirrored() if way else points
            for number, row in enumerate(self._candidates(asked, also, without)):
                agreement = agree(asked, self._unpack(row))
                if agreement.points:
                    found.append((agreement, way, row))
                    found.sort(key=lambda one: -one[0].points)
                certain = bool(found) and found[0][0].points >= enough
                if certain and number + 1 >= FIRST:
                    break
            if found and found[0][0].points >= enough:
                break
        return self._say(points, found)

    def learn_threshold(self, told: Callable[[str], None] = lambda sentence: None) -> int:
        """Return from how many points on two pictures show the same work, learnt on the collection.

        Works drawn at random are sought among all others: WRONG of them may be taken for another
        one. Those with COPIES points and more are copies, and do not count.
        """
        drawn = np.random.default_rng(0).permutation(len(self._points))[:SAMPLE]
        best = []
        for number, row in enumerate(drawn, 1):
            told(f"How far different works agree is learnt: {number:,} of {len(drawn):,}.")
            points = self._unpack(row)
            found = self.recognise(points, without=[self._points.ids[row]]).points
            if found < COPIES:
                best.append(found)
        most = np.quantile(best, 1 - WRONG, method="higher") if best else 0
        return max(LEAST, int(most) + 1)

    def _unpack(self, row: int) -> Points:
        return Points.unpack(self._points.vectors[int(row)])

    def _candidates(self, points: Points, also: Iterable[str], without: Sequence[str]) -> list[int]:
        votes = self._votes.count(points)
        votes[[self._row[id] for id in without]] = 0
        most = np.argsort(-votes, kind="stable")[:CANDIDATES]
        more = (self._row[id] for id in also if id in self._row)
        return list(dict.fromkeys([*most[votes[most] >= FEW].tolist(), *more]))

    def _say(self, points: Points, found: list[tuple[Agreement, int, int]]) -> Identification:
        if not found or found[0][0].points < self.threshold:
            best = found[0][0] if found else Agreement()
            return Identification(None, best.points, best.share, self.threshold)
        agreement, way, row = found[0]
        work = self._unpack(row)
        forth, back = agreement.matrix, np.linalg.inv(agreement.matrix)
        in_work = project(forth, _corners(points)) / work.extent
        in_picture = project(back, _corners(work)) / points.extent
        if way:
            in_picture = [1, 0] + in_picture * [-1, 1]
        ids, seen = self._points.ids, {row}
        others = [
            (ids[other], one.points)
            for one, _, other in found
            if one.points >= self.threshold and not (other in seen or seen.add(other))
        ]
        return Identification(
            ids[row],
            agreement.points,
            agreement.share,
            self.threshold,
            bool(way),
            _outline(in_work),
            _outline(in_picture),
            tuple(others),
        )


def _votes_folder(collection: Collection, out: str | os.PathLike) -> Path:
    return Path(out, "indexes", f"{points_folder(collection, out).name}-votes")


def _corners(points: Points) -> np.ndarray:
    width, height = points.extent
    return np.array([(0, 0), (width, 0), (width, height), (0, height)])


def _outline(corners: np.ndarray) -> Outline:
    return tuple((float(x), float(y)) for x, y in corners)
