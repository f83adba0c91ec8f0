// @ts-check
// The gallery's questions: all that can be asked beside "what is near this work".
//
// gallery.js calls createAsk where this file is loaded. What is asked stands in `view.ask` (see
// view.js, which makes it); without it nothing of this is shown. What the visitor
// does goes to `go`, beside what gallery.js sends, as one of
//
//   {do: "change", …}   with one or more of where, exclude_same, near_duplicates, group_by,
//                       group_size, region (the fields of Question), goal and why (ids, or ""), motif,
//                       tried
//   {do: "like", id, weight}  {do: "unlike", id, weight}  {do: "exclude", id}  {do: "drop", id}
// (the id of words is view.ask.in_words with the words behind it, which {do: "select", id} takes too)
//   {do: "make_motifs"}       has all works looked at, after which view.ask.motif.on can be asked for
//   {do: "keep", id, on}      {do: "session", format}     {do: "open", file}   {do: "clear"}
//
// Whatever comes out of data is set as text or as an attribute, never as markup.

/**
 * @typedef {View["ask"]} Ask
 * @typedef {{text?: string, work?: Work | null, sign?: string, side?: string, weight?: number,
 *   what?: What}} Piece of what is asked, and what to do to take it back
 * @typedef {[text: string, act?: (() => void) | null]} Item of a menu
 * @typedef {(one: any) => void} FocusOn
 * @typedef {(card: HTMLElement, one: Element, below?: boolean) => void} Put
 * @typedef {(image: HTMLImageElement, work: Work) => void} ShowLarge
 * @typedef {ReturnType<typeof createPair> | null} Pair
 */

const SMALLEST_REGION = 0.02; // of a side of the picture, as in artsearch/search/question.py
const STEP = 0.02; // of a side of the picture, for each press of an arrow
/** @type {Record<string, number[]>} */
const STEPS = {
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
};
const START = [0.25, 0.25, 0.75, 0.75]; // the region from which the keyboard begins
const HINT = "Drag a rectangle. Or: arrows move it, Shift and arrows resize it, Enter takes it, "
  + "Escape leaves.";
// Okabe and Ito's colours, which most people can tell apart: jfly.uni-koeln.de/color.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00"];

/* exported createAsk */
/**
 * @param {Parts} parts
 * @param {{go: Go, show: Show, showLarge: ShowLarge, caption: (one: Element | null) => void,
 *   put: Put, focusOn: FocusOn, pair: Pair}} tools
 */
function createAsk(parts, { go, show, showLarge, caption, put, focusOn, pair }) {
  const { gallery } = parts;
  /** @type {View} */
  let view = /** @type {any} */ (null);
  /** @type {Ask} */
  let now = /** @type {any} */ (null); // what is asked
  const menu = createMenu(gallery, put);
  const line = createLine(parts, go, show, focusOn);
  const region = createRegion(parts, go);
  const why = createWhy(parts, region.layer, go, showLarge, pair);
  const session = createSessionMenu(parts, menu, go);
  const offer = make("p", { class: "as-offer", hidden: "" });
  const keep = button("☆", { "data-part": "keep", click: () => {
    const { id } = /** @type {Work} */ (view.query);
    go({ do: "keep", id, on: !now.kept.includes(id) });
  } });
  region.tools.append(keep);
  parts.style.after(offer);
  const address = make("p", { class: "as-print as-quiet" }); // under which a sheet is found again
  parts.rows.after(address);
  listen();
  return { update, dress, word, answer, numbers, say: region.say };

  /** @param {View} next */
  function update(next) {
    const other = view?.query?.id !== next.query?.id;
    [view, now] = [next, next.ask];
    gallery.classList.toggle("as-asking", Boolean(now));
    if (!now) return;
    if (other) offer.hidden = true;
    region.tools.hidden = Boolean(view.query?.words);
    const kept = now.kept.includes(view.query?.id);
    keep.hidden = Boolean(view.query?.own); // a session keeps works of the collection
    keep.textContent = kept ? "★" : "☆";
    keep.setAttribute("aria-label", "Keep this work");
    keep.setAttribute("aria-pressed", String(kept));
    parts.neighbours.classList.toggle("as-path", Boolean(now.goal));
    tell(address, now.link && addressOf(now.link));
    [line, region, why, session].forEach((one) => one.update(view, now));
  }

  // ---- works ----------------------------------------------------------------------------------

  /**
   * Give a work in a list its menu, its group and its star.
   * @param {any} item @param {Work} work
   */
  function dress(item, work) {
    if (!now) return;
    const more = item.querySelector(".as-more") || item.appendChild(
      bare("⋯", { class: "as-more", tabindex: -1, "aria-haspopup": "menu" }));
    more.setAttribute("aria-label", `More to ask about ${work.caption}`);
    const image = item.querySelector("img");
    const kept = now.kept.includes(work.id);
    item.classList.toggle("as-kept", kept);
    if (kept) image.alt += ". Kept";
    outline(item.querySelector("[data-part=work]"), work);
    item.querySelector(".as-group")?.remove();
    if (work.group) {
      item.prepend(make("h4", { class: "as-group", dir: "auto", title: work.group }, work.group));
    }
  }

  /** Draw where a work has the motif that was asked for. @param {any} one @param {Work} work */
  function outline(one, { region: box, rarity_text: text }) {
    one.querySelector(".as-place")?.remove();
    if (!box) return;
    one.querySelector("img").alt += `. ${text}, ${inWords(box)}`;
    one.title = text;
    setBox(one.appendChild(make("span", { class: "as-place", "aria-hidden": "true" })), box);
  }

  /** @param {any} one */
  function openMenu(one) {
    caption(null);
    menu.open(one, one.work.caption, itemsFor(one), one.parentElement.querySelector(".as-more"));
  }

  /** @param {any} one @returns {Item[]} */
  function itemsFor(one) {
    const { id, words, own } = one.work;
    /** @type {(text: string, what: What) => Item} */
    const item = (text, what) => [text, () => go({ id, ...what })];
    /** @type {(text: string, what: What) => Item} */
    const choice = (text, what) => [text, () => go({ do: "change", ...what })];
    const kept = now.kept.includes(id);
    const keepIt = item(kept ? "Keep no longer" : "Keep", { do: "keep", on: !kept });
    if (id === view.query?.id) return words || own ? [["What is asked", null]] : [keepIt];
    const side = now.liked.find((work) => work.id === id)?.side;
    const out = now.excluded.some((work) => work.id === id);
    /** @type {(is: boolean, already: string, text: string, what: What) => Item} */
    const either = (is, already, text, what) => (
      is ? item(already, { do: "drop" }) : item(text, what));
    const sides = [
      either(side === "like", "No longer liked", "Like this too", { do: "like", weight: 1 }),
      either(side === "unlike", "No longer disliked", "Not like this", { do: "unlike", weight: 1 }),
    ];
    if (words) return sides;
    return [
      ...sides,
      either(out, "No longer left out", "Leave out", { do: "exclude" }),
      ...(pair?.takes(one.work)
        ? [/** @type {Item} */ (["Compare large", () => pair.open(one)])] : []),
      ...(parts.rows.contains(one) && !lacks(now, "why") ? [choice("Why similar?", { why: id })] : []),
      ...(own ? [] : [choice("Stepping stones to here", { goal: id }), keepIt]),
    ];
  }

  // ---- rows -----------------------------------------------------------------------------------

  /** What the works of a row are, where they are not the nearest. @returns {string | null} */
  function answer() {
    if (now?.motif?.on) return "Works that have this part,";
    return now?.goal ? `Stepping stones to ${now.goal.title},` : null;
  }

  function numbers() {
    return now?.goal ? "distances from the work before" : null;
  }

  // ---- what is known of the selected work -----------------------------------------------------

  /**
   * A word that is said of the selected work, which can be required.
   * @param {string} column @param {string} text @returns {HTMLElement | null}
   */
  function word(column, text) {
    if (!now?.columns.includes(column)) return null;
    const click = () => offerColumn(column);
    return bare(text, { class: "as-word", title: `Ask by ${column}`, click });
  }

  /** @param {string} column */
  function offerColumn(column) {
    const again = !offer.hidden && offer.dataset.column === column;
    offer.hidden = again;
    offer.dataset.column = column;
    if (again) return;
    const [name, value] = [quoteColumn(column), quoteText(String(view.query?.[column]))];
    const ask = (/** @type {string} */ operator) => {
      putOfferAway();
      go({ do: "change", where: joined(now.where, `${name} ${operator} ${value}`) });
    };
    offer.replaceChildren(
      button(`only this ${column}`, { click: () => ask("==") }),
      button(`not this ${column}`, { click: () => ask("!=") }));
    /** @type {HTMLElement} */ (offer.firstElementChild).focus();
  }

  /** The focus goes back to the word for which it was offered. */
  function putOfferAway() {
    offer.hidden = true;
    const words = [...parts.query.querySelectorAll(".as-word")];
    words.find((one) => one.title === `Ask by ${offer.dataset.column}`)?.focus();
  }

  // ---- what the visitor does ------------------------------------------------------------------

  function listen() {
    offer.addEventListener("keydown", (/** @type {KeyboardEvent} */ { key }) => {
      if (key === "Escape") putOfferAway();
    });
    gallery.addEventListener("click", (/** @type {any} */ event) => {
      const more = event.target.closest(".as-more");
      if (more) openMenu(more.parentElement.querySelector("[data-part=work]"));
    });
    gallery.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const one = workOf(event);
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      const asked = event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)
        || (event.key === "m" && plain);
      if (!one || !asked) return;
      event.preventDefault();
      event.stopPropagation();
      openMenu(one);
    });
    // A long press of a finger, or the key where the browser answers it late; the menu of the
    // right button stays the browser's own, with which pictures are saved and copied.
    gallery.addEventListener("contextmenu", (/** @type {PointerEvent} */ event) => {
      const one = workOf(event);
      if (one && event.pointerType !== "mouse" && event.button !== 2) {
        event.preventDefault();
        event.stopPropagation(); // JupyterLab has one of its own
        openMenu(one);
      }
    });
  }

  /** @param {any} event */
  function workOf(event) {
    return now && event.target.closest("[data-part=work]");
  }
}

// ---- menus --------------------------------------------------------------------------------------

/**
 * A menu that opens at a work or a button; the focus goes back there when it closes.
 * @typedef {ReturnType<typeof createMenu>} Menu
 * @param {HTMLElement} gallery @param {Put} put
 */
function createMenu(gallery, put) {
  const menu = make("div", { class: "as-menu", role: "menu", hidden: "" });
  /** @type {HTMLElement} */
  let opener = /** @type {any} */ (null);
  gallery.append(menu);
  menu.addEventListener("keydown", onKey);
  menu.addEventListener("contextmenu", (/** @type {Event} */ event) => event.preventDefault());
  return { open };

  /**
   * Items are pairs of a text and what to do; those with nothing to do are there to be read.
   * @param {HTMLElement} from @param {string} label @param {Item[]} items @param {HTMLElement} at
   */
  function open(from, label, items, at = from) {
    opener = from;
    menu.setAttribute("aria-label", label);
    menu.replaceChildren(...items.map(([text, act]) => {
      const click = () => {
        if (!act) return;
        close();
        act();
      };
      return bare(text, { role: "menuitem", tabindex: -1, "aria-disabled": !act, click });
    }));
    menu.hidden = false;
    put(menu, at.getClientRects().length ? at : from, true);
    /** @type {HTMLElement} */ (menu.firstElementChild).focus({ preventScroll: true });
    document.addEventListener("pointerdown", closeOutside, true);
  }

  function close() {
    menu.hidden = true;
    document.removeEventListener("pointerdown", closeOutside, true);
    if (opener.isConnected) opener.focus({ preventScroll: true });
  }

  /** @param {Event} event */
  function closeOutside(event) {
    if (!menu.contains(/** @type {Node} */ (event.target))) close();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    event.stopPropagation();
    if (event.key === "Tab") close(); // and the focus goes on from there
    if (event.key === "Escape") close();
    const items = /** @type {HTMLElement[]} */ ([...menu.children]);
    const place = items.findIndex((item) => item === document.activeElement);
    const to = placeAfter(event.key, place, items.length);
    if (to === null) return;
    event.preventDefault();
    items[to].focus();
  }
}

/**
 * The place in a list to which a key leads, round its ends; null for other keys.
 * @param {string} key @param {number} place @param {number} count
 */
function placeAfter(key, place, count) {
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (key === "ArrowDown") return (place + 1) % count;
  if (key === "ArrowUp") return (Math.max(place, 0) - 1 + count) % count;
  return null;
}

// ---- the line of what is asked, and its panel ---------------------------------------------------

/**
 * What is asked stands below the line of tools, in which are the words and what opens the panel.
 * @param {Parts} parts @param {Go} go @param {Show} show @param {FocusOn} focusOn
 */
function createLine(parts, go, show, focusOn) {
  const field = createField(go);
  const words = createWords(go);
  const id = uniqueId();
  const toggle = button("Ask more", {
    "data-part": "ask-more", "aria-expanded": "false", "aria-controls": id,
    click: () => open(panel.hidden),
  });
  const chips = make("ul", { class: "as-chips", role: "list", "aria-label": "What is asked" });
  const clear = button("Clear", { "data-part": "clear", click: () => go({ do: "clear" }) });
  const notes = make("p", { class: "as-quiet as-notes", role: "status", dir: "auto" });
  const line = make("div", { class: "as-bar as-ask" }, chips, clear, notes);
  const others = make("span", { class: "as-switch", role: "group", "aria-label": "Not the same" });
  const duplicates = button("No near-duplicates", {
    "data-part": "near_duplicates",
    click: () => go({ do: "change", near_duplicates: !now.near_duplicates }),
  });
  const groups = make("select", {
    change: () => go({ do: "change", group_by: groups.value }),
  });
  const size = make("input", {
    type: "number", min: 1, max: 20, step: 1, "data-part": "group_size",
    "aria-label": "How many of each",
    change: () => go({ do: "change", group_size: Number(size.value) }),
  });
  const different = make("div", { class: "as-bar" }, make("span", {}, "Not the same"), others);
  const grouped = make("label", { class: "as-bar" }, "Nearest in each", groups);
  const sized = make("label", { class: "as-bar" }, size, "of each");
  const panel = make("div", {
    id, class: "as-panel", "data-part": "panel", role: "group", "aria-label": "Ask more",
    hidden: "",
  }, field.form, make("div", { class: "as-bar" }, different, duplicates, grouped, sized));
  /** @type {Ask} */
  let now = /** @type {any} */ (null);
  Object.assign(parts, { in_words: words.form, ask_more: toggle, asked: line, panel });
  parts.error.before(line, panel);
  listen();
  return { update };

  /** @param {View} view @param {Ask} ask */
  function update(view, ask) {
    now = ask;
    const lost = clear === document.activeElement && !now.active;
    clear.hidden = !now.active;
    if (lost) focusOn(toggle);
    words.update(view, now);
    fillChips(chipsFor(now, view.query));
    tell(notes, now.notes.join(" "));
    // Said once: at the field where that is in sight.
    if (field.update(view, now, panel.getClientRects().length)) parts.error.hidden = true;
    different.hidden = !now.same_columns.length;
    fillSwitch(others, now.same_columns.map((column) => (
      { name: column, title: column, selected: now.exclude_same.includes(column) })), toggleSame);
    duplicates.setAttribute("aria-pressed", String(!now.near_duplicates));
    fillGroups();
  }

  /** @param {string} column */
  function toggleSame(column) {
    const rest = now.exclude_same.filter((one) => one !== column);
    const on = rest.length === now.exclude_same.length;
    go({ do: "change", exclude_same: on ? [...rest, column] : rest });
  }

  function fillGroups() {
    const columns = now.group_columns;
    grouped.hidden = !columns.length;
    if (groups.childElementCount !== columns.length + 1) {
      groups.replaceChildren(make("option", { value: "" }, "—"),
        ...columns.map((column) => make("option", { value: column }, column)));
    }
    groups.value = now.group_by;
    sized.hidden = !now.group_by;
    if (document.activeElement !== size) size.value = String(now.group_size);
  }

  /** Show chips; those that stay keep their nodes, and the focus. @param {Piece[]} wanted */
  function fillChips(wanted) {
    const old = new Map([...chips.children].map((item) => [item.getAttribute("data-key"), item]));
    const items = wanted.map((one) => {
      const key = JSON.stringify([one.sign, one.text, one.work?.id]);
      const item = old.get(key) || chip(one, key);
      old.delete(key);
      if (one.weight) setWeight(item.querySelector("input"), one.weight);
      return item;
    });
    const lost = [...old.values()].some((item) => item.contains(document.activeElement));
    old.forEach((item) => item.remove());
    items.forEach((item, i) => {
      if (chips.children[i] !== item) chips.insertBefore(item, chips.children[i] || null);
    });
    chips.hidden = !items.length;
    if (lost) focusOn(toggle);
  }

  /** @param {Piece} piece @param {string} key */
  function chip({ text, work, sign, side, what }, key) {
    const item = make("li", { class: "as-chip", "data-key": key });
    if (sign) item.append(make("span", {}, sign));
    if (text) item.append(make("span", { class: "as-text", dir: "auto", title: text }, text));
    if (work?.words) {
      item.append(make("span", { class: "as-text", dir: "auto", title: work.words }, work.title));
    } else if (work) {
      const image = make("img", { alt: work.caption, title: work.caption, draggable: "false" });
      show(image, work.thumb || work.image);
      item.append(image, make("span", { class: "as-print", dir: "auto" }, work.caption));
    }
    if (side) item.append(weightOf(/** @type {Work} */ (work), side));
    const click = () => go({ do: "change", ...what });
    const label = `Take back: ${text || work?.caption}`;
    if (what) item.append(bare("×", { "aria-label": label, click }));
    return item;
  }

  /** @param {Work} work @param {string} side */
  function weightOf(work, side) {
    const input = make("input", {
      type: "number", min: 0.01, max: 1000, step: "any", inputmode: "decimal",
      "aria-label": `Weight of ${work.caption}`, title: "Weight",
    });
    input.addEventListener("change", () => {
      if (!input.value || !input.checkValidity()) input.value = input.defaultValue;
      else go({ do: side, id: work.id, weight: Number(input.value) });
    });
    return input;
  }

  /**
   * A number is put in only where it is another one: the visitor may be at it.
   * @param {any} input @param {number} weight
   */
  function setWeight(input, weight) {
    if (Number(input.value) !== weight) input.value = weight;
    input.defaultValue = weight;
  }

  function listen() {
    panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault(); // what it may lie in stays open
      open(false);
      toggle.focus();
    });
  }

  /** @param {boolean} on */
  function open(on) {
    panel.hidden = !on;
    toggle.setAttribute("aria-expanded", String(on));
  }
}

/**
 * What is asked, in pieces, and what to do to take each back.
 * @param {Ask} ask @param {Work | null} query @returns {Piece[]}
 */
function chipsFor(ask, query) {
  const { goal } = ask;
  /** @type {(is: unknown, piece: Piece) => Piece[]} */
  const when = (is, piece) => (is ? [piece] : []);
  return [
    ...when(ask.where, { text: ask.where, what: { where: "" } }),
    ...ask.exclude_same.map((column) => ({
      text: `not the same ${column}`,
      what: { exclude_same: ask.exclude_same.filter((one) => one !== column) },
    })),
    ...when(!ask.near_duplicates, { text: "no near-duplicates", what: { near_duplicates: true } }),
    ...when(ask.group_by, {
      text: `nearest ${ask.group_size > 1 ? `${ask.group_size} ` : ""}in each ${ask.group_by}`,
      what: { group_by: "" },
    }),
    ...when(ask.region, { text: "part of the work", what: { region: null } }),
    ...when(goal, { text: `stepping stones to ${goal?.title}`, what: { goal: "" } }),
    // Beside others the selected work has a weight too; it cannot be taken back.
    ...when(ask.liked.length, { work: query, sign: "+", side: "like", weight: ask.weight }),
    ...ask.liked.map((work) => ({
      work, sign: work.side === "like" ? "+" : "−", side: work.side, weight: work.weight,
      what: { do: "drop", id: work.id },
    })),
    ...ask.excluded.map((work) => (
      { work, sign: "left out", what: { do: "drop", id: work.id } })),
  ];
}

// ---- words --------------------------------------------------------------------------------------

/**
 * The field for words, where the network takes them: alone, or beside the selected work.
 * @param {Go} go
 */
function createWords(go) {
  const input = make("input", {
    type: "search", maxlength: 1000, placeholder: "a mountain lake at dusk", "aria-label": "In words",
  });
  const add = button("Add", {
    title: "Ask for both: what is selected, and these words", click: () => ask("like"),
  });
  const form = make("form", { class: "as-bar as-in-words", "data-part": "in_words", hidden: "" },
    input, make("button", { type: "submit", class: "as-button" }, "Ask in words"), add);
  let begin = ""; // how the id of words begins
  let asked = false;
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    ask("select");
  });
  return { form, update };

  /** @param {View} view @param {Ask} ask */
  function update(view, { in_words }) {
    begin = in_words;
    form.hidden = !begin;
    if (asked && !view.error) input.value = "";
    asked = false;
  }

  /** @param {"like" | "select"} verb */
  function ask(verb) {
    const text = input.value.trim();
    if (!text) return input.focus();
    asked = true;
    go({ do: verb, id: begin + text, ...(verb === "like" ? { weight: 1 } : {}) });
  }
}

// ---- the condition ------------------------------------------------------------------------------

/** The field for a condition, with suggestions. @param {Go} go */
function createField(go) {
  const id = uniqueId();
  const list = make("ul", {
    id: `${id}-list`, class: "as-options", role: "listbox", "aria-label": "Suggestions", hidden: "",
  });
  const error = make("p", {
    id: `${id}-error`, class: "as-error", role: "alert", dir: "auto", hidden: "",
  });
  const input = make("input", {
    id, type: "text", role: "combobox", maxlength: 10000,
    autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": list.id, "aria-describedby": error.id,
  });
  const form = make("form", { class: "as-bar as-where", "data-part": "where" },
    make("label", { for: id }, "Only where"), make("div", { class: "as-field" }, input, list),
    make("button", { type: "submit", class: "as-button" }, "Ask"), error);
  /** @type {Ask} */
  let ask = /** @type {any} */ (null);
  let where = "";
  let asked = false; // whether an answer to what stands here is on its way
  let start = 0; // where in the text a suggestion goes
  let chosen = -1;
  listen();
  return { form, update };

  /**
   * What does not work is said here if it was asked here, and returned; the text stays.
   * @param {View} view @param {Ask} next @param {number} open whether it is in sight
   */
  function update(view, next, open) {
    ask = next;
    input.placeholder = exampleFor(ask);
    if (where !== ask.where) input.value = ask.where;
    where = ask.where;
    const mine = asked && open ? view.error : "";
    asked = false;
    tell(error, mine);
    input.setAttribute("aria-invalid", String(Boolean(mine)));
    if (mine) input.focus({ preventScroll: true });
    return mine;
  }

  function listen() {
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      event.stopPropagation();
      hide();
      asked = true;
      go({ do: "change", where: input.value });
    });
    input.addEventListener("input", suggestNow);
    input.addEventListener("click", suggestNow);
    input.addEventListener("blur", hide);
    input.addEventListener("keydown", onKey);
    // Keeps the focus.
    list.addEventListener("pointerdown", (/** @type {Event} */ event) => event.preventDefault());
    list.addEventListener("click", (/** @type {any} */ event) => take(event.target.closest("li")));
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      hide();
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      take(list.children[chosen]);
    } else if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      if (list.hidden) suggestNow();
      const to = placeAfter(event.key, chosen, list.childElementCount);
      if (!list.hidden && to !== null) choose(to);
    }
  }

  function suggestNow() {
    const found = suggest(input.value.slice(0, Number(input.selectionStart)), ask);
    start = found.start;
    choose(-1);
    list.replaceChildren(...found.options.map((option, i) => make("li", {
      id: `${list.id}-${i}`, role: "option", "aria-selected": "false", dir: "auto",
    }, option)));
    list.hidden = !found.options.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  }

  /** @param {number} place */
  function choose(place) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = place;
    const one = list.children[place];
    one?.setAttribute("aria-selected", "true");
    one?.scrollIntoView({ block: "nearest" });
    if (one) input.setAttribute("aria-activedescendant", one.id);
    else input.removeAttribute("aria-activedescendant");
  }

  /** @param {Element | null} option */
  function take(option) {
    if (!option) return;
    const text = option.textContent;
    const before = input.value.slice(0, start);
    const after = input.value.slice(Number(input.selectionStart)).trimStart();
    const gap = before && !/[\s([]$/.test(before) && !/^[,\]]/.test(text) ? " " : "";
    const whole = `${before}${gap}${text}${text.endsWith("[") ? "" : " "}`;
    input.value = whole + after;
    input.setSelectionRange(whole.length, whole.length);
    suggestNow();
    // What is whole may be asked: nothing is to lie over the panel.
    if (list.firstElementChild?.textContent === "and") hide();
  }

  function hide() {
    list.hidden = true;
    choose(-1);
    input.setAttribute("aria-expanded", "false");
  }
}

/** @param {Pick<Ask, "columns" | "values">} ask */
function exampleFor({ columns, values }) {
  const [column] = "style" in values ? ["style"] : Object.keys(values);
  const first = column ? `${quoteColumn(column)} == ${quoteText(values[column][0])}` : "";
  const year = columns.includes("year") && column !== "year" ? "year >= 1800" : "";
  return [first, year].filter(Boolean).join(" and ");
}

// The words of a condition, the last of which may be unfinished; and how a finished one looks.
const TOKEN =
  /"(\\.|[^"\\])*"?|'(\\.|[^'\\])*'?|`([^`]|``)*`?|[<>=!&|]+|[[\](),]|[^\s"'`<>=!&|[\](),]+/gs;
const FINISHED =
  /^("(\\.|[^"\\])*"|'(\\.|[^'\\])*'|`([^`]|``)*`|[<>=!&|]+|[[\](),]|and|or|in|contains|between)$/is;
const OPERATORS = ["==", "!=", "in [", "contains", ">=", "<=", "between"];

/**
 * What may come next in a condition (see where.py for its grammar), and where it is to stand.
 * @param {string} text @param {Pick<Ask, "columns" | "values">} ask
 */
function suggest(text, { columns, values }) {
  const tokens = [...text.matchAll(TOKEN)];
  const last = tokens.at(-1);
  const open = last && last.index + last[0].length === text.length
    && !FINISHED.test(last[0]) && !columns.includes(last[0]);
  if (open) tokens.pop();
  const { expected, column } = follow(tokens.map(([token]) => token));
  const typed = fold(open ? last[0].replace(/^["'`]/, "") : "");
  const choices = /** @type {Record<string, () => string[][]>} */ ({
    column: () => columns.map((one) => [one, quoteColumn(one)]),
    operator: () => OPERATORS.map((one) => [one, one]),
    value: () => (values[column] || []).map((one) => [one, quoteText(one)]),
    next: () => [",", "]"].map((one) => [one, one]),
    join: () => ["and", "or"].map((one) => [one, one]),
  })[expected]?.() || [];
  const options = choices.filter(([one]) => fold(one).includes(typed)).map(([, option]) => option);
  return { start: open ? last.index : text.length, options };
}

/**
 * Read a condition's words; return what is to follow them, and the column they end with.
 * @param {string[]} tokens
 */
function follow(tokens) {
  let [expected, column, inList] = ["column", "", false];
  for (const token of tokens) {
    const small = token.toLowerCase();
    if (expected === "column" && !["not", "(", "!"].includes(small)) {
      column = token.startsWith("`") ? token.slice(1, -1).replaceAll("``", "`") : token;
      expected = "operator";
    } else if (expected === "operator" && small !== "not") {
      expected = { in: "list", between: "number" }[small] || "value";
    } else if (expected === "list") {
      [expected, inList] = ["value", true];
    } else if (expected === "number") {
      expected = "number's and";
    } else if (expected === "number's and") {
      expected = "value";
    } else if (expected === "value") {
      expected = inList ? "next" : "join";
    } else if (expected === "next") {
      inList = token === ",";
      expected = inList ? "value" : "join";
    } else if (expected === "join" && token !== ")") {
      expected = "column";
    }
  }
  return { expected, column };
}

/** A text as it stands in a condition, as quote in where.py gives it. @param {string} text */
function quoteText(text) {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** A column's name as it stands in a condition; in backticks it may be any. @param {string} name */
function quoteColumn(name) {
  const reserved = /^(and|or|not|in|contains|between)$/i.test(name);
  const isPlain = /^[\p{L}_][\p{L}\d_]*$/u.test(name) && !reserved;
  return isPlain ? name : `\`${name.replaceAll("`", "``")}\``;
}

/** Two conditions of which both must hold. @param {string} where @param {string} more */
function joined(where, more) {
  if (!where) return more;
  return /\bor\b|\|/i.test(where) ? `(${where}) and ${more}` : `${where} and ${more}`;
}

// ---- a region of the work -----------------------------------------------------------------------

/**
 * Lets the visitor draw a region of the selected work; `layer` lies exactly over its picture.
 * @param {Parts} parts @param {Go} go
 */
function createRegion(parts, go) {
  const frame = make("div", { class: "as-region", hidden: "" });
  const layer = make("div", { class: "as-layer", "data-part": "layer" }, frame);
  const draw = button("Part…", {
    "data-part": "draw", title: "Ask for a part of this work", click: begin,
  });
  const whole = button("Whole work", { "data-part": "whole", click: () => {
    draw.focus({ preventScroll: true });
    go({ do: "change", region: null });
  } });
  const motif = button("In other works", {
    "data-part": "motif", title: "Works that have this part somewhere, and where",
    click: () => go({ do: "change", motif: motif.getAttribute("aria-pressed") !== "true" }),
  });
  const tools = make("div", { class: "as-tools" }, draw, whole, motif);
  const hint = make("p", { class: "as-quiet as-hint", role: "status", hidden: "" });
  const said = make("p", { class: "as-quiet", role: "status", dir: "auto", hidden: "" });
  const offer = button("", { "data-part": "make-motifs", click: () => go({ do: "make_motifs" }) });
  const making = make("div", { class: "as-making" }, said, offer);
  /** @type {number[] | null} */
  let region = null; // as it was asked
  /** @type {any} */
  let drawn = null; // as it stands on the picture
  let drawing = false;
  /** @type {number[] | null} */
  let corner = null; // where a pointer began
  let id = "";
  parts.mat.append(layer, tools);
  parts.mat.after(hint, making);
  listen();
  return { update, layer, tools, say };

  /** Say how far looking at all works is. @param {string} sentence */
  function say(sentence) {
    if (making.getAttribute("aria-busy") === "true") tell(said, sentence);
  }

  /** @param {View} view @param {Ask} ask */
  function update({ query }, ask) {
    if (!query) return;
    layOver(layer, query);
    region = ask.region;
    whole.hidden = !region;
    motif.hidden = !region || !ask.motif;
    motif.setAttribute("aria-pressed", String(Boolean(ask.motif?.on)));
    if (!ask.motif?.busy || making.getAttribute("aria-busy") !== "true") {
      tell(said, region ? ask.motif?.text || "" : "");
    }
    making.setAttribute("aria-busy", String(Boolean(ask.motif?.busy)));
    tell(offer, region ? ask.motif?.offer || "" : "");
    draw.hidden = lacks(ask, "part");
    if (id !== query.id) end();
    id = query.id;
    if (!drawing) mark(region);
  }

  /** @param {number[] | null} box */
  function mark(box) {
    drawn = box;
    frame.hidden = !box;
    if (box) setBox(frame, box);
  }

  function begin() {
    drawing = true;
    layer.classList.add("as-drawing");
    layer.tabIndex = 0;
    layer.setAttribute("role", "application");
    layer.setAttribute("aria-label", "Part of the work");
    mark(region || START);
    tell(hint, HINT);
    layer.focus({ preventScroll: true });
  }

  function end() {
    if (!drawing) return;
    [drawing, corner] = [false, null];
    layer.classList.remove("as-drawing");
    for (const name of ["tabindex", "role", "aria-label"]) layer.removeAttribute(name);
    tell(hint, "");
    mark(region);
  }

  function take() {
    const box = drawn.map((/** @type {number} */ share) => Math.round(share * 1e4) / 1e4);
    end();
    mark(box); // until the answer is here
    draw.focus({ preventScroll: true });
    go({ do: "change", region: box });
  }

  function listen() {
    layer.addEventListener("keydown", onKey);
    layer.addEventListener("focusout", (/** @type {Event} */ event) => {
      if (event.target === layer) end();
    });
    layer.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (!drawing || event.button !== 0) return;
      event.preventDefault();
      layer.focus({ preventScroll: true });
      layer.setPointerCapture(event.pointerId);
      corner = pointOf(event);
    });
    layer.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (corner) mark(between(corner, pointOf(event)));
    });
    layer.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      if (!corner) return;
      const box = between(corner, pointOf(event));
      corner = null;
      mark(isLarge(box) ? box : region || START);
      if (isLarge(box)) take();
    });
    layer.addEventListener("pointercancel", end);
  }

  /** @param {PointerEvent} event */
  function pointOf(event) {
    const { left, top, width, height } = layer.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height].map(inside);
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!drawing) return;
    const step = STEPS[event.key];
    if (!step && !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) {
      mark(event.shiftKey ? resized(drawn, step) : moved(drawn, step));
      tell(hint, inWords(drawn));
    } else if (event.key === "Enter") take();
    else {
      end();
      draw.focus({ preventScroll: true });
    }
  }
}

/**
 * Lay a node over the picture of a work, which its mat holds whole (object-fit: contain).
 * @param {any} node @param {Work} work
 */
function layOver(node, work) {
  const shape = (work.width || 1) / (work.height || 1);
  const width = Math.min(1, shape / ratio(work));
  const height = Math.min(1, ratio(work) / shape);
  setBox(node, [(1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2]);
}

/**
 * Place a node in its parent by shares of it: left, top, right, bottom.
 * @param {any} node @param {number[]} box
 */
function setBox(node, [left, top, right, bottom]) {
  const percent = { left, top, width: right - left, height: bottom - top };
  for (const [name, share] of Object.entries(percent)) node.style[name] = `${100 * share}%`;
}

/** @param {number} share */
function inside(share) {
  return Math.max(0, Math.min(1, share));
}

/** @param {number[]} from @param {number[]} to */
function between([x, y], [u, v]) {
  return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
}

/** @param {number[]} box */
function isLarge([left, top, right, bottom]) {
  return right - left >= SMALLEST_REGION && bottom - top >= SMALLEST_REGION;
}

/** @param {number[]} box @param {number[]} by */
function moved([left, top, right, bottom], [x, y]) {
  const across = Math.max(-left, Math.min(1 - right, x));
  const down = Math.max(-top, Math.min(1 - bottom, y));
  return [left + across, top + down, right + across, bottom + down];
}

/**
 * A rectangle whose right and lower sides have moved.
 * @param {number[]} box @param {number[]} by
 */
function resized([left, top, right, bottom], [x, y]) {
  const least = 2 * SMALLEST_REGION; // rounding does not make it too small
  /** @type {(from: number, to: number, by: number) => number} */
  const further = (from, to, by) => inside(Math.max(from + least, to + by));
  return [left, top, further(left, right, x), further(top, bottom, y)];
}

/** @param {number[]} box */
function inWords(box) {
  const [left, top, right, bottom] = box.map((share) => Math.round(100 * share));
  return `From ${left} to ${right} % across, from ${top} to ${bottom} % down.`;
}

// ---- why ----------------------------------------------------------------------------------------

/**
 * The places that match, drawn on the selected work and on another one below it.
 * @param {Parts} parts @param {HTMLElement} layer @param {Go} go @param {ShowLarge} showLarge
 * @param {Pair} pair
 */
function createWhy(parts, layer, go, showLarge, pair) {
  const said = make("p", { role: "status", dir: "auto" });
  const close = button("×", {
    "aria-label": "Close the comparison", "data-part": "why-close",
    click: () => go({ do: "change", why: "" }),
  });
  const image = make("img", { alt: "The other work" });
  const other = make("div", { class: "as-layer" });
  const mat = make("div", { class: "as-mat" }, image, other);
  const words = make("figcaption", { dir: "auto" });
  const section = make("section", {
    class: "as-why", "data-part": "why", "aria-label": "Why these two are similar", hidden: "",
  }, make("div", { class: "as-said" }, said, close), make("figure", {}, mat, words));
  const large = button("Compare large", { "data-part": "why-large" });
  const attempt = button("By experiment", {
    "data-part": "why-try", title: "Where this work comes when the picture is grey, mirrored, blurred, …",
    click: () => go({ do: "change", tried: true }),
  });
  const found = make("div", { "data-part": "why-tried", role: "status", dir: "auto" });
  section.append(large, " ", attempt, found);
  let shown = "";
  parts.query.append(section);
  return { update };

  /** @param {View} view @param {Ask} ask */
  function update({ query }, { why }) {
    const now = why ? JSON.stringify([query?.id, why.work.id, why.matches]) : "";
    if (!why && section.contains(document.activeElement)) giveFocusBack();
    parts.query.classList.toggle("as-explained", Boolean(why));
    section.hidden = !why;
    said.textContent = why?.text || "";
    const lost = why?.tried && attempt === document.activeElement;
    attempt.hidden = Boolean(why?.tried);
    if (lost) close.focus({ preventScroll: true });
    large.hidden = !pair || !why;
    const told = why?.tried ? toTable(why.tried) : [];
    if (found.childElementCount || told.length) found.replaceChildren(...told);
    if (now === shown) return;
    shown = now;
    parts.query.querySelectorAll(".as-match").forEach((/** @type {Element} */ box) => box.remove());
    if (!why || !query) return;
    const { work, matches } = why;
    section.dataset.id = work.id;
    mat.style.setProperty("--ratio", String(ratio(work)));
    showLarge(image, work);
    words.textContent = work.caption;
    layOver(other, work);
    large.onclick = () => pair?.open(theOther(), work);
    layer.append(...matches.map(({ first }, i) => box(first, i, query.caption)));
    other.append(...matches.map(({ second }, i) => box(second, i, work.caption)));
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    section.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  }

  /** @param {number[]} place @param {number} i @param {string} of */
  function box(place, i, of) {
    const number = make("span", {}, String(i + 1));
    const label = `Place ${i + 1} in ${of}`;
    const [on, off] = [() => light(i), () => light(null)];
    const one = bare(number, {
      class: "as-match", "data-match": i, "aria-label": label,
      mouseenter: on, focus: on, mouseleave: off, blur: off,
    });
    setBox(one, place);
    one.style.setProperty("--colour", COLOURS[i % COLOURS.length]);
    return one;
  }

  /**
   * What came of the experiment: a sentence, and a row for each change of the picture.
   * @param {{text: string, notes: string[], rank: number, works: number, trials: Trial[]}} tried
   */
  function toTable({ text, notes, rank, works, trials }) {
    /** @type {(how: string, place: number, limit: number | null, fell: boolean) => Node} */
    const line = (how, place, limit, fell) => make("tr", { class: fell ? "as-fell" : "" },
      ...[how, place.toLocaleString("en"), limit?.toLocaleString("en") ?? ""].map(
        (cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, cell)));
    const heads = ["The picture", `Rank of ${works.toLocaleString("en")}`, "Usual down to"];
    return [make("p", {}, text),
      make("table", { class: "as-trials" },
        make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))),
        line("as it is", rank, null, false),
        ...trials.map((one) => line(one.how, one.rank, one.limit, one.fell))),
      ...notes.map((note) => make("p", { class: "as-quiet" }, note))];
  }

  /** Bring out a place in both pictures. @param {number | null} i */
  function light(i) {
    for (const one of parts.query.querySelectorAll(".as-match")) {
      one.classList.toggle("as-lit", Number(one.dataset.match) === i);
      one.classList.toggle("as-dim", i !== null && Number(one.dataset.match) !== i);
    }
  }

  /** The button of the other work among the answers. */
  function theOther() {
    const works = [...parts.rows.querySelectorAll("[data-part=work]")];
    return works.find((work) => work.dataset.id === section.dataset.id);
  }

  function giveFocusBack() {
    (theOther() || parts.mat.querySelector("[data-part=draw]")).focus({ preventScroll: true });
  }
}

// ---- the session --------------------------------------------------------------------------------

/**
 * Saves, opens and cites what was asked, seen and kept.
 * @param {Parts} parts @param {Menu} menu @param {Go} go
 */
function createSessionMenu(parts, menu, go) {
  const opener = button("Session", {
    "data-part": "session-menu", "aria-haspopup": "menu", click: open,
  });
  const file = make("input", { type: "file", accept: ".json,application/json", hidden: "" });
  const said = make("span", { class: "as-quiet", role: "status" });
  const link = make("input", {
    type: "text", class: "as-link", readonly: "", "aria-label": "Link to this question", hidden: "",
    blur: () => { link.hidden = true; },
    keydown: (event) => { if (event.key === "Escape") opener.focus(); },
  });
  /** @type {Ask} */
  let now = /** @type {any} */ (null);
  parts.history.append(make("span", { class: "as-space" }), link, said, opener, file);
  file.addEventListener("change", () => {
    if (file.files?.length) go({ do: "open", file: file.files[0] });
    file.value = "";
  });
  return { update };

  /** @param {View} view @param {Ask} ask */
  function update(view, ask) {
    now = ask;
    said.textContent = "";
    opener.title = `${now.steps} step${now.steps === 1 ? "" : "s"}, ${now.kept.length} kept`;
  }

  function open() {
    /** @type {(text: string, format: string) => Item} */
    const saved = (text, format) => [text, () => go({ do: "session", format })];
    menu.open(opener, `Session: ${opener.title}`, [
      saved("Save (.json)", "json"),
      ["Open…", () => file.click()],
      ...(lacks(now, "csv") ? [] : [saved("Export table (.csv)", "csv")]),
      ...(lacks(now, "html") ? [] : [saved("Export page (.html)", "html")]),
      now.link ? ["Copy link", copy] : ["No link: your own image has none"],
    ]);
  }

  async function copy() {
    const address = addressOf(now.link);
    try {
      await navigator.clipboard.writeText(address);
      said.textContent = "Link copied.";
    } catch {
      // Not allowed, or not there, as on a page without https: the visitor copies it by hand.
      link.value = address;
      link.hidden = false;
      link.focus();
      link.select();
    }
  }
}

/**
 * The whole address of a question where the page can be asked it: in the app, made by Voilà.
 * @param {string} link
 */
function addressOf(link) {
  const site = typeof createAnswerer === "function"; // the static page
  if (site) return location.href.split("#")[0] + link.replace("?", "#");
  return "voila_process" in window ? location.origin + location.pathname + link : link;
}

/**
 * Whether whoever answers cannot do something of this: "part", "why", "csv", "html".
 * @param {Ask} ask @param {string} what
 */
function lacks(ask, what) {
  return Boolean(ask.lacks?.includes(what));
}

/**
 * A button that does not look like those of the bar.
 * @param {string | Node} content @param {Attributes} attributes
 */
function bare(content, attributes) {
  return make("button", { type: "button", ...attributes }, content);
}
