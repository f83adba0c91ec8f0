"""Required attributes: a condition on the columns of a collection, parsed and never evaluated."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real

import lark
import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import fold, write_number
from artsearch.works.years import read_years

#: Characters of the longest condition that is read.
LONGEST = 10_000
HOW = (
    'write it as style == "Ukiyo-e" and year >= 1800; there are ==, !=, <, <=, >, >=, in, not in, '
    "contains, between, and, or, not; texts stand in quotes, a column's name with spaces in `…`"
)
RESERVED = ("and", "or", "not", "in", "contains", "between")
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
        self._years: dict[str, np.ndarray] = {}
        self._folded: dict[str, pd.Series] = {}
        self._names: dict[str, dict[str, str]] = {}

    def texts(self, column: str) -> pd.Series:
        """Return a column; raises WhereError with the nearest names where there is none."""
        if column not in self._works:
            raise WhereError(str(unknown("column", column, self._works.columns)))
        return self._works[column]

    def choices(self, most: int = 60) -> dict[str, list[str]]:
        """Return the values of those columns that have few different ones, the empty one aside."""
        known = {column: self.names(column) for column in self._works if column != "id"}
        few = {column: names.values() for column, names in known.items() if len(names) <= most}
        return {column: sorted(values) for column, values in few.items() if len(values) > 1}

    def years(self, column: str) -> np.ndarray:
        """Return the first and the last number, or year, of each text; NaN where none is read."""
        if column not in self._years:
            pairs = [read_years(text) or (np.nan, np.nan) for text in self.texts(column)]
            self._years[column] = np.array(pairs, float).reshape(-1, 2)
        return self._years[column]

    def folded(self, column: str) -> pd.Series:
        """Return a column by whose texts values are the same or not, see `fold`."""
        if column not in self._folded:
            self._folded[column] = self.texts(column).map(fold)
        return self._folded[column]

    def names(self, column: str) -> dict[str, str]:
        """Return the values of a column, folded, and how each is written most often; "" is none."""
        if column not in self._names:
            names: dict[str, str] = {}
            for text, _ in Counter(self.texts(column).str.strip()).most_common():
                names.setdefault(fold(text), text)
            self._names[column] = {folded: name for folded, name in names.items() if folded}
        return self._names[column]


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
        if self.op == "contains":
            found = columns.folded(self.column).str.contains(fold(self.values[0]), regex=False)
            return found.to_numpy(bool)
        return self._equal(columns)

    def check(self, columns: Columns) -> None:
        """Raise WhereError for a column that is not there, and for a text that no work has."""
        columns.texts(self.column)
        if self.op != "in":
            return
        names = columns.names(self.column)
        for text in self.texts:
            if fold(text) not in {"", *names}:
                raise WhereError(str(unknown(self.column, text, sorted(names.values()))))

    @property
    def texts(self) -> list[str]:
        """Those of the values that are texts."""
        return [value for value in self.values if isinstance(value, str)]

    @property
    def numbers(self) -> list[float]:
        """Those of the values that are numbers."""
        return [value for value in self.values if not isinstance(value, str)]

    def _equal(self, columns: Columns) -> np.ndarray:
        texts, numbers = self.texts, self.numbers
        mask = columns.folded(self.column).isin(map(fold, texts)).to_numpy(bool)
        if not numbers:
            return mask
        first, last = columns.years(self.column).T
        numbers = np.sort(numbers)
        return mask | (np.searchsorted(numbers, first) < np.searchsorted(numbers, last, "right"))


@dataclass(frozen=True)
class Negation:
    """What does not match."""

    of: Tree

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match."""
        return ~self.of.mask(columns)


@dataclass(frozen=True)
class Both:
    """What matches every part."""

    parts: tuple[Tree, ...]

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match."""
        return np.logical_and.reduce([part.mask(columns) for part in self.parts])


@dataclass(frozen=True)
class Either:
    """What matches one part at least."""

    parts: tuple[Tree, ...]

    def mask(self, columns: Columns) -> np.ndarray:
        """Return which works match."""
        return np.logical_or.reduce([part.mask(columns) for part in self.parts])


Tree = Condition | Negation | Both | Either


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
    ...     'style == "Ukiyo-e" and year >= 1800')
    True
    """
    if isinstance(where, str):
        return parse(where) if where.strip() else None
    if where is not None and not isinstance(where, Mapping):
        raise WhereError(f"where is a {type(where).__name__}; give it a text or a dictionary")
    parts = [part for one in (where or {}).items() for part in _read_pair(*one)]
    return Both(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def as_text(where: str | Mapping | None) -> str:
    """Return a condition as text, checked.

    >>> as_text({"object type": ["print", "drawing"], "year": (1800, None)})
    '`object type` in ["print", "drawing"] and year >= 1800'
    """
    tree = as_tree(where)
    if isinstance(where, str):
        return where.strip()
    if tree is None:
        return ""
    return " and ".join(_say(part) for part in (tree.parts if isinstance(tree, Both) else [tree]))


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


def _say(part: Condition) -> str:
    values = ", ".join(quote(value) for value in part.values)
    values = f"[{values}]" if part.op == "in" else values
    return f"{quote_column(part.column)} {part.op} {values}"


def _read_pair(column: object, wanted: object) -> Iterator[Condition]:
    if not isinstance(column, str) or not column:
        raise WhereError(f"{column!r} is no column; name it by its text")
    _check_text(column)
    if isinstance(wanted, tuple) and len(wanted) == 2:
        for op, end in zip((">=", "<="), wanted, strict=True):
            if end is not None:
                yield Condition(column, op, (_check_number(end),))
    else:
        many = isinstance(wanted, list | tuple | set | frozenset)
        yield Condition(column, "in", tuple(map(_check_value, wanted if many else [wanted])))


def _check_number(value: object) -> float:
    value = _check_value(value)
    if isinstance(value, str):
        raise WhereError(f"{value!r} is no number; a pair is (from, to), a choice a list")
    return value


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


class _Reader(lark.Transformer):
    """Makes the tree of conditions from what the grammar found, from the leaves up."""

    def column(self, found):
        name = str(found[0])
        return name[1:-1].replace("``", "`") if name.startswith("`") else name

    def text(self, found):
        return re.sub(r"\\(.)", r"\1", str(found[0])[1:-1], flags=re.DOTALL)

    def number(self, found):
        return float(found[0].replace("−", "-"))

    def list(self, found):
        return tuple(value for value in found if value is not None)

    def either(self, found):
        return Either(tuple(found))

    def both(self, found):
        return Both(tuple(found))

    def negation(self, found):
        return Negation(found[0])

    def equal(self, found):
        column, op, value = found
        return _turn(op in ("!=", "<>"), Condition(column, "in", (value,)))

    def order(self, found):
        column, op, value = found
        return Condition(column, str(op), (value,))

    def order_turned(self, found):
        value, op, column = found
        return Condition(column, TURNED[op], (value,))

    def span(self, found):
        low, first, column, *rest = found
        return Both((self.order_turned((low, first, column)), self.order((column, *rest))))

    def between(self, found):
        column, low, high = found[0], *sorted(found[1:])
        return Both((Condition(column, ">=", (low,)), Condition(column, "<=", (high,))))

    def among(self, found):
        column, never, values = found
        return _turn(never, Condition(column, "in", values))

    def contains(self, found):
        column, never, text = found
        return _turn(never, Condition(column, "contains", (text,)))

    def contained(self, found):
        return self.contains(found[::-1])


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
    match tree:
        case None:
            return []
        case Condition():
            return [tree]
        case Negation(of):
            return leaves(of)
        case Both(parts) | Either(parts):
            return [leaf for part in parts for leaf in leaves(part)]
