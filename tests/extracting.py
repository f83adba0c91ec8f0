"""Extraction by a tiny network, for tests that kill it, starve it or race it."""

import time

import torch
from torch import nn

from artsearch import Collection, FeatureExtractor
from artsearch.features.extract import extract

LITE = "efficientnet_lite0"


def tiny_model() -> nn.Module:
    """Return a small network with the same weights every time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.Conv2d(8, 6, 3))


def tiny_extractor(**options) -> FeatureExtractor:
    """Return an extractor by the tiny network, under the name of a real one."""
    options = {"layers": "2", "precision": "exact", "model": tiny_model()} | options
    return FeatureExtractor(LITE, **options)


def run(folder, out, **options):
    """Extract by the tiny network, in small batches and shards; return its Features."""
    options = {"batch_size": 4, "progress": False, "shard_rows": 10} | options
    extractors = options.pop("extractors", None) or [tiny_extractor()]
    found = extract(Collection(folder), extractors, out, **options)
    return next(iter(found.values()))


class Slow(FeatureExtractor):
    """An extractor that takes its time over each batch."""

    seconds = 0.0

    def rows(self, inputs):
        time.sleep(self.seconds)
        return super().rows(inputs)
