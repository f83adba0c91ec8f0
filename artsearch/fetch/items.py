"""Works of any source into a folder that everything else takes, whole or not at all."""

from __future__ import annotations

import http
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from artsearch.base.errors import ImageError, check_whole
from artsearch.base.http import LOCKED, Client, FetchError, ShutOutError
from artsearch.base.progress import END, Progress
from artsearch.fetch.folder import FetchFolder, clean, locked
from artsearch.works.images import few_notes, thumbnail, to_jpeg

#: Of the JPEG files.
QUALITY = 90
#: After so many requests in a row for which a server did not serve us, it is left in peace.
PATIENCE = 5
#: Among pages that are locked (401, 403) others may be open: after so many works in a row we go.
MOST_LOCKED = 50


@dataclass(frozen=True)
class Item:
    """One work that a source offers.

    `key` is the same for ever and unique within the source, such as "met/436532". `image` is an
    http(s) address, the bytes of a file, or a local file; it is "" where the source cannot give the
    picture, `reason` says why, and `status` is the server's where it refused. `others` are
    addresses to try where that one is refused. `about` holds artist, title, year, style, licence,
    source and any further columns. All texts may be hostile.
    """

    key: str
    image: str | bytes | Path
    about: Mapping[str, str]
    reason: str = ""
    others: Sequence[str] = ()
    status: int = 0


@dataclass
class Fetched:
    """What a run brought: works `added`, works `kept` from earlier runs, and what was left out.

    `asked` is the number of works that the folder was to have, or None for all of the source's.
    """

    folder: Path
    asked: int | None = None
    added: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # the statuses of those that came last

    def report(self) -> str:
        """Return one sentence with the numbers.

        >>> Fetched(Path("paintings"), asked=50, added=18, kept=3).report()
        "18 works added to 'paintings', 3 were there already; the source has no more of the 50"
        """
        said = f"{self.added:,} works added to {str(self.folder)!r}"
        said += f", {self.kept:,} were there already" if self.kept else ""
        said += f", {len(self.skipped):,} left out" if self.skipped else ""
        if self.asked is not None and self.added + self.kept < self.asked:
            said += f"; the source has no more of the {self.asked:,}"
        return said


def fetch(
    items: Iterable[Item],
    out: str | os.PathLike,
    *,
    count: int | None = None,
    client: Client | None = None,
    side: int = 1024,
    progress: bool = True,
    say: Callable[[str], object] = lambda text: None,
) -> Fetched:
    """Bring the works of a source into a folder: pictures as JPEG files, and a works.csv.

    A picture's longer side is `side` pixels at most; none is enlarged. `count` is the number of
    works in the folder in all, those of earlier runs among them. Works that are there already are
    not fetched again, and rows of works.csv that were changed by hand stay as they are. What cannot
    be had is left out and tried again by the next run; `say` is told of it in the end.

    Where servers give catalogues and refuse the pictures, the run ends after 5 works in a row, or
    after 50 that are locked (401, 403), since among these others may be open. Works that an earlier
    run was refused do not count: the next one comes further.

    Raises ArtsearchError for a folder that holds other things, or is being fetched into; and
    FetchError when a server serves us no more: what came until then is kept.
    """
    check_whole("side", side)
    if count is not None:
        check_whole("count", count)
    client = client or Client()
    with locked(out) as folder:
        fetched = Fetched(folder.path, count, kept=len(folder))
        try:
            with _progress(fetched, progress) as bar, few_notes():
                for item in _wanted(items, folder, count):
                    _take(item, folder, client, side, fetched)
                    bar.update(fetched.added - bar.n)
        except FetchError as error:
            raise FetchError(f"{error}; {_next_step(folder)}", error.status) from None
        except KeyboardInterrupt:
            say(f"stopped: {_next_step(folder)}")
            raise
        finally:
            folder.write_table()
            for key, reason in fetched.skipped:
                say(f"skipped: {clean(key)!r}: {reason}")
        if not len(folder):
            raise FetchError(_why_nothing(fetched))
    return fetched


def _wanted(items: Iterable[Item], folder: FetchFolder, count: int | None) -> Iterator[Item]:
    """Yield what is not there yet, until there is as much as is wanted."""
    if count is not None and len(folder) >= count:
        return  # without a look at the source
    for item in items:
        if item.key not in folder:
            yield item
        if count is not None and len(folder) >= count:
            return


def _take(item: Item, folder: FetchFolder, client: Client, side: int, fetched: Fetched) -> None:
    """Bring one work, or note why it cannot be had."""
    try:
        picture = _get_picture(item, client, side)
    except (FetchError, ImageError) as error:
        fetched.skipped.append((item.key, str(error)))
        if client.failures >= PATIENCE:
            raise FetchError(f"{PATIENCE} requests in a row came to nothing: {error}") from None
        if isinstance(error, ShutOutError):
            _count_refusal(item.key, error, folder, fetched)
        elif item.image:
            fetched.refused.clear()
    else:
        folder.add(item.key, item.about, picture)
        fetched.added += 1
        fetched.refused.clear()


def _count_refusal(key: str, error: ShutOutError, folder: FetchFolder, fetched: Fetched) -> None:
    """Note that a server refused a work; raise FetchError where it refuses all."""
    if not folder.note_refused(key):
        return
    fetched.refused.append(error.status)
    locked = sum(status in LOCKED for status in fetched.refused)
    if locked >= MOST_LOCKED or len(fetched.refused) - locked >= PATIENCE:
        raise FetchError(
            f"the pictures of {len(fetched.refused)} works in a row were refused, the last one "
            f"because: {error}"
        )


def _get_picture(item: Item, client: Client, side: int) -> bytes:
    """Return a work's picture as a JPEG file, from the first of its addresses that gives one."""
    if item.reason or not item.image:
        reason = clean(item.reason) or "the source gives no picture of it"
        raise ShutOutError(reason, item.status) if item.status else FetchError(reason)
    before, errors = client.failures, []
    for image in (item.image, *item.others):
        try:
            source = client.get(image) if isinstance(image, str) else image
            return to_jpeg(thumbnail(source, side), QUALITY)
        except (FetchError, ImageError) as error:
            errors.append(error)
            if getattr(error, "status", 0) == http.HTTPStatus.TOO_MANY_REQUESTS:
                break
    client.failures = min(client.failures, before + 1)  # however many addresses the work has
    raise next((error for error in errors if isinstance(error, ShutOutError)), errors[0])


def _progress(fetched: Fetched, show: bool) -> Progress:
    if fetched.asked is not None:
        return Progress(max(fetched.asked - fetched.kept, 0), "fetch", show=show)
    bar = Progress(0, "fetch", show=show)
    bar.bar_format = END  # no source says how many works it has
    return bar


def _next_step(folder: FetchFolder) -> str:
    return f"{len(folder):,} works are in {str(folder.path)!r}, and the same command goes on there"


def _why_nothing(fetched: Fetched) -> str:
    if not fetched.skipped:
        return "the source has no such work; ask for something else"
    number, (_, reason) = len(fetched.skipped), fetched.skipped[0]
    return f"none of {number:,} works could be had; the first: {reason}"
