"""The two crops: fastai's pixels to the last bit, and what `kept` says is what is kept."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.networks.registry import NETWORKS, transform_for
from artsearch.networks.transforms import CENTER_CROP, CROPS, NO_CROP, Transform
from artsearch.works.images import open_image

# Sides of which fastai's arithmetic loses a pixel (61, 115, 453 at 224; 7, 43 at 299), and others.
SIZES = [(61, 100), (453, 115), (115, 453), (224, 224), (223, 500), (7, 14), (43, 44), (1, 5)]


def run_fastai(image: Image.Image, crop: str, network) -> torch.Tensor:
    """Do what a fastai user would: Resize an item, then normalise a batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import IntToFloatTensor, Normalize, PILImage, Pipeline, ToTensor
        from fastai.vision.augment import Resize, ResizeMethod

    method = {CENTER_CROP: ResizeMethod.Crop, NO_CROP: ResizeMethod.Squish}[crop]
    resamples = Image.Resampling[network.interpolation.upper()], Image.Resampling.NEAREST
    item = Pipeline([Resize(network.size, method, resamples=resamples), ToTensor()], split_idx=1)
    normalise = Normalize.from_stats(network.mean, network.std, cuda=False)
    batch = Pipeline([IntToFloatTensor(), normalise], split_idx=1)
    return torch.Tensor(batch(item(PILImage.create(np.asarray(image)))[None])[0])


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("name", ["efficientnet_lite0", "inception_v4", "vgg16"])
def test_the_pixels_are_fastais(noise, paintings, crop, name):
    transform = transform_for(name, crop)
    works = [open_image(path) for path in sorted(paintings.glob("*.jpg"))[:4]]
    for image in [*works, *(noise(*size) for size in SIZES)]:
        expected = run_fastai(image, crop, NETWORKS[name])
        assert torch.equal(transform(image), expected), image.size


@pytest.mark.parametrize("width, height", [*SIZES, (30, 20), (20, 30), (99, 50)])
@pytest.mark.parametrize("size", [49, 224, 299])
def test_what_is_kept_is_all_that_counts(noise, width, height, size):
    transform = Transform(CENTER_CROP, size, (0,) * 3, (1,) * 3, "bicubic")
    left, top, right, bottom = transform.kept(width, height)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert right - left == bottom - top >= min(width, height) - 1
    inside = noise(width, height).crop((left, top, right, bottom))
    squares = []
    for colour in ("red", "blue"):
        painted = Image.new("RGB", (width, height), colour)
        painted.paste(inside, (left, top))
        squares.append(transform.resize(painted).tobytes())
    assert squares[0] == squares[1]


@pytest.mark.parametrize("crop", CROPS)
def test_the_edges_of_what_is_kept_count(crop):
    transform = Transform(crop, 224, (0,) * 3, (1,) * 3, "bilinear")
    left, top, right, bottom = transform.kept(301, 200)
    for corner in [(left, top), (right - 1, top), (left, bottom - 1), (right - 1, bottom - 1)]:
        image = Image.new("RGB", (301, 200))
        image.putpixel(corner, (255, 255, 255))
        assert np.asarray(transform.resize(image)).any(), corner


def test_no_crop_keeps_everything():
    assert transform_for("resnet50", NO_CROP).kept(301, 200) == (0, 0, 301, 200)
    assert transform_for("resnet50", CENTER_CROP).kept(301, 200) == (50, 0, 250, 200)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_each_network_has_its_own_size_mean_and_deviation(name):
    network = NETWORKS[name]
    white = transform_for(name)(Image.new("RGB", (20, 30), "white"))
    assert white.shape == (3, network.size, network.size)
    assert white.dtype == torch.float32 and white.is_contiguous() and type(white) is torch.Tensor
    expected = (1 - np.array(network.mean)) / np.array(network.std)
    assert white.mean(dim=(1, 2)).numpy() == pytest.approx(expected, abs=1e-5)


def test_the_article_says_which_sizes():
    sizes = {name: transform_for(name).size for name in ("inception_v4", "resnet50", "vgg16")}
    assert sizes == {"inception_v4": 299, "resnet50": 224, "vgg16": 224}


def test_the_image_given_is_left_as_it_was(noise):
    image = noise(30, 20)
    before = image.tobytes()
    for crop in CROPS:
        transform_for("vgg16", crop)(image)
    assert type(image) is Image.Image and image.size == (30, 20) and image.tobytes() == before


def test_the_same_transform_is_equal_and_travels_to_workers():
    import pickle

    transform = transform_for("vgg16")
    transform(Image.new("RGB", (9, 9)))
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform == transform_for("vgg16", NO_CROP)
    assert torch.equal(*(one(Image.new("RGB", (9, 9), "red")) for one in (transform, again)))


def test_unknown_crops_and_networks():
    with pytest.raises(ArtsearchError, match="unknown crop 'centre_crop'; did you mean 'center_c"):
        transform_for("vgg16", "centre_crop")
    with pytest.raises(ArtsearchError, match="unknown crop None; known: no_crop, center_crop"):
        transform_for("vgg16", None)
    with pytest.raises(ArtsearchError, match="unknown interpolation 'cubic'.*bicubic"):
        transform_for(replace(NETWORKS["vgg16"], interpolation="cubic"))
    with pytest.raises(ArtsearchError, match="unknown network 'vg16'; did you mean 'vgg16'"):
        transform_for("vg16")
