"""What is compared: the final layer as it is, or a blend with a dial from content to style."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, TooFewWorks
from artsearch.base.sealed import open_sealed, seal
from artsearch.base.vectors import first_not_finite, largest, unit_rows
from artsearch.features.features import Features
from artsearch.networks.network import BlendLayers, Layers, Network
from artsearch.networks.registry import as_network

#: Numbers a work, shared out to the three components; never more than the final layer has.
DIMS = 512
#: What each component takes of them, in sixteenths. The middle one is used most.
SHARES = {"content": 5, "middle": 6, "style": 5}
#: The variance of a direction is raised to 1 - 2 × this: 0 is plain PCA, 0.5 whitening in full.
#: Half of the full made noise of 900 works as loud as what matters (mean average precision by style
#: 0.27 where plain PCA had 0.30); none at all lets few directions decide (half way on the dial 12 %
#: of the neighbours shared neither content nor manner with the query, with this 7 %).
WHITENING = 0.1
#: A work's row is averaged with those of its nearest works, one less than this, weighted by the
#: cosine to the third power; fewer in a small collection, where the nearest are not near.
NEIGHBOURS, WORKS_A_NEIGHBOUR, POWER = 5, 50, 3
#: Above this it is left out: every work is compared with every other.
MOST_AVERAGED = 100_000
#: Works from which means and directions are learnt at most, drawn by chance.
SAMPLE = 10_000
#: A spread of rows of unit length that only rounding leaves.
ROUNDING = 1e-6
#: Rows that are worked on at a time.
CHUNK = 1024
KIND = "blend"
FIT, VECTORS, RAW = "fit.npz", "vectors.npy", "raw.npy"
OWN = (FIT, VECTORS, RAW, "plain.npy")


def check_alpha(alpha: float) -> float:
    """Return a content-style weight as a float; raises ArtsearchError if it is none."""
    # A bool is a number to Python, and NaN is not within any bounds; NumPy's numbers are welcome.
    if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 <= alpha <= 1:
        raise ArtsearchError(
            f"the dial is at {alpha!r}; take a number from 0 (content) to 1 (style)"
        )
    return float(alpha)


def round_alpha(alpha: float) -> float:
    """Return a content-style weight as a visitor's dial has it, rounded to hundredths.

    >>> round_alpha(0.3333)
    0.33
    """
    return round(check_alpha(alpha), 2)


def dial_weights(alpha: float) -> dict[str, float]:
    """Return how much each component counts at a weight from 0 (content) to 1 (style).

    These are the weights of the components' cosines; they add up to 1.

    >>> dial_weights(0.25)
    {'content': 0.5, 'middle': 0.5, 'style': 0.0}
    """
    alpha = check_alpha(alpha)
    content, style = max(0.0, 1 - 2 * alpha), max(0.0, 2 * alpha - 1)
    return {"content": content, "middle": 1 - content - style, "style": style}


@dataclass(frozen=True, eq=False)
class Component:
    """Some layers as one row of unit length: centred, of equal spread, turned and softly whitened.

    `means` and `spreads` are by layer; `basis` is the layers' dims × the component's dims.
    """

    layers: Layers
    means: dict[str, np.ndarray]
    spreads: dict[str, float]
    basis: np.ndarray

    @classmethod
    def fit(cls, layers: Layers, features: Mapping[str, Features], dims: int) -> Component:
        """Learn a component from a collection's features, without any label.

        Works that are all the same teach nothing: rows keep their angles then, about, in directions
        drawn by chance (Johnson and Lindenstrauss 1984).
        """
        from sklearn.decomposition import PCA

        sample = _sample(len(features[layers[0][0]]))
        units = {name: unit_rows(features[name].vectors[sample]) for name, _ in layers}
        means = {name: rows.mean(axis=0) for name, rows in units.items()}
        spreads = {
            name: float(np.sqrt(np.square(rows - means[name]).sum(axis=1).mean()))
            for name, rows in units.items()
        }
        learns = max(spreads.values()) > ROUNDING
        means = means if learns else {name: np.zeros_like(mean) for name, mean in means.items()}
        spreads = {name: spread if spread > ROUNDING else 1.0 for name, spread in spreads.items()}
        joined = _join(layers, units, means, spreads)
        if not learns:
            basis = np.random.default_rng(0).normal(size=(joined.shape[1], dims))
            return cls(layers, means, spreads, basis.astype(np.float32))
        dims = max(1, min(dims, len(joined) - 1, joined.shape[1]))
        pca = PCA(dims, random_state=0).fit(joined)
        # A direction without any variance would be divided by zero; it holds nothing.
        spread = np.maximum(pca.explained_variance_, 1e-12)
        basis = pca.components_.T * spread**-WHITENING
        return cls(layers, means, spreads, basis.astype(np.float32))

    def rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of unit length, works × dims, from what the layers give."""
        units = {name: unit_rows(by_layer[name]) for name, _ in self.layers}
        return unit_rows(_join(self.layers, units, self.means, self.spreads) @ self.basis)


class Blend:
    """A collection's works between content and style, by one network and crop.

    `vectors` is float32, works × dims: three components of unit length side by side, each averaged
    with the nearest works' own (database augmentation: Turcot and Lowe 2009; Arandjelović and
    Zisserman 2012, CVPR, section 4; weights as Radenović et al. 2018, arXiv:1711.02512, section
    3.4). `raw` is the same before averaging, `metadata` says what all was made of.
    """

    def __init__(
        self, components: dict[str, Component], vectors, raw, ids: tuple[str, ...], metadata: dict
    ):
        self.components, self.vectors, self.raw = components, vectors, raw
        self.ids, self.metadata = tuple(ids), metadata

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dims(self) -> int:
        """The number of dimensions of a row."""
        return self.vectors.shape[1]

    @classmethod
    def fit(cls, features: Mapping[str, Features], layers: BlendLayers, most_dims: int) -> Blend:
        """Make the blend of a collection from the features of its layers.

        Raises TooFewWorks for fewer than two works, ArtsearchError for a layer without features and
        numbers that are not finite, MismatchError for layers of other works.
        """
        _check_same(features, layers)
        first = features[layers.names[0]]
        if len(first) < 2:
            raise TooFewWorks("a blend is learnt from a collection: it wants two or more works")
        _check_finite(features, layers)
        dims = min(DIMS, most_dims)
        components = {
            name: Component.fit(getattr(layers, name), features, dims * share // 16)
            for name, share in SHARES.items()
        }
        chunks = range(0, len(first), CHUNK)
        raw = np.concatenate([_raw(components, _slice(features, at)) for at in chunks])
        metadata = describe(features, layers, most_dims)
        blend = cls(components, raw, raw, first.ids, metadata)
        if metadata["neighbours"]:
            averaged = [blend.average(raw[at : at + CHUNK]) for at in chunks]
            blend.vectors = np.concatenate(averaged)
        return blend

    def rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of any images, pictures × dims, from what the network's layers give."""
        return self.average(self.raw_rows(by_layer))

    def raw_rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of any images before they are averaged."""
        return _raw(self.components, by_layer)

    def at(self, alpha: float) -> Features:
        """Return the rows at a weight of the dial; the angle between two is their distance."""
        weights = np.sqrt(self.column_weights(alpha))
        return Features(self.vectors * weights, self.ids, self.metadata | {"dial": float(alpha)})

    def column_weights(self, alpha: float) -> np.ndarray:
        """Return how much each column counts in a squared distance at a weight of the dial."""
        weights = dial_weights(alpha)
        widths = [component.basis.shape[1] for component in self.components.values()]
        return np.repeat(np.array([weights[name] for name in self.components], np.float32), widths)

    def average(self, raw: np.ndarray) -> np.ndarray:
        """Average rows with those of the nearest works, component by component.

        The works themselves count 1. A work that is the same, such as the query itself, is passed
        over, so that a picture of the collection has the same row as the work.
        """
        others = self.metadata["neighbours"]
        if not others:
            return raw
        rows, start = [], 0
        for component in self.components.values():
            columns = slice(start, start + component.basis.shape[1])
            rows.append(_average(raw[:, columns], self.raw[:, columns], others))
            start = columns.stop
        return np.concatenate(rows, axis=1)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the blend as a folder of .npy files and a manifest, whole or not at all."""

        def write(new: Path) -> None:
            np.save(new / VECTORS, self.vectors, allow_pickle=False)
            np.save(new / RAW, self.raw, allow_pickle=False)
            np.savez(new / FIT, **_flatten(self.components))

        about = {"about": self.metadata, "ids": list(self.ids)}
        return seal(folder, KIND, about, write, OWN)


@dataclass(frozen=True, eq=False)
class WeightedBlend:
    """A blend at one weight of its dial, as the evaluation takes descriptors."""

    blend: Blend
    alpha: float

    @cached_property
    def features(self) -> Features:
        """The rows of the collection."""
        return self.blend.at(self.alpha)

    def rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of any images."""
        return self.blend.rows(by_layer) * np.sqrt(self.blend.column_weights(self.alpha))


@dataclass(frozen=True, eq=False)
class OneLayer:
    """A layer as it is, as the article compares: a descriptor without anything learnt."""

    layer: str
    features: Features

    def rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of any images."""
        return by_layer[self.layer]


def stored_blend(
    features: Mapping[str, Features], network: Network | str, folder: str | os.PathLike
) -> Blend:
    """Return the blend of a collection, kept in a folder for the next time.

    `features` are those of the network's blend layers by name, as `extract` brings them; when they
    have changed since, or the folder is damaged, it is learnt again, without any pass over files.
    Raises ArtsearchError for a network that states no layers, and where it cannot write.
    """
    network, folder = as_network(network), Path(folder)
    layers = blend_layers(network)
    _check_same(features, layers)
    metadata = describe(features, layers, network.dims)
    with suppress(Exception):  # NumPy raises whatever a broken file leads it to
        return load_blend(folder, metadata, features[layers.names[0]].ids)
    blend = Blend.fit(features, layers, network.dims)
    blend.save(folder)
    return blend


def load_blend(
    folder: str | os.PathLike, metadata: dict | None = None, ids: tuple[str, ...] | None = None
) -> Blend:
    """Open a saved blend; its rows stay on disk until they are used.

    Raises MismatchError when it was not made from what the `metadata` says, over these `ids`, and
    DamagedError when its files are not as they were written.
    """
    folder = Path(folder)
    manifest = open_sealed(folder, KIND)
    stored, known = manifest["about"], tuple(manifest["ids"])
    if (metadata is not None and stored != metadata) or (ids is not None and known != ids):
        raise MismatchError(f"{str(folder)!r} holds a blend of other features; make it again")
    vectors, raw = (np.load(folder / name, mmap_mode="r") for name in (VECTORS, RAW))
    with np.load(folder / FIT, allow_pickle=False) as arrays:
        components = _read_components(stored, arrays)
    return Blend(components, vectors, raw, known, stored)


def blend_layers(network: Network | str) -> BlendLayers:
    """Return the layers of a network's blend; raises ArtsearchError where none are stated."""
    network = as_network(network)
    if network.blend is None:
        raise ArtsearchError(
            f"{network.name} states no layers for content and style; name them with "
            "dataclasses.replace(network, blend=blend_of(…)), see artsearch.networks.registry"
        )
    return network.blend


def describe(features: Mapping[str, Features], layers: BlendLayers, most_dims: int) -> dict:
    """Return the metadata of a blend: the layers, what made their features, and all settings."""
    first = features[layers.names[0]]
    provenance = {
        key: value for key, value in first.provenance.items() if key not in ("layer", "pool")
    }
    return provenance | {
        "descriptor": "blend",
        "components": {name: dict(getattr(layers, name)) for name in SHARES},
        "poolings": {name: features[name].provenance.get("pool") for name in layers.names},
        "dims": min(DIMS, most_dims),
        "whitening": WHITENING,
        "sample": SAMPLE,
        "neighbours": _number_of_neighbours(len(first)),
    }


def _number_of_neighbours(works: int) -> int:
    if works > MOST_AVERAGED:
        return 0
    return max(0, min(NEIGHBOURS, works // WORKS_A_NEIGHBOUR) - 1)


def _check_same(features: Mapping[str, Features], layers: BlendLayers) -> None:
    missing = [name for name in layers.names if name not in features]
    if missing:
        raise ArtsearchError(
            f"a blend wants the features of layer {missing[0]!r} too; extract "
            f"{', '.join(layers.names)} together"
        )
    first = features[layers.names[0]]
    for name in layers.names[1:]:
        if features[name].ids != first.ids:
            raise MismatchError(
                f"the features of {layers.names[0]!r} and {name!r} are not of the same works; "
                "extract them together"
            )


def _check_finite(features: Mapping[str, Features], layers: BlendLayers) -> None:
    for name in layers.names:
        rows, ids = features[name].vectors, features[name].ids
        count, first = first_not_finite(rows)
        if count:
            raise ArtsearchError(
                f"the features of layer {name!r} hold numbers that are not finite, first for "
                f"{ids[first]!r}; compute them again"
            )


def _sample(works: int) -> np.ndarray:
    if works <= SAMPLE:
        return np.arange(works)
    return np.sort(np.random.default_rng(0).choice(works, SAMPLE, replace=False))


def _slice(features: Mapping[str, Features], start: int) -> dict[str, np.ndarray]:
    return {name: one.vectors[start : start + CHUNK] for name, one in features.items()}


def _raw(components: Mapping[str, Component], by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([component.rows(by_layer) for component in components.values()], axis=1)


def _join(layers: Layers, units: Mapping, means: Mapping, spreads: Mapping) -> np.ndarray:
    """Put layers side by side, each centred, of the same spread, and as heavy as it is stated."""
    columns = [
        (units[name] - means[name]) * np.float32(np.sqrt(weight) / spreads[name])
        for name, weight in layers
    ]
    return np.concatenate(columns, axis=1)


def _average(rows: np.ndarray, works: np.ndarray, others: int) -> np.ndarray:
    """Add to each row the nearest works, by the cosine to some power; return unit rows."""
    cosines = rows @ works.T
    cosines[cosines > 1 - 1e-5] = -1  # the same picture
    others = min(others, works.shape[0] - 1)
    near = largest(cosines, others)
    weights = np.maximum(np.take_along_axis(cosines, near, axis=1), 0) ** POWER
    return unit_rows(rows + np.einsum("ij,ijd->id", weights, works[near]))


def _flatten(components: Mapping[str, Component]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, component in components.items():
        arrays[f"{name}/basis"] = component.basis
        for layer, mean in component.means.items():
            arrays[f"{name}/mean/{layer}"] = mean
            arrays[f"{name}/spread/{layer}"] = np.array(component.spreads[layer])
    return arrays


def _read_components(metadata: dict, arrays: Mapping[str, np.ndarray]) -> dict[str, Component]:
    components = {}
    for name, weights in metadata["components"].items():
        means = {layer: arrays[f"{name}/mean/{layer}"] for layer in weights}
        spreads = {layer: float(arrays[f"{name}/spread/{layer}"]) for layer in weights}
        components[name] = Component(
            tuple(weights.items()), means, spreads, arrays[f"{name}/basis"]
        )
    return components
