"""The page's answers are Python's: same works, same order, same notes, to random questions."""

import csv
import random

import numpy as np
import pytest
from madeup import MadeUpSearches, make_folder
from scripts import run_script
from tiers import examples
from walks import Walk

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.gallery.answers import Answers
from artsearch.gallery.asked import Asked
from artsearch.gallery.session import Session
from artsearch.gallery.widget import Gallery
from artsearch.index.factory import construct_exact_index
from artsearch.search.question import Question, read_link
from artsearch.search.search import Search
from artsearch.show.site import write_site
from artsearch.show.site_rows import RECALL_AT, from_bytes, to_bytes
from artsearch.works.collection import Collection

LITE, WORKS = "efficientnet_lite0", 150
ARTISTS = ("Dürer", "DURER", "Hokusai", "Clara Peeters", "", "Wei  Zhen")
YEARS = ("1502", "c. 1890–95", "17th century", "", "undated", "1831", "after 1650")
KINDS = ("print", "drawing", "painting", "")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = make_folder(
        tmp_path_factory.mktemp("art") / "works", [f"Work {n}" for n in range(WORKS)]
    )
    with open(folder / "works.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    dice = random.Random(0)
    for row in rows:
        row[1], row[3] = dice.choice(ARTISTS), dice.choice(YEARS)
        row += [dice.choice(KINDS), dice.choice(("", "", "", "a tool"))]
    with open(folder / "works.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*head, "object type", "machine_made"], *rows])
    return Collection(folder)


class PagesSearches(MadeUpSearches):
    """Searches over the very rows that the page has: answers are the same to the last digit."""

    def __init__(self, collection):
        dice = np.random.default_rng(0)
        rows = dice.normal(size=(len(collection), 32))
        for first in range(0, 60, 3):  # copies, some of them nearer than others
            rows[first + 1] = rows[first] + dice.normal(size=32) * dice.choice([0, 0.05, 0.2, 0.4])
        super().__init__(collection, rows, [LITE], ["no_crop"], dial=True)

    def __getitem__(self, key):
        if key not in self._made:
            found = super().__getitem__(key)
            rows = _as_read(found.exact.fetch(slice(None)), [found.exact.dims])
            made_of = Features(rows, found.index.ids, found.index.provenance)
            self._made[key] = Search(self.collection, construct_exact_index("angular", made_of))
        return self._made[key]

    def _dial(self, network, crop, place=0.5):
        dial = super()._dial(network, crop, place)
        widths = [one.basis.shape[1] for one in dial.blend.components.values()]
        for name in ("vectors", "raw"):
            setattr(dial.blend, name, _as_read(getattr(dial.blend, name), widths))
        return type(dial)(self.collection, dial.blend, place)


def _as_read(rows, widths):
    return from_bytes(*to_bytes(rows, widths), widths).astype(np.float32)


@pytest.fixture(scope="module")
def searches(collection):
    return PagesSearches(collection)


@pytest.fixture(scope="module")
def data(collection, searches, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "site"
    return write_site(collection, searches, out, progress=False, image_side=0).parent / "data"


def draw(dice, ids):
    """Draw something that could be asked: most of it rather little, some of it all at once."""

    def some(*choices, often=0.3):
        return dice.choice(choices[1:]) if dice.random() < often else choices[0]

    weights = (1, 1, 0.5, 3)
    things = dice.sample(ids, 6)
    liked = [(id, dice.choice(weights)) for id in things[: dice.choice((1, 1, 1, 2, 3))]]
    return {
        "dial": some(None, 0.0, 0.2, 0.5, 0.75, 0.85, 1.0, often=0.6),
        "goal": some("", things[5], often=0.15),
        "question": {
            "positive": liked,
            "negative": some([], [(things[4], 0.5)]),
            "where": some(
                "",
                'artist == "dürer"',
                "year between 1600 and 1895",
                '`object type` in ["print", "drawing"] and not artist contains "hok"',
                "year = 1831 or year < 1600",
                'artist == "" and year > 1900',
                'artist == "Dürrer"',
                "colour = 3",
                often=0.4,
            ),
            "exclude_same": some([], ["artist"], ["artist", "object type"]),
            "near_duplicates": some(True, False, often=0.4),
            "machine_made": some(True, False),
            "exclude": some([], [things[3]], ["gone.jpg"], often=0.2),
            "group_by": some("", "artist", "object type"),
            "group_size": some(1, 2),
            "k": dice.randint(1, 20),
        },
    }


def ask_python(collection, searches, asked):
    question = Question(**_tupled(asked["question"]))
    put = Asked(LITE, "no_crop", question, asked["dial"], goal=asked["goal"])
    try:
        answer = Answers(collection, searches).answer(put)
    except ArtsearchError as error:
        return {"error": str(error)}
    works = [[one.id, one.distance, one.group, one.duplicates] for one in answer]
    rarities = [one.rarity and (*one.rarity, str(one.rarity)) for one in answer]
    return {"works": works, "notes": list(answer.notes), "unit": answer.unit, "rarities": rarities}


def _tupled(fields):
    return {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}


ASK = """async (all) => {
  const answerer = createAnswerer(await load("works").then(readWorks));
  const found = [];
  for (const asked of all) {
    const question = makeQuestion(asked.question);
    found.push(await answerer.search.answer({ ...asked, question }).then(
      ({ works, notes, unit }) => ({ unit, notes, works: works.map((one) => (
        [one.id, one.distance, one.group, one.duplicates])), rarities: works.map(({ rarity }) => (
        rarity && [rarity.share, rarity.by_chance, rarityText(rarity)])) }),
      (error) => (error instanceof Refusal ? { error: error.message } : { fault: error.stack })));
  }
  return found;
}"""


def test_random_questions(collection, searches, data, tmp_path):
    dice = random.Random(0)
    place = {"network": LITE, "crop": "no_crop"}
    asked = [draw(dice, collection.ids) | place for _ in range(examples(150))]
    in_page = run_script(ASK, asked, tmp_path, data)
    refused = told = alike = 0
    for one, theirs in zip(asked, in_page, strict=True):
        mine = ask_python(collection, searches, one)
        if "error" in mine:
            refused += 1
            assert theirs == mine, one
            continue
        assert theirs["notes"] == mine["notes"], one
        assert theirs["unit"] == mine["unit"]
        same_answer(theirs["works"], mine["works"], one)
        at_a_place = one["dial"] in (None, *RECALL_AT)  # between them it is interpolated
        assert [bool(rarity) for rarity in theirs["rarities"]] == list(map(bool, mine["rarities"]))
        for there, here in zip(theirs["rarities"], mine["rarities"], strict=True):
            if here:
                assert there[0] == pytest.approx(here[0], abs=2e-3 if at_a_place else 0.1), one
                told += 1
                alike += there[2].partition(":")[0] == here[2].partition(":")[0]
    assert 0 < refused < len(asked) / 2 and told > len(asked) and alike > 0.95 * told


def same_answer(theirs, mine, asked):
    """The same works in the same order, those that are equally near in any."""
    far = np.array([work[1] for work in mine])
    np.testing.assert_allclose([work[1] for work in theirs], far, atol=2e-3, err_msg=str(asked))
    for there, here in zip(theirs, mine, strict=True):
        if there[0] != here[0]:
            twin = next(work for work in mine if work[0] == there[0])
            assert twin[1] == pytest.approx(here[1], abs=1e-5), asked
            continue
        assert there[2:] == here[2:], asked


# ---- a walk ------------------------------------------------------------------------------------


def step(dice, collection):
    """Return something that a visitor could do."""
    id, other = dice.choice(collection.ids), dice.choice(collection.ids)
    question = draw(dice, collection.ids)["question"]
    name = dice.choice(["where", "exclude_same", "near_duplicates", "machine_made", "group_by"])
    changes = [
        {name: question[name]},
        {"where": dice.choice(["year > 1800", 'artist == "Dürrer"', "year >", ""])},
        {"group_size": dice.randint(1, 3), "k": dice.choice([0, 3, 12, 20, 40])},
        {"dial": dice.choice([None, 0, 0.2, 0.8501, 1])},
        {"goal": dice.choice([id, "", "gone.jpg"])},
        {"search": dice.choice(["work 1", "DÜRER", "1831 ", "x", "hokusai 17th"])},
        {"page": dice.randint(-1, 9)},
        {"compare": True},
        {"network": LITE},
    ]
    verbs = [
        {"do": "select", "id": id},
        {"do": "like", "id": id, "weight": dice.choice([1, 0.5, 0])},
        {"do": "unlike", "id": other, "weight": 1},
        {"do": "exclude", "id": other},
        {"do": "drop", "id": id},
        {"do": "clear"},
        {"do": "back"},
        {"do": "forward"},
        {"do": "go_to", "position": dice.randint(-1, 9)},
        {"do": "refresh"},
        {"do": "keep", "id": id, "on": dice.random() < 0.8},
    ]
    if dice.random() < 0.5:
        return {"do": "change", **dice.choice(changes)}
    return dice.choice(verbs)


def essence(view):
    """Leave out what may differ: where pictures lie, and the order of the drawer."""
    same = ("networks", "crops", "k", "k_max", "compare", "time", "machine_made", "unit", "error")
    drawer = {name: view["drawer"][name] for name in ("search", "page", "pages", "matches")}
    found = [work["id"] for work in view["drawer"]["works"]]
    told = (
        "id",
        "title",
        "artist",
        "year",
        "years",
        "style",
        "licence",
        "source",
        "caption",
        "alt",
    )
    ask = dict(view["ask"])
    for name in ("link", "lacks", "why", "motif"):
        ask.pop(name, None)
    for name in ("liked", "excluded"):
        ask[name] = [[work["id"], work.get("weight"), work.get("side")] for work in ask[name]]
    ask["goal"] = ask["goal"] and ask["goal"]["id"]
    history = view["history"] | {"works": [work["id"] for work in view["history"]["works"]]}
    return {
        **{name: view[name] for name in same},
        "dial": {name: view["dial"][name] for name in ("available", "alpha")},
        "query": {name: view["query"][name] for name in told},
        "history": history,
        "drawer": drawer,
        "found": found if view["drawer"]["search"] else len(found),
        "ask": ask,
    }


def same_before(theirs, mine, asked):
    """What came before is as near, and the same work where no other one is."""
    assert theirs.keys() == mine.keys(), asked
    for id, here in mine.items():
        assert bool(theirs[id]) == bool(here), (asked, id)
        if here:
            assert theirs[id]["distance"] == pytest.approx(here["distance"], abs=2e-3)
            is_as_near = theirs[id]["distance"] == pytest.approx(here["distance"], abs=1e-5)
            assert theirs[id]["id"] == here["id"] or is_as_near, (asked, id)


WALK = """async ([start, walk]) => {
  const site = await load("works").then(readWorks);
  const question = makeQuestion({ positive: [[start, 1]] });
  const answerer = createAnswerer(site);
  const first = { ...firstState(site, answerer.about), compare: false, history: [start], question };
  const taken = createWalk(answerer, first);
  await taken.act({ do: "move", state: taken.state });
  const views = [];
  for (const what of walk) {
    await taken.act(what);
    views.push(taken.view());
  }
  return { views, session: JSON.stringify(answerer.note) };
}"""


def test_same_walk_by_both_answerers(collection, searches, data, tmp_path):
    """A visitor comes to the same works, whether the page answers by itself or Python does."""
    dice = random.Random(1)
    walk = [step(dice, collection) for _ in range(examples(200))]
    walk[20:20] = [{"do": "change", "time": True}]
    walk[80:80] = [{"do": "change", "time": False}]
    start = collection.ids[0]
    in_page = run_script(WALK, [start, walk], tmp_path, data)
    visit = Walk(Gallery(collection, searches, query=start, crop="no_crop", out=tmp_path))
    errors, told = set(), 0
    for number, (what, theirs) in enumerate(zip(walk, in_page["views"], strict=True)):
        mine = visit.act(**what)
        assert essence(theirs) == essence(mine), (number, what)
        assert read_link(theirs["ask"]["link"]) == read_link(mine["ask"]["link"])
        assert mine["error"] or visit.gallery.query == visit.query
        errors.add(mine["error"])
        for there, here in zip(theirs["rows"], mine["rows"], strict=True):
            said = [
                [
                    [one[name] for name in ("id", "distance", "group", "duplicates")]
                    for one in row["works"]
                ]
                for row in (there, here)
            ]
            same_answer(*said, what)
            same_before(there["before"], here["before"], what)
            told += len(here["before"])
    assert len(errors) >= 3 and told > 20
    again, session = Session.from_json(in_page["session"], collection), visit.gallery.session
    assert not again.missing and list(again.kept) == list(session.kept)
    assert [step.link() for step in again.steps] == [
        step.link() for step in visit.gallery.session.steps
    ]
    assert [step.notes for step in again.steps] == [
        step.notes for step in visit.gallery.session.steps
    ]
    rated = [[[one and one.word for one in step.rarities] for step in of.steps]
             for of in (again, session)]  # fmt: skip
    assert rated[0] == rated[1] and any(rated[0])
