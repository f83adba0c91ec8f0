// @ts-check
// The static page: the gallery of gallery.js and ask.js, its state in state.js, and an answerer that
// needs no server.
//
// Three parts: data, which comes as <script> elements since a page from file:// can load nothing else;
// the answerer, whose answers are those of answer.js; and the address, in which the state is written.

/**
 * @typedef {AnswererData & {
 *   format: number, networks: {name: string, title: string}[], crops: {name: string, title: string}[],
 *   crop: string, has_both: boolean, k: number, values: Record<string, string[]>, origin: Origin,
 *   first: {id: string, answers: Record<string, {ids: string[], distances: number[],
 *     notes: string[], rarities: ([number, number] | null)[]}>},
 *   works: Work[], rows: Map<string, number>, folded: string[], order: Record<number, number[]>,
 *   looks: (Looker & {network: string, megabytes: number})[], parts: boolean,
 *   own: Map<string, Work>,
 * }} Site
 */

const FORMAT = 1; // of the data, as in artsearch/show/site_rows.py
const SAID = ["artist", "title", "year", "style"]; // what a caption says, and the drawer searches
const EXPORTED = [...SAID, "licence", "source"];
const MACHINE = "machine_made"; // the column of what made a work, where a machine did
const PAGE = 24; // works on a page of the drawer

// ---- data -------------------------------------------------------------------------------------

const arrivals = new Map(); // name of a data file → what to do when it calls receive

/** Called by the files in data/. @param {string} name @param {any} data */
function receive(name, data) {
  arrivals.get(name)(data);
}

/** Load data/NAME.js and return what it holds. @param {string} name @returns {Promise<any>} */
function load(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    arrivals.set(name, (/** @type {any} */ data) => {
      script.remove(); // its text may take megabytes
      resolve(data);
    });
    script.src = `data/${encodeURIComponent(name)}.js`;
    script.onerror = () => {
      script.remove();
      reject(new Error(`data/${name}.js cannot be loaded; is the folder of this page complete?`));
    };
    document.head.append(script);
  });
}

/** Make of data/works.js what the state needs. @param {any} data @returns {Promise<Site>} */
async function readWorks(data) {
  if (data.format !== FORMAT) {
    throw new Refusal(`its data are of format ${data.format ?? 0}, and its scripts read format `
      + `${FORMAT}: write the page again with this artsearch, all of it`);
  }
  const columns = JSON.parse(new TextDecoder().decode(await unpack(data.works)));
  const thumbsOnly = new Set(columns.thumbs_only);
  const works = columns.id.map((/** @type {string} */ id, /** @type {number} */ row) => {
    /** @type {Work} */
    const work = { id, width: columns.width[row], height: columns.height[row] };
    for (const name of [...EXPORTED, MACHINE]) work[name] = columns[name]?.[row] || "";
    const by = work[MACHINE] && "made by a machine";
    work.caption = [...SAID.map((name) => tidyBlanks(work[name])), by].filter(Boolean).join(", ");
    const picture = columns.picture.slice(12 * row, 12 * row + 12);
    const file = `${picture.slice(0, 2)}/${picture}.jpg`;
    const large = data.images && !thumbsOnly.has(row);
    const [thumb, image] = [`thumbs/${file}`, `${large ? "images" : "thumbs"}/${file}`];
    const years = yearsOf(work.year, columns.dates);
    return { ...work, years, large, alt: work.caption, thumb, image, picture };
  });
  return {
    ...data, works, ids: columns.id, texts: columns, machine_made: columns[MACHINE] ?? [],
    rows: new Map(works.map((/** @type {Work} */ work, /** @type {number} */ row) => [work.id, row])),
    folded: works.map((/** @type {Work} */ work) => fold(SAID.map((name) => work[name]).join(" "))),
    order: {}, own: new Map(),
  };
}

/**
 * The first and the last year that a text allows for, or null: of other texts than a year alone
 * Python says it, see describe_dates in site_rows.py.
 * @param {string} text @param {Record<string, [number, number]>} dates
 * @returns {[number, number] | null}
 */
function yearsOf(text, dates) {
  if (/^\d{1,9}$/.test(text)) return [Number(text), Number(text)];
  return Object.hasOwn(dates, text) ? dates[text] : null;
}

// ---- the answerer -----------------------------------------------------------------------------

/** The state of a page that is opened without a link. @param {Site} site @param {About} about @returns {State} */
function firstState(site, about) {
  const { id } = site.first;
  const compare = site.networks.length > 1;
  return { ...select(emptyState(about), id), crop: site.crop, compare };
}

/** What there is to be asked. @param {Site} site @returns {About} */
function aboutOf(site) {
  const machines = site.machine_made.filter(Boolean).length;
  const { networks, crops, k, has_both, columns, values } = site;
  return {
    networks, crops, k_max: k, has_both, machines, columns, values, alone: true,
    dial: site.descriptors.every(({ dial }) => dial), looks: site.looks.map(({ network }) => network),
    sentence: "", stays: STAYS, // the sentence on the networks stands in the page itself
  };
}

/**
 * What answers a gallery with no server; `say` is told what takes time.
 * @param {Site} site @param {(text: string) => void} [say]
 */
function createAnswerer(site, say = () => {}) {
  const eyes = createEyes(site, load, say);
  const search = createSearch(site, load, eyes.look);
  const about = aboutOf(site);
  const isWork = (/** @type {string} */ id) => site.rows.has(id);
  const found = {
    about, search, note: newSession(site.origin),
    /** @param {Asked} asked @returns {Promise<Answer>} */
    async answer(asked) {
      const answer = openingOf(asked, site, about, search) ?? await search.answer(asked);
      found.note = addStep(found.note, asked, answer, isWork);
      return answer;
    },
    earlier: search.earlier,
    drawer: async (/** @type {Drawer} */ drawer) => drawFrom(drawer, site),
    works: async (/** @type {string[]} */ ids) => ids.flatMap((id) => workOf(id, site) ?? []),
    add: eyes.add,
    lacks: (/** @type {State} */ state) => [
      ...(canLookAt(queryOf(state), site) ? [] : ["part"]),
      ...(canLookAt(queryOf(state), site) && about.looks.includes(state.network) ? [] : ["why"]),
    ],
    /** @param {Asked} asked @param {string} id @param {boolean} tried @returns {Promise<Explained>} */
    async why(asked, id, tried) {
      const matches = await eyes.match(asked, asked.query, asked.question.region, id);
      const text = whyText(titleOf(asked.network, about), matches);
      return { matches, text, tried: tried ? await search.attempt(asked, id, eyes.change) : null };
    },
    session: () => ({ kept: Object.keys(found.note.kept), steps: found.note.steps.length }),
    /** @param {string} id @param {boolean} on */
    async keep(id, on) {
      if (on && !isWork(id)) throw unknown("work", id, site.ids);
      const { [id]: _, ...kept } = found.note.kept;
      found.note = { ...found.note, kept: on ? { ...kept, [id]: "" } : kept };
    },
    /** @param {File} file */
    async open(file) {
      found.note = readSession(await file.text());
      const link = found.note.steps.map(linkOf).at(-1) ?? "";
      return { link, missing: missingFrom(found.note, isWork) };
    },
    /** @param {What} what @param {Walk} walk */
    async save(what, walk) {
      if (what.do === "export") saveTable(walk, site);
      else if (what.format === "csv") saveCsv("session.csv", tableOf(found.note, site));
      else if (what.format === "html") await savePage(found.note, site, eyes.picture, say);
      else saveSession(found.note);
    },
  };
  return found;
}

/** Whether the page has a picture of a work that it can look at. @param {string} id @param {Site} site */
function canLookAt(id, site) {
  return site.own.has(id) || (site.parts && Boolean(workOf(id, site)?.large));
}

/**
 * The answer that came with the page, where what it opens on is asked: no rows are loaded for it.
 * @param {Asked} asked @param {Site} site @param {About} about
 * @param {ReturnType<typeof createSearch>} search @returns {Answer | null}
 */
function openingOf(asked, site, about, search) {
  const first = firstState(site, about);
  const same = asked.crop === first.crop && asked.dial === null && !asked.goal
    && isSame(asked.question, first.question);
  if (!same) return null;
  const { ids, distances, notes, rarities } = site.first.answers[asked.network];
  const { metric, unit } = /** @type {Descriptors} */ (site.descriptors.find(
    (one) => one.network === asked.network && one.crop === asked.crop)).final;
  const works = ids.map((id, i) => ({
    id, distance: distances[i], group: "", duplicates: 0,
    rarity: rarities[i] && { share: rarities[i][0], by_chance: rarities[i][1] },
  }));
  return { works, notes, metric, unit, cut: whereCut(works, false), ...search.placesOf(asked) };
}

/** @param {string} id @param {Site} site @returns {Work | undefined} */
function workOf(id, site) {
  return site.works[site.rows.get(id) ?? -1] ?? site.own.get(id);
}

/** A page of the drawer. @param {Drawer} drawer @param {Site} site @returns {Drawn} */
function drawFrom(drawer, site) {
  const found = matches(drawer, site);
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  const page = Math.max(0, Math.min(pages - 1, drawer.page));
  const works = found.slice(PAGE * page, PAGE * (page + 1)).map((row) => site.works[row].id);
  return { works, page, pages, matches: found.length };
}

/**
 * The rows of the drawer: all in random order, or those whose caption has every word searched.
 * @param {Drawer} drawer @param {Site} site
 */
function matches({ search, seed, machine_made: all }, site) {
  const words = fold(search).split(" ").filter(Boolean);
  const has = (/** @type {number} */ row) => words.every((/** @type {string} */ word) => site.folded[row].includes(word));
  const found = words.length ? [...site.works.keys()].filter(has) : orderOf(seed, site);
  return all ? found : found.filter((row) => !site.works[row][MACHINE]);
}

/** All rows in an order drawn at random, a machine's last; the same one for the same seed. */
function orderOf(/** @type {number} */ seed, /** @type {Site} */ site) {
  if (!site.order[seed]) {
    const rows = [...site.works.keys()];
    const random = randomNumbers(seed);
    for (let i = rows.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    const last = (/** @type {number} */ row) => Number(Boolean(site.works[row][MACHINE]));
    site.order = { [seed]: rows.sort((a, b) => last(a) - last(b)) }; // a sort that is stable
  }
  return site.order[seed];
}

/** mulberry32: Math.random takes no seed. @param {number} seed */
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// ---- address ----------------------------------------------------------------------------------

/** Write a state as `#like=…&…`. Works are named by id: a link survives a rebuild. */
function toAddress(/** @type {State} */ state) {
  const { history, position, compare, time } = state;
  const parts = [linkTo(state).slice(1)];
  const put = (/** @type {string} */ name, /** @type {string[]} */ ids) => (
    ids.length ? parts.push(`${name}=${ids.map(encodeURIComponent).join(",")}`) : 0);
  if (compare) parts.push("compare=1");
  if (time) parts.push("time=1");
  put("back", history.slice(0, position));
  put("forward", history.slice(position + 1));
  return `#${parts.join("&")}`;
}

/**
 * Read an address; what it names and this site does not have is left out, and said in `error`.
 * @param {string} hash @param {State} state @param {Site} site
 * @returns {{state: State, error: string}}
 */
function fromAddress(hash, state, site) {
  const about = aboutOf(site);
  const first = firstState(site, about);
  /** @type {Map<string, string[]>} */
  const own = new Map(); // the words that only this page knows
  const parts = hash.slice(1).split("&").filter(
    (part) => part && !OTHERS.some((one) => part.startsWith(one)));
  const rest = parts.filter((part) => {
    const [name, ...value] = part.split("=");
    if (!["compare", "time", "back", "forward", "work"].includes(name)) return true;
    own.set(name, value.join("=").split(",").filter(Boolean).map(decode));
    return false;
  });
  // Pages of an earlier version named the selected work so.
  for (const id of own.get("work") ?? []) rest.unshift(`like=${encodeURIComponent(id)}`);
  if (!rest.some((part) => /^(like|words)=/.test(part))) {
    rest.unshift(`like=${encodeURIComponent(site.first.id)}`);
  }
  if (!rest.some((part) => part.startsWith("k="))) rest.push(`k=${first.question.k}`);
  /** @type {string[]} */
  const missing = [];
  const known = (/** @type {string} */ id) => (
    site.rows.has(id) || site.own.has(id) || !missing.push(id));
  try {
    let { question, view } = readLink(`?${rest.join("&")}`);
    const here = (/** @type {Weighed[]} */ pairs) => pairs.filter(([id]) => known(id));
    const positive = here(question.positive);
    question = makeQuestion({
      ...question, negative: here(question.negative), exclude: question.exclude.filter(known),
      positive: positive.length ? positive : first.question.positive,
      k: Math.min(question.k, first.question.k && Math.max(1, site.k)),
      machine_made: !site.has_both || (parts.length > 0 && question.machine_made),
      region: site.looks.length ? question.region : null,
    });
    const choice = (
      /** @type {"network" | "crop"} */ name, /** @type {{name: string}[]} */ list,
    ) => {
      const value = view[name] ?? first[name];
      if (list.some(isNamed(value))) return value;
      missing.push(value);
      return first[name];
    };
    const isDial = view.dial === undefined
      || (about.dial && view.dial >= 0 && view.dial <= 1) || !missing.push(String(view.dial));
    const [past, after] = ["back", "forward"].map((name) => (own.get(name) ?? []).filter(known));
    const before = past.slice(1 - HISTORY);
    const goal = view.goal && known(view.goal) ? view.goal : "";
    const compared = own.get("compare")?.[0] === "1" || !parts.length;
    return {
      state: {
        ...state, question, goal, network: choice("network", site.networks),
        crop: choice("crop", site.crops),
        dial: isDial && view.dial !== undefined ? Math.round(100 * view.dial) / 100 : null,
        compare: compared && site.networks.length > 1, time: own.get("time")?.[0] === "1",
        history: [...before, question.positive[0][0], ...after].slice(0, HISTORY),
        position: before.length,
      },
      error: missing.length ? sorry(missing) : "",
    };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { state: { ...first }, error: `This link cannot be opened: ${error.message}` };
  }
}

/** @param {string[]} missing */
function sorry(missing) {
  const names = missing.slice(0, 3).map((name) => `“${name}”`).join(", ");
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  return `This link names ${names}${more}, which this page does not have (any more). `
    + "Choose a work in the drawer below.";
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a per cent sign that somebody typed
  }
}

// ---- the page ---------------------------------------------------------------------------------

/** @param {HTMLElement} root */
async function start(root) {
  const site = await load("works").then(readWorks);
  const answerer = createAnswerer(site, (text) => gallery.say(text));
  const opening = firstState(site, answerer.about);
  const first = fromAddress(location.hash || location.search, opening, site);
  answerer.note = sessionKept(site) ?? answerer.note;
  const walk = createWalk(answerer, opening);
  const gallery = createGallery(root, act, show);
  /** @type {What} */
  let done = {}; // what the visitor did last
  let waiting = 0; // for the address of a dial that is being turned
  let followed = 0; // how often the address has changed by itself
  await walk.act({ do: "move", state: first.state });
  const trouble = walk.error;
  if (trouble) await walk.act({ do: "move", state: opening });
  walk.error = walk.error || trouble || first.error;
  if (!walk.error) location.replace(toAddress(walk.state));
  window.addEventListener("hashchange", follow);
  window.addEventListener("storage", share);
  draw();

  /** @param {What} what */
  async function act(what) {
    const before = followed;
    await walk.act(what);
    clearTimeout(waiting);
    // Who went back while the answer was awaited stays there.
    if (before !== followed) return draw();
    // A new address is a new entry in the browser's history; its back and forward come to follow.
    // All the turning of a dial is one entry, written when the hand rests: browsers allow few.
    if ("dial" in what && "dial" in done) waiting = setTimeout(write, 150, true);
    else write(false);
    done = what;
    draw();
  }

  /** @param {boolean} anew */
  function write(anew) {
    const address = toAddress(walk.state);
    if (location.hash === address) return;
    if (anew) location.replace(address);
    else location.hash = address;
  }

  async function follow() {
    if (location.hash === toAddress(walk.state)) return;
    followed += 1;
    clearTimeout(waiting);
    const { state, error } = fromAddress(location.hash, walk.state, site);
    done = {};
    await walk.act({ do: "move", state });
    walk.error = walk.error || error;
    draw();
  }

  /** Another tab of this page has a step more, or a work kept. @param {StorageEvent} event */
  function share({ key }) {
    if (key !== shelfOf(site.origin)) return;
    answerer.note = sessionKept(site) ?? answerer.note;
    draw();
  }

  function draw() {
    const trouble = keepSession(answerer.note, site);
    gallery.update({ ...walk.view(), error: walk.error || trouble });
  }
}

/** @param {HTMLImageElement} image @param {string} address */
function show(image, address) {
  if (image.getAttribute("src") !== address) image.src = address;
}

/** The name by which a browser keeps the session of a collection. @param {Origin} origin */
function shelfOf({ fingerprint }) {
  return `${SESSION.format} ${fingerprint}`;
}

/** The session that this browser has kept, if it has. @param {Site} site @returns {Session | null} */
function sessionKept({ origin }) {
  try {
    const text = localStorage.getItem(shelfOf(origin));
    return text ? readSession(text) : null;
  } catch {
    return null; // a browser that keeps nothing, or what an older page has left
  }
}

let toldOfShelf = false;

/**
 * Keep the session in this browser; what is to be said where that cannot be, once.
 * @param {Session} session @param {Site} site
 */
function keepSession(session, { origin }) {
  try {
    localStorage.setItem(shelfOf(origin), JSON.stringify(session));
    return "";
  } catch {
    const told = toldOfShelf;
    toldOfShelf = true;
    return told ? "" : "This browser keeps no session of this page any more: save it before you leave.";
  }
}

/** @param {Session} session */
function saveSession(session) {
  const text = JSON.stringify(session, null, 1);
  saveFile("session.json", new Blob([text], { type: "application/json" }));
}

/**
 * @param {Session} session @param {Site} site @param {Picture} picture
 * @param {(text: string) => void} say
 */
async function savePage(session, site, picture, say) {
  say("Making the page of the session …");
  const { page } = await load("session");
  const text = await pageOf(session, site, page, site.parts ? picture : null);
  saveFile("session.html", new Blob([text], { type: "text/html" }));
}

/** @param {string} name @param {string} text */
function saveCsv(name, text) {
  // The byte order mark tells Excel that the file is UTF-8.
  saveFile(name, new Blob(["\ufeff", text], { type: "text/csv" }));
}

/**
 * Save what is shown as a CSV file, with the columns of `tabulate` in artsearch/gallery/view.py.
 * @param {Walk} walk @param {Site} site
 */
function saveTable({ state, answers, works: told }, site) {
  const { question, history, position, crop, dial } = state;
  const both = site.has_both;
  const rated = [...answers.values()].some(({ works }) => works.some(({ rarity }) => rarity));
  const head = [
    "query", "network", "crop", "dial", ...(both ? ["left_out"] : []), "rank", "distance",
    ...(rated ? ["rarity", "share"] : []), ...(question.group_by ? ["group"] : []),
    "id", "caption", ...EXPORTED, ...(both ? [MACHINE] : []),
  ];
  const lines = [...answers].flatMap(([network, { works }]) => works.map((one, i) => {
    const about = {
      ...told.get(one.id), query: history[position], network, crop, dial: dial ?? "",
      left_out: question.machine_made ? "" : MACHINE, rank: i + 1, distance: one.distance,
      rarity: one.rarity ? rarityWord(one.rarity) : "", share: one.rarity?.share ?? "",
      group: one.group,
    };
    return head.map((name) => disarm(/** @type {Work} */ (about)[name]));
  }));
  const text = [head, ...lines].map((line) => `${line.map(cell).join(",")}\n`).join("");
  saveCsv("similar-works.csv", text);
}

/** A text that a spreadsheet does not take for a formula. @param {string | number} value */
function disarm(value) {
  const formula = isText(value) && /^[=+\-@\t\r]/.test(value) && !/^[-+]?\p{Nd}+(?:[.,]\p{Nd}+)?$/u.test(value);
  return formula ? `'${value}` : value;
}

/** @param {string | number} value */
function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const root = globalThis.document?.getElementById("gallery"); // tests may have none
if (root) {
  start(root).catch((error) => {
    const old = typeof DecompressionStream === "undefined";
    root.textContent = old
      ? "This page needs a browser of 2023 or later."
      : `This page cannot show its works: ${error.message}.`;
  });
}
