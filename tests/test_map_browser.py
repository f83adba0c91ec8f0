"""The map in a browser: pictures where there is room, a lasso that Python knows, hostile texts."""

import numpy as np
import pytest
from browser import chromium
from madeup import HOSTILE, make_folder
from test_gallery_browser import MADE_UP, opened, run_all, served, server, write_notebook

IMPORTS = f"""{MADE_UP}
from artsearch.errors import ArtsearchError
from artsearch.features import Features
from artsearch.map_widget import ArtMap
from artsearch.results import Neighbour, Results
"""
# What is found are the first works of all; of several selected ones the kernel says the ids.
SHOW = """\
collection = Collection(COLLECTION)
points = np.random.default_rng(0).uniform(-1, 1, (len(collection), 2)) * [1, 0.7]

def ask(ids):
    if len(ids) > 1:
        raise ArtsearchError(f"the kernel has {sorted(ids)}")
    found = [Neighbour(id, 0.5, collection.caption(id)) for id in collection.ids[:4]]
    return Results(ids[0], tuple(found), "angular", {})

art_map = ArtMap(collection, Features(points, collection.ids), COLUMN, ask=ask, out=OUT)
art_map"""
COUNT = 400
# The element of jupyter-scatter that has its api.
API = """() => [...document.querySelectorAll("div[id]")].find((one) => one.api).api"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def notebook(browser, tmp_path_factory):
    """A notebook that shows a map of made-up works, the first ones with hostile titles."""
    out = tmp_path_factory.mktemp("map")
    titles = [*HOSTILE, *(f"Title {number}" for number in range(COUNT - len(HOSTILE)))]
    parameters = {
        "COLLECTION": str(make_folder(out / "works", titles)),
        "COLUMN": "title",
        "OUT": str(out / "out"),
    }
    return write_notebook(out / "map.ipynb", parameters, IMPORTS, SHOW)


@pytest.fixture(scope="module")
def app(notebook):
    with served(notebook, notebook.parent) as address:
        yield address


@pytest.fixture
def page(browser, app):
    with opened(browser, app) as page:
        ready(page)
        yield page


def ready(page):
    """Wait until the map is there, with all pictures that it shows, and stands still."""
    page.wait_for_selector(".am-layer[data-shown]", timeout=180_000)
    page.wait_for_timeout(300)  # pictures are chosen when the map has stood still for 0.12 s
    page.wait_for_function(
        """() => [...document.querySelectorAll(".am-layer img")]
          .every((img) => img.complete && img.naturalWidth)""",
        timeout=60_000,
    )


def boxes(page):
    """Return the shown pictures: row → left, top, right, bottom."""
    found = page.locator(".am-layer img").evaluate_all(
        """all => all.map((one) => {
          const {left, top, right, bottom} = one.getBoundingClientRect();
          return [Number(one.dataset.row), [left, top, right, bottom]];
        })"""
    )
    return dict(found)


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def places(page, rows):
    """Return where jupyter-scatter has the points of some works, in pixels of the page."""
    return page.evaluate(
        f"""rows => {{
          const api = ({API})();
          const {{left, top}} = api.get("canvas").getBoundingClientRect();
          const places = rows.map((row) => api.getScreenPosition(row));
          return places.map(([x, y]) => [x + left, y + top]);
        }}""",
        rows,
    )


def count_made(notebook):
    """Return of how many works pictures were made, each in two sizes."""
    return len(list((notebook.parent / "out" / "thumbs").rglob("*.webp"))) // 2


def said(page, text):
    page.locator(".am-said", has_text=text).wait_for()


def zoom(page, x, y):
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -120)
        page.wait_for_timeout(30)
    ready(page)


def test_pictures_are_shown_where_there_is_room_and_more_as_one_zooms(page, notebook):
    first = boxes(page)
    assert 30 < len(first) < COUNT
    made = count_made(notebook)
    sides = np.array(list(first.values()))
    left, top, right, bottom = sides.T
    over = (left[:, None] < right) & (right[:, None] > left)
    over &= (top[:, None] < bottom) & (bottom[:, None] > top)
    assert over.sum() == len(sides), "a picture lies over another"
    middles = np.array([middle(box) for box in first.values()])
    assert np.abs(middles - places(page, list(first))).max() < 1.5, "a picture is not at its point"

    zoom(page, *middle(next(iter(first.values()))))
    nearer = boxes(page)
    new = set(nearer) - set(first)
    assert len(new) > 5
    wide = [np.mean([box[2] - box[0] for box in one.values()]) for one in (first, nearer)]
    assert wide[1] > wide[0]
    # Only what came into sight was asked for.
    assert made < 0.8 * COUNT and count_made(notebook) - made <= len(new)
    middles = np.array([middle(box) for box in nearer.values()])
    assert np.abs(middles - places(page, list(nearer))).max() < 1.5

    switch = page.get_by_role("button", name="pictures")
    switch.click()
    assert not boxes(page)
    switch.click()
    ready(page)
    assert set(boxes(page)) == set(nearer)


def test_what_the_lasso_caught_is_known_in_python(page):
    page.get_by_title("Activate lasso selection").click()
    x, y = 400, 200
    page.mouse.move(x, y)
    page.mouse.down()
    for corner in ((x + 160, y), (x + 160, y + 120), (x, y + 120), (x, y + 4)):
        page.mouse.move(*corner, steps=12)
    page.mouse.up()
    said(page, "the kernel has")
    rows = sorted(page.evaluate(f"() => [...({API})().get('selectedPoints')]"))
    around = places(page, list(range(COUNT)))
    inside = [r for r, (a, b) in enumerate(around) if x < a < x + 160 and y < b < y + 120]
    border = 6  # the line was drawn in steps
    surely = [r for r in inside if x + border < around[r][0] < x + 160 - border]
    surely = [r for r in surely if y + border < around[r][1] < y + 120 - border]
    assert len(rows) > 3 and set(surely) <= set(rows)
    text = page.locator(".am-said").inner_text()
    assert f"{len(rows)} works selected; the kernel has" in text
    assert [f"work {row:05}.png" for row in rows] == eval(text.partition("has ")[2])
    ready(page)
    assert page.locator(".am-layer .am-selected").count() > 0


def test_a_click_on_a_picture_asks_and_what_is_found_can_be_clicked(page):
    row, box = next(iter(boxes(page).items()))
    page.mouse.move(*middle(box))
    card = page.locator(".am-card.am-open")
    card.wait_for()
    assert card.inner_text().startswith(f"Artist {row // 10}, ")
    page.mouse.click(*middle(box))
    said(page, "1 work selected; nearest to it:")
    answers = page.locator(".am-answers button")
    assert answers.evaluate_all("all => all.map((one) => one.dataset.row)") == list("0123")
    page.wait_for_function(
        "[...document.querySelectorAll('.am-answers img')].every((img) => img.naturalWidth)"
    )
    answers.nth(2).click()
    page.wait_for_function(f"({API})().get('selectedPoints').join() === '2'")


def test_hostile_texts_are_texts(page):
    legend = page.locator(".am-legend li")
    assert legend.count() == 12 and not page.locator(".am-legend img, .am-legend svg").count()
    texts = [" ".join(text.split())[:20] for text in legend.all_inner_texts()]
    assert any(text.startswith("<img src=x onerror=") for text in texts)
    # The answer shows the first works, whose captions are hostile.
    row, box = next(iter(boxes(page).items()))
    page.mouse.click(*middle(box))
    page.wait_for_function("document.querySelectorAll('.am-answers img[src]').length === 4")
    captions = page.locator(".am-answers img").evaluate_all("all => all.map((one) => one.alt)")
    pairs = zip(captions[:3], HOSTILE, strict=False)
    assert all(title in caption for caption, title in pairs)
    for column, names in (("style", 1), ("year", 6), ("title", 12)):
        page.locator(".am-foot select").select_option(column)
        page.wait_for_function(f"document.querySelectorAll('.am-legend li').length === {names}")
        frames = page.locator(".am-layer img").evaluate_all(
            "all => all.map((one) => one.style.borderColor)"
        )
        dots = page.locator(".am-legend i").evaluate_all(
            "all => all.map((one) => one.style.backgroundColor)"
        )
        assert set(frames) <= set(dots)
        assert len(set(frames)) >= min(names, 2) or column == "title"  # most are of the others
    assert page.title() == "Visually similar artworks"


def test_the_map_in_jupyterlab(browser, notebook, tmp_path):
    """In a notebook as well, also when the same map is shown a second time."""
    lab = server(
        "jupyterlab",
        "--allow-root",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={notebook.parent}",
        folder=tmp_path,
        path="/api",
    )
    with lab as address, opened(browser, address, "/lab/tree/map.ipynb") as page:
        run_all(page)
        page.locator(".artsearch-map").scroll_into_view_if_needed(timeout=180_000)
        ready(page)
        shown = len(boxes(page))
        assert shown > 20
        page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
        page.wait_for_function("document.querySelectorAll('.am-layer[data-shown]').length === 2")
        ready(page)
        assert len(page.locator(".am-layer img").all()) > shown
