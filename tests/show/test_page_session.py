"""A session as the static page saves it: the table and the page that Python makes."""

import json
from dataclasses import replace

import pytest
from browser import SCREENS, chromium, visit
from madeup import HOSTILE, make_folder, searches_by_colour
from scripts import run_script

from artsearch.gallery.session import Session
from artsearch.gallery.session_page import make_page
from artsearch.gallery.session_table import make_table
from artsearch.search.question import Question
from artsearch.search.rarity import Rarity
from artsearch.search.results import Neighbour, Results
from artsearch.show.site import write_site
from artsearch.works.collection import Collection

LITE, CROP = "efficientnet_lite0", "no_crop"
LONG = "long " * 300
TITLES = (*HOSTILE, "-5", "-5 a", "@SUM(A1)", "\t=1+1", LONG, 'a "quoted", thing', "  ", "a\r\nb")
WORKS = [f"work {number:05}.png" for number in range(len(TITLES))]
GONE = "gone <b>.png"

TABLE = """async (text) => {
  const site = await load("works").then(readWorks);
  return tableOf(readSession(text), site);
}"""
PAGE = """async ([text, pictured]) => {
  const site = await load("works").then(readWorks);
  const { page } = await load("session");
  const eyes = createEyes(site, load, () => {});
  return pageOf(readSession(text), site, page, pictured ? eyes.picture : null);
}"""
#: What a page is made of: its elements in order, with their attributes and what they say.
OUTLINE = """(text) => {
  const [style] = text.match(/<style>[^]*?<.style>/);
  const page = new DOMParser().parseFromString(text.replace(style, ""), "text/html");
  return [style, [...page.querySelectorAll("*")].map((node) => [
    node.tagName,
    Object.fromEntries([...node.attributes].map(({ name, value }) => (
      [name, value.replace(/^data:image.jpeg;base64,.{500,}/, "a picture")]))),
    [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join(""),
  ])];
}"""


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    return Collection(make_folder(tmp_path_factory.mktemp("works") / "<i>works</i>", TITLES))


@pytest.fixture(scope="module")
def site(works, tmp_path_factory):
    """A page that has its pictures as data, too."""
    searches = searches_by_colour(works)
    for search in searches.values():
        search.index.provenance = {"weights": "made up"}
    return write_site(works, searches, tmp_path_factory.mktemp("page") / "site", progress=False)


@pytest.fixture(scope="module")
def page(site):
    with chromium() as browser, visit(browser) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(".artsearch:not(.as-waiting)")
        yield page


def make_session(works, title=HOSTILE[1]):
    """A session of every kind of question, of hostile works, over some that are gone."""
    session = Session(works, title)
    first, second, *_ = WORKS
    questions = [
        Question(
            first, where='artist == "Artist 0" or `title` contains "~*"', exclude_same="artist"
        ),
        Question({first: 2, second: 1e-5, WORKS[2]: 0.1}, negative=WORKS[3], near_duplicates=False),
        Question(WORKS[4], group_by="style", group_size=2, machine_made=False),
        Question(WORKS[5], region=(0.125, 0.001, 0.625, 1)),
        Question(WORKS[6], exclude=WORKS[7:14]),
        Question((), words={"a wave": 1, LONG: 0.5}, negative_words="=1+1"),
        Question("your image: 1", k=3),
        Question(GONE),
    ]
    distances = [0.0, 1.0, 1e-7, 0.1234567890123, 1234.5, 2.5e17, *range(20)]
    rarities = [Rarity(1.0, 1e-9), None, Rarity(0.9997, 0.2), Rarity(0.5, 12345.6)]
    for number, question in enumerate(questions):
        found = [
            Neighbour(id, distance, id, HOSTILE[place % 7] if question.group_by else "", rate=None)
            for place, (id, distance) in enumerate(zip([*WORKS, GONE], distances, strict=False))
        ]
        provenance = {"network": LITE, "crop": CROP, "dial": (None, 0.0, 0.3, 1.0)[number % 4]}
        notes = ("no <i>style</i> is known...", LONG, "Éa.")[: number % 4]
        answer = Results(None, tuple(found), "angular", provenance, question, notes)
        session.add(question, answer, goal=second if number == 4 else "")
    rated = [rarities[place % 4] for place in range(len(session.steps[0].ids))]
    session.steps[0] = replace(session.steps[0], rarities=tuple(rated))
    session.steps[1] = replace(session.steps[1], ids=(), distances=())
    for place, note in enumerate(("=1+1", LONG, "", "<script>")):
        session.keep(WORKS[place], note)
    session.kept[GONE] = "it was here"
    return session


def test_the_table_is_pythons(works, site, tmp_path):
    session = make_session(works)
    found = run_script(TABLE, session.to_json(), tmp_path, site.parent / "data")
    assert found.split("\r\n") == make_table(session).split("\r\n")
    nothing = Session(works)
    found = run_script(TABLE, nothing.to_json(), tmp_path, site.parent / "data")
    assert found == make_table(nothing)


def test_the_page_is_pythons(works, page):
    session = make_session(works)
    mine = page.evaluate(OUTLINE, make_page(session))
    text = page.evaluate(PAGE, [session.to_json(), True])
    assert page.evaluate(OUTLINE, text) == mine
    nothing = Session(works)
    mine = page.evaluate(OUTLINE, make_page(nothing))
    text = page.evaluate(PAGE, [nothing.to_json(), True])
    assert page.evaluate(OUTLINE, text) == mine


def test_the_page_that_was_saved_opens_and_does_nothing(works, page, tmp_path):
    session = make_session(works)
    (tmp_path / "session.html").write_text(page.evaluate(PAGE, [session.to_json(), True]), "utf-8")
    SCREENS.mkdir(parents=True, exist_ok=True)
    with visit(page.context.browser) as shown:
        shown.goto((tmp_path / "session.html").as_uri())
        assert shown.title() == HOSTILE[1]
        assert shown.locator("section").count() == 1 + len(session.steps)
        broken = "all => all.filter((one) => !one.complete || !one.naturalWidth).length"
        assert shown.locator("img").count() > 50
        assert shown.locator("img").evaluate_all(broken) == 0
        widths = shown.locator("section[id] img").evaluate_all("all => all.map((one) => one.width)")
        assert max(widths) <= 144
        assert (
            shown.locator("body").evaluate("body => getComputedStyle(body).fontFamily") != "serif"
        )
        shown.screenshot(path=SCREENS / "site-session.png", full_page=True)


def test_a_page_without_pictures_says_so(works, page):
    session = make_session(works)
    text = page.evaluate(PAGE, [session.to_json(), False])
    assert "<img" not in text.partition("</head>")[2].replace("&lt;", "")
    assert "Without pictures: the page that saved this has none at hand that it may read" in text


def test_another_collection_is_named(works, page):
    session = make_session(works, "")
    file = json.loads(session.to_json())
    file["collection"] |= {"name": "Elsewhere", "fingerprint": "none"}
    again = Session.from_json(json.dumps(file), works)
    assert again.is_elsewhere
    text = page.evaluate(PAGE, [again.to_json(), True])
    assert page.evaluate(OUTLINE, text) == page.evaluate(OUTLINE, make_page(again))
