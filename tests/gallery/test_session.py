"""A session comes back as it was saved, whoever wrote the captions, and costs nobody an old one."""

import base64
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import chromium, visit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from madeup import HOSTILE, make_folder, searches_by_colour
from PIL import Image
from tiers import examples

from artsearch import Collection
from artsearch.base.errors import ArtsearchError
from artsearch.base.text import shorten
from artsearch.gallery.session import LARGEST, Session
from artsearch.gallery.session_page import PICTURES, SHOWN, make_page, save_session
from artsearch.gallery.session_table import describe, make_table
from artsearch.search.question import Question, read_link
from artsearch.search.rarity import Rarity
from artsearch.search.results import Neighbour, Results

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LION = "albrecht-durer_lion.jpg"
LISA = "leonardo-da-vinci_mona-lisa.jpg"
MADE_BY = {"network": "efficientnet_lite0", "crop": "no_crop"}


@pytest.fixture(scope="module")
def search(collection):
    search = searches_by_colour(collection)["efficientnet_lite0", "no_crop"]
    search.index.provenance = MADE_BY
    return search


@pytest.fixture
def session(search):
    """A session of four questions, one of them with the visitor's own image."""
    session = Session(search.collection, "Waves & lions")
    questions = [
        Question(positive=WAVE, where='style == "Ukiyo-e"', exclude_same="artist"),
        Question(positive={WAVE: 2, LION: 1}, negative=LISA, near_duplicates=False, k=15),
        Question(positive=WAVE, group_by="style"),
    ]
    for question in questions:
        session.add(question, search.answer(question))
    own = Question(positive="your image: 1")
    session.add(own, search.by_vector(search.exact.row(LION)))
    session.add(Question(positive=WAVE), search.path(WAVE, LION, 4), goal=LION)
    session.keep(WAVE, "the star")
    session.keep(LISA)
    return session


def answer_of(*ids, provenance=None, **more):
    """Make an answer by hand: distances do not matter where nothing is computed with them."""
    neighbours = tuple(Neighbour(id, 0.5, id) for id in ids)
    return Results(
        None, neighbours, "angular", MADE_BY if provenance is None else provenance, **more
    )


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def picture_of(work_id, page):
    """Return the last picture of a work in a page."""
    found = re.findall(f'data-id="{work_id}"><img src="data:image/jpeg;base64,([^"]+)"', page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[-1]))).convert("RGB"), int)


def same(one, other):
    return (one.title, one.kept, one.steps, one.origin) == (
        other.title,
        other.kept,
        other.steps,
        other.origin,
    )


class Page(HTMLParser):
    """What is in a page: its tags, the attributes that could do harm, ids, addresses, texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.harm, self.ids, self.addresses, self.said = Counter(), [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        for name, value in attributes:
            if name.startswith("on") or name in ("style", "srcset", "srcdoc"):
                self.harm.append((tag, name, value))
            if name in ("src", "href", "action", "data"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.said += data


# Saved and opened again


def test_an_opened_session_is_the_one_that_was_saved(session, collection, tmp_path):
    again = Session.load(save_session(session, tmp_path / "new" / "session.json"), collection)
    assert same(again, session)
    assert make_page(again) == make_page(session) and make_table(again) == make_table(session)
    assert again.missing == "" and not again.is_elsewhere
    assert Session.from_json(session.to_json().encode(), collection).to_json() == session.to_json()


texts = st.text(max_size=12)
ids = st.one_of(st.sampled_from([WAVE, LION, LISA, "your image: 1", "gone.jpg"]), texts)
weights = st.floats(1e-3, 999_999.0)
conditions = st.sampled_from(
    ["", 'style == "Ukiyo-e"', 'year >= 1800 and not artist contains "é & ü"', "`a b` in [1, 2.5]"]
)
parts = st.tuples(*[st.floats(0, 0.4)] * 2, *[st.floats(0.5, 1)] * 2)


@st.composite
def questions(draw):
    named = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    split = draw(st.integers(1, len(named)))
    like, unlike = (
        tuple((id, draw(weights)) for id in side) for side in (named[:split], named[split:])
    )
    return Question(
        positive=like,
        negative=unlike,
        where=draw(conditions),
        exclude_same=tuple(draw(st.lists(texts, max_size=2))),
        near_duplicates=draw(st.booleans()),
        exclude=tuple(draw(st.lists(ids, max_size=3))),
        group_by=draw(texts),
        group_size=draw(st.integers(1, 9)),
        region=draw(st.none() | parts) if len(like) == 1 else None,
        k=draw(st.integers(1, 10**6)),
    )


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    asked=st.lists(st.tuples(questions(), st.lists(st.tuples(ids, texts), max_size=4)), max_size=4),
    dial=st.none() | st.floats(0, 1),
    notes=st.lists(texts, max_size=2),
    goal=ids,
    title=texts,
)
def test_any_question_comes_back_and_can_be_put_in_words(
    collection, asked, dial, notes, goal, title
):
    session = Session(collection, title)
    for number, (question, found) in enumerate(asked):
        neighbours = tuple(Neighbour(id, -0.1 * number, "", group) for id, group in found)
        provenance = MADE_BY | {"dial": dial}
        answer = Results(None, neighbours, "dot", provenance, question, tuple(notes))
        session.add(question, answer, goal if number % 2 else "")
    again = Session.from_json(session.to_json(), collection)
    assert same(again, session)
    for step in again.steps:
        assert "\n" not in describe(step.question, collection, step.goal)
        if not step.own:
            question, view = read_link(step.link())
            assert question == step.question
            assert (view["network"], view["crop"]) == ("efficientnet_lite0", "no_crop")
            assert (None if dial is None else float(view["dial"])) == dial
    assert len(rows_of(make_table(session))) == sum(len(step.ids) for step in session.steps)


def test_a_link_opens_the_step_in_python(session, search):
    for step in session.steps[:3]:
        question, view = read_link(f"http://127.0.0.1:8866/{step.link()}")
        assert search.answer(question).ids == list(step.ids)
        assert view == MADE_BY
    assert "goal=albrecht-durer" in session.steps[4].link()


def test_an_image_of_the_visitors_own_is_shown_as_such_and_has_no_link(session, collection):
    again = Session.from_json(session.to_json(), collection)
    step = again.steps[3]
    assert step.own == ("your image: 1",) and step.link() == ""
    assert describe(step.question, collection) == "Near your image: 1"
    page = Page(make_page(again))
    assert "holds an image of the visitor’s own, so there is no link" in page.said
    assert {row["link"] for row in rows_of(make_table(again)) if row["step"] == "4"} == {""}
    assert again.missing == ""


def test_an_answer_can_be_shown_again(session, search):
    for step in session.steps:
        results = session.results(step)
        assert (results.ids, results.distances) == (list(step.ids), list(step.distances))
        assert results.provenance == MADE_BY and results.unit.startswith("angular")
        assert results.notes == step.notes
    assert session.results(session.steps[0]).query == WAVE
    assert session.results(session.steps[3]).query is None
    grouped = session.results(session.steps[2])
    assert {work.group for work in grouped} == set(search.collection.works["style"])


def test_rarities_are_noted_shown_and_in_the_table(collection):
    session, rarities = Session(collection), {LION: Rarity(0.9997, 0.02), LISA: None}
    found = tuple(Neighbour(id, 0.5, id, rate=lambda: rarities) for id in rarities)
    session.add(Question(positive=WAVE), Results(None, found, "angular", MADE_BY))
    again = Session.from_json(session.to_json(), collection)
    assert same(again, session)
    (step,) = again.steps
    assert [work.rarity for work in again.results(step)] == [*rarities.values()]
    told = [(row["rarity"], row["share"]) for row in rows_of(make_table(again))]
    assert told == [("unusual", "0.9997"), ("", "")]
    assert "0.500 unusual, 99.97\N{NO-BREAK SPACE}%" in Page(make_page(again)).said


def test_places_of_a_motif_are_noted_outlined_and_in_the_table(collection):
    session, region = Session(collection), (0.1, 0.2, 0.6, 0.7)
    found = Neighbour(LION, 0.5, LION, region=region, share=0.6)
    question = Question(positive=WAVE, region=(0.3, 0.5, 0.6, 0.85), motif=True)
    session.add(question, Results(None, (found,), "angular", MADE_BY))
    again = Session.from_json(session.to_json(), collection)
    (work,) = again.results(*again.steps)
    assert (work.region, work.share) == (region, 0.6)
    (row,) = rows_of(make_table(again))
    assert (row["region"], row["found_again"]) == ("0.1,0.2,0.6,0.7", "0.6")
    page = make_page(again)
    assert "60 % of the motif is found again" in page
    plain = Session(collection)
    plain.add(question, Results(None, (Neighbour(LION, 0.5, LION),), "angular", MADE_BY))
    outlined, lion = (picture_of(LION, one) for one in (page, make_page(plain)))
    changed = (np.abs(outlined - lion).max(axis=2) > 80).nonzero()
    sides = 2 * outlined.shape[1::-1]
    ends = [changed[1].min(), changed[0].min(), changed[1].max(), changed[0].max()]
    assert np.divide(ends, sides) == pytest.approx(region, abs=0.03)


def test_a_session_saved_without_rarities_opens_as_before(session, collection):
    older = broken(session, lambda data: [step.pop("rarities") for step in data["steps"]])
    again = Session.from_json(older, collection)
    assert len(again.steps) == 5 and {step.rarities for step in again.steps} == {()}
    assert {work.rarity for work in again.results(again.steps[0])} == {None}
    assert {row["rarity"] for row in rows_of(make_table(again))} == {""}


# What is noted


def test_the_same_question_again_at_once_is_not_noted_again(collection):
    session, question = Session(collection), Question(positive=WAVE)
    for _ in range(3):  # side by side, in three networks, and the drawer is turned
        for network in "abc":
            session.add(
                question, answer_of(LION, provenance={"network": network, "crop": "no_crop"})
            )
    assert [step.network for step in session.steps] == ["a", "b", "c"]
    session.add(
        question, answer_of(LION, provenance={"network": "a", "crop": "no_crop", "dial": 0.5})
    )
    session.add(question, answer_of(LISA, provenance={"network": "a", "crop": "no_crop"}))
    session.add(question, answer_of(LION, provenance={"network": "a"}), goal=LION)
    session.add(replace(question, k=3), answer_of(LION))
    session.add(question, answer_of(LION, provenance={"network": "a", "crop": "no_crop"}))
    assert len(session.steps) == 8


def test_works_are_kept_with_notes_and_dropped(collection):
    session = Session(collection)
    session.keep(LION, "for the \ud83e hall")
    session.keep(LION, "hall two")
    session.keep(WAVE, "half of an emoji \ud83e")
    session.drop(LISA)
    assert session.kept == {LION: "hall two", WAVE: "half of an emoji ?"}
    session.drop(LION)
    assert list(session.kept) == [WAVE]
    with pytest.raises(ArtsearchError, match="unknown work 'lion'; did you mean"):
        session.keep("lion")
    assert same(Session.from_json(session.to_json(), collection), session)


def test_works_that_are_gone_are_named_and_no_step_is_lost(session, few, tmp_path):
    there = Collection(few)
    again = Session.from_json(session.to_json(), there)
    assert again.steps == session.steps and again.kept == session.kept
    assert again.is_elsewhere
    assert re.match(
        r"few\d* lacks \d+ works of this session: '.*', '.*', '.*' and \d+ more\.$", again.missing
    )
    results = again.results(again.steps[0])
    assert set(results.ids) <= set(there.ids)
    assert "No longer in the collection: " in results.notes[-1]
    page = Page(make_page(again))
    assert again.missing in page.said and "other works than the one that was asked" in page.said
    assert LION in describe(session.steps[1].question, there)
    rows = rows_of(make_table(again))
    assert len(rows) == len(rows_of(make_table(session)))
    assert [row["caption"] == "" for row in rows] == [row["id"] not in there for row in rows]
    again.drop(LION)
    again.keep(WAVE, "still")
    assert same(Session.from_json(again.to_json(), there), again)


# In words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Near Lion (Albrecht Dürer)"),
        (
            {"positive": {LION: 2, LISA: 1}, "negative": WAVE},
            "Near Lion (Albrecht Dürer) (weight 2), like also Mona Lisa (Leonardo da Vinci), "
            "not like The Great Wave off Kanagawa (Katsushika Hokusai)",
        ),
        (
            {"where": "year < 1800", "exclude_same": ("artist", "style"), "near_duplicates": False},
            "Near Lion (Albrecht Dürer); only year < 1800; not of the same artist or style; "
            "without near-duplicates",
        ),
        (
            {"group_by": "style", "group_size": 2, "exclude": LISA},
            "Near Lion (Albrecht Dürer); without Mona Lisa (Leonardo da Vinci); "
            "the 2 nearest in each style",
        ),
        (
            {"region": (0, 0.25, 0.5, 1)},
            "Near Lion (Albrecht Dürer); the part from 0 to 50 % of the width and "
            "from 25 to 100 % of the height",
        ),
    ],
)
def test_a_question_in_words(collection, options, words):
    assert describe(Question(**{"positive": LION} | options), collection) == words


def test_long_lists_and_texts_are_cut(collection):
    question = Question(positive=WAVE, exclude=collection.ids[:20])
    assert describe(question, collection).endswith(" and 15 more")
    assert len(shorten("x" * 10**7, 80)) == 80 and shorten(" a \n b ", 80) == "a b"
    goal = describe(Question(positive=WAVE), collection, LION)
    assert goal == (
        "Stepping stones from The Great Wave off Kanagawa (Katsushika Hokusai) "
        "to Lion (Albrecht Dürer)"
    )


# The page


def test_the_page_shows_all_in_order_and_can_be_cited(session):
    page = Page(make_page(session))
    assert page.ids == [f"step-{number}" for number in range(1, 6)]
    assert page.said.index("Kept (2)") < page.said.index("the star") < page.said.index("WebMuseum")
    assert page.said.index("the star") < page.said.index("only style")
    for step in session.steps:
        assert step.link() in page.said and all(note in page.said for note in step.notes)
    assert f"and {15 - SHOWN} more" in page.said
    assert "EfficientNet-Lite0 · no crop · the network's final layer" in page.said
    assert "public domain" in page.said and "paintings (21 works)" in page.said
    assert all(address.startswith(("data:", "#step-")) for address in page.addresses)


def test_a_part_is_shown_cut_out(collection):
    session = Session(collection)
    session.add(Question(positive=WAVE, region=(0.1, 0.1, 0.5, 0.5)), answer_of(LION))
    page = Page(make_page(session))
    assert page.tags["img"] == 3 and "the part" in page.said


def test_an_empty_session_has_a_page_and_a_table(collection):
    session = Session(collection)
    page = Page(make_page(session))
    assert "A session through paintings" in page.said
    assert "Nothing was asked, and nothing kept." in page.said
    assert rows_of(make_table(session)) == [] and make_table(session).startswith(
        "step,at,asked,link,network"
    )
    assert same(Session.from_json(session.to_json(), collection), session)


def test_no_answer_is_said(collection):
    session = Session(collection)
    session.add(
        Question(positive=WAVE, where="year > 3000"), answer_of(notes=("None of 21 works.",))
    )
    page = Page(make_page(session))
    assert "No work answers this." in page.said and "None of 21 works." in page.said


def test_a_picture_that_cannot_be_read_is_said(tmp_path):
    folder = make_folder(tmp_path / "works", ["one", "two", "three"])
    collection = Collection(folder)
    session = Session(collection)
    session.add(
        Question(positive=collection.ids[0], region=(0, 0, 1, 1)), answer_of(*collection.ids[1:])
    )
    session.keep(collection.ids[0])
    (folder / collection.ids[0]).write_bytes(b"no picture")
    (folder / collection.ids[1]).unlink()
    page = Page(make_page(session))
    assert page.said.count("the picture cannot be read") == 3
    assert page.tags["img"] == 1 and str(tmp_path) not in page.said


# Harm

HARM = [*HOSTILE, "@SUM(A1)", "\t=1+1", "x" * 130_000, "<b>" * 40_000]


@pytest.fixture
def harmed(tmp_path):
    """A session in which every text that others write would do harm."""
    folder = make_folder(tmp_path / "<i>works</i>", HARM)
    table = list(csv.reader((folder / "works.csv").open(newline="", encoding="utf-8")))
    for number, row in enumerate(table[1:]):
        text = HARM[number % 9]
        row[1], row[4], row[5] = text, text, text
        row[6] = ["javascript:alert(0)", 'https://example.org/"><script>', text][number % 3]
    csv.writer((folder / "works.csv").open("w", newline="", encoding="utf-8")).writerows(table)
    collection = Collection(folder)
    # More than a works.csv can hold in a cell.
    collection.works.loc[len(HARM) - 1, ["title", "artist", "licence"]] = "<b>" * 400_000
    session = Session(collection, HOSTILE[1])
    for number, text in enumerate(HOSTILE):
        own = Question(
            positive=(collection.ids[number], text), exclude_same=text, group_by=text, exclude=text
        )
        neighbours = tuple(Neighbour(id, 0.5, "", text) for id in collection.ids)
        provenance = {"network": text, "crop": text}
        session.add(own, Results(None, neighbours, "angular", provenance, own, (text,)), goal=text)
    for id, text in zip(collection.ids, HARM[:9], strict=False):
        session.keep(id, text)
    return session


def test_metadata_that_would_do_harm_is_text_in_the_page(harmed, tmp_path):
    text = make_page(harmed)
    page = Page(text)
    known = {"html", "meta", "title", "style", "h1", "h2", "p", "section", "ol", "ul", "li", "img"}
    known |= {"b", "bdi", "small", "em", "code", "a", "br", "span", "footer"}
    assert set(page.tags) <= known and page.tags["title"] == 1 and not page.harm
    assert page.tags["style"] == 1
    addresses = Counter(address.split(":")[0].split("-")[0] for address in page.addresses)
    assert set(addresses) == {"data", "#step", "https"}
    assert len(text) < 5_000_000, len(text)
    assert same(Session.from_json(harmed.to_json(), harmed.collection), harmed)
    save_session(harmed, tmp_path / "session.html")
    with chromium() as browser, visit(browser) as shown:
        shown.goto((tmp_path / "session.html").as_uri())
        assert shown.title() == HOSTILE[1]
        assert shown.locator("section").count() == 1 + len(HOSTILE)
        assert shown.locator("script, svg, section i").count() == 0
        broken = "all => all.filter((one) => !one.naturalWidth).length"
        assert shown.locator("img").count() > 50
        assert shown.locator("img").evaluate_all(broken) == 0
        wide = "document.documentElement.scrollWidth - innerWidth"
        shown.set_viewport_size({"width": 390, "height": 800})
        assert shown.evaluate(wide) <= 0


def test_formulas_are_disarmed_in_the_table(harmed, tmp_path):
    path = save_session(harmed, tmp_path / "session.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = rows_of(path.read_text("utf-8-sig"))
    assert len(rows) == len(HOSTILE) * len(HARM)
    cells = [(name, cell) for row in rows for name, cell in row.items()]
    for name, cell in cells:
        assert not cell.startswith(("=", "+", "@", "\t", "\r", "-")), (name, cell)
        assert name in ("link", "asked") or len(cell) <= 1001
    first = rows[: len(HARM)]
    assert [row["rank"] for row in first] == [str(rank) for rank in range(1, len(HARM) + 1)]
    assert first[0]["title"] == HOSTILE[0] and first[6]["title"] == "'=HYPERLINK(0)"
    assert first[0]["kept"] == "yes" and first[6]["note"] == "'=HYPERLINK(0)"


def test_works_kept_that_no_step_found_are_in_the_table_too(collection):
    session = Session(collection)
    session.add(Question(positive=WAVE), answer_of(LION))
    session.keep(WAVE, "the query itself")
    rows = rows_of(make_table(session))
    assert [(row["step"], row["id"], row["kept"]) for row in rows] == [
        ("1", LION, ""),
        ("", WAVE, "yes"),
    ]
    assert rows[1]["note"] == "the query itself" and rows[1]["artist"] == "Katsushika Hokusai"


# Files that are none


def broken(session, change):
    data = json.loads(session.to_json())
    change(data)
    return json.dumps(data)


CHANGES = {
    "'steps 1 distances 1': Input should be a finite": ("distances", [float("nan")]),
    "Input should be a finite number": ("distances", [float("inf")]),
    "'steps 1 distances 1': Input should be a valid number": ("distances", [True]),
    "not as many distances, groups, rarities or places as works": ("ids", ["a"]),
    "steps 1 rarities 1": ("rarities", ["unusual"]),
    "it has not as many": ("rarities", [[0.9, 1.5]]),
    "steps 1 ids 2": ("ids", [WAVE, 3]),
    "steps 1 dial": ("dial", 1.5),
    "steps 1 at": ("at", "yesterday"),
    "a time is written as": ("at", "2026-01-31"),
    "steps 1 metric": ("metric", "furlongs"),
    "nothing is liked": ("question", "?where="),
    "takes a whole number": ("question", "?like=a&k=many"),
    "steps 1 notes": ("notes", {"a": 1}),
    "steps 1 own": ("own", None),
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_step_that_is_none_is_named(session, collection, said):
    name, value = CHANGES[said]
    with pytest.raises(ArtsearchError, match=re.escape(said)) as error:
        Session.from_json(
            broken(session, lambda data: data["steps"][0].update({name: value})), collection
        )
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "[" * 100_000,
        '{"format": "artsearch session"',
        '{"format": "\\ud800"}',
        "\ud800",
        b"\xff\xfe{}",
        b"PK\x03\x04",
        b"\x80\x04\x95",  # what pickle begins with
    ],
)
def test_what_is_no_session_is_refused_in_one_sentence(collection, text):
    with pytest.raises(ArtsearchError, match="choose a file that was saved as a session") as error:
        Session.from_json(text, collection)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(version=3), "of format 3, and this artsearch reads format 2"),
        (
            lambda data: data.update(version=1, format="artsearch trail"),
            "of format 1, and this artsearch reads format 2; open it in the artsearch that saved",
        ),
        (lambda data: data.update(version="2"), "version"),
        (lambda data: data.update(format="other"), "format"),
        (lambda data: data.update(kept=[WAVE]), "kept"),
        (lambda data: data.update(kept={WAVE: None}), "kept"),
        (lambda data: data.update(steps={}), "steps"),
        (lambda data: data.update(steps=[0] * 1_000_000), "steps 1"),
        (lambda data: data.update(collection="paintings"), "collection"),
        (lambda data: data.pop("title"), "title"),
    ],
)
def test_a_session_of_another_form_is_refused(session, collection, change, said):
    with pytest.raises(ArtsearchError, match=said):
        Session.from_json(broken(session, change), collection)


def test_a_huge_file_is_not_even_read(collection, tmp_path):
    path = tmp_path / "session.json"
    path.touch()
    os.truncate(path, 100_000_000)
    with pytest.raises(ArtsearchError, match="100 MB are too much for a session of 20 MB"):
        Session.load(path, collection)
    with pytest.raises(ArtsearchError, match="too much for a session"):
        Session.from_json(" " * (LARGEST + 1), collection)


def test_what_is_no_file_is_named(collection, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path, "is not a file"), (tmp_path / "pipe", "is not a file")):
        with pytest.raises(ArtsearchError, match=said):
            Session.load(path, collection)
    with pytest.raises(ArtsearchError, match="No such file"):
        Session.load(tmp_path / "nothing.json", collection)


def test_a_session_too_large_to_be_opened_again_is_not_saved(collection, tmp_path):
    session = Session(collection)
    save_session(session, tmp_path / "session.json")
    old = (tmp_path / "session.json").read_bytes()
    session.add(Question(positive=WAVE), answer_of(LION, notes=("x" * LARGEST,)))
    with pytest.raises(ArtsearchError, match="more than the 20 MB that can be opened again"):
        save_session(session, tmp_path / "session.json")
    assert (tmp_path / "session.json").read_bytes() == old
    save_session(session, tmp_path / "session.html")


def test_a_step_that_could_not_be_read_again_is_not_saved(collection, tmp_path):
    session = Session(collection)
    worst = Results(None, (Neighbour(LION, float("nan"), ""),), "angular", MADE_BY)
    session.add(Question(positive=WAVE), worst)
    said = "cannot be saved at 'steps 1 distances 1': .* finite number; take it out of the session"
    with pytest.raises(ArtsearchError, match=said):
        save_session(session, tmp_path / "session.json")
    assert list(tmp_path.iterdir()) == []


# Written whole or not at all


def test_where_it_cannot_be_saved_it_says_so(session, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "session.json", tmp_path / "folder.json"):
        (tmp_path / "folder.json").mkdir(exist_ok=True)
        with pytest.raises(ArtsearchError, match="cannot write .*; name another place"):
            save_session(session, path)
    with pytest.raises(ArtsearchError, match="unknown kind of file 'docx'; .*json, csv, html"):
        save_session(session, tmp_path / "session.docx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.json"]


def test_a_save_that_fails_half_way_leaves_the_old_file(session, tmp_path, monkeypatch):
    path = save_session(session, tmp_path / "session.json")
    old = path.read_bytes()
    session.keep(LION)

    def fail(*_):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(ArtsearchError, match="No space left on device"):
                save_session(session, path)
        assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_file_stays_one(session, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    save_session(session, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink() and (tmp_path / "real.json").is_file()


SCRIPT = """
import sys
from pathlib import Path
from artsearch.base.disk import write_whole
number = 0
while True:
    number += 1
    write_whole(Path(sys.argv[1]), b"%09d" % number * 300_000)
"""


def test_killed_while_saving_leaves_a_whole_file(tmp_path):
    path = tmp_path / "session.json"
    for moment in (0.0, 0.011, 0.023):
        path.write_bytes(b"old")
        with subprocess.Popen([sys.executable, "-c", SCRIPT, path]) as run:
            while path.stat().st_size == 3:  # until it is saving, again and again
                assert run.poll() is None
                time.sleep(0.001)
            time.sleep(moment)
            run.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert data == data[:9] * 300_000


# Long sessions


def test_a_thousand_steps_stay_bounded(collection):
    session = Session(collection)
    notes = ("9 of 21 works match.",)
    for number in range(1000):
        question = Question(positive=collection.ids[number % 21], where=f"year != {number}", k=20)
        session.add(question, answer_of(*collection.ids[:20], notes=notes))
    text = session.to_json()
    assert len(text) < 5_000_000, len(text)
    page = make_page(session)
    assert len(page) < 20_000_000, len(page)
    seen = Page(page)
    assert seen.tags["img"] == PICTURES and seen.tags["section"] == 1000
    assert "what comes later has words alone" in seen.said
    table = make_table(session)
    assert len(table) < 20_000_000, len(table)
    assert len(rows_of(table)) == 20_000
    assert same(Session.from_json(text, collection), session)
