"""Layers pooled to Gram matrices, covariances and moments: by hand, on paintings, and stored."""

import warnings

import numpy as np
import pytest
import torch
from extracting import LITE, run, tiny_extractor, tiny_model

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.store import load_features
from artsearch.networks import network, pooling
from artsearch.networks.forward import Forward, Runner
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import load_model
from artsearch.networks.network import CHANNELS, POOLINGS, describe_pooling, split_layer
from artsearch.networks.pooling import FUNCTIONS, pool_output
from artsearch.networks.precision import has_bf16
from artsearch.networks.registry import NETWORKS, transform_for
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

pytestmark = pytest.mark.usefixtures("one_thread")
PINNED_112 = [-0.125594, 0.027475, 0.019841, 0.087404, -0.131703, -0.028647]
PINNED_1280 = [0.040251, -0.017651, 0.027116]
every = pytest.mark.parametrize("name", POOLINGS)


def random_maps(channels: int, places: int = 60, images: int = 3, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, places, generator=random)


def as_matrices(rows: torch.Tensor) -> torch.Tensor:
    """Return the symmetric matrices whose upper triangles rows are, entry by entry."""
    side = int((2 * rows.shape[1]) ** 0.5)
    matrices = torch.zeros(len(rows), side, side, dtype=rows.dtype)
    place = 0
    for i in range(side):
        for j in range(i, side):
            value = rows[:, place] if i == j else rows[:, place] / 2**0.5
            matrices[:, i, j] = matrices[:, j, i] = value
            place += 1
    assert place == rows.shape[1]
    return matrices


def cosines(a, b) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(torch.as_tensor(a), torch.as_tensor(b))


# By hand


def test_gram_of_two_channels():
    """The root of (5 4; 4 5) is (2 1; 1 2); the entry off the diagonal counts twice."""
    maps = 2**0.5 * torch.tensor([[[2.0, 1.0], [1.0, 2.0]]])  # times its transpose, by two places
    assert pooling.gram(maps)[0].tolist() == pytest.approx([2, 2**0.5, 2])


def test_gram_of_channels_that_do_not_meet():
    maps = torch.tensor([[[3.0, 0.0, 0.0, 0.0], [0.0, 8.0, 0.0, 0.0]]])
    assert pooling.gram(maps)[0].tolist() == pytest.approx([3 / 2, 0, 8 / 2], abs=1e-6)


def test_covariance_of_two_channels():
    """The same matrix again, under means that would make another Gram matrix of it."""
    spread = 2**0.5 * torch.tensor([[2.0, -2.0, 1.0, -1.0], [1.0, -1.0, 2.0, -2.0]])
    maps = spread[None] + torch.tensor([7.0, -3.0])[:, None]
    assert pooling.covariance(maps)[0].tolist() == pytest.approx([2, 2**0.5, 2], abs=1e-5)
    assert pooling.gram(maps)[0].tolist() != pytest.approx([2, 2**0.5, 2], abs=0.1)


def test_moments_of_two_channels():
    maps = torch.tensor([[[1.0, 3.0, 1.0, 3.0], [2.0, 2.0, 2.0, 2.0]]])
    assert pooling.moments(maps)[0].tolist() == [2, 2, 1, 0]


def test_moments_of_one_place_have_no_spread():
    assert pooling.moments(torch.tensor([[[5.0], [-1.0]]]))[0].tolist() == [5, -1, 0, 0]


def test_generalised_mean_of_two_channels():
    """3³ + 4³ + 5³ = 216 = 8 · 3³; what is negative counts as nothing."""
    maps = torch.tensor([[[3.0, 4.0, 5.0, 0.0, 0.0, -9.0, 0.0, 0.0], [2.0] * 8]])
    assert pooling.generalised_mean(maps)[0].tolist() == pytest.approx([3, 2])
    mean, most = maps.clamp(min=0).mean(dim=2), maps.amax(dim=2)
    found = pooling.generalised_mean(maps) + 1e-6
    assert (mean <= found).all() and (found <= most + 1e-5).all()


def test_the_square_of_the_root_is_the_gram_matrix_of_gatys():
    maps = random_maps(5).relu()
    root = as_matrices(pooling.gram(maps))
    for image in range(3):
        for i in range(5):
            for j in range(5):
                sum_over_places = sum(maps[image, i, k] * maps[image, j, k] for k in range(60))
                found = (root[image] @ root[image])[i, j]
                assert found == pytest.approx(float(sum_over_places) / 60, abs=1e-5)
    assert (torch.linalg.eigvalsh(root) > -1e-5).all()  # of all roots, the one without signs


def test_inner_products_of_rows_are_those_of_the_matrices():
    rows = pooling.gram(random_maps(7))
    roots = as_matrices(rows)
    frobenius = torch.einsum("aij,bij->ab", roots, roots)
    assert torch.allclose(rows @ rows.T, frobenius, atol=1e-5)


# Many channels


@pytest.mark.parametrize("pool", [pooling.gram, pooling.covariance])
@pytest.mark.parametrize("channels, dims", [(1, 1), (16, 136), (48, 1176), (49, 1176), (512, 1176)])
def test_no_row_is_longer_than_that_of_48_channels(pool, channels, dims):
    assert CHANNELS == 48
    assert pool(random_maps(channels)).shape == (3, dims)


@pytest.mark.parametrize("channels", [49, 112, 1280])
def test_directions_are_orthonormal(channels):
    directions = pooling.directions(channels, CHANNELS)
    assert directions.shape == (CHANNELS, channels) and directions.dtype == torch.float32
    assert torch.allclose(directions @ directions.T, torch.eye(CHANNELS), atol=1e-6)


def test_directions_are_the_same_in_every_process():
    """Rows are compared with rows that another process stored: these are from another one."""
    corner = pooling.directions(112, CHANNELS)[:2, :3]
    assert corner.flatten().tolist() == pytest.approx(PINNED_112, abs=1e-5)
    far = pooling.directions(1280, CHANNELS)[-1, -3:]
    assert far.tolist() == pytest.approx(PINNED_1280, abs=1e-5)


def test_many_channels_are_those_of_the_projected_maps():
    maps = random_maps(60).relu()
    few = pooling.directions(60, CHANNELS) @ maps
    assert torch.allclose(pooling.gram(maps), pooling.gram(few), atol=1e-5)
    assert torch.allclose(pooling.covariance(maps), pooling.covariance(few), atol=1e-5)


# What counts, and what does not


@every
@pytest.mark.parametrize("channels", [6, 80])
def test_where_in_the_picture_it_is_does_not_count(name, channels):
    maps = random_maps(channels)
    shuffled = maps[:, :, torch.randperm(60, generator=torch.Generator().manual_seed(1))]
    assert torch.allclose(FUNCTIONS[name](maps), FUNCTIONS[name](shuffled), atol=1e-4)


@pytest.mark.parametrize("channels", [6, 80])
def test_the_tone_of_the_whole_does_not_count_for_the_covariance(channels):
    maps = random_maps(channels)
    toned = maps + torch.linspace(-2, 2, channels)[:, None]
    assert torch.allclose(pooling.covariance(maps), pooling.covariance(toned), atol=1e-4)
    assert not torch.allclose(pooling.gram(maps), pooling.gram(toned), atol=0.1)


@every
def test_each_picture_is_pooled_by_itself(name):
    maps = random_maps(80, images=4)
    one_by_one = torch.cat([FUNCTIONS[name](one[None]) for one in maps])
    assert torch.allclose(FUNCTIONS[name](maps), one_by_one, atol=1e-4)


@every
def test_maps_and_tokens_are_pooled_alike(name):
    maps = random_maps(6).reshape(3, 6, 10, 6)
    tokens = maps.flatten(2).mT
    assert torch.allclose(pool_output(maps, name), pool_output(tokens, name), atol=1e-6)
    assert torch.allclose(pool_output(tokens, name), FUNCTIONS[name](maps.flatten(2)), atol=1e-6)


def test_without_a_pooling_it_is_the_mean():
    maps = random_maps(6).reshape(3, 6, 10, 6)
    assert torch.equal(pool_output(maps), maps.mean(dim=(2, 3)))
    assert pool_output(maps, "", 2).shape == (3, 24)


# One colour


@pytest.mark.parametrize("name", ["gram", "covariance", "moments"])
@pytest.mark.parametrize("channels", [4, 80])
def test_maps_of_nothing_give_nothing(name, channels):
    rows = FUNCTIONS[name](torch.zeros(2, channels, 49))
    assert rows.abs().max() == 0  # and no NaN


def test_the_generalised_mean_of_nothing_is_next_to_nothing():
    assert (pooling.generalised_mean(torch.zeros(1, 3, 49)) - 1e-6).abs().max() < 1e-8


@pytest.mark.parametrize("pool", [pooling.gram, pooling.covariance])
def test_matrices_of_low_rank_have_a_root(pool):
    """As a picture in one colour has them: in single precision LAPACK gave up, or gave NaN."""
    for seed in range(100):
        channels = (16, 24, 32, 112)[seed % 4]
        colours = random_maps(channels, places=1, images=8, seed=seed)
        rows = pool(colours.expand(8, channels, 49).contiguous())
        assert torch.isfinite(rows).all(), (seed, channels)
        if pool is pooling.covariance:
            assert rows.abs().max() < 1e-4


# Names


def test_unknown_poolings_are_answered_with_the_nearest():
    for made in (lambda: split_layer("2:gramm"), lambda: tiny_extractor(layers="2:gramm").runner):
        with pytest.raises(ArtsearchError) as error:
            made()
        assert str(error.value) == (
            "unknown pooling 'gramm'; did you mean 'gram'? "
            "known: gram, covariance, moments, gem, as in 'layer4:gram'"
        )


def test_every_name_has_its_function():
    assert tuple(FUNCTIONS) == POOLINGS


@every
def test_one_number_a_channel_cannot_be_pooled(name):
    with pytest.raises(ArtsearchError, match=f"pooling '{name}' wants .* maps or tokens"):
        pool_output(torch.zeros(2, 6), name)


def test_a_layer_that_cannot_be_pooled_is_refused_before_anything_is_computed():
    model = torch.nn.Sequential(tiny_model(), torch.nn.Flatten())
    extractor = tiny_extractor(layers=["0", "1:gram"], model=model)
    with pytest.raises(ArtsearchError, match="pooling 'gram' wants .* take an earlier layer"):
        extractor.runner  # noqa: B018


# In a network

LAYERS = ["2", "0:gram", "1:covariance", "0:moments", "0", "2:gem"]


def squares(number: int, size: int = 224) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (number, size, size, 3), dtype=np.uint8)


def test_one_pass_gives_what_a_pass_for_each_gives():
    images = squares(5)
    together = tiny_extractor(layers=LAYERS).rows(images)
    assert list(together) == LAYERS
    for layer in LAYERS:
        alone = tiny_extractor(layers=layer).rows(images)[layer]
        assert np.array_equal(together[layer], alone)
    assert [rows.shape[1] for rows in together.values()] == [6, 36, 36, 16, 8, 6]


def test_rows_are_those_of_the_maps_caught_by_hand():
    images, model = squares(3), tiny_model()
    network = NETWORKS[LITE]
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    assert network.mean == network.std == (0.5, 0.5, 0.5)
    with torch.no_grad(), LayerHook(model, "0", "1") as hook:
        model(pixels)
    rows = tiny_extractor(layers=["0:gram", "1:covariance"]).rows(images)
    for layer, pool in {"0:gram": pooling.gram, "1:covariance": pooling.covariance}.items():
        expected = pool(hook[layer[0]].flatten(2))
        assert np.allclose(rows[layer], expected, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_pass_gives_the_same_rows():
    layers = {"0:gram": 1, "2": 1}
    runner = Runner(Forward(tiny_model(), layers, 64, *[(0.5, 0.5, 0.5)] * 2), "exact")
    images = torch.from_numpy(squares(7, 64))
    expected = runner(images)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.compile(4)
    assert runner.compiled
    parts = [runner(part) for part in images.split(4)]  # the last one has three images
    for layer, rows in enumerate(expected):
        assert torch.allclose(torch.cat([part[layer] for part in parts]), rows, atol=1e-4)


# Stored


@pytest.fixture
def works(tmp_path, noise):
    for number in range(5):
        (tmp_path / "works").mkdir(exist_ok=True)
        noise(30 + number, 30, seed=number).save(tmp_path / "works" / f"{number}.png")
    return tmp_path / "works"


def stores(out) -> dict[str, object]:
    """Return the folders of stores by the layer that each says it is of."""
    folders = [path for path in (out / "stores").iterdir() if path.name[0] != "."]
    return {load_features(folder).provenance["layer"]: folder for folder in folders}


def test_each_pooling_has_a_store_that_says_which_it_is(works, tmp_path):
    extractor = tiny_extractor(layers=LAYERS)
    found = extract(Collection(works), [extractor], tmp_path, progress=False)
    assert stores(tmp_path).keys() == set(LAYERS)
    pools = {layer: features.provenance["pool"] for (_, _, layer), features in found.items()}
    assert pools == {
        "2": 1,
        "0:gram": "gram48",
        "1:covariance": "covariance48",
        "0:moments": "moments",
        "0": 1,
        "2:gem": "gem",
    }
    square = extractor.preprocess(open_image(works / "3.png"))
    for layer, row in extractor.rows([square]).items():
        assert np.allclose(found[LITE, "no_crop", layer].vector("3.png"), row[0], atol=1e-4)


def test_a_store_of_another_pooling_is_refused(works, tmp_path):
    run(works, tmp_path, extractors=[tiny_extractor(layers=["0:gram", "0:moments"])])
    gram, moments = (stores(tmp_path)[layer] for layer in ("0:gram", "0:moments"))
    load_features(gram, pool="gram48")
    with pytest.raises(MismatchError, match="by pool 'moments', asked for is 'gram48'"):
        load_features(moments, pool="gram48")
    gram.rename(tmp_path / "away")
    moments.rename(gram)
    with pytest.raises(MismatchError, match="by layer '0:moments', asked for is '0:gram'"):
        run(works, tmp_path, extractors=[tiny_extractor(layers="0:gram")])


def test_another_number_of_directions_is_another_pooling(works, tmp_path, monkeypatch):
    run(works, tmp_path, extractors=[tiny_extractor(layers="0:gram")])
    monkeypatch.setattr(network, "CHANNELS", 32)
    assert describe_pooling("gram") == "gram32"
    features = run(works, tmp_path, extractors=[tiny_extractor(layers="0:gram")])
    assert features.provenance["pool"] == "gram32"
    assert len(list((tmp_path / "stores").glob("[!.]*"))) == 2


# The real thing


@pytest.fixture(scope="module")
def lite():
    return load_model(NETWORKS[LITE])


def read(paths) -> np.ndarray:
    transform = transform_for(NETWORKS[LITE])
    return np.stack([transform.preprocess(open_image(path)) for path in paths])


@pytest.mark.skipif(not has_bf16(), reason="this machine does not compute in bfloat16 by itself")
def test_the_fast_way_gives_nearly_the_same(lite, paintings):
    layers = [f"blocks.{stage}:{name}" for stage in (0, 4) for name in POOLINGS]
    images = read(sorted(paintings.glob("*.jpg"))[:6])
    exact, fast = (
        FeatureExtractor(LITE, layers=layers, precision=precision, model=lite).rows(images)
        for precision in ("exact", "fast")
    )
    for layer in layers:
        assert fast[layer].dtype == np.float32
        assert not np.array_equal(fast[layer], exact[layer])
        assert cosines(fast[layer], exact[layer]).min() > 0.99, layer


@pytest.fixture(scope="module")
def repainted_maps(lite, paintings) -> dict[str, torch.Tensor]:
    """The maps of every seventh of the 441 repainted works: 63 of them."""
    paths = sorted((paintings.parent / "repainted").glob("*.jpg"))[::7]
    caught: dict[str, list[torch.Tensor]] = {"blocks.4": [], "conv_head": []}
    for start in range(0, len(paths), 8):
        images = torch.from_numpy(read(paths[start : start + 8]))
        with torch.no_grad(), LayerHook(lite, *caught) as hook:
            lite((images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
        for layer, maps in caught.items():
            maps.append(hook[layer].flatten(2))
    return {layer: torch.cat(maps) for layer, maps in caught.items()}


def cosines_of_whole_roots(maps: torch.Tensor) -> torch.Tensor:
    """Return the cosines between the roots of all channels' Gram matrices.

    With maps = U S V', the root is U S U' = H H', where H = U √S, and the inner product of two
    such is that of all their columns, squared: no matrix of 1,280 × 1,280 is needed.
    """
    u, s, _ = torch.linalg.svd(maps.double(), full_matrices=False)
    halves = u * s.sqrt()[:, None]
    inner = torch.stack([(half.T @ halves).square().sum(dim=(1, 2)) for half in halves])
    lengths = inner.diagonal().sqrt()
    return inner / lengths / lengths[:, None]


def ten_nearest(cosines: torch.Tensor) -> list[set[int]]:
    others = cosines - 9 * torch.eye(len(cosines))
    return [set(row) for row in others.topk(10, dim=1).indices.tolist()]


@pytest.mark.quality
def test_the_quick_way_to_whole_roots_is_right(repainted_maps):
    maps = repainted_maps["blocks.4"][:4]
    rows = pooling.gram(maps, channels=None)
    assert rows.shape == (4, 112 * 113 // 2)
    rows = torch.nn.functional.normalize(rows)
    assert torch.allclose((rows @ rows.T).double(), cosines_of_whole_roots(maps), atol=1e-5)


# Measured: 0.89 and 0.76 of the ten in common. Among all 441, where each work has near ones, 0.92
# and 0.82; a blend takes "blocks.4" and nothing deeper.
@pytest.mark.quality
@pytest.mark.parametrize("layer, least", [("blocks.4", 0.85), ("conv_head", 0.7)])
def test_the_neighbours_stay_with_48_directions(repainted_maps, layer, least):
    maps = repainted_maps[layer]
    rows = torch.nn.functional.normalize(pooling.gram(maps))
    whole, projected = ten_nearest(cosines_of_whole_roots(maps)), ten_nearest(rows @ rows.T)
    share = np.mean([len(a & b) / 10 for a, b in zip(whole, projected, strict=True)])
    print(f"\n{layer}: {share:.3f} of the ten nearest in common, of {len(maps)} works")
    assert share >= least
