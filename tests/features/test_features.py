"""Rows of real paintings by a real network: whatever is asked for, and in whatever order."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from artsearch.base.errors import ArtsearchError, CollectionError, ImageError
from artsearch.features.compute import compute_features
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks import precision
from artsearch.networks.loading import load_model
from artsearch.networks.precision import has_bf16
from artsearch.networks.registry import NETWORKS, transform_for
from artsearch.networks.transforms import CENTER_CROP, NO_CROP
from artsearch.works.collection import Collection
from artsearch.works.images import READING

pytestmark = pytest.mark.usefixtures("one_thread")
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def model():
    return load_model(NETWORKS[LITE])


@pytest.fixture
def tiny():
    """A small network of our own, in train mode as a user may well hand it over."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 16, 16), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3)
    )


def run(folder, network=LITE, **options):
    options = {"progress": False} | options
    return compute_features(Collection(folder), network, **options)


def count_hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


# The numbers


@pytest.mark.parametrize("crop", [NO_CROP, CENTER_CROP])
def test_rows_are_those_of_a_plain_loop(few, few_features, model, crop):
    features = few_features if crop == NO_CROP else run(few, crop=crop)
    transform = transform_for(LITE, crop)
    for id in features.ids:
        with torch.no_grad():
            maps = model.forward_features(transform(Collection(few).open(id))[None])
        assert features.vector(id) == pytest.approx(maps.mean(dim=(0, 2, 3)).numpy(), abs=1e-5)


def test_shape_ids_and_note(few, few_features):
    assert few_features.vectors.shape == (5, 1280) and few_features.vectors.dtype == np.float32
    assert few_features.ids == tuple(Collection(few).ids)
    assert few_features.provenance == {
        "network": LITE,
        "weights": few_features.provenance["weights"],
        "layer": "global_pool",
        "pool": 1,
        "crop": NO_CROP,
        "size": 224,
        "precision": "exact",
        "reading": READING,
        "collection": Collection(few).fingerprint(),
    }
    assert few_features.provenance["weights"].startswith("57934424")
    assert np.linalg.norm(few_features.vectors, axis=1).min() > 1
    assert few_features.report() == "5 works, 1,280 numbers each."


@pytest.mark.parametrize("batch_size", [1, 2, 5])  # of five works, 2 leave a last batch of one
def test_the_batch_size_does_not_count(few, few_features, batch_size):
    features = run(few, batch_size=batch_size)
    assert features.ids == few_features.ids
    assert np.abs(features.vectors - few_features.vectors).max() <= 1e-5


def test_one_image_alone(few, few_features, tmp_path):
    id = few_features.ids[2]
    shutil.copy(few / id, tmp_path)
    alone = run(tmp_path)
    assert alone.vectors.shape == (1, 1280)
    assert np.abs(alone.vectors[0] - few_features.vector(id)).max() <= 1e-5
    extractor = FeatureExtractor(LITE, precision="exact")
    for source in (few / id, (few / id).read_bytes(), Image.open(few / id)):
        assert np.abs(extractor(source) - few_features.vector(id)).max() <= 1e-5


def test_the_order_of_the_files_does_not_count(few, few_features, tmp_path):
    renamed = dict(zip(reversed(few_features.ids), "abcde", strict=True))
    for id, letter in renamed.items():
        shutil.copy(few / id, tmp_path / f"{letter}.jpg")
    features = run(tmp_path, batch_size=3)
    for id, letter in renamed.items():
        assert np.abs(features.vector(f"{letter}.jpg") - few_features.vector(id)).max() <= 1e-5


def test_twice_the_same_is_the_same(few, few_features):
    assert np.array_equal(run(few).vectors, few_features.vectors)


# Layers


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_any_number_of_works_a_batch_gives_the_same_rows(few, few_features, batch_size):
    features = run(few, batch_size=batch_size)
    assert features.ids == few_features.ids
    assert np.abs(features.vectors - few_features.vectors).max() <= 1e-5


def test_several_layers_come_from_one_pass(few, few_features, monkeypatch):
    passes = []
    describe = FeatureExtractor.describe
    monkeypatch.setattr(
        FeatureExtractor, "describe", lambda self, x: passes.append(len(x)) or describe(self, x)
    )
    names = ["global_pool", "blocks.2", "conv_stem", "blocks.4.1.conv_dw"]
    by_layer = run(few, layers=names, batch_size=3)
    assert passes == [3, 2]
    assert list(by_layer) == names
    assert [by_layer[name].dims for name in names] == [1280, 40, 32, 672]
    assert [by_layer[name].provenance["layer"] for name in names] == names
    assert np.abs(by_layer["global_pool"].vectors - few_features.vectors).max() <= 1e-5


def test_any_layer_is_what_the_network_gives_there(few, model):
    features = run(few, layers="blocks.1", pool=2)
    assert isinstance(features, Features) and features.dims == 24 * 2 * 2
    image = transform_for(LITE)(Collection(few).open(features.ids[0]))[None]
    with torch.no_grad():
        maps = model.blocks[:2](model.bn1(model.conv_stem(image)))
    expected = nn.functional.adaptive_avg_pool2d(maps, 2).flatten().numpy()
    assert features.vectors[0] == pytest.approx(expected, abs=1e-4)


def test_one_layer_in_a_list_is_a_dict_too(few):
    for layers in (["conv_stem"], ("conv_stem",)):
        assert run(few, layers=layers)["conv_stem"].dims == 32


def test_pool_makes_the_articles_vgg_from_its_layer():
    extractor = FeatureExtractor("vgg16", model=nn.Sequential(nn.Conv2d(3, 512, 1)), layers="0")
    assert (extractor.pool("features.30"), extractor.pool("0")) == (2, 1)
    assert NETWORKS["vgg16"].dims == 512 * 2 * 2


def test_tokens_are_averaged_and_plain_rows_kept():
    from artsearch.networks.pooling import flatten

    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert flatten(tokens).tolist() == [[4, 5, 6, 7]]
    assert flatten(torch.ones(2, 7)).shape == (2, 7)
    assert flatten(torch.ones(1, 5, 4, 4), pool=3).shape == (1, 45)


def test_unknown_names_are_answered_with_the_choices(few):
    with pytest.raises(ArtsearchError, match="unknown layer 'block.2'; did you mean 'blocks.2'"):
        run(few, layers="block.2")
    with pytest.raises(ArtsearchError, match="unknown network 'efficientnet_lite'; did you mean"):
        run(few, network="efficientnet_lite")
    with pytest.raises(ArtsearchError, match="unknown crop"):
        run(few, crop="squash")
    with pytest.raises(ArtsearchError, match="no layer named"):
        run(few, layers=[])


@pytest.mark.parametrize("option", ["batch_size", "pool"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "16", True])
def test_sizes_that_are_none(few, option, value):
    with pytest.raises(ArtsearchError, match=f"{option} is {value!r}; take a whole number"):
        run(few, **{option: value})


# Files that cannot be read


def test_unreadable_works_are_skipped_counted_and_the_rest_goes_on(few, few_features, tmp_path):
    for id in few_features.ids:
        shutil.copy(few / id, tmp_path / f"good {id}")
    (tmp_path / "a text.jpg").write_text("not a picture at all")
    # Of a JPEG that is cut short what came is shown; here that is its header alone.
    (tmp_path / "h cut.jpg").write_bytes((few / few_features.ids[0]).read_bytes()[:300])
    (tmp_path / "z empty.png").touch()
    features = run(tmp_path, batch_size=2)
    assert features.ids == tuple(f"good {id}" for id in few_features.ids)
    assert np.abs(features.vectors - few_features.vectors).max() <= 1e-5
    assert [id for id, _ in features.skipped] == ["a text.jpg", "h cut.jpg", "z empty.png"]
    report = features.report()
    assert "5 works" in report and "3 skipped" in report
    assert "\n" not in report


def test_nothing_but_unreadable_works_is_one_error(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_text("not a picture")
    with pytest.raises(CollectionError, match="none of the 20 works.*because: cannot read '0.jpg'"):
        run(tmp_path)


def test_an_image_asked_for_that_cannot_be_read(tiny):
    extractor = FeatureExtractor(LITE, layers="0", model=tiny)
    with pytest.raises(ImageError, match="the 3 bytes given"):
        extractor(b"xyz")


# The network that was handed in


def test_a_model_of_your_own_takes_the_place_of_the_weights(few, tiny):
    features = run(few, model=tiny, layers=["3"], batch_size=2)["3"]
    image = transform_for(LITE)(Collection(few).open(features.ids[4]))[None]
    with torch.no_grad():
        expected = tiny.eval()(image).mean(dim=(2, 3))[0].numpy()
    assert features.vectors[4] == pytest.approx(expected, abs=1e-5)


def test_a_model_of_your_own_is_not_taken_for_the_registered_one(few, tiny, few_features):
    first = run(few, model=tiny, layers="3").provenance["weights"]
    assert first == run(few, model=tiny, layers="3").provenance["weights"]
    with torch.no_grad():
        tiny[3].bias[0] += 1e-3
    second = run(few, model=tiny, layers="3").provenance["weights"]
    assert len({first, second, few_features.provenance["weights"]}) == 3


def test_dropout_and_batch_statistics_are_off(few, tiny):
    assert tiny.training
    features = run(few, model=tiny.append(nn.Dropout(0.9)), layers="4", batch_size=3)
    assert np.array_equal(features.vectors, run(few, model=tiny, layers="3").vectors)


def test_an_in_place_relu_behind_a_layer_changes_nothing(few, tiny):
    assert run(few, model=tiny, layers="1").vectors.min() < 0


def test_hooks_and_gradients_are_gone_afterwards(few, tiny):
    run(few, model=tiny, layers=["0", "3"])
    assert count_hooks(tiny) == 0
    tiny[3] = nn.Conv2d(99, 4, 3)  # fits nothing
    with pytest.raises(RuntimeError):
        run(few, model=tiny, layers=["0", "3"])
    assert count_hooks(tiny) == 0
    assert all(parameter.grad is None for parameter in tiny.parameters())


# Features themselves


def test_rows_cannot_be_changed(few_features):
    before = few_features.vectors.copy()
    with pytest.raises(ValueError, match="read-only"):
        few_features.vectors[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        few_features.vector(few_features.ids[0])[:] /= 2
    with pytest.raises(ValueError, match="read-only"):
        few_features.vectors.__itruediv__(2)
    assert np.array_equal(few_features.vectors, before)


def test_features_need_one_row_an_id_and_ids_that_differ():
    with pytest.raises(ArtsearchError, match=r"shape \(2, 3\) for 1 ids"):
        Features(np.ones((2, 3)), ("a",))
    with pytest.raises(ArtsearchError, match="one row an id"):
        Features(np.ones(3), ("a", "b", "c"))
    with pytest.raises(ArtsearchError, match="twice"):
        Features(np.ones((2, 3)), ("a", "a"))


def test_features_are_compared_by_identity_and_can_be_keys(few_features):
    same = Features(few_features.vectors, few_features.ids)
    assert few_features == few_features and few_features != same
    assert {few_features: 1}[few_features] == 1


def test_a_vector_of_an_unknown_work(few_features):
    with pytest.raises(ArtsearchError, match="did you mean 'leonardo-da-vinci_mona-lisa.jpg'"):
        few_features.vector("Mona-Lisa")


def test_a_long_list_of_skipped_works_is_cut():
    skipped = tuple((f"{number}.jpg", "cannot be read") for number in range(100))
    report = Features(np.ones((1, 2)), ("a",), skipped=skipped).report()
    assert "100 skipped" in report and "and 95 more" in report and len(report) < 300


def test_a_file_that_changes_meanwhile_gives_another_fingerprint(few, tmp_path, tiny, monkeypatch):
    """What was seen is the old picture, so it must not be kept as that of the new one."""
    for path in few.glob("*.jpg"):
        shutil.copy(path, tmp_path)
    describe = FeatureExtractor.describe

    def change_a_file(self, pixels):
        Image.new("RGB", (9, 9)).save(sorted(tmp_path.glob("*.jpg"))[0])
        return describe(self, pixels)

    monkeypatch.setattr(FeatureExtractor, "describe", change_a_file)
    features = run(tmp_path, model=tiny, layers="3")
    assert features.provenance["collection"] != Collection(tmp_path).fingerprint()


def test_progress_is_shown_and_can_be_switched_off(few, tiny, capsys):
    run(few, model=tiny, layers="3")
    assert capsys.readouterr().err == ""
    compute_features(Collection(few), LITE, model=tiny, layers="3")
    assert "EfficientNet-Lite0" in capsys.readouterr().err


def test_what_linux_says_of_bfloat16_is_what_torch_says():
    known = precision._ask_linux()
    assert known is None or known == has_bf16()
