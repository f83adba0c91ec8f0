"""What is measured, each in a process of its own: the article's loop, ours, and the limit.

The job comes as JSON: method, network, folder of works, folder to write in, compile or not.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from worker import serve

from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.networks.forward import GPU_BATCH
from artsearch.networks.loading import build_model
from artsearch.networks.network import Network
from artsearch.networks.pooling import flatten
from artsearch.networks.precision import choose_precision, device
from artsearch.networks.registry import NETWORKS, transform_for
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

#: The article's batch, and that of the bare forward pass.
BATCH = 16

#: One round, which returns how many works it did.
Round = Callable[[], int]


def article(job: dict) -> tuple[Round, dict]:
    """The article's loop: eager, float32, no workers, rows in a list, stacked at the end."""
    network = NETWORKS[job["network"]]
    model = build(network).to(device())
    caught = catch(model, network.layer)
    works = Opened(job, transform_for(network))

    def run() -> int:
        rows = []
        for pixels in DataLoader(works, batch_size=BATCH, num_workers=0):
            with torch.no_grad():
                model(pixels.to(device()))
            rows.append(flatten(caught["output"], network.pool).cpu().numpy())
        return len(np.vstack(rows))

    return run, warm_up(run, compiled=False)


def ours(precision: str, compile: bool, job: dict) -> tuple[Round, dict]:
    """From files to a store on disk, as `extract` does it for every user."""
    compile = compile and job["compile"]
    extractor = make_extractor(job, precision, compile)

    def run() -> int:
        with tempfile.TemporaryDirectory(dir=job["scratch"]) as out:
            works, workers = Collection(job["folder"]), job.get("workers")
            (found,) = extract(works, [extractor], out, workers=workers, progress=False).values()
            return len(found)

    return run, warm_up(run, compile)


def bare(precision: str, job: dict) -> tuple[Round, dict]:
    """The limit: the network alone, as far as the layer, on normalised pixels in memory."""
    choose_precision(precision)  # says so where the machine has no bfloat16
    network, kind = NETWORKS[job["network"]], device()
    model = Bare(network).to(kind, memory_format=torch.channels_last)
    if job["compile"]:
        model.compile(dynamic=False)
    pixels = torch.stack(list(Opened(job, transform_for(network)))).to(kind)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    batches = pixels.split(BATCH if kind == "cpu" else GPU_BATCH)
    fast = precision == "fast"

    def run() -> int:
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=fast):
            return sum(len(model(batch).cpu()) for batch in batches)

    return run, warm_up(run, job["compile"])


def loader(processes: int, job: dict) -> tuple[Round, dict]:
    """A plain DataLoader with worker processes in place of our threads; rows in memory."""
    extractor = make_extractor(job, "fast", job["compile"])
    works = Opened(job, extractor.preprocess, extractor.side)
    if job["compile"]:
        extractor.runner.compile(BATCH)

    def run() -> int:
        batches = DataLoader(works, batch_size=BATCH, num_workers=processes)
        rows = [extractor.rows(squares.numpy()) for squares in batches]
        return sum(len(values) for layers in rows for values in layers.values())

    return run, warm_up(run, job["compile"])


def warm_up(run: Round, compiled: bool) -> dict:
    """Run before the rounds begin, so that files are in the page cache and memory is there.

    A second pass where there is compiling: what the first takes longer is its price.
    """
    first = seconds(run)
    if not compiled:
        return {"compiled": False}
    return {"compiled": True, "compile_s": max(0.0, first - seconds(run))}


def seconds(run: Round) -> float:
    """Return how long a round takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def make_extractor(job: dict, precision: str, compile: bool) -> FeatureExtractor:
    """Return ours with random weights, which are as fast as trained ones and need no download."""
    network = NETWORKS[job["network"]]
    return FeatureExtractor(network, model=build(network), precision=precision, compile=compile)


def build(network: Network) -> nn.Module:
    """Return a network with random weights, the same ones each time."""
    torch.manual_seed(0)
    return build_model(network).eval()


def catch(model: nn.Module, layer: str) -> dict:
    """Hook a layer by hand; return the dict that will hold its output."""
    caught = {}
    module = dict(model.named_modules())[layer]
    module.register_forward_hook(lambda _, inputs, output: caught.update(output=output))
    return caught


class Bare(nn.Module):
    """A network that returns what its layer gives, and does nothing else."""

    def __init__(self, network: Network):
        super().__init__()
        self.model = build(network)
        self.caught = catch(self.model, network.layer)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.model(pixels)
        return self.caught["output"]


class Opened:
    """The works of a job, opened and transformed; a map-style dataset."""

    def __init__(self, job: dict, transform: Callable, side: int | None = None):
        self.paths = sorted(Path(job["folder"]).iterdir())
        self.transform, self.side = transform, side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int):
        return self.transform(open_image(self.paths[row], self.side))


METHODS: dict[str, Callable[[dict], tuple[Round, dict]]] = {
    "article": article,
    "exact": partial(ours, "exact", True),
    "fast": partial(ours, "fast", True),
    "exact_eager": partial(ours, "exact", False),
    "fast_eager": partial(ours, "fast", False),
    "forward_exact": partial(bare, "exact"),
    "forward_fast": partial(bare, "fast"),
    "threads": partial(ours, "fast", True),
    "processes": lambda job: loader(job["workers"], job),
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    serve(partial(METHODS[job["method"]], job))
