"""Conditions as expressions of Milvus: held to NumPy's masks, whatever the texts are."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import fold
from artsearch.features.features import Features
from artsearch.index.milvus.fields import (
    ID,
    Attributes,
    encode_number,
    encode_text,
    to_expression,
)
from artsearch.index.milvus.index import MilvusIndex
from artsearch.works.conditions import Both, Columns, Condition, Either, Negation, WhereError, parse

pytest.importorskip("milvus_lite")
pytestmark = pytest.mark.usefixtures("milvus_at_once")
INJECTION = 'x" or id > 0 or style == "'
#: Texts that would do harm in an expression or a pattern if anything took them for more than text.
HOSTILE = (
    INJECTION,
    "x' or pk != '",
    'x\\" or pk != "',
    '") or (pk != ""',
    "50 %",
    "50 _",
    "%",
    "_",
    "\\",
    '\\"',
    "{value}",
    "line\nend",
    "nul\0",
    "\u2028\ufeff\u202e",
    "~000022",
    "XILY",
    "$meta",
    "true",
    "null",
    "Dürer",
    "DURER",
    "ﷺ ﬁ ŉ İ ß",
    "한국어",
    "🎨" * 300,
    "a" * 600,
    "1831",
    "c. 1830–32",
    "-5 (?)",
    "500 BC",
    "1890s",
    "before 1700",
    "ca. 12,000–10,000 B.C.",
    "9" * 400,
    "0",
    "-0",
    "0.1",
    "",
    " ",
)
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
NUMBERS = st.one_of(
    st.sampled_from([1831.0, 1830.0, 1895.0, -11000.0, -5.0, 0.0, -0.0, 0.1, 1e308, -1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)


def make_index(path, works: pd.DataFrame, **options) -> MilvusIndex:
    rows = np.random.default_rng(0).normal(size=(len(works), 3))
    features = Features(rows, works["id"].tolist())
    return MilvusIndex.build("angular", features, uri=path, works=works, **options)


def matches(index: MilvusIndex, tree, columns: Columns) -> list[str]:
    """Return the ids of the works that Milvus finds for a condition."""
    expression = to_expression(tree, columns, index.attributes)
    return [record[ID] for record in index.store.records([ID], expression)]


def conditions(columns, texts):
    """Trees of conditions on these columns; equality asks for texts that are there."""
    column = st.sampled_from(columns)
    numbers = st.tuples(NUMBERS)
    mixed = st.lists(st.one_of(st.sampled_from(texts), NUMBERS), max_size=4).map(tuple)
    leaves = st.one_of(
        st.builds(Condition, column, st.just("contains"), st.tuples(TEXTS)),
        st.builds(Condition, column, st.sampled_from(["<", "<=", ">", ">="]), numbers),
        st.builds(Condition, column, st.just("in"), mixed),
    )
    parts = lambda tree: st.lists(tree, min_size=1, max_size=3).map(tuple)  # noqa: E731
    return st.recursive(
        leaves,
        lambda tree: st.one_of(
            st.builds(Negation, tree), st.builds(Both, parts(tree)), st.builds(Either, parts(tree))
        ),
        max_leaves=6,
    )


@settings(
    max_examples=examples(5),
    deadline=None,
    phases=[Phase.generate],  # each try writes a file
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_condition_matches_in_milvus_what_it_matches_in_numpy(tmp_path, data):
    names = data.draw(
        st.lists(TEXTS.filter(lambda name: name != "id"), min_size=2, max_size=2, unique=True)
    )
    texts = [*HOSTILE, *data.draw(st.lists(TEXTS, max_size=20))]
    works = pd.DataFrame({"id": [f"{n} {text}" for n, text in enumerate(texts)]}, dtype=str)
    works[names[0]], works[names[1]] = texts, texts[::-1]
    columns = Columns(works)
    index = make_index(tmp_path / "works.db", works, replace=True)
    trees = conditions(names, sorted(set(texts)))
    for tree in data.draw(st.lists(trees, min_size=40, max_size=40)):
        found = matches(index, tree, columns)
        assert sorted(found) == sorted(works["id"][tree.mask(columns)]), tree
    index.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Asks an index of works whose style and id are hostile texts, all different."""
    works = pd.DataFrame({"id": HOSTILE, "style": HOSTILE, INJECTION: "same"}, dtype=str)
    index = make_index(tmp_path_factory.mktemp("milvus") / "works.db", works)
    yield partial(matches, index, columns=Columns(works))
    index.close()


@pytest.mark.parametrize("column", ["id", "style"])
def test_a_hostile_text_finds_only_itself(hostile, column):
    for text in HOSTILE:
        same = [other for other in HOSTILE if fold(other) == fold(text)]
        tree = Condition(column, "in", (text,))
        assert sorted(hostile(tree)) == sorted(same)
        others = hostile(Negation(tree))
        assert sorted(others) == sorted(set(HOSTILE) - set(same)), text


def test_a_column_may_have_any_name(hostile):
    tree = Condition(INJECTION, "in", ("same",))
    assert len(hostile(tree)) == len(HOSTILE)


def test_what_nobody_has_is_refused_as_everywhere(hostile):
    with pytest.raises(WhereError, match="unknown style 'Baroque'"):
        hostile(parse('style == "Baroque"'))
    with pytest.raises(WhereError, match="unknown column 'styl'; did you mean 'style'"):
        hostile(parse('not styl contains "x"'))
    with pytest.raises(ArtsearchError, match="'mood' is not kept with the vectors in Milvus"):
        hostile(parse('mood == "gay"'), columns=Columns(pd.DataFrame({"mood": ["gay"]})))


def test_a_text_too_long_for_milvus_is_looked_into_all_the_same(tmp_path):
    long = "한국어 " * 4000
    works = pd.DataFrame({"id": ["a", "b", "c"], "text": [long, long + "end", "short"]}, dtype=str)
    assert encode_text(fold(long)).startswith("Z")
    index = make_index(tmp_path / "works.db", works)
    for where, found in (
        ('text contains "한국"', ["a", "b"]),
        ('text contains "end"', ["b"]),
        ('not text contains "end"', ["a", "c"]),
        ('text contains "o"', ["c"]),
        ('text contains ""', ["a", "b", "c"]),
    ):
        assert sorted(matches(index, parse(where), Columns(works))) == found, where
    index.close()


def test_a_condition_of_many_parts_within_each_other_is_answered(hostile):
    tree = parse("not " * 100 + 'style == "%"')
    assert hostile(tree) == ["%"]
    nested = 'style == "%"'
    for n in range(20):
        nested = f'(style contains "_" {"or" if n % 2 else "and"} not {nested})'
    tree = parse(nested)
    found = hostile(tree)
    columns = Columns(pd.DataFrame({"style": HOSTILE}, dtype=str))
    assert sorted(found) == sorted(np.array(HOSTILE, object)[tree.mask(columns)])


@given(st.text(), st.text(max_size=3))
def test_texts_contain_each_other_encoded_as_they_do(text, part):
    part, text = fold(part), fold(text)
    assert (encode_text(part) in encode_text(text)) == (part in text)
    assert encode_text(part) in encode_text(text + part + text)


@given(st.text(), st.text())
def test_what_is_encoded_is_harmless_and_stays_different(one, other):
    one, other = fold(one), fold(other)
    assert (encode_text(one) == encode_text(other)) == (one == other)
    encoded = encode_text(one)
    assert encoded.isascii() and encoded.isprintable() and not set(encoded) & set("\"'\\%_{}$`")


@given(st.floats(), st.floats())
def test_encode_numbers_are_ordered_as_numbers(one, other):
    if one == one and other == other:
        assert (encode_number(one) < encode_number(other)) == (one < other)
        assert (encode_number(one) == encode_number(other)) == (one == other)
        assert encode_number(one) > encode_number(float("nan"))


def test_an_expression_holds_nothing_of_what_is_asked():
    fields = Attributes(["id", INJECTION])
    columns = Columns(pd.DataFrame({"id": ["a"], INJECTION: [INJECTION]}))
    tree = Condition(INJECTION, "in", (INJECTION,))
    assert to_expression(tree, columns, fields) == (
        'text_1 in ["xXIIY or id XJEY 0 or style XJDYXJDY XIIY"]'
    )
