"""Unit tests of the page's scripts: by Node's own runner where Node is there, else in Chromium."""

import subprocess
from pathlib import Path

from browser import chromium, visit
from scripts import NODE

from artsearch.show.html import WEB

UNITS = Path(__file__).parents[1] / "web"
NAMES = ("gallery", "text", "where", "question", "rarity", "state", "view")
#: What of node:test and node:assert the tests use.
SHIM = """
const tests = [];
const test = (name, run) => tests.push([name, run]);
const sorted = (_, value) => (value && typeof value === "object" && !Array.isArray(value)
  ? Object.fromEntries(Object.entries(value).sort()) : value);
const same = (one, other) => JSON.stringify(one, sorted) === JSON.stringify(other, sorted);
const claim = (holds, ...said) => {
  if (!holds) throw new Error(said.map((one) => JSON.stringify(one)).join(" against "));
};
const assert = {
  ok: (value, said) => claim(value, said), equal: (one, other) => claim(one === other, one, other),
  notEqual: (one, other) => claim(one !== other, one),
  match: (text, by) => claim(by.test(text), text),
  deepEqual: (one, other) => claim(same(one, other), one, other),
};
"""
RUN = """async () => {
  const failed = [];
  for (const [name, run] of tests) {
    await Promise.resolve().then(run).catch((error) => failed.push(`${name}: ${error}`));
  }
  return [tests.length, failed];
}"""


def test_units():
    if NODE:
        words = [NODE, "--test", "--test-reporter=tap", str(UNITS / "run.mjs")]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0 and "# pass 0" not in done.stdout, done.stdout[-5000:]
    else:
        in_chromium()


def in_chromium():
    with chromium() as browser, visit(browser) as page:
        files = [WEB / f"{name}.js" for name in NAMES]
        for file in files:
            page.add_script_tag(path=file)
        page.add_script_tag(content=SHIM)
        for file in sorted(UNITS.glob("*.test.js")):
            page.add_script_tag(path=file)
        count, failed = page.evaluate(RUN)
        assert count > 10 and failed == []
