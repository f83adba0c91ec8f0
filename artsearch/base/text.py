"""Texts and numbers in tables: what a spreadsheet, and a person, would read in them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_PLAIN = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


def printable(text: str) -> str:
    r"""Return a text in which nothing moves the cursor of a terminal, or turns its line.

    >>> print(printable("Lion\x1b[2J"))
    Lion\x1b[2J
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def count_of(number: int, noun: str) -> str:
    """Return a number with what it counts.

    >>> count_of(1, "work"), count_of(1200, "work")
    ('1 work', '1,200 works')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_seconds(seconds: float) -> str:
    """Return about how long something takes, in words.

    >>> say_seconds(2.4), say_seconds(100), say_seconds(7200)
    ('2 seconds', '2 minutes', '2 hours')
    """
    for size, noun in ((3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            return count_of(round(seconds / size), noun)
    return count_of(max(1, round(seconds)), "second")


def cut_text(text: str, most: int) -> str:
    """Return a text of at most so many characters; one that was longer ends in an ellipsis.

    >>> cut_text("The Harvesters", 6)
    'The H…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shorten(text: str, most: int) -> str:
    """Return a text as one line of at most so many characters.

    >>> shorten("The Great Wave\\noff Kanagawa", 20)
    'The Great Wave off …'
    """
    # Of a text of megabytes only the beginning is looked at.
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most and len(text) <= 2 * most else f"{line[: most - 1]}…"


def disarm(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula; plain numbers stay.

    >>> disarm("=1+1"), disarm("Lion"), disarm("-500")
    ("'=1+1", 'Lion', '-500')
    """
    formula = text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _PLAIN.fullmatch(text)
    return f"'{text}" if formula else text


def write_number(value: float) -> str:
    """Return a number as text from which the same is read again.

    >>> write_number(1831.0), write_number(0.1), write_number(1e20)
    ('1831', '0.1', '1e+20')
    """
    return repr(float(value)).removesuffix(".0")


def fold(text: str) -> str:
    """Return a text without case, accents and blanks beside one: what folds alike is one value.

    Groups, conditions and exclusions compare by it, and Milvus keeps texts so.

    >>> fold("Dürer"), fold(" DU\u0308RER")
    ('durer', 'durer')
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    # What tells the sounds of kana apart (class 8) is no accent.
    kept = (one for one in letters if unicodedata.combining(one) in (0, 8))
    return " ".join("".join(kept).split())


def usual_spellings(texts: Iterable[str]) -> dict[str, str]:
    """Return the values among some texts, folded, and how each is written most often; "" is none.

    >>> usual_spellings(["HOKUSAI", "Hokusai", "", "Hokusai ", "Dürer"])
    {'durer': 'Dürer', 'hokusai': 'Hokusai'}
    """
    often: Counter[str] = Counter()
    for text, times in Counter(texts).items():  # most are there many times
        often[" ".join(text.split())] += times
    folded = ((fold(text), text) for text, _ in reversed(often.most_common()))
    return {name: text for name, text in folded if name}
