// @ts-check
// A visit: what a visitor has chosen and done, the same in the notebook's widget, in the app and on the
// static page. The state is plain data that is never changed in place: `reduce` makes the next one of
// what the visitor does (see gallery.js and ask.js), and a walk asks an answerer for what view.js shows
// of it. Only who answers differs: the page itself (site.js, answer.js) or Python by messages
// (artsearch/gallery/web/remote.js, artsearch/gallery/widget.py).

/**
 * @typedef {Object} State all that the visitor has chosen
 * @property {string} network
 * @property {string} crop
 * @property {Question} question the selected work is the first of its positive ones, or of its words
 * @property {string[]} history
 * @property {number} position
 * @property {number | null} dial from content (0) to style (1), or null for the network's final layer
 * @property {boolean} compare
 * @property {string} goal the work to which stepping stones lead, or ""
 * @property {string} why the work whose likeness is explained, or ""
 * @property {boolean} tried whether by experiment too
 * @property {boolean} time whether works are shown by time
 * @property {string} search of the drawer, as are the next two
 * @property {number} page
 * @property {number} seed
 *
 * @typedef {Record<string, any>} What something that the visitor does, see gallery.js and ask.js
 * @typedef {Record<string, any>} Work
 * @typedef {Map<string, Answer>} Answers by network
 * @typedef {Map<string, {id: string, distance: number} | null>} Before of works by id, what came before
 *
 * @typedef {Object} Asked a question, and what it is put to
 * @property {string} query the selected work, or what stands for words
 * @property {string} network
 * @property {string} crop
 * @property {number | null} dial
 * @property {Question} question
 * @property {string} goal
 *
 * @typedef {Object} Found a work of an answer
 * @property {string} id
 * @property {number} distance in the metric's own terms
 * @property {string} group what it has in the column `group_by`
 * @property {number} duplicates how many near-duplicates of it are left out
 * @property {Rarity | null} rarity how unusual it is to be as near, where that is known
 * @property {{region: number[], word: string, text: string} | null} [motif] where it has the motif
 *
 * @typedef {Object} Answer
 * @property {Found[]} works nearest first
 * @property {string[]} notes sentences on the answer
 * @property {string} metric
 * @property {string} unit
 * @property {string} cut whether there is a break in the distances, in words
 * @property {number | null} yours the place of the dial that was fitted to votes, if any
 * @property {boolean} words whether words can be asked for
 *
 * @typedef {Object} About what there is to be asked, the same as long as the gallery is open
 * @property {{name: string, title: string}[]} networks
 * @property {{name: string, title: string}[]} crops
 * @property {boolean} dial whether there is one
 * @property {number} k_max
 * @property {boolean} has_both whether some works were made by a machine, and others were not
 * @property {number} machines how many were
 * @property {string[]} columns
 * @property {Record<string, string[]>} values of columns that have few
 * @property {string[]} looks networks that can look at pictures and at parts of works
 * @property {string} sentence on the networks
 * @property {string} [reason]
 * @property {string} [licences]
 * @property {string} [stays] what is said where pictures of the visitor's own are asked for
 * @property {boolean} [alone] whether answers come from the page itself
 *
 * @typedef {{works: string[], page: number, pages: number, matches: number}} Drawn
 * @typedef {{search: string, page: number, seed: number, machine_made: boolean}} Drawer
 * @typedef {{matches: any[], text: string, tried: any}} Explained
 * @typedef {{text: string, offer: string, busy: boolean}} Offer
 *
 * What answers a gallery. Where it is asked for what is not there it rejects with a Refusal, whose
 * message is a whole sentence that names the next step; any other error is a fault, or a file that is
 * missing. What it cannot do at all it does not have, or names in `lacks`.
 * @typedef {Object} Answerer
 * @property {About} about
 * @property {(asked: Asked) => Promise<Answer>} answer the nearest works, or those on a path
 * @property {(drawer: Drawer) => Promise<Drawn>} drawer a page of works to choose from; beyond its
 *   ends, the last one
 * @property {(ids: string[]) => Promise<Work[]>} works what is told of works, those that are there
 * @property {(file: File) => Promise<string>} add take a picture of the visitor's own, return its id
 * @property {(state: State) => string[]} lacks of "part", "why", "csv", "html"
 * @property {(asked: Asked, id: string, tried: boolean) => Promise<Explained>} [why]
 * @property {(asked: Asked, ids: string[]) => Promise<Before>} [earlier] of each of some works the nearest
 *   that is surely earlier, or null
 * @property {() => {kept: string[], steps: number}} session what was kept, and how much was asked
 * @property {(id: string, on: boolean) => Promise<void>} keep
 * @property {(file: File) => Promise<{link: string, missing: string}>} open a session that was saved:
 *   what it asked last, and a sentence on works that are no longer there
 * @property {(what: What, walk: Walk) => Promise<void>} save what is shown, or the session, as a file
 * @property {(id: string) => any} [which] what is said of which work a picture shows
 * @property {(id: string) => Promise<void>} [identify]
 * @property {(asked: Asked[]) => Promise<Offer>} [motif] what must be done before motifs can be sought
 * @property {(asked: Asked[]) => Promise<Offer>} [makeMotifs]
 *
 * @typedef {ReturnType<typeof createWalk>} Walk
 */

const HISTORY = 50; // works that are remembered, so that links stay short enough to send
const IN_WORDS = "in words: "; // how words begin where else a work's id stands, as in asked.py
const UPLOADED = "your image: "; // how the id of a visitor's own image begins, as there
/** @type {string[]} what cannot be asked of a path: where it is asked, the path ends */
const NO_PATH = [
  "group_by", "region", "motif", "positive", "negative", "words", "negative_words",
];
/** @type {string[]} what of a state is no part of its question */
const OF_STATE = [
  "network", "crop", "dial", "compare", "goal", "why", "tried", "time", "search", "page",
];

// ---- works and words ------------------------------------------------------------------------------

/** The words that an id stands for, "" for a work's. @param {string} id */
function wordsOf(id) {
  return id.startsWith(IN_WORDS) ? tidyBlanks(id.slice(IN_WORDS.length)) : "";
}

/** An id in which words are separated by one blank each, and a work's as it is. @param {string} id */
function tidyId(id) {
  const words = wordsOf(id);
  return words ? IN_WORDS + words : id;
}

/** What is liked where nothing but what is near a work, or words, is asked. @param {string} id */
function near(id) {
  const words = wordsOf(id);
  /** @type {{positive: Weighed[], words: Weighed[]}} */
  const liked = { positive: words ? [] : [[id, 1]], words: words ? [[words, 1]] : [] };
  return liked;
}

/** The selected work. @param {State} state */
function queryOf({ history, position }) {
  return history[position];
}

// ---- the state ------------------------------------------------------------------------------------

/** What is asked where nothing but the nearest works is. @param {State} state @returns {Question} */
function plainOf(state) {
  const { k, machine_made } = state.question;
  return makeQuestion({ ...near(queryOf(state)), k, machine_made });
}

/** A state before anything was chosen. @param {About} about @returns {State} */
function emptyState({ networks, crops, k_max, has_both }) {
  return {
    network: networks[0]?.name ?? "", crop: crops[0]?.name ?? "", dial: null, compare: false,
    question: { ...NOTHING_ASKED, k: Math.max(1, Math.min(10, k_max)), machine_made: !has_both },
    history: [], position: 0, goal: "", why: "", tried: false, time: false, search: "", page: 0,
    seed: 0,
  };
}

/**
 * The state after something the visitor did.
 * @param {State} state @param {What} what @param {About} about @returns {State}
 */
function reduce(state, what, about) {
  switch (what.do) {
    case "select": return tidyId(what.id) === queryOf(state) ? state : select(state, what.id);
    case "back": return goTo(state, state.position - 1);
    case "forward": return goTo(state, state.position + 1);
    case "go_to": return goTo(state, what.position);
    case "refresh": return { ...state, seed: state.seed + 1, search: "", page: 0 };
    case "change": return change(state, what, about);
    case "clear": return { ...state, question: plainOf(state), goal: "", why: "", tried: false };
    case "like": return change(state, withOne(state, what, "positive", "words"), about);
    case "unlike":
      if (tidyId(what.id) === queryOf(state)) {
        throw new Refusal("The selected work is what is asked for; select another one first.");
      }
      return change(state, withOne(state, what, "negative", "negative_words"), about);
    case "exclude":
      return change(state, { exclude: [...without(state, what.id).exclude, what.id] }, about);
    case "drop": return change(state, { ...without(state, what.id), goal: state.goal }, about);
    default: return state;
  }
}

/**
 * What is asked of works and words, with one more on the side that is its own.
 * @param {State} state @param {What} what @param {"positive" | "negative"} ofWorks
 * @param {"words" | "negative_words"} ofWords
 */
function withOne(state, { id, weight = 1 }, ofWorks, ofWords) {
  const [others, words] = [without(state, id), wordsOf(id)];
  const side = words ? ofWords : ofWorks;
  const one = /** @type {Weighed} */ ([words || id, weight]);
  const isQuery = tidyId(id) === queryOf(state); // it has its place already, the first
  others[side] = isQuery ? [one, ...others[side].slice(1)] : [...others[side], one];
  return others;
}

/** What is asked of works and words without one of them; the selected one stays. */
function without(/** @type {State} */ state, /** @type {string} */ id) {
  const { positive, negative, words, negative_words, exclude } = state.question;
  const isQuery = tidyId(id) === queryOf(state);
  const rest = (/** @type {Weighed[]} */ pairs, /** @type {string} */ name) => (
    pairs.filter(([one]) => isQuery || one !== name));
  return {
    positive: rest(positive, id), negative: rest(negative, id), words: rest(words, wordsOf(id)),
    negative_words: rest(negative_words, wordsOf(id)), exclude: exclude.filter((one) => one !== id),
  };
}

/** Other choices, with what follows from them. @param {State} state @param {What} what @param {About} about */
function change(state, { do: _, ...choices }, about) {
  if ("k" in choices && !(choices.k >= 1 && choices.k <= about.k_max)) {
    throw new Refusal(`k is ${choices.k}; take 1 to ${about.k_max}`);
  }
  const named = Object.keys(choices);
  /** @type {Record<string, any>} */
  const all = {
    ...("network" in choices ? { compare: false } : {}),
    ...("why" in choices ? { tried: false } : {}),
    ...("region" in choices && !choices.region ? { motif: false } : {}),
    ...(named.some((name) => NO_PATH.includes(name)) ? { goal: "" } : {}),
    ...("search" in choices || "machine_made" in choices ? { page: 0 } : {}),
    ...choices,
  };
  if ("compare" in all) all.compare = Boolean(all.compare) && about.networks.length > 1;
  if ("machine_made" in all) all.machine_made = Boolean(all.machine_made) || !about.has_both;
  if (isNumber(all.dial)) all.dial = Math.round(100 * all.dial) / 100;
  const split = (/** @type {boolean} */ own) => Object.fromEntries(
    Object.entries(all).filter(([name]) => OF_STATE.includes(name) === own));
  return { ...state, ...split(true), question: makeQuestion({ ...state.question, ...split(false) }) };
}

/** The state in which another work is selected; what lay ahead is forgotten. */
function select(/** @type {State} */ state, /** @type {string} */ id) {
  const history = [...state.history.slice(0, state.position + 1), tidyId(id)].slice(-HISTORY);
  return goTo({ ...state, history }, history.length - 1);
}

/**
 * The state at a place of the history, or at its end; what was asked about the work before is
 * forgotten, what was asked of the answers is not.
 * @param {State} state @param {number} to @returns {State}
 */
function goTo(state, to) {
  const position = Math.max(0, Math.min(to, state.history.length - 1));
  const forgotten = { negative: [], negative_words: [], region: null, motif: false };
  const question = makeQuestion({
    ...state.question, ...near(state.history[position]), ...forgotten,
  });
  return { ...state, position, question, goal: "", why: "", tried: false };
}

/** The state that a link asks for. @param {string} link @param {State} state @param {About} about */
function openLink(link, state, about) {
  const { question, view } = readLink(link);
  const machine_made = question.machine_made || !about.has_both;
  const k = Math.min(question.k, Math.max(1, about.k_max));
  const later = select(state, queryIn(question));
  const placed = { network: state.network, crop: state.crop, dial: null, goal: "", ...view };
  return {
    ...later, ...placed, question: makeQuestion({ ...question, k, machine_made }), compare: false,
  };
}

/** The work, or the words, that a question is about first. @param {Question} question */
function queryIn({ positive, words }) {
  return positive.length ? positive[0][0] : IN_WORDS + words[0][0];
}

/** What of a state its answers depend on. @param {State} state */
function depends({ network, crop, dial, compare, goal, question }) {
  return JSON.stringify([network, crop, dial, compare, goal, question]);
}

/** What the drawer shows. @param {State} state @returns {Drawer} */
function drawerOf({ search, page, seed, question: { machine_made } }) {
  return { search, page, seed, machine_made };
}

/** What is asked as a link. @param {State} state */
function linkTo({ question, network, crop, dial, goal }) {
  return toLink(question, { network, crop, dial, goal });
}

/** What is asked, and of which networks. @param {State} state @param {About} about @returns {Asked[]} */
function askedBy(state, about) {
  const { network, crop, dial, compare, question, goal } = state;
  return about.networks.filter(({ name }) => compare || name === network)
    .map(({ name }) => ({ query: queryOf(state), network: name, crop, dial, question, goal }));
}

/** Refuse a network, a crop or a dial that is not there. @param {State} state @param {About} about */
function checkPlace({ network, crop, dial }, about) {
  const names = (/** @type {{name: string}[]} */ list) => list.map(({ name }) => name);
  if (!about.networks.some(isNamed(network))) throw unknown("network", network, names(about.networks));
  if (!about.crops.some(isNamed(crop))) throw unknown("crop", crop, names(about.crops));
  if (dial !== null && !about.dial) {
    throw new Refusal(`the dial is ${dial}, but these searches have none; take the network's final `
      + "layer");
  }
  if (dial !== null && !(dial >= 0 && dial <= 1)) {
    throw new Refusal(`the dial is at ${dial}; take a number from 0 (content) to 1 (style)`);
  }
}

/** @param {string} name */
function isNamed(name) {
  return (/** @type {{name: string}} */ one) => one.name === name;
}

// ---- a walk ---------------------------------------------------------------------------------------

/**
 * A walk through what an answerer has: `act` does what the visitor does, one after the other, and what
 * goes wrong is a sentence in `error` while all else stays as it was.
 * @param {Answerer} answerer @param {State} start
 */
function createWalk(answerer, start) {
  const { about } = answerer;
  const walk = {
    answerer, state: start, error: "",
    /** @type {Answers} */ answers: new Map(),
    /** @type {Drawn} */ drawn: { works: [], page: 0, pages: 1, matches: 0 },
    /** @type {Map<string, Before>} by network, where works are shown by time */ before: new Map(),
    /** @type {Map<string, Work>} what is told of all works that are shown */ works: new Map(),
    /** @type {Explained | null} */ explained: null,
    /** @type {Offer} what is to be said of motifs */ motif: { text: "", offer: "", busy: false },
    act, adopt, sought, view: () => viewOf(walk),
  };
  let drawer = ""; // what `drawn` was asked for
  let wanted = ""; // the motif that is sought when what finds it is there
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
    switch (what.do) {
      case "move": return move(what.state, true);
      case "keep": return answerer.keep(what.id, what.on);
      case "open": return open(what.file);
      case "upload": return upload(what.file);
      case "identify": return answerer.identify?.(queryOf(walk.state));
      case "make_motifs": return say(await answerer.makeMotifs?.(askedBy(walk.state, about)));
      case "export": case "picture": case "session": return answerer.save(what, walk);
      default: return move(reduce(walk.state, what, about));
    }
  }

  /** Go on to a later state, where it can be had. @param {State} later @param {boolean} [anew] */
  async function move(later, anew = false) {
    checkPlace(later, about);
    if (later.question.motif && answerer.motif) {
      say(await answerer.motif(askedBy(later, about)));
      if (walk.motif.text) {
        wanted = toLink(later.question);
        later = { ...later, question: { ...later.question, motif: false } };
      }
    }
    const same = !anew && depends(later) === depends(walk.state);
    later = same ? later : { ...later, tried: false };
    const [answers, drawn] = await Promise.all([same ? walk.answers : ask(later), draw(later)]);
    const explained = later.why ? await explain(later) : null;
    const before = same && later.time && walk.state.time ? walk.before : await precede(later, answers);
    const works = await describe([...idsOf(later, answers, drawn, before), later.why]);
    show({ ...later, page: drawn.page }, answers, drawn, before, explained, works);
  }

  /**
   * Show what was answered already. @param {{place: Partial<State> & {query: string},
   *   answers: Record<string, Answer>, drawn: Drawn, error: string}} given
   */
  function adopt({ place: { query, ...place }, answers, drawn, error }) {
    last = last.then(async () => {
      const { state } = walk;
      const there = queryOf(state) === query ? state : select(state, query);
      const later = { ...there, ...place, why: "", tried: false };
      const found = new Map(Object.entries(answers));
      const before = await precede(later, found);
      show(later, found, drawn, before, null, await describe(idsOf(later, found, drawn, before)));
      walk.error = error;
    }).catch((trouble) => {
      walk.error = trouble.message;
    });
    return last;
  }

  /**
   * @param {State} state @param {Answers} answers @param {Drawn} drawn
   * @param {Map<string, Before>} before @param {Explained | null} explained
   * @param {Map<string, Work>} works
   */
  function show(state, answers, drawn, before, explained, works) {
    drawer = JSON.stringify(drawerOf(state));
    Object.assign(walk, { state, answers, drawn, before, explained, works });
  }

  /** @param {State} later @returns {Promise<Answers>} */
  async function ask(later) {
    if (about.k_max < 1 && !queryOf(later).startsWith(UPLOADED)) return new Map();
    const answers = askedBy(later, about).map(async (asked) => /** @type {[string, Answer]} */ (
      [asked.network, await answerer.answer(asked)]));
    return new Map(await Promise.all(answers));
  }

  /**
   * What came before the works that are shown, where they are shown by time.
   * @param {State} later @param {Answers} answers @returns {Promise<Map<string, Before>>}
   */
  async function precede(later, answers) {
    const { earlier } = answerer;
    if (!later.time || !earlier) return new Map();
    const isWork = (/** @type {string} */ id) => !wordsOf(id) && !id.startsWith(UPLOADED);
    const asked = askedBy(later, about).filter(({ network }) => answers.has(network));
    return new Map(await Promise.all(asked.map(async (one) => {
      const found = (answers.get(one.network)?.works ?? []).map(({ id }) => id);
      const ids = [...new Set([one.query, ...found])].filter(isWork);
      return /** @type {[string, Before]} */ ([one.network, await earlier(one, ids)]);
    })));
  }

  /** @param {State} later @returns {Promise<Drawn>} */
  async function draw(later) {
    const asked = drawerOf(later);
    return JSON.stringify(asked) === drawer ? walk.drawn : answerer.drawer(asked);
  }

  /** @param {State} later @returns {Promise<Explained>} */
  async function explain(later) {
    if (!answerer.why) throw new Refusal("why works are similar is told by the app (make app)");
    const [asked] = askedBy({ ...later, compare: false }, about);
    return answerer.why(asked, later.why, later.tried);
  }

  /** @param {string[]} ids */
  async function describe(ids) {
    const known = [...new Set(ids)].filter((id) => id && !wordsOf(id));
    const works = new Map((await answerer.works(known)).map((work) => [work.id, work]));
    if (known.length && !works.has(known[0])) throw unknown("work", known[0], [...works.keys()]);
    return works;
  }

  /** @param {Offer | undefined} said */
  function say(said) {
    walk.motif = said ?? walk.motif;
  }

  /**
   * What is to be said of motifs now; where nothing is, the one that was wanted is sought.
   * @param {Offer} said @returns {Promise<void>}
   */
  async function sought(said) {
    say(said);
    const now = { ...walk.state.question, motif: true };
    const same = Boolean(wanted) && wanted === toLink(now);
    wanted = "";
    if (same && !said.text) await act({ do: "change", motif: true });
  }

  /** Ask by a picture of the visitor's own, and by networks that can look. @param {File} file */
  async function upload(file) {
    const id = await answerer.add(file);
    const { network, compare } = walk.state;
    const able = about.looks;
    return move({
      ...select(walk.state, id), network: able.includes(network) ? network : able[0],
      compare: compare && about.networks.every(({ name }) => able.includes(name)),
    });
  }

  /** Go on with a session that was saved. @param {File} file */
  async function open(file) {
    const { link, missing } = await answerer.open(file).catch((error) => {
      throw new Refusal(`This session cannot be opened: ${error.message}`);
    });
    await (async () => link && move(openLink(link, walk.state, about)))().catch((error) => {
      walk.error = error.message;
    });
    walk.error = missing || walk.error; // which may be that one of these is unknown
  }
}

/** Works that a state and what was answered to it show, the selected one first. */
function idsOf(
  /** @type {State} */ state, /** @type {Answers} */ answers, /** @type {Drawn} */ drawn,
  /** @type {Map<string, Before>} */ before,
) {
  const { history, question, goal } = state;
  const found = [...answers.values()].flatMap(({ works }) => works.map(({ id }) => id));
  const earlier = [...before.values()].flatMap((one) => [...one.values()].map((work) => work?.id ?? ""));
  return [
    queryOf(state), ...history, ...worksOf(question), ...question.exclude, goal, ...found, ...earlier,
    ...drawn.works,
  ];
}
