"""The parts of IIIF documents of either version, which may hold anything where a text is due."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from html.parser import HTMLParser
from itertools import islice

#: No more characters of a text, and entries of a list of texts, are looked at.
MOST_TEXT = 10_000
MOST_PAIRS = 100

_SPACED = frozenset({"br", "dd", "div", "dt", "li", "p", "td", "tr"})


def text_of(value: object) -> str:
    """Return a text of either version without its markup: the English one, or what there is.

    >>> text_of({"fr": ["Le Chat"], "en": ["<i>The Cat</i>"]}), text_of([{"@value": "A"}, "B"])
    ('The Cat', 'A; B')
    """
    texts = by_language(value)
    english = [language for language in texts if language.lower().startswith("en")]
    chosen = next(iter([*english, *(name for name in ("none", "") if name in texts), *texts]), "")
    return join(map(strip_markup, texts.get(chosen, ())))


def strip_markup(text: str) -> str:
    """Return the text that a reader of a page would see.

    >>> strip_markup("<p>Oil &amp; gold<br>on wood<script>alert(1)</script>")
    'Oil & gold on wood'
    """
    if "<" in text or "&" in text:
        parser = _Markup()
        # What cannot be taken for markup, such as "<![x", stays as it is.
        with suppress(AssertionError):
            parser.feed(text)
            parser.close()
            text = "".join(parser.texts)
    return " ".join(text.split())


def kind_of(document: object) -> str:
    """Return the type of a document or a part of one: "Manifest" for sc:Manifest as well."""
    document = as_dict(document)
    kind = document.get("type") or document.get("@type")
    return kind.rpartition(":")[2] if isinstance(kind, str) else ""


def id_of(part: object) -> str:
    """Return the address that a part is, or has; or ""."""
    if isinstance(part, dict):
        part = part.get("id") or part.get("@id")
    return part.strip() if isinstance(part, str) else ""


def is_web(address: str) -> bool:
    """Tell whether an address can be asked for over the web."""
    return address.startswith(("http://", "https://"))


def as_list(value: object) -> list:
    """Return a list as it is, nothing as an empty one, and anything else as the only entry."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def as_dict(value: object) -> dict:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def by_language(value: object) -> dict[str, list[str]]:
    """Return texts by language; "" and "none" stand for those that do not say theirs."""
    texts: dict[str, list[str]] = {}
    for part in as_list(value)[:MOST_PAIRS]:
        if not isinstance(part, dict):
            pairs = [("", part)]
        elif "@value" in part:
            pairs = [(part.get("@language"), part["@value"])]
        else:
            languages = islice(part.items(), MOST_PAIRS)
            pairs = [(name, text) for name, found in languages for text in as_list(found)]
        for language, text in pairs[:MOST_PAIRS]:
            if isinstance(text, str | int | float) and not isinstance(text, bool):
                name = language if isinstance(language, str) else ""
                texts.setdefault(name, []).append(str(text)[:MOST_TEXT])
    return texts


def join(texts: Iterable[str]) -> str:
    """Return texts as one, each once."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


class _Markup(HTMLParser):
    """Collects the text of a page, with spaces where there are blocks."""

    def __init__(self):
        super().__init__()
        self.texts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("script", "style"):
            self._hidden = tag
        elif tag in _SPACED:
            self.texts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)
