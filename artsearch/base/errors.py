"""One kind of error for everything a user can put right."""

import difflib
from collections.abc import Iterable
from itertools import accumulate, chain
from numbers import Integral

from artsearch.base.text import cut_text, shorten

#: Choices that are all compared with what was written; of more, those that begin like it.
MANY = 5_000
#: Characters of a name that a message quotes.
LONG = 200


class ArtsearchError(ValueError):
    """Something the user can put right: the message names the value, the choices, the next step."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception how to show itself: in a notebook one sentence is enough.
        return [f"{type(self).__name__}: {self}"]


class CollectionError(ArtsearchError):
    """A folder or a works.csv that cannot be used."""


class ImageError(ArtsearchError):
    """A file that cannot be opened as an image."""


class WeightsError(ArtsearchError):
    """A network's weights that cannot be had, or are not what they should be."""


class TooFewWorks(ArtsearchError):
    """Something that takes more works than there are."""


class VectorsAloneError(ArtsearchError):
    """What wants a picture, or the network, where the vectors that others published are all."""


class EngineError(ArtsearchError):
    """A library or an engine that is not installed, does not start, or ends before its time."""


class DamagedError(ArtsearchError):
    """A file that is not as artsearch wrote it."""


class MismatchError(ArtsearchError):
    """Two things that do not belong together, such as an index and features of another network."""


def unknown(kind: str, value: object, choices: Iterable[str], hint: str = "") -> ArtsearchError:
    """Make the error for a name that is not among the choices.

    >>> print(unknown("metric", "angula", ["angular", "dot"]))
    unknown metric 'angula'; did you mean 'angular'? known: angular, dot
    """
    choices = list(choices)
    close = _find_close(str(value), choices)
    guess = f"; did you mean {cut_text(close, LONG)!r}?" if close else ";"
    ends = accumulate(len(choice) for choice in choices)
    shown = [choice for choice, end in zip(choices, ends, strict=True) if end < 500]
    # An id may be any file name, with line ends in it; a message is one line.
    known = " ".join(", ".join(shown).split())
    more = f", … ({len(choices)} in all)" if len(shown) < len(choices) else ""
    said = cut_text(value, LONG) if isinstance(value, str) else value
    return ArtsearchError(f"unknown {kind} {said!r}{guess} known: {known}{more}{hint}")


def _find_close(value: str, choices: list[str]) -> str:
    """Return the choice that is likely meant, or "": by the whole, a part, or a word of it."""
    if len(choices) > MANY:  # comparing with 100,000 titles takes seconds
        start = value[:2].lower()
        choices = [choice for choice in choices if choice[:2].lower() == start][:MANY]
    value, choices = value[:LONG], [choice[:LONG] for choice in choices]
    words = {word.lower(): choice for choice in choices for word in choice.split()}
    part = value.lower()
    containing = (choice for choice in choices if len(part) > 2 and part in choice.lower())
    by_word = difflib.get_close_matches(part, words, n=1)
    return next(
        chain(
            difflib.get_close_matches(value, choices, n=1),
            containing,
            (words[word] for word in by_word),
        ),
        "",
    )


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise ArtsearchError unless a value is a whole number, `least` or more."""
    # A bool is an int to Python; True is nobody's number of trees. NumPy's integers are welcome.
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ArtsearchError(f"{name} is {value!r}; take a whole number from {least} on")


def reason_of(error: object) -> str:
    """Return an error's own words in one line, or its name where it has none.

    >>> reason_of(FileNotFoundError(2, "No such file", "a.jpg")), reason_of(KeyError())
    ('No such file', 'KeyError')
    """
    words = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    return shorten(str(words), 200) or type(error).__name__
