"""Required attributes: a condition on the columns of a collection, parsed and never evaluated."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import lark
import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import fold, usual_spellings, write_number
from artsearch.works.years import read_years

#: Characters of the longest condition that is read.
LONGEST = 10_000
HOW = (
    'write it as style == "Ukiyo-e" and year >= 1800; there are ==, !=, <, <=, >, >=, in, not in, '
    "contains, between, and, or, not; texts stand in quotes, a column's name with spaces in `…`"
)
RESERVED = ("and", "or", "not", "in", "contains", "between")
#: The static page reads the same in JavaScript (artsearch/show/web/where.js): what both understand,
#: and what they complain of, stands in tests/works/conditions.json.
GRAMMAR = r"""
?either: both (_OR both)*
?both: one (_AND one)*
?one: _NOT one -> negation
    | "(" either ")"
    | column EQUAL value -> equal
    | column ORDER number -> order
    | number ORDER column -> order_turned
    | number ORDER column ORDER number -> span
    | column _BETWEEN number _AND number -> between
    | column [NEVER] _IN list -> among
    | column [NEVER] _CONTAINS text -> contains
    | text [NEVER] _IN column -> contained
list: "[" [value ("," value)* [","]] "]" | "(" value ("," value)* [","] ")"
?value: text | number
column: NAME
text: TEXT
number: NUMBER
_OR: /or\b|\|\|?/i
_AND: /and\b|&&?/i
_NOT.1: /not\b|!(?!=)/i
NEVER.2: /not(?=\s+(in|contains)\b)/i
_IN: /in\b/i
_CONTAINS: /contains\b/i
_BETWEEN: /between\b/i
EQUAL: /==?|!=|<>/
ORDER: /<=|>=|<(?!>)|>/
NAME: /`([^`]|``)+`|(?!(and|or|not|in|contains|between)\b)[^\W\d]\w*/i
TEXT: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
NUMBER: /[-+−]?\d+(\.\d+)?(e[-+]?\d+)?/i
%import common.WS
%ignore WS
"""
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class WhereError(ArtsearchError):
    """A condition that cannot be read, or that names what the collection has not."""


class Columns:
    """The table of a collection as conditions need it; what is derived from it is made once."""

    def __init__(self, works: pd.DataFrame):
        self._works = works
        self._derived: dict[tuple[Callable, str], Any] = {}

    def texts(self, column: str) -> pd.Series:
        """Return a column; raises WhereError with the nearest names where there is none."""
        if column not in self._works:
            raise WhereError(str(unknown("column", column, self._works.columns)))
        return self._works[column]

    def choices(self, most: int = 60) -> dict[str, list[str]]:
        """Return the values of those columns that have few different ones, the empty one aside."""
        # Of a column that has too many in its first rows the others need not be read.
        first = self._works.head(50 * most)
        wanted = (one for one in first if one != "id" and len(usual_spellings(first[one])) <= most)
        known = {column: self.names(column) for column in wanted}
        few = {column: names.values() for column, names in known.items() if len(names) <= most}
        return {column: sorted(values) for column, values in few.items() if len(values) > 1}

    def years(self, column: str) -> np.ndarray:
        """Return the first and the last number, or year, of each text; NaN where none is read."""
        return self._derive(_read_all, column)

    def folded(self, column: str) -> pd.Series:
        """Return a column by whose texts values are the same or not, see `fold`."""
        return self._derive(_fold_all, column)

    def names(self, column: str) -> dict[str, str]:
        """Return the values of a column, folded, and how each is written most often; "" is none."""
        return self._derive(_spell_all, column)

    def _derive(self, make: Callable[[pd.Series], Any], column: str) -> Any:
        if (make, column) not in self._derived:
            self._derived[make, column] = make(self.texts(column))
        return self._derived[make, column]


def _read_all(texts: pd.Series) -> np.ndarray:
    pairs = [read_years(text) or (np.nan, np.nan) for text in texts]
    return np.array(pairs, float).reshape(-1, 2)


def _spell_all(texts: pd.Series) -> dict[str, str]:
    return usual_spellings(texts.tolist())  # a list is read three times as fast


def _fold_all(texts: pd.Series) -> pd.Series:
    return texts.map(fold)


@dataclass(frozen=True)
class Condition:
    """One column compared; `op` is "in", "contains", "<", "<=", ">" or ">="."""

    column: str
    op: str
    values: tuple[str | float, ...]

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match, as booleans in the order of the table.

        A text that no work has is an error, since it is likely to be misspelt; the empty one asks
        for works of which this is not known. A number may well be that of no work; of a work from
        1890 to 1895 any of these years may be the one that is asked for.
        """
        self.check(columns)
        if self.op in ORDERS:  # NaN, where nothing is read, is neither smaller nor greater
            first, last = columns.years(self.column).T
            return ORDERS[self.op](first if self.op in ("<", "<=") else last, self.values[0])
        folded = columns.folded(self.column)
        if self.op == "contains":
            return folded.str.contains(fold(self.values[0]), regex=False).to_numpy(bool)
        mask = folded.isin(map(fold, self.texts)).to_numpy(bool)
        if not self.numbers:
            return mask
        numbers, (first, last) = np.sort(self.numbers), columns.years(self.column).T
        return mask | (np.searchsorted(numbers, first) < np.searchsorted(numbers, last, "right"))

    def check(self, columns: Columns) -> None:
        """Raise WhereError for a column that is not there, and for a text that no work has."""
        columns.texts(self.column)
        if self.op != "in":
            return
        names = columns.names(self.column)
        for text in self.texts:
            if fold(text) and fold(text) not in names:
                raise WhereError(str(unknown(self.column, text, sorted(names.values()))))

    @property
    def texts(self) -> list[str]:
        """Those of the values that are texts."""
        return [value for value in self.values if isinstance(value, str)]

    @property
    def numbers(self) -> list[float]:
        """Those of the values that are numbers."""
        return [value for value in self.values if not isinstance(value, str)]


@dataclass(frozen=True)
class Negation:
    """What does not match."""

    of: Tree

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match."""
        return ~self.of.mask(columns)


@dataclass(frozen=True)
class _Joined:
    parts: tuple[Tree, ...]

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match."""
        return self._join.reduce([part.mask(columns) for part in self.parts])


class Both(_Joined):
    """What matches every part."""

    _join = np.logical_and


class Either(_Joined):
    """What matches one part at least."""

    _join = np.logical_or


Tree = Condition | Negation | Both | Either


@lru_cache
def parse(where: str) -> Tree:
    """Parse a condition; raises WhereError, with the place, where it cannot be read.

    It is read by a grammar and becomes a tree of comparisons: nothing in it is ever run.

    >>> parse('style == "Ukiyo-e"')
    Condition(column='style', op='in', values=('Ukiyo-e',))
    """
    _check_text(where)
    if len(where) > LONGEST:
        raise WhereError(f"a condition of {len(where):,} characters; take {LONGEST:,} at most")
    try:
        return _Reader().transform(_grammar().parse(where))
    except lark.exceptions.UnexpectedInput as error:
        raise WhereError(_say_where(where, error)) from None
    except (RecursionError, lark.exceptions.VisitError):
        raise WhereError("the condition has too many parts within each other; split it") from None


def as_tree(where: str | Mapping | None) -> Tree | None:
    """Return the tree of a condition, or None for an empty one.

    Besides a text takes a mapping from columns to what they must be: a value, a list of values, or
    a pair (from, to), in which None leaves one end open.

    >>> as_tree({"style": "Ukiyo-e", "year": (1800, None)}) == parse(
    ...     'style in ["Ukiyo-e"] and year >= 1800')
    True
    """
    text = as_text(where)
    return parse(text) if text else None


def as_text(where: str | Mapping | None) -> str:
    """Return a condition as text, checked.

    >>> as_text({"object type": ["print", "drawing"], "year": (1800, None)})
    '`object type` in ["print", "drawing"] and year >= 1800'
    """
    if not (where is None or isinstance(where, str | Mapping)):
        raise WhereError(f"where is a {type(where).__name__}; give it a text or a dictionary")
    if isinstance(where, str):
        text = where.strip()
    else:
        text = " and ".join(part for one in (where or {}).items() for part in _say_pair(*one))
    if text:
        parse(text)
    return text


def quote(value: str | float) -> str:
    r"""Return a value as it stands in a condition.

    >>> print(quote('the "Night Watch"'), quote(1831.0))
    "the \"Night Watch\"" 1831
    """
    if not isinstance(value, str):
        return write_number(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quote_column(name: str) -> str:
    """Return a column's name as it stands in a condition.

    >>> quote_column("style"), quote_column("object type")
    ('style', '`object type`')
    """
    # Not isidentifier(), which takes more than the grammar: letters with separate accents.
    plain = re.fullmatch(r"[^\W\d]\w*", name) and name.lower() not in RESERVED
    return name if plain else "`" + name.replace("`", "``") + "`"


def _say_pair(column: object, wanted: object) -> Iterator[str]:
    if not isinstance(column, str) or not column:
        raise WhereError(f"{column!r} is no column; name it by its text")
    name = quote_column(_check_text(column))
    if isinstance(wanted, tuple) and len(wanted) == 2:
        for op, end in zip((">=", "<="), wanted, strict=True):
            if isinstance(end, str):
                raise WhereError(f"{end!r} is no number; a pair is (from, to), a choice a list")
            if end is not None:
                yield f"{name} {op} {quote(_check_value(end))}"
    else:
        many = wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
        yield f"{name} in [{', '.join(quote(_check_value(value)) for value in many)}]"


def _check_value(value: object) -> str | float:
    if isinstance(value, str):
        return _check_text(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise WhereError(f"{value!r} is no text and no number; a column is compared with these")
    try:
        value = float(value)
    except OverflowError:
        value = float("inf")
    if not np.isfinite(value):
        raise WhereError("a column is compared with a finite number; leave the end open with None")
    return value


def _check_text(text: str) -> str:
    # A command line may hold bytes that are no text, which neither a table nor a link can.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WhereError(f"{text[:80]!r} holds bytes that are no text; write it as UTF-8") from None
    return text


@lru_cache(maxsize=1)
def _grammar() -> lark.Lark:
    return lark.Lark(GRAMMAR, start="either", parser="lalr", maybe_placeholders=True)


@lark.v_args(inline=True)
class _Reader(lark.Transformer):
    """Makes the tree of conditions from what the grammar found, from the leaves up."""

    def column(self, name):
        return name[1:-1].replace("``", "`") if name.startswith("`") else str(name)

    def text(self, quoted):
        return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)

    def number(self, digits):
        return float(digits.replace("−", "-"))

    def list(self, *values):
        return tuple(value for value in values if value is not None)

    def either(self, *parts):
        return Either(parts)

    def both(self, *parts):
        return Both(parts)

    def negation(self, part):
        return Negation(part)

    def equal(self, column, op, value):
        return _turn(op in ("!=", "<>"), Condition(column, "in", (value,)))

    def order(self, column, op, value):
        return Condition(column, str(op), (value,))

    def order_turned(self, value, op, column):
        return Condition(column, TURNED[op], (value,))

    def span(self, low, first, column, second, high):
        return Both((self.order_turned(low, first, column), self.order(column, second, high)))

    def between(self, column, *ends):
        low, high = sorted(ends)
        return Both((Condition(column, ">=", (low,)), Condition(column, "<=", (high,))))

    def among(self, column, never, values):
        return _turn(never, Condition(column, "in", values))

    def contains(self, column, never, text):
        return _turn(never, Condition(column, "contains", (text,)))

    def contained(self, text, never, column):
        return self.contains(column, never, text)


def _turn(never: object, condition: Condition) -> Tree:
    return Negation(condition) if never else condition


def _say_where(where: str, error: lark.exceptions.UnexpectedInput) -> str:
    ended = isinstance(error, lark.exceptions.UnexpectedToken) and error.token.type == "$END"
    place = len(where) if ended else error.pos_in_stream
    after = where[place : place + 40]
    found = f"at {after!r}" if after.strip() else "at its end"
    before = f", after {where[max(0, place - 40) : place]!r}" if place else ""
    return f"cannot read the condition {found}{before}; {HOW}"


def count_unread(tree: Tree | None, columns: Columns) -> dict[str, Counter[str]]:
    """Return for each column compared with numbers the texts in which none is read, counted."""
    parts = [part for part in leaves(tree) if part.op in ORDERS or part.numbers and not part.texts]
    unread = {}
    for column in sorted({part.column for part in parts}):
        texts = columns.texts(column)[np.isnan(columns.years(column)[:, 0])]
        unread[column] = Counter(text.strip() for text in texts)
    return {column: texts for column, texts in unread.items() if texts}


def leaves(tree: Tree | None) -> Sequence[Condition]:
    """Return the conditions of a tree."""
    if tree is None or isinstance(tree, Condition):
        return [tree] if tree else []
    parts = [tree.of] if isinstance(tree, Negation) else tree.parts
    return [leaf for part in parts for leaf in leaves(part)]
