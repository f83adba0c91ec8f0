"""Questions put to a collection, held to answers that NumPy counts out work by work."""

import io
import re
import unicodedata

import numpy as np
import pytest
from asking import (
    check_answer,
    distances_by_hand,
    make_blend_search,
    make_collection,
    make_search,
    make_vectors,
    nearest_by_hand,
)
from PIL import Image
from tiers import slow

from artsearch.base.errors import ArtsearchError, ImageError, MismatchError, TooFewWorks
from artsearch.features.compute import compute_features
from artsearch.features.features import Features
from artsearch.index.candidates import COPY, copy_distance
from artsearch.index.factory import METRICS, construct_exact_index
from artsearch.search.answer import ADDABLE
from artsearch.search.question import Question
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.conditions import WhereError

COUNT = 600
#: Every metric, and a blend. A question is answered by all rows whatever the kind of index is, so
#: one forest stands for all, and one place of the dial for its ends.
SEARCHES = [*(("exact", metric) for metric in METRICS), ("annoy", "angular"), ("blend", 0.3)]
MORE = [
    *(("annoy", metric) for metric in METRICS if metric != "angular"),
    *(("blend", place) for place in (0, 1)),
]
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("works") / "many", COUNT)


@pytest.fixture(scope="module")
def works(collection):
    return collection.works


@pytest.fixture(scope="module")
def vectors():
    return make_vectors(COUNT)


@pytest.fixture(scope="module", params=[*SEARCHES, *map(slow, MORE)], ids=str)
def asked(request, collection, vectors):
    """A search, its rows, and the metric in which they are compared."""
    kind, metric = request.param
    if kind == "blend":
        search = make_blend_search(collection, metric)
        return search, search.blend.at(metric).vectors, "angular"
    return make_search(collection, kind, metric, vectors), vectors, metric


@pytest.fixture(scope="module")
def search(collection, vectors):
    return make_search(collection, "annoy", "angular", vectors)


def without(*rows: int) -> np.ndarray:
    keep = np.ones(COUNT, bool)
    keep[list(rows)] = False
    return keep


# Required attributes


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ('style == "Pointillism" and kind == "painting"', lambda works: np.zeros(COUNT, bool)),
        ('style == "Pointillism"', lambda works: works["style"] == "Pointillism"),
        ('kind == "print"', lambda works: works["kind"] == "print"),
        ('only == "this one"', lambda works: works["only"] == "this one"),
        ('kind in ["print", "painting"]', lambda works: np.ones(COUNT, bool)),
    ],
    ids=["0 %", "1 %", "50 %", "one work", "all"],
)
def test_the_nearest_of_those_that_match_are_all_found(asked, collection, works, where, match):
    search, rows, metric = asked
    match = np.asarray(match(works))
    for query, k in ((0, 10), (13, 3), (7, 60)):
        distances = distances_by_hand(metric, rows, rows[query])
        expected = nearest_by_hand(distances, match & without(query), k)
        answer = search.ask(collection.ids[query], k, where=where)
        check_answer(answer, collection, distances, expected)
        count = f"{match.sum()}" if match.any() else "None"
        verb = "matches" if match.sum() == 1 else "match"
        assert answer.notes[0] == f"{count} of {COUNT} works {verb} {where}."
        missing = [note for note in answer.notes if "left to show" in note]
        works_left = f"{len(expected)} work{'' if len(expected) == 1 else 's'}"
        assert missing == [f"{works_left} left to show, of {k} asked for."] * (len(expected) < k)


def test_where_nothing_matches_it_is_said_why(search, collection):
    where = 'style == "Pointillism" and kind == "painting"'
    answer = search.ask(collection.ids[0], where=where)
    assert answer.notes == (
        f"None of 600 works match {where}.",
        "Its parts match, each alone: 6, 300.",
        "0 works left to show, of 10 asked for.",
    )
    assert len(answer) == 0 and answer.table().empty and answer.groups == {}


def test_works_without_a_number_are_counted(search, collection, works):
    answer = search.ask(collection.ids[0], 5, where="year >= 1700")
    assert answer.notes[1:3] == (
        "Not compared: 60 works without year.",
        "Not compared: 60 works, whose year is not read as a number or as years: 'n.d.'.",
    )
    assert all(
        re.match(r"(c\. )?1[789]", works.loc[collection.row(id), "year"]) for id in answer.ids
    )


def test_an_unknown_value_is_named_with_the_nearest(search, collection):
    with pytest.raises(WhereError, match="unknown style 'Pointilism'; did you mean 'Pointillism'?"):
        search.ask(collection.ids[0], where='style == "Pointilism"')


@pytest.mark.parametrize("metric", METRICS)
def test_annoy_misses_works_by_itself_and_none_when_asked(collection, vectors, metric):
    """The forest has three trees and looks at few nodes; a question is answered by all rows."""
    random = np.random.default_rng(3).normal(size=(COUNT, 24)).astype(np.float32)
    search = make_search(collection, "annoy", metric, random)
    distances = distances_by_hand(metric, random, random[0])
    expected = nearest_by_hand(distances, without(0), 50)
    if metric not in ("hamming", "dot"):
        missed = search.index.search(collection.ids[0], 50, search_k=1)[0]
        assert missed != [collection.ids[row] for row in expected]
    check_answer(search.ask(collection.ids[0], 50), collection, distances, expected)


# Groups


@pytest.mark.parametrize("column", ["style", "artist", "only"])
@pytest.mark.parametrize("each", [1, 3, 40])
def test_the_nearest_of_each(asked, collection, works, column, each):
    search, rows, metric = asked
    distances = distances_by_hand(metric, rows, rows[4])
    groups = []
    for value in set(works[column]) - {""}:
        group = nearest_by_hand(distances, (works[column] == value) & without(4), each)
        groups.append((distances[group[0]], value, group))
    # A tie, which only Hamming has, goes by the name of the group.
    groups.sort(key=lambda one: one[:2])
    answer = search.ask(collection.ids[4], group_by=column, group_size=each)
    check_answer(answer, collection, distances, sum((group for *_, group in groups), []))
    assert [one.group for one in answer] == [value for _, value, group in groups for _ in group]
    assert [*answer.groups] == [value for _, value, _ in groups]
    assert answer.notes[-1] == f"{len(groups)} different in {column}."
    empty = ((works[column] == "") & without(4)).sum()
    if empty:
        assert answer.notes[0] == f"In no group: {empty} works without {column}."


def test_no_group_is_left_where_nothing_matches(search, collection):
    answer = search.ask(collection.ids[0], group_by="style", where="year > 3000")
    assert len(answer) == 0 and answer.notes[-1] == "0 different in style."


def test_a_long_text_costs_no_memory_when_it_is_a_group(tmp_path):
    """A fixed width for all would be 300 times a megabyte times four."""
    import tracemalloc

    collection = make_collection(tmp_path / "works", 300)
    collection.works.loc[5, "kind"] = "x" * 1_000_000
    search = make_search(collection, "exact", "angular", make_vectors(300))
    tracemalloc.start()
    answer = search.ask(collection.ids[0], group_by="kind")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(len(value) for value in answer.groups) == [5, 8, 1_000_000]
    assert peak < 100e6


# Exclusions


def test_not_by_the_same_artist(asked, collection, works):
    search, rows, metric = asked
    distances = distances_by_hand(metric, rows, rows[50])
    keep = (works["artist"] != works["artist"][50]).to_numpy() & without(50)
    answer = search.ask(collection.ids[50], 20, exclude_same="artist")
    check_answer(answer, collection, distances, nearest_by_hand(distances, keep, 20))
    assert answer.notes == (f"Left out of the same artist: {(~keep).sum() - 1} works.",)


def test_not_by_any_of_the_artists_liked_nor_of_their_kind(search, collection, works, vectors):
    liked = [50, 200, 301]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = distances_by_hand("angular", vectors, units[liked].mean(axis=0))
    keep = ~works["artist"].isin(works["artist"][liked]) & ~works["kind"].isin(["print"])
    likes = [collection.ids[row] for row in liked]
    assert set(works["kind"][liked]) == {"print", "painting"}
    answer = search.ask(likes, 20, exclude_same=["artist", "kind"])
    assert len(answer) == 0  # both kinds are liked
    likes = [collection.ids[row] for row in (301, 201)]
    distances = distances_by_hand("angular", vectors, units[[301, 201]].mean(axis=0))
    keep = ~works["artist"].isin(works["artist"][[301, 201]]) & (works["kind"] != "print")
    answer = search.ask(likes, 20, exclude_same=["artist", "kind"])
    check_answer(answer, collection, distances, nearest_by_hand(distances, keep.to_numpy(), 20))


def test_an_artist_is_the_same_whatever_the_case_the_accents_and_the_spaces(tmp_path):
    collection = make_collection(tmp_path / "works", 6)
    spellings = ["Albrecht Dürer", "albrecht durer", " ALBRECHT DÜRER ", "", "Dürer's pupil"]
    spellings.append(unicodedata.normalize("NFD", "Albrecht Dürer"))
    collection.works["artist"] = spellings
    search = make_search(collection, "exact", "angular", make_vectors(6))
    answer = search.ask(collection.ids[0], exclude_same="artist")
    assert set(answer.ids) == {collection.ids[3], collection.ids[4]}


def test_nothing_is_left_out_where_the_artist_is_not_known(search, collection, works):
    assert works["artist"][0] == ""
    answer = search.ask(collection.ids[0], 20, exclude_same="artist")
    assert answer.ids == search.ask(collection.ids[0], 20).ids
    assert answer.notes == ("No artist is known of what is asked for: none is left out.",)


def test_these_works_are_left_out(asked, collection):
    search, rows, metric = asked
    distances = distances_by_hand(metric, rows, rows[3])
    nearest = nearest_by_hand(distances, without(3), 5)
    exclude = [collection.ids[row] for row in nearest]
    answer = search.ask(collection.ids[3], 10, exclude=exclude)
    check_answer(
        answer, collection, distances, nearest_by_hand(distances, without(3, *nearest), 10)
    )
    one = search.ask(collection.ids[3], 4, exclude=exclude[0])
    assert one.ids == exclude[1:]


# Copies


def one_of_each(metric, rows, near, distances, keep):
    """Return the nearest first, those nearer than a distance to one before left out, and counted.

    The counts are of works among `keep` that are near.
    """
    keep, kept, behind = keep.copy(), [], []
    for row in nearest_by_hand(distances, keep, len(rows)):
        if keep[row]:
            copies = keep & (distances_by_hand(metric, rows, rows[row]) < near)
            copies[row] = False
            keep &= ~copies
            kept.append(row)
            behind.append(int(copies.sum()))
    return kept, behind


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "dot"])
def test_planted_copies_are_left_out_and_others_are_not(collection, metric):
    rows = np.random.default_rng(5).normal(size=(COUNT, 24)).astype(np.float32)
    rows[100:200] = rows[2]
    rows[200:203] = rows[2] + 0.01 * rows[200:203]
    search = make_search(collection, "exact", metric, rows)
    distances = distances_by_hand(metric, rows, rows[2])
    near = copy_distance(search.raw)
    copies = np.flatnonzero(distances < near).tolist()
    assert {2, *range(100, 200)} <= set(copies)
    answer = search.ask(collection.ids[2], 30, near_duplicates=False)
    expected, behind = one_of_each(metric, rows, near, distances, distances >= near)
    check_answer(answer, collection, distances, expected[:30])
    assert [one.duplicates for one in answer] == behind[:30]
    count = len(copies) - 1
    said = f"Left out as near-duplicates (nearer than {near:.3g}): {count} works."
    assert answer.notes[0] == said
    if metric != "hamming":  # in which 24 bits are soon the same
        assert count == 103


@pytest.mark.parametrize("copies", [2, 4])
def test_copies_are_told_where_most_works_have_some(tmp_path, copies):
    """The median work is then at no distance from its nearest, and says nothing."""
    collection = make_collection(tmp_path / "works", 60)
    rows = np.repeat(np.random.default_rng(0).normal(size=(60 // copies, 24)), copies, axis=0)
    search = make_search(collection, "exact", "angular", rows.astype(np.float32))
    answer = search.ask(collection.ids[0], 59, near_duplicates=False)
    # Of each the first stands for all.
    assert sorted(answer.ids) == collection.ids[copies::copies]
    assert {one.duplicates for one in answer} == {copies - 1}
    count = 60 // copies - 1
    assert answer.notes[1:] == (
        f"{count} works left to show, of 59 asked for.",
        f"Near-duplicates of the works shown, left out: {60 - copies - count}.",
    )
    table = answer.table()
    assert table["duplicates"].tolist() == [copies - 1] * count


def test_works_that_are_all_the_same_are_all_copies(tmp_path):
    collection = make_collection(tmp_path / "works", 8)
    search = make_search(collection, "exact", "euclidean", np.ones((8, 24), np.float32))
    assert len(search.ask(collection.ids[0], near_duplicates=False)) == 0


def test_the_distance_of_copies_is_learnt_once_from_the_median(search, vectors):
    units = np.float64(vectors) / np.linalg.norm(np.float64(vectors), axis=1, keepdims=True)
    between = np.sqrt(np.maximum(0, 2 - 2 * units @ units.T))
    np.fill_diagonal(between, np.inf)
    # Of 600 works 200 are drawn, so the median is near that of all.
    assert copy_distance(search.raw) == pytest.approx(
        COPY * np.median(between.min(axis=0)), rel=0.03
    )
    assert copy_distance(search.raw) == search.copy_distance


def test_an_inner_product_tells_no_copies(collection, vectors):
    search = make_search(collection, "exact", "dot", vectors)
    with pytest.raises(ArtsearchError, match="does not tell copies; .* in the metric angular"):
        search.ask(collection.ids[0], near_duplicates=False)


@pytest.mark.usefixtures("one_thread")
def test_another_file_of_the_same_painting_is_left_out_and_another_painting_is_not(
    paintings, tmp_path
):
    names = sorted(path.name for path in paintings.glob("*.jpg"))[:8]
    for name in names:
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    with Image.open(paintings / names[0]) as image:
        image.resize((image.width // 2, image.height // 2)).save(tmp_path / "copy.jpg", quality=30)
    collection = Collection(tmp_path)
    features = compute_features(collection, LITE, progress=False)
    search = Search(collection, construct_exact_index("angular", features))
    assert search.ask(names[0], 1).ids == ["copy.jpg"]
    assert set(search.ask(names[0], near_duplicates=False).ids) == set(names[1:])
    assert set(search.ask("copy.jpg", near_duplicates=False).ids) == set(names[1:])


# Several works


def test_several_works_by_weight(asked, collection):
    """Rocchio by hand: the weighted mean of those liked, less those not liked on the same scale."""
    search, rows, metric = asked
    if metric not in ADDABLE:
        with pytest.raises(ArtsearchError, match="cannot be put together in the metric 'hamming'"):
            search.ask(collection.ids[:2])
        return
    like, unlike = {5: 1.0, 77: 3.0}, {300: 0.5, 412: 1.0}
    double = np.float64(rows)
    if metric == "angular":
        double = double / np.linalg.norm(double, axis=1, keepdims=True)
    vector = (1 * double[5] + 3 * double[77] - 0.5 * double[300] - 1 * double[412]) / 4
    distances = distances_by_hand(metric, rows, vector)
    expected = nearest_by_hand(distances, without(5, 77, 300, 412), 15)
    answer = search.ask(
        {collection.ids[row]: weight for row, weight in like.items()},
        15,
        negative=[(collection.ids[row], weight) for row, weight in unlike.items()],
    )
    check_answer(answer, collection, distances, expected)
    assert answer.query is None
    assert [id for id, _ in answer.question.positive] == [collection.ids[5], collection.ids[77]]


def test_the_order_and_the_scale_of_weights_do_not_matter(search, collection):
    one, other = collection.ids[5], collection.ids[9]
    answers = [
        search.ask([one, other]).ids,
        search.ask([other, one]).ids,
        search.ask({one: 20, other: 20}).ids,
        search.ask([(other, 0.001), (one, 0.001)]).ids,
    ]
    assert answers == [answers[0]] * 4


def test_works_that_cancel_each_other_out_are_refused(asked, collection):
    search, rows, metric = asked
    cancel = "cancel each other out; give them other weights"
    with pytest.raises(ArtsearchError, match=cancel if metric in ADDABLE else "put together"):
        search.ask(collection.ids[5], negative=collection.ids[5])


def test_one_work_not_liked_turns_the_answer_away_from_it(search, collection):
    far = search.ask(collection.ids[5], COUNT).ids[-1]
    plain = search.ask(collection.ids[5], 100).distances
    answer = search.ask(collection.ids[5], 100, negative=far)
    assert far not in answer.ids and answer.query is None
    assert answer.distances != plain


# All at once


def test_all_at_once(asked, collection, works):
    search, rows, metric = asked
    if metric in ("hamming", "dot"):
        pytest.skip("it has no sum of works, or no copies")
    like, unlike, exclude = [40, 41], [90], [17, 23]
    double = np.float64(rows)
    if metric == "angular":
        double = double / np.linalg.norm(double, axis=1, keepdims=True)
    vector = double[like].mean(axis=0) - double[90] / 2
    distances = distances_by_hand(metric, rows, vector)
    near = copy_distance(search.raw)
    bare = bare_rows(search) if search.index.kind == "blend" else rows
    copies = np.any([distances_by_hand(metric, bare, bare[row]) < near for row in like], axis=0)
    keep = without(*like, *unlike, *exclude) & ~copies
    keep &= works["kind"].to_numpy() == "print"
    keep &= ~works["artist"].isin(works["artist"][like]).to_numpy()
    for _ in range(20):  # until no work of the answer is a near-duplicate of one before
        groups = [
            nearest_by_hand(distances, keep & (works["style"] == value).to_numpy(), 2)
            for value in sorted(set(works["style"]))
        ]
        groups = sorted((group for group in groups if group), key=lambda group: distances[group[0]])
        for row in sum(groups, []):
            if keep[row]:
                keep &= distances_by_hand(metric, bare, bare[row]) >= near
                keep[row] = True
    answer = search.ask(
        [collection.ids[row] for row in like],
        negative=[(collection.ids[90], 1)],
        where={"kind": "print"},
        exclude_same="artist",
        near_duplicates=False,
        exclude=[collection.ids[row] for row in exclude],
        group_by="style",
        group_size=2,
    )
    check_answer(answer, collection, distances, sum(groups, []))
    begins = ("300 of 600", "Left out of the same artist", "Left out as near-dup", "8 different")
    assert all(map(str.startswith, answer.notes, begins))


def bare_rows(search) -> np.ndarray:
    """Return the rows of a blend before they were averaged with their neighbours."""
    weights = search.blend.column_weights(search.index.provenance["dial"])
    return search.blend.raw * np.sqrt(weights)


def test_a_question_as_an_object_gives_the_same_answer(search, collection):
    options = {
        "where": 'kind == "print"',
        "exclude_same": "artist",
        "k": 7,
        "near_duplicates": False,
    }
    asked = search.ask(collection.ids[30], **options)
    assert search.answer(Question(collection.ids[30], **options)) == asked
    assert asked.query == collection.ids[30]
    assert asked.provenance == search.index.provenance and asked.metric == "angular"


# What cannot be asked


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"positive": "nothing.png"}, "unknown work 'nothing.png'"),
        ({"positive": []}, "nothing is liked"),
        ({"positive": None}, "None cannot be liked; take a work's id, an image"),
        ({"positive": ["work 00000.png", None]}, "None cannot be liked"),
        ({"positive": ("work 00000.png", 0.5)}, "0.5 cannot be liked"),
        ({"positive": {"work 00000.png": -1}}, "the weight of 'work 00000.png' is -1"),
        ({"positive": ["work 00000.png"] * 2}, "named twice"),
        ({"negative": "nothing.png"}, "unknown work 'nothing.png'"),
        ({"negative": 5}, "5 cannot be liked"),
        ({"exclude": "nothing.png"}, "unknown work 'nothing.png'"),
        ({"exclude": 5}, "5 is no name, and no list of names"),
        ({"exclude_same": "artists"}, "unknown column 'artists'; did you mean 'artist'"),
        ({"group_by": "Style"}, "unknown column 'Style'; did you mean 'style'"),
        ({"group_size": 0}, "group_size is 0"),
        ({"k": 0}, "k is 0"),
        ({"k": 2.0}, "k is 2.0"),
        ({"where": 5}, "where is a int"),
        ({"region": (0, 0, 1)}, r"take \(left, top, right, bottom\)"),
        ({"positive": np.ones(24), "region": (0, 0, 1, 1)}, "a row of numbers has no parts"),
        ({"positive": np.ones(23)}, r"the query has the shape \(23,\), the index holds rows of 24"),
        ({"positive": np.ones((2, 24))}, r"the query has the shape \(2, 24\)"),
        ({"positive": np.full(24, np.nan)}, "not finite"),
        ({"positive": np.array(["a"] * 24)}, "no row of numbers"),
        ({"negative": np.full(24, np.inf)}, "not finite"),
        ({"positive": Image.new("RGB", (9, 9))}, "does not say which network made it"),
    ],
)
def test_what_cannot_be_asked_is_named(search, question, message):
    with pytest.raises(ArtsearchError, match=message) as error:
        search.ask(**{"positive": "work 00000.png"} | question)
    assert "\n" not in str(error.value)


def test_a_work_that_the_index_does_not_hold_is_named(collection, vectors):
    """Such as one whose file could not be read when the features were computed."""
    held = [row for row in range(COUNT) if row % 3]
    features = Features(vectors[held], tuple(collection.ids[row] for row in held))
    search = Search(collection, construct_exact_index("angular", features))
    with pytest.raises(ArtsearchError, match=f"unknown work {collection.ids[0]!r}"):
        search.ask(collection.ids[0])
    # The others are compared with the row of the table that is theirs.
    keep = np.isin(np.arange(COUNT), held) & (collection.works["kind"] == "print") & without(1)
    distances = distances_by_hand("angular", vectors, vectors[1])
    answer = search.ask(
        collection.ids[1],
        20,
        where={"kind": "print"},
        exclude=collection.ids[0],
        near_duplicates=False,
    )
    assert answer.notes[0] == '200 of 400 works match kind in ["print"].'
    keep &= distances >= copy_distance(search.raw)
    check_answer(answer, collection, distances, nearest_by_hand(distances, keep, 20))
    groups = search.ask(collection.ids[1], group_by="style", group_size=2)
    styles = collection.works.set_index("id")["style"]
    assert all(styles[one.id] == one.group for one in groups)


def test_a_collection_of_one_work_has_no_other(tmp_path):
    collection = make_collection(tmp_path / "works", 1)
    search = make_search(collection, "exact", "angular", make_vectors(1))
    answer = search.ask(collection.ids[0], near_duplicates=False)
    assert len(answer) == 0 and answer.notes[-1] == "0 works left to show, of 10 asked for."
    with pytest.raises(
        TooFewWorks, match="the answer holds no work. .* 0 works left to show, of 10"
    ):
        answer[0]


@pytest.mark.parametrize("metric", METRICS)
def test_distances_far_from_zero_keep_their_order(collection, metric):
    """Where single precision has few digits left for what tells the works apart."""
    rows = (np.random.default_rng(8).normal(size=(COUNT, 24)) + 40).astype(np.float32)
    search = make_search(collection, "exact", metric, rows)
    distances = distances_by_hand(metric, rows, rows[0])
    expected = nearest_by_hand(distances, without(0), 10)
    found = search.ask(collection.ids[0])
    np.testing.assert_allclose(found.distances, distances[expected], rtol=1e-5, atol=1e-5)


# Rows and images


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_is_asked_as_its_work_is(collection, vectors, metric):
    search = make_search(collection, "annoy", metric, vectors)
    answer = search.ask(vectors[9], 8)
    expected = nearest_by_hand(distances_by_hand(metric, vectors, vectors[9]), without(), 8)
    assert answer.ids == [collection.ids[row] for row in expected]
    assert answer.query is None
    if metric != "dot":
        assert answer.distances[0] == pytest.approx(0, abs=1e-3)


def test_a_row_and_a_work_together(search, collection, vectors):
    answer = search.ask([collection.ids[3], (vectors[9], 2.0)], 10)
    assert answer.question.positive == ((collection.ids[3], 1.0), ("image 1", 2.0))
    of_works = search.ask({collection.ids[3]: 1, collection.ids[9]: 2}, 10).ids
    assert [id for id in answer.ids if id != collection.ids[9]][:9] == of_works[:9]


def test_what_was_described_before_is_taken_as_it_is(search, collection, vectors):
    given = {"drawn": Described(vectors[9], vectors[9])}
    answer = search.answer(Question("drawn", k=5, region=(0, 0, 0.5, 0.5)), given)
    assert answer.ids == search.ask(vectors[9], 5).ids


@pytest.fixture(scope="module")
def seen(few, few_features):
    """A search that has a network, over five paintings."""
    return Search(Collection(few), construct_exact_index("angular", few_features))


def test_an_image_is_described_by_the_network(seen, few):
    expected = seen.by_image(few / MONA_LISA, k=5)
    data = (few / MONA_LISA).read_bytes()
    for image in (few / MONA_LISA, data, memoryview(data), Image.open(few / MONA_LISA)):
        answer = seen.ask(image, 5)
        assert answer.ids == expected.ids and answer.ids[0] == MONA_LISA
        assert answer.distances == pytest.approx(expected.distances, abs=1e-3)
    near = [one.id for one in seen.ask([few / MONA_LISA, WAVE], 5)]
    assert near[0] == MONA_LISA and WAVE not in near


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "dot"])
def test_an_image_of_a_work_finds_it_in_every_metric(few, few_features, metric):
    collection = Collection(few)
    search = Search(collection, construct_exact_index(metric, few_features))
    found = search.ask(few / WAVE, 5)
    assert found.ids[0] == WAVE
    # A cosine of 1 has its last digit from how many rows were multiplied, and of that √(2 − 2 cos)
    # makes 2e-8.
    expected = search.by_image(few / WAVE, 5).distances
    assert found.distances == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert search.ask(few / WAVE, near_duplicates=False).ids == found.ids[1:]


def cropped(path, part) -> np.ndarray:
    with Image.open(path) as image:
        width, height = image.size
        left, top, right, bottom = part
        box = (
            round(left * width),
            round(top * height),
            round(right * width),
            round(bottom * height),
        )
        return image.convert("RGB").crop(box)


@pytest.mark.parametrize("part", [(0.25, 0.1, 0.75, 0.6), (0, 0, 1, 1), (0.98, 0, 1, 1)])
def test_a_part_of_a_work_is_the_cropped_picture(seen, few, part):
    row = seen.describe(cropped(few / MONA_LISA, part))
    distances = distances_by_hand(
        "angular", np.stack([seen.exact.row(id) for id in seen.collection]), row
    )
    for like in (MONA_LISA, few / MONA_LISA, Image.open(few / MONA_LISA)):
        answer = seen.ask(like, 4, region=part)
        expected = dict(zip(seen.collection, distances, strict=True))
        assert answer.distances == pytest.approx([expected[id] for id in answer.ids], abs=2e-3)
        assert answer.distances == sorted(answer.distances)
    assert MONA_LISA not in seen.ask(MONA_LISA, region=part).ids


def test_copies_of_a_work_are_left_out_when_only_a_part_is_asked_for(few, few_features, tmp_path):
    """A detail is further from a copy of the whole than copies are."""
    ids = (*few_features.ids, "copy.jpg")
    for id in few_features.ids:
        (tmp_path / id).write_bytes((few / id).read_bytes())
    (tmp_path / "copy.jpg").write_bytes((few / MONA_LISA).read_bytes())
    collection = Collection(tmp_path)
    row = few_features.vectors[few_features.ids.index(MONA_LISA)]
    vectors = np.vstack([few_features.vectors, row])
    order = np.argsort(ids)
    features = Features(vectors[order], tuple(np.array(ids)[order]), few_features.provenance)
    search = Search(collection, construct_exact_index("angular", features))
    asked = search.ask(MONA_LISA, region=(0.4, 0.1, 0.6, 0.3), near_duplicates=False)
    assert set(asked.ids) == set(collection.ids) - {MONA_LISA, "copy.jpg"}


def test_an_image_that_cannot_be_read_is_named(seen, tmp_path):
    (tmp_path / "no.jpg").write_text("Dear museum,")
    for image in (tmp_path / "no.jpg", tmp_path / "nowhere.jpg", b"rubbish"):
        for part in (None, (0, 0, 0.5, 0.5)):
            with pytest.raises(ImageError):
                seen.ask(image, region=part)


def test_the_picture_itself_is_not_changed(seen, few):
    with Image.open(few / MONA_LISA) as image:
        before = np.asarray(image.convert("RGB")).copy()
        seen.ask(image, 2, region=(0, 0, 0.5, 0.5))
        assert np.array_equal(before, np.asarray(image.convert("RGB")))


def test_an_index_of_other_works_is_refused(collection, vectors):
    features = Features(vectors[:2], ("work 00000.png", "elsewhere.png"))
    with pytest.raises(MismatchError, match="the first is 'elsewhere.png'"):
        Search(collection, construct_exact_index("angular", features))


def test_a_gif_of_a_few_bytes_can_be_asked(seen):
    out = io.BytesIO()
    Image.new("P", (1, 1)).save(out, "GIF")
    assert len(seen.ask(out.getvalue(), 3)) == 3
