"""docs/scale.md keeps its sums: each one is right, and each figure in it comes from somewhere."""

import ast
import json
import math
import operator
import re
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
#: What needs no source: sizes of collections, units, bytes of a number, widths of a row.
DEFINITIONS = {10**4, 10**5, 10**6, 10**8, 10**9, 1000, 3600, 730, 1, 2, 4, 8, 512}


def read_sums(text: str) -> list[str]:
    """Return the lines of arithmetic: those in blocks of code that hold an equals sign."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if "=" in line]


def numbers_in(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def compute(text: str) -> float:
    """Return the value of a sum, whose words (units) do not count."""
    plain = re.sub(r"[^\d.+*/()×÷−-]", "", text.replace(",", ""))
    plain = plain.replace("×", "*").replace("÷", "/").replace("−", "-")
    return _value(ast.parse(plain, mode="eval").body)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)
    return OPERATORS[type(node.op)](_value(node.left), _value(node.right))


def holds(line: str) -> bool:
    """Tell whether a sum comes to what stands behind its equals sign, to the digits shown there."""
    left, right = line.split("=")
    shown = Decimal(NUMBER.search(right)[0].replace(",", "")).normalize()
    half = 0.5 * 10.0 ** shown.as_tuple().exponent
    return abs(compute(left) - float(shown)) <= min(half, 0.025 * float(shown)) * 1.0001


SUMS = read_sums(TEXT)


@pytest.mark.parametrize("line", SUMS)
def test_every_sum_is_right(line):
    assert holds(line)


@pytest.mark.parametrize("line", [line for line in SUMS if ", so " in line])
def test_what_is_rounded_up_is_rounded_right(line):
    exact, whole = numbers_in(line.split("=")[1])
    assert whole == math.ceil(exact)


def test_every_figure_in_a_sum_is_stated_or_was_computed_before():
    known = DEFINITIONS | set(numbers_in(section("The figures")))
    for line in SUMS:
        left, right = line.split("=")
        unknown = [number for number in numbers_in(left) if number not in known]
        assert not unknown, f"{unknown} in {line!r} comes from nowhere"
        known.update(numbers_in(right))


def test_every_figure_in_the_table_of_costs_is_the_result_of_a_sum():
    results = {number for line in SUMS for number in numbers_in(line.split("=")[1])}
    rows = [line for line in section("What it costs").splitlines() if line.startswith("|")]
    assert len(rows) > 6
    for row in rows[2:]:
        for cell in row.split("|")[2:]:
            assert set(numbers_in(cell)) <= results, row


def test_the_figures_of_the_indexes_are_those_that_were_measured():
    rows = json.loads((ROOT / "docs" / "index.json").read_text(encoding="utf-8"))["rows"]
    found = re.findall(r"\| ([\d.]+)[^|]*\| `(\w+)\.(\w+)@([\d,]+)`", section("The figures"))
    assert len(found) == 4
    for shown, method, key, works in found:
        wanted = method, int(works.replace(",", ""))
        row = next(row for row in rows if (row["method"], row["works"]) == wanted)
        value = row[key] / 1e9 if key == "memory" else row[key]
        assert float(shown) == pytest.approx(value, rel=0.05), (method, key)


def test_the_speeds_are_those_that_were_measured():
    lines = (ROOT / "docs" / "large-collections.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if line.startswith("| EfficientNet-Lite0 | 32"))
    assert numbers_in(row.split("|")[4])[0] in numbers_in(section("The figures"))


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("1,000,000 works / 110 a second / 3,600 = 2.5 hours", True),
        ("1,000,000 works / 110 a second / 3,600 = 2.6 hours", False),
        ("1,000,000 works × 512 numbers × 4 bytes = 2,048,000,000 bytes", True),
        ("(3 + 4) × 2 = 14", True),
        ("100 × 2.5 = 200", False),
    ],
)
def test_a_wrong_sum_is_noticed(line, right):
    assert holds(line) is right


def section(title: str) -> str:
    """Return the text below a heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]
