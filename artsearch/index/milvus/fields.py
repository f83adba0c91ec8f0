"""What of a work travels to Milvus beside its vector, and conditions as expressions over it.

A condition is answered by an expression, a text in Milvus's own language. Whatever stands in a
table, or is asked for, must match to the letter, and must not be able to end a text or to mean
anything. Templates ("{value}"), by which servers tell values from expressions, are unknown to
Milvus Lite, so an expression is made of names of our own, whole numbers, and texts encoded so that
no sign in them has a meaning. A column of the table, here the fourth, takes three fields:

- `text_3` is the text by `fold` and `encode_text`. Folded letters are small, so capitals can write
  what is no plain letter: X, the code point with G to P for 0 to 9, Y. None of these groups
  begins or ends within another, so one text is, or contains, another exactly if it does so when
  both are encoded; and the wildcards of `like`, `%` and `_`, are among what is encoded.
- `first_3` and `last_3`, for comparisons, are the first and the last year that the text allows for
  (see artsearch/works/years.py), or its number, by `encode_number`. Whole numbers of 64 bits are
  compared exactly, and written without a point or an exponent that could be read otherwise. The
  bits of a positive double, taken for a whole number, are ordered as the doubles are; those of a
  negative one the other way round, so these are turned.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import fold
from artsearch.works.conditions import ORDERS, Both, Columns, Condition, Negation, Tree
from artsearch.works.years import read_years

PK, ID, CHECKSUM = "pk", "id", "checksum"
#: Bytes of the longest text that Milvus takes.
LONGEST = 65_535
#: Fields of a collection in a server as it comes (`proxy.maxFieldNum`), see
#: https://milvus.io/docs/limitations.md. A column of the table takes three of them.
MOST_FIELDS = 64
#: A work without a number in a column; the numbers themselves lie above.
NO_NUMBER = -(2**63) + 1
_ODD = re.compile(r"[^a-z0-9 .,-]")
_LETTERS = str.maketrans("0123456789", "GHIJKLMNOP")
#: Keys are never empty, so these match all works, and none.
ALL, NONE = f'{PK} != ""', f'{PK} == ""'


def key_of(text: str) -> str:
    """Return a key for an id or a text, which may be longer than Milvus takes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def encode_text(folded: str) -> str:
    """Return a folded text in letters, digits and harmless signs; its parts, and no other, stay.

    Of a text that is too long for Milvus there is a hash, in capitals that stand in no other text.

    >>> encode_text('x" or id > 0'), encode_text("50 % durer")
    ('xXIIY or id XJEY 0', '50 XILY durer')
    """
    text = _ODD.sub(lambda one: f"X{ord(one[0]):X}".translate(_LETTERS) + "Y", folded)
    return text if len(text) <= LONGEST else "Z" + key_of(folded).upper().translate(_LETTERS)


def encode_number(number: float) -> int:
    """Return a whole number that is ordered as numbers are, and the same only for the same.

    >>> encode_number(-0.5) < encode_number(0.0) == encode_number(-0.0) < encode_number(1831.0)
    True
    >>> encode_number(float("nan")) == NO_NUMBER
    True
    """
    if number != number:
        return NO_NUMBER
    (bits,) = struct.unpack("<q", struct.pack("<d", number))
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def is_too_long(folded: str) -> bool:
    """Whether a folded text is too long to be looked into by Milvus."""
    return len(folded) > LONGEST // 8 and encode_text(folded)[0] == "Z"


class Attributes:
    """The columns of a table as fields of Milvus; `numbers` maps a column to its number.

    A column's name may be any text; its fields are called by its number.
    """

    def __init__(self, names: Iterable[str]):
        self.numbers = {name: number for number, name in enumerate(names)}

    def field(self, kind: str, column: str) -> str:
        """Return the field of a column: its "text", "first" or "last", see above."""
        if column not in self.numbers:
            raise ArtsearchError(
                f"the column {column!r} is not kept with the vectors in Milvus, but: "
                f"{', '.join(map(repr, self.numbers))}; bring them up to date with the table, or "
                "put the column further to the front where it is too wide"
            )
        return f"{kind}_{self.numbers[column]}"

    def record(self, work: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a work, from what is known of it; what is not is the empty text."""
        found: dict[str, Any] = {}
        for column in self.numbers:
            text = work.get(column, "")
            found[self.field("text", column)] = encode_text(fold(text))
            years = read_years(text) or (math.nan, math.nan)
            for end, year in zip(("first", "last"), years, strict=True):
                found[self.field(end, column)] = encode_number(year)
        return found

    def checksum(self, work: Mapping[str, str]) -> int:
        """Return a checksum of what is known of a work."""
        texts = "\0".join(work.get(column, "") for column in self.numbers)
        return zlib.crc32(texts.encode("utf-8", "surrogatepass"))


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


def to_expression(tree: Tree, columns: Columns, fields: Attributes, negated: bool = False) -> str:
    """Return the expression that matches the works that `tree.mask(columns)` does, or the others.

    "not" is kept to single comparisons. Raises WhereError as `mask` does.
    """
    if isinstance(tree, Negation):
        return to_expression(tree.of, columns, fields, not negated)
    if isinstance(tree, Condition):
        tree.check(columns)
        found = _compare(tree, columns, fields)
        return f"not ({found})" if negated else found
    parts = [to_expression(part, columns, fields, negated) for part in tree.parts]
    word = "and" if isinstance(tree, Both) != negated else "or"
    return "(" + f") {word} (".join(parts) + ")"


def one_of(field: str, values: Iterable[str | int]) -> str:
    """Return the expression for a field that holds one of some encoded texts, or whole numbers."""
    # Not repr, whose quotes are Python's: nothing in these texts is to be escaped.
    written = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    return f"{field} in [{', '.join(written)}]" if written else NONE


def _compare(condition: Condition, columns: Columns, fields: Attributes) -> str:
    column = condition.column
    if condition.op in ORDERS:
        end, key = "first" if "<" in condition.op else "last", encode_number(condition.values[0])
        field = fields.field(end, column)
        return f"{field} > {NO_NUMBER} and {field} {condition.op} {key}"
    if condition.op == "contains":
        return _contain(condition, columns, fields)
    texts = (encode_text(fold(text)) for text in condition.texts)
    parts = [one_of(fields.field("text", column), texts)] if condition.texts else []
    first, last = fields.field("first", column), fields.field("last", column)
    keys = map(encode_number, condition.numbers)
    parts += [f"({NO_NUMBER} < {first} and {first} <= {key} and {last} >= {key})" for key in keys]
    return " or ".join(parts) or NONE


def _contain(condition: Condition, columns: Columns, fields: Attributes) -> str:
    part = encode_text(fold(condition.values[0]))
    if not part:
        return ALL
    found = f'{fields.field("text", condition.column)} like "%{part}%"'
    folded = columns.folded(condition.column)
    # Texts that Milvus cannot hold whole are looked into here, and named by their keys.
    long = folded.map(is_too_long).to_numpy(bool)
    if not long.any():
        return found
    ids = columns.texts("id")[long & condition.mask(columns)]
    return f"{found} or {one_of(PK, map(key_of, ids))}"
