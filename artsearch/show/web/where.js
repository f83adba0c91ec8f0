// @ts-check
// Conditions on the columns of a collection, in the language of artsearch/works/conditions.py: the
// same conditions, the same works, the same complaints. What both understand stands once, in
// tests/works/conditions.json. A condition is read and becomes a tree; nothing in it is ever run.
//
// Years are read in Python, when the page is written: `years` has what was read in each text.

/**
 * One column compared; `op` is "in", "contains", "<", "<=", ">" or ">=".
 * @typedef {{column: string, op: string, values: (string | number)[]}} Condition
 * @typedef {Condition | {not: Tree} | {both: Tree[]} | {either: Tree[]}} Tree
 */

const LONGEST = 10_000; // characters of the longest condition that is read
const HOW = 'write it as style == "Ukiyo-e" and year >= 1800; there are ==, !=, <, <=, >, >=, in, '
  + "not in, contains, between, and, or, not; texts stand in quotes, a column's name with spaces "
  + "in `…`";
const ORDERS = {
  "<": (/** @type {number} */ a, /** @type {number} */ b) => a < b,
  "<=": (/** @type {number} */ a, /** @type {number} */ b) => a <= b,
  ">": (/** @type {number} */ a, /** @type {number} */ b) => a > b,
  ">=": (/** @type {number} */ a, /** @type {number} */ b) => a >= b,
};
/** @type {Record<string, string>} */
const TURNED = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

const AFTER = "(?![\\p{L}\\p{N}_])"; // where a word ends
const LEXEMES = Object.fromEntries(Object.entries({
  "(": "\\(", ")": "\\)", "[": "\\[", "]": "\\]", ",": ",",
  or: `or${AFTER}|\\|\\|?`,
  and: `and${AFTER}|&&?`,
  not: `not${AFTER}|!(?!=)`,
  never: `not(?=${BLANKS}+(in|contains)${AFTER})`,
  in: `in${AFTER}`,
  contains: `contains${AFTER}`,
  between: `between${AFTER}`,
  equal: "==?|!=|<>",
  order: "<=|>=|<(?!>)|>",
  column: `\`(?:[^\`]|\`\`)+\`|(?!(?:and|or|not|in|contains|between)${AFTER})`
    + "[\\p{L}\\p{Nl}\\p{No}_][\\p{L}\\p{N}_]*",
  text: "\"(?:\\\\.|[^\"\\\\])*\"|'(?:\\\\.|[^'\\\\])*'",
  number: "[-+−]?[0-9]+(?:\\.[0-9]+)?(?:e[-+]?[0-9]+)?",
}).map(([kind, pattern]) => [kind, new RegExp(pattern, "iusy")]));

/**
 * Read a condition; refuses one that cannot be read, with the place.
 * @param {string} where
 * @returns {Tree}
 */
function parseWhere(where) {
  if (where.length > LONGEST) {
    throw new Refusal(`a condition of ${count(where.length)} characters; take 10,000 at most`);
  }
  let place = 0;
  const tree = either();
  if (skipBlanks() < where.length) fail();
  return tree;

  function skipBlanks() {
    while (" \t\f\r\n".includes(where[place] ?? "x")) place += 1;
    return place;
  }

  /** Take the next word if it is of a kind; null if not. @param {string} kind */
  function take(kind) {
    const lexeme = LEXEMES[kind];
    lexeme.lastIndex = skipBlanks();
    const found = lexeme.exec(where);
    if (found) place = lexeme.lastIndex;
    return found && found[0];
  }

  /** @param {string} kind */
  function must(kind) {
    return take(kind) ?? fail();
  }

  /** @returns {never} */
  function fail() {
    const after = where.slice(skipBlanks(), place + 40);
    const found = after.trim() ? `at ${repr(after)}` : "at its end";
    const before = place ? `, after ${repr(where.slice(Math.max(0, place - 40), place))}` : "";
    throw new Refusal(`cannot read the condition ${found}${before}; ${HOW}`);
  }

  /** @returns {Tree} */
  function either() {
    const parts = [both()];
    while (take("or")) parts.push(both());
    return parts.length > 1 ? { either: parts } : parts[0];
  }

  /** @returns {Tree} */
  function both() {
    const parts = [one()];
    while (take("and")) parts.push(one());
    return parts.length > 1 ? { both: parts } : parts[0];
  }

  /** @returns {Tree} */
  function one() {
    if (take("not")) return { not: one() };
    if (take("(")) {
      const inner = either();
      must(")");
      return inner;
    }
    const column = takeColumn();
    if (column !== null) return compared(column);
    const number = takeNumber();
    if (number !== null) {
      const turned = { column: "", op: TURNED[must("order")], values: [number] };
      turned.column = takeColumn() ?? fail();
      const order = take("order");
      if (!order) return turned;
      return { both: [turned, { column: turned.column, op: order, values: [takeNumber() ?? fail()] }] };
    }
    const text = takeText() ?? fail();
    const never = take("never");
    must("in");
    return turn(never, { column: takeColumn() ?? fail(), op: "contains", values: [text] });
  }

  /** @param {string} column @returns {Tree} */
  function compared(column) {
    const equal = take("equal");
    if (equal) return turn(equal === "!=" || equal === "<>", { column, op: "in", values: [value()] });
    const order = take("order");
    if (order) return { column, op: order, values: [takeNumber() ?? fail()] };
    if (take("between")) {
      const first = takeNumber() ?? fail();
      must("and");
      const [low, high] = [first, takeNumber() ?? fail()].sort((a, b) => a - b);
      return { both: [{ column, op: ">=", values: [low] }, { column, op: "<=", values: [high] }] };
    }
    const never = take("never");
    if (take("in")) return turn(never, { column, op: "in", values: list() });
    must("contains");
    return turn(never, { column, op: "contains", values: [takeText() ?? fail()] });
  }

  function list() {
    const end = take("[") ? "]" : must("(") && ")";
    /** @type {(string | number)[]} */
    const values = [];
    if (end === "]" && take(end)) return values;
    do {
      if (values.length && take(end)) return values;
      values.push(value());
    } while (take(","));
    must(end);
    return values;
  }

  /** @returns {string | number} */
  function value() {
    return takeText() ?? takeNumber() ?? fail();
  }

  function takeColumn() {
    const name = take("column");
    return name?.startsWith("`") ? name.slice(1, -1).replaceAll("``", "`") : name;
  }

  function takeText() {
    const quoted = take("text");
    return quoted === null ? null : quoted.slice(1, -1).replace(/\\(.)/gs, "$1");
  }

  function takeNumber() {
    const digits = take("number");
    return digits === null ? null : Number(digits.replace("−", "-"));
  }
}

/** @param {unknown} never @param {Tree} tree @returns {Tree} */
function turn(never, tree) {
  return never ? { not: tree } : tree;
}

/**
 * Return a condition as it is kept: without blanks round it, and checked.
 * @param {string} where
 */
function checkWhere(where) {
  const text = where.trim();
  if (text) parseWhere(text);
  return text;
}

/** The table of a collection as conditions need it; what is derived from it is made once. */
class Columns {
  /**
   * @param {Record<string, string[]>} texts of each column, in the order of the works
   * @param {Record<string, [number[], number[], number[]]>} years of a column: the rows in whose
   *   texts years or a number were read, the first and the last of each
   */
  constructor(texts, years) {
    this._texts = texts;
    this._years = years;
    this.length = Object.values(texts)[0]?.length ?? 0;
    /** @type {Map<string, any>} */
    this._made = new Map();
  }

  /** The texts of a column; refuses one that is not there. @param {string} column */
  texts(column) {
    if (!Object.hasOwn(this._texts, column)) {
      throw unknown("column", column, ["id", ...Object.keys(this._texts)]);
    }
    return this._texts[column];
  }

  /**
   * The first and the last year, or number, of each text; NaN where none is read.
   * @param {string} column @returns {[Float64Array, Float64Array]}
   */
  years(column) {
    const { length } = this.texts(column);
    return this._once(`years ${column}`, () => {
      const ends = [new Float64Array(length).fill(NaN), new Float64Array(length).fill(NaN)];
      const [rows, ...read] = this._years[column] ?? [[], [], []];
      rows.forEach((row, i) => ends.forEach((end, which) => { end[row] = read[which][i]; }));
      return ends;
    });
  }

  /** The texts of a column, folded. @param {string} column @returns {string[]} */
  folded(column) {
    const texts = this.texts(column);
    return this._once(`folded ${column}`, () => {
      const known = new Map([...new Set(texts)].map((text) => [text, fold(text)]));
      return texts.map((text) => known.get(text));
    });
  }

  /**
   * The values of a column, folded, and how each is written most often; "" is none.
   * @param {string} column @returns {Map<string, string>}
   */
  names(column) {
    const texts = this.texts(column);
    return this._once(`names ${column}`, () => {
      const often = countAll(texts.map(tidyBlanks));
      const spelt = new Map();
      for (const [text] of [...often].sort(([, a], [, b]) => b - a)) {
        const name = fold(text);
        if (name && !spelt.has(name)) spelt.set(name, text);
      }
      return spelt;
    });
  }

  /** @param {string} key @param {() => any} make */
  _once(key, make) {
    if (!this._made.has(key)) this._made.set(key, make());
    return this._made.get(key);
  }
}

/**
 * Which works match a condition: 1 for each that does.
 * @param {Tree} tree @param {Columns} columns @returns {Uint8Array}
 */
function maskOf(tree, columns) {
  if ("not" in tree) return maskOf(tree.not, columns).map((one) => 1 - one);
  if ("both" in tree || "either" in tree) {
    const parts = "both" in tree ? tree.both : tree.either;
    const masks = parts.map((part) => maskOf(part, columns));
    const every = "both" in tree;
    return masks.reduce((a, b) => a.map((one, row) => (every ? one & b[row] : one | b[row])));
  }
  const { column, op, values } = tree;
  checkCondition(tree, columns);
  if (op in ORDERS) {
    const [first, last] = columns.years(column);
    const compare = ORDERS[/** @type {keyof ORDERS} */ (op)];
    const ends = op[0] === "<" ? first : last;
    return Uint8Array.from(ends, (end) => Number(compare(end, Number(values[0]))));
  }
  const folded = columns.folded(column);
  if (op === "contains") {
    const part = fold(String(values[0]));
    return Uint8Array.from(folded, (text) => Number(text.includes(part)));
  }
  const texts = new Set(values.filter(isText).map(fold));
  const numbers = values.filter(isNumber);
  if (!numbers.length) return Uint8Array.from(folded, (text) => Number(texts.has(text)));
  const [first, last] = columns.years(column);
  const within = (/** @type {number} */ row) => (
    numbers.some((number) => first[row] <= number && number <= last[row]));
  return Uint8Array.from(folded, (text, row) => Number(texts.has(text) || within(row)));
}

/** Refuse a column that is not there, and a text that no work has. */
function checkCondition(/** @type {Condition} */ { column, op, values }, /** @type {Columns} */ columns) {
  columns.texts(column);
  if (op !== "in") return;
  const names = columns.names(column);
  for (const text of values.filter(isText)) {
    if (fold(text) && !names.has(fold(text))) {
      throw unknown(column, text, [...names.values()].sort(byCharacter));
    }
  }
}

/** The conditions of a tree. @param {Tree} tree @returns {Condition[]} */
function leavesOf(tree) {
  if ("not" in tree) return leavesOf(tree.not);
  if ("both" in tree) return tree.both.flatMap(leavesOf);
  return "either" in tree ? tree.either.flatMap(leavesOf) : [tree];
}

/**
 * For each column compared with numbers the texts in which none is read, counted.
 * @param {Tree} tree @param {Columns} columns @returns {Map<string, Map<string, number>>}
 */
function countUnread(tree, columns) {
  const compared = leavesOf(tree).filter(({ op, values }) => (
    op in ORDERS || (values.some(isNumber) && !values.some(isText))));
  const names = [...new Set(compared.map(({ column }) => column))].sort(byCharacter);
  const unread = new Map();
  for (const column of names) {
    const [first] = columns.years(column);
    const texts = columns.texts(column).filter((_, row) => Number.isNaN(first[row]));
    if (texts.length) unread.set(column, countAll(texts.map((text) => text.trim())));
  }
  return unread;
}
