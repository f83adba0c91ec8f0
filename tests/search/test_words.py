"""Questions in words, held to answers that NumPy counts out from open_clip's own rows."""

from dataclasses import replace

import numpy as np
import pytest
from published import write_met

from artsearch import NETWORKS, Collection, Question, Search, Searches, Words, compute_features
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.features.words import text_encoder
from artsearch.fetch.vectors import fetch_vectors
from artsearch.index.factory import construct_ann_index, construct_exact_index
from artsearch.search.answer import combine
from artsearch.search.question import read_link

LAKE, NIGHT = "a mountain lake", "at night"
SPRING = "giuseppe-arcimboldo_spring.jpg"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"


@pytest.fixture(scope="module")
def network():
    return NETWORKS["open_clip:tiny@random"]


@pytest.fixture(scope="module")
def features(few, network, one_thread):
    return compute_features(Collection(few), network, progress=False)


@pytest.fixture(scope="module")
def search(few, features):
    return Search(Collection(few), construct_ann_index("angular", 3, features))


def unit(row):
    row = np.float64(row)
    return row / np.sqrt((row**2).sum())


@pytest.fixture(scope="module")
def rows(features, network):
    """Return rows of unit length: of the works by id, and of words by their text."""
    works = {id: unit(row) for id, row in zip(features.ids, features.vectors, strict=True)}
    words = text_encoder(network)([LAKE, NIGHT])
    return works | {LAKE: unit(words[0]), NIGHT: unit(words[1])}


def nearest(works, row, rows, without=()):
    """Return ids and distances, nearest first."""
    found = {id: np.sqrt(max(0, 2 - 2 * rows[id] @ unit(row))) for id in works if id not in without}
    return sorted(found, key=found.get), sorted(found.values())


def check(answer, ids, distances):
    assert answer.ids == ids[: len(answer)] and len(answer)
    np.testing.assert_allclose(answer.distances, distances[: len(answer)], atol=1e-5)


def test_words_find_the_works_nearest_to_their_row(search, rows):
    answer = search.ask(Words(LAKE), 5)
    check(answer, *nearest(search.collection, rows[LAKE], rows))
    assert answer.query is None and answer.notes == ()
    assert answer.question == Question(words=((LAKE, 1),), k=5)


def test_a_text_that_is_no_work_is_taken_for_words_and_it_is_said(search):
    answer = search.ask(f" {LAKE} ", 3)
    assert answer.ids == search.ask(Words(LAKE), 3).ids
    assert answer.notes == (f"No work is called '{LAKE}': asked in words.",)
    assert search.ask(SPRING, 3).question.works == (SPRING,)


def test_a_mistyped_id_is_not_taken_for_words(search):
    with pytest.raises(ArtsearchError, match=f"did you mean '{SPRING}'.* Words\\('…'\\)"):
        search.ask("giuseppe-arcimboldo_sprig.jpg")
    assert search.ask(Words("spring.jpg"), 3).ids


def test_several_words_are_added_by_weight(search, rows):
    answer = search.ask([(Words(LAKE), 2), Words(NIGHT)], 5)
    check(answer, *nearest(search.collection, 2 * rows[LAKE] + rows[NIGHT], rows))
    answer = search.ask(Words(LAKE), 5, negative=[(Words(NIGHT), 0.5)])
    check(answer, *nearest(search.collection, rows[LAKE] - 0.5 * rows[NIGHT], rows))


def test_words_and_a_work_have_the_same_say():
    """The order goes with that of each as far as with the other; in a plain sum it does not."""
    random = np.random.default_rng(0)
    vectors = (1 + random.normal(size=(400, 32))).astype(np.float32)
    words = random.normal(size=32).astype(np.float32)
    vectors[:, 0], words[0] = 0, 12  # where no picture is
    index = construct_exact_index("angular", Features(vectors, tuple(map(str, range(400)))))
    question = Question(positive=(("7", 1),), words=((NIGHT, 1),))
    vector = combine(index, question, {"7": vectors[7], Words(NIGHT): words})

    rows = np.stack([unit(row) for row in np.delete(vectors, 7, axis=0)])
    picture, text = rows @ unit(vectors[7]), rows @ unit(words)
    together = np.corrcoef([rows @ vector, picture, text])[0]
    assert together[1] == pytest.approx(together[2], abs=1e-4)
    plain = np.corrcoef([picture + text, picture, text])[0]
    assert abs(plain[1] - plain[2]) > 0.2
    twice = combine(
        index, replace(question, words=((NIGHT, 2),)), {"7": vectors[7], Words(NIGHT): words}
    )
    wanted = picture / picture.std() + 2 * text / text.std()
    assert np.corrcoef(rows @ twice, wanted)[0, 1] == pytest.approx(1, abs=1e-6)


def test_works_alone_are_added_as_before(search, rows):
    answer = search.ask([WAVE, SPRING], 3)
    summed = rows[WAVE] + rows[SPRING]
    check(answer, *nearest(search.collection, summed, rows, (WAVE, SPRING)))


def test_all_else_can_be_asked_with_words(search):
    where = 'artist == "Katsushika Hokusai"'
    answer = search.ask(Words(LAKE), 5, where=where, near_duplicates=False, exclude=WAVE)
    assert answer.ids == ["katsushika-hokusai_poppies.jpg"]
    assert answer.notes[0] == f"2 of 5 works match {where}."
    groups = search.ask(Words(LAKE), group_by="artist").groups
    assert {name: len(works) for name, works in groups.items()} == dict.fromkeys(groups, 1)
    assert len(groups) == 4
    notes = search.ask(Words(LAKE), 5, exclude_same="artist").notes
    assert notes == ("No artist is known of what is asked for: none is left out.",)


def test_a_part_of_a_work_goes_with_words(search):
    answer = search.ask([WAVE, Words(NIGHT)], 3, region=(0, 0, 0.5, 0.5))
    assert WAVE not in answer.ids and answer.question.region
    with pytest.raises(ArtsearchError, match="a part is of one work"):
        search.ask(Words(NIGHT), region=(0, 0, 0.5, 0.5))


def test_a_link_holds_words_and_their_weights(search):
    things = [WAVE, (Words("à la lune & the sea = blue"), 0.5)]
    question = search.ask(things, 3, negative=Words(NIGHT)).question
    link = question.to_link(network="open_clip:x")
    assert "&words=%C3%A0+la+lune+%26" in link and "&words-weight=0.5&" in link
    again, view = read_link(link)
    assert again == question and view == {"network": "open_clip:x"}
    assert search.answer(again).ids == search.answer(question).ids
    assert read_link("?words=night")[0] == Question(words=(("night", 1),))


def test_words_have_no_regions(search):
    with pytest.raises(ArtsearchError, match="words have no regions"):
        search.why(Words(NIGHT), WAVE)
    with pytest.raises(
        ArtsearchError, match="cannot say why two works are alike: it has attention"
    ):
        search.why(SPRING, WAVE)


@pytest.mark.parametrize("words", ["", " \n", None])
def test_no_words_are_an_error(search, words):
    with pytest.raises(ArtsearchError, match="the words are .*; take some"):
        search.ask(Words(words))
    with pytest.raises(ArtsearchError, match="unknown work ''"):
        search.ask("")


def test_a_network_without_words_says_which_has_them(few, few_features):
    search = Search(Collection(few), construct_exact_index("angular", few_features))
    with pytest.raises(ArtsearchError, match="unknown work 'a lake'.*; for words .*SigLIP2'"):
        search.ask("a lake")
    with pytest.raises(ArtsearchError, match="efficientnet_lite0 takes no words; .*SigLIP2'"):
        search.ask(Words("a lake"))


def test_another_metric_is_refused(few, features):
    search = Search(Collection(few), construct_exact_index("euclidean", features))
    with pytest.raises(ArtsearchError, match="by cosine, and the metric is 'euclidean'"):
        search.ask(Words(LAKE))


def test_words_by_other_weights_than_the_works_are_refused(few, features):
    made = features.provenance | {"weights": "0" * 64}
    other = Features(features.vectors, features.ids, made)
    search = Search(Collection(few), construct_exact_index("angular", other))
    with pytest.raises(MismatchError, match="the index was made with weights 00000000"):
        search.ask(Words(LAKE))


def test_published_vectors_are_asked_in_words_by_the_network_they_name(tmp_path, rows, features):
    source = write_met(tmp_path / "met.parquet", features.vectors, "open_clip:tiny@random")
    fetch_vectors(str(source), tmp_path / "out")
    works = Collection(tmp_path / "out")
    (search,) = Searches(works, out=tmp_path / "build", index="exact").values()
    ids = search.ask(Words(LAKE), 5).ids
    wanted, _ = nearest(features.ids, rows[LAKE], rows)
    assert ids == [f"met/{features.ids.index(id)}" for id in wanted]
    other = write_met(tmp_path / "other.parquet", features.vectors[:, :8], "open_clip:tiny@random")
    fetch_vectors(str(other), tmp_path / "short")
    (search,) = Searches(Collection(tmp_path / "short"), out=tmp_path / "b", index="exact").values()
    with pytest.raises(
        MismatchError, match="the query has the shape .24,., the index holds rows of 8"
    ):
        search.ask(Words(LAKE), 3)
