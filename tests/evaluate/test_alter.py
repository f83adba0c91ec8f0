"""Each alteration does what it says, to pictures of any size, and the same every time."""

import math

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from artsearch.base.errors import ArtsearchError
from artsearch.evaluate.alterations import (
    ALTERATIONS,
    DETAILS,
    FRAME,
    SIDE,
    WALL,
    alter_all,
    chance,
    detail,
)
from artsearch.works.images import open_image

TINY = [(1, 1), (1, 50), (50, 1), (3, 2), (2, 2)]


@pytest.fixture(scope="module")
def painting(paintings):
    image = open_image(paintings / "vincent-van-gogh_village-street-in-auvers.jpg")
    return image.resize((240, 180))


def alter(name, image, seed=0):
    return ALTERATIONS[name](image, np.random.default_rng(seed))


def edges(image):
    """Return the variance of the Laplacian: how sharp or noisy a picture is."""
    kernel = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
    return np.asarray(image.convert("L").filter(kernel), dtype=float).var()


def differ(first, second):
    """Return by how many of 255 levels two pictures of one size differ on average."""
    assert first.size == second.size
    return np.asarray(ImageChops.difference(first, second), dtype=float).mean()


def pixels(image):
    return np.asarray(image, dtype=float)


def test_they_are_those_of_the_experiment_and_say_how_strong_they_are():
    kinds = "crop, blur, noise, JPEG, colour shift, black and white, rotation, mirrored, frame"
    assert list(ALTERATIONS) == [*kinds.split(", "), "photograph"]
    assert all(alteration.name == name for name, alteration in ALTERATIONS.items())
    says = {name: alteration.description for name, alteration in ALTERATIONS.items()}
    for name, strength in [("crop", "80%"), ("JPEG", "quality 10"), ("rotation", "10°")]:
        assert strength in says[name]


@pytest.mark.parametrize("name", ALTERATIONS)
def test_the_same_chance_gives_the_same_picture_and_the_work_stays(name, painting):
    before = painting.tobytes()
    first, again = alter(name, painting, 5), alter(name, painting, 5)
    assert first.mode == "RGB" and first.tobytes() == again.tobytes()
    assert painting.tobytes() == before
    assert first.tobytes() != before or first.size != painting.size


@pytest.mark.parametrize("name", ["crop", "noise", "colour shift", "rotation", "photograph"])
def test_another_chance_gives_another_picture(name, painting):
    assert len({alter(name, painting, seed).tobytes() for seed in range(8)}) > 1


@pytest.mark.parametrize("size", TINY)
@pytest.mark.parametrize("seed", [0, 1])
def test_tiny_pictures_come_through(size, seed, noise):
    pictures = alter_all(noise(*size), "tiny", seed=seed)
    assert len(pictures) == len(ALTERATIONS) + len(DETAILS)
    for picture in pictures.values():
        assert picture.mode == "RGB" and min(picture.size) >= 1
        assert picture.width <= size[0] + 40 and picture.height <= size[1] + 40


def test_a_crop_keeps_four_fifths_of_the_area(painting):
    image = alter("crop", painting)
    share = math.prod(image.size) / math.prod(painting.size)
    assert share == pytest.approx(0.8, abs=0.01)


def test_blur_takes_edges_and_noise_brings_them(painting):
    assert edges(alter("blur", painting)) < 0.2 * edges(painting)
    assert edges(alter("noise", painting)) > 1.2 * edges(painting)


def test_noise_has_the_spread_it_says():
    grey = Image.new("RGB", (200, 200), (128, 128, 128))
    noisy = pixels(alter("noise", grey))
    assert noisy.std() == pytest.approx(25, rel=0.02) and noisy.mean() == pytest.approx(128, abs=1)


def test_jpeg_keeps_the_size_and_loses_detail(painting):
    assert 2 < differ(alter("JPEG", painting), painting) < 25


def test_colours_shift_one_way_or_the_other_and_the_lightness_stays(painting):
    shifted = [alter("colour shift", painting, seed) for seed in range(12)]
    for image in shifted:
        assert differ(image, painting) > 5
        assert differ(image.convert("L"), painting.convert("L")) < 20
    saturation = [pixels(image.convert("HSV"))[..., 1].mean() for image in (painting, *shifted)]
    assert min(saturation) < saturation[0] < max(saturation)


def test_black_and_white_has_equal_channels(painting):
    red, green, blue = alter("black and white", painting).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()
    assert differ(red, painting.convert("L")) < 1


def test_a_rotation_shows_all_of_the_work_on_grey(painting):
    for seed in range(4):
        image = alter("rotation", painting, seed)
        assert image.width > painting.width and image.height > painting.height
        assert image.getpixel((0, 0)) == image.getpixel((image.width - 1, 0)) == (128, 128, 128)
        back = image.rotate(10), image.rotate(-10)
        assert min(differ(middle(one, painting), middle(painting, painting)) for one in back) < 20


def middle(image, like):
    """Return the middle of a picture, half as wide and as high as another one."""
    left, top = (image.width - like.width // 2) // 2, (image.height - like.height // 2) // 2
    return image.crop((left, top, left + like.width // 2, top + like.height // 2))


def test_mirrored_twice_is_the_work(painting):
    assert alter("mirrored", alter("mirrored", painting)).tobytes() == painting.tobytes()


def test_a_frame_lies_around_the_work(painting):
    image = alter("frame", painting)
    width = round(FRAME * min(painting.size))
    assert image.width - painting.width == pytest.approx(2 * width, abs=4)
    edge = (image.width - painting.width) // 2
    inside = image.crop((edge, edge, edge + painting.width, edge + painting.height))
    assert inside.tobytes() == painting.tobytes()
    red, green, blue = image.getpixel((2, 2))
    assert red > green > blue  # wood
    assert min(image.getpixel((edge - 2, edge + 20))) > 200  # the mat


@pytest.mark.parametrize("seed", range(6))
def test_a_photograph_shows_the_work_from_one_side_in_uneven_light(seed):
    half = Image.new("RGB", (200, 160), "blue")
    half.paste("red", (0, 0, 100, 160))
    image = alter("photograph", half, seed)
    red, green, blue = np.moveaxis(pixels(image), 2, 0)
    is_red, is_blue = (red > 100) & (blue < 60), (blue > 100) & (red < 60)
    left, right = np.flatnonzero(is_red.any(axis=0)), np.flatnonzero(is_blue.any(axis=0))
    assert left.mean() < right.mean()  # it is not mirrored
    # The near edge is the longer one, and the wall is lighter there.
    near_is_left = is_red[:, left[5]].sum() > is_blue[:, right[-5]].sum()
    lengths = sorted((is_red[:, left[5]].sum(), is_blue[:, right[-5]].sum()))
    assert 0.7 < lengths[0] / lengths[1] < 0.92
    lights = [sum(image.getpixel((x, 0))) for x in (0, image.width - 1)]
    assert (lights[0] > lights[1]) == near_is_left
    assert min(lights) / max(lights) == pytest.approx(0.6, abs=0.03) and max(lights) <= sum(WALL)


def test_photographs_are_taken_from_both_sides(painting):
    corners = [alter("photograph", painting, seed).getpixel((0, 0))[0] for seed in range(8)]
    assert min(corners) < 130 < 180 < max(corners)


@pytest.mark.parametrize("share", [*DETAILS, 0.03, 1])
@pytest.mark.parametrize("size", [(640, 480), (333, 777), (1, 50), (3, 1000)])
def test_a_detail_has_its_share_of_the_area(share, size, noise):
    part = detail(noise(*size), share, np.random.default_rng(1))
    # At most half a row or column of pixels is off.
    assert abs(math.prod(part.size) - share * math.prod(size)) <= max(part.size)
    if min(size) > 100:
        assert part.width / part.height == pytest.approx(size[0] / size[1], rel=0.02)


def test_details_lie_all_over_the_work():
    across = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).convert("RGB")
    lefts = [
        detail(across, 0.25, np.random.default_rng(seed)).getpixel((0, 0))[0] for seed in range(60)
    ]
    assert min(lefts) < 20 and max(lefts) > 108 and max(lefts) <= 128


@pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share, painting):
    with pytest.raises(ArtsearchError, match="above 0 and at most 1"):
        detail(painting, share, np.random.default_rng(0))


def test_all_of_a_work_by_name(noise):
    work = noise(1500, 900)
    pictures = alter_all(work, "w", seed=3)
    assert list(pictures)[-5:] == [f"detail of {share} %" for share in (10, 20, 25, 30, 50)]
    assert pictures["blur"].size == (SIDE, 384) and work.size == (1500, 900)
    assert pictures["detail of 25 %"].size == (750, 450)
    few = alter_all(work, "w", {"noise": ALTERATIONS["noise"]}, [0.25], seed=3)
    for name, picture in few.items():
        assert picture.tobytes() == pictures[name].tobytes()
    other = alter_all(work, "v", {"noise": ALTERATIONS["noise"]}, [0.25], seed=3)
    assert all(other[name].tobytes() != few[name].tobytes() for name in few)


def test_chance_depends_on_seed_work_and_alteration():
    drawn = {
        chance(*key).integers(2**62)
        for key in [(0, "a", "blur"), (1, "a", "blur"), (0, "b", "blur"), (0, "a", "crop")]
    }
    assert len(drawn) == 4
    assert chance(np.int64(1), "a", "x").integers(99) == chance(1, "a", "x").integers(99)
