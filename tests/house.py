"""The package in figures: lines, modules, rooms, floors, circles, and what the core opens.

    .venv/bin/python tests/house.py               this checkout
    .venv/bin/python tests/house.py OTHER/FOLDER  another one, such as an older state

A floor is the length of the longest chain of imports below a module, where imports within functions
and for types count too; a circle is a set of modules that import each other. "Opened" are the
modules whose functions run while one painting goes from its file to its neighbours.
"""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter
from pathlib import Path

import grimp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
#: One painting from its file to its neighbours, as the README's own example has it.
ONE_PAINTING = """
import os, sys, threading
import artsearch
HERE = os.path.dirname(artsearch.__file__)
called = set()

def note(frame, event, _, HERE=HERE, str=str):
    if event == "call" and str(frame.f_code.co_filename).startswith(HERE):
        if frame.f_code.co_name != "<module>":
            called.add((frame.f_code.co_filename[len(HERE) + 1:], frame.f_code.co_qualname))

from artsearch import Collection, Search, compute_features, construct_ann_index
threading.setprofile(note)
sys.setprofile(note)
collection = Collection(sys.argv[1])
features = compute_features(collection, "efficientnet_lite0", progress=False)
search = Search(collection, construct_ann_index(features=features))
search.by_work(collection.ids[0], 1)
sys.setprofile(None)
threading.setprofile(None)
print("modules", *sorted({module for module, _ in called}))
print("functions", len(called))
"""


def count_lines(path: Path) -> Counter:
    """Count the lines of a Python file by what they are.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "a.py")
    >>> _ = file.write_text('"Why."\\n\\nx = 1  # one\\n# two\\n')
    >>> sorted(count_lines(file).items())
    [('blank', 1), ('code', 1), ('comment', 1), ('docstring', 1)]
    """
    text = path.read_text(encoding="utf-8")
    kinds = dict.fromkeys(range(1, len(text.splitlines()) + 1), "blank")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if kinds[token.start[0]] == "blank":
                kinds[token.start[0]] = "comment"
        elif token.string.strip():
            for line in range(token.start[0], token.end[0] + 1):
                kinds[line] = "code"
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                for line in range(value.lineno, value.end_lineno + 1):
                    kinds[line] = "docstring"
    return Counter(kinds.values())


def read_imports(package: str = "artsearch") -> tuple[list[str], np.ndarray]:
    """Return the modules, and who imports whom (rows import columns), lazily or for types too."""
    graph = grimp.build_graph(package, cache_dir=None)
    modules = sorted(graph.modules)
    number = {module: row for row, module in enumerate(modules)}
    edges = np.zeros((len(modules), len(modules)), dtype=bool)
    for module in modules:
        for imported in graph.find_modules_directly_imported_by(module):
            edges[number[module], number[imported]] = True
    return modules, edges


def find_circles(modules: list[str], edges: np.ndarray) -> list[list[str]]:
    """Return the sets of two or more modules that import each other.

    >>> find_circles(["a", "b", "c"], np.array([[0, 1, 0], [1, 0, 1], [0, 0, 0]], bool))
    [['a', 'b']]
    """
    labels = connected_components(coo_array(edges), connection="strong")[1]
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [[modules[row] for row in group] for group in groups if len(group) > 1]


def count_floors(edges: np.ndarray) -> int:
    """Return the longest chain of imports, a circle counted as one module.

    >>> count_floors(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], bool))
    3
    """
    count, labels = connected_components(coo_array(edges), connection="strong")
    above = {(labels[a], labels[b]) for a, b in np.argwhere(edges) if labels[a] != labels[b]}
    floor = np.ones(count, dtype=int)
    for _ in range(count):
        before = floor.copy()
        for importer, imported in above:
            floor[importer] = max(floor[importer], floor[imported] + 1)
        if (floor == before).all():
            break
    return int(floor.max())


def follow_one_painting(root: Path) -> dict[str, list[str]]:
    """Return the modules and the number of functions that run for one painting."""
    environment = os.environ | {"PYTHONPATH": str(root), "ARTSEARCH_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        painting = ROOT / "data/paintings/leonardo-da-vinci_mona-lisa.jpg"
        for name in ("one.jpg", "two.jpg"):
            Path(folder, name).write_bytes(painting.read_bytes())
        command = [sys.executable, "-c", ONE_PAINTING, folder]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT).resolve()
    sys.path.insert(0, str(root))
    package = root / "artsearch"
    files = sorted(package.rglob("*.py"))
    lines = sum((count_lines(path) for path in files), Counter())
    web = [path for path in package.rglob("*") if path.suffix in (".js", ".css", ".html", ".j2")]
    web_lines = sum(
        1 for path in web for line in path.read_text("utf-8").split("\n") if line.strip()
    )
    modules, edges = read_imports()
    rooms = Counter(path.parent.relative_to(package).as_posix() for path in files)
    written = Counter(
        path.parent.relative_to(package).as_posix() for path in files if path.name != "__init__.py"
    )
    opened = follow_one_painting(root)
    print(
        f"Python lines      {lines.total():,} ({', '.join(f'{v:,} {k}' for k, v in lines.items())})"
    )
    print(f"  without blank lines and comments  {lines['code'] + lines['docstring']:,}")
    print(f"web lines         {web_lines:,} (without blank ones)")
    print(f"modules           {sum(written.values())} besides {len(rooms)} of packages")
    print(f"rooms             {len([room for room in rooms if '/' not in room and room != '.'])}")
    for room, count in sorted(written.items()):
        size = sum(count_lines(path).total() for path in (package / room).glob("*.py"))
        print(f"  {room:<16}{count:>3} modules {size:>6,} lines")
    print(f"floors            {count_floors(edges)}")
    circles = find_circles(modules, edges)
    print(f"circles           {len(circles)}")
    for circle in circles:
        print("  " + ", ".join(name.removeprefix("artsearch.") for name in circle))
    functions = opened["functions"][0]
    print(f"opened for one painting  {len(opened['modules'])} modules, {functions} functions")
    print("  " + " ".join(opened["modules"]))


if __name__ == "__main__":
    main()
