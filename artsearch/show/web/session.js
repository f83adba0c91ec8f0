// @ts-check
// A session: what was asked, seen and kept, in the file that artsearch/gallery/session.py reads too,
// and in the browser between two visits.

/**
 * @typedef {Object} SessionStep a question as it was put to one search, and the works that answered
 * @property {string} question as a link, see toLink
 * @property {string} network
 * @property {string} crop
 * @property {number | null} dial
 * @property {string[]} ids
 * @property {number[]} distances
 * @property {string[]} groups empty, or what each work has in the column `group_by`
 * @property {string[]} notes
 * @property {string} at
 * @property {string} goal
 * @property {string[]} own what of the question is an image of the visitor's own
 * @property {string} metric
 * @property {([number, number] | null)[]} [rarities] share and by_chance of each, where one is known
 *
 * @typedef {{name: string, works: number, fingerprint: string}} Origin which collection was asked
 * @typedef {{version: number, format: string, title: string, collection: Origin,
 *   kept: Record<string, string>, steps: SessionStep[]}} Session in the order of the file
 */

const SESSION = { version: 2, format: "artsearch session" };
const SAVED = "choose a file that was saved as a session";

/** A session that has just begun. @param {Origin} collection @returns {Session} */
function newSession(collection) {
  return { ...SESSION, title: "", collection, kept: {}, steps: [] };
}

/**
 * The session with a question and its answer; the same ones again at once are not noted again.
 * @param {Session} session @param {Asked} asked @param {Answer} answer
 * @param {(id: string) => boolean} isWork
 * @returns {Session}
 */
function addStep(session, { network, crop, dial, goal, question }, answer, isWork) {
  const groups = answer.works.map(({ group }) => group);
  const rarities = answer.works.map(({ rarity }) => (
    /** @type {[number, number] | null} */ (rarity && [rarity.share, rarity.by_chance])));
  const step = {
    question: toLink(question), network, crop, dial,
    ids: answer.works.map(({ id }) => id), distances: answer.works.map(({ distance }) => distance),
    groups: groups.some(Boolean) ? groups : [], notes: answer.notes,
    at: `${new Date().toISOString().slice(0, 19)}+00:00`, goal,
    own: [...worksOf(question), ...(goal ? [goal] : [])].filter((id) => !isWork(id)),
    metric: answer.metric, rarities: rarities.some(Boolean) ? rarities : [],
  };
  // Several networks side by side are asked the same one after the other.
  for (const before of [...session.steps].reverse()) {
    if (before.question !== step.question || before.goal !== goal) break;
    if (JSON.stringify({ ...before, at: step.at }) === JSON.stringify(step)) return session;
  }
  return { ...session, steps: [...session.steps, step] };
}

/** The question of a step as a link; "" where it holds an image of the visitor's own. */
function linkOf(/** @type {SessionStep} */ { question, network, crop, dial, goal, own }) {
  const at = dial === null ? null : writeFloat(dial);
  return own.length ? "" : toLink(readLink(question).question, { network, crop, dial: at, goal });
}

/** The session of a file; refuses what is none. @param {string} text @returns {Session} */
function readSession(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Refusal(`this session cannot be read: it is no JSON; ${SAVED}`);
  }
  if (Number.isInteger(found?.version) && found.version !== SESSION.version) {
    throw new Refusal(`this session is of format ${found.version}, and this page reads format `
      + `${SESSION.version}; open it in the artsearch that saved it, or ask its questions again: each `
      + "stands in the file as a link, to be put behind the address of the gallery");
  }
  const wrong = wrongIn(found, SESSION_FORM, "");
  if (wrong) throw new Refusal(`this session cannot be read at '${wrong}'; ${SAVED}`);
  found.steps.forEach((/** @type {SessionStep} */ step) => readLink(step.question));
  return found;
}

/**
 * What a session's file is like: "s" a text, "n" a number, "?" a number or null, "r" rarities or
 * nothing, [x] a list of x.
 */
const SESSION_FORM = {
  version: "n", format: "s", title: "s", kept: "*",
  collection: { name: "s", works: "n", fingerprint: "s" },
  steps: [{
    question: "s", network: "s", crop: "s", dial: "?", ids: ["s"], distances: ["n"], groups: ["s"],
    notes: ["s"], at: "s", goal: "s", own: ["s"], metric: "s", rarities: "r",
  }],
};

/**
 * Where something is not as a form has it; "" where all is.
 * @param {any} value @param {any} form @param {string} at @returns {string}
 */
function wrongIn(value, form, at) {
  const isObject = typeof value === "object" && value !== null;
  const checks = {
    s: () => isText(value), n: () => isNumber(value), "?": () => value === null || isNumber(value),
    "*": () => isObject && Object.values(value).every(isText),
    r: () => value === undefined || (Array.isArray(value) && value.every(isPairOrNull)),
  };
  if (isText(form)) return checks[/** @type {keyof checks} */ (form)]() ? "" : at;
  if (Array.isArray(form)) {
    if (!Array.isArray(value)) return at;
    return value.map((one, i) => wrongIn(one, form[0], `${at} ${i + 1}`.trim())).find(Boolean) ?? "";
  }
  if (!isObject) return at || "its beginning";
  return Object.entries(form).map(([name, one]) => wrongIn(value[name], one, `${at} ${name}`.trim()))
    .find(Boolean) ?? "";
}

function isPairOrNull(/** @type {any} */ one) {
  return one === null || (Array.isArray(one) && one.length === 2 && one.every(isNumber));
}

/**
 * A sentence on the works that a session names and the collection lacks; "" if there are none.
 * @param {Session} session @param {(id: string) => boolean} isWork
 */
function missingFrom({ kept, steps, collection }, isWork) {
  const named = new Set(Object.keys(kept));
  for (const { question, ids, goal, own } of steps) {
    const asked = readLink(question).question;
    for (const id of [...ids, ...worksOf(asked), ...(goal ? [goal] : []), ...asked.exclude]) {
      if (!own.includes(id)) named.add(id);
    }
  }
  const gone = [...named].filter((id) => !isWork(id)).map((id) => repr(shorten(id, 60)));
  if (!gone.length) return "";
  const names = gone.length > 4 ? [...gone.slice(0, 3), `${count(gone.length - 3)} more`] : gone;
  const listed = [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");
  return `${collection.name} lacks ${countOf(gone.length, "work")} of this session: ${listed}.`;
}
