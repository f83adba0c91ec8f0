// The static demo: answers computed beforehand, put into the gallery of gallery.js.
//
// Three parts: data, which comes as <script> elements since a page from file:// can load nothing
// else; the state, changed by pure functions; and the address, in which the state is written.

const SAID = ["artist", "title", "year", "style"]; // what a caption says, and the drawer searches
const WORDS = [...SAID, "licence", "source"];
const MACHINE = "machine_made"; // the column of what made a work, where a machine did
const PAGE = 24; // works on a page of the drawer
const HISTORY = 50; // works that are remembered, so that links stay short enough to send

// ---- data -------------------------------------------------------------------------------------

const arrivals = new Map(); // name of a data file → what to do when it calls receive

/** Called by the files in data/. */
function receive(name, data) {
  arrivals.get(name)(data);
}

/** Load data/NAME.js and return what it holds. */
function load(name) {
  return new Promise((resolve, reject) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = `data/${encodeURIComponent(name)}.js`;
    script.onerror = () => {
      script.remove();
      reject(new Error(`data/${name}.js cannot be loaded; is the folder of this page complete?`));
    };
    document.head.append(script);
  });
}

/** Return the bytes of a text made by _pack in site.py: deflated, then in base 64. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/** Make of data/works.js what the state needs: the works as objects, and their rows by id. */
async function readWorks(data) {
  const columns = JSON.parse(new TextDecoder().decode(await unpack(data.works)));
  const works = columns.id.map((id, row) => {
    const work = { id, width: columns.width[row], height: columns.height[row] };
    for (const name of [...WORDS, MACHINE]) work[name] = columns[name]?.[row] || "";
    const by = work[MACHINE] && "made by a machine";
    work.caption = [...SAID.map((name) => oneLine(work[name])), by].filter(Boolean).join(", ");
    const picture = columns.picture.slice(12 * row, 12 * row + 12);
    const file = `${picture.slice(0, 2)}/${picture}.jpg`;
    const [thumb, image] = [`thumbs/${file}`, `${data.images ? "images" : "thumbs"}/${file}`];
    return { ...work, alt: work.caption, thumb, image };
  });
  const byHand = [...works.keys()].filter((row) => !works[row][MACHINE]);
  return {
    ...data, works, byHand, rows: new Map(works.map((work, row) => [work.id, row])),
    folded: works.map((work) => fold(SAID.map((name) => work[name]).join(" "))),
    order: {}, loaded: new Map(),
  };
}

/**
 * Make of what pack_answers packed a function from a row to its neighbours, nearest first; where
 * these are numbered by a list of rows, `rows` is that list.
 */
async function readAnswers({ k, digits, low, packed }, rows = null) {
  const bytes = await unpack(packed);
  const plane = bytes.length / 5;
  const count = plane / k;
  return (row) => {
    let units = low;
    return Array.from({ length: k }, (_, rank) => {
      const at = rank * count + row;
      units += bytes[at + 3 * plane] + 256 * bytes[at + 4 * plane];
      const distance = units / 10 ** digits;
      const number = bytes[at] + 256 * bytes[at + plane] + 65536 * bytes[at + 2 * plane];
      const found = rows ? rows[number] : number;
      return { row: found, distance, distance_text: distanceText(distance, digits) };
    });
  };
}

/** Write a distance as distance_text in wording.py does, with the digits that are kept. */
function distanceText(distance, digits) {
  const shown = Math.max(0, digits);
  const exactly = { minimumFractionDigits: shown, maximumFractionDigits: shown };
  return distance.toLocaleString("en-US", exactly);
}

// ---- state ------------------------------------------------------------------------------------

/** The state of a page that is opened without a link: networks side by side, no machine's works. */
function firstState(site) {
  return {
    network: site.networks[0].name, crop: site.crop, k: Math.min(10, site.k), dial: null,
    compare: site.networks.length > 1, machine_made: !site.by_hand,
    history: [site.first], position: 0, search: "", page: 0, seed: 0, error: "",
  };
}

/** The state after something the visitor did; states are never changed in place. */
function reduce(state, what, site) {
  const next = { ...state, error: "" };
  const last = state.history.length - 1;
  switch (what.do) {
    case "select": return { ...next, ...walk(state, what.id) };
    case "back": return { ...next, position: Math.max(0, state.position - 1) };
    case "forward": return { ...next, position: Math.min(last, state.position + 1) };
    case "go_to": return { ...next, position: Math.max(0, Math.min(last, what.position)) };
    case "refresh": return { ...next, seed: state.seed + 1, search: "", page: 0 };
    case "change": return { ...next, ...complete(what, state, site) };
    default: return state;
  }
}

/** Choices with what follows from them, as GalleryState.change has it. */
function complete({ do: _, ...choices }, state, site) {
  const next = { ...choices };
  if ("network" in choices) next.compare = false;
  if ("compare" in choices) next.compare = choices.compare && site.networks.length > 1;
  if ("k" in choices) next.k = Math.max(1, Math.min(site.k, choices.k));
  if ("dial" in choices && !site.dial) next.dial = null;
  if ("machine_made" in choices) next.machine_made = choices.machine_made || !site.by_hand;
  if ("page" in choices) next.page = Math.max(0, Math.min(pages(state, site) - 1, choices.page));
  if ("machine_made" in choices || "search" in choices) next.page = 0;
  return next;
}

/** The history after a work was chosen: what lay ahead is forgotten. */
function walk({ history, position }, id) {
  if (history[position] === id) return {};
  const walked = [...history.slice(0, position + 1), id].slice(-HISTORY);
  return { history: walked, position: walked.length - 1 };
}

/** What the gallery shows; `answers` maps the networks shown to functions of readAnswers. */
function viewOf(state, site, answers) {
  const choices = (list, name) => list.map((one) => ({ ...one, selected: one.name === name }));
  return {
    sentence: "", // stands in the page itself
    error: state.error, unit: state.dial === null ? site.unit : site.dial.unit,
    dial: { available: Boolean(site.dial), stops: site.dial?.stops, alpha: state.dial },
    networks: choices(site.networks, state.network), crops: choices(site.crops, state.crop),
    k: state.k, k_max: site.k, compare: state.compare, can_upload: false,
    machine_made: {
      available: Boolean(site.by_hand), shown: state.machine_made,
      count: site.works.length - site.byHand.length,
    },
    query: workOf(state.history[state.position], site) || null,
    rows: rowsOf(state, site, answers),
    drawer: drawerOf(state, site),
    history: { works: state.history.map((id) => workOf(id, site)), position: state.position },
  };
}

function workOf(id, site) {
  return site.works[site.rows.get(id)];
}

function rowsOf({ history, position, network, compare, k }, site, answers) {
  const query = site.rows.get(history[position]);
  if (query === undefined || !site.k) return [];
  return site.networks.filter(({ name }) => compare || name === network).map((one) => {
    const found = answers.get(one.name)?.(query).slice(0, k) || [];
    const works = found.map(({ row, ...far }) => ({ ...site.works[row], ...far }));
    return { network: one.name, title: one.title, works };
  });
}

function drawerOf(state, site) {
  const found = matches(state, site);
  const works = found.slice(PAGE * state.page, PAGE * (state.page + 1));
  return {
    works: works.map((row) => site.works[row]), search: state.search, page: state.page,
    pages: pages(state, site), matches: found.length,
  };
}

function pages(state, site) {
  return Math.max(1, Math.ceil(matches(state, site).length / PAGE));
}

/** The rows of the drawer: all in random order, or those whose caption has every word searched. */
function matches({ search, seed, machine_made: all }, site) {
  const words = oneLine(fold(search)).split(" ").filter(Boolean);
  const has = (row) => words.every((word) => site.folded[row].includes(word));
  const found = words.length ? [...site.works.keys()].filter(has) : order(seed, site);
  return all ? found : found.filter((row) => !site.works[row][MACHINE]);
}

/** All rows in an order drawn at random, a machine's last; the same one for the same seed. */
function order(seed, site) {
  if (!site.order[seed]) {
    const rows = [...site.works.keys()];
    const random = randomNumbers(seed);
    for (let i = rows.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    const last = (row) => Number(Boolean(site.works[row][MACHINE]));
    site.order = { [seed]: rows.sort((a, b) => last(a) - last(b)) }; // a sort that is stable
  }
  return site.order[seed];
}

/** mulberry32: Math.random takes no seed. */
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function oneLine(text) {
  return text.replace(/\s+/g, " ").trim();
}

function isNamed(name) {
  return (one) => one.name === name;
}

// ---- address ----------------------------------------------------------------------------------

/** Write a state as `#work=…&network=…&…`. Works are named by id: a link survives a rebuild. */
function toAddress({ history, position, network, crop, k, dial, compare, machine_made: all }) {
  const parts = [];
  const put = (name, ids) => parts.push(`${name}=${ids.map(encode).join(",")}`);
  if (history.length) put("work", [history[position]]);
  put("network", [network]);
  put("crop", [crop]);
  put("k", [k]);
  if (dial !== null) put("dial", [dial]);
  if (compare) put("compare", [1]);
  if (!all) put("machine", ["no"]);
  if (position > 0) put("back", history.slice(0, position));
  if (position < history.length - 1) put("forward", history.slice(position + 1));
  return `#${parts.join("&")}`;
}

/** Read an address; what it names and this site does not have is left out, and said in `error`. */
function fromAddress(hash, state, site) {
  const asked = parseAddress(hash);
  const first = firstState(site);
  const missing = [];
  const works = (name, otherwise = []) => (asked.get(name) || otherwise).filter(
    (id) => site.rows.has(id) || !missing.push(id));
  const choice = (name, list) => {
    const value = asked.get(name)?.[0] ?? first[name];
    if (list.some(isNamed(value))) return value;
    missing.push(value);
    return first[name];
  };
  const dial = asked.get("dial")?.[0];
  const stop = site.dial?.stops.find((one) => String(one) === dial) ?? null;
  if (dial && stop === null) missing.push(dial);
  const [before, here, after] = [works("back"), works("work", first.history), works("forward")];
  return {
    ...state,
    network: choice("network", site.networks),
    crop: choice("crop", site.crops),
    k: Math.max(1, Math.min(site.k, Math.round(asked.get("k")?.[0]) || first.k)),
    dial: stop,
    compare: (asked.get("compare")?.[0] === "1" || !asked.size) && site.networks.length > 1,
    // A link that says nothing of them is one to a view with all works.
    machine_made: !site.by_hand || (asked.size > 0 && asked.get("machine")?.[0] !== "no"),
    history: here.length ? [...before, here[0], ...after] : before,
    position: before.length,
    error: missing.length ? sorry(missing) : "",
  };
}

/** Split `#name=value,value&…` into a map of lists. */
function parseAddress(hash) {
  const parts = hash.slice(1).split("&").filter(Boolean).map((part) => {
    const [name, ...value] = part.split("=");
    return [name, value.join("=").split(",").filter(Boolean).map(decode)];
  });
  return new Map(parts);
}

function sorry(missing) {
  const names = missing.slice(0, 3).map((name) => `“${name}”`).join(", ");
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  return `This link names ${names}${more}, which this page does not have (any more). ` +
    "Choose a work in the drawer below.";
}

function encode(text) {
  return encodeURIComponent(text).replaceAll("%2F", "/");
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a per cent sign that somebody typed
  }
}

// ---- the page ---------------------------------------------------------------------------------

async function start() {
  const site = await load("works").then(readWorks);
  const gallery = createGallery(document.getElementById("gallery"), act, show);
  let state = fromAddress(location.hash, firstState(site), site);
  let done = {}; // what the visitor did last
  if (!state.error) location.replace(toAddress(state));
  window.addEventListener("hashchange", follow);
  await draw();

  function act(what) {
    if (what.do === "export") return saveTable(state, site).then(draw, draw);
    state = reduce(state, what, site);
    const address = toAddress(state);
    // A new address is a new entry in the browser's history; its back and forward come to follow.
    // A drag of the dial over several stops is one entry.
    if ("dial" in what && "dial" in done) location.replace(address);
    else if (location.hash !== address) location.hash = address;
    done = what;
    return draw();
  }

  function follow() {
    if (location.hash === toAddress(state)) return;
    state = fromAddress(location.hash, state, site);
    done = {};
    draw();
  }

  async function draw() {
    const drawn = state;
    const view = await answersFor(drawn, site).then(
      (answers) => viewOf(drawn, site, answers),
      (error) => viewOf({ ...drawn, error: error.message }, site, new Map()),
    );
    if (state === drawn) gallery.update(view); // else the visitor is already further
  }
}

/** Load the answers that a state shows, each file once; return them by network. */
async function answersFor({ network, crop, dial, compare, machine_made: all }, site) {
  const wanted = site.answers.filter(([name, of, alpha]) => (
    of === crop && alpha === dial && (compare || name === network)));
  const loaded = wanted.map(async ([name, , , answers]) => {
    const file = all ? answers : answers + site.by_hand;
    if (!site.loaded.has(file)) {
      const read = (data) => readAnswers(data, all ? null : site.byHand);
      site.loaded.set(file, load(file).then(read));
    }
    try {
      return [name, await site.loaded.get(file)];
    } catch (error) {
      site.loaded.delete(file); // the next click tries again
      throw error;
    }
  });
  return new Map(await Promise.all(loaded));
}

function show(image, address) {
  if (image.getAttribute("src") !== address) image.src = address;
}

/** Save what is shown as a CSV file, with the columns of GalleryState.to_csv. */
async function saveTable(state, site) {
  const { query, rows } = viewOf(state, site, await answersFor(state, site));
  if (!query) return;
  const more = site.by_hand ? [MACHINE] : [];
  const columns = ["id", "caption", ...WORDS, ...more];
  const lines = rows.flatMap(({ network, works }) => works.map((work, i) => [
    ...[query.id, network, state.crop].map(disarm), state.dial ?? "",
    ...more.map(() => (state.machine_made ? "" : MACHINE)), i + 1, work.distance,
    ...columns.map((name) => disarm(work[name])),
  ]));
  const asked = ["query", "network", "crop", "dial", ...more.map(() => "left_out")];
  lines.unshift([...asked, "rank", "distance", ...columns]);
  const text = lines.map((line) => `${line.map(cell).join(",")}\n`).join("");
  // The byte order mark tells Excel that the file is UTF-8.
  saveFile("similar-works.csv", new Blob(["\ufeff", text], { type: "text/csv" }));
}

/** A text that a spreadsheet does not take for a formula. */
function disarm(text) {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined";
  document.getElementById("gallery").textContent = old
    ? "This page needs a browser of 2023 or later."
    : `This page cannot show its works: ${error.message}.`;
});
