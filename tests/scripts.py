"""The page's scripts without the page: in Node where it is there, in Chromium otherwise."""

import functools
import json
import shutil
import subprocess
from pathlib import Path

from browser import chromium, visit

from artsearch.show.html import WEB
from artsearch.show.site import ASSETS

#: In the order of the page, without what is there to be seen only.
SCRIPTS = [one for one in ASSETS if one.endswith(".js") and one not in ("ask.js", "pair.js")]
NODE = shutil.which("node")
#: Read by Node: a function of the scripts' own world is called with what stands in a file.
RUN = """
const [scripts, data, task] = process.argv.slice(2);
const fs = require("fs");
const vm = require("vm");
const world = vm.createContext({
  atob, Blob, DecompressionStream, Response, MessageChannel, TextDecoder, URLSearchParams,
  performance, console,
});
for (const one of scripts.split(",")) vm.runInContext(fs.readFileSync(one, "utf8"), world, one);
world.load = async (name) => {
  const text = fs.readFileSync(`${data}/${name}.js`, "utf8");
  return JSON.parse(`[${text.slice("receive(".length, text.lastIndexOf(")"))}]`)[1];
};
const { code, argument } = JSON.parse(fs.readFileSync(task, "utf8"));
vm.runInContext(`(${code})`, world)(argument).then((found) => console.log(JSON.stringify(found)));
"""


def run_script(code: str, argument: object, folder: Path, data: Path | None = None) -> object:
    """Call an async function of one argument among the page's scripts; return what it gives.

    `folder` is for files in between; `load(name)` in the function reads from the folder `data`.
    """
    files = [str(WEB / name) for name in SCRIPTS]
    if NODE:
        (folder / "run.cjs").write_text(RUN)
        (folder / "task.json").write_text(json.dumps({"code": code, "argument": argument}))
        words = [NODE, folder / "run.cjs", ",".join(files), data or folder, folder / "task.json"]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)
    with chromium() as browser, visit(browser) as page:
        page.expose_function("read", functools.partial(_read, data))
        for file in files:
            page.add_script_tag(path=file)
        page.evaluate("() => { window.load = window.read; }")
        return page.evaluate(code, argument)


def _read(data: Path, name: str) -> object:
    text = (data / f"{name}.js").read_text(encoding="ascii")
    return json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]")[1]
