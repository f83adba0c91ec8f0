// @ts-check
// The answerer of a widget: Python, by messages (artsearch/gallery/widget.py has the other end).
//
// What is told of a work comes with the first answer that names it, and is remembered; `told` in an
// answer holds it. What Python says by itself comes as {heard: "which" | "motif", …}.

const RAW = 8 * 1024 * 1024; // bytes of a file that travel

/**
 * @param {any} model @param {(file: File) => Promise<ArrayBuffer>} shrink what of an image file travels
 * @param {(name: string, data: Blob) => void | Promise<void>} keepFile
 */
function createRemote(model, shrink, keepFile) {
  const wire = createWire(model);
  /** @type {Map<string, Work>} */
  const works = new Map();
  const which = new Map();
  /** @type {About} */
  const about = model.get("about");

  /** @param {Record<string, any>} what @param {ArrayBuffer[]} [buffers] */
  async function ask(what, buffers = []) {
    const said = await wire.ask(what, undefined, buffers);
    learn(said.told ?? []);
    return said;
  }

  /** @param {Work[]} told */
  function learn(told) {
    for (const work of told) works.set(work.id, work);
  }

  const remote = {
    about, learn, close: wire.close,
    /** @param {Asked} asked @returns {Promise<Answer>} */
    async answer(asked) {
      const said = await ask({ do: "answer", asked });
      if (said.which) which.set(asked.query, said.which);
      return said.found;
    },
    drawer: async (/** @type {Drawer} */ drawer) => (await ask({ do: "drawer", drawer })).drawn,
    /** @param {string[]} ids */
    async works(ids) {
      const missing = ids.filter((id) => !works.has(id));
      if (missing.length) await ask({ do: "works", ids: missing });
      return ids.flatMap((id) => works.get(id) ?? []);
    },
    add: async (/** @type {File} */ file) => (
      (await ask({ do: "add", name: file.name }, [await shrink(file)])).id),
    lacks: () => [],
    why: async (/** @type {Asked} */ asked, /** @type {string} */ id, /** @type {boolean} */ tried) => (
      (await ask({ do: "why", asked, id, tried })).explained),
    earlier: async (/** @type {Asked} */ asked, /** @type {string[]} */ ids) => (
      /** @type {Before} */ (new Map(Object.entries((await ask({ do: "earlier", asked, ids })).before)))),
    session: () => model.get("noted"),
    async keep(/** @type {string} */ id, /** @type {boolean} */ on) {
      await ask({ do: "keep", id, on });
    },
    /** @param {File} file @returns {Promise<{link: string, missing: string}>} */
    async open(file) {
      if (file.size > RAW) throw new Refusal(`${file.name} is too large for a session.`);
      return ask({ do: "open" }, [await file.arrayBuffer()]);
    },
    async save(/** @type {What} */ { do: what, format = "" }) {
      const { name, type, buffers } = await ask({ do: "save", what, format });
      await keepFile(name, new Blob([buffers[0]], { type }));
    },
    which: (/** @type {string} */ id) => which.get(id) ?? null,
    async identify(/** @type {string} */ id) {
      which.set(id, (await ask({ do: "identify", id })).which);
    },
    motif: async (/** @type {Asked[]} */ asked) => (await ask({ do: "motif", asked })).said,
    makeMotifs: async (/** @type {Asked[]} */ asked) => (await ask({ do: "make_motifs", asked })).said,
    /** What Python says of an image by itself. @param {{id: string, which: any, told: Work[]}} said */
    hear(said) {
      learn(said.told);
      which.set(said.id, said.which);
    },
  };
  return remote;
}

/**
 * A walk of a widget: begins with what Python has answered already, follows what a notebook asks, and
 * tells Python where the visitor is. `draw` is called when there is something new to see.
 * @param {any} model @param {Parameters<typeof createRemote>[1]} shrink
 * @param {Parameters<typeof createRemote>[2]} keepFile @param {() => void} draw
 */
function createVisit(model, shrink, keepFile, draw) {
  const remote = createRemote(model, shrink, keepFile);
  const walk = createWalk(remote, emptyState(remote.about));
  model.on("change:opening", follow);
  model.on("msg:custom", heed);
  return { walk, act, begin, close };

  async function begin() {
    const before = model.get("place"); // where the visitor was, when the page was loaded again
    if (!await adopt()) return;
    if (before.history) await act({ do: "move", state: { ...walk.state, ...before } });
    else tellPlace();
  }

  async function follow() {
    if (await adopt()) tellPlace();
  }

  async function adopt() {
    const opening = model.get("opening");
    if (!opening.told) return false; // the kernel is about to answer
    remote.learn(opening.told);
    await walk.adopt(opening);
    draw();
    return true;
  }

  /** @param {What} what */
  async function act(what) {
    await walk.act(what);
    tellPlace();
    draw();
  }

  function tellPlace() {
    if (JSON.stringify(model.get("place")) === JSON.stringify(walk.state)) return;
    model.set("place", walk.state);
    model.save_changes();
  }

  /** @param {any} message */
  async function heed({ heard, ...said }) {
    if (heard === "which") remote.hear(said);
    else if (heard === "motif") await walk.sought(said.said);
    else return;
    tellPlace();
    draw();
  }

  function close() {
    model.off("change:opening", follow);
    model.off("msg:custom", heed);
    remote.close();
  }
}
