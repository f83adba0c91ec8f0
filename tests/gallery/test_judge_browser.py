"""The judging room in a browser: by keys, by mouse and by touch, several judges at once."""

import csv
import json
import re
from pathlib import Path

import pytest
from apps import PATIENCE, opened, server
from browser import visit
from judging import SAYS, asked, count, enter, everything, made_up_questions, settled, touch, vote

from artsearch.judge.questions import read_questions, to_vote, works_in
from artsearch.judge.votes import COLUMNS, merge_votes, read_votes
from artsearch.show.judge_page import write_judge_page

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
#: Votes as the page writes them: what the questions say, and the answers as left and right.
TOLD = ("question", "query", "first", "second", "answer", "kind", "left", "why", "first_by")


@pytest.fixture(scope="module")
def questions(collection):
    return made_up_questions(collection)


def told(votes):
    return [tuple(vote[name] for name in TOLD) for vote in votes.to_dict("records")]


def expected(questions, answers):
    votes = [
        to_vote(one, "any", SAYS.get(answer, answer))
        for one, answer in zip(questions, answers, strict=False)
    ]
    return [tuple(getattr(vote, name) for name in TOLD) for vote in votes]


def check_that_nothing_is_told(page, collection):
    """No title, no artist, no file and no network is known to what the judge sees."""
    text = everything(page)
    known = [Path(id).stem for id in collection.ids]
    for column in ("title", "artist"):
        known += [one for one in collection.works[column] if one]
    assert len(known) > 50
    assert [one for one in [*known, "resnet", "vgg16", "disagree"] if one in text] == []
    assert {img.get_attribute("alt") for img in page.locator(".aj img").all()} == {
        "the work",
        "left",
        "right",
    }


# The app


@pytest.fixture
def votes(tmp_path):
    return tmp_path / "votes.csv"


@pytest.fixture
def app(browser, paintings, votes, tmp_path, out):
    """What `artsearch judge app` serves."""
    asked = ["--count", "12", "--rows", "2", "--networks", "efficientnet_lite0"]
    places = ["--collection", str(paintings), "--votes", str(votes), "--out", str(out)]
    words = ("judge", "app", *asked, *places)
    path = "/voila/static/voila.js"
    with server("artsearch", *words, folder=tmp_path, path=path) as address:
        yield address


@pytest.mark.slow
def test_two_judges_at_once_by_keys_and_by_touch(browser, app, votes, collection, out):
    (file,) = (out / "judge").glob("*.json")
    questions = read_questions(file)
    assert len(questions) == 14
    with opened(browser, app) as ada, opened(browser, app, **PHONE) as ben:
        for page, name in ((ada, "Ada"), (ben, "Ben, 2")):
            page.wait_for_selector("[data-screen=name]", timeout=PATIENCE)
            enter(page, name)
        keys, touched = ["ArrowLeft", "n", "e", "ArrowRight"], ["right", "equal", "left", "neither"]
        for key, answer in zip(keys, touched, strict=True):
            vote(ada, key)
            touch(ben, answer)
        assert ben.evaluate("document.documentElement.scrollWidth") <= 390
        ada.keyboard.press("u")
        settled(ada)
        assert count(ada) == f"4 of {len(questions)}"
        check_that_nothing_is_told(ada, collection)
        for name, answers in (("Ada", keys[:3]), ("Ben, 2", touched)):
            held = read_votes(votes)
            assert told(held[held["judge"] == name]) == expected(questions, answers)

        # A vote that cannot be written is said, and comes again when it can be.
        kept = votes.rename(votes.with_name("kept.csv"))
        votes.mkdir()
        ada.keyboard.press("e")
        ada.get_by_role("alert").get_by_text("Your vote is held here").wait_for()
        ada.keyboard.press("n")  # not a second answer to the same question
        votes.rmdir()
        kept.rename(votes)
        ada.locator("[data-part=retry]").click()
        settled(ada)
        assert not ada.get_by_role("alert").is_visible()
        assert list(read_votes(votes)["answer"]).count("equal") == 3

    # Another kernel: she goes on where she was.
    with opened(browser, app) as ada:
        ada.wait_for_selector("[data-screen=name]", timeout=PATIENCE)
        enter(ada, "Ada")
        assert count(ada) == f"5 of {len(questions)}"
        vote(ada, "ArrowLeft")
        held = read_votes(votes)
        assert told(held[held["judge"] == "Ada"]) == expected(
            questions, [*keys[:3], "e", "ArrowLeft"]
        )
        assert (held["seconds"] > 0).all() and held["choice"].nunique() == 1


# The page


@pytest.fixture(scope="module")
def address(collection, questions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judging")
    return write_judge_page(collection, questions, folder, progress=False).as_uri()


def save(page):
    page.keyboard.press("p")
    with page.expect_download() as download:
        page.locator("[data-part=save]").click()
    return Path(download.value.path())


def test_an_evening_on_the_page(browser, address, questions, collection, tmp_path):
    with visit(browser) as page:
        page.goto(address)
        enter(page, 'Zoë, "Z"', skip=False)
        # Three examples, each explained; then the questions, by keys and by mouse.
        for key in ("ArrowLeft", "ArrowLeft", "e"):
            page.keyboard.press("Enter")
            asked(page)
            page.keyboard.press(key)
            page.get_by_text(re.compile("As most would|Most would say")).wait_for()
        page.keyboard.press("Enter")
        page.get_by_text("Now it begins").wait_for()
        page.keyboard.press("Enter")
        asked(page)
        assert "in what it shows" in page.locator("[data-part=question]").inner_text()
        check_that_nothing_is_told(page, collection)
        answers = ["ArrowLeft", "n", "e", "ArrowRight"] * len(questions)
        for key in answers[:4]:
            vote(page, key)
        page.reload()
        enter(page, 'Zoë, "Z"')
        assert count(page) == f"5 of {len(questions)}"
        for key in ("u", "Backspace"):
            page.keyboard.press(key)
            settled(page)
        answers[2:4] = ["left", "neither"]
        for answer in answers[2:4]:
            page.locator(f"[data-answer={answer}]").click()
            settled(page)
        shown = []
        while page.locator(".aj[data-screen=end]").count() == 0:
            shown.append(page.locator("[data-part=question]").inner_text())
            vote(page, answers[3 + len(shown)])
        # What is asked changes at pauses alone, and rows of works come last.
        assert "in how it is made" in shown[0]
        assert shown[-1] == "Which group goes better with it as a whole?"
        with page.expect_download() as download:
            page.locator("[data-part=save]").click()
        file = Path(download.value.path())
        held = merge_votes([file], tmp_path / "all.csv")
        assert told(held[held["why"] != "tried"]) == expected(questions, answers)
        assert list(held["answer"][held["why"] == "tried"]) == ["first", "first", "equal"]
        assert set(held["judge"]) == {'Zoë, "Z"'}
        assert len(read_votes(file, taken_back=True)) == len(held) + 4
        with open(file, encoding="utf-8") as text:
            assert next(csv.reader(text)) == list(COLUMNS)
    assert len(page.wrong) == 0


def test_a_browser_that_keeps_nothing(browser, address, questions):
    with visit(browser) as page:
        page.add_init_script(
            """Object.defineProperty(window, "localStorage", {
              get() { throw new DOMException("no", "SecurityError"); } })"""
        )
        page.goto(address)
        page.get_by_text("This browser does not keep your votes").wait_for()
        enter(page, "7")
        for key in ("e", "ArrowLeft", "n"):
            vote(page, key)
        assert told(read_votes(save(page))) == expected(questions, ["e", "ArrowLeft", "n"])


def test_a_browser_that_becomes_full_says_what_is_not_kept(browser, address, questions):
    with visit(browser) as page:
        page.add_init_script(
            """const set = Storage.prototype.setItem; let votes = 0;
            Storage.prototype.setItem = function (key, value) {
              if (key.startsWith("artsearch-vote-") && ++votes > 1) throw new DOMException("full");
              return set.call(this, key, value); };"""
        )
        page.goto(address)
        enter(page, "Ada")
        for key, said in (("e", "All your votes so far are kept"), ("n", "does not keep your")):
            vote(page, key)
            page.keyboard.press("p")
            page.get_by_text(said).wait_for()
            page.keyboard.press("Enter")
            asked(page)
        assert told(read_votes(save(page))) == expected(questions, ["e", "n"])


def test_a_question_whose_picture_is_gone_is_left_out(browser, collection, questions, tmp_path):
    address = write_judge_page(collection, questions, tmp_path, progress=False)
    data = (tmp_path / "judging/data/questions.js").read_text()
    names = json.loads(re.search(r'"pictures": (\[.*?\])', data)[1])
    one = questions[1]
    works = dict(zip(works_in(questions), names, strict=True))
    (file,) = (tmp_path / "judging/images").rglob(f"{works[one.first]}.jpg")
    file.unlink()
    shown = [
        each for each in questions[:8] if one.first not in (each.query, each.first, each.second)
    ]
    shown += [each for each in questions[8:] if one.first != each.query]
    with visit(browser) as page:
        page.goto(address.as_uri())
        enter(page, "Ada")
        while page.locator(".aj[data-screen=end]").count() == 0:
            vote(page, "e")
        said = page.locator(".aj-page").inner_text()
        assert f"{len(shown)} votes" in said and f"{len(questions) - len(shown)} question" in said
        page.wrong[:] = [one for one in page.wrong if "ERR_FILE_NOT_FOUND" not in one]


def test_a_key_held_down_or_with_another_one_is_no_vote(browser, address, questions):
    with visit(browser) as page:
        page.goto(address)
        enter(page, "Ada")
        page.keyboard.press("Control+ArrowLeft")
        page.keyboard.down("ArrowLeft")
        for _ in range(3):
            settled(page)
            page.keyboard.down("ArrowLeft")  # the browser says of these that they repeat
        assert count(page) == f"2 of {len(questions)}"
