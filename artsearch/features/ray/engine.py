"""The pipeline on Ray Data: one machine or many, a GPU for each network where there are any."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from artsearch.base.errors import ArtsearchError, EngineError, check_whole
from artsearch.base.progress import Progress
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.pipeline import Rows, Wanted, Work, title_of
from artsearch.features.ray.session import quiet, session
from artsearch.features.ray.workers import Known, Networks, Unseen, read_files, unpack
from artsearch.works.file_state import signature

#: Works that travel together at most, on processors and to a GPU: what is lost with a node.
BLOCK_WORKS, GPU_BLOCK_WORKS = 64, 512
#: Bytes of inputs that travel together at most.
BLOCK_BYTES = 32_000_000
#: Works that travel together at least, where there are as many: a forward pass on a processor.
LEAST_WORKS = 8
#: Processors that share the networks of one actor at most.
ACTOR_CPUS = 4
#: The part of a processor that is set apart for reading. To the system it is no limit: where
#: files are large, reading takes what the networks leave.
READING = 0.25


@dataclass(frozen=True)
class Actors:
    """How the networks are spread over a cluster: actors to begin with, and what each one takes."""

    number: int
    cpus: int
    gpus: int

    @property
    def share(self) -> float:
        """What is set apart of the processors of a node; beside a GPU all of them may read."""
        return 0 if self.gpus else self.cpus * (1 - READING)


def run_on_ray(
    paths: dict[str, Path],
    extractors: Sequence[FeatureExtractor],
    wanted: Wanted,
    known: Iterable[str] = (),
    batch_size: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    address: str | None = None,
) -> Iterator[Work | Rows]:
    """Do what `pipeline.run` does on a Ray of this machine, or on the cluster at `address`.

    Works and rows come in any order, a Work before its Rows, and may come twice where a node
    was lost. `known` are the contents of which there are rows, as `wanted` can tell. `workers` is
    how many blocks of files are read at a time, as many as there is room for if None.

    Raises ArtsearchError for what `session` cannot give, for a node that lacks a file, has other
    weights or cannot compute in the precision, and for whatever else ends the job.
    """
    for name, value in {"batch_size": batch_size, "workers": workers}.items():
        if value is not None:
            check_whole(name, value)
    extractors = list(dict.fromkeys(extractors))
    with (
        session(address) as ray,
        quiet(),
        Progress(len(paths), title_of(extractors), show=progress) as bar,
    ):
        try:
            data = _pipeline(
                paths, extractors, Known(known, wanted, extractors), batch_size, workers
            )
            for one in _results(data):
                yield _taken(one, paths, extractors)
                bar.update(not isinstance(one, Rows))
        except ray.exceptions.RayError as error:
            raise EngineError(
                f"the job on Ray ended before its time ({_cause(error)}); what was computed is "
                "kept, and the same command goes on from there"
            ) from error


def plan_actors(nodes: Sequence[dict]) -> Actors:
    """Return how to spread the networks over nodes, as `ray.nodes()` describes them.

    >>> big, small = ({"Alive": True, "Resources": {"CPU": cpus}} for cpus in (16, 2))
    >>> plan_actors([big])
    Actors(number=4, cpus=4, gpus=0)
    >>> plan_actors([big, small])
    Actors(number=9, cpus=2, gpus=0)
    >>> plan_actors([big, {"Alive": True, "Resources": {"CPU": 8, "GPU": 2}}])
    Actors(number=2, cpus=4, gpus=1)
    """
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(one.get("GPU", 0) for one in resources))
    if gpus:
        return Actors(gpus, ACTOR_CPUS, 1)
    cpus = [int(one["CPU"]) for one in resources if one.get("CPU", 0) >= 1] or [1]
    each = min(ACTOR_CPUS, *cpus)
    return Actors(sum(number // each for number in cpus), each, 0)


def block_size(works: int, extractors: Iterable[FeatureExtractor], actors: Actors) -> int:
    """Return how many works travel together: few enough for the memory, and for all to have some.

    >>> block_size(1_000_000, [FeatureExtractor("vgg16", precision="exact")], Actors(4, 4, 0))
    64
    """
    sides = {(one.transform, one.fast): one.network.size for one in extractors}
    bytes_each = sum(3 * side**2 for side in sides.values())
    most = GPU_BLOCK_WORKS if actors.gpus else BLOCK_WORKS
    spread = max(LEAST_WORKS, works // (4 * actors.number))
    return max(1, min(most, BLOCK_BYTES // bytes_each, spread))


def _pipeline(
    paths: dict[str, Path],
    extractors: Sequence[FeatureExtractor],
    known: Known,
    batch_size: int | None,
    workers: int | None,
):
    """Return the Ray Data dataset that is all the work; nothing of it is done yet."""
    import ray.data

    actors = plan_actors(ray.nodes())
    blocks = _blocks(paths, block_size(len(paths), extractors, actors))
    readers = [extractor.without_model() for extractor in extractors]
    read = ray.data.from_arrow(list(blocks)).map_batches(
        partial(read_files, extractors=readers, known=known),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1 if actors.gpus else READING,
        compute=ray.data.TaskPoolStrategy(workers),
    )
    weights = [extractor.weights for extractor in extractors]
    works_each = len(paths) // actors.number
    return read.map_batches(
        Networks,
        fn_constructor_args=(extractors, weights, batch_size, works_each, actors.cpus),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=actors.share,
        num_gpus=actors.gpus,
        # No upper end: nodes that join later get theirs.
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=actors.number),
    )


def _blocks(paths: dict[str, Path], size: int) -> Iterator[pa.Table]:
    """Yield the files in tables of some works, each path pickled: it may be one of a store."""
    items = list(paths.items())
    for start in range(0, len(items), size):
        ids, files = zip(*items[start : start + size], strict=True)
        # Whole, since a worker stands in a folder of its own.
        whole = [file.absolute() if isinstance(file, Path) else file for file in files]
        yield pa.table({"id": list(ids), "path": [pickle.dumps(file) for file in whole]})


def _results(data) -> Iterator[Work | Rows | Unseen]:
    """Yield what the nodes found, as it comes; raise what they could not do."""
    for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
        for found in unpack(table):
            for one in found if isinstance(found, list) else [found]:
                if isinstance(one, ArtsearchError):
                    raise one
                yield one


def _taken(
    one: Work | Rows | Unseen, paths: dict[str, Path], extractors: Sequence[FeatureExtractor]
) -> Work | Rows:
    """Return what a node found as this process knows it."""
    if isinstance(one, Rows):
        return replace(one, extractor=extractors[one.extractor])
    if isinstance(one, Work):
        return one
    if signature(paths[one.work.id]) is not None:
        raise ArtsearchError(
            f"node {one.node} does not see {str(paths[one.work.id])!r}, which is here; put the "
            "collection on a disk that all nodes share under the same name, or in object storage"
        )
    return one.work


def _cause(error: Exception) -> str:
    """Return the line of what Ray says that names the error itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A traceback of Ray's has several errors, the wrappings among them; those are Ray's own.
    named = [line for line in lines if re.match(r"(?!ray\.)[\w.]+(Error|Exception): ", line)]
    return (named or lines or [type(error).__name__])[-1][:300]
