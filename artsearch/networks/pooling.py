"""From a layer's maps to one row an image: means, moments, and how channels go together."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import nn

from artsearch.base.errors import ArtsearchError
from artsearch.networks.maps import channels_first
from artsearch.networks.network import CHANNELS


def pool_output(output: torch.Tensor, pooling: str = "", grid: int = 1) -> torch.Tensor:
    """Return a layer's output as float32, one row an image.

    Without a pooling, maps are averaged to a grid × grid and tokens are averaged. Raises
    ArtsearchError where a pooling wants maps or tokens and the layer gives one number a channel.
    """
    if not pooling:
        return flatten(output, grid).float()
    if output.ndim not in (3, 4):
        raise ArtsearchError(
            f"pooling {pooling!r} wants a layer that gives maps or tokens; this one gives "
            f"{output.ndim - 1} dimensions an image; take an earlier layer, see layers(network)"
        )
    return _pool(output, pooling)


def flatten(output: torch.Tensor, pool: int = 1) -> torch.Tensor:
    """Return a layer's output as one row an image: maps pooled to a grid, tokens averaged."""
    output = channels_first(output)
    if output.ndim == 4:
        output = nn.functional.adaptive_avg_pool2d(output, pool)
    elif output.ndim == 3:
        output = output.mean(dim=1)
    return output.flatten(1)


# Eigenvalues are no work for the compiler, and want float32 whatever the network computes in.
@torch.compiler.disable
def _pool(output: torch.Tensor, pooling: str) -> torch.Tensor:
    with torch.autocast(output.device.type, enabled=False):
        maps = channels_first(output).float()
        maps = maps.flatten(2) if maps.ndim == 4 else maps.transpose(1, 2)
        return FUNCTIONS[pooling](maps)


def moments(maps: torch.Tensor) -> torch.Tensor:
    """Return mean and standard deviation of each channel, from images × channels × positions.

    What adaptive instance normalisation carries from one picture to another as its style (Huang
    and Belongie 2017, arXiv:1703.06868).
    """
    deviation, mean = torch.std_mean(maps, dim=2, correction=0)
    return torch.cat([mean, deviation], dim=1)


def generalised_mean(maps: torch.Tensor, p: float = 3.0) -> torch.Tensor:
    """Return the generalised mean of each channel, which lies between mean and maximum.

    Radenović, Tolias and Chum 2018, arXiv:1711.02512, equation 3; negative values count as 0.
    """
    return maps.clamp(min=1e-6).pow(p).mean(dim=2).pow(1 / p)


def gram(maps: torch.Tensor, channels: int | None = CHANNELS) -> torch.Tensor:
    """Return the square root of the Gram matrix: which channels are strong at the same positions.

    Gatys, Ecker and Bethge 2016, CVPR, equation 3, divided by the number of positions. The square
    root of the matrix keeps its few large eigenvalues from drowning the others (Li et al. 2017,
    arXiv:1703.08050); an image's row is its upper triangle, so scaled that the inner product of two
    rows is that of the two matrices. `channels` is how many directions are kept, None for all.
    """
    maps = _project(maps, channels)
    return _triangle(_root(maps @ maps.mT / maps.shape[2]))


def covariance(maps: torch.Tensor) -> torch.Tensor:
    """Return the square root of the covariance of the channels: as `gram`, without their means.

    Of deep layers it holds what is where, whatever the tone of the whole: instance normalisation
    takes style out in the same way.
    """
    maps = _project(maps, CHANNELS)
    return gram(maps - maps.mean(dim=2, keepdim=True))


FUNCTIONS = {
    "gram": gram,
    "covariance": covariance,
    "moments": moments,
    "gem": generalised_mean,
}


def _project(maps: torch.Tensor, most: int | None) -> torch.Tensor:
    channels = maps.shape[1]
    if most is None or channels <= most:
        return maps
    return directions(channels, most).to(maps.device) @ maps


@lru_cache
def directions(channels: int, kept: int) -> torch.Tensor:
    """Return random orthonormal directions, kept × channels: the same ones everywhere."""
    random = np.random.default_rng(channels).standard_normal((channels, kept))
    ways, triangle = np.linalg.qr(random)
    # Each library has its own taste in signs; these make the directions unique.
    return torch.from_numpy((ways * np.sign(np.diag(triangle))).T.astype(np.float32))


def _root(matrices: torch.Tensor) -> torch.Tensor:
    # In single precision LAPACK gives up on some matrices of low rank, or fills them with NaN:
    # those of a picture in one colour are of this kind.
    values, vectors = torch.linalg.eigh(matrices.double())
    return ((vectors * values.clamp(min=0).sqrt()[:, None]) @ vectors.mT).float()


def _triangle(matrices: torch.Tensor) -> torch.Tensor:
    side = matrices.shape[1]
    rows, columns = torch.triu_indices(side, side, device=matrices.device)
    scale = torch.where(rows == columns, 1.0, 2**0.5)
    return matrices[:, rows, columns] * scale
