// Runs the unit tests of the page's scripts by Node's own runner: node --test tests/web/run.mjs
//
// Scripts and tests are classic scripts in one world, as they are on a page; tests/show/test_units.py
// runs the same tests in Chromium where there is no Node.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const here = new URL(".", import.meta.url);
const web = new URL("../../artsearch/show/web/", here);
const names = ["gallery", "text", "where", "question", "rarity", "state", "view"];
const world = vm.createContext({ assert, test, URLSearchParams, console });
for (const name of names) run(new URL(`${name}.js`, web));
for (const name of readdirSync(here).filter((one) => one.endsWith(".test.js"))) run(new URL(name, here));

function run(file) {
  vm.runInContext(readFileSync(file, "utf8"), world, { filename: file.pathname });
}
