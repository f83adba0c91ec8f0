// @ts-check
// A question and its link, as artsearch/search/question.py has them: the same fields, the same words
// in the link, the same complaints.

/**
 * What can be asked at once, as plain data; see Question in artsearch/search/question.py.
 * @typedef {[string, number]} Weighed a work by its id, or words, with its weight
 * @typedef {Object} Question
 * @property {Weighed[]} positive
 * @property {Weighed[]} negative
 * @property {Weighed[]} words
 * @property {Weighed[]} negative_words
 * @property {string} where
 * @property {string[]} exclude_same
 * @property {boolean} near_duplicates
 * @property {boolean} machine_made
 * @property {string[]} exclude
 * @property {string} group_by
 * @property {number} group_size
 * @property {number[] | null} region
 * @property {boolean} motif
 * @property {string} normalise
 * @property {number} k
 */

/** @type {Question} */
const NOTHING_ASKED = {
  positive: [], negative: [], words: [], negative_words: [], where: "", exclude_same: [],
  near_duplicates: true, machine_made: true, exclude: [], group_by: "", group_size: 1,
  region: null, motif: false, normalise: "", k: 10,
};
/** @type {["positive" | "negative" | "words" | "negative_words", string][]} */
const SIDES = [
  ["positive", "like"], ["negative", "unlike"], ["words", "words"], ["negative_words", "unlike-words"],
];
const VIEW = ["network", "crop", "dial", "goal"]; // what a link may hold besides a question
const LINK_WORDS = [
  ...SIDES.flatMap(([, word]) => [word, `${word}-weight`]),
  "where", "other", "copies", "machine", "exclude", "per", "each", "part",
  "motif", "normalise", "k", ...VIEW,
];
// How words begin that others put into addresses: Voilà, and those who count visitors.
const OTHERS = ["theme", "voila-", "utm_", "fbclid", "gclid"];
const SMALLEST = 0.02; // a part narrower or lower than this share of its work shows nothing

/**
 * A question of some fields, checked; what they do not name is not asked.
 * @param {Partial<Question>} fields @returns {Question}
 */
function makeQuestion(fields) {
  const asked = { ...NOTHING_ASKED, ...fields };
  for (const [side] of SIDES) asked[side] = asked[side].map(checkWeight);
  for (const [side] of SIDES) {
    const ids = asked[side].map(([id]) => id);
    const twice = ids.find((id, i) => ids.indexOf(id) < i);
    if (twice !== undefined) throw new Refusal(`${repr(twice)} is named twice; give it one weight`);
  }
  asked.where = checkWhere(asked.where);
  if (asked.region) checkRegion(asked.region);
  for (const name of /** @type {("k" | "group_size")[]} */ (["k", "group_size"])) {
    if (!Number.isInteger(asked[name]) || asked[name] < 1) {
      throw new Refusal(`${name} is ${asked[name]}; take a whole number from 1 on`);
    }
  }
  if (!asked.positive.length && !asked.words.length) {
    throw new Refusal("nothing is liked; name one work or more that the answer is near");
  }
  if (asked.region && asked.positive.length !== 1) {
    throw new Refusal("a part is of one work; like one alone, or leave the part out");
  }
  return asked;
}

/** @param {Weighed} pair @returns {Weighed} */
function checkWeight([id, weight]) {
  if (!(weight >= 1e-6 && weight <= 1e6)) {
    throw new Refusal(`the weight of ${repr(id)} is ${weight}; take a number above 0, from 0.000001 `
      + "to 1000000 (works that are not liked go into `negative`)");
  }
  return [id, weight];
}

/** @param {number[]} region */
function checkRegion(region) {
  const [left, top, right, bottom] = region;
  const within = region.length === 4 && region.every((end) => end >= 0 && end <= 1);
  if (within && right - left >= SMALLEST && bottom - top >= SMALLEST) return;
  throw new Refusal(`the part is (${region.join(", ")}); take left, top, right and bottom as shares of `
    + "the work, from 0 to 1, at least 0.02 from left to right and from top to bottom");
}

/** The works that are liked or not liked. @param {Question} question */
function worksOf({ positive, negative }) {
  return [...positive, ...negative].map(([id]) => id);
}

/** Whether two questions ask the same. @param {Question} one @param {Question} other */
function isSame(one, other) {
  return JSON.stringify({ ...NOTHING_ASKED, ...one }) === JSON.stringify({ ...NOTHING_ASKED, ...other });
}

/** Whether this asks for the nearest works to one work and nothing else. @param {Question} question */
function isPlain(question) {
  const { positive, k } = question;
  return positive.length === 1 && positive[0][1] === 1
    && isSame(question, { ...NOTHING_ASKED, positive, k });
}

/**
 * The question as the end of an address, from `?` on; `more` are further pairs.
 * @param {Question} question @param {Record<string, string | number | null>} more
 */
function toLink(question, more = {}) {
  const pairs = new URLSearchParams();
  for (const [side, word] of SIDES) {
    for (const [id] of question[side]) pairs.append(word, id);
    if (question[side].some(([, weight]) => weight !== 1)) {
      for (const [, weight] of question[side]) pairs.append(`${word}-weight`, writeNumber(weight));
    }
  }
  if (question.where) pairs.append("where", question.where);
  for (const column of question.exclude_same) pairs.append("other", column);
  if (!question.near_duplicates) pairs.append("copies", "no");
  if (!question.machine_made) pairs.append("machine", "no");
  for (const id of question.exclude) pairs.append("exclude", id);
  if (question.group_by) pairs.append("per", question.group_by);
  if (question.group_by || question.group_size !== 1) pairs.append("each", String(question.group_size));
  if (question.region) pairs.append("part", question.region.map(writeNumber).join(","));
  if (question.motif) pairs.append("motif", "yes");
  if (question.normalise) pairs.append("normalise", question.normalise);
  pairs.append("k", String(question.k));
  for (const [name, value] of Object.entries(more)) {
    if (value !== null && value !== "") pairs.append(name, String(value));
  }
  // As Python writes addresses.
  return `?${pairs}`.replaceAll("%7E", "~").replaceAll("*", "%2A");
}

/** A number as Python's repr of a float writes it. @param {number} value */
function writeFloat(value) {
  if (!Number.isFinite(value)) return String(value);
  const [head, power] = value.toExponential().split("e");
  if (value && (Number(power) < -4 || Number(power) > 15)) {
    return `${head}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  }
  return `${value}${Number.isInteger(value) ? ".0" : ""}`;
}

/** A number as write_number of artsearch/base/text.py writes it. @param {number} value */
function writeNumber(value) {
  return writeFloat(value).replace(/\.0$/, "");
}

/**
 * The question of a link, and the network, crop, dial and goal that it names; refuses what is none.
 * @param {string} link from `?` on
 * @returns {{question: Question, view: {network?: string, crop?: string, dial?: number, goal?: string}}}
 */
function readLink(link) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const [name, value] of new URLSearchParams(link)) {
    if (OTHERS.some((one) => name.startsWith(one))) continue;
    if (!LINK_WORDS.includes(name)) throw unknown("word in the link", name, LINK_WORDS);
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  const last = (/** @type {string} */ name) => found.get(name)?.at(-1);
  /** @type {Partial<Question>} */
  const fields = {
    exclude_same: found.get("other") ?? [], exclude: found.get("exclude") ?? [],
    near_duplicates: last("copies") !== "no", machine_made: last("machine") !== "no",
    where: last("where") ?? "", group_by: last("per") ?? "", normalise: last("normalise") ?? "",
    motif: last("motif") === "yes",
  };
  for (const [side, word] of SIDES) {
    const ids = found.get(word) ?? [];
    const weights = found.get(`${word}-weight`) ?? ids.map(() => "1");
    if (weights.length !== ids.length) {
      throw new Refusal(`the link has ${ids.length} works to ${word}, and ${weights.length} weights`);
    }
    fields[side] = ids.map((id, i) => [id, readNumber("weight", weights[i])]);
  }
  for (const [word, name] of /** @type {[string, "k" | "group_size"][]} */ (
    [["k", "k"], ["each", "group_size"]])) {
    const text = last(word);
    if (text === undefined) continue;
    if (!/^[-+]?\d{1,9}$/.test(text)) {
      throw new Refusal(`the link's ${word} is ${repr(text)}; it takes a whole number`);
    }
    fields[name] = Number(text);
  }
  const part = last("part");
  if (part !== undefined) fields.region = part.split(",").map((end) => readNumber("part", end));
  const view = Object.fromEntries(VIEW.filter((name) => last(name)).map((name) => [name, last(name)]));
  const dial = last("dial") ? { dial: readNumber("dial", String(last("dial"))) } : {};
  return { question: makeQuestion(fields), view: { ...view, ...dial } };
}

/** @param {string} name @param {string} text */
function readNumber(name, text) {
  const number = text.trim() ? Number(text) : NaN;
  if (Number.isNaN(number)) throw new Refusal(`the link's ${name} is ${repr(text)}; it takes numbers`);
  return number;
}
