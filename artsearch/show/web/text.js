// @ts-check
// Texts and numbers as Python writes them: what is quoted, counted, cut, and said of a wrong name.

/** Something that the visitor can put right; the message is a whole sentence. */
class Refusal extends Error {}

const BLANKS = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === "string";
}

/** @param {unknown} value @returns {value is number} */
function isNumber(value) {
  return typeof value === "number";
}

/** @param {string[]} texts @returns {Map<string, number>} */
function countAll(texts) {
  const counted = new Map();
  for (const text of texts) counted.set(text, (counted.get(text) ?? 0) + 1);
  return counted;
}

/** @param {string} text */
function tidyBlanks(text) {
  return text.split(new RegExp(`${BLANKS}+`)).filter(Boolean).join(" ");
}

/** A text as one line of at most so many characters. @param {string} text @param {number} most */
function shorten(text, most) {
  const all = [...text];
  const line = [...tidyBlanks(all.slice(0, 2 * most).join(""))];
  const whole = line.length <= most && all.length <= 2 * most;
  return whole ? line.join("") : `${line.slice(0, most - 1).join("")}…`;
}

/** @param {string} a @param {string} b */
function byCharacter(a, b) {
  return a < b ? -1 : Number(a > b);
}

/** A whole number with commas. @param {number} number */
function count(number) {
  return number.toLocaleString("en-US");
}

/** A text in quotes, as Python's repr writes it. @param {string} text */
function repr(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  /** @type {Record<string, string>} */
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
  const escape = (/** @type {string} */ one) => {
    if (one === quote) return `\\${one}`;
    if (short[one]) return short[one];
    if (!/[\p{C}\p{Z}]/u.test(one) || one === " ") return one;
    const code = one.codePointAt(0)?.toString(16) ?? "";
    if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
  };
  return quote + [...text].map(escape).join("") + quote;
}

/**
 * What is said of a name that is not among the choices; see artsearch/base/errors.py.
 * @param {string} kind @param {string} value @param {string[]} choices
 */
function unknown(kind, value, choices) {
  const close = findClose(value, choices);
  const guess = close ? `; did you mean ${repr(cutText(close, 200))}?` : ";";
  let length = 0;
  const shown = choices.filter((choice) => (length += choice.length) < 500);
  const more = shown.length < choices.length ? `, … (${choices.length} in all)` : "";
  const known = tidyBlanks(shown.join(", "));
  return new Refusal(`unknown ${kind} ${repr(cutText(value, 200))}${guess} known: ${known}${more}`);
}

/** @param {string} text @param {number} most */
function cutText(text, most) {
  const all = [...text];
  return all.length <= most ? text : `${all.slice(0, most - 1).join("")}…`;
}

/**
 * The choice that is likely meant, or "": by the whole, a part, or a word of it.
 * @param {string} value @param {string[]} choices
 */
function findClose(value, choices) {
  if (choices.length > 5_000) {
    const start = value.slice(0, 2).toLowerCase();
    choices = choices.filter((one) => one.slice(0, 2).toLowerCase() === start).slice(0, 5_000);
  }
  const part = value.toLowerCase().slice(0, 200);
  const words = new Map(choices.flatMap((choice) => (
    tidyBlanks(choice).split(" ").map((word) => [word.toLowerCase(), choice]))));
  return closest(value.slice(0, 200), choices)
    ?? (part.length > 2 ? choices.find((one) => one.toLowerCase().includes(part)) : undefined)
    ?? words.get(closest(part, [...words.keys()]) ?? "") ?? "";
}

/**
 * The text that has most in common with another: Ratcliff and Obershelp, as Python's difflib has it.
 * @param {string} word @param {string[]} choices
 */
function closest(word, choices) {
  const own = [...word];
  let [best, score] = [/** @type {string | undefined} */ (undefined), 0.6];
  for (const choice of choices) {
    const other = [...choice];
    const all = own.length + other.length;
    const most = (2 * Math.min(own.length, other.length)) / (all || 1);
    if (most < score) continue;
    const ratio = all ? (2 * inCommon(other, own)) / all : 1;
    if (ratio > score || (ratio === score && (best === undefined || choice > best))) {
      [best, score] = [choice, ratio];
    }
  }
  return best;
}

/**
 * How many characters stand in the longest common parts.
 * @param {string[]} a @param {string[]} b @returns {number}
 */
function inCommon(a, b) {
  /** @type {number} */
  let size = 0;
  let [endA, endB] = [0, 0];
  let before = new Uint16Array(b.length + 1);
  for (let i = 0; i < a.length; i++) {
    const now = new Uint16Array(b.length + 1);
    for (let j = 0; j < b.length; j++) {
      if (a[i] !== b[j]) continue;
      now[j + 1] = before[j] + 1;
      if (now[j + 1] > size) [size, endA, endB] = [now[j + 1], i + 1, j + 1];
    }
    before = now;
  }
  if (!size) return 0;
  return size + inCommon(a.slice(0, endA - size), b.slice(0, endB - size))
    + inCommon(a.slice(endA), b.slice(endB));
}

/** A number with three digits that say something, as Python's `.3g`. @param {number} number */
function threeDigits(number) {
  return digitsOf(number, 3);
}

/** @param {number} number @param {number} digits */
function digitsOf(number, digits) {
  if (!number) return "0";
  const power = Math.floor(Math.log10(Math.abs(Number(number.toPrecision(digits)))));
  if (power >= -4 && power < digits) return trimZeros(number.toPrecision(digits));
  const [head, tail] = number.toExponential(digits - 1).split("e");
  return `${trimZeros(head)}e${tail[0]}${tail.slice(1).padStart(2, "0")}`;
}

/** @param {string} digits */
function trimZeros(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}
