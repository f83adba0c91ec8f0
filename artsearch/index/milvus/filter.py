"""A condition as an expression of Milvus, which means the same to the letter."""

from __future__ import annotations

from collections.abc import Iterable

from artsearch.base.text import fold
from artsearch.index.milvus.fields import (
    NO_NUMBER,
    PK,
    Attributes,
    is_too_long,
    key_of,
    order_key,
    spell,
    spell_folded,
)
from artsearch.works.conditions import ORDERS, Both, Columns, Condition, Either, Negation, Tree

#: Keys are never empty, so these match all works, and none.
ALL, NONE = f'{PK} != ""', f'{PK} == ""'
_OPPOSITE = {Both: "or", Either: "and"}
_SAME = {Both: "and", Either: "or"}


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
        field, key = fields.number(column), order_key(condition.values[0])
        return f"{field} > {NO_NUMBER} and {field} {condition.op} {key}"
    if condition.op == "contains":
        return _contain(condition, columns, fields)
    texts, numbers = map(spell, condition.texts), map(order_key, condition.numbers)
    parts = [one_of(fields.text(column), texts)] if condition.texts else []
    parts += [one_of(fields.number(column), numbers)] if condition.numbers else []
    return " or ".join(parts) or NONE


def _contain(condition: Condition, columns: Columns, fields: Attributes) -> str:
    part = spell_folded(fold(condition.values[0]))
    if not part:
        return ALL
    found = f'{fields.part(condition.column)} like "%{part}%"'
    folded = columns.folded(condition.column)
    # Texts that Milvus cannot hold spelt out are looked into here, and named by their keys.
    long = folded.map(is_too_long).to_numpy(bool)
    if not long.any():
        return found
    ids = columns.texts("id")[long & condition.mask(columns)]
    return f"{found} or {one_of(PK, map(key_of, ids))}"
