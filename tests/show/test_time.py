"""By time: what came before a work is the same in the page as in Python."""

from itertools import product

import pytest
from scripts import run_script
from test_answerer import LITE, collection, data, searches  # noqa: F401
from walks import Walk

from artsearch.gallery.widget import Gallery
from artsearch.search.path import find_earlier
from artsearch.search.question import Question
from artsearch.works.years import read_years

EARLIER = """async ([all, ids]) => {
  const answerer = createAnswerer(await load("works").then(readWorks));
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


def test_a_notebooks_gallery_is_told_what_came_before(collection, searches, tmp_path):  # noqa: F811
    walk = Walk(Gallery(collection, searches, crop="no_crop", out=tmp_path))
    assert walk.view["time"] is False and walk.view["rows"][0]["before"] == {}
    walk.change(time=True)
    (row,) = walk.view["rows"]
    shown = [walk.query, *(work["id"] for work in row["works"])]
    machine_made = walk.gallery.question.machine_made
    expected = searches[LITE, "no_crop"].earlier(shown, machine_made=machine_made)
    assert list(row["before"]) == list(expected)
    for id, found in expected.items():
        there = row["before"][id]
        assert (there and there["id"]) == (found.work and found.work.id)
        if there:
            assert there["distance"] == found.work.distance and there["title"] and there["thumb"]
    works = {work["id"]: work["years"] for work in row["works"]}
    years = {id: expected[id].years for id in works}
    assert works == {id: one and list(one) for id, one in years.items()} and any(works.values())
    assert walk.select(shown[1])["time"] and list(walk.view["rows"][0]["before"])[0] == shown[1]
    assert walk.change(time=False)["rows"][0]["before"] == {}


def test_the_page_reads_years_as_python_does(collection, data, tmp_path):  # noqa: F811
    code = """async () => (await load("works").then(readWorks)).works.map(({ years }) => years)"""
    found = run_script(code, None, tmp_path, data)
    read = [read_years(text) for text in collection.works["year"]]
    assert found == [one and list(one) for one in read] and None in found


# Where things stand


SCALE = """async ([all, width, cut]) => all.map((spans) => {
  const scale = timeScale(spans, width, cut);
  return { ticks: scale.ticks, cuts: scale.cuts, at: spans.map(([first, last]) => (
    [scale.x(first), scale.x(last)])) };
})"""


def test_decades_are_named_and_no_label_touches_the_next(tmp_path):
    spans = [
        [[1831, 1831], [1890, 1895], [1900, 1900]],
        [[1889, 1889], [1889, 1889]],
        [[-500, -480], [-44, -44], [14, 14], [301, 400]],
        [[1301, 1400], [1503, 1503], [1920, 1920]],
        [[-3000, -2900], [1880, 1880]],
        [[0.5, 1e6]],
    ]
    for width, cut in product((320, 700, 2000), (False, True)):
        both = zip(run_script(SCALE, [spans, width, cut], tmp_path), spans, strict=True)
        for found, given in both:
            ticks, places = found["ticks"], [end for span in found["at"] for end in span]
            assert ticks and all(0 <= one["x"] <= width for one in ticks)
            gaps = [b["x"] - a["x"] for a, b in zip(ticks, ticks[1:], strict=False)]
            assert min(gaps, default=99) >= 3.5 * 4
            assert all(0 <= place <= width for place in places)
            by_year = sorted(zip([end for span in given for end in span], places, strict=True))
            assert [x for _, x in by_year] == sorted(places)
    texts = [[one["text"] for one in found["ticks"]] for found in
             run_script(SCALE, [spans, 700], tmp_path)]  # fmt: skip
    assert texts[0] == ["1830", "1840", "1850", "1860", "1870", "1880", "1890", "1900", "1910"]
    assert texts[1] == ["1880", "1890"]
    assert texts[2] == [f"{year} BC" for year in (500, 400, 300, 200, 100)] + [
        "AD 1", "100", "200", "300", "400"]  # fmt: skip


def test_centuries_without_works_are_cut_out_of_a_line(tmp_path):
    late = [[year, year] for year in range(1860, 1890, 3)]
    spans = [[[1503, 1503], [-44, -44], *late], [[1800, 1800], *late]]
    cut, whole = run_script(SCALE, [spans, 600, True], tmp_path)
    assert whole["cuts"] == [] and len(cut["cuts"]) == 2
    (third, _), (first, _), *rest = cut["at"]
    assert first < cut["cuts"][0] < third < cut["cuts"][1] < rest[0][0]
    assert rest[-1][0] - rest[0][0] > 200


STACK = "async ([boxes, width, most]) => stackInLanes(boxes, width, most)"


def test_works_stand_above_their_time_in_lanes_that_nothing_overlaps(tmp_path):
    one = [{"x": x, "width": 60} for x in (10, 30, 200, 210, 580)]
    found = run_script(STACK, [one, 600, 9], tmp_path)
    assert found["shift"] == 0 and found["lanes"] == 2
    assert [stand["lane"] for stand in found["stands"]] == [0, 1, 0, 1, 0]
    assert [stand["left"] for stand in found["stands"]] == [0, 0, 170, 180, 540]

    late = [{"x": x, "width": 60} for x in (500, 560, 570, 580)]
    found = run_script(STACK, [late, 600, 1], tmp_path)
    assert [stand["left"] for stand in found["stands"]] == [342, 408, 474, 540]
    assert found["end"] == 600 and found["shift"] == 128
    found = run_script(STACK, [late * 3, 600, 1], tmp_path)
    lefts = [stand["left"] for stand in found["stands"]]
    assert lefts == [66 * n for n in range(12)] and found["end"] == 11 * 66 + 60

    same = [{"x": 300, "width": 60}] * 7
    found = run_script(STACK, [same, 600, 3], tmp_path)
    assert found["lanes"] == 3 and found["shift"] == 2 * 66
    taken = {(stand["lane"], stand["left"]) for stand in found["stands"]}
    assert len(taken) == 7 and found["end"] == 270 + 2 * 66 + 60


def test_a_line_grows_longer_until_works_stand_where_they_belong(tmp_path):
    code = """async ([lists, room]) => {
      const { width, stacks } = fitLine(lists, room);
      return [width, stacks.map(({ shift }) => shift)];
    }"""
    few = {"spans": [[1800, 1800], [1850, 1850]], "widths": [60, 60]}
    many = {"spans": [[1800 + n, 1800 + n] for n in range(20)], "widths": [60] * 20}
    assert run_script(code, [[few], 600], tmp_path) == [600, [0]]
    width, shifts = run_script(code, [[few, many], 600], tmp_path)
    assert width >= 900 and len(shifts) == 2
    same = {"spans": [[1889, 1889]] * 20, "widths": [60] * 20}  # which no length takes apart
    assert run_script(code, [[few, same], 600], tmp_path)[0] == 600


def test_works_without_a_year_come_last(tmp_path):
    code = "async (works) => inTime(works).map(({ id }) => id)"
    works = [[None, "a"], [[1890, 1895], "b"], [[1892, 1892], "c"], [None, "d"], [[-5, -5], "e"]]
    given = [{"id": id, "years": years} for years, id in works]
    assert run_script(code, given, tmp_path) == ["e", "c", "b", "a", "d"]
