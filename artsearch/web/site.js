// The static demo: answers computed beforehand, put into the gallery of gallery.js.
//
// Three parts: data, which comes as <script> elements since a page from file:// can load nothing
// else; the state, changed by pure functions; and the address, in which the state is written.

const PAGE = 24; // works on a page of the drawer
const TRAIL = 50; // works that the trail remembers, so that links stay short enough to send

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

/** Return the bytes of a text made by _pack in site.py: base64 of deflated bytes. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Make what the state needs of data/works.js: the works as objects, their rows by id. */
async function readWorks(data) {
  const columns = JSON.parse(new TextDecoder().decode(await unpack(data.works)));
  const works = columns.id.map((id, row) => {
    const say = (column) => columns[column][row] || "";
    const name = columns.picture.slice(12 * row, 12 * row + 12);
    const thumb = `thumbs/${name.slice(0, 2)}/${name}.jpg`;
    const caption = ["artist", "title", "year", "style"].map(say).filter(Boolean).join(", ");
    return {
      id, caption, thumb, alt: caption,
      title: say("title"), artist: say("artist"), year: say("year"), style: say("style"),
      licence: say("licence"), source: say("source"),
      image: data.images ? thumb.replace("thumbs", "images") : thumb,
      width: columns.width[row], height: columns.height[row],
    };
  });
  const rows = new Map(works.map((work, row) => [work.id, row]));
  return {
    ...data, works, rows, words: works.map((work) => fold(work.caption)), order: {},
    loaded: new Map(),
  };
}

/** Make a function from a row to its neighbours, nearest first, of what pack_answers packed. */
async function readAnswers({ k, digits, low, packed }) {
  const bytes = await unpack(packed);
  const plane = bytes.length / 5;
  const count = k ? plane / k : 0;
  return (row) => {
    let units = low;
    return Array.from({ length: k }, (_, rank) => {
      const at = rank * count + row;
      units += bytes[at + 3 * plane] + 256 * bytes[at + 4 * plane];
      return {
        row: bytes[at] + 256 * bytes[at + plane] + 65536 * bytes[at + 2 * plane],
        distance: units / 10 ** digits,
        distance_text: (units / 10 ** digits).toFixed(Math.max(0, digits)),
      };
    });
  };
}

// ---- state ------------------------------------------------------------------------------------

/** The state of a page that is opened without a link. */
function firstState(site) {
  const state = {
    network: site.networks[0].name, crop: site.crop, k: Math.min(12, site.k), compare: false,
    trail: [], place: 0, search: "", page: 0, seed: 0, error: "",
  };
  return { ...state, trail: [site.works[order(state.seed, site)[0]].id] };
}

/** The state after something the visitor did; states are never changed in place. */
function reduce(state, what, site) {
  const next = { ...state, error: "" };
  const last = state.trail.length - 1;
  switch (what.do) {
    case "select": return { ...next, ...walk(state, what.id) };
    case "back": return { ...next, place: Math.max(0, state.place - 1) };
    case "forward": return { ...next, place: Math.min(last, state.place + 1) };
    case "go": return { ...next, place: Math.max(0, Math.min(last, what.place)) };
    case "network": return { ...next, network: what.name, compare: false };
    case "crop": return { ...next, crop: what.name };
    case "k": return { ...next, k: Math.max(1, Math.min(site.k, what.k)) };
    case "compare": return { ...next, compare: what.on };
    case "refresh": return { ...next, seed: state.seed + 1, search: "", page: 0 };
    case "search": return { ...next, search: what.text, page: 0 };
    case "page": return { ...next, page: Math.max(0, Math.min(pages(state, site) - 1, what.page)) };
    default: return state;
  }
}

/** The trail after a work was chosen: what lay ahead is forgotten. */
function walk({ trail, place }, id) {
  if (trail[place] === id) return {};
  const walked = [...trail.slice(0, place + 1), id].slice(-TRAIL);
  return { trail: walked, place: walked.length - 1 };
}

/** What the gallery shows; `answers` maps the networks shown to functions of readAnswers. */
function viewOf(state, site, answers) {
  const query = site.rows.get(state.trail[state.place]);
  const shown = state.compare ? site.networks : site.networks.filter(isNamed(state.network));
  const rows = query === undefined ? [] : shown.map(({ name, title }) => {
    const works = (answers.get(name)?.(query) || []).slice(0, state.k);
    return { network: name, title, works: works.map((one) => ({ ...site.works[one.row], ...one })) };
  });
  if (state.compare) markAlone(rows);
  const choose = (list, name) => list.map((one) => ({ ...one, selected: one.name === name }));
  return {
    sentence: "", count: site.works.length, error: state.error, busy: "", unit: site.unit,
    networks: choose(site.networks, state.network), crops: choose(site.crops, state.crop),
    k: state.k, k_max: site.k, compare: state.compare,
    compare_available: site.networks.length > 1, can_upload: false,
    query: query === undefined ? null : site.works[query], rows,
    overlap: state.compare ? overlapOf(rows) : null,
    drawer: drawerOf(state, site),
    trail: {
      back: state.place, forward: Math.max(0, state.trail.length - 1 - state.place),
      works: state.trail.map((id) => site.works[site.rows.get(id)]), place: state.place,
    },
  };
}

/** Mark the works that only one of several rows has. */
function markAlone(rows) {
  const times = new Map();
  for (const { works } of rows) {
    for (const { id } of works) times.set(id, (times.get(id) || 0) + 1);
  }
  for (const { works } of rows) works.forEach((work) => { work.only = times.get(work.id) === 1; });
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
function matches({ search, seed }, site) {
  const words = fold(search).split(/\s+/).filter(Boolean);
  if (!words.length) return order(seed, site);
  const has = (caption) => words.every((word) => caption.includes(word));
  return site.works.map((_, row) => row).filter((row) => has(site.words[row]));
}

/** All rows in an order drawn at random, the same one for the same seed. */
function order(seed, site) {
  if (!site.order[seed]) {
    const rows = site.works.map((_, row) => row);
    const random = randomNumbers(seed);
    for (let i = rows.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    site.order = { [seed]: rows };
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

/** Letters without case and accents: "durer" finds Dürer. */
function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function isNamed(name) {
  return (one) => one.name === name;
}

// ---- address ----------------------------------------------------------------------------------

/** Write a state as `#work=…&network=…&…`. Works are named by id: a link survives a rebuild. */
function toAddress({ trail, place, network, crop, k, compare }) {
  const parts = [];
  const put = (name, ids) => parts.push(`${name}=${ids.map(encode).join(",")}`);
  if (trail.length) put("work", [trail[place]]);
  put("network", [network]);
  put("crop", [crop]);
  put("k", [k]);
  if (compare) put("compare", [1]);
  if (place > 0) put("back", trail.slice(0, place));
  if (place < trail.length - 1) put("forward", trail.slice(place + 1));
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
  const [before, here, after] = [works("back"), works("work", first.trail), works("forward")];
  return {
    ...state,
    network: choice("network", site.networks),
    crop: choice("crop", site.crops),
    k: Math.max(1, Math.min(site.k, Math.round(asked.get("k")?.[0]) || first.k)),
    compare: asked.get("compare")?.[0] === "1" && site.networks.length > 1,
    trail: here.length ? [...before, here[0], ...after] : before,
    place: before.length,
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
  if (!state.error) location.replace(toAddress(state));
  window.addEventListener("hashchange", follow);
  await draw();

  function act(what) {
    if (what.do === "export") return saveTable(state, site);
    state = reduce(state, what, site);
    // A new address is a new entry in the browser's history; its back and forward come to follow.
    if (location.hash !== toAddress(state)) location.hash = toAddress(state);
    return draw();
  }

  function follow() {
    if (location.hash === toAddress(state)) return;
    state = fromAddress(location.hash, state, site);
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
async function answersFor({ network, crop, compare }, site) {
  const wanted = site.answers.filter(([name, of]) => of === crop && (compare || name === network));
  const loaded = wanted.map(async ([name, , file]) => {
    if (!site.loaded.has(file)) site.loaded.set(file, load(file).then(readAnswers));
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

/** Save what is shown as a CSV file. */
async function saveTable(state, site) {
  const { query, rows } = viewOf(state, site, await answersFor(state, site));
  if (!query) return;
  const columns = ["id", "artist", "title", "year", "style", "licence", "source"];
  const lines = [["query", "network", "crop", "rank", "distance", ...columns]];
  for (const { network, works } of rows) {
    works.forEach((work, i) => lines.push([
      query.id, network, state.crop, i + 1, work.distance_text, ...columns.map((name) => work[name]),
    ]));
  }
  const text = lines.map((line) => line.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  // The byte order mark tells Excel that the file is UTF-8.
  link.href = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }));
  link.download = "similar-works.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
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
