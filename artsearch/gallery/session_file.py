"""The file of a session: JSON that is written whole or not at all, and checked when it is read."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from artsearch.base.errors import ArtsearchError
from artsearch.index.metrics import METRICS
from artsearch.search.question import read_link

if TYPE_CHECKING:
    from pydantic import BaseModel

FORMAT = "artsearch session"
VERSION = 2
#: Bytes of the largest session that is written and read: some thousands of steps.
LARGEST = 20_000_000
SAVED = "choose a file that was saved as a session"


def write_session(data: dict) -> str:
    """Return what is known of a session as JSON that `read_session` reads.

    Raises ArtsearchError for one that is too large.
    """
    whole = {"version": VERSION, "format": FORMAT} | data
    checked = _checked(_form().model_validate, whole, "saved", "take it out of the session")
    text = checked.model_dump_json(indent=1)
    if len(text.encode()) > LARGEST:
        raise ArtsearchError(
            f"this session takes more than the {_MB} that can be opened again; save it as a table "
            "or a page, and begin a new one"
        )
    return text


def read_session(text: str | bytes) -> dict:
    """Return what the JSON of a session says; raises ArtsearchError for what is none."""
    _refuse_large(len(text))
    found = _checked(_form().model_validate_json, text, "read", SAVED).model_dump()
    for step in found["steps"]:
        step["question"], _ = read_link(step["question"])
    return found


def read_file(path: Path) -> bytes:
    """Return the content of a session's file; raises ArtsearchError where there is none."""
    try:
        found = path.stat()
        # Opening a pipe would wait for ever for somebody to write into it.
        if not stat.S_ISREG(found.st_mode):
            raise ArtsearchError(f"{str(path)!r} is not a file; {SAVED}")
        _refuse_large(found.st_size)
        return path.read_bytes()
    except OSError as error:
        raise ArtsearchError(f"cannot read {str(path)!r} ({error.strerror}); {SAVED}") from None


@cache
def _form() -> type[BaseModel]:
    """Return what a session's file has to look like."""
    from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

    # FailFast: of a list of millions of wrong things, one is enough to say.
    texts = Annotated[tuple[str, ...], FailFast()]

    class Form(BaseModel):
        model_config = ConfigDict(strict=True, allow_inf_nan=False)

    class StepForm(Form):
        question: Annotated[str, AfterValidator(_check_link)]
        network: str
        crop: str
        dial: Annotated[float, Field(ge=0, le=1)] | None
        ids: texts
        distances: Annotated[tuple[float, ...], FailFast()]
        groups: texts
        notes: texts
        at: Annotated[str, AfterValidator(_check_moment)]
        goal: str
        own: texts
        metric: Literal[tuple(METRICS)]

    class OriginForm(Form):
        name: str
        works: int
        fingerprint: str

    class SessionForm(Form):
        version: Literal[VERSION]
        format: Literal[FORMAT]
        title: str
        collection: OriginForm
        kept: dict[str, str]
        steps: Annotated[list[Annotated[StepForm, AfterValidator(_check_lengths)]], FailFast()]

    return SessionForm


def _check_link(link: str) -> str:
    read_link(link)
    return link


def _check_moment(at: str) -> str:
    if datetime.fromisoformat(at).astimezone(UTC).isoformat(timespec="seconds") != at:
        raise ValueError("a time is written as 2026-01-31T23:59:59+00:00, in UTC")
    return at


def _check_lengths(step: BaseModel) -> BaseModel:
    if len(step.distances) != len(step.ids) or len(step.groups) not in (0, len(step.ids)):
        raise ValueError("it has not as many distances or groups as works")
    return step


def _checked(check: Callable, data: object, done: str, hint: str) -> BaseModel:
    """Return what pydantic makes of the data, or raise its first complaint as one sentence."""
    from pydantic import ValidationError

    try:
        return check(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    if first["loc"] == ("version",) and isinstance(first["input"], int):
        raise ArtsearchError(
            f"this session is of format {first['input']}, and this artsearch reads format "
            f"{VERSION}; open it in the artsearch that saved it, or ask its questions again: each "
            "stands in the file as a link, to be put behind the address of the gallery"
        )
    place = " ".join(str(one + 1 if isinstance(one, int) else one) for one in first["loc"])
    where = f" at {place[:80]!r}" if place else ""
    raise ArtsearchError(
        f"this session cannot be {done}{where}: {' '.join(first['msg'].split())[:300]}; {hint}"
    )


def _refuse_large(size: int) -> None:
    if size > LARGEST:
        raise ArtsearchError(f"{size / 1e6:,.0f} MB are too much for a session of {_MB}; {SAVED}")


_MB = f"{LARGEST / 1e6:.0f} MB"
