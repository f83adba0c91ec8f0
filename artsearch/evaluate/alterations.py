"""What happens to a picture on its way to somebody who searches with it: crops, blur, a frame, …"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from artsearch.base.errors import ArtsearchError
from artsearch.search.experiment import lose_colours
from artsearch.works.images import open_image, to_jpeg

#: Shares of a work's area that a detail has.
DETAILS = (0.10, 0.20, 0.25, 0.30, 0.50)
#: The longer side, in pixels, to which a work is brought before it is altered, so that noise and
#: JPEG do as much to a scan of 4,000 pixels as to a picture of 640. Details are of all its pixels.
SIDE = 640

CROP = 0.80  # of the area
BLUR = 0.01  # sigma, of the longer side
NOISE = 25  # standard deviation, of 255
QUALITY = 10
HUE, SATURATION, CAST = 20, 1.5, 0.12  # degrees; times; of the red and the blue light
ANGLE = 10  # degrees
FRAME = 0.15  # of the shorter side
FAR = 0.80  # the length of the work's far edge in a photograph
NEAR_LIGHT, FAR_LIGHT = 255, 153  # of 255
WALL_AROUND = 0.15  # of the longer side
ASIDE, FEW_PIXELS, LAMP = 45, 480, 200  # degrees; pixels of the longer side; of 255

GREY = (128, 128, 128)
WALL = (196, 190, 180)
# A frame from the work outwards: mat, its shadow, moulding, its lit ridge, its dark edge; together
# FRAME of the shorter side.
_RINGS = (
    (0.050, (236, 230, 214)),
    (0.005, (70, 45, 25)),
    (0.050, (122, 78, 42)),
    (0.025, (150, 100, 58)),
    (0.020, (84, 52, 28)),
)

Function = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Alteration:
    """Something that is done to a picture: a call takes an RGB image and a random generator.

    The image that goes in is left as it is; the one that comes out is RGB, of at least one pixel,
    and the same for a generator in the same state. The description says how strongly it is done.
    """

    name: str
    description: str
    function: Function

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return self.function(image, rng)


#: What is done to a work, by name.
ALTERATIONS: dict[str, Alteration] = {}


def _alteration(name: str, description: str) -> Callable[[Function], Function]:
    """Take a function among ALTERATIONS."""

    def register(function: Function) -> Function:
        ALTERATIONS[name] = Alteration(name, description, function)
        return function

    return register


def detail(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """Return a part of an image, at a random place: `share` of its area, in its proportions.

    Raises ArtsearchError for a share that is not above 0 and at most 1.

    >>> detail(Image.new("RGB", (100, 60)), 0.25, np.random.default_rng(0)).size
    (50, 30)
    """
    check_share(share)
    width = max(1, round(image.width * math.sqrt(share)))
    # From the width as it was rounded, so that the area is right for narrow pictures too.
    height = round(share * image.width * image.height / width)
    height = min(max(1, height), image.height)
    left = int(rng.integers(image.width - width, endpoint=True))
    top = int(rng.integers(image.height - height, endpoint=True))
    return image.crop((left, top, left + width, top + height))


def check_share(share: float) -> None:
    """Raise ArtsearchError unless a detail's share is above 0 and at most 1."""
    if not 0 < share <= 1:
        raise ArtsearchError(f"a detail's share is {share!r}; take one above 0 and at most 1")


def detail_name(share: float) -> str:
    """Return what a detail is called in tables.

    >>> detail_name(0.25)
    'detail of 25 %'
    """
    return f"detail of {share * 100:g} %"


def alter_all(
    image: Image.Image,
    work_id: str,
    alterations: Mapping[str, Alteration] | None = None,
    details: Sequence[float] = DETAILS,
    seed: int = 0,
) -> dict[str, Image.Image]:
    """Return a work, an RGB image, in all its alterations and details, by their names.

    All ALTERATIONS if none are given. Alterations start from the work at SIDE pixels or fewer,
    details from all its pixels. Chance depends on the seed, the id and the alteration's name alone:
    each picture is the same whichever others are asked for.
    """
    small = image.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    alterations = ALTERATIONS if alterations is None else alterations
    pictures = {n: alter(small, chance(seed, work_id, n)) for n, alter in alterations.items()}
    for share in details:
        name = detail_name(share)
        pictures[name] = detail(image, share, chance(seed, work_id, name))
    return pictures


def chance(seed: int, work_id: str, name: str) -> np.random.Generator:
    """Return the random generator for one alteration of one work."""
    digest = hashlib.sha256(repr((int(seed), work_id, name)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


@_alteration("crop", f"{CROP:.0%} of the area, from a random place")
def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return detail(image, CROP, rng)


@_alteration("blur", f"Gaussian blur, sigma {BLUR:.0%} of the longer side")
def _blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    # Pillow's, since torchvision's fails where the kernel is wider than the picture.
    return image.filter(ImageFilter.GaussianBlur(BLUR * max(image.size)))


@_alteration("noise", f"Gaussian noise, standard deviation {NOISE} of 255")
def _noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    # NumPy's, since torchvision's takes no generator: threads would share one state.
    pixels = np.asarray(image, dtype=np.float32)
    noisy = pixels + NOISE * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


@_alteration("JPEG", f"saved as a JPEG of quality {QUALITY} of 100")
def _jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return open_image(to_jpeg(image, QUALITY))


@_alteration(
    "colour shift",
    f"hues turned by {HUE}° one way or the other, saturation times or divided by {SATURATION}, "
    f"{CAST:.0%} more red and less blue or the other way round",
)
def _shift_colours(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from torchvision.transforms.v2.functional import adjust_hue

    hue, saturation, cast = rng.choice((-1, 1), 3)
    image = adjust_hue(image, float(hue) * HUE / 360)
    image = ImageEnhance.Color(image).enhance(SATURATION ** float(saturation))
    red, blue = 1 + cast * CAST, 1 - cast * CAST
    return image.convert("RGB", (red, 0, 0, 0, 0, 1, 0, 0, 0, 0, blue, 0))


@_alteration("black and white", "only how light each point is")
def _lose_colours(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return lose_colours(image)


@_alteration("rotation", f"turned by {ANGLE}° to the left or the right, with grey around")
def _rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    angle = ANGLE * float(rng.choice((-1, 1)))
    return image.rotate(angle, Image.Resampling.BILINEAR, expand=True, fillcolor=GREY)


@_alteration("mirrored", "left and right swapped")
def _mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


@_alteration(
    "frame", f"a wooden frame with a light mat around, {FRAME:.0%} of the shorter side wide"
)
def _frame(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    shorter = min(image.size)
    for share, colour in _RINGS:
        image = ImageOps.expand(image, max(1, round(share * shorter)), colour)
    return image


@_alteration(
    "photograph",
    f"on a wall, from one side: the far edge is {FAR:.0%} as long as the near one, and the light "
    f"falls off to {FAR_LIGHT / NEAR_LIGHT:.0%} across the picture",
)
def _photograph(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    # Mirrored before and after, the work is as it was, and the camera on its other side.
    turn = ImageOps.mirror if rng.integers(2) else Image.Image.copy
    return turn(_see_from_left(turn(image), rng))


def _photograph_badly(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Photograph a work from far aside, with half of its frame, a lamp in it, and few pixels."""
    from torchvision.transforms.v2.functional import InterpolationMode, perspective

    turn = ImageOps.mirror if rng.integers(2) else Image.Image.copy
    wide = max(1, round(FRAME * min(image.size)))
    framed = Image.new("RGB", (image.width + wide, image.height + wide), _RINGS[2][1])
    framed.paste(turn(image), (wide, wide))
    scene = ImageOps.expand(framed, wide, WALL)
    left, top, right, bottom = wide, wide, scene.width - wide, scene.height - wide
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    # Seen under ASIDE degrees from one and a half widths away: so much shorter is the far edge.
    half = math.sin(math.radians(ASIDE)) / 2
    near, far = (1 / (1.5 + sign * half) for sign in (-1, 1))
    drop = (1 - far / near) / 2 * framed.height
    narrow = (1 - math.cos(math.radians(ASIDE)) * math.sqrt(far / near)) / 2 * framed.width
    moved = [[narrow, 0], [-narrow, drop], [-narrow, -drop], [narrow, 0]]
    seen = (np.array(corners) + moved).tolist()
    photo = turn(perspective(scene, corners, seen, InterpolationMode.BILINEAR, fill=WALL))
    photo.thumbnail((FEW_PIXELS, FEW_PIXELS), Image.Resampling.LANCZOS)
    across, down = np.meshgrid(*(np.linspace(0, 1, side) for side in photo.size))
    x, y = rng.uniform(0.3, 0.7, 2)
    lamp = LAMP * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 0.12**2))
    lit = np.asarray(photo, dtype=np.float32) + lamp[..., None]
    return Image.fromarray(np.clip(np.rint(lit), 0, 255).astype(np.uint8))


#: A photograph as visitors take them, by which identify is measured besides.
STRONG = {
    "strong photograph": Alteration(
        "strong photograph",
        f"from {ASIDE}° aside, with half of the frame and a lamp's glare, {FEW_PIXELS} pixels long",
        _photograph_badly,
    )
}


def _see_from_left(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Hang a work on a wall, and look at it from the left, where the light comes from too."""
    from torchvision.transforms.v2.functional import InterpolationMode, perspective

    wall = max(1, round(WALL_AROUND * max(image.size)))
    scene = ImageOps.expand(image, wall, WALL)
    left, top, right, bottom = wall, wall, wall + image.width, wall + image.height
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    # The far edge is shorter, and both edges are nearer to each other than they were.
    drop, closer = (1 - FAR) / 2 * image.height, (1 - FAR) / 2 * image.width
    moved = [[closer, 0], [-closer, drop], [-closer, -drop], [closer, 0]]
    tilt = rng.uniform(-0.01, 0.01, (4, 2)) * min(image.size)  # no hand is quite steady
    seen = (np.array(corners) + moved + tilt).tolist()
    photo = perspective(scene, corners, seen, InterpolationMode.BILINEAR, fill=WALL)
    # Light falls off from the left to the right.
    light = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90)
    light = light.point([NEAR_LIGHT + (FAR_LIGHT - NEAR_LIGHT) * x / 255 for x in range(256)])
    return ImageChops.multiply(photo, light.resize(photo.size).convert("RGB"))
