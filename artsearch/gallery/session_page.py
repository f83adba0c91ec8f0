"""The page of a session: what was kept, then every step, in one file to read, send and print."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from itertools import islice
from pathlib import Path
from string import Template

import artsearch
from artsearch.base.disk import write_whole
from artsearch.base.errors import ImageError, unknown
from artsearch.base.text import shorten
from artsearch.gallery.session import Session, Step, describe
from artsearch.networks.registry import NETWORKS
from artsearch.search.answer import cut
from artsearch.search.question import Part
from artsearch.search.wording import dial_text, distance_text, words
from artsearch.show import html
from artsearch.show.page import TEMPLATES, WEB, Pictures
from artsearch.works.images import open_image, thumbnail, to_jpeg

#: Works that are shown of a step, of those asked for and of those found.
SHOWN = 12
#: Pictures on a page, of 4 KB mostly; works behind these have words alone.
PICTURES = 1500
#: Longer sides of pictures, in pixels: those of steps, and those of works kept.
SMALL, LARGE = 144, 300
CAPTION = 160


#: What a session can be saved as.
KINDS = ("json", "csv", "html")


def save_session(session: Session, path: str | os.PathLike) -> Path:
    """Write a session: to be opened again (.json), as a table (.csv) or as a page (.html).

    The file is written whole or not at all. Raises ArtsearchError where it cannot be.
    """
    path = Path(path)
    return write_whole(path, to_bytes(session, path.suffix.lower().removeprefix(".")))


def to_bytes(session: Session, kind: str) -> bytes:
    """Return a session as the content of a file: "json", "csv" or "html"."""
    if kind not in KINDS:
        raise unknown("kind of file", kind, KINDS)
    if kind == "html":
        return make_page(session).encode()
    # The byte order mark tells Excel that a table is UTF-8.
    return session.to_csv().encode("utf-8-sig") if kind == "csv" else session.to_json().encode()


def make_page(session: Session) -> str:
    """Return the page as HTML, with all pictures in it."""
    style = (WEB / "trail.css").read_text(encoding="utf-8")
    works = _Works(session)
    sections = [_kept(session, works)] if session.kept else []
    sections += [_step(number, step, works) for number, step in enumerate(session.steps, 1)]
    name = shorten(session.origin["name"], CAPTION)
    return Template((TEMPLATES / "trail.html").read_text(encoding="utf-8")).substitute(
        style=style,
        style_hash=f"sha256-{_base64(hashlib.sha256(style.encode()).digest())}",
        title=escape(shorten(session.title, CAPTION) or f"A session through {name}"),
        about=_about(session, works),
        sections="\n".join(sections),
        version=artsearch.__version__,
    )


class _Works:
    """Works as items of lists: picture, caption, and what is to be said beside."""

    def __init__(self, session: Session):
        self.collection, self.kept = session.collection, session.kept
        self.left = PICTURES
        self.about, self._caption = cache(self._find), cache(self._find_caption)
        self._pictures = {side: _Pictures(session.collection, side) for side in (SMALL, LARGE)}

    def show(self, id: str, before: str = "", after: str = "", side: int = SMALL) -> str:
        """Return a work; `before` and `after` its caption stands what is HTML already."""
        kept = ' class="kept"' if id in self.kept and side == SMALL else ""
        said = f"{before} <bdi>{escape(self._caption(id))}</bdi>{after}"
        return f'<li{kept} data-id="{escape(id)}">{self._picture(id, side)}{said}</li>'

    def show_part(self, id: str, part: Part) -> str:
        """Return a work's part that was asked for, cut out; nothing where there is no picture."""
        if id not in self.collection or not self.left:
            return ""
        try:
            picture = cut(open_image(self.collection.path(id)), part)
        except ImageError:  # the work itself stands beside it, and says so
            return ""
        data = _base64(to_jpeg(thumbnail(picture, SMALL), quality=60))
        shown = self._image(f"data:image/jpeg;base64,{data}")
        return f'<li data-id="{escape(id)}">{shown}<b>the part</b></li>'

    def _find(self, id: str) -> dict[str, str]:
        """Return what is known of a work; nothing of one that is not there."""
        return self.collection.work(id) if id in self.collection else {}

    def _find_caption(self, id: str) -> str:
        caption = self.collection.caption(id) if id in self.collection else id
        return shorten(caption, CAPTION)

    def _picture(self, id: str, side: int) -> str:
        if not self.left:
            return ""
        if id not in self.collection:
            return '<span class="none">no picture here</span>'
        url = self._pictures[side].url(id)
        # Why not is not said: the reason names folders of the machine this was made on.
        return self._image(url) if url else '<span class="none">the picture cannot be read</span>'

    def _image(self, url: str) -> str:
        self.left -= 1
        # No `alt`: the caption stands directly below.
        return f'<img src="{url}" alt="">'


class _Pictures(Pictures):
    """Pictures of which some may be unreadable by now."""

    def url(self, id: str) -> str:
        """Return the picture of a work as a data: URL; "" for one that cannot be read."""
        try:
            return super().url(id)
        except ImageError:
            self._made[id] = ""  # and it is not tried again
            return ""


def _about(session: Session, works: _Works) -> str:
    """Return when this was asked, of which collection; and what is not as it was."""
    steps, origin = session.steps, session.origin
    count = f"{len(steps):,} step{'' if len(steps) == 1 else 's'}"
    when = f", {_when(steps)}" if steps else ""
    name = shorten(origin["name"], CAPTION)
    said = [f"{count} through {name} ({origin['works']:,} works){when}."]
    if steps and session.kept:
        said.append("Framed are the works that were kept.")
    if session.is_elsewhere:
        said.append("The collection at hand has other works than the one that was asked.")
    said += [session.missing] if session.missing else []
    if not works.left:
        said.append(f"The first {PICTURES:,} pictures are shown; what comes later has words alone.")
    if not steps and not session.kept:
        said.append("Nothing was asked, and nothing kept.")
    return f"<bdi>{escape(' '.join(said))}</bdi>"


def _when(steps: list[Step]) -> str:
    """Return the span of time, in which a day is named once.

    >>> from types import SimpleNamespace as Moment
    >>> _when([Moment(at=f"2026-01-31T1{hour}:30:00+00:00") for hour in (1, 5)])
    '2026-01-31 11:30 to 15:30 UTC'
    """
    first, last = (step.at[:16].replace("T", " ") for step in (steps[0], steps[-1]))
    later = last[11:] if last[:10] == first[:10] else last
    return f"{first} UTC" if last == first else f"{first} to {later} UTC"


def _kept(session: Session, works: _Works) -> str:
    """Return the works kept as a contact sheet, with licence and source."""
    items = []
    for id, note in session.kept.items():
        work = works.about(id)
        remark = f"<em><bdi>{escape(shorten(note, 500))}</bdi></em>" if note else ""
        licence = _small(work.get("licence", "") or "licence not stated")
        after = f"{remark}{licence}{_source(work.get('source', ''))}"
        items.append(works.show(id, after=after, side=LARGE))
    return html.section(f"Kept ({len(items):,})", f'<ol class="sheet">{"".join(items)}</ol>')


def _source(source: str) -> str:
    """Return where a work comes from, as a link where it is an address of the web.

    >>> _source("an attic"), _source("javascript:alert(0)")
    ('<small><bdi>an attic</bdi></small>', '<small><bdi>javascript:alert(0)</bdi></small>')
    """
    if not re.fullmatch(r"https?://\S{1,2000}", source):
        return _small(source)
    shown = escape(shorten(source, CAPTION))
    return f'<small><a href="{escape(source)}" rel="noopener noreferrer">{shown}</a></small>'


def _small(text: str) -> str:
    return f"<small><bdi>{escape(shorten(text, CAPTION))}</bdi></small>" if text else ""


def _step(number: int, step: Step, works: _Works) -> str:
    """Return a step: the question in words and pictures, its link, the notes, the answer."""
    said = escape(describe(step.question, works.collection, step.goal))
    heading = f'<h2><a href="#step-{number}">{number}</a> <bdi>{said}</bdi></h2>'
    notes = [shorten(note, 500) for note in step.notes[:SHOWN]]
    found = [_found(works, *one) for one in islice(step.grouped, SHOWN)]
    parts = [
        heading,
        f'<p class="seen">{escape(_seen(step))}<br>{_link(step)}</p>',
        f'<ol class="query">{"".join(_asked(step, works))}</ol>',
        html.bullets(notes),
        f"<ol>{''.join(found)}</ol>" if found else html.says("No work answers this."),
        html.says(f"and {len(step.ids) - SHOWN:,} more") if len(step.ids) > SHOWN else "",
    ]
    return f'<section id="step-{number}">\n' + "\n".join(filter(None, parts)) + "\n</section>"


def _seen(step: Step) -> str:
    """Return when and by what a step was answered, in words."""
    network = NETWORKS[step.network].title if step.network in NETWORKS else step.network
    names = [network, words(step.crop), dial_text(step.dial)]
    return " · ".join([f"{step.at[:16].replace('T', ' ')} UTC", *filter(None, names)])


def _link(step: Step) -> str:
    if not step.own:
        return f"<code>{escape(step.link())}</code>"
    return "It holds an image of the visitor’s own, so there is no link to it."


def _asked(step: Step, works: _Works) -> Iterable[str]:
    """Return the works that a step asks for, each with its part in the question."""
    question = step.question
    sides = [("near", id) for id, _ in question.like]
    sides += [("not like", id) for id, _ in question.unlike]
    sides += [("to", step.goal)] if step.goal else []
    for side, id in sides[:SHOWN]:
        yield works.show(id, f"<b>{side}</b>")
    if question.part:
        yield works.show_part(question.like[0][0], question.part)


def _found(works: _Works, id: str, distance: float, group: str) -> str:
    """Return a work of an answer, with what its group and its licence are, where they are known."""
    before = f"{_small(group)}<b>{distance_text(distance)}</b>"
    return works.show(id, before, _small(works.about(id).get("licence", "")))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
