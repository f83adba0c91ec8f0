// @ts-check
// The judging screen, the same in the notebook's widget, in the app and on the static page.
//
// createJudge(root, room) fills `root`, and returns what ends it. A room is
//
//   questions       [{kind, question, query, left, right}]: a picture's name, and two lists of names
//   words, block    how each question reads, and the answers after which there is a pause
//   judge, said     the name to begin with, or ""; where the votes go, in a sentence
//   isKept()        whether votes are kept when the screen is closed without more ado
//   picture(name)   a promise of a picture's address, "" where it cannot be read
//   begin(judge)    a promise of {done: [{at, id}], tried}: the questions that she answered before,
//                   by their place, and how many examples she tried
//   vote(vote)      a promise kept when {judge, at, tried, answer, seconds, id, time} is kept for good
//   undo(judge, id) a promise kept when that vote is taken back
//   save, leave     functions, or null: to save the votes as a file, and to let another judge in
//
// Needs gallery.js above it. A classic script without import or export, so that it also works from
// file://. A picture is called "the work", "left" or "right", and nothing else is known of it here.

/**
 * @typedef {{kind: string, question: string, query: string, left: string[],
 *   right: string[]}} Choosing
 * @typedef {Choosing & {answer: string, why: string}} Example
 * @typedef {{at?: number, tried?: Example}} Turn a question by its place, or an example
 * @typedef {Turn & {judge: string, answer: string, seconds: number, id: string, time: string}} Vote
 * @typedef {{at: number, id: string}[]} Done
 *
 * @typedef {Object} Room
 * @property {Choosing[]} questions
 * @property {Record<string, string>} words
 * @property {number} block
 * @property {string} judge
 * @property {string} said
 * @property {() => boolean} isKept
 * @property {(name: string) => Promise<string>} picture
 * @property {(judge: string) => Promise<{done: Done, tried: number}>} begin
 * @property {(vote: Vote) => Promise<void>} vote
 * @property {(judge: string, id: string) => Promise<void>} undo
 * @property {(() => void) | null} save
 * @property {(() => void) | null} leave
 */

/* exported createJudge */
const AHEAD = 3; // questions whose pictures are fetched beforehand
const BLINK = 150; // milliseconds in which nobody sees three pictures: a key that bounces is no vote
const AGAIN = 4000; // milliseconds until a vote that could not be kept is tried again
/** @type {Record<string, string>} */
const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "equal", e: "equal", ArrowDown: "neither",
  n: "neither", u: "undo", Backspace: "undo", p: "pause", Enter: "go", " ": "go",
};
/** @type {Record<string, string>} */
const ADVICE = {
  what: "Look for what is to be seen: people, things, a place. How it is made does not count.",
  how: "Look at line, brush, colour and surface. What is to be seen does not count.",
  whole: "Look at everything at once, as you would on a wall.",
};
/** @type {Record<string, string>} */
const NAMED = {
  left: "the left one", right: "the right one", equal: "both alike", neither: "neither",
};

/** @param {HTMLElement} root @param {Room} room */
function createJudge(root, room) {
  /** @type {Map<string, Promise<string>>} */
  const addresses = new Map(); // of pictures, by name: promises
  /** @type {Map<Turn, Promise<[HTMLImageElement | null, ...(HTMLImageElement | null)[][]]>>} */
  const ready = new Map(); // the pictures of questions to come, by item
  let judge = room.judge;
  /** @type {Turn[]} */
  let queue = []; // what is still to be asked: {at} or {tried}
  /** @type {(Turn & {id: string})[]} */
  let history = []; // what was answered: {at or tried, id}
  let screen = ""; // name, intro, question, explained, pause, end
  let turn = 0; // whoever comes back from waiting and finds another turn has nothing to do any more
  let since = 0; // when the clock was started
  let before = 0; // milliseconds on the clock before a pause
  let inBlock = 0; // answers since the last pause
  let busy = false; // whether an answer or an undo is on its way to be kept
  let pressed = 0; // when the last answer was given, until the next pictures are seen
  let ended = false; // whether this screen is gone
  /** @type {(value?: any) => void} */
  let hurry = () => {}; // ends the waiting before a vote is tried again
  const parts = build();
  root.replaceChildren(parts.frame);
  document.addEventListener("keydown", heedKey);
  document.addEventListener("visibilitychange", heedHiding);
  if (judge) enter(judge);
  else askName();
  return () => {
    turn += 1;
    ended = true;
    document.removeEventListener("keydown", heedKey);
    document.removeEventListener("visibilitychange", heedHiding);
  };

  // ---- what is there once ---------------------------------------------------------------------

  function build() {
    /** @type {Parts} */
    const parts = {};
    parts.count = make("span", { class: "aj-count", "data-part": "count" });
    parts.bar = make("progress", { class: "aj-progress", "aria-hidden": "true", max: 1, value: 0 });
    parts.undo = button("Undo", { "data-part": "undo", title: "U or Backspace", click: undo });
    parts.pause = button("Pause", { "data-part": "pause", title: "P", click: () => pause() });
    parts.top = make("div", { class: "as-bar aj-top", hidden: "" },
      parts.count, parts.bar, parts.undo, parts.pause);
    parts.stage = make("div", { class: "aj-stage" });
    parts.said = make("span", {});
    parts.retry = button("Try again", { "data-part": "retry", click: () => hurry() });
    parts.error = make("p", { class: "as-error", role: "alert", hidden: "" },
      parts.said, " ", parts.retry);
    parts.frame = make("div", {
      class: "artsearch aj", tabindex: "-1", "data-lm-suppress-shortcuts": "true",
    }, parts.top, parts.error, parts.stage);
    return parts;
  }

  /**
   * Show another screen; whoever waits for something of the last one need not.
   * @param {string} name @param {Node[]} children
   */
  function show(name, ...children) {
    turn += 1;
    screen = name;
    Object.assign(parts.frame.dataset, { screen, state: "shown" });
    parts.top.hidden = name === "name" || name === "intro";
    parts.undo.disabled = !history.length;
    parts.pause.hidden = name !== "question" && name !== "explained";
    const total = room.questions.length;
    const done = history.filter(({ at }) => at !== undefined).length;
    const trying = screen === "explained" || queue[0]?.tried !== undefined;
    const number = screen === "question" && !trying ? done + 1 : done;
    parts.count.textContent = trying ? "To try out" : `${number} of ${total.toLocaleString("en")}`;
    parts.bar.value = done / Math.max(total, 1);
    parts.stage.replaceChildren(...children);
    // The keys are the judge's at once, without a click, but never taken out of another cell.
    const focused = document.activeElement;
    if (!focused || focused === document.body || parts.frame.contains(focused)) {
      (parts.stage.querySelector("[autofocus]") || parts.frame).focus({ preventScroll: true });
      parts.frame.scrollIntoView({ block: "nearest" });
    }
    return turn;
  }

  /** @param {string | (string | Node)[]} title @param {Node[]} children */
  function page(title, ...children) {
    return make("div", { class: "aj-page" }, make("h2", {}, ...[title].flat()), ...children);
  }

  /** The button that leads on, as Enter does. @param {string} text @param {() => void} click */
  function goes(text, click) {
    return button(text, { class: "as-button aj-go", "data-part": "go", click });
  }

  /** @param {string} text */
  function tell(text, again = false) {
    parts.said.textContent = text;
    parts.error.hidden = !text;
    parts.retry.hidden = !again;
  }

  // ---- who judges, and how --------------------------------------------------------------------

  function askName() {
    tell("");
    const take = () => {
      if (name.value.trim()) enter(name.value.trim());
      else name.focus();
    };
    const name = make("input", {
      class: "aj-name", type: "text", maxlength: 60, autofocus: "", autocomplete: "off",
      spellcheck: "false", "aria-label": "Name or number",
      // Not by a form: JupyterLab lets none be sent by Enter.
      keydown: ({ key }) => { if (key === "Enter") take(); },
    });
    const line = make("div", { class: "as-bar" }, name, goes("Go on", take));
    show("name", page("Who judges?",
      make("p", {}, "A name or a number, the same whenever you come back: you go on where you were."),
      line,
      make("p", { class: "as-quiet" }, room.said)));
  }

  /** Find out how far a judge has come, and welcome her. @param {string} name */
  async function enter(name) {
    judge = name;
    [before, inBlock, pressed] = [0, 0, 0];
    const mine = show("intro", page("One moment …"));
    try {
      const { done, tried } = await room.begin(judge);
      if (turn !== mine) return;
      history = done.map(({ at, id }) => ({ at, id }));
      const answered = new Set(done.map(({ at }) => at));
      queue = room.questions.map((_, at) => ({ at })).filter(({ at }) => !answered.has(at));
      const examples = examplesFor(room.questions).map((example) => ({ tried: example }));
      if (!tried && !done.length) queue = [...examples, ...queue];
      tell("");
      welcome();
    } catch (/** @type {any} */ error) {
      if (turn !== mine) return;
      askName();
      tell(error.message);
    }
  }

  function welcome() {
    preload();
    const { length } = room.questions;
    const left = queue.filter(({ at }) => at !== undefined).length;
    if (!queue.length) return end();
    const isNew = queue[0].tried !== undefined;
    const skip = () => { queue = queue.filter(({ at }) => at !== undefined); pause("begin"); };
    show("intro", page(isNew ? `Welcome, ${judge}` : `Welcome back, ${judge}`,
      make("p", {}, "You see a work, and two others beside it. Say which of the two is more like it. " +
        "There is no right answer: what counts is what you see. Take the first impression; " +
        "three seconds are enough."),
      make("dl", { class: "aj-keys" }, .../** @type {[string[], string][]} */ ([
        [["←", "→"], "the left, the right one; or click or touch it"],
        [["↑", "E"], "equal: both are like it in the same measure"],
        [["↓", "N"], "neither: none of the two is like it"],
        [["U"], "undo, as often as you like"],
        [["P"], room.isKept() ? "a pause; you may also just close the page" : "a pause"],
      ]).flatMap(([keys, text]) => [
        make("dt", {}, ...keys.map((key) => make("kbd", {}, key))), make("dd", {}, text)])),
      make("p", { class: "aj-touch" }, "Touch the one that is more like it. “Equal”: both are like it " +
        "in the same measure. “Neither”: none of the two is. “Undo” takes back as often as you like" +
        (room.isKept() ? "; you may close the page at any time." : ".")),
      make("p", {}, isNew
        ? `First three examples to try; then ${length.toLocaleString("en")} questions in small portions.`
        : `You have answered ${(length - left).toLocaleString("en")} of ${length.toLocaleString("en")}.`),
      make("div", { class: "as-bar" }, goes(isNew ? "Try three examples" : "Go on", () => ask()),
        ...(isNew ? [button("Skip them", { "data-part": "skip", click: skip })] : []), ...others()),
      make("p", { class: "as-quiet" }, room.said)));
  }

  /** Buttons for what can be done where nothing is asked. */
  function others() {
    return [
      ...(room.save && history.length
        ? [button("Save votes", { "data-part": "save", click: () => room.save?.() })] : []),
      ...(room.leave ? [button("Another judge", { "data-part": "leave", click: leave })] : []),
    ];
  }

  function leave() {
    history = [];
    queue = [];
    judge = "";
    room.leave?.();
    askName();
  }

  // ---- a question -----------------------------------------------------------------------------

  /** @param {Turn} item */
  function questionOf(item) {
    return item.tried || room.questions[/** @type {number} */ (item.at)];
  }

  /** A line that asks; the words that matter are set apart. @param {Choosing} asked */
  function line({ kind, question }) {
    const which = kind === "rows" ? "Which group goes better with it " : "Which is more like it ";
    return [which, make("em", {}, room.words[question]), "?"];
  }

  /**
   * Promise the pictures of a question, decoded: an element for each name, null for a failure.
   * @param {Turn} item
   */
  function pictures(item) {
    const known = ready.get(item);
    if (known) return known;
    const { query, left, right } = questionOf(item);
    const addressOf = (/** @type {string} */ name) => {
      if (item.tried) return exampleAddress(name);
      const address = addresses.get(name) ?? room.picture(name);
      addresses.set(name, address);
      return address;
    };
    /** @type {(name: string, alt: string) => Promise<HTMLImageElement | null>} */
    const one = async (name, alt) => {
      const address = await addressOf(name);
      if (!address) return null;
      const img = make("img", { alt, draggable: "false" });
      img.src = address;
      return img.decode().then(() => img, () => null);
    };
    /** @type {(names: string[], side: string) => Promise<(HTMLImageElement | null)[]>} */
    const all = (names, side) => Promise.all(names.map((name) => one(name, side)));
    const promise = Promise.all([one(query, "the work"), all(left, "left"), all(right, "right")]);
    ready.set(item, promise);
    return promise;
  }

  function preload() {
    const near = queue.slice(0, AHEAD + 1);
    for (const item of ready.keys()) if (!near.includes(item)) ready.delete(item);
    near.forEach((item) => pictures(item).catch(() => {}));
  }

  async function ask() {
    if (!queue.length) return end();
    const item = queue[0];
    const question = questionOf(item);
    turn += 1;
    const mine = turn;
    screen = "waiting";
    let found;
    try {
      found = await pictures(item);
    } catch (/** @type {any} */ error) {
      // The pictures come over the same wire as the answers: both are tried again.
      ready.delete(item);
      [question.query, ...question.left, ...question.right].forEach((name) => addresses.delete(name));
      if (turn !== mine) return;
      tell(`${error.message} `, true);
      await wait();
      if (turn === mine) ask();
      return;
    }
    if (turn !== mine) return;
    const [query, left, right] = found;
    if (!query || [...left, ...right].includes(null)) {
      queue.shift(); // a picture that cannot be read: the question waits for another day
      return ask();
    }
    tell("");
    startClock(show("question", ...look(question, query, left, right)));
    preload();
  }

  /** Start the clock of a question as soon as it is seen. @param {number} mine */
  async function startClock(mine) {
    await painted();
    if (pressed) performance.measure("vote", { start: pressed, end: performance.now() });
    pressed = 0;
    since = performance.now();
    await sleep(BLINK);
    if (turn === mine) parts.frame.dataset.state = "open";
  }

  /**
   * @param {Choosing} question @param {Node} query @param {(Node | null)[]} left
   * @param {(Node | null)[]} right
   */
  function look(question, query, left, right) {
    const rows = question.kind === "rows";
    /** @type {(name: string, images: any[]) => Node} */
    const side = (name, images) => make("button", {
      type: "button", class: "aj-side", "data-answer": name, "aria-label": NAMED[name],
      click: () => answer(name),
    }, make("span", { class: "aj-pictures" }, ...images),
    make("span", { class: "aj-label", "aria-hidden": "true" }, name === "left" ? "← left" : "right →"));
    /** @type {(name: string, text: string, key: string) => Node} */
    const quiet = (name, text, key) => button(text, {
      class: "as-button aj-answer", "data-answer": name, title: key, click: () => answer(name),
    });
    return [
      make("p", { class: "aj-question", "data-part": "question" }, ...line(question)),
      make("div", { class: rows ? "aj-works aj-rows" : "aj-works" },
        make("div", { class: "aj-query" }, query), side("left", left), side("right", right)),
      make("div", { class: "aj-answers" },
        quiet("equal", "↑ equal", "arrow up, or E"), quiet("neither", "↓ neither", "arrow down, or N")),
    ];
  }

  /** @param {string} what */
  async function answer(what) {
    if (screen !== "question" || parts.frame.dataset.state !== "open" || busy) return;
    const item = queue[0];
    const { tried } = item;
    pressed = performance.now();
    const vote = {
      judge, at: item.at, tried, answer: what, id: newId(),
      seconds: Math.round(before + pressed - since) / 1000,
      time: new Date().toISOString().replace("Z", "+00:00"),
    };
    mark(what);
    await keep(() => room.vote(vote), "Your vote is held here and tried again.");
    before = 0;
    inBlock += tried ? 0 : 1;
    history.push({ ...item, id: vote.id });
    queue.shift();
    if (tried) return explain(tried, what);
    return goOn(questionOf(item));
  }

  /** @param {string} what */
  function mark(what) {
    parts.frame.dataset.state = "kept";
    parts.stage.querySelector(`[data-answer=${what}]`)?.classList.add("aj-chosen");
  }

  /**
   * Do what must not be lost until it is done; say what keeps it from being so.
   * @param {() => Promise<void>} act @param {string} held
   */
  async function keep(act, held) {
    busy = true;
    for (;;) {
      try {
        await act();
        break;
      } catch (/** @type {any} */ error) {
        tell(`${error.message} ${held}`, true);
        await wait();
        if (ended) await new Promise(() => {});
      }
    }
    busy = false;
    tell("");
  }

  function wait() {
    return Promise.race([sleep(AGAIN), new Promise((done) => { hurry = done; })]);
  }

  /**
   * The next question, or a pause before it: after a block, and where another thing is asked.
   * @param {Choosing} last
   */
  function goOn(last) {
    if (!queue.length) return end();
    const next = questionOf(queue[0]);
    const other = next.question !== last.question || next.kind !== last.kind;
    return other || inBlock >= room.block ? pause(other ? "other" : "block") : ask();
  }

  async function undo() {
    const isAsked = screen === "question" && parts.frame.dataset.state !== "kept";
    if (busy || !history.length || !(isAsked || ["explained", "pause", "end"].includes(screen))) return;
    const { id, ...item } = history[history.length - 1];
    parts.frame.dataset.state = "kept";
    await keep(() => room.undo(judge, id), "It is tried again.");
    history.pop();
    queue.unshift(item);
    before = 0;
    inBlock = Math.max(0, inBlock - 1);
    preload();
    ask();
  }

  // ---- between questions ----------------------------------------------------------------------

  /** @param {Example} example @param {string} given */
  function explain(example, given) {
    pressed = 0;
    const isSame = given === example.answer;
    const isLast = queue[0]?.tried === undefined;
    const next = () => (isLast ? pause("begin") : ask());
    /** @type {(name: string, drawing: string) => Node} */
    const figure = (name, drawing) => make("div", { class: name === example.answer ? "aj-taken" : "" },
      make("img", { alt: name, src: exampleAddress(drawing) }));
    show("explained",
      make("p", { class: "aj-question" }, ...line(example)),
      make("div", { class: "aj-small" }, figure("left", example.left[0]),
        figure("the work", example.query), figure("right", example.right[0])),
      make("div", { class: "aj-page" },
        make("p", {}, make("strong", {}, isSame ? "As most would: " : "Most would say: "),
          `${NAMED[example.answer]}. ${example.why}`,
          isSame ? "" : ` You said: ${NAMED[given]}.`),
        make("div", { class: "as-bar" }, goes(isLast ? "Go on" : "Next example", next))));
  }

  /** @param {"asked" | "block" | "begin" | "other"} why */
  function pause(why = "asked") {
    if (busy || (why === "asked" && screen !== "question" && screen !== "explained")) return;
    if (why === "asked" && screen === "question" && parts.frame.dataset.state === "open") {
      before += performance.now() - since;
    }
    pressed = 0;
    inBlock = 0;
    if (!queue.length) { end(); return; }
    const next = questionOf(queue[0]);
    const titles = { asked: "A pause", block: "A short pause", begin: "Now it begins", other: "Now another question" };
    show("pause", page(titles[why],
      make("p", { class: "aj-question" }, ...line(next)),
      make("p", {}, ADVICE[next.question],
        next.kind === "rows" ? " You see two groups of works; judge each as a whole." : ""),
      make("div", { class: "as-bar" }, goes(why === "begin" ? "Begin" : "Go on", () => ask()),
        ...(why === "begin" ? [] : others())),
      make("p", { class: "as-quiet" }, "Enter or the space bar goes on. ",
        why === "begin" ? "" : room.isKept()
          ? "All your votes so far are kept; you may also stop here." : room.said)));
  }

  function end() {
    pressed = 0;
    const done = history.filter(({ at }) => at !== undefined).length;
    const left = room.questions.length - done;
    show("end", page(`Thank you, ${judge}`,
      make("p", {}, `That was all: ${countOf(done, "vote")}. `,
        left ? `${countOf(left, "question")} had a picture that cannot be read.` : ""),
      make("div", { class: "as-bar" }, ...others()),
      make("p", { class: "as-quiet" }, room.said)));
  }

  // ---- keys -----------------------------------------------------------------------------------

  /** @param {any} event */
  function heedKey(event) {
    const { target, key } = event;
    // Where nothing has the focus, keys are for the only judging screen of a page.
    const isFree = target === document.body && document.querySelectorAll(".aj").length === 1;
    if (!(isFree || parts.frame.contains(target)) || target.matches("input")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const what = KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (!what) return;
    if (what === "go") {
      // A button that has the focus does what it says; else it is the one that leads on.
      if (target.matches("button") && parts.frame.contains(target)) return;
      parts.stage.querySelector("[data-part=go]")?.click();
    }
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return; // a key held down is one vote
    if (what === "undo") undo();
    else if (what === "pause") pause();
    else if (what !== "go") answer(what);
  }

  function heedHiding() {
    if (document.hidden) pause(); // the clock is not to run while nobody looks
  }
}

/** @param {number} milliseconds */
function sleep(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Promise that what was put into the page is on the screen. */
function painted() {
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

/** 32 hexadecimal digits by chance; crypto.randomUUID is not there on plain http. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
}

// ---- three examples to try, drawn here: a motif in a manner ------------------------------------

/**
 * Three examples for the questions that a set asks, with what most would say, and why.
 * @param {Choosing[]} questions @returns {Example[]}
 */
function examplesFor(questions) {
  const asked = [...new Set(questions.map(({ question }) => question))];
  /** @type {(...rest: [string, string, string, string, string, string]) => Example} */
  const one = (question, query, left, right, answer, why) =>
    ({ kind: "triplet", question, query, left: [left], right: [right], answer, why });
  /** @type {Record<string, Example>} */
  const of = {
    what: one("what", "tree-dots", "tree-lines", "boat-dots", "left",
      "Both show a tree; that one is made of dots and the other of lines does not count."),
    how: one("how", "tree-dots", "tree-lines", "boat-dots", "right",
      "Both are made of dots; that it is a boat does not count."),
    whole: one("whole", "boat-lines", "house-flat", "boat-lines-again", "right",
      "It shows the same, made in the same way."),
  };
  const first = asked[0];
  const more = [
    one(first, "house-flat", "tree-lines", "boat-dots", "neither",
      "Another thing in another manner: none of the two is like it. Where both are like it in the " +
      "same measure, it is “equal”."),
    one(first, "tree-lines", "tree-lines-again", "tree-lines-more", "equal",
      "Both are like it in the same measure. Where none is like it, it is “neither”."),
  ];
  return [...asked.map((question) => of[question]), ...more].slice(0, 3);
}

/**
 * The address of a drawing, such as "tree-dots": no file, and no work of any collection.
 * @param {string} name
 */
function exampleAddress(name) {
  const [motif, manner, which] = name.split("-");
  /** @type {Record<string, string>} */
  const shapes = {
    tree: "M150 30c60 0 95 45 80 90c-8 28-34 40-62 40v95h-36v-95c-28 0-54-12-62-40c-15-45 20-90 80-90z",
    boat: "M40 190h220l-40 62h-140zM140 40h16v140h-16zM164 52l78 112h-78zM132 76v88h-66z",
    house: "M50 140l100-92l100 92v112h-70v-66h-60v66h-70z",
  };
  /** @type {Record<string, string>} */
  const inks = { dots: "#31547a", lines: "#7c3b2c", flat: "#4d6b3c" };
  const ink = inks[manner];
  /** @type {Record<string, string>} */
  const fills = {
    dots: `<pattern id="p" width="13" height="13" patternUnits="userSpaceOnUse"><circle cx="6.5" cy="6.5" r="4.6" fill="${ink}"/></pattern>`,
    lines: `<pattern id="p" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(35)"><path d="M0 4.500h9" stroke="${ink}" stroke-width="3.200"/></pattern>`,
    flat: `<pattern id="p" width="9" height="9" patternUnits="userSpaceOnUse"><path d="M0 0h9v9h-9z" fill="${ink}"/></pattern>`,
  };
  /** @type {Record<string, string>} */
  const turns = { again: "translate(300 0) scale(-1 1)", more: "translate(24 24) scale(.84)" };
  const [fill, turn] = [fills[manner], turns[which] || ""];
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="600" viewBox="0 0 300 300"><defs>${fill}</defs>` +
    `<path d="M0 0h300v300h-300z" fill="#f3eee2"/><path d="${shapes[motif]}" fill="url(#p)" transform="${turn}"/></svg>`)}`;
}
