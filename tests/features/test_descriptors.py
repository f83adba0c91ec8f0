"""A blend of layers: by hand, learnt without labels, kept on disk, searched at any place."""

import json
import time
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError, DamagedError, MismatchError
from artsearch.base.sealed import FORMATS
from artsearch.base.vectors import ShardedRows
from artsearch.features import blend as descriptors
from artsearch.features.blend import (
    FIT,
    OWN,
    RAW,
    VECTORS,
    Blend,
    Component,
    OneLayer,
    WeightedBlend,
    blend_layers,
    dial_weights,
    load_blend,
    stored_blend,
)
from artsearch.features.features import Features
from artsearch.index.blend import BlendIndex
from artsearch.index.factory import construct_exact_index
from artsearch.networks.network import BlendLayers
from artsearch.networks.registry import NETWORKS

LAYERS = BlendLayers(
    content=(("final", 1.0), ("deep:covariance", 2.0)),
    middle=(("final", 1.0), ("early:gram", 1.0)),
    style=(("early:gram", 1.0), ("early:moments", 1.0)),
)
WIDTHS = {"final": 64, "deep:covariance": 78, "early:gram": 36, "early:moments": 16}
NETWORK = replace(NETWORKS["efficientnet_lite0"], blend=LAYERS, dims=64)
PLACES = (0, 0.2, 0.5, 0.8, 1)


def make(works: int = 12, seed: int = 0, widths: dict | None = None, **note) -> dict[str, Features]:
    """Make features of all layers up, in which a few things behind them vary."""
    random = np.random.default_rng(seed)
    behind, ids = random.normal(size=(works, 9)), [f"{row:05}.jpg" for row in range(works)]
    return {
        layer: Features(
            1 + behind @ random.normal(size=(9, width)) / 3 + random.normal(size=(works, width)),
            ids,
            {"network": "made up", "layer": layer, "pool": 1, "collection": "before"} | note,
        )
        for layer, width in (widths or WIDTHS).items()
    }


def changed(features: dict[str, Features], change, *layers: str) -> dict[str, Features]:
    """Return features with other rows in some layers, or in all."""
    return {
        layer: Features(change(one.vectors), one.ids, one.provenance)
        if layer in layers or not layers
        else one
        for layer, one in features.items()
    }


def taken(features: dict[str, Features], rows) -> dict[str, Features]:
    return {
        layer: Features(one.vectors[rows], [one.ids[row] for row in rows], one.provenance)
        for layer, one in features.items()
    }


def arrays(features: dict[str, Features], rows=slice(None)) -> dict[str, np.ndarray]:
    return {layer: one.vectors[rows] for layer, one in features.items()}


def parts_of(blend: Blend, rows: np.ndarray) -> dict[str, np.ndarray]:
    widths = [part.basis.shape[1] for part in blend.components.values()]
    return dict(zip(blend.components, np.split(rows, np.cumsum(widths)[:-1], axis=1), strict=True))


def cosines(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, float)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


@pytest.fixture
def fits(monkeypatch):
    """Count the blends that are learnt."""
    counts, real = [], Blend.fit

    def fit(*args):
        counts.append(1)
        return real(*args)

    monkeypatch.setattr(Blend, "fit", fit)
    return counts


# The dial


@pytest.mark.parametrize(
    "place, weights",
    [
        (0, (1, 0, 0)),
        (0.25, (0.5, 0.5, 0)),
        (0.5, (0, 1, 0)),
        (0.75, (0, 0.5, 0.5)),
        (1, (0, 0, 1)),
    ],
)
def test_the_dial_by_hand(place, weights):
    found = dial_weights(place)
    assert found == dict(zip(("content", "middle", "style"), weights, strict=True))


def test_weights_add_up_to_one_and_none_is_negative():
    for place in np.linspace(0, 1, 101):
        weights = dial_weights(place).values()
        assert sum(weights) == pytest.approx(1) and min(weights) >= 0


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, float])
def test_numbers_of_numpy_are_welcome(kind):
    found = dial_weights(kind(0.25))
    assert found == {"content": 0.5, "middle": 0.5, "style": 0}
    assert {type(weight) for weight in found.values()} == {float}
    assert dial_weights(np.int64(1)) == dial_weights(1)
    provenance = BlendIndex(Blend.fit(make(), LAYERS, 64), kind(0.25)).provenance
    assert json.loads(json.dumps(provenance))["dial"] == 0.25


@pytest.mark.parametrize(
    "place", [float("nan"), np.float32("nan"), "x", "0.5", True, np.True_, -0.1, 1.1, None, [0.5]]
)
def test_a_place_that_is_none_is_named(place):
    blend = Blend.fit(make(), LAYERS, 64)
    for ask in (dial_weights, blend.at, partial(BlendIndex, blend)):
        with pytest.raises(ArtsearchError) as error:
            ask(place)
        says = f"the dial is at {place!r}; take a number from 0 (content) to 1 (style)"
        assert str(error.value) == says


# One part


def test_a_part_of_two_works_by_hand():
    """Rows of length 1: (0.6, 0.8) and (0.8, 0.6), each 0.1 · √2 from their mean."""
    rows = np.array([[3, 4], [80, 60]], np.float32)
    part = Component.fit((("a", 1.0),), {"a": Features(rows, "xy")}, 5)
    assert part.means["a"] == pytest.approx([0.7, 0.7])
    assert part.spreads["a"] == pytest.approx(0.1 * 2**0.5)
    assert part.basis.shape == (2, 1)
    assert sorted(part.rows({"a": rows}).ravel().tolist()) == pytest.approx([-1, 1])
    aside = part.rows({"a": np.array([[0.71, 0.7]])})
    assert aside[0, 0] == pytest.approx(part.rows({"a": rows})[1, 0])


def test_a_part_is_softly_whitened_components_of_layers_side_by_side():
    features, layers = make(40), LAYERS.content
    joined = []
    for layer, weight in layers:
        units = features[layer].vectors.astype(float)
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        centred = units - units.mean(axis=0)
        spread = (centred**2).sum(axis=1).mean() ** 0.5
        joined.append(centred / spread * weight**0.5)
    joined = np.concatenate(joined, axis=1)
    _, lengths, directions = np.linalg.svd(joined, full_matrices=False)
    variance = lengths[:20] ** 2 / 39
    expected = cosines(joined @ directions[:20].T * variance**-0.1)
    rows = Component.fit(layers, features, 20).rows(arrays(features))
    assert np.allclose(cosines(rows), expected, atol=1e-4)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_layers_have_the_same_say_however_large_their_numbers_are():
    features = make(30)
    larger = changed(features, lambda rows: rows * 1000, "final")
    rows, others = (
        Component.fit(LAYERS.middle, one, 10).rows(arrays(one)) for one in (features, larger)
    )
    assert np.allclose(cosines(rows), cosines(others), atol=1e-5)


def test_the_weights_of_layers_count():
    features = make(30)

    def fit(first: float, second: float) -> np.ndarray:
        layers = (("final", first), ("early:moments", second))
        return cosines(Component.fit(layers, features, 10).rows(arrays(features)))

    def alone(layer: str) -> np.ndarray:
        return cosines(Component.fit(((layer, 1.0),), features, 10).rows(arrays(features)))

    assert np.allclose(fit(1, 1e-9), alone("final"), atol=1e-3)
    assert np.allclose(fit(1e-9, 1), alone("early:moments"), atol=1e-3)
    assert np.allclose(fit(1, 2), fit(3, 6), atol=1e-4)
    assert np.abs(fit(1, 1) - fit(1, 5)).max() > 0.05


# A blend


@pytest.mark.parametrize("most_dims", [3, 7, 16, 17, 100, 511, 512, 2048])
def test_a_blend_has_no_more_numbers_than_512_and_the_final_layer(most_dims):
    features = make(240, widths=dict.fromkeys(WIDTHS, 200))
    blend = Blend.fit(features, LAYERS, most_dims)
    most = min(512, most_dims)
    assert most - 3 < blend.dims <= most
    widths = {name: rows.shape[1] for name, rows in parts_of(blend, blend.vectors).items()}
    if most_dims >= 512:
        assert widths == {"content": 160, "middle": 192, "style": 160}
    assert blend.vectors.shape == (240, blend.dims) and blend.vectors.dtype == np.float32
    for rows in parts_of(blend, blend.vectors).values():
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("works", [2, 3, 5])
def test_a_few_works_are_enough(works):
    blend = Blend.fit(make(works), LAYERS, 64)
    assert blend.dims == 3 * (works - 1) and np.isfinite(blend.vectors).all()
    for place in PLACES:
        ids, distances = BlendIndex(blend, place).search("00000.jpg", works - 1)
        assert set(ids) == set(blend.ids[1:])
        if works == 2:  # of two works, each is where the other is not
            assert distances.tolist() == pytest.approx([2])


@pytest.mark.parametrize("works", [0, 1])
def test_one_work_is_no_collection(works):
    with pytest.raises(ArtsearchError, match="learnt from a collection: it wants two or more"):
        Blend.fit(make(works), LAYERS, 64)


@pytest.mark.parametrize("rows", [np.ones_like, np.zeros_like, lambda rows: rows[:1] + 0 * rows])
@pytest.mark.parametrize("works", [2, 5, 120])
def test_works_that_are_all_the_same(works, rows):
    """As pictures of one colour are; and nothing is said on the way."""
    features = changed(make(works), rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        blend = Blend.fit(features, LAYERS, 64)
        for place in PLACES:
            assert np.isfinite(blend.at(place).vectors).all()
            _, distances = BlendIndex(blend, place).search("00001.jpg", works - 1)
            assert np.isfinite(distances).all() and np.ptp(distances) < 1e-6  # what BLAS rounds
            assert distances[0] < 1e-3 or rows is np.zeros_like
            others = blend.rows(arrays(make(3)))
            found = BlendIndex(blend, place).search(others[0], 1)[1]
            assert np.isfinite(others).all() and 0.1 < found[0] < 2


def test_a_layer_that_says_nothing_changes_nothing():
    """Its spread is nothing, or what rounding leaves, and that is not to be made large."""
    features = changed(make(40), lambda rows: 0 * rows + rows[0], "early:moments")
    layers = replace(LAYERS, style=(("early:gram", 1.0),))
    with_it, without = (Blend.fit(features, one, 64).at(1) for one in (LAYERS, layers))
    assert np.allclose(cosines(with_it.vectors), cosines(without.vectors), atol=1e-3)


@pytest.mark.parametrize("works", [9, 120])
def test_a_work_that_is_there_twice_is_at_no_distance(works):
    features = {
        layer: Features(
            np.concatenate([one.vectors, one.vectors[4:5]]),
            [*one.ids, "a copy.jpg"],
            one.provenance,
        )
        for layer, one in make(works).items()
    }
    blend = Blend.fit(features, LAYERS, 64)
    for place in PLACES:
        ids, distances = BlendIndex(blend, place).search("a copy.jpg", 2)
        assert ids[0] == "00004.jpg" and distances[0] < 1e-3 < distances[1]


@pytest.mark.parametrize("layer", WIDTHS)
def test_a_layer_without_features_is_named(tmp_path, layer):
    features = make()
    del features[layer]
    for make_it in (
        lambda: Blend.fit(features, LAYERS, 64),
        lambda: stored_blend(features, NETWORK, tmp_path / "blend"),
    ):
        with pytest.raises(ArtsearchError, match=f"wants the features of layer '{layer}' too; ext"):
            make_it()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [range(11), [1, 0, *range(2, 12)]])
def test_layers_of_other_works_are_refused(tmp_path, rows):
    features = make() | {"early:gram": taken(make(), list(rows))["early:gram"]}
    for make_it in (
        lambda: Blend.fit(features, LAYERS, 64),
        lambda: stored_blend(features, NETWORK, tmp_path / "blend"),
    ):
        with pytest.raises(MismatchError, match="of 'final' and 'early:gram' are not of the same"):
            make_it()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    def spoil(rows: np.ndarray) -> np.ndarray:
        return np.where(np.arange(rows.size).reshape(rows.shape) == 70, value, rows)

    features = changed(make(), spoil, "early:gram")  # the 35th number of the second work
    with pytest.raises(ArtsearchError, match="layer 'early:gram' .* first for '00001.jpg'; comp"):
        Blend.fit(features, LAYERS, 64)


def test_a_network_that_states_no_layers():
    with pytest.raises(ArtsearchError, match="efficientnet_lite0 states no layers for content and"):
        blend_layers(replace(NETWORK, blend=None))
    assert blend_layers(NETWORK) is LAYERS


# What it compares


@pytest.mark.parametrize("works", [12, 120])
def test_the_cosine_is_that_of_the_parts_by_the_dials_weights(works):
    blend = Blend.fit(make(works), LAYERS, 64)
    parts = {name: cosines(rows) for name, rows in parts_of(blend, blend.vectors).items()}
    for place in PLACES:
        weights = dial_weights(place)
        expected = sum(weights[name] * parts[name] for name in parts)
        rows = blend.at(place)
        assert np.allclose(cosines(rows.vectors), expected, atol=1e-6)
        assert np.allclose(np.linalg.norm(rows.vectors, axis=1), 1, atol=1e-6)
        assert (rows.ids, rows.provenance["dial"]) == (blend.ids, place)


def test_at_an_end_of_the_dial_the_other_end_does_not_count():
    features, others = make(60), make(60, seed=1)
    blend = Blend.fit(features, LAYERS, 64)
    other_style = features | {name: others[name] for name in ("early:gram", "early:moments")}
    other_content = features | {name: others[name] for name in ("final", "deep:covariance")}
    for place, same, other in [(0, other_style, other_content), (1, other_content, other_style)]:
        rows = cosines(blend.at(place).vectors)
        assert np.allclose(rows, cosines(Blend.fit(same, LAYERS, 64).at(place).vectors), atol=1e-5)
        assert np.abs(rows - cosines(Blend.fit(other, LAYERS, 64).at(place).vectors)).max() > 0.1


@pytest.mark.parametrize("works", [12, 120, 260])
def test_a_picture_of_the_collection_has_the_row_of_its_work(works):
    features = make(works)
    blend = Blend.fit(features, LAYERS, 64)
    for row in (0, 7, works - 1):
        found = blend.rows(arrays(features, slice(row, row + 1)))
        assert np.abs(found - blend.vectors[row]).max() < 1e-5
    # And so has one that came out a little otherwise, as a batch of another size rounds it.
    random = np.random.default_rng(0)
    nearly = {
        layer: one.vectors[:5] * (1 + 1e-6 * random.normal(size=one.vectors[:5].shape))
        for layer, one in features.items()
    }
    assert np.abs(blend.rows(nearly) - blend.vectors[:5]).max() < 1e-4


@pytest.mark.parametrize("works", [12, 260])
def test_the_order_of_works_does_not_count(works):
    features, order = make(works), np.random.default_rng(1).permutation(works)
    blend = Blend.fit(features, LAYERS, 64)
    shuffled = Blend.fit(taken(features, order), LAYERS, 64)
    assert shuffled.ids == tuple(blend.ids[row] for row in order)
    for place in PLACES:
        before, after = (cosines(one.at(place).vectors) for one in (blend, shuffled))
        assert np.allclose(before[order][:, order], after, atol=1e-4)


def test_the_same_twice():
    first, second = (Blend.fit(make(120), LAYERS, 64) for _ in range(2))
    assert np.array_equal(first.vectors, second.vectors) and first.metadata == second.metadata


def test_rows_in_shards_and_in_chunks_are_the_same(monkeypatch):
    features = make(120)
    whole = Blend.fit(features, LAYERS, 64)
    monkeypatch.setattr(descriptors, "CHUNK", 7)
    for one in (
        features,
        {
            layer: Features(ShardedRows(np.array_split(one.vectors, 3)), one.ids, one.provenance)
            for layer, one in features.items()
        },
    ):
        assert np.allclose(Blend.fit(one, LAYERS, 64).vectors, whole.vectors, atol=1e-5)


def test_a_large_collection_is_learnt_from_a_sample(monkeypatch):
    monkeypatch.setattr(descriptors, "SAMPLE", 40)
    features = make(120)
    first, second = (Blend.fit(features, LAYERS, 64) for _ in range(2))
    assert len(first) == 120 and np.array_equal(first.vectors, second.vectors)
    assert first.metadata["sample"] == 40
    assert all(part.basis.shape[1] <= 39 for part in first.components.values())


# Averaged with the nearest


def test_a_row_is_averaged_with_its_nearest_by_hand():
    works = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
    one = descriptors._average(works[:1], works, 1)[0]  # 0.6³ = 0.216
    expected = np.array([1 + 0.216 * 0.6, 0.216 * 0.8])
    assert one == pytest.approx(expected / np.linalg.norm(expected))
    assert one[0] == pytest.approx(0.98850, abs=1e-5)
    # What is at a right angle, or opposite, has no weight; and there are no more than there are.
    for others in (2, 3, 9):
        assert descriptors._average(works[:1], works, others)[0] == pytest.approx(one)


def test_the_same_picture_is_not_its_own_neighbour():
    works = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    alone = descriptors._average(works[:1], works[[0, 2]], 1)
    assert descriptors._average(works[:1], works, 1) == pytest.approx(alone)
    outside = np.array([[0.8, 0.6]], np.float32)  # cosines of 0.8, 0.8 and 0.96
    expected = outside + 0.96**3 * works[2]
    found = descriptors._average(outside, works, 1)
    assert found == pytest.approx(expected / np.linalg.norm(expected))


@pytest.mark.parametrize(
    "works, others",
    [(2, 0), (49, 0), (99, 0), (100, 1), (150, 2), (250, 4), (100_000, 4), (100_001, 0)],
)
def test_how_many_neighbours_there_are(works, others):
    assert descriptors._number_of_neighbours(works) == others


def test_each_part_is_averaged_by_itself():
    features = make(120)
    blend = Blend.fit(features, LAYERS, 64)
    assert blend.metadata["neighbours"] == 1
    plain, vectors = parts_of(blend, blend.raw), parts_of(blend, blend.vectors)
    for name, rows in plain.items():
        own = cosines(rows)
        np.fill_diagonal(own, -1)
        nearest, weight = own.argmax(axis=1), own.max(axis=1) ** 3
        expected = rows + weight[:, None] * rows[nearest]
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert np.allclose(vectors[name], expected, atol=1e-5)
    few = Blend.fit(taken(features, range(99)), LAYERS, 64)
    assert np.array_equal(few.vectors, few.raw)


# On disk


def assert_same(blend: Blend, other: Blend) -> None:
    assert (blend.ids, blend.metadata) == (other.ids, other.metadata)
    assert np.array_equal(blend.vectors, other.vectors)
    assert np.array_equal(blend.raw, other.raw)
    some = arrays(make(3, seed=5))
    assert np.array_equal(blend.rows(some), other.rows(some))
    for place in PLACES:
        ids, distances = BlendIndex(blend, place).search("00003.jpg", 5)
        others, those = BlendIndex(other, place).search("00003.jpg", 5)
        assert ids == others and distances.tolist() == those.tolist()


@pytest.mark.parametrize("works", [12, 120])
def test_what_is_saved_is_what_is_loaded(tmp_path, works):
    blend = Blend.fit(make(works), LAYERS, 64)
    folder = blend.save(tmp_path / "blend")
    loaded = load_blend(folder)
    assert isinstance(loaded.vectors, np.memmap) and isinstance(loaded.raw, np.memmap)
    assert_same(loaded, blend)
    assert {path.name for path in folder.iterdir()} == {*OWN[:3], MANIFEST}
    assert [path.name for path in tmp_path.iterdir()] == ["blend"]


def test_no_pickle_is_written(tmp_path):
    folder = Blend.fit(make(), LAYERS, 64).save(tmp_path / "blend")
    for name in (VECTORS, RAW):
        np.load(folder / name, allow_pickle=False)
    with np.load(folder / FIT, allow_pickle=False) as fit:
        assert {fit[name].dtype.kind for name in fit} == {"f"}


def test_a_blend_is_learnt_once(tmp_path, fits):
    first = stored_blend(make(), NETWORK, tmp_path / "blend")
    again = stored_blend(make(), NETWORK, tmp_path / "blend")
    assert len(fits) == 1
    assert_same(first, again)


OTHERS = {
    "another note": (make(collection="after"), NETWORK),
    "one work more": (make(13), NETWORK),
    "in another order": (taken(make(), range(11, -1, -1)), NETWORK),
    "other weights of layers": (
        make(),
        replace(NETWORK, blend=replace(LAYERS, content=(("final", 1.0), ("deep:covariance", 1.0)))),
    ),
    "other layers": (make(), replace(NETWORK, blend=replace(LAYERS, style=LAYERS.style[:1]))),
    "another width": (make(), replace(NETWORK, dims=20)),
    "another pooling": (
        make() | {"early:gram": make(pool="gram32")["early:gram"]},
        NETWORK,
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_features_and_settings_are_learnt_again(tmp_path, fits, other):
    stored_blend(make(), NETWORK, tmp_path / "blend")
    features, network = OTHERS[other]
    expected = Blend.fit(features, network.blend, network.dims)
    fits.clear()
    for _ in range(2):
        assert_same(stored_blend(features, network, tmp_path / "blend"), expected)
        assert len(fits) == 1


@pytest.mark.parametrize("setting", ["WHITENING", "SAMPLE", "blend"])
def test_another_version_of_this_learns_it_again(tmp_path, fits, monkeypatch, setting):
    stored_blend(make(), NETWORK, tmp_path / "blend")
    if setting in FORMATS:
        monkeypatch.setitem(FORMATS, setting, FORMATS[setting] + 1)
    else:
        monkeypatch.setattr(descriptors, setting, getattr(descriptors, setting) + 1)
    stored_blend(make(), NETWORK, tmp_path / "blend")
    assert len(fits) == 2


def test_one_that_is_damaged_is_learnt_again(tmp_path, fits):
    expected = stored_blend(make(), NETWORK, tmp_path / "blend")
    (tmp_path / "blend" / RAW).write_bytes(b"rubbish")
    assert_same(stored_blend(make(), NETWORK, tmp_path / "blend"), expected)
    assert len(fits) == 2


def test_files_of_two_blends_are_no_blend(tmp_path, fits):
    first = stored_blend(make(), NETWORK, tmp_path / "one")
    stored_blend(make(seed=1), NETWORK, tmp_path / "two")
    (tmp_path / "two" / VECTORS).replace(tmp_path / "one" / VECTORS)
    with pytest.raises(DamagedError, match="vectors.npy is not as it was written"):
        load_blend(tmp_path / "one")
    assert_same(stored_blend(make(), NETWORK, tmp_path / "one"), first)


def test_a_blend_of_something_else_is_refused(tmp_path):
    blend = Blend.fit(make(), LAYERS, 64)
    folder = blend.save(tmp_path / "blend")
    load_blend(folder, blend.metadata, blend.ids)
    for note, ids in [(blend.metadata | {"crop": "center_crop"}, None), (None, blend.ids[::-1])]:
        with pytest.raises(MismatchError, match="holds a blend of other features; make it again"):
            load_blend(folder, note, ids)


def test_killed_while_saving_the_old_one_stays_whole(tmp_path, monkeypatch):
    first = stored_blend(make(), NETWORK, tmp_path / "blend")

    def killed(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed)
        with pytest.raises(KeyboardInterrupt):
            stored_blend(make(collection="after"), NETWORK, tmp_path / "blend")
    assert [path.name for path in tmp_path.iterdir()] == ["blend"]
    assert_same(load_blend(tmp_path / "blend"), first)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'thesis.txt'"):
        stored_blend(make(), NETWORK, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_note_says_what_it_is_made_of():
    blend = Blend.fit(make(120), LAYERS, 64)
    note = json.loads(json.dumps(blend.metadata))
    assert note == blend.metadata and "layer" not in note and "pool" not in note
    assert note["components"]["content"] == {"final": 1, "deep:covariance": 2}
    assert note["poolings"] == dict.fromkeys(WIDTHS, 1)
    assert (note["network"], note["collection"], note["neighbours"]) == ("made up", "before", 1)


# Searched


@pytest.fixture(scope="module")
def blend():
    return Blend.fit(make(130), LAYERS, 64)


@pytest.mark.parametrize("place", PLACES)
def test_it_finds_what_an_exact_index_at_this_place_finds(blend, place):
    index, exact = BlendIndex(blend, place), construct_exact_index("angular", blend.at(place))
    assert (index.ids, index.dims, index.metric) == (exact.ids, exact.dims, exact.metric)
    scale = np.sqrt(blend.column_weights(place))
    strangers = blend.rows(arrays(make(4, seed=9)))
    queries = [(id, id) for id in blend.ids[::9]] + [(row, row * scale) for row in strangers]
    for query, other in queries:
        for k in (1, 10, 129):
            ids, distances = index.search(query, k)
            expected, those = exact.search(other, k)
            assert ids == expected
            assert distances == pytest.approx(those, abs=1e-5)


def test_a_work_is_its_own_nearest_by_its_row(blend):
    for place in PLACES:
        ids, distances = BlendIndex(blend, place).search(blend.vectors[17], 1)
        assert ids == ["00017.jpg"] and distances[0] < 1e-3
        others = BlendIndex(blend, place).search(blend.vectors[17] * 5, 4)[0]
        assert others[1:] == BlendIndex(blend, place).search("00017.jpg", 3)[0]


def test_turning_shares_the_rows(blend):
    indexes = [BlendIndex(blend, place) for place in PLACES]
    assert all(isinstance(index, BlendIndex) for index in indexes)
    assert all(np.shares_memory(index._vectors, blend.vectors) for index in indexes)
    # Each stays at its place, also when another is made later.
    first = [index.search("00000.jpg", 5)[0] for index in indexes]
    BlendIndex(blend, 0.3)
    assert [index.search("00000.jpg", 5)[0] for index in indexes] == first
    assert len({tuple(ids) for ids in first}) > 2
    assert [index.provenance["dial"] for index in indexes] == list(PLACES)
    assert "dial" not in blend.metadata


def test_wrong_questions_are_answered_as_by_any_index(blend):
    index = BlendIndex(blend, 0.5)
    for k in (0, 130, True, 2.5):
        with pytest.raises(ArtsearchError, match=f"k is {k!r}, but there are 129 other works"):
            index.search("00000.jpg", k)
    with pytest.raises(ArtsearchError, match="unknown work '17.jpg'; did you mean '0"):
        index.search("17.jpg", 1)
    with pytest.raises(
        MismatchError, match=rf"shape \(65,\), the index holds rows of {blend.dims}"
    ):
        index.search(np.zeros(65), 1)
    with pytest.raises(ArtsearchError, match="not finite"):
        index.search(np.full(blend.dims, np.nan), 1)


def test_a_place_is_not_saved_by_itself(blend, tmp_path):
    with pytest.raises(ArtsearchError, match="not saved by itself; save the Blend"):
        BlendIndex(blend, 0.5).save(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_descriptors_give_pictures_the_rows_of_works(blend):
    features = make(130)
    some = arrays(features, slice(20, 23))
    for place in PLACES:
        one = WeightedBlend(blend, place)
        assert np.allclose(one.rows(some), one.features.vectors[20:23], atol=1e-5)
        assert one.features is one.features  # made once
    layer = OneLayer("final", features["final"])
    assert np.array_equal(layer.rows(some), features["final"].vectors[20:23])


def test_turning_the_dial_over_ten_thousand_works():
    """How long it takes is printed, and not held against a busy machine: `pytest -s`."""
    random, widths = np.random.default_rng(0), {"content": 160, "middle": 192, "style": 160}
    rows = []
    for width in widths.values():
        part = random.normal(size=(10_000, width)).astype(np.float32)
        rows.append(part / np.linalg.norm(part, axis=1, keepdims=True))
    parts = {name: Component((), {}, {}, np.zeros((1, width))) for name, width in widths.items()}
    vectors, ids = np.concatenate(rows, axis=1), tuple(str(row) for row in range(10_000))
    blend = Blend(parts, vectors, vectors, ids, {"neighbours": 0})
    BlendIndex(blend, 0.5)
    times = []
    for place in np.linspace(0, 1, 21):
        start = time.perf_counter()
        found, _ = BlendIndex(blend, place).search("5000", 10)
        times.append(time.perf_counter() - start)
        cosines = blend.at(place).vectors @ (vectors[5000] * np.sqrt(blend.column_weights(place)))
        assert found == [ids[row] for row in np.argsort(-cosines)[1:11]]
    print(f"\nturned and searched 10,000 works: {1000 * np.median(times):.1f} ms")


@pytest.mark.parametrize("place", PLACES)
def test_all_answers_at_once_are_those_of_one_work_after_the_other(monkeypatch, place):
    monkeypatch.setattr("artsearch.index.exact.QUERIES", 16)
    blend = Blend.fit(make(70), LAYERS, 64)
    rows, distances = BlendIndex(blend, place).all_neighbours(7)
    for row, id in enumerate(blend.ids):
        ids, near = BlendIndex(blend, place).search(id, 7)
        assert [blend.ids[other] for other in rows[row]] == ids
        assert np.allclose(distances[row], near, atol=1e-3)


def test_no_answers_are_no_rows():
    rows, distances = BlendIndex(Blend.fit(make(3), LAYERS, 64), 0.5).all_neighbours(0)
    assert rows.shape == distances.shape == (3, 0)
