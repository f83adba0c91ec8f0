"""Texts and numbers in tables: what a spreadsheet, and a person, would read in them."""

from __future__ import annotations

import re
import unicodedata

#: A number as catalogues write it: alone, after a word such as "c.", or first of a span or remark.
_NUMBER = re.compile(
    r"\s*(?:(?:c|ca|circa|about|around|um|before|after|vers)\b\.?\s*)?"
    r"([-+−]?\d+(?:\.\d+)?)\s*(?=$|[-–—/?(,;])",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


def disarm(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula; plain numbers stay.

    >>> disarm("=1+1"), disarm("Lion"), disarm("-500")
    ("'=1+1", 'Lion', '-500')
    """
    formula = text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _PLAIN.fullmatch(text)
    return f"'{text}" if formula else text


def read_number(text: str) -> float:
    """Return the number that a text of a catalogue begins with, or NaN if it has none.

    >>> [read_number(text) for text in ("1831", "c. 1830–32", "-500", "19th century")]
    [1831.0, 1830.0, -500.0, nan]
    """
    found = _NUMBER.match(text)
    return float(found[1].replace("−", "-")) if found else float("nan")


def fold(text: str) -> str:
    """Return a text without case and accents.

    >>> fold("Dürer")
    'durer'
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
