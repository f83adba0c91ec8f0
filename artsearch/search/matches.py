"""The regions that match in two works: where in the pictures a network sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.index.metrics import unit_rows
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import choose_layer, is_map, load_model
from artsearch.networks.network import Network
from artsearch.networks.registry import transform_for
from artsearch.networks.transforms import Transform
from artsearch.search.question import Region
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    import torch

#: A position takes in its neighbours on this many sides, so that it means a thing and not an edge.
AROUND = 1


@dataclass(frozen=True)
class Match:
    """Two regions that look alike to a network: rectangles as shares of each picture.

    `strength` is the cosine of what the network gives at both, each less the mean of the pictures.
    """

    first: Region
    second: Region
    strength: float


class Matcher:
    """A network made ready to say which regions of two pictures match.

    It compares the maps of one layer position by position: the deep one that the network's blend
    takes its covariance from, else the last that is a map. Raises what choose_layer raises.
    """

    def __init__(self, network: Network, crop: str):
        self.layer = choose_layer(network)
        self._transform: Transform = transform_for(network, crop)
        self._model = load_model(network)

    def match(self, first: ImageSource, second: ImageSource, most: int = 5) -> list[Match]:
        """Return the regions that match best, the best first, none of them over another.

        Positions are each other's nearest in the two pictures (best buddies; Dekel et al. 2015,
        CVPR, section 3). There may be fewer than `most`, or none. Raises ImageError.
        """
        check_whole("most", most)
        pictures = [open_image(first), open_image(second)]
        maps = self.maps(pictures)
        kept = [self._transform.kept(*picture.size) for picture in pictures]
        shares = [_share(box, picture.size) for box, picture in zip(kept, pictures, strict=True)]
        side = maps.shape[1:3]
        pairs = choose_pairs(maps[0], maps[1], most)
        return [
            Match(_region(first, side, shares[0]), _region(second, side, shares[1]), strength)
            for first, second, strength in pairs
        ]

    def maps(self, pictures: list) -> np.ndarray:
        """Return what the layer gives for some RGB images: images × height × width × channels."""
        import torch

        batch = torch.stack([self._transform(picture) for picture in pictures])
        with LayerHook(self._model, self.layer) as hook, torch.inference_mode():
            self._model(batch)
            output = hook.output
        if len(output) != len(pictures) or not is_map(output.shape[1:]):
            raise ArtsearchError(
                f"layer {self.layer!r} gives the shape {tuple(output.shape[1:])}, which is no map "
                "of positions; take another network"
            )
        return _smooth(output).permute(0, 2, 3, 1).float().numpy()


def choose_pairs(
    first: np.ndarray, second: np.ndarray, most: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int], float]]:
    """Yield pairs of positions (row, column) that are each other's nearest, the weightiest first.

    `first` and `second` are maps, height × width × channels. A position beside one that was chosen
    before is passed over, so that the pairs tell of different things.
    """
    mean = np.concatenate([_flat(first), _flat(second)]).mean(axis=0)
    ones, others = _flat(first) - mean, _flat(second) - mean
    cosines = unit_rows(ones) @ unit_rows(others).T
    there, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    mutual = np.flatnonzero(back[there] == np.arange(len(there)))
    # By what a pair adds to the likeness of the two: an empty ground is like another, and says
    # little. At the edge a network sees its own padding more than the picture.
    worth = np.einsum("ij,ij->i", ones[mutual], others[there[mutual]])
    chosen: list[tuple] = []
    for at in np.argsort(-worth, kind="stable"):
        position = mutual[at]
        one = divmod(int(position), first.shape[1])
        other = divmod(int(there[position]), second.shape[1])
        inside = _is_inside(one, first) and _is_inside(other, second)
        clear = all(_apart(one, a) and _apart(other, b) for a, b in chosen)
        if worth[at] > 0 and inside and clear and len(chosen) < most:
            chosen.append((one, other))
            yield one, other, float(cosines[position, there[position]])


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    reach = 2 * AROUND + 1
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= reach


def _is_inside(position: tuple[int, int], maps: np.ndarray) -> bool:
    return all(AROUND <= at < n - AROUND for at, n in zip(position, maps.shape, strict=False))


def _flat(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(-1, maps.shape[-1])


def _smooth(maps: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import avg_pool2d

    return avg_pool2d(maps, 2 * AROUND + 1, 1, AROUND, count_include_pad=False)


def _share(box: tuple[int, int, int, int], size: tuple[int, int]) -> Region:
    left, top, right, bottom = box
    return left / size[0], top / size[1], right / size[0], bottom / size[1]


def _region(position: tuple[int, int], side: tuple[int, int], kept: Region) -> Region:
    """Return a position of the map, with what it takes in around it, as shares of the picture."""
    (row, column), (rows, columns) = position, side
    left, top, right, bottom = kept
    across = [max(0, column - AROUND) / columns, min(columns, column + 1 + AROUND) / columns]
    down = [max(0, row - AROUND) / rows, min(rows, row + 1 + AROUND) / rows]
    (x0, x1), (y0, y1) = (
        [start + share * (end - start) for share in shares]
        for shares, start, end in ((across, left, right), (down, top, bottom))
    )
    return x0, y0, x1, y1
