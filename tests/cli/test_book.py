"""The book: notebooks as pages, with a gallery and a map that work without a kernel."""

import nbformat
import pytest
from browser import chromium, visit
from madeup import make_folder, searches_by_colour

from artsearch.base.errors import ArtsearchError
from artsearch.cli.book import VIEW, write_book
from artsearch.features.features import Features
from artsearch.works.collection import Collection

TITLES = ["Wave", "Lion & <b>Co</b>", "Lake", "Tree"]


def widget(said):
    data = {VIEW: {"model_id": "0"}, "text/plain": said}
    return nbformat.v4.new_output("execute_result", data)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    for name in ("notebooks", "docs"):
        (folder / name).mkdir()
    cells = [
        nbformat.v4.new_markdown_cell(
            "# 4 · Look <here>\\n\\n[before](03_index.ipynb), [docs](../docs/dial.md#top), "
            "[home](../README.md)"
        ),
        nbformat.v4.new_code_cell("gallery", outputs=[widget("<Gallery of 4 works; it needs …>")]),
        nbformat.v4.new_code_cell("room", outputs=[widget("<Judge of 2 questions; it needs …>")]),
    ]
    path = folder / "notebooks/04_look.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    (folder / "docs/dial.md").write_text("# Dial\\n\\n[there](../notebooks/04_look.ipynb)\\n")
    collection = Collection(make_folder(folder / "works", TITLES))
    searches = searches_by_colour(collection)
    made = folder / "notebooks", folder / "docs", folder / "out"
    layout = Features([[0.8, 0.8], [-0.8, 0.8], [0.8, -0.8], [-0.8, -0.8]], collection.ids)
    write_book(collection, searches, layout, *made, progress=False)
    return folder / "out"


def test_a_widget_is_the_page_that_needs_no_kernel_and_links_stay_in_the_book(book):
    page = (book / "04_look.html").read_text("utf-8")
    assert '<iframe src="site/index.html" title="Gallery of 4 works"></iframe>' in page
    assert "<p><em>Judge of 2 questions; it needs …</em></p>" in page
    for link in ("03_index.html", "docs/dial.html#top", "index.html"):
        assert f'href="{link}"' in page
    assert 'href="../04_look.html"' in (book / "docs/dial.html").read_text("utf-8")
    assert "4 · Look &lt;here&gt;" in (book / "index.html").read_text("utf-8")
    assert not list(book.parent.glob("out-site"))


def test_the_gallery_and_the_map_of_the_book_answer(book):
    with chromium() as browser, visit(browser, viewport={"width": 1000, "height": 900}) as page:
        page.goto((book / "04_look.html").as_uri())
        gallery = page.frame_locator("iframe")
        gallery.locator("[data-part=neighbours] [data-part=work]").first.wait_for()
        page.goto((book / "map.html").as_uri())
        gallery = page.frame_locator("#gallery")
        gallery.locator("[data-part=neighbours] [data-part=work]").first.wait_for()
        said, canvas = page.locator("#said"), page.locator("#map")
        box = canvas.bounding_box()
        seen = set()
        for x in range(10, int(box["width"]), 40):
            for y in range(10, int(box["height"]), 40):
                page.mouse.move(box["x"] + x, box["y"] + y)
                if (text := said.text_content()) and text not in seen:
                    seen.add(text)
                    page.mouse.click(box["x"] + x, box["y"] + y)
                    number = next(i for i, title in enumerate(TITLES) if title in text)
                    work = f"[data-part=query][data-id='work {number:05}.png']"
                    gallery.locator(work).wait_for()
        assert len(seen) == len(TITLES)


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(ArtsearchError, match="no numbered notebooks"):
        write_book(None, None, None, tmp_path, tmp_path, tmp_path / "out")
