// @ts-check
// The judging screen as a page of its own: votes are kept in this browser, each under a key of its
// own, so that two windows take nothing from each other; they leave it as a file that the judge saves.

const KEPT = "artsearch-vote";

/**
 * @typedef {Record<string, any>} Row of the table of votes, by column
 * @typedef {{set: string, questions: Choosing[], rows: Row[], words: Record<string, string>,
 *   block: number, pictures: string[], columns: string[]}} QuestionSet as data/questions.js has it
 */

/** Called by data/questions.js. @param {string} _ @param {any} data */
function receive(_, data) {
  const main = /** @type {HTMLElement} */ (document.getElementById("judge"));
  const kept = createVotes(data);
  createJudge(main, {
    questions: data.questions,
    words: data.words,
    block: data.block,
    judge: "",
    get said() {
      return kept.isKept()
        ? "Votes are kept in this browser, and nothing leaves this machine: when you stop, save " +
          "them as a file, and hand it to whoever asked you."
        : "This browser does not keep your votes: save them as a file before you close the page. " +
          "Nothing leaves this machine.";
    },
    isKept: kept.isKept,
    picture: async (name) => {
      const [kind, number] = name.split("/");
      const picture = data.pictures[number];
      return `judging/${kind === "thumb" ? "thumbs" : "images"}/${picture.slice(0, 2)}/${picture}.jpg`;
    },
    begin: async (judge) => progressOf(judge, kept.held(), data),
    vote: async (vote) => kept.add(toRow(vote, data)),
    undo: async (judge, id) => {
      const last = kept.held().find((row) => row.id === id);
      const time = new Date().toISOString().replace("Z", "+00:00");
      if (last) kept.add({ ...last, answer: "undo", undoes: id, id: newId(), time });
    },
    save: () => {
      const table = new Blob([toCsv(kept.all(), data.columns)], { type: "text/csv" });
      saveFile(`votes-${data.set}.csv`, table);
      kept.saved();
    },
    leave: () => {},
  });
}

/**
 * The votes of a set in this browser, or in this page alone where it keeps nothing.
 * @param {QuestionSet} data
 */
function createVotes({ set }) {
  /** @type {Map<string, Row>} */
  const here = new Map(); // what the browser did not take
  let unsaved = false;
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

  /** @param {Row} row */
  function add(row) {
    const key = `${KEPT}-${set}-${row.id}`;
    try {
      localStorage.setItem(key, JSON.stringify(row));
    } catch {
      here.set(key, row);
      unsaved = true;
    }
  }

  /**
   * All rows by time, those that were taken back and those that did so among them.
   * @returns {Row[]}
   */
  function all() {
    let rows = [...here.values()];
    try {
      const mine = Object.keys(localStorage).filter((key) => key.startsWith(`${KEPT}-${set}-`));
      rows = [...rows, ...mine.flatMap((key) => JSON.parse(localStorage.getItem(key) ?? "[]"))];
    } catch { /* then those of this page are all there are */ }
    return rows.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  }

  function held() {
    const rows = all();
    const gone = new Set(rows.map(({ undoes }) => undoes).filter(Boolean));
    return rows.filter(({ answer, id }) => answer !== "undo" && !gone.has(id));
  }

  function isKept() {
    try {
      localStorage.setItem(KEPT, "");
      localStorage.removeItem(KEPT);
      return !here.size;
    } catch {
      return false;
    }
  }

  return { add, all, held, isKept, saved: () => { unsaved = false; } };
}

/**
 * How far a judge has come, as questions.py tells it of a table.
 * @param {string} judge @param {Row[]} rows @param {QuestionSet} data
 */
function progressOf(judge, rows, data) {
  const names = ["kind", "question", "query", "first", "second", "left", "why"];
  const asked = (/** @type {Row} */ row) => names.map((name) => row[name]).join("\n");
  const places = new Map();
  data.rows.forEach((row, at) => places.set(asked(row), [...(places.get(asked(row)) || []), at]));
  /** @type {Done} */
  const done = [];
  for (const row of rows.filter((one) => one.judge === judge)) {
    const waiting = places.get(asked(row));
    if (waiting?.length) done.push({ at: waiting.shift(), id: row.id });
  }
  return { done, tried: rows.filter((one) => one.judge === judge && one.why === "tried").length };
}

/**
 * A vote as a row of the table; which of the two works stood left is known of each question.
 * @param {Vote} vote @param {QuestionSet} data
 */
function toRow({ judge, at, tried, answer, seconds, id, time }, { rows, set }) {
  const asked = tried
    ? { kind: "triplet", question: tried.question, query: tried.query, first: tried.left[0],
      second: tried.right[0], left: "first", why: "tried" }
    : rows[/** @type {number} */ (at)];
  const right = asked.left === "first" ? "second" : "first";
  /** @type {Row} */
  const answers = { left: asked.left, right };
  return { ...asked, judge, answer: answers[answer] || answer, seconds, choice: set, time, id };
}

/** @param {Row[]} rows @param {string[]} columns */
function toCsv(rows, columns) {
  const cell = (/** @type {string} */ value) => (
    /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const line = (/** @type {Row} */ row) => (
    columns.map((name) => cell(String(row[name] ?? ""))).join(","));
  return [columns.join(","), ...rows.map(line)].join("\n") + "\n";
}
