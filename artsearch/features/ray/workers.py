"""What runs on the nodes of a Ray cluster: tasks that read files, actors that hold the networks."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from artsearch.base.errors import ArtsearchError, WeightsError
from artsearch.base.progress import Progress
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.pipeline import Passes, Rows, Wanted, Work, read_work
from artsearch.networks.precision import fast_is_possible
from artsearch.works.file_state import signature

#: The column between the stages. What is in it is pickled, as Ray sends all there is.
PACKED = "packed"


@dataclass(frozen=True)
class Unseen:
    """A file that is not there for a node: gone by now, or on a disk that the node does not see."""

    work: Work
    node: str


class Known:
    """What `wanted` says of the contents that are known already, in a form that can be sent.

    A content takes 64 bytes, and one for each of the `extractors`.
    """

    def __init__(
        self, contents: Iterable[str], wanted: Wanted, extractors: Sequence[FeatureExtractor]
    ):
        known = sorted(set(contents))
        answers = [[extractor in wanted(sha256) for extractor in extractors] for sha256 in known]
        self._contents = np.array(known, "S64")
        self._wanted = np.array(answers, bool).reshape(len(known), len(extractors))

    def wanted(self, sha256: str, extractors: Sequence[FeatureExtractor]) -> list[FeatureExtractor]:
        """Return which of the extractors want a content; they are in the order of the first ones.

        They are others to Python in every process, so it is their positions that count.
        """
        content = np.bytes_(sha256)
        position = int(np.searchsorted(self._contents, content))
        if position == len(self._contents) or self._contents[position] != content:
            return list(extractors)
        pairs = zip(extractors, self._wanted[position], strict=True)
        return [extractor for extractor, is_wanted in pairs if is_wanted]


def read_files(files: pa.Table, extractors: Sequence[FeatureExtractor], known: Known) -> pa.Table:
    """Read some files (columns `id` and `path`); return a Work each, inputs by extractor number.

    In the place of a Work there is an Unseen for a file that is not there, and the ArtsearchError
    where this node cannot do its part.
    """
    numbers = {extractor: number for number, extractor in enumerate(extractors)}

    def read(work_id: str, path: bytes) -> Work | Unseen:
        path = pickle.loads(path)
        work = read_work(work_id, path, lambda sha256: known.wanted(sha256, extractors))
        if work.reason and signature(path) is None:
            return Unseen(work, _node())
        inputs = {numbers[extractor]: square for extractor, square in work.inputs.items()}
        return replace(work, inputs=inputs)

    pairs = zip(files["id"].to_pylist(), files["path"].to_pylist(), strict=True)
    return _pack(_attempt(read, id, path) for id, path in pairs)


class Networks:
    """An actor: the networks of all extractors, and their passes over what was read.

    `weights` are the hashes that the networks have where the job was started.
    """

    def __init__(
        self,
        extractors: Sequence[FeatureExtractor],
        weights: Sequence[str],
        batch_size: int | None,
        works: int,
        cpus: int,
    ):
        self._extractors, self._weights = extractors, weights
        self._options = batch_size, works
        self._cpus = cpus
        self._passes: Passes | None = None
        self._open = ExitStack()  # until the actor ends

    def __call__(self, read: pa.Table) -> pa.Table:
        """Return one list of all that became of some works: Work, Rows, Unseen, errors."""
        # Loaded only here: of what fails in its constructor, Ray tells only that an actor died.
        return _pack([_attempt(self._compute, unpack(read))])

    def _compute(self, read: Iterable[Work | Unseen | ArtsearchError]) -> list:
        passes = self._load()
        done: list = []
        for one in read:
            if isinstance(one, Work):
                inputs = {self._extractors[key]: value for key, value in one.inputs.items()}
                one = replace(one, inputs=inputs)
                done += passes.add(one)
            done.append(one)
        done += passes.finish()
        # Works first: where rows come twice, the second ones are then known to be.
        done.sort(key=lambda one: isinstance(one, Rows))
        return [self._numbered(one) if isinstance(one, Rows) else one for one in done]

    def _numbered(self, rows: Rows) -> Rows:
        return replace(rows, extractor=self._extractors.index(rows.extractor))

    def _load(self) -> Passes:
        if self._passes is None:
            import torch

            for extractor, weights in zip(self._extractors, self._weights, strict=True):
                _check_node(extractor, weights)
            torch.set_num_threads(self._cpus)
            passes = Passes(self._extractors, *self._options, Progress(0, "", show=False))
            self._passes = self._open.enter_context(passes)
        return self._passes


def unpack(packed: pa.Table) -> Iterable:
    """Yield what _pack took."""
    return (pickle.loads(one.as_buffer()) for one in packed[PACKED])


def _pack(values: Iterable) -> pa.Table:
    packed = [pickle.dumps(value, protocol=5) for value in values]
    return pa.table({PACKED: pa.array(packed, pa.large_binary())})


def _attempt(function: Callable, *args: object):
    """Return what a function gives, or its error where it is one to tell the user."""
    try:
        return function(*args)
    except ImportError as error:
        return ArtsearchError(
            f"node {_node()} lacks what is installed here ({error}); install the same there"
        )
    except ArtsearchError as error:
        return error


def _check_node(extractor: FeatureExtractor, weights: str) -> None:
    """Raise ArtsearchError where this node would compute other rows than its fellows."""
    if extractor.fast and not fast_is_possible():
        raise ArtsearchError(
            f"precision is 'fast', but node {_node()} does not compute in bfloat16 by itself; run "
            "with --precision exact (precision='exact'), or leave that node out"
        )
    name, found = extractor.network.name, extractor.weights
    if found != weights:
        raise WeightsError(
            f"node {_node()} has other weights of {name}: their SHA-256 begins with {found[:8]}, "
            f"not {weights[:8]} as here; put the same file on all nodes"
        )


def _node() -> str:
    import ray

    return ray.util.get_node_ip_address()
