"""The app and JupyterLab as they are started: a kernel for each page, themes, sizes, fingers."""

import pytest
from apps import (
    IMPORTS,
    IMPORTS_MAP,
    LITE,
    MADE_UP,
    ROOT,
    SHOW,
    SHOW_MAP,
    WAVE,
    compare,
    lab,
    map_pictures,
    map_ready,
    opened,
    ready,
    run_all,
    select,
    served,
    settled,
    wait_for_place,
    wait_for_query,
    write_notebook,
)
from axe import examine
from browser import SCREENS, ids, query, screenshot, slider_of, works
from madeup import make_folder

pytestmark = pytest.mark.slow

SHOW_DIAL = """\
collection = Collection(COLLECTION)
gallery = Gallery(collection, searches_by_colour(collection, dial=True), query=QUERY, out=OUT)
gallery"""


@pytest.fixture(scope="module")
def parameters(browser, paintings, out):
    return {"COLLECTION": str(paintings), "NETWORKS": LITE, "OUT": str(out), "QUERY": WAVE}


@pytest.fixture(scope="module")
def app(parameters, tmp_path_factory):
    """The address of the app over the 21 paintings."""
    folder = tmp_path_factory.mktemp("app")
    with served(write_notebook(folder / "gallery.ipynb", parameters), folder) as address:
        yield address


def test_two_visitors_do_not_meet(browser, app):
    with opened(browser, app) as page, opened(browser, app) as other:
        ready(page)
        ready(other)
        select(other, "drawer", 0)
        assert query(other) != query(page) == WAVE


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow_and_wide(browser, app, theme):
    with opened(browser, app, f"?theme={theme}", color_scheme=theme) as page:
        ready(page)
        for name, change in (("one", lambda: None), ("compare", lambda: compare(page))):
            change()
            for width in (400, 1600):
                page.set_viewport_size({"width": width, "height": 1000})
                assert page.evaluate("document.querySelector('.artsearch').scrollWidth") <= width
                see_all(page)
                screenshot(page, f"app-{name}-{width}-{theme}")


def see_all(page):
    """Scroll through the page, so that every picture comes into sight."""
    for image in page.locator("[data-part=work] img").all():
        image.scroll_into_view_if_needed()
    settled(page)
    page.locator(".as-line").scroll_into_view_if_needed()


@pytest.fixture(scope="module")
def app_with_dial(parameters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dial")
    notebook = write_notebook(folder / "dial.ipynb", parameters, MADE_UP, SHOW_DIAL)
    with served(notebook, folder) as address:
        yield address


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_dial_by_touch_narrow_and_wide(browser, app_with_dial, width, theme):
    size = {"width": width, "height": 1000}
    more = {"color_scheme": theme, "viewport": size, "has_touch": True}
    with opened(browser, app_with_dial, f"?theme={theme}", **more) as page:
        ready(page)
        screenshot(page, f"dial-widget-{width}-{theme}-off")
        box = slider_of(page).bounding_box()
        page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
        wait_for_place(page, "more style than content (0.")  # near 0.75: the thumb has a width
        assert page.evaluate("document.querySelector('.artsearch').scrollWidth") <= width
        screenshot(page, f"dial-widget-{width}-{theme}")


def test_an_error_in_the_set_up_is_one_sentence(browser, tmp_path):
    parameters = {"COLLECTION": str(tmp_path / "nowhere"), "NETWORKS": LITE, "OUT": "", "QUERY": ""}
    notebook = write_notebook(tmp_path / "wrong.ipynb", parameters)
    with (
        served(notebook, tmp_path) as app,
        opened(browser, app) as page,
    ):
        page.get_by_text("does not exist; name a folder of images").wait_for(timeout=120_000)
        assert "Traceback" not in page.content()


def test_the_notebook_itself_is_the_app(browser, tmp_path):
    """What `make app` starts, on the shipped collection; the README's picture is taken here."""
    notebook = str(ROOT / "notebooks" / "04_compare_networks.ipynb")
    with (
        served(notebook, tmp_path) as app,
        opened(browser, app) as page,
    ):
        # The features of 462 works, unless they are there from an earlier run.
        page.wait_for_selector(".artsearch", timeout=400_000)
        ready(page)
        # What a machine made is left out at first, and the first work is one by hand.
        assert all(id.startswith("paintings/") for id in [query(page), *ids(page, "neighbours")])
        assert "Content or manner" not in page.locator("body").inner_text()
        compare(page)
        page.evaluate("document.activeElement.blur()")  # no ring of the focus in the README
        page.screenshot(path=SCREENS / "gallery.jpg", type="jpeg", quality=85)


# ---- JupyterLab ------------------------------------------------------------------------------


def test_jupyterlab_in_the_dark(browser, parameters, tmp_path):
    """The same gallery in a notebook, in JupyterLab's dark theme, by mouse and by keyboard."""
    (tmp_path / "lab").mkdir()
    write_notebook(tmp_path / "lab" / "gallery.ipynb", parameters, IMPORTS, SHOW)
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    served_lab = lab(tmp_path, tmp_path / "lab", JUPYTERLAB_SETTINGS_DIR=str(tmp_path / "settings"))
    with served_lab as address, opened(browser, address, "/lab/tree/gallery.ipynb") as page:
        run_all(page)
        ready(page)
        assert page.locator("body[data-jp-theme-light=false]").count() == 1
        select(page, "neighbours", 2)
        works(page, "neighbours").nth(1).focus()
        id = page.evaluate("document.activeElement.dataset.id")
        page.keyboard.press("Enter")  # which JupyterLab would take to edit the cell
        wait_for_query(page, id)
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.id") == ids(page, "neighbours")[2]
        page.locator(".as-line").scroll_into_view_if_needed()
        settled(page)
        screenshot(page, "lab-dark", "#jp-main-dock-panel")
        examine(page, "JupyterLab in the dark", ".artsearch")
        # What "…" opens lies below it, and Escape is not the notebook's.
        more, card = page.locator("[data-part=more]"), page.locator(".as-card")
        more.focus()
        page.keyboard.press("Enter")
        card.wait_for()
        screenshot(page, "lab-dark-more", "#jp-main-dock-panel")
        place, box = more.bounding_box(), card.bounding_box()
        right, end = (one["x"] + one["width"] for one in (place, box))
        assert place["y"] < box["y"] < place["y"] + 50 and abs(right - end) < 2
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        card.wait_for(state="hidden")
        assert page.evaluate("document.activeElement.dataset.part") == "more"
        # A second look at the same widget is a gallery too, and follows the first.
        count = page.locator(".artsearch").count()
        page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
        page.wait_for_function(f"document.querySelectorAll('.artsearch').length > {count}")


def test_the_map_in_jupyterlab(browser, tmp_path):
    """In a notebook as well, also when the same map is shown a second time."""
    parameters = {
        "COLLECTION": str(make_folder(tmp_path / "works", [f"Title {n}" for n in range(400)])),
        "COLUMN": "title",
        "OUT": str(tmp_path / "out"),
    }
    write_notebook(tmp_path / "map.ipynb", parameters, IMPORTS_MAP, SHOW_MAP)
    with (
        lab(tmp_path, tmp_path) as address,
        opened(browser, address, "/lab/tree/map.ipynb") as page,
    ):
        run_all(page)
        page.locator(".artsearch-map").scroll_into_view_if_needed(timeout=180_000)
        map_ready(page)
        shown = len(map_pictures(page))
        assert shown > 20
        page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
        page.wait_for_function("document.querySelectorAll('.am-layer[data-shown]').length === 2")
        map_ready(page)
        assert len(page.locator(".am-layer img").all()) > shown
