"""The page's scripts by themselves: conditions, questions, rows; types where tsc is there."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from scripts import NODE, run_script

from artsearch.base.text import fold
from artsearch.gallery import session
from artsearch.gallery.widget import OWN, SCRIPTS
from artsearch.search import question
from artsearch.show import site_rows
from artsearch.show.html import WEB
from artsearch.show.site import ASSETS
from artsearch.works.conditions import HOW
from artsearch.works.years import read_years

CASES = json.loads(Path("tests/works/conditions.json").read_text(encoding="utf-8"))
TSC = Path("tests/node_modules/typescript/bin/tsc")

ASK_WHERE = """async ({ table, years, cases }) => {
  const columns = new Columns(table, years);
  return cases.map(({ where }) => {
    try {
      const mask = maskOf(parseWhere(checkWhere(where)), columns);
      return { where, works: [...mask.keys()].filter((row) => mask[row]) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { where, error: error.message };
    }
  });
}"""


def test_conditions_are_those_of_python(tmp_path):
    years = {}
    for column, texts in CASES["table"].items():
        read = [(row, *read_years(text)) for row, text in enumerate(texts) if read_years(text)]
        years[column] = list(map(list, zip(*read, strict=True))) or [[], [], []]
    found = run_script(ASK_WHERE, CASES | {"years": years}, tmp_path)
    for one in found:
        if "error" in one:
            one["error"] = one["error"].removesuffix(f"; {HOW}")
    assert found == CASES["cases"]


TEXTS = [
    "Dürer",
    " DU\u0308RER ",
    "ẞtraße",
    "Σοφος ς",
    "が ﾊﾞ",
    "İstanbul ı",
    "ﬁn Ꭰ ꭰ",
    "\x1fa\ufeffb\u2003c",
]


def test_texts_and_numbers_are_pythons(tmp_path):
    numbers = [0, 0.5, 0.123456, 1.23456e-7, 0.0001, 123456.0, 99.96, 1234, 1e-6]
    texts = ["plain", "it's", "both ' and \"", "line\nend\t\\", "zero\u200bwidth", "émigré"]
    code = """async ({ folded, numbers, texts }) => (
      [folded.map(fold), numbers.map(threeDigits), texts.map(repr)])"""
    found = run_script(code, {"folded": TEXTS, "numbers": numbers, "texts": texts}, tmp_path)
    expected = [list(map(fold, TEXTS)), [f"{one:.3g}" for one in numbers], list(map(repr, texts))]
    assert found == expected


def test_links_and_formats_are_pythons(tmp_path):
    code = """async () => ({
      words: LINK_WORDS, fields: Object.keys(NOTHING_ASKED), format: FORMAT, session: SESSION })"""
    found = run_script(code, None, tmp_path)
    assert set(found["words"]) == set(question.WORDS)
    assert set(found["fields"]) == set(question.Question.__dataclass_fields__)
    assert found["format"] == site_rows.FORMAT
    assert found["session"] == {"version": session.VERSION, "format": session.FORMAT}


@pytest.mark.parametrize("metric", ["dot", "euclidean", "manhattan"])
def test_distances_are_those_of_plain_loops(tmp_path, metric):
    code = """async (metric) => {
      const widths = [7];
      const numbers = Int8Array.from({ length: 70 }, (_, i) => ((i * 37) % 255) - 127);
      const scales = new Float32Array(10).fill(0.01);
      const rows = { length: 10, dims: 7, widths, numbers, scales };
      const query = fetchRow(rows, 3);
      const given = [...numbers].map((one) => one * Math.fround(0.01));
      return [given, [...query], [...distancesTo(rows, query, metric, [1])]];
    }"""
    given, query, found = run_script(code, metric, tmp_path)
    rows = [given[start : start + 7] for start in range(0, 70, 7)]
    assert query == pytest.approx(rows[3])
    if metric == "euclidean":
        far = [sum((a - b) ** 2 for a, b in zip(row, query, strict=True)) ** 0.5 for row in rows]
    elif metric == "manhattan":
        far = [sum(abs(a - b) for a, b in zip(row, query, strict=True)) for row in rows]
    else:
        far = [-sum(a * b for a, b in zip(row, query, strict=True)) for row in rows]
    assert found == pytest.approx(far)


@pytest.mark.parametrize(
    "files",
    [[WEB / name for name in ASSETS if name.endswith(".js")], SCRIPTS],
    ids=["page", "widget"],
)
def test_no_name_stands_twice(files):
    """All scripts of a page share one scope: of two functions of one name the second is both."""
    names = [
        name
        for path in files
        for name in re.findall(
            r"^(?:async )?(?:function|const|let|class) (\w+)", path.read_text("utf-8"), re.M
        )
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_a_page_of_another_version_says_so(tmp_path):
    code = "async () => readWorks({ answers: [] }).catch((error) => error.message)"
    assert "are of format 0, and its scripts read format" in run_script(code, None, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON; choose a file"),
        ('{"version": 1}', "is of format 1, and this page reads format 2"),
        ('{"version": 2, "steps": []}', "cannot be read at 'format'"),
        ("[]", "cannot be read at 'version'"),
    ],
)
def test_what_is_no_session_is_refused(tmp_path, text, said):
    code = "async (text) => { try { readSession(text); } catch (error) { return error.message; } }"
    assert said in run_script(code, text, tmp_path)


def test_types_hold(tmp_path):
    files = [*sorted(WEB.glob("*.js")), *sorted(OWN.glob("*.js"))]
    bare = [path.name for path in files if not path.read_text("utf-8").startswith("// @ts-check")]
    assert bare == []
    if not (NODE and TSC.is_file()):
        pytest.skip(f"no {TSC}; `make types` brings it, where npm is there")
    options = {"target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "allowJs": True}
    options |= {"noEmit": True, "strict": True, "types": []}
    config = {"compilerOptions": options, "files": list(map(str, files))}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run([NODE, TSC, "-p", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
