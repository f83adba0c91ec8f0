"""An index on disk answers as one built from nothing would, whatever became of its features."""

import functools
import json
import shutil
from itertools import product

import numpy as np
import pytest
from tiers import slow

from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import ShardedRows
from artsearch.features.features import Features
from artsearch.index import exact as index_module
from artsearch.index import stored as stored_index_module
from artsearch.index.base import Index
from artsearch.index.factory import (
    METRICS,
    AnnoyIndex,
    ExactIndex,
    construct_ann_index,
    construct_exact_index,
)
from artsearch.index.stored import checksum_rows, stored_index

MADE_BY = {"network": "made up", "pool": 1, "collection": "before"}
DIMS = 12

both = pytest.mark.parametrize("kind", ["exact", "annoy"])
every = pytest.mark.parametrize("metric", METRICS)


def make(rows=range(40), shift: dict | None = None, **note) -> Features:
    """Make features of some works; each has a row of its own, which `shift` changes."""
    vectors = [
        np.random.default_rng(row).normal(size=DIMS) + (shift or {}).get(row, 0) for row in rows
    ]
    return Features(np.array(vectors), [f"{row:03}.jpg" for row in rows], MADE_BY | note)


def from_nothing(kind: str, metric: str, features: Features):
    if kind in ("exact", "faiss"):  # which finds all among as few as these
        return construct_exact_index(metric, features)
    return construct_ann_index(metric, 10, features)


def stored(features: Features, folder, kind: str, metric: str = "angular", **options):
    return stored_index(features, folder, kind, metric, **{"num_trees": 10} | options)


def assert_same_answers(index, expected, features: Features) -> None:
    assert (index.ids, index.metric, index.provenance) == (
        expected.ids,
        expected.metric,
        expected.provenance,
    )
    queries = [*features.ids[::3], *make(range(100, 103)).vectors]
    for query in queries:
        ids, distances = index.search(query, k=7)
        other_ids, other_distances = expected.search(query, k=7)
        assert ids == other_ids and distances.tolist() == other_distances.tolist()


@pytest.fixture
def builds(monkeypatch):
    """Count the indexes that are built from all of their features."""
    kinds = []
    for cls in (AnnoyIndex, ExactIndex):

        def build(*args, real=cls.build, kind=cls.kind, **options):
            kinds.append(kind)
            return real(*args, **options)

        # By its signature it is told which options a kind has.
        monkeypatch.setattr(cls, "build", staticmethod(functools.wraps(cls.build)(build)))
    return kinds


@pytest.fixture
def prepared(monkeypatch):
    """Note how many rows are prepared at a time."""
    counts, real = [], index_module.prepare_rows

    def prepare(vectors, metric, medians):
        counts.append(len(vectors))
        return real(vectors, metric, medians)

    monkeypatch.setattr(index_module, "prepare_rows", prepare)
    return counts


# Kept


@both
@every
def test_the_first_time_it_is_built_and_then_loaded(tmp_path, builds, kind, metric):
    features = make()
    first = stored(features, tmp_path / "index", kind, metric)
    assert builds == [kind]
    again = stored(make(), tmp_path / "index", kind, metric)
    assert builds == [kind]
    expected = from_nothing(kind, metric, features)
    assert_same_answers(first, expected, features)
    assert_same_answers(again, expected, features)


@both
def test_an_index_that_is_loaded_is_not_written_again(tmp_path, monkeypatch, kind):
    stored(make(), tmp_path / "index", kind)
    monkeypatch.setattr(Index, "save", lambda *args: pytest.fail("written"))
    stored(make(), tmp_path / "index", kind)


def test_the_folder_holds_index_and_checksums_and_nothing_is_left_beside_it(tmp_path):
    for shift in (None, {3: 1}):
        stored(make(shift=shift), tmp_path / "index", "exact")
        assert [path.name for path in tmp_path.iterdir()] == ["index"]
        assert {path.name for path in (tmp_path / "index").iterdir()} == {
            *("ids.json", "vectors.npy", "checksums.npy", MANIFEST)
        }


# Changed

CHANGES = {
    "added at the end": make(range(45)),
    "added in between": make([*range(20), *range(60, 63), *range(20, 40)]),
    "changed": make(shift={0: 1, 7: -2, 39: 0.5}),
    "changed a little": make(shift={7: 1e-5}),
    "removed": make([row for row in range(40) if row % 7]),
    "in another order": make(range(39, -1, -1)),
    "two swapped": make([1, 0, *range(2, 40)]),
    "all of it": make([50, 3, 2, *range(10, 30), 61], shift={2: 1}),
    "nothing the same": make(range(200, 240)),
    "another note": make(collection="after"),
    "only one half": make(range(20)),
}


#: Every change in one metric; in the others, and by a forest, those that change the most.
ALL = [*product(("exact", "annoy"), METRICS, CHANGES)]
FOLLOWED = [one for one in ALL if one[:2] == ("exact", "angular")]
FOLLOWED += [one for one in ALL if one[2] in ("all of it", "two swapped") and one not in FOLLOWED]


@pytest.mark.parametrize(
    "kind, metric, change", [*FOLLOWED, *(slow(*one) for one in ALL if one not in FOLLOWED)]
)
def test_it_follows_its_features(tmp_path, kind, metric, change):
    stored(make(), tmp_path / "index", kind, metric)
    features = CHANGES[change]
    expected = from_nothing(kind, metric, features)
    for _ in range(2):  # as it was changed, and as it was stored
        index = stored(features, tmp_path / "index", kind, metric)
        assert_same_answers(index, expected, features)


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "hamming"])
def test_an_exact_index_prepares_only_what_is_new(tmp_path, builds, prepared, metric):
    stored(make(), tmp_path / "index", "exact", metric)
    for change, fresh in {"changed": [3], "in another order": [], "all of it": [3]}.items():
        shutil.copytree(tmp_path / "index", tmp_path / change)
        builds.clear(), prepared.clear()
        stored(CHANGES[change], tmp_path / change, "exact", metric)
        assert (builds, prepared) == ([], fresh), change


@pytest.mark.parametrize("kind, metric", [("annoy", "angular"), ("exact", "hamming")])
def test_what_cannot_be_changed_is_built_again(tmp_path, builds, kind, metric):
    """Annoy takes no works in later, and the medians of Hamming are those of all works."""
    stored(make(), tmp_path / "index", kind, metric)
    stored(CHANGES["changed"], tmp_path / "index", kind, metric)
    assert builds == [kind, kind]


def test_a_forest_is_built_again_with_its_own_seed_and_trees(tmp_path):
    stored(make(), tmp_path / "index", "annoy", num_trees=3, seed=7)
    index = stored(CHANGES["changed"], tmp_path / "index", "annoy", num_trees=3, seed=7)
    expected = construct_ann_index("angular", 3, CHANGES["changed"], seed=7)
    assert (index.num_trees, index.seed) == (3, 7)
    assert_same_answers(index, expected, CHANGES["changed"])


def test_an_id_whose_row_became_that_of_another_is_noticed(tmp_path):
    """Rows that are all there, under other ids."""
    before = make(range(10))
    after = Features(np.roll(before.vectors, 1, axis=0), before.ids, MADE_BY)
    stored(before, tmp_path / "index", "exact")
    index = stored(after, tmp_path / "index", "exact")
    assert_same_answers(index, construct_exact_index("angular", after), after)


@both
@pytest.mark.parametrize(
    "options", [{"metric": "dot"}, {"num_trees": 4}, {"seed": 1}, {"kind": "other"}]
)
def test_other_settings_build_it_again(tmp_path, builds, kind, options):
    stored(make(), tmp_path / "index", kind)
    wanted = {"kind": kind} | options
    if wanted["kind"] == "other":
        wanted["kind"] = {"exact": "annoy", "annoy": "exact"}[kind]
    index = stored(make(), tmp_path / "index", **wanted)
    same = kind == "exact" and options.keys() & {"num_trees", "seed"}  # which it does not have
    assert builds == ([kind] if same else [kind, wanted["kind"]])
    for key, value in wanted.items():
        assert same and key != "kind" or getattr(index, key) == value


def test_rows_of_another_length_build_it_again(tmp_path, builds):
    stored(make(), tmp_path / "index", "exact")
    wider = Features(np.eye(5, 30), list("abcde"), MADE_BY)
    assert stored(wider, tmp_path / "index", "exact").dims == 30
    assert builds == ["exact", "exact"]


# Other kinds, and the one that is chosen

OTHERS = {
    "faiss": {"structure": "ivf", "nlist": 2, "nprobe": 2},
    "auto": {"recall": 0.9},
}
others = pytest.mark.parametrize("kind", OTHERS)


@others
def test_every_kind_is_kept_and_built_again_when_its_features_change(tmp_path, monkeypatch, kind):
    built, real = [], stored_index_module.construct_index
    monkeypatch.setattr(
        stored_index_module,
        "construct_index",
        lambda *given, **options: built.append(options) or real(*given, **options),
    )
    for features in (make(), make(), CHANGES["all of it"], CHANGES["all of it"]):
        index = stored(features, tmp_path / "index", kind, **OTHERS[kind])
        assert_same_answers(index, construct_exact_index("angular", features), features)
    assert len(built) == 2 and built[0].items() >= OTHERS[kind].items()
    assert index.settings["kind"] == ("exact" if kind == "auto" else kind)


@others
def test_other_options_build_it_again(tmp_path, kind):
    other = {"M": 9, "nprobe": 1, "compress": "half", "recall": 0.8}
    stored(make(), tmp_path / "index", kind, **OTHERS[kind])
    changed = {name: other.get(name, value) for name, value in OTHERS[kind].items()}
    index = stored(make(), tmp_path / "index", kind, **changed)
    if kind != "auto":
        assert index.settings.items() >= changed.items()
    stored(make(), tmp_path / "index", kind, **changed)


def test_what_was_chosen_comes_back_without_being_measured_again(tmp_path, monkeypatch):
    first = stored(make(), tmp_path / "index", "auto")
    monkeypatch.setattr(
        stored_index_module, "construct_index", lambda *a, **b: pytest.fail("measured again")
    )
    again = stored(make(), tmp_path / "index", "auto")
    assert again.chosen == first.chosen != ""


def test_options_that_are_not_the_kinds_are_refused(tmp_path):
    with pytest.raises(ArtsearchError, match="option of the kind 'annoy' 'recall'; known"):
        stored(make(), tmp_path / "index", "annoy", recall=0.9)
    with pytest.raises(ArtsearchError, match="kept by Milvus, in no folder; build it with"):
        stored(make(), tmp_path / "index", "milvus", uri="x.db")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_an_older_version_is_built_again(tmp_path, builds):
    (tmp_path / "index").mkdir()
    note = {"format": 2, "kind": "exact", "metric": "angular", "ids": []}
    (tmp_path / "index" / "index.json").write_text(json.dumps(note))
    index = stored(make(), tmp_path / "index", "exact")
    assert_same_answers(index, construct_exact_index("angular", make()), make())
    assert builds == ["exact", "exact"]


# Damaged, and not ours


@pytest.mark.parametrize("kind, metric", [("exact", "hamming"), slow("annoy", "angular")])
def test_one_that_is_damaged_is_built_again(tmp_path, kind, metric):
    features = make(range(12))
    expected = from_nothing(kind, metric, features)
    stored(features, tmp_path / "index", kind, metric)
    files = sorted((tmp_path / "index").iterdir())
    for path in files:
        path.write_bytes(bytes(path.stat().st_size))
        index = stored(features, tmp_path / "index", kind, metric)
        assert index.search("000.jpg", 7)[0] == expected.search("000.jpg", 7)[0], path.name
    assert len(files) > 3


@both
def test_a_folder_with_other_things_is_left_alone(tmp_path, kind):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'thesis.txt'"):
        stored(make(), tmp_path, kind)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtsearchError, match="a file is in the way"):
        stored(make(), tmp_path / "file", "exact")


def test_wrong_settings_are_refused_and_the_index_stays(tmp_path):
    stored(make(), tmp_path / "index", "annoy")
    for options, says in {
        ("annoy", "angula", 10): "unknown metric 'angula'; did you mean 'angular'",
        ("annoi", "angular", 10): "unknown kind of index 'annoi'; did you mean 'annoy'",
        ("annoy", "angular", 0): "num_trees is 0",
    }.items():
        kind, metric, num_trees = options
        with pytest.raises(ArtsearchError, match=says):
            stored_index(make(), tmp_path / "index", kind, metric, num_trees)
    assert stored(make(), tmp_path / "index", "annoy").num_trees == 10


@both
@every
def test_rows_that_cannot_be_indexed_are_refused_as_ever(tmp_path, kind, metric):
    stored(make(), tmp_path / "index", kind, metric)
    with pytest.raises(ArtsearchError, match="features of 2 works hold .* first is '004.jpg'"):
        stored(make(shift={4: np.nan, 9: np.inf}), tmp_path / "index", kind, metric)
    with pytest.raises(ArtsearchError, match="the features hold no work"):
        stored(Features(np.empty((0, DIMS)), []), tmp_path / "index", kind, metric)
    assert_same_answers(
        stored(make(), tmp_path / "index", kind, metric), from_nothing(kind, metric, make()), make()
    )


# Rows in shards


@both
@every
def test_rows_in_shards_are_as_good_as_in_one_array(tmp_path, builds, kind, metric):
    def in_shards(features: Features) -> Features:
        parts = np.array_split(features.vectors, 3)
        return Features(ShardedRows(parts), features.ids, features.provenance)

    stored(make(), tmp_path / "index", kind, metric)
    stored(in_shards(make()), tmp_path / "index", kind, metric)
    assert builds == [kind]
    features = CHANGES["all of it"]
    index = stored(in_shards(features), tmp_path / "index", kind, metric)
    assert_same_answers(index, from_nothing(kind, metric, features), features)


def test_marks_tell_rows_that_changed_by_one_bit():
    features = make(range(5))
    vectors = features.vectors.copy()
    vectors[3, 9] = np.nextafter(vectors[3, 9], np.float32(9))
    changed = checksum_rows(features) != checksum_rows(Features(vectors, features.ids))
    assert changed.tolist() == [False, False, False, True, False]
