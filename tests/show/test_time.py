"""By time: what came before a work is the same in the page as in Python."""

import pytest
from scripts import run_script
from test_answerer import LITE, collection, data, searches  # noqa: F401

from artsearch.search.path import find_earlier
from artsearch.search.question import Question

EARLIER = """async ([all, ids]) => {
  const answerer = createAnswerer(await load("works").then(readWorks), load);
  const found = [];
  for (const asked of all) {
    const question = makeQuestion(asked.question);
    const before = await answerer.earlier({ ...asked, question }, ids);
    found.push([...before].map(([id, one]) => [id, one && [one.id, one.distance]]));
  }
  return found;
}"""


def test_what_came_before_is_the_same_in_python_and_javascript(
    collection,  # noqa: F811
    searches,  # noqa: F811
    data,  # noqa: F811
    tmp_path,
):
    conditions = [
        {},
        {"where": 'artist == "dürer" or year < 1700', "exclude": collection.ids[:9]},
        {"machine_made": False},
    ]
    place = {"network": LITE, "crop": "no_crop", "goal": ""}
    asked = [
        place | {"dial": dial, "question": {"positive": [[collection.ids[0], 1]], **more}}
        for dial in (None, 0, 0.35, 1)
        for more in conditions
    ]
    in_page = run_script(EARLIER, [asked, collection.ids], tmp_path, data)
    several = 0
    for one, theirs in zip(asked, in_page, strict=True):
        dial = one["dial"]
        key = LITE, "no_crop"
        search = searches[key] if dial is None else searches.dial(*key, dial)
        question = Question(collection.ids[0], **{"exclude": (), **conditions[0], **_more(one)})
        mine = find_earlier(search, question, collection.ids)
        assert [id for id, _ in theirs] == list(mine)
        for id, there in theirs:
            here = mine[id].work
            assert bool(there) == bool(here), id
            if here:
                several += 1
                assert there[1] == pytest.approx(here.distance, abs=2e-3)
                if there[0] != here.id:  # equally near
                    exact = search.comparing
                    row = exact.rows_of([there[0]])
                    (far,) = exact.distances(exact.row(id), row)
                    assert far == pytest.approx(here.distance, abs=1e-5)
    assert several > 600


def _more(asked):
    return {name: one for name, one in asked["question"].items() if name != "positive"}
