"""Larger collections made of a real one, to measure at sizes that nobody has at hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.base.vectors import CHUNK, write_rows
from artsearch.features.features import Features

#: Between these lies the share of the first of two works in a mix. With less of it (or more) the
#: mix would be a near-duplicate of one of the two, and neighbours easier to find than they are.
SHARES = (0.3, 0.7)


def mix_features(
    features: Features, works: int, seed: int = 0, path: str | os.PathLike | None = None
) -> Features:
    """Return features of so many works: the real rows as they are, then mixes of pairs of them.

    A mix is `w` of the row of one work and `1 - w` of that of another; both works are drawn evenly,
    and `w` evenly between 0.3 and 0.7. Where fewer works are wanted than there are, so many are
    drawn. The rows go to the file `path` (.npy) piece by piece, and are mapped from there; without
    a path they are in memory. Raises ArtsearchError for features of fewer than two works.

    >>> real = Features(np.eye(3), ["wave.jpg", "spring.jpg", "poppies.jpg"])
    >>> mixed = mix_features(real, 5)
    >>> mixed.ids[2:], mixed.vectors.sum(axis=1).round(4).tolist()
    (('poppies.jpg', 'mixed 0000001', 'mixed 0000002'), [1.0, 1.0, 1.0, 1.0, 1.0])
    """
    check_whole("works", works)
    if len(features) < 2:
        raise ArtsearchError(f"mixing takes two works or more, and here are {len(features)}")
    rng = np.random.default_rng(seed)
    real = np.arange(len(features))
    if works < len(real):
        real = np.sort(rng.choice(real, works, replace=False))
    ids = [features.ids[row] for row in real]
    ids += [f"mixed {number + 1:07}" for number in range(works - len(real))]
    chunks = _mix(features, real, works - len(real), rng)
    note = features.provenance | {"mixed": works - len(real), "mixing_seed": seed}
    if path is None:
        return Features(np.concatenate(list(chunks)), ids, note)
    _write(Path(path), (works, features.dims), chunks)
    return Features(np.load(path, mmap_mode="r", allow_pickle=False), ids, note)


def _mix(
    features: Features, real: np.ndarray, mixes: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Give the real rows, then the mixes, some thousand at a time."""
    rows = features.vectors[real]
    yield rows
    for start in range(0, mixes, CHUNK):
        number = min(CHUNK, mixes - start)
        first = rng.integers(len(rows), size=number)
        # Another one than the first: so many steps further on, round and round.
        second = (first + rng.integers(1, len(rows), size=number)) % len(rows)
        share = rng.uniform(*SHARES, size=(number, 1)).astype(np.float32)
        yield share * rows[first] + (1 - share) * rows[second]


def _write(path: Path, shape: tuple[int, int], chunks: Iterator[np.ndarray]) -> None:
    """Write rows as a .npy file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        write_rows(Path(scratch, "rows.npy"), shape, chunks)
        os.replace(Path(scratch, "rows.npy"), path)
