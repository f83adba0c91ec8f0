"""Questions as plain data: what they take, what they refuse, and their links."""

import re

import numpy as np
import pytest
from asking import check_values_agree, make_search, make_spelt_collection, make_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.search.question import SMALLEST, Question, check_region, read_link, weigh

TEXTS = st.text(max_size=12)
WEIGHTS = st.floats(1e-6, 1e6) | st.integers(1, 1000)
WORKS = st.dictionaries(TEXTS, WEIGHTS, min_size=1, max_size=4)
STARTS = st.floats(0, 1 - 2 * SMALLEST)


@st.composite
def parts(draw):
    """A rectangle within a work."""
    left, top = draw(STARTS), draw(STARTS)
    right, bottom = (draw(st.floats(start + 1.5 * SMALLEST, 1)) for start in (left, top))
    return left, top, right, bottom


@st.composite
def questions(draw):
    """Any question that can be asked."""
    like = draw(WORKS)
    alone = st.none() | parts() if len(like) == 1 else st.none()
    where = st.dictionaries(TEXTS.filter(bool), st.lists(TEXTS | st.floats(-1e9, 1e9), max_size=3))
    return Question(
        like,
        negative=draw(st.just({}) | WORKS),
        where=draw(where),
        exclude_same=draw(st.lists(TEXTS, max_size=3)),
        near_duplicates=draw(st.booleans()),
        machine_made=draw(st.booleans()),
        exclude=draw(st.lists(TEXTS, max_size=3)),
        group_by=draw(TEXTS),
        group_size=draw(st.integers(1, 99)),
        region=draw(alone),
        k=draw(st.integers(1, 10**6)),
    )


# Links


@given(questions())
@settings(max_examples=examples(300), deadline=None)
def test_any_question_comes_back_from_its_link(question):
    link = question.to_link(network="vgg16", crop="no_crop", dial=0.25)
    assert link.startswith("?") and link.isascii() and " " not in link and "#" not in link
    view = {"network": "vgg16", "crop": "no_crop", "dial": 0.25}
    for address in (link, f"http://localhost:8866/a/page{link}", f"page.html{link}#top"):
        assert read_link(address) == (question, view)


def test_a_plain_question_has_a_short_link():
    assert Question("a work.jpg", k=5).to_link() == "?like=a+work.jpg&k=5"
    assert (
        Question("a.jpg")
        .to_link(network=None, dial="", crop="no_crop")
        .endswith("k=10&crop=no_crop")
    )


def test_what_a_link_does_not_say_is_as_usual():
    question, view = read_link("?like=a.jpg")
    assert question == Question("a.jpg") and view == {}
    assert read_link("?like=a.jpg&theme=dark&utm_source=mail")[0] == Question("a.jpg")


def test_an_unknown_word_in_a_link_is_named_with_the_choices():
    said = "unknown word in the link 'wher'; did you mean 'where'? known: like, like-weight, unlike"
    with pytest.raises(ArtsearchError, match=re.escape(said)):
        read_link("?like=a.jpg&wher=year > 1800")


def test_a_link_may_be_escaped_in_more_than_one_way():
    wanted = Question("Dürer & co/lion.jpg", where='style == "Ukiyo-e"')
    for link in (
        "?like=D%C3%BCrer%20%26%20co%2Flion.jpg&where=style%20%3D%3D%20%22Ukiyo-e%22",
        '?like=Dürer+%26+co/lion.jpg&where=style == "Ukiyo-e"',
    ):
        assert read_link(link)[0] == wanted


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("", "nothing is liked"),
        ("rubbish", "nothing is liked"),
        ("?", "nothing is liked"),
        ("?k=3", "nothing is liked"),
        ("?%00%ff=&&&==;", "unknown word in the link"),
        ("#top", "nothing is liked"),
        ("?like=a.jpg&k=", "the link's k is ''; it takes a whole number"),
        ("?like=a.jpg&k=0", "k is 0"),
        ("?like=a.jpg&k=-1", "k is -1; take a whole number from 1 on"),
        ("?like=a.jpg&k=1e3", "the link's k is '1e3'"),
        ("?like=a.jpg&k=²", "the link's k is '²'"),
        ("?like=a.jpg&k=" + "9" * 5000, "the link's k is '999"),
        ("?like=a.jpg&each=x", "the link's each is 'x'"),
        ("?like=a.jpg&part=", "the link's part is ''; it takes numbers"),
        ("?like=a.jpg&part=0,0,1", "take (left, top, right, bottom)"),
        ("?like=a.jpg&part=a,b,c,d", "the link's part is 'a'"),
        ("?like=a.jpg&part=nan,0,1,1", "as shares of the work"),
        ("?like=a.jpg&part=0,nan,1,1", "as shares of the work"),
        ("?like=a.jpg&part=0,0,1,nan", "as shares of the work"),
        ("?like=a.jpg&part=0,0,1,inf", "as shares of the work"),
        ("?like=a.jpg&like=b.jpg&part=0,0,1,1", "a part is of one work"),
        ("?like=a.jpg&like=b.jpg&like-weight=1", "2 works to like, and 1 weights"),
        ("?like=a.jpg&like-weight=x", "the link's weight is 'x'"),
        ("?like=a.jpg&like-weight=nan", "the weight of 'a.jpg' is nan"),
        ("?like=a.jpg&like-weight=-1", "the weight of 'a.jpg' is -1.0"),
        ("?like=a.jpg&like-weight=1e999", "the weight of 'a.jpg' is inf"),
        ("?like=a.jpg&dial=x", "the link's dial is 'x'; it takes numbers"),
        ("?like=a.jpg&like=a.jpg", "'a.jpg' is named twice"),
        ("?like=a.jpg&where=import+os", "cannot read the condition"),
        ("?like=a.jpg&where=" + "x" * 20_000, "a condition of 20,000 characters"),
    ],
)
def test_a_link_that_is_no_question_is_a_sentence(link, message):
    with pytest.raises(ArtsearchError) as error:
        read_link(link)
    assert message in str(error.value) and "\n" not in str(error.value)


@given(st.text(max_size=80) | st.text("?&=%+;,#like-weightpartk01.aé", max_size=80))
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_a_question_or_a_sentence(link):
    try:
        question, view = read_link("?like=a.jpg&" + link)
    except ArtsearchError as error:
        assert str(error)
    else:
        assert read_link(question.to_link(**view)) == (question, view)


# What a question takes


@pytest.mark.parametrize(
    "like",
    ["a.jpg", ["a.jpg"], ("a.jpg",), [("a.jpg", 1)], {"a.jpg": 1.0}, (("a.jpg", np.float32(1)),)],
)
def test_one_work_can_be_named_in_many_ways(like):
    question = Question(like)
    assert question.positive == (("a.jpg", 1.0),) and question.works == ("a.jpg",)
    assert type(question.positive[0][1]) is float and question.is_plain
    assert question == Question("a.jpg") and hash(question) == hash(Question("a.jpg"))


def test_names_can_be_one_or_several():
    one = Question("a.jpg", exclude_same="artist", exclude="b.jpg")
    assert (one.exclude_same, one.exclude) == (("artist",), ("b.jpg",))
    several = Question("a.jpg", exclude_same=["artist", "style"], exclude=("b.jpg", "c.jpg"))
    assert (several.exclude_same, several.exclude) == (("artist", "style"), ("b.jpg", "c.jpg"))


def test_works_not_liked_come_last():
    question = Question(["b.jpg", "a.jpg"], negative={"c.jpg": 2})
    assert question.works == ("b.jpg", "a.jpg", "c.jpg") and question.negative == (("c.jpg", 2.0),)


@pytest.mark.parametrize(
    "more",
    [
        {"negative": "b.jpg"},
        {"where": "year > 3"},
        {"exclude_same": "artist"},
        {"near_duplicates": False},
        {"machine_made": False},
        {"exclude": "b.jpg"},
        {"group_by": "style"},
        {"region": (0, 0, 1, 0.5)},
        {"positive": ["a.jpg", "b.jpg"]},
    ],
)
def test_a_question_that_asks_for_more_is_not_plain(more):
    assert Question("a.jpg", k=3).is_plain
    assert not Question(**{"positive": "a.jpg", "k": 3} | more).is_plain


def test_a_condition_is_kept_as_text():
    assert Question("a.jpg", where={"year": (1800, None)}).where == "year >= 1800"
    assert Question("a.jpg", where="  year >= 1800 ").where == "year >= 1800"
    assert Question("a.jpg", where=None).where == ""


# What it refuses


@pytest.mark.parametrize(
    "weight", [0, -1, float("nan"), float("inf"), 1e-7, 1.1e6, 10**400, True, "1", None, 1j, [1]]
)
def test_a_weight_that_is_none_is_named(weight):
    for make in (
        lambda: Question({"a.jpg": weight}),
        lambda: Question("b", negative={"a.jpg": weight}),
    ):
        with pytest.raises(ArtsearchError, match="the weight of 'a.jpg' is .* a number above 0"):
            make()


@pytest.mark.parametrize(
    ("works", "message"),
    [
        (5, "5 is no name, and no list of names"),
        (None, "None is no name"),
        ([5], r"\(5, 1.0\) is no work with its weight; take \(id, weight\)"),
        ([("a.jpg", 1, 2)], "is no work with its weight"),
        ([()], r"\(\) is no work with its weight"),
        ([(1.0, "a.jpg")], "is no work with its weight"),
        ([b"a.jpg"], "is no work with its weight"),
        (["a.jpg", "b.jpg", "a.jpg"], "'a.jpg' is named twice; give it one weight"),
        ([("a.jpg", 1), ("a.jpg", 2)], "'a.jpg' is named twice"),
    ],
)
def test_what_is_no_work_is_named(works, message):
    for make in (weigh, Question, lambda works: Question("b.jpg", negative=works)):
        with pytest.raises(ArtsearchError, match=message):
            make(works)


@pytest.mark.parametrize(
    "part",
    [(0, 0, 1), (0, 0, 1, 1, 1), (), 5, "0,0,1,1", "abcd", (0, 0, 1, "1"), (0, 0, 1, None),
     (True, 0, 1, 1), (0, 0, 1, 1j), np.zeros((2, 2))],
)  # fmt: skip
def test_a_part_that_is_no_rectangle_is_named(part):
    for make in (check_region, lambda part: Question("a.jpg", region=part)):
        with pytest.raises(ArtsearchError, match=r"take \(left, top, right, bottom\), each from 0"):
            make(part)


@pytest.mark.parametrize(
    "part",
    [(-0.1, 0, 1, 1), (0, 0, 1.1, 1), (0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (0, 0.99, 1, 1),
     (0, 0, 0.019, 1), (float("nan"), 0, 1, 1), (0, float("nan"), 1, 1), (0, 0, float("nan"), 1),
     (0, 0, 1, float("nan")), (0, 0, 1, float("inf")), (0, -float("inf"), 1, 1), (0, 0, 200, 300)],
)  # fmt: skip
def test_a_part_outside_the_work_or_too_small_is_named(part):
    with pytest.raises(ArtsearchError, match="as shares of the work, from 0 to 1, at least 0.02"):
        Question("a.jpg", region=part)


def test_a_part_may_be_of_any_numbers():
    wanted = (0.0, 0.25, 1.0, 0.5)
    for part in ([0, 0.25, 1, 0.5], np.array(wanted), np.float32(wanted), iter(wanted)):
        assert check_region(part) == wanted
    assert {type(end) for end in check_region(np.array(wanted))} == {float}


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, True, "3", None, float("nan"), [3]])
def test_a_number_of_works_that_is_none_is_named(value):
    for name in ("k", "group_size"):
        with pytest.raises(ArtsearchError, match=f"{name} is .*; take a whole number from 1 on"):
            Question("a.jpg", **{name: value})


@pytest.mark.parametrize("value", [5, None, 1.5])
def test_names_that_are_none_are_named(value):
    for name in ("exclude_same", "exclude"):
        with pytest.raises(ArtsearchError, match="is no name, and no list of names"):
            Question("a.jpg", **{name: value})


def test_nothing_liked_and_a_part_of_several_are_refused():
    for like in ([], (), {}):
        with pytest.raises(ArtsearchError, match="nothing is liked; name one work or more"):
            Question(like, negative="a.jpg")
    with pytest.raises(ArtsearchError, match="a part is of one work"):
        Question(["a.jpg", "b.jpg"], region=(0, 0, 1, 1))


def test_values_are_the_same_to_groups_conditions_and_exclusions(tmp_path):
    collection = make_spelt_collection(tmp_path / "works")
    vectors = make_vectors(len(collection))
    check_values_agree(make_search(collection, "exact", "angular", vectors))
