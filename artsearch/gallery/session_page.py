"""The page of a session: what was kept, then every step, in one file to read, send and print."""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

import artsearch
from artsearch.base.disk import write_whole
from artsearch.base.errors import ImageError, unknown
from artsearch.base.text import shorten
from artsearch.gallery.session import Place, Session, Step
from artsearch.gallery.session_table import describe, make_table
from artsearch.networks.registry import NETWORKS
from artsearch.search.answer import cut
from artsearch.search.question import Region
from artsearch.search.rarity import Rarity
from artsearch.search.wording import dial_text, distance_text, motif_text, words
from artsearch.show.html import bullets, render, to_url
from artsearch.works.images import open_image, thumbnail, to_jpeg

#: Works that are shown of a step, of those asked for and of those found.
SHOWN = 12
#: Pictures on a page, of 4 KB mostly; works behind these have words alone.
PICTURES = 1500
#: Longer sides of pictures, in pixels: those of steps, and those of works kept.
SMALL, LARGE = 144, 300
CAPTION = 160
#: The two colours of an outline, the wider below the other.
UNDER, OVER = "#000", "#f0e442"
#: What a session can be saved as.
KINDS = {"json": "application/json", "csv": "text/csv", "html": "text/html"}


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
    return make_table(session).encode("utf-8-sig") if kind == "csv" else session.to_json().encode()


def make_page(session: Session) -> str:
    """Return the page as HTML, with all pictures in it."""
    works = _Works(session)
    kept = [_kept(works, id, note) for id, note in session.kept.items()]
    steps = [_step(works, number, step) for number, step in enumerate(session.steps, 1)]
    name = shorten(session.origin.name, CAPTION)
    return render(
        "session.html",
        "session.css",
        title=shorten(session.title, CAPTION) or f"A session through {name}",
        about=_about(session, works.left),
        kept=kept,
        steps=steps,
        version=artsearch.__version__,
    )


class _Works:
    """Works as the template shows them: picture, caption, and what is to be said beside."""

    def __init__(self, session: Session):
        self.collection, self.kept = session.collection, session.kept
        self.left = PICTURES
        self.about, self._picture = cache(self._find), cache(self._find_picture)

    def show(
        self,
        work_id: str,
        side: int = SMALL,
        region: Region | None = None,
        place: Region | None = None,
        **said: str,
    ) -> dict[str, object]:
        """Return a work, or a region of it; `said` is what stands before and after its caption.

        `place` is a region that is outlined.
        """
        url, missing = self._picture(work_id, side, region, place) if self.left else ("", "")
        self.left -= bool(url)
        shown = dict.fromkeys(("before", "group", "licence", "remark", "source", "address"), "")
        shown |= {"id": work_id, "caption": self.about(work_id)["caption"], "url": url}
        framed = work_id in self.kept and side == SMALL and not region
        return shown | {"missing": missing, "framed": framed, "is_part": bool(region)} | said

    def _find(self, work_id: str) -> dict[str, str]:
        """Return what is known of a work; the id alone of one that is not there."""
        known = {"caption": work_id, "licence": "", "source": ""}
        if work_id in self.collection:
            known |= self.collection.work(work_id)
            known["caption"] = self.collection.caption(work_id)
        return known | {"caption": shorten(known["caption"], CAPTION)}

    def _find_picture(
        self, work_id: str, side: int, region: Region | None, place: Region | None
    ) -> tuple[str, str]:
        """Return a picture as a data: URL, or why there is none."""
        if work_id not in self.collection:
            return "", "no picture here"
        try:
            picture = self.collection.path(work_id)
            picture = cut(open_image(picture), region) if region else picture
            small = thumbnail(picture, side)
            return to_url(to_jpeg(_outline(small, place) if place else small, quality=60)), ""
        except ImageError:
            # Why is not said: the reason names folders of the machine this was made on.
            return "", "the picture cannot be read"


def _outline(picture: Image.Image, place: Region) -> Image.Image:
    """Return a small picture with a region outlined, to be seen on light and on dark."""
    picture, sides = picture.copy(), 2 * picture.size
    left, top, right, bottom = (
        round(end * (side - 1)) for end, side in zip(place, sides, strict=True)
    )
    pen = ImageDraw.Draw(picture)
    pen.rectangle((left, top, right, bottom), outline=UNDER, width=4)
    pen.rectangle((left, top, right, bottom), outline=OVER, width=2)
    return picture


def _about(session: Session, left: int) -> str:
    """Return when this was asked, of which collection; and what is not as it was."""
    steps, origin = session.steps, session.origin
    count = f"{len(steps):,} step{'' if len(steps) == 1 else 's'}"
    when = f", {_when(steps)}" if steps else ""
    name = shorten(origin.name, CAPTION)
    said = [f"{count} through {name} ({origin.works:,} works){when}."]
    if steps and session.kept:
        said.append("Framed are the works that were kept.")
    if session.is_elsewhere:
        said.append("The collection at hand has other works than the one that was asked.")
    said += [session.missing] if session.missing else []
    if not left:
        said.append(f"The first {PICTURES:,} pictures are shown; what comes later has words alone.")
    if not steps and not session.kept:
        said.append("Nothing was asked, and nothing kept.")
    return " ".join(said)


def _when(steps: list[Step]) -> str:
    """Return the span of time, in which a day is named once.

    >>> from types import SimpleNamespace as Moment
    >>> _when([Moment(at=f"2026-01-31T1{hour}:30:00+00:00") for hour in (1, 5)])
    '2026-01-31 11:30 to 15:30 UTC'
    """
    first, last = (step.at[:16].replace("T", " ") for step in (steps[0], steps[-1]))
    later = last[11:] if last[:10] == first[:10] else last
    return f"{first} UTC" if last == first else f"{first} to {later} UTC"


def _kept(works: _Works, work_id: str, note: str) -> dict[str, object]:
    """Return a work that was kept, for the contact sheet, with its licence and source."""
    licence, source = (works.about(work_id)[name] for name in ("licence", "source"))
    return works.show(
        work_id,
        LARGE,
        remark=shorten(note, 500),
        licence=shorten(licence or "licence not stated", CAPTION),
        source=shorten(source, CAPTION),
        address=source if re.fullmatch(r"https?://\S{1,2000}", source) else "",
    )


def _step(works: _Works, number: int, step: Step) -> dict[str, object]:
    """Return a step: the question in words and pictures, its link, the notes, the answer."""
    network = NETWORKS[step.network].title if step.network in NETWORKS else step.network
    seen = [_when([step]), network, words(step.crop), dial_text(step.dial)]
    return {
        "number": number,
        "said": describe(step.question, works.collection, step.goal),
        "seen": " · ".join(filter(None, seen)),
        "link": step.link(),
        "asked": _asked(works, step),
        "notes": bullets(shorten(note, 500) for note in step.notes[:SHOWN]),
        "found": [_found(works, *one) for one in islice(step.found, SHOWN)],
        "more": len(step.ids) - SHOWN,
    }


def _asked(works: _Works, step: Step) -> list[dict[str, object]]:
    """Return the works that a step asks for, each with its part in the question."""
    question = step.question
    sides = [("from" if step.goal else "near", id) for id, _ in question.positive]
    sides += [("not like", id) for id, _ in question.negative]
    sides += [("to", step.goal)] if step.goal else []
    asked = [works.show(id, before=side) for side, id in sides[:SHOWN]]
    if question.region:
        cut_out = works.show(question.works[0], region=question.region)
        # Without a picture the work itself stands beside it, and says so.
        asked += [cut_out] if cut_out["url"] else []
    return asked


def _found(
    works: _Works,
    work_id: str,
    distance: float,
    group: str,
    rarity: Rarity | None,
    place: Place | None,
) -> dict[str, object]:
    """Return a work of an answer: how near, its group and its licence, where they are known.

    The place of a motif is outlined.
    """
    licence = shorten(works.about(work_id)["licence"], CAPTION)
    near = " ".join([distance_text(distance), *([rarity.brief] if rarity else [])])
    said = {"group": shorten(group, CAPTION), "before": near}
    if place:
        said |= {"place": place.region, "remark": motif_text(place.share)}
    return works.show(work_id, licence=licence, **said)
