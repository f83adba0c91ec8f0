"""What of a work travels to Milvus beside its vector, and conditions as expressions over it.

A condition is answered by an expression, a text in Milvus's own language. Whatever stands in a
table, or is asked for, must match to the letter, and must not be able to end a text or to mean
anything. Templates ("{value}"), by which servers tell values from expressions, are unknown to
Milvus Lite, so every value is written in a form in which no sign has a meaning. A column of the
table, here the fourth, takes four fields:

- `text_3` is the whole text by `spell`: letters, digits and some signs stay, each other one becomes
  `~` and the six digits of its code point. Two texts are the same if they are so spelt, and only
  then.
- `part_3`, for "contains", is the text without case and accents (`fold`) by `spell_folded`. Its
  letters are small, so capitals are free to write what is no plain letter: X, the code point with
  G to P for 0 to 9, Y. None of these groups begins or ends within another, so one text contains
  another exactly if it does so when both are spelt; and the wildcards of `like`, `%` and `_`, are
  among what is spelt.
- `first_3` and `last_3`, for comparisons, are the first and the last year that the text allows for
  (see artsearch/works/years.py), or its number, by `order_key`. Whole numbers of 64 bits are
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

import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import fold
from artsearch.works.conditions import ORDERS, Both, Columns, Condition, Either, Negation, Tree
from artsearch.works.years import read_years

PK, ID, CHECKSUM = "pk", "id", "checksum"
#: Bytes of the longest text that Milvus takes.
LONGEST = 65_535
#: Characters of the longest text that is kept as it is; of a longer one only its hash is compared.
SPELT_OUT = 500
#: Characters of a text that is spelt: each sign takes up to seven.
MOST_SPELT = 7 * SPELT_OUT
#: Fields of a collection in a server as it comes (`proxy.maxFieldNum`), see
#: https://milvus.io/docs/limitations.md. A column of the table takes four of them.
MOST_FIELDS = 64
#: A work without a number in a column; the numbers themselves lie above.
NO_NUMBER = -(2**63) + 1
_ODD = re.compile(r"[^A-Za-z0-9 .,:;()/+-]")
_ODD_FOLDED = re.compile(r"[^a-z0-9 .,-]")
_LETTERS = str.maketrans("0123456789", "GHIJKLMNOP")
#: Keys are never empty, so these match all works, and none.
ALL, NONE = f'{PK} != ""', f'{PK} == ""'
_OPPOSITE = {Both: "or", Either: "and"}
_SAME = {Both: "and", Either: "or"}


def key_of(work_id: str) -> str:
    """Return the key of a work: ids may be longer, and of other letters, than a key may."""
    return _hash(work_id)


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

    A column's name may be any text; its fields are called by its number.
    """

    def __init__(self, names: Iterable[str]):
        self.numbers = {name: number for number, name in enumerate(names)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and self.numbers == other.numbers

    def field(self, kind: str, column: str) -> str:
        """Return the field of a column: its "text", "part", "first" or "last", see above."""
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
            folded = fold(text)
            found[self.field("text", column)] = spell(text)
            found[self.field("part", column)] = "" if is_too_long(folded) else spell_folded(folded)
            years = read_years(text) or (math.nan, math.nan)
            for end, year in zip(("first", "last"), years, strict=True):
                found[self.field(end, column)] = order_key(year)
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
    most = (MOST_FIELDS - vectors - 3) // 4
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


def to_expression(tree: Tree, columns: Columns, fields: Attributes) -> str:
    """Return the expression that matches the works that `tree.mask(columns)` does.

    It is made of names of our own, whole numbers, and texts spelt so that nothing in them means
    anything (see `spell`): no value and no column's name can change it. Templates ("{value}"), as
    servers have them, are unknown to Milvus Lite. Raises WhereError as `mask` does.
    """
    return _write(tree, columns, fields, turned=False)


def one_of(field: str, values: Iterable[str | int]) -> str:
    """Return the expression for a field that holds one of some spelt texts, or whole numbers."""
    # Not repr, whose quotes are Python's: nothing in these texts is to be escaped.
    said = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    return f"{field} in [{', '.join(said)}]" if said else NONE


def all_of(parts: Iterable[str]) -> str:
    """Return the expression for what matches all parts; "" matches all works."""
    return " and ".join(f"({part})" for part in parts)


def _write(tree: Tree, columns: Columns, fields: Attributes, turned: bool) -> str:
    """Write a tree, or with `turned` its negation; "not" is kept to single comparisons."""
    if isinstance(tree, Negation):
        return _write(tree.of, columns, fields, not turned)
    if isinstance(tree, Condition):
        tree.check(columns)
        found = _compare(tree, columns, fields)
        return f"not ({found})" if turned else found
    parts = [_write(part, columns, fields, turned) for part in tree.parts]
    word = (_OPPOSITE if turned else _SAME)[type(tree)]
    return "(" + f") {word} (".join(parts) + ")"


def _compare(condition: Condition, columns: Columns, fields: Attributes) -> str:
    column = condition.column
    if condition.op in ORDERS:
        end, key = "first" if "<" in condition.op else "last", order_key(condition.values[0])
        field = fields.field(end, column)
        return f"{field} > {NO_NUMBER} and {field} {condition.op} {key}"
    if condition.op == "contains":
        return _contain(condition, columns, fields)
    texts = map(spell, condition.texts)
    parts = [one_of(fields.field("text", column), texts)] if condition.texts else []
    first, last = fields.field("first", column), fields.field("last", column)
    keys = map(order_key, condition.numbers)
    parts += [f"({NO_NUMBER} < {first} and {first} <= {key} and {last} >= {key})" for key in keys]
    return " or ".join(parts) or NONE


def _contain(condition: Condition, columns: Columns, fields: Attributes) -> str:
    part = spell_folded(fold(condition.values[0]))
    if not part:
        return ALL
    found = f'{fields.field("part", condition.column)} like "%{part}%"'
    folded = columns.folded(condition.column)
    # Texts that Milvus cannot hold spelt out are looked into here, and named by their keys.
    long = folded.map(is_too_long).to_numpy(bool)
    if not long.any():
        return found
    ids = columns.texts("id")[long & condition.mask(columns)]
    return f"{found} or {one_of(PK, map(key_of, ids))}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
