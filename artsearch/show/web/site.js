// @ts-check
// The static page: the gallery of gallery.js and ask.js with the answerer of answer.js, no server.
//
// Four parts: data, which comes as <script> elements since a page from file:// can load nothing else;
// the state, changed by pure functions as Moment and GalleryState of artsearch/gallery change theirs;
// what the gallery shows of it; and the address, in which the state is written.

/**
 * @typedef {Object} State all that the visitor has chosen
 * @property {string} network
 * @property {string} crop
 * @property {Question} question the selected work is the first of its positive ones
 * @property {string[]} history
 * @property {number} position
 * @property {number | null} dial
 * @property {boolean} compare
 * @property {string} goal the work to which stepping stones lead, or ""
 * @property {string} search of the drawer, as are the next two
 * @property {number} page
 * @property {number} seed
 *
 * @typedef {Record<string, any>} What something that the visitor does, see gallery.js and ask.js
 * @typedef {Record<string, any>} Work
 * @typedef {Map<string, Answer>} Answers by network
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
const SAME_ARTIST = ["artist", "series"]; // what a visitor may want to leave out
const PAGE = 24; // works on a page of the drawer
const HISTORY = 50; // works that are remembered, so that links stay short enough to send
const LACKS = ["why", "html", "csv"]; // what ask.js can show and this page cannot do
/** @type {string[]} what cannot be asked of a path: where it is asked, the path ends */
const NO_PATH = ["group_by", "region", "positive", "negative", "words", "negative_words"];
/** @type {(keyof State)[]} what of a state is no part of its question */
const OF_STATE = ["network", "crop", "dial", "compare", "goal", "search", "page"];

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
  const works = columns.id.map((/** @type {string} */ id, /** @type {number} */ row) => {
    /** @type {Work} */
    const work = { id, width: columns.width[row], height: columns.height[row] };
    for (const name of [...EXPORTED, MACHINE]) work[name] = columns[name]?.[row] || "";
    const by = work[MACHINE] && "made by a machine";
    work.caption = [...SAID.map((name) => tidyBlanks(work[name])), by].filter(Boolean).join(", ");
    const picture = columns.picture.slice(12 * row, 12 * row + 12);
    const file = `${picture.slice(0, 2)}/${picture}.jpg`;
    const [thumb, image] = [`thumbs/${file}`, `${data.images ? "images" : "thumbs"}/${file}`];
    return { ...work, alt: work.caption, thumb, image, picture };
  });
  return {
    ...data, works, ids: columns.id, texts: columns, machine_made: columns[MACHINE] ?? [],
    rows: new Map(works.map((/** @type {Work} */ work, /** @type {number} */ row) => [work.id, row])),
    folded: works.map((/** @type {Work} */ work) => fold(SAID.map((name) => work[name]).join(" "))),
    order: {}, own: new Map(),
  };
}

// ---- state ------------------------------------------------------------------------------------

/** What is asked where nothing but the nearest works is. @param {State} state @returns {Question} */
function plainOf({ history, position, question: { k, machine_made } }) {
  return makeQuestion({ positive: [[history[position], 1]], k, machine_made });
}

/** The state of a page that is opened without a link. @param {Site} site @returns {State} */
function firstState(site) {
  const { id } = site.first;
  return {
    network: site.networks[0].name, crop: site.crop, dial: null, compare: site.networks.length > 1,
    question: makeQuestion({
      positive: [[id, 1]], k: Math.max(1, Math.min(10, site.k)), machine_made: !site.has_both,
    }),
    history: [id], position: 0, goal: "", search: "", page: 0, seed: 0,
  };
}

/**
 * The state after something the visitor did; states are never changed in place.
 * @param {State} state @param {What} what @param {Site} site @returns {State}
 */
function reduce(state, what, site) {
  const { positive, exclude } = state.question;
  const query = state.history[state.position];
  const one = /** @type {Weighed} */ ([what.id, what.weight ?? 1]);
  switch (what.do) {
    case "select": return what.id === query ? state : select(state, what.id);
    case "back": return goTo(state, state.position - 1);
    case "forward": return goTo(state, state.position + 1);
    case "go_to": return goTo(state, what.position);
    case "refresh": return { ...state, seed: state.seed + 1, search: "", page: 0 };
    case "change": return change(state, what, site);
    case "clear": return { ...state, question: plainOf(state), goal: "" };
    case "like": {
      const rest = without(state, what.id);
      const liked = what.id === query ? [one, ...positive.slice(1)] : [...rest.positive, one];
      return change(state, { ...rest, positive: liked }, site);
    }
    case "unlike": {
      if (what.id === query) {
        throw new Refusal("The selected work is what is asked for; select another one first.");
      }
      const rest = without(state, what.id);
      return change(state, { ...rest, negative: [...rest.negative, one] }, site);
    }
    case "exclude":
      return change(state, { exclude: [...exclude.filter((id) => id !== what.id), what.id] }, site);
    case "drop": return change(state, { ...without(state, what.id), goal: state.goal }, site);
    default: return state;
  }
}

/** What is asked of works without one of them; the selected one stays. */
function without(/** @type {State} */ { question, history, position }, /** @type {string} */ work) {
  const stays = (/** @type {Weighed} */ [id]) => id !== work || work === history[position];
  return {
    positive: question.positive.filter(stays), negative: question.negative.filter(stays),
    exclude: question.exclude.filter((id) => id !== work),
  };
}

/** Other choices, with what follows from them. @param {State} state @param {What} choices @param {Site} site */
function change(state, { do: _, ...choices }, site) {
  if ("k" in choices && !(choices.k >= 1 && choices.k <= site.k)) {
    throw new Refusal(`k is ${choices.k}; take 1 to ${site.k}`);
  }
  const named = Object.keys(choices);
  const follows = {
    ...("network" in choices ? { compare: false } : {}),
    ...(named.some((name) => NO_PATH.includes(name)) ? { goal: "" } : {}),
    ...("search" in choices || "machine_made" in choices ? { page: 0 } : {}),
  };
  /** @type {Record<string, any>} */
  const all = { ...follows, ...choices };
  if ("compare" in all) all.compare = Boolean(all.compare) && site.networks.length > 1;
  if ("machine_made" in all) all.machine_made = Boolean(all.machine_made) || !site.has_both;
  if (all.page) all.page = Math.max(0, Math.min(pages(state, site) - 1, all.page));
  if (isNumber(all.dial)) all.dial = Math.round(100 * all.dial) / 100;
  const split = (/** @type {boolean} */ own) => Object.fromEntries(Object.entries(all).filter(
    ([name]) => OF_STATE.includes(/** @type {keyof State} */ (name)) === own));
  return { ...state, ...split(true), question: makeQuestion({ ...state.question, ...split(false) }) };
}

/** The state in which another work is selected; what lay ahead is forgotten. */
function select(/** @type {State} */ state, /** @type {string} */ id) {
  const history = [...state.history.slice(0, state.position + 1), id].slice(-HISTORY);
  return goTo({ ...state, history }, history.length - 1);
}

/**
 * The state at a place of the history; what was asked about the work before is forgotten, what was
 * asked of the answers is not.
 * @param {State} state @param {number} to @returns {State}
 */
function goTo(state, to) {
  const position = Math.max(0, Math.min(to, state.history.length - 1));
  const question = makeQuestion({
    ...state.question, positive: [[state.history[position], 1]], words: [], negative: [],
    negative_words: [], region: null,
  });
  return { ...state, position, question, goal: "" };
}

/** What of a state its answers depend on. @param {State} state */
function depends({ network, crop, dial, compare, goal, question }) {
  return JSON.stringify([network, crop, dial, compare, goal, question]);
}

/**
 * A walk through the page: `act` does what the visitor does, one after the other, and what goes wrong
 * is a sentence in `error` while all else stays as it was. `say` is told what takes time.
 * @param {Site} site @param {State} start @param {(text: string) => void} [say]
 */
function createWalk(site, start, say = () => {}) {
  const eyes = createEyes(site, load, say);
  const answerer = createAnswerer(site, load, eyes.look);
  const isWork = (/** @type {string} */ id) => site.rows.has(id);
  const walk = {
    answerer, state: start, session: newSession(site.origin), error: "",
    /** @type {Answers} */ answers: new Map(),
    act, view: () => viewOf(walk, site),
  };
  /** @type {Promise<void>} */
  let last = Promise.resolve();
  return walk;

  /** @param {What} what @returns {Promise<void>} */
  function act(what) {
    last = last.then(() => step(what)).catch((error) => {
      walk.error = error.message;
    });
    return last;
  }

  /** @param {What} what */
  async function step(what) {
    walk.error = "";
    if (what.do === "move") return move(what.state, true);
    if (what.do === "keep") return keep(what.id, what.on);
    if (what.do === "open") return open(what.text);
    if (what.do === "upload") return upload(what.file);
    return move(reduce(walk.state, what, site));
  }

  /** Go on to a later state, where it can be had. @param {State} later @param {boolean} [anew] */
  async function move(later, anew = false) {
    checkPlace(later, site);
    const same = !anew && depends(later) === depends(walk.state);
    const answers = same ? walk.answers : await ask(later);
    [walk.state, walk.answers] = [later, answers];
    for (const [network, answer] of answers) {
      walk.session = addStep(walk.session, { ...later, network }, answer, isWork);
    }
  }

  /** @param {State} later @returns {Promise<Answers>} */
  async function ask(later) {
    if (!site.k) return new Map();
    const networks = site.networks.filter(({ name }) => later.compare || name === later.network);
    const answers = networks.map(async ({ name }) => /** @type {[string, Answer]} */ (
      [name, openingOf(later, name, site) ?? await answerer.answer({ ...later, network: name })]));
    return new Map(await Promise.all(answers));
  }

  /** Ask by a picture of the visitor's own, and by networks that can look. @param {File} file */
  async function upload(file) {
    const able = site.looks.map(({ network }) => network);
    const { network, compare } = walk.state;
    const id = await eyes.add(file);
    return move({
      ...select(walk.state, id), network: able.includes(network) ? network : able[0],
      compare: compare && site.networks.every(({ name }) => able.includes(name)),
    });
  }

  /** @param {string} id @param {boolean} on */
  function keep(id, on) {
    if (on && !isWork(id)) throw unknown("work", id, site.ids);
    const { [id]: _, ...kept } = walk.session.kept;
    walk.session = { ...walk.session, kept: on ? { ...kept, [id]: "" } : kept };
  }

  /** Go on with a session that was saved. @param {string} text */
  async function open(text) {
    try {
      walk.session = readSession(text);
    } catch (error) {
      throw new Refusal(`This session cannot be opened: ${/** @type {Error} */ (error).message}`);
    }
    const missing = missingFrom(walk.session, isWork);
    const link = walk.session.steps.map(linkOf).at(-1);
    await (link ? move(openLink(link, walk.state, site)) : Promise.resolve()).catch((error) => {
      walk.error = error.message;
    });
    walk.error = walk.error || missing;
  }
}

/** Refuse a network, a crop or a dial that is not there. @param {State} state @param {Site} site */
function checkPlace({ network, crop, dial }, site) {
  const names = (/** @type {{name: string}[]} */ list) => list.map(({ name }) => name);
  if (!site.networks.some(isNamed(network))) throw unknown("network", network, names(site.networks));
  if (!site.crops.some(isNamed(crop))) throw unknown("crop", crop, names(site.crops));
  if (dial !== null && !hasDial(site)) {
    throw new Refusal(`the dial is ${dial}, but these searches have none; take the network's final `
      + "layer");
  }
  if (dial !== null && !(dial >= 0 && dial <= 1)) {
    throw new Refusal(`the dial is at ${dial}; take a number from 0 (content) to 1 (style)`);
  }
}

/** The place of the dial that was fitted to votes, if any. @param {State} state @param {Site} site */
function yourDial({ network, crop }, site) {
  return site.descriptors.find((one) => one.network === network && one.crop === crop)?.yours ?? null;
}

/** @param {Site} site */
function hasDial(site) {
  return site.descriptors.every(({ dial }) => dial);
}

/**
 * The answer that came with the page, where what it opens on is asked: no rows are loaded for it.
 * @param {State} state @param {string} network @param {Site} site @returns {Answer | null}
 */
function openingOf(state, network, site) {
  const first = firstState(site);
  const same = state.crop === first.crop && state.dial === null && !state.goal
    && isSame(state.question, first.question);
  if (!same) return null;
  const { ids, distances, notes, rarities } = site.first.answers[network];
  const { metric, unit } = /** @type {Descriptors} */ (
    site.descriptors.find((one) => one.network === network && one.crop === state.crop)).final;
  const works = ids.map((id, i) => ({
    row: Number(site.rows.get(id)), id, distance: distances[i], group: "", duplicates: 0,
    rarity: rarities[i] && { share: rarities[i][0], by_chance: rarities[i][1] },
  }));
  return { works, notes, metric, unit };
}

// ---- what there is to see ---------------------------------------------------------------------

/**
 * What the gallery shows, as make_view in artsearch/gallery/view.py has it.
 * @param {ReturnType<typeof createWalk>} walk @param {Site} site
 */
function viewOf({ state, answers, session, error }, site) {
  const choices = (/** @type {{name: string}[]} */ list, /** @type {string} */ name) => (
    list.map((one) => ({ ...one, selected: one.name === name })));
  const machines = site.machine_made.filter(Boolean).length;
  return {
    sentence: "", // stands in the page itself
    error, unit: [...answers.values()][0]?.unit ?? "",
    dial: { available: hasDial(site), alpha: state.dial, yours: yourDial(state, site) },
    networks: choices(site.networks, state.network), crops: choices(site.crops, state.crop),
    k: state.question.k, k_max: site.k, compare: state.compare, can_upload: site.looks.length > 0,
    alone: true, // answers come from the page itself
    machine_made: {
      available: site.has_both, shown: state.question.machine_made, count: machines,
    },
    query: workOf(state.history[state.position], site) ?? null,
    rows: [...answers].map(([network, { works }]) => ({
      network, title: site.networks.find(isNamed(network))?.title,
      cut: whereCut(works, Boolean(state.question.group_by)),
      works: works.map(({ row, distance, group, duplicates, rarity }) => ({
        ...site.works[row], distance, distance_text: distanceText(distance), group, duplicates,
        ...(rarity ? { rarity: rarityWord(rarity), rarity_text: rarityText(rarity) } : {}),
      })),
    })),
    ask: askedOf(state, answers, session, site),
    drawer: drawerOf(state, site),
    history: {
      works: state.history.map((id) => workOf(id, site)).filter(Boolean), position: state.position,
    },
  };
}

/**
 * What is asked, what can be asked, and what is to be said of the answer.
 * @param {State} state @param {Answers} answers @param {Session} session @param {Site} site
 */
function askedOf(state, answers, session, site) {
  const { question, history, position, goal } = state;
  const work = (/** @type {string} */ id) => workOf(id, site);
  const query = history[position];
  const beside = (/** @type {Weighed[]} */ pairs, /** @type {string} */ side) => pairs
    .filter(([id]) => side === "unlike" || id !== query)
    .map(([id, weight]) => ({ ...work(id), weight, side }));
  const weight = question.positive.find(([id]) => id === query)?.[1] ?? 1;
  const own = worksOf(question).some((id) => site.own.has(id));
  return {
    columns: site.columns, values: site.values, where: question.where,
    group_by: question.group_by, group_size: question.group_size,
    group_columns: Object.keys(site.values), exclude_same: question.exclude_same,
    same_columns: SAME_ARTIST.filter((column) => site.columns.includes(column)),
    near_duplicates: question.near_duplicates, in_words: "", region: question.region, weight,
    liked: [...beside(question.positive, "like"), ...beside(question.negative, "unlike")],
    excluded: question.exclude.map(work), goal: goal ? work(goal) : null,
    notes: [...notesOf(answers, site), ...(own ? [STAYS] : [])],
    link: answers.size && !own ? linkTo(state) : "",
    active: Boolean(goal) || !isSame(question, plainOf(state)), why: null,
    kept: Object.keys(session.kept), steps: session.steps.length,
    lacks: site.parts || site.own.has(query) ? LACKS : [...LACKS, "part"],
  };
}

/** The sentences on the answers, each once; with several networks, named. */
function notesOf(/** @type {Answers} */ answers, /** @type {Site} */ site) {
  const notes = [...answers].map(([name, answer]) => ({ name, notes: answer.notes }));
  const same = new Set(notes.map((one) => JSON.stringify(one.notes))).size <= 1;
  if (same) return notes[0]?.notes ?? [];
  return notes.flatMap((one) => one.notes.map((note) => (
    `${site.networks.find(isNamed(one.name))?.title}: ${note}`)));
}

/** @param {string} id @param {Site} site @returns {Work | undefined} */
function workOf(id, site) {
  return site.works[site.rows.get(id) ?? -1] ?? site.own.get(id);
}

/** Write a distance as distance_text in wording.py does. @param {number} distance */
function distanceText(distance) {
  const digits = Math.abs(distance) < 10 ? 3 : Number(!Number.isInteger(distance));
  const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return distance.toLocaleString("en-US", exactly);
}

/** @param {State} state @param {Site} site */
function drawerOf(state, site) {
  const found = matches(state, site);
  const works = found.slice(PAGE * state.page, PAGE * (state.page + 1));
  return {
    works: works.map((row) => site.works[row]), search: state.search, page: state.page,
    pages: pages(state, site), matches: found.length,
  };
}

/** @param {State} state @param {Site} site */
function pages(state, site) {
  return Math.max(1, Math.ceil(matches(state, site).length / PAGE));
}

/**
 * The rows of the drawer: all in random order, or those whose caption has every word searched.
 * @param {State} state @param {Site} site
 */
function matches({ search, seed, question: { machine_made: all } }, site) {
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

/** @param {string} name */
function isNamed(name) {
  return (/** @type {{name: string}} */ one) => one.name === name;
}

// ---- address ----------------------------------------------------------------------------------

/** What is asked as a link, in the words of the app's. @param {State} state */
function linkTo({ question, network, crop, dial, goal }) {
  return toLink(question, { network, crop, dial, goal });
}

/** Write a state as `#like=…&…`. Works are named by id: a link survives a rebuild. */
function toAddress(/** @type {State} */ state) {
  const { history, position, compare } = state;
  const parts = [linkTo(state).slice(1)];
  const put = (/** @type {string} */ name, /** @type {string[]} */ ids) => (
    ids.length ? parts.push(`${name}=${ids.map(encodeURIComponent).join(",")}`) : 0);
  if (compare) parts.push("compare=1");
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
  const first = firstState(site);
  /** @type {Map<string, string[]>} */
  const own = new Map(); // the words that only this page knows
  const rest = hash.slice(1).split("&").filter(Boolean).filter((part) => {
    const [name, ...value] = part.split("=");
    if (!["compare", "back", "forward", "work"].includes(name)) return true;
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
      machine_made: !site.has_both || (hash.length > 1 && question.machine_made),
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
      || (hasDial(site) && view.dial >= 0 && view.dial <= 1) || !missing.push(String(view.dial));
    const [before, after] = ["back", "forward"].map((name) => (own.get(name) ?? []).filter(known));
    const goal = view.goal && known(view.goal) ? view.goal : "";
    const compared = own.get("compare")?.[0] === "1" || hash.length <= 1;
    return {
      state: {
        ...state, question, goal, network: choice("network", site.networks),
        crop: choice("crop", site.crops),
        dial: isDial && view.dial !== undefined ? Math.round(100 * view.dial) / 100 : null,
        compare: compared && site.networks.length > 1,
        history: [...before, question.positive[0][0], ...after].slice(-HISTORY),
        position: before.length,
      },
      error: missing.length ? sorry(missing) : "",
    };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { state: { ...first }, error: `This link cannot be opened: ${error.message}` };
  }
}

/** The state that a session's link asks for. @param {string} link @param {State} state @param {Site} site */
function openLink(link, state, site) {
  const { question, view } = readLink(link);
  const machine_made = question.machine_made || !site.has_both;
  const k = Math.min(question.k, Math.max(1, site.k));
  const later = select(state, question.positive[0]?.[0] ?? "");
  const placed = { network: state.network, crop: state.crop, dial: null, goal: "", ...view };
  return {
    ...later, ...placed, question: makeQuestion({ ...question, k, machine_made }), compare: false,
  };
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
  const first = fromAddress(location.hash || location.search, firstState(site), site);
  const walk = createWalk(site, first.state, (text) => gallery.say(text));
  walk.session = sessionKept(site) ?? walk.session;
  const gallery = createGallery(root, act, show);
  /** @type {What} */
  let done = {}; // what the visitor did last
  let waiting = 0; // for the address of a dial that is being turned
  await walk.act({ do: "move", state: first.state });
  walk.error = walk.error || first.error;
  if (!walk.error) location.replace(toAddress(walk.state));
  window.addEventListener("hashchange", follow);
  draw();

  /** @param {What} what */
  async function act(what) {
    if (what.do === "export") saveTable(walk, site);
    else if (what.do === "session") saveSession(walk.session);
    else if (what.do === "open") await walk.act({ ...what, text: await what.file.text() });
    else await walk.act(what);
    clearTimeout(waiting);
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
    const { state, error } = fromAddress(location.hash, walk.state, site);
    done = {};
    await walk.act({ do: "move", state });
    walk.error = walk.error || error;
    draw();
  }

  function draw() {
    const trouble = keepSession(walk.session);
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

/** Keep the session in this browser; what is to be said where that cannot be, once. */
function keepSession(/** @type {Session} */ session) {
  try {
    localStorage.setItem(shelfOf(session.collection), JSON.stringify(session));
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
 * Save what is shown as a CSV file, with the columns of `results` in artsearch/gallery/view.py.
 * @param {ReturnType<typeof createWalk>} walk @param {Site} site
 */
function saveTable({ state, answers }, site) {
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
      ...site.works[one.row], query: history[position], network, crop, dial: dial ?? "",
      left_out: question.machine_made ? "" : MACHINE, rank: i + 1, distance: one.distance,
      rarity: one.rarity ? rarityWord(one.rarity) : "", share: one.rarity?.share ?? "",
      group: one.group,
    };
    return head.map((name) => disarm(/** @type {Work} */ (about)[name]));
  }));
  const text = [head, ...lines].map((line) => `${line.map(cell).join(",")}\n`).join("");
  // The byte order mark tells Excel that the file is UTF-8.
  saveFile("similar-works.csv", new Blob(["\ufeff", text], { type: "text/csv" }));
}

/** A text that a spreadsheet does not take for a formula. @param {string | number} value */
function disarm(value) {
  const formula = isText(value) && /^[=+\-@\t\r]/.test(value) && !/^[-+]?\d+(?:[.,]\d+)?$/.test(value);
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
