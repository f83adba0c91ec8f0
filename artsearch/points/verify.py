"""Whether the points of two pictures agree: which match, and on which place of one in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from artsearch.points.local import Points, library

#: A match is kept where the next nearest point is this much farther away, by angle (Lowe 2004).
RATIO = 0.9
#: How far from where it should be a matching point may lie, as a share of the longer side: where
#: two pictures are taken to be the same seen alike, and in the end.
LOOSE, NEAR = 0.05, 0.012
#: How much sizes of two points may differ from those of the pictures (octaves), and angles.
OCTAVES, DEGREES = 1.0, 35.0
#: With fewer points nothing can agree.
FEWEST = 5


@dataclass(frozen=True, eq=False)
class Agreement:
    """How two pictures agree: how many points, and where a place of the first is in the second.

    `matrix` is a homography, 3 × 3, of places as shares of each longer side; None where nothing
    agrees. `matched` is how many points had a match at all.
    """

    points: int = 0
    matched: int = 0
    matrix: np.ndarray | None = None

    @property
    def share(self) -> float:
        """The share of the points matched that agree."""
        return self.points / self.matched if self.matched else 0.0


def agree(first: Points, second: Points) -> Agreement:
    """Return how the points of two pictures agree.

    Points match where each is the other's nearest. Each match alone says where the one picture lies
    in the other (by place, size and angle), and the one that most others agree with is taken
    (Philbin et al. 2007, CVPR, section 3.2); MAGSAC++ (Barath et al. 2020, CVPR) then fits a
    homography to those. What agrees with it in place, size and angle is counted, each place once.
    """
    one, other = _match(first, second)
    matched = len(one)
    if matched < FEWEST:
        return Agreement(matched=matched)
    ours, theirs = first.places[one], second.places[other]
    close = _best_of_one(ours, theirs)
    if close.sum() < FEWEST:
        return Agreement(matched=matched)
    matrix = _fit(ours[close], theirs[close])
    if matrix is None or not _is_plausible(matrix, first.extent):
        return Agreement(matched=matched)
    inside = _agrees(matrix, ours, theirs)
    # Several points at one place, of several angles, are one.
    places = np.unique(np.rint(theirs[inside, :2] / NEAR), axis=0)
    if len(places) < FEWEST:
        return Agreement(matched=matched)
    return Agreement(len(places), matched, matrix)


def project(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return where a homography brings places, n × 2."""
    moved = np.column_stack([places, np.ones(len(places))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def _match(first: Points, second: Points) -> tuple[np.ndarray, np.ndarray]:
    if len(first) < 2 or len(second) < 2:
        return np.zeros(0, int), np.zeros(0, int)
    cosines = first.rows @ second.rows.T
    there, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    mutual = np.flatnonzero(back[there] == np.arange(len(there)))
    two = -np.partition(-cosines[mutual], 1, axis=1)[:, :2]
    nearest, next_one = np.arccos(np.clip(two, -1, 1)).T
    mutual = mutual[nearest < RATIO * next_one]
    return mutual, there[mutual]


def _best_of_one(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return which matches agree with the similarity of the one match that most agree with."""
    scale = theirs[:, 2] / ours[:, 2]
    turn = np.deg2rad(theirs[:, 3] - ours[:, 3])
    # As complex numbers: a similarity is a factor and a shift.
    factor = (scale * np.exp(1j * turn)).astype(np.complex64)
    place, there = (one[:, 0] + 1j * one[:, 1] for one in (ours, theirs))
    shift = there - factor * place
    off = factor[:, None] * place + (shift[:, None] - there)
    near = (LOOSE * np.maximum(1, scale)).astype(np.float32)
    octave = np.log2(scale)
    angles = np.abs(turn[:, None] - turn) % (2 * np.pi)
    close = off.real**2 + off.imag**2 < near[:, None] ** 2
    close &= np.abs(octave[:, None] - octave) < OCTAVES
    close &= np.minimum(angles, 2 * np.pi - angles) < np.deg2rad(DEGREES)
    return close[close.sum(axis=1).argmax()]


def _fit(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    cv2 = library("cv2")
    pairs = (np.ascontiguousarray(one[:, :2] * 1000, np.float32) for one in (ours, theirs))
    matrix, _ = cv2.findHomography(
        *pairs, cv2.USAC_MAGSAC, 1000 * NEAR, maxIters=500, confidence=0.999
    )
    if matrix is None:
        return None
    back = np.diag([1e-3, 1e-3, 1]) @ matrix @ np.diag([1e3, 1e3, 1])
    return back / back[2, 2] if abs(back[2, 2]) > 1e-9 else None


def _is_plausible(matrix: np.ndarray, extent: tuple[float, float]) -> bool:
    """Tell whether a picture's outline stays one: not folded, turned over, or drawn to a line."""
    width, height = extent
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    if np.any(np.column_stack([corners, np.ones(4)]) @ matrix[2] <= 0):
        return False
    moved = project(matrix, corners)
    sides = np.roll(moved, -1, axis=0) - moved
    turns = _cross(sides, np.roll(sides, -1, axis=0))
    area = np.abs(_cross(moved[2] - moved[0], moved[3] - moved[1])) / 2
    return bool((turns > 0).all() and 1e-3 < area / (width * height) < 1e3)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _agrees(matrix: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    moved = project(matrix, ours[:, :2])
    off = np.linalg.norm(moved - theirs[:, :2], axis=1)
    # What becomes of a short way in the direction of the point's own angle.
    angle = np.deg2rad(ours[:, 3])
    step = 0.01 * np.column_stack([np.cos(angle), np.sin(angle)])
    way = project(matrix, ours[:, :2] + step) - moved
    across = project(matrix, ours[:, :2] + step[:, ::-1] * (-1, 1)) - moved
    scale = np.sqrt(np.abs(_cross(way, across))) / 0.01
    octaves = np.abs(np.log2(np.maximum(scale, 1e-6) * ours[:, 2] / theirs[:, 2]))
    turned = np.rad2deg(np.arctan2(way[:, 1], way[:, 0])) - theirs[:, 3]
    turned = np.abs((turned + 180) % 360 - 180)
    near = NEAR * np.maximum(1, scale)
    return (off < near) & (octaves < OCTAVES) & (turned < DEGREES)
