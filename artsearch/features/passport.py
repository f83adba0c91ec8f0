"""What vectors say of how they were made, and the vectors of known paintings by the same pipeline.

docs/vectors.md describes the file; `artsearch export` writes it beside the vectors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import artsearch
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.vectors import unit_rows
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.published import MADE
from artsearch.features.store import versions
from artsearch.networks.network import Network
from artsearch.networks.registry import as_network
from artsearch.networks.weights import find_weights
from artsearch.works.collection import Collection
from artsearch.works.file_state import hash_file

FORMAT = "artsearch vectors 1"
#: Works whose vectors tell whether two sets may be compared: the shipped paintings.
PAINTINGS = Path(artsearch.__file__).parents[1] / "data" / "paintings"
#: The cosine above which two vectors of a painting count as the same: on average, and each. Between
#: float32 and bfloat16 of one network it is 0.9992 and 0.9981 (EfficientNet-Lite0), or 0.9991 and
#: 0.9965 (Lite2); between these two networks it is 0.26 on average.
SAME, SAME_EACH = 0.999, 0.99
#: How much a map is drawn to leave as they are the directions of which the strip says nothing.
REST = 1e-6
#: Fewer works in common tell too little.
FEWEST = 5
#: What is said besides of the pixels that went in.
PREPARED = ("mean", "std", "interpolation")


def make_passport(provenance: Mapping, dims: int, out: str | os.PathLike = "build") -> dict:
    """Return what goes beside vectors of a provenance: how they were made, and the strip.

    Where the network or the paintings are not here, `strip` is None, and `note` says why.
    """
    network = as_network(provenance["network"])
    strip, note = None, ""
    try:
        strip = compute_strip(provenance, out)
    except ArtsearchError as error:
        note = f"without a strip: {error}"
    return {
        "format": FORMAT,
        "model": network.name,
        "dims": dims,
        **{name: provenance[name] for name in MADE},
        "mean": list(network.mean),
        "std": list(network.std),
        "interpolation": network.interpolation,
        "library": f"{network.library} {network.architecture}",
        "licence": network.licence,
        "versions": versions(),
        "strip": strip,
        "note": note,
    }


def compute_strip(made: Mapping, out: str | os.PathLike = "build") -> dict:
    """Return the vectors of the shipped paintings by the pipeline that a passport describes.

    They are kept below `out` as any features. Raises ArtsearchError where the network, its very
    weights, or the paintings are not here.
    """
    missing = [name for name in MADE if name not in made]
    if missing:
        raise ArtsearchError(f"nothing says which {missing[0]} made the vectors")
    network = as_network(str(made["network"]))
    extractor = _extractor(network, made)
    if not PAINTINGS.is_dir():
        raise ArtsearchError(f"the paintings are not at {str(PAINTINGS)!r}; work from a checkout")
    now = extractor.provenance(str(made["layer"]))
    for name in MADE:
        if now[name] != made[name]:
            raise MismatchError(f"{name} is {made[name]!r}, and here it is {now[name]!r}")
    paintings = Collection(PAINTINGS)
    (features,) = extract(paintings, [extractor], out, progress=False).values()
    return {
        "works": list(features.ids),
        "sha256": [hash_file(paintings.path(id)) for id in features.ids],
        "vectors": np.asarray(features.vectors).tolist(),
    }


def _extractor(network: Network, made: Mapping) -> FeatureExtractor:
    if network.module is None and find_weights(network.weights) is None:
        raise ArtsearchError(f"the weights of {network.name} are not here")
    pool = made["pool"] if isinstance(made["pool"], int) else None
    return FeatureExtractor(
        network, str(made["crop"]), str(made["layer"]), pool, precision=str(made["precision"])
    )


@dataclass(frozen=True)
class Comparison:
    """How far two strips agree, work by work.

    `cosines` are those of the works in common, None where the dimensions differ. `mapped` are the
    cosines after an orthogonal map that was learnt on the other works, `found` how many works are
    then nearest to themselves. `differences` say what two passports state differently.
    """

    works: tuple[str, ...]
    dims: tuple[int, int]
    cosines: np.ndarray | None
    mapped: np.ndarray
    found: int
    differences: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the two sets of vectors may be compared."""
        if self.cosines is None:
            return False
        return bool(self.cosines.mean() > SAME and self.cosines.min() > SAME_EACH)

    def sentences(self) -> list[str]:
        """Return what is to be said, a sentence each."""
        said = [f"The passports differ in {one}." for one in self.differences]
        if self.cosines is None:
            first, second = self.dims
            said.append(f"The vectors have {first:,} and {second:,} numbers: no cosine tells.")
        else:
            said.append(
                f"Cosine of the {len(self.works)} paintings: {_span(self.cosines)}; it takes "
                f"{SAME_EACH} at least and {SAME} on average."
            )
        if self.same:
            return [*said, "These vectors may be compared."]
        return [
            *said,
            "These vectors cannot be compared.",
            f"An orthogonal map learnt on the other paintings brings each to a cosine of "
            f"{_span(self.mapped)}, and {self.found} of {len(self.works)} nearest to themselves.",
        ]


def compare(first: Mapping, second: Mapping) -> Comparison:
    """Compare the strips of two passports.

    Raises ArtsearchError where one has none, or they have too few paintings in common.
    """
    strips = first.get("strip"), second.get("strip")
    # What tells the paintings: the hashes of their files, or the names where one strip has no more.
    hashed = all(isinstance(strip, Mapping) and strip.get("sha256") for strip in strips)
    key = "sha256" if hashed else "works"
    works, rows, others = _in_common(_read_strip(first, key), _read_strip(second, key))
    same_dims = rows.shape[1] == others.shape[1]
    cosines = np.einsum("ij,ij->i", rows, others) if same_dims else None
    mapped, found = map_one_by_one(rows, others)
    stated = ((name, first.get(name), second.get(name)) for name in (*MADE, *PREPARED))
    both = (each for each in stated if None not in each)
    differences = tuple(f"{name} ({one}, {two})" for name, one, two in both if one != two)
    dims = rows.shape[1], others.shape[1]
    return Comparison(works, dims, cosines, mapped, found, differences)


def map_one_by_one(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, int]:
    """Return how near an orthogonal map brings each row to its counterpart, without having seen it.

    For each row the map is learnt on all other rows (orthogonal Procrustes; Schönemann 1966). Of
    the directions that these do not span it says nothing, and they stay what they are. Returns a
    cosine a row, and how many are then nearer to their own counterpart than to any other. Both are
    works × their dimensions, of unit length; the narrower ones are filled up with zeros.
    """
    from scipy.linalg import orthogonal_procrustes

    width = max(rows.shape[1], others.shape[1])
    rows, others = (np.pad(one, [(0, 0), (0, width - one.shape[1])]) for one in (rows, others))
    cosines, found = np.empty(len(rows)), 0
    for row in range(len(rows)):
        left = np.arange(len(rows)) != row
        # All that the map changes lies in what both sides span together.
        span = np.linalg.qr(np.vstack([rows[left], others[left]]).T)[0]
        rest = np.sqrt(REST) * np.eye(span.shape[1])
        sides = (np.vstack([one[left] @ span, rest]) for one in (rows, others))
        turn, _ = orthogonal_procrustes(*sides)
        inside = rows[row] @ span
        scores = others @ (rows[row] + (inside @ turn - inside) @ span.T)
        cosines[row] = scores[row]
        found += int(scores.argmax() == row)
    return cosines, found


def _read_strip(passport: Mapping, key: str) -> dict[str, np.ndarray]:
    """Return the unit rows of a strip by what tells the paintings: `sha256`, or `works`."""
    strip = passport.get("strip")
    if not strip:
        note = f" ({passport['note']})" if passport.get("note") else ""
        raise ArtsearchError(
            f"the vectors of {passport.get('model', 'a model')!r} come without a calibration strip"
            f"{note}, and it cannot be computed here; ask who published them for one "
            "(docs/vectors.md says how)"
        )
    try:
        rows = np.array(strip["vectors"], np.float64)
        keys = [str(one) for one in strip[key]]
        if rows.ndim != 2 or len(rows) != len(keys) or not np.isfinite(rows).all():
            raise ValueError(f"it has vectors of the shape {rows.shape} for {len(keys)} works")
    except (KeyError, TypeError, ValueError) as error:
        raise ArtsearchError(
            f"the strip of {passport.get('model', 'a model')!r} cannot be read ({error}); ask who "
            "published it for another"
        ) from None
    return dict(zip(keys, unit_rows(rows), strict=True))


def _in_common(first: dict, second: dict) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    works = tuple(key for key in first if key in second)
    if len(works) < FEWEST:
        raise ArtsearchError(
            f"the strips have {len(works)} paintings in common, and {FEWEST} are wanted; both must "
            "be of the 21 in data/paintings"
        )
    return works, *(np.stack([one[key] for key in works]) for one in (first, second))


def _span(values: Sequence[float]) -> str:
    return f"{np.min(values):.4f} at least, {np.mean(values):.4f} on average"
