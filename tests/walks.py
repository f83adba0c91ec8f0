"""Visits to a gallery without a page: its state in JavaScript, Python answers as in a notebook.

In Node where it is there, in Chromium otherwise.
"""

import atexit
import base64
import functools
import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack

from browser import chromium, visit
from scripts import NODE

from artsearch.gallery.widget import SCRIPTS, Gallery

#: What stands in the widget's place: models whose other end is `host`, a function that returns what
#: the kernel sends meanwhile.
DRIVER = """
const visits = new Map();
const toBase64 = (bytes) => {
  let text = "";
  for (const one of new Uint8Array(bytes)) text += String.fromCharCode(one);
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

function createModel(name, traits) {
  const heard = new Map();
  const model = {
    get: (trait) => traits[trait],
    set: (trait, value) => { traits[trait] = value; },
    save_changes: () => tell({ place: traits.place }),
    send: (message, _, buffers = []) => tell({ message, buffers: buffers.map(toBase64) }),
    on: (event, call) => heard.set(event, [...(heard.get(event) ?? []), call]),
    off: (event, call) => heard.set(event, heard.get(event).filter((one) => one !== call)),
    take, told: Promise.resolve(),
  };
  return model;

  // One after the other, as messages to a kernel are.
  function tell(said) {
    const text = JSON.stringify({ name, ...said });
    model.told = model.told.then(() => host(text)).then((replies) => take(JSON.parse(replies)));
  }

  async function take(replies) {
    for (const { trait, value, message, buffers } of replies) {
      if (trait) traits[trait] = value;
      const views = buffers?.map((one) => new DataView(fromBase64(one).buffer));
      const given = trait ? [] : [message, views];
      const event = trait ? `change:${trait}` : "msg:custom";
      for (const call of heard.get(event) ?? []) call(...given);
    }
  }
}

async function run({ name, traits, replies, what }) {
  let one = visits.get(name);
  if (traits) {
    const model = createModel(name, traits);
    one = { model, saved: [] };
    const save = async (file, blob) => one.saved.push([file, toBase64(await blob.arrayBuffer())]);
    one.visit = createVisit(model, (file) => file.arrayBuffer(), save, () => {});
    visits.set(name, one);
    await one.visit.begin();
  }
  const file = what?.file && fromBase64(what.file.data);
  if (file) {
    what.file = { name: what.file.name, size: file.length, arrayBuffer: async () => file.buffer };
  }
  if (replies) await one.model.take(replies);
  if (what) await one.visit.act(what);
  await settle(one);
  const saved = one.saved.splice(0);
  return JSON.stringify({ view: one.visit.walk.view(), state: one.visit.walk.state, saved });
}

async function settle({ model }) {
  for (let told; told !== model.told;) {
    told = model.told;
    await told;
    await new Promise((done) => setTimeout(done));
  }
}
"""
#: Read by Node: a line a request, and a line for what the other end replies.
LINES = """
const fs = require("fs");
const vm = require("vm");
let hosted = null;
const world = vm.createContext({
  atob, btoa, Blob, URLSearchParams, console, setTimeout, clearTimeout, queueMicrotask,
  host: (said) => new Promise((done) => {
    hosted = done;
    process.stdout.write(`${JSON.stringify({ said })}\\n`);
  }),
});
for (const one of FILES) vm.runInContext(fs.readFileSync(one, "utf8"), world, one);
vm.runInContext(DRIVER, world, "driver");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { replies, request } = JSON.parse(line);
  if (replies) return hosted(replies);
  world.request = request;
  vm.runInContext("run(JSON.parse(request))", world).then(
    (done) => process.stdout.write(`${JSON.stringify({ done })}\\n`),
    (error) => process.stdout.write(`${JSON.stringify({ fault: error.stack })}\\n`));
});
"""
SHOWN = ("ask.js", "pair.js", "which.js", "widget.js")  # what is there to be seen only
FILES = [str(path) for path in SCRIPTS if path.name not in SHOWN]


class Walk:
    """A visit to a gallery: `walk.select(id)` and the like do what a visitor does.

    `view` is what gallery.js would be shown, `state` what the visitor has chosen, `saved` the files
    of the last verb by name. Verbs take what stands in their message, by name or in its order.
    """

    VERBS = {
        "select": ["id"],
        "like": ["id", "weight"],
        "unlike": ["id", "weight"],
        "exclude": ["id"],
        "drop": ["id"],
        "keep": ["id", "on"],
        "go_to": ["position"],
        **dict.fromkeys(["back", "forward", "refresh", "clear", "identify", "make_motifs"], []),
        **dict.fromkeys(["change", "export", "picture"], []),
        "session": ["format"],
    }

    def __init__(self, gallery: Gallery):
        self.gallery, self.name = gallery, str(id(gallery))
        self._outbox = []
        gallery.send = lambda message, buffers=(): self._outbox.append(
            {"message": _plain(message), "buffers": [_encode(one) for one in buffers]}
        )
        gallery.observe(self._turn, ["opening", "place", "noted"])
        traits = {name: getattr(gallery, name) for name in ("about", "opening", "place", "noted")}
        self._run({"traits": _plain(traits)})

    def __getattr__(self, verb):
        if verb not in self.VERBS:
            raise AttributeError(verb)
        return lambda *given, **named: self.act(
            do=verb, **dict(zip(self.VERBS[verb], given, strict=False)), **named
        )

    @property
    def error(self) -> str:
        return self.view["error"]

    @property
    def query(self) -> str:
        return self.view["query"]["id"]

    @property
    def shown(self) -> list[list[str]]:
        """The ids of the rows."""
        return [[work["id"] for work in row["works"]] for row in self.view["rows"]]

    def act(self, **what) -> dict:
        """Do what a visitor does; return the view then."""
        if what["do"] in ("like", "unlike"):
            what.setdefault("weight", 1)
        if what["do"] == "keep":
            what.setdefault("on", True)
        if isinstance(what.get("file"), bytes):
            what["file"] = {"name": what.pop("name", ""), "data": _encode(what["file"])}
        return self._run({"what": _plain(what)})

    def upload(self, data: bytes, name: str = "") -> dict:
        return self.act(do="upload", file=data, name=name)

    def open_session(self, text: str | bytes) -> dict:
        data = text.encode() if isinstance(text, str) else text
        return self.act(do="open", file=data, name="session.json")

    def open_link(self, link: str) -> dict:
        self.gallery.open_link(link)
        return self.hear()

    def hear(self) -> dict:
        """Let the browser hear what Python said by itself, or what a notebook has set."""
        return self._run({"replies": self._take()})

    def _run(self, request: dict) -> dict:
        done = _engine()({"name": self.name} | request, self._answer)
        self.view, self.state = done["view"], done["state"]
        self.saved = {name: base64.b64decode(data) for name, data in done["saved"]}
        return self.view

    def _answer(self, said: dict) -> list:
        if "place" in said:
            self.gallery.place = said["place"]
        else:
            files = [memoryview(base64.b64decode(one)) for one in said["buffers"]]
            self.gallery._handle_custom_msg(said["message"], files)
        return self._take()

    def _turn(self, change) -> None:
        if change["name"] != "place" or not change["new"]:  # it is not told of what it said
            self._outbox.append({"trait": change["name"], "value": _plain(change["new"])})

    def _take(self) -> list:
        out, self._outbox[:] = list(self._outbox), []
        return out


def _plain(value):
    return json.loads(json.dumps(value))


def _encode(data) -> str:
    return base64.b64encode(data).decode()


@functools.cache
def _engine() -> Callable[[dict, Callable], dict]:
    """Start what runs the scripts, once; return what puts a request to it."""
    return _start_node() if NODE else _start_chromium()


def _start_node() -> Callable:
    given = f"const [FILES, DRIVER] = {json.dumps([FILES, DRIVER])};"
    process = subprocess.Popen(
        [NODE, "-e", given + LINES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.kill)

    def put(request: dict, answer: Callable) -> dict:
        line = {"request": json.dumps(request)}
        while True:
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            if "said" in said:
                line = {"replies": json.dumps(answer(json.loads(said["said"])))}
                continue
            assert "fault" not in said, said["fault"]
            return json.loads(said["done"])

    return put


def _start_chromium() -> Callable:
    stack = ExitStack()
    atexit.register(stack.close)
    page = stack.enter_context(visit(stack.enter_context(chromium())))
    answers = []
    page.expose_function("host", lambda said: json.dumps(answers[-1](json.loads(said))))
    for file in FILES:
        page.add_script_tag(path=file)
    page.add_script_tag(content=DRIVER)

    def put(request: dict, answer: Callable) -> dict:
        answers[:] = [answer]
        return json.loads(
            page.evaluate("(request) => run(JSON.parse(request))", json.dumps(request))
        )

    return put
