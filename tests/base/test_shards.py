"""Rows in several files are used like the one array that they would be together."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from artsearch.base.vectors import SHARD_ROWS, ShardedRows, names, read_rows, write_rows

#: A busy machine is no failure.
LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=5)


def make(lengths, dims: int = 4) -> tuple[ShardedRows, np.ndarray]:
    """Rows in shards of some lengths, and the same in one array."""
    whole = np.arange(sum(lengths) * dims, dtype=np.float32).reshape(-1, dims)
    return ShardedRows(np.split(whole, np.cumsum(lengths)[:-1])), whole


def assert_same(found, expected) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(found, expected)


def assert_same_choice(rows: ShardedRows, whole: np.ndarray, key) -> None:
    """Choose from both: the same comes out, or the same kind of error."""
    try:
        expected = whole[key]
    except IndexError:
        with pytest.raises(IndexError):
            rows[key]
    else:
        assert_same(rows[key], expected)


# Choosing rows


@given(LENGTHS, st.integers(-30, 30))
def test_a_number(lengths, number):
    assert_same_choice(*make(lengths), number)
    assert_same_choice(*make(lengths), np.int64(number))


@given(LENGTHS, st.data())
def test_a_slice(lengths, data):
    assert_same_choice(*make(lengths), data.draw(st.slices(sum(lengths))))


@given(LENGTHS, st.slices(40))
def test_a_slice_that_reaches_beyond(lengths, key):
    assert_same_choice(*make(lengths), key)


@given(LENGTHS, st.lists(st.integers(-25, 25), max_size=12))
def test_a_list_or_an_array_of_numbers(lengths, numbers):
    assert_same_choice(*make(lengths), numbers)
    assert_same_choice(*make(lengths), np.array(numbers, dtype=np.int32))


@given(LENGTHS, st.data())
def test_an_array_of_truths(lengths, data):
    rows, whole = make(lengths)
    mask = data.draw(arrays.arrays(bool, data.draw(st.sampled_from([len(whole), 3]))))
    assert_same_choice(rows, whole, mask)


@given(LENGTHS.filter(sum), st.data())
def test_any_key_that_numpy_takes(lengths, data):
    rows, whole = make(lengths)
    key = data.draw(arrays.basic_indices(whole.shape, allow_newaxis=True, allow_ellipsis=True))
    assert_same_choice(rows, whole, key)
    assert_same_choice(rows, whole, data.draw(arrays.integer_array_indices(whole.shape)))


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), 2), (3, 2), (-1, slice(1, 3)), ([5, 0, 5], 1), ([5, 0], slice(None)),
        ([5, 0], [1, 3]), (slice(1, 5), [3, 1]), (np.arange(7) > 2, 0), (slice(None), None, 1),
        np.array([[0, 6], [3, 3]]), (np.array([[0, 6], [3, 3]]), slice(0, 2)), np.array(4),
        (slice(None), np.array([True, False, True, False])), [], (), ..., (..., 1), None,
        np.arange(28).reshape(7, 4) % 3 == 0, ([[0], [6]], [1, 3]), (2, 9), (7, 0), 2.5, "a",
    ],
    ids=str,
)  # fmt: skip
def test_keys_of_every_kind(key):
    assert_same_choice(*make([2, 0, 4, 1]), key)


def test_iterating_gives_the_rows_one_by_one():
    rows, whole = make([2, 3, 0, 1])
    assert [row.tolist() for row in rows] == whole.tolist()
    assert len(rows) == 6


def test_a_slice_within_a_shard_is_not_copied():
    rows, _ = make([4, 4])
    assert np.shares_memory(rows[5:7], rows[4]) or rows[5:7].base is rows[5].base
    assert np.shares_memory(rows[5:7], rows[6])


def test_rows_cannot_be_changed():
    rows, _ = make([2, 2])
    with pytest.raises(TypeError):
        rows[0] = 1
    with pytest.raises(TypeError):
        rows += 1


# Computing


def test_what_numpy_computes_is_the_same():
    rows, whole = make([3, 1, 2])
    vector, other = np.arange(4, dtype=np.float32), np.ones((6, 4))
    for function in (
        lambda x: x + 1,
        lambda x: 2 - x,
        lambda x: x / other,
        lambda x: other * x,
        lambda x: x * x,
        lambda x: -x > vector,
        lambda x: x == x[3],
        lambda x: x @ vector,
        lambda x: vector @ x.T,
        lambda x: np.dot(x, vector),
        lambda x: np.sqrt(x),
        lambda x: np.add.reduce(x),
        lambda x: np.linalg.norm(x, axis=1),
        lambda x: np.mean(x, axis=0),
        lambda x: x.mean(axis=1, keepdims=True),
        lambda x: x.sum(),
        lambda x: np.median(x, axis=0),
        lambda x: np.isfinite(x).all(),
        lambda x: np.concatenate([x, x]),
        lambda x: np.vstack([x[:0], x]),
        lambda x: x.astype(np.float64),
        lambda x: np.asarray(x, dtype=np.int64),
        lambda x: np.array(x, copy=True),
        lambda x: x.size,
        lambda x: x.tolist(),
        lambda x: np.allclose(x, whole),
        lambda x: np.einsum("ij,ij->i", x, x),
    ):
        assert_same(function(rows), function(whole))


def test_shape_and_kind_are_known_without_reading():
    rows, whole = make([3, 1, 2])
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == (
        whole.shape,
        whole.dtype,
        whole.ndim,
        len(whole),
    )


def test_one_array_without_copying_is_refused():
    with pytest.raises(ValueError, match="only by copying"):
        np.asarray(make([1, 1])[0], copy=False)


def test_copies_and_pickles_are_the_same():
    rows, whole = make([1, 2])
    assert_same(copy.copy(rows), whole)
    assert_same(copy.deepcopy(rows), whole)
    assert_same(pickle.loads(pickle.dumps(rows)), whole)


def test_what_an_array_does_not_have_is_missing_here_too():
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = make([1, 1])[0].colour


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="rows of different lengths"):
        ShardedRows([np.zeros((2, 3)), np.zeros((2, 4))])


# Files


@pytest.fixture
def stored(tmp_path):
    """Store rows in shards of some lengths; return the paths and the rows."""

    def stored(*lengths: int, dims: int = 3):
        rng = np.random.default_rng(0)
        whole = rng.normal(size=(sum(lengths), dims)).astype(np.float32)
        parts = np.split(whole, np.cumsum(lengths)[:-1])
        paths = []
        for number, part in enumerate(parts):
            paths.append(tmp_path / names(number, len(parts))[0])
            paths[-1].parent.mkdir(exist_ok=True)
            write_rows(paths[-1], part.shape, (part[at : at + 2] for at in range(0, len(part), 2)))
        return paths, whole

    return stored


@pytest.mark.parametrize("lengths", [(5,), (4, 4, 3), (1,) * 12, (0,)])
def test_rows_come_back_to_the_last_bit(stored, lengths):
    paths, whole = stored(*lengths)
    assert_same(read_rows(paths), whole)


def test_numpy_alone_reads_the_shards_in_order_of_their_names(stored, tmp_path):
    paths, whole = stored(*[2] * 12)
    found = sorted((tmp_path / "img_emb").iterdir())
    assert found == paths and [path.name for path in found[:2]] == [
        "img_emb_00.npy",
        "img_emb_01.npy",
    ]
    assert_same(np.concatenate([np.load(path) for path in found]), whole)


def test_names_say_nothing_else_than_numbers():
    assert names(10, of=11) == ("img_emb/img_emb_10.npy", "metadata/metadata_10.parquet")
    assert names(9, of=10)[0] == "img_emb/img_emb_9.npy"
    hundred = [names(number, of=101)[1] for number in range(101)]
    assert hundred == sorted(hundred) and len(set(hundred)) == 101
    assert SHARD_ROWS > 0


@pytest.mark.parametrize("kind", [np.float64, np.complex64, ">f8"])
def test_chunks_of_other_numbers_are_written_as_single(tmp_path, kind):
    rows = np.arange(6).reshape(2, 3)
    write_rows(tmp_path / "a.npy", (2, 3), [np.asfortranarray(rows.astype(kind).real)])
    assert np.load(tmp_path / "a.npy").dtype == np.dtype("<f4")
    assert np.load(tmp_path / "a.npy").tolist() == rows.tolist()


def test_nothing_is_read_at_opening(stored):
    paths, _ = stored(4, 4)
    rows = read_rows(paths)
    assert isinstance(rows, ShardedRows)
    assert all(isinstance(shard, np.memmap) for shard in rows._shards)
    assert isinstance(read_rows(paths[:1]), np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0][0] = 1


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 3)),
        np.zeros((2, 3), np.int32),
        np.zeros((2, 3), np.float16),
        np.zeros((2, 3), ">f4"),
        np.zeros(6, np.float32),
        np.zeros((2, 3, 1), np.float32),
        np.float32(1),
    ],
    ids=lambda wrong: f"{wrong.dtype}{wrong.shape}",
)
def test_what_are_no_rows_of_single_precision_is_refused(stored, wrong):
    paths, _ = stored(2, 2)
    np.save(paths[1], wrong)
    with pytest.raises(ValueError, match=f"rows of {wrong.dtype} in the shape"):
        read_rows(paths)


def test_pickled_objects_are_never_opened(stored):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was opened",)

    paths, _ = stored(2, 2)
    np.save(paths[0], np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="object"):
        read_rows(paths)


def test_a_shard_that_was_cut_is_refused(stored):
    paths, _ = stored(4, 4)
    paths[1].write_bytes(paths[1].read_bytes()[:-4])
    with pytest.raises(ValueError):
        read_rows(paths)
