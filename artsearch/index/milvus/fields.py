"""What of a work travels with its vector to Milvus, in a form that no expression can trip over."""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import fold, read_number

PK, ID, MARK = "pk", "id", "mark"
#: Bytes of the longest text that Milvus takes.
LONGEST = 65_535
#: Characters of the longest text that is kept as it is; of a longer one only its hash is compared.
SPELT_OUT = 500
#: Characters of a text that is spelt: each sign takes up to seven.
MOST_SPELT = 7 * SPELT_OUT
#: Fields of a collection in a server as it comes (`proxy.maxFieldNum`), see
#: https://milvus.io/docs/limitations.md. A column of the table takes three of them.
MOST_FIELDS = 64
#: A work without a number in a column; the numbers themselves lie above.
NO_NUMBER = -(2**63) + 1
_ODD = re.compile(r"[^A-Za-z0-9 .,:;()/+-]")
_ODD_FOLDED = re.compile(r"[^a-z0-9 .,-]")
_LETTERS = str.maketrans("0123456789", "GHIJKLMNOP")


def key_of(id: str) -> str:
    """Return the key of a work: ids may be longer, and of other letters, than a key may."""
    return _hash(id)


def spell(text: str) -> str:
    """Return a text in letters, digits and harmless signs; two different texts stay different.

    No quote, backslash, wildcard or line end is left that could end the text of an expression, or
    mean anything in it.

    >>> spell('x" or id > 0'), spell("Ukiyo-e")
    ('x~000022 or id ~00003e 0', 'Ukiyo-e')
    """
    if len(text) > SPELT_OUT:
        return "=" + _hash(text)  # a sign that nothing spelt out begins with
    return _ODD.sub(lambda found: f"~{ord(found[0]):06x}", text)


def spell_folded(folded: str) -> str:
    """Return a text without case and accents (see `fold`) so that parts of it stay parts.

    What is no plain letter becomes capitals between X and Y: one text contains another if, and only
    if, it does so when both are spelt. There are no wildcards in it.

    >>> spell_folded("50 % durer"), spell_folded("%")
    ('50 XILY durer', 'XILY')
    """
    return _ODD_FOLDED.sub(lambda one: f"X{ord(one[0]):X}".translate(_LETTERS) + "Y", folded)


def order_key(number: float) -> int:
    """Return a whole number that is ordered as numbers are, and the same only for the same.

    >>> order_key(-0.5) < order_key(0.0) == order_key(-0.0) < order_key(1831.0)
    True
    >>> order_key(float("nan")) == NO_NUMBER
    True
    """
    if number != number:
        return NO_NUMBER
    (bits,) = struct.unpack("<q", struct.pack("<d", number))
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def is_too_long(folded: str) -> bool:
    """Whether a text without case and accents is too long to be looked into by Milvus."""
    return len(folded) > LONGEST // 8 and len(spell_folded(folded)) > LONGEST


class Attributes:
    """The columns of a table as fields of Milvus; `numbers` maps a column to its number.

    A column's name may be any text; its fields are called by its number: `text_3` compares by the
    whole text, `part_3` by what it contains, `number_3` by the number it begins with.
    """

    def __init__(self, names: Iterable[str]):
        self.numbers = {name: number for number, name in enumerate(names)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and self.numbers == other.numbers

    def text(self, column: str) -> str:
        """Return the field of a column's texts."""
        return f"text_{self._number(column)}"

    def part(self, column: str) -> str:
        """Return the field in which parts of a column's texts are found."""
        return f"part_{self._number(column)}"

    def number(self, column: str) -> str:
        """Return the field of a column's numbers."""
        return f"number_{self._number(column)}"

    def record(self, work: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a work, from what is known of it; what is not is the empty text."""
        found: dict[str, Any] = {}
        for column in self.numbers:
            text = work.get(column, "")
            folded = fold(text)
            found[self.text(column)] = spell(text)
            found[self.part(column)] = "" if is_too_long(folded) else spell_folded(folded)
            found[self.number(column)] = order_key(read_number(text))
        return found

    def mark(self, work: Mapping[str, str]) -> int:
        """Return a checksum of what is known of a work."""
        texts = "\0".join(work.get(column, "") for column in self.numbers)
        return zlib.crc32(texts.encode("utf-8", "surrogatepass"))

    def _number(self, column: str) -> int:
        if column not in self.numbers:
            raise ArtsearchError(
                f"the column {column!r} is not kept with the vectors in Milvus, but: "
                f"{', '.join(map(repr, self.numbers))}; bring them up to date with the table, or "
                "put the column further to the front where it is too wide"
            )
        return self.numbers[column]


def fitting_columns(names: Sequence[str], vectors: int = 1) -> list[str]:
    """Return the columns of a table that Milvus has room for, the first ones; warn of the others.

    >>> fitting_columns(["id", "artist", "style"])
    ['id', 'artist', 'style']
    """
    most = (MOST_FIELDS - vectors - 3) // 3
    if len(names) > most:
        warnings.warn(
            f"the table has {len(names)} columns, and Milvus takes {most}; no condition can name "
            f"those after {names[most - 1]!r}",
            stacklevel=2,
        )
    return list(names[:most])


def works_by_id(works: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Return what a table knows of each work, by its id."""
    if works is None:
        return {}
    return {work["id"]: work for work in works.to_dict("records")}


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
