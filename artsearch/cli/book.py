"""The notebooks as a small site: to be read without a kernel, with a gallery and a map that work.

MyST and Jupyter Book fetch a theme when they build, and show a widget by the state that a kernel
left. Here nothing is fetched: nbconvert writes the cells, and where a notebook shows a widget the
book has the page that answers by itself (see write_site).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from markupsafe import Markup, escape

from artsearch.base.disk import write_folder
from artsearch.base.errors import ArtsearchError, EngineError
from artsearch.base.progress import Progress
from artsearch.features.features import Features
from artsearch.search.searches import Searches
from artsearch.show.html import WEB, render
from artsearch.show.map import colour_by, map_layout, works_of
from artsearch.show.site import write_data, write_site
from artsearch.works.collection import Collection

#: How the outputs of widgets say what they are, and the page that stands in their place.
WIDGETS = {"<Gallery of": "site/index.html", "<ArtMap of": "map.html", "<Judge of": ""}
VIEW = "application/vnd.jupyter.widget-view+json"
OWN = {"index.html", "map.html", "data", "docs", "site", "book.css", "book_map.js"}


@dataclass(frozen=True)
class Chapter:
    """A page of the book."""

    title: str
    file: str
    source: Path | None = None


def write_book(
    collection: Collection,
    searches: Searches,
    layout: Features,
    notebooks: str | os.PathLike,
    docs: str | os.PathLike,
    out: str | os.PathLike,
    progress: bool = True,
    yours: Mapping[tuple[str, str], float] | None = None,
) -> Path:
    """Write the book of executed notebooks into a folder, whole or not at all; return its page.

    `notebooks` and `docs` are the folders they lie in. The site of the collection is part of the
    book, and a map of where the works are in a `layout` (see map_layout); `yours` goes to the site.
    Raises EngineError where nbconvert is missing, ArtsearchError for a folder without notebooks,
    and one that holds other things.
    """
    found = sorted(Path(notebooks).glob("[0-9]*.ipynb"))
    if not found:
        raise ArtsearchError(f"no numbered notebooks in {str(notebooks)!r}; name their folder")
    pages = sorted(Path(docs).glob("*.md")) if Path(docs).is_dir() else []
    chapters = [Chapter("artsearch", "index.html"), Chapter("The gallery", "site/index.html")]
    chapters += [Chapter("The map", "map.html")]
    chapters += [Chapter(_title(path), f"{path.stem}.html", path) for path in found]
    site = Path(out).with_name(f"{Path(out).name}-site")
    write_site(collection, searches, site, progress=progress, yours=yours)

    def write(new: Path) -> None:
        shutil.copytree(site, new / "site")
        for name in ("book.css", "book_map.js"):
            shutil.copyfile(WEB / name, new / name)
        _write_map(new, collection, layout, chapters)
        with Progress(len(found), "Chapters", show=progress, unit="notebooks") as bar:
            for chapter in chapters:
                if chapter.source:
                    _write_chapter(new, chapter, chapters)
                    bar.update()
        if pages:
            _write_docs(new, pages, chapters)
        _write_index(new, chapters, pages)

    names = {*OWN, *(chapter.file for chapter in chapters)}
    page = write_folder(out, write, names) / "index.html"
    shutil.rmtree(site)
    return page


def _title(path: Path) -> str:
    first = nbformat.read(path, 4).cells[0].source.splitlines()[0]
    return first.lstrip("# ").strip()


def lay_out(searches: Searches, cache: str | os.PathLike = "build") -> Features:
    """Return where the works are on the map: by the blend where there is one, as in notebook 8."""
    name, crop = next(iter(searches))
    dial = searches.has_dial
    rows = searches.dial(name, crop).blend.at(0.5) if dial else searches.features(name, crop)
    return map_layout(rows, 0, Path(cache, "maps"))


def _write_chapter(new: Path, chapter: Chapter, chapters: list[Chapter]) -> None:
    exporter = _exporter()
    notebook = nbformat.read(chapter.source, 4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                output["data"] = {"text/html": _stand_in(output["data"]["text/plain"])}
    body, _ = exporter.from_notebook_node(notebook)
    _write_page(new, chapter, chapters, _turn_links(body))


def _stand_in(said: str) -> str:
    """Return what stands where a notebook shows a widget: a page that needs no kernel, if any."""
    page = next((page for start, page in WIDGETS.items() if said.startswith(start)), "")
    if page:
        return f'<iframe src="{page}" title="{escape(said.strip("<>").split(";")[0])}"></iframe>'
    return f"<p><em>{escape(said.strip('<>'))}</em></p>"


def _turn_links(body: str, up: str = "") -> str:
    """Let links to notebooks and to docs lead to the pages of the book."""
    body = re.sub(
        r'href="(?:\.\./notebooks/|notebooks/)?([0-9]\w*)\.ipynb', rf'href="{up}\1.html', body
    )
    to_docs = "" if up else "docs/"
    body = re.sub(r'href="(?:\.\./docs/|docs/)?(\w[\w-]*)\.md', rf'href="{to_docs}\1.html', body)
    return re.sub(r'href="(?:\.\./)?README\.html', f'href="{up}index.html', body)


def _write_docs(new: Path, pages: list[Path], chapters: list[Chapter]) -> None:
    from nbconvert.filters import markdown2html

    (new / "docs").mkdir()
    for path in pages:
        body = _turn_links(markdown2html(path.read_text("utf-8")), "../")
        chapter = Chapter(path.stem, f"docs/{path.stem}.html")
        _write_page(new, chapter, chapters, body, "../")
    for picture in pages[0].parent.glob("*.jpg"):
        shutil.copyfile(picture, new / "docs" / picture.name)


def _write_map(
    new: Path, collection: Collection, layout: Features, chapters: list[Chapter]
) -> None:
    works = works_of(collection, layout)
    column = next((name for name in ("style", "artist") if name in works), works.columns[0])
    colours = colour_by(works, column)
    (new / "data").mkdir()
    places = layout.vectors.round(4)
    data = {
        "ids": list(layout.ids),
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "groups": colours.groups.tolist(),
        "colours": list(colours.colours),
    }
    write_data(new, "map", data)
    shown = list(zip(colours.names, colours.colours, strict=True))
    body = render("book_map.html", works=f"{len(layout):,}", legend=shown)
    names = ("site/text", "site/where", "site/rows", "book_map", "data/map", "site/data/works")
    scripts = [f"{name}.js" for name in names]
    _write_page(new, Chapter("The map", "map.html"), chapters, body, scripts=scripts)


def _write_index(new: Path, chapters: list[Chapter], pages: list[Path]) -> None:
    names = [path.stem for path in pages]
    body = render("book_index.html", chapters=chapters, pages=names)
    _write_page(new, chapters[0], chapters, body)


def _write_page(
    new: Path,
    chapter: Chapter,
    chapters: list[Chapter],
    body: str,
    up: str = "",
    scripts: list[str] | None = None,
) -> None:
    page = render(
        "book.html",
        title=f"{chapter.title} · artsearch",
        file=chapter.file,
        chapters=chapters,
        up=up,
        scripts=scripts or [],
        # What is wider than a telephone scrolls, by keyboard too.
        body=Markup(
            re.sub('<(?:pre(?=>)|div(?= class="output_html))', r'\g<0> tabindex="0"', body)
        ),
    )
    (new / chapter.file).write_text(page, encoding="utf-8", newline="\n")


def _exporter():
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        raise EngineError(
            "the book wants nbconvert: pip install 'artsearch[lab]', or make book"
        ) from None
    return HTMLExporter(template_name="basic")
