// @ts-check
// The view of the gallery, the same in the notebook's widget and on the static page.
//
// createGallery(root, act) fills `root` and returns {update(view), say(text)}: the latter says what
// takes time, until the next update. A view is plain data (see
// view.js, which makes it); what the visitor does goes to `act` as one of
//
//   {do: "change", …}   with one or more of network, crop, k, compare, search (a text), page,
//                       dial (from 0 to 1, or null for the network's final layer), machine_made
//                       (whether works made by a machine are shown)
//   {do: "select", id}  {do: "back"}  {do: "forward"}  {do: "go_to", position}  {do: "refresh"}
//   {do: "upload", file}  {do: "export"}  {do: "picture"}
//
// and the answer is another update. What can be asked beyond that is in ask.js; where that file is
// loaded and a view has `ask`, its parts stand in the gallery too; so do pair.js, which lays two
// works large side by side, and time.js, which shows works by time. A classic script without import
// or export, so that it also works from file://. Whatever comes out of data is set as text or as an
// attribute, never as markup.

/**
 * @typedef {ReturnType<typeof viewOf>} View
 * @typedef {(what: What) => void} Go
 * @typedef {(image: HTMLImageElement, address: string) => void} Show
 * @typedef {Record<string, any>} Parts the nodes of the gallery by name
 * @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute
 * @typedef {Record<string, Attribute>} Attributes of a node, or what hears an event
 * @typedef {{name: string, title: string, selected: boolean}} Choice
 * @typedef {{list: Element, row: number, i: number, one: HTMLElement}} Focus
 */

// The tools that may stand in the one line above the works: as they stand there, and what comes first
// where there is no room for all; a narrow line has the first three of these at most. The rest, as
// it stands behind "…".
const IN_LINE = [
  "networks", "dial", "slider", "in_words", "ask_more", "upload", "camera", "compare"];
const FIRST = ["networks", "slider", "upload", "ask_more", "dial", "in_words", "compare", "camera"];
const BEHIND = [
  "ask_more", "panel", "in_words", "dial", "slider", "compare", "crop", "k", "machine", "upload",
  "camera"];
const NARROW = 700; // pixels of a line, as in gallery.css

/* exported createGallery */
/** @param {Element} root @param {Go} act @param {Show} show */
function createGallery(root, act, show = (img, address) => { img.src = address; }) {
  /** @type {View} */
  let view = /** @type {any} */ (null); // until the first update
  let turning = false; // whether an answer to the dial is on its way
  /** @type {number | null | undefined} */
  let turnNext; // and the weight to ask for after it
  /** @type {number | undefined} */
  let pause; // in typing, after which the drawer is searched
  let arranged = ""; // what the line was last arranged for
  const parts = build();
  root.replaceChildren(parts.gallery);
  listen();
  const pair = typeof createPair === "function"
    ? createPair(parts, { showLarge, sourceOf }) : null;
  const ask = typeof createAsk === "function"
    ? createAsk(parts, { go, show, showLarge, caption, put, focusOn, pair }) : null;
  const which = typeof createWhich === "function"
    ? createWhich(parts, { go, fillWorks, showLarge }) : null;
  const time = typeof createTime === "function" ? createTime(parts, { go, fillWorks }) : null;
  return { update, ask, which, say: (/** @type {string} */ text) => tell(parts.wait, text) };

  // ---- what is there once ---------------------------------------------------------------------

  function build() {
    /** @type {Parts} */
    const parts = {};
    /** @type {(name: string, ...rest: Parameters<typeof make>) => any} */
    const part = (name, tag, attributes, ...children) =>
      (parts[name] = make(tag, { "data-part": name, ...attributes }, ...children));
    /** @type {(name: string, tag: keyof HTMLElementTagNameMap, css?: string) => Node} */
    const words = (name, tag, css) => (parts[name] = make(tag, { class: css, dir: "auto" }));
    const switchOf = (/** @type {string} */ label) => (
      { role: "group", "aria-label": label, class: "as-switch" });
    /** @param {string} name @param {string} text @param {() => void} click */
    const does = (name, text, click) => (
      parts[name] = button(text, { "data-part": name, click }));
    /** @param {string} text @param {string} label @param {() => void} click */
    const goes = (text, label, click) => button(text, { "aria-label": label, click });
    const turnPage = (/** @type {number} */ by) => (
      go({ do: "change", page: view.drawer.page + by }));

    parts.k_number = make("output", {});
    parts.k_slider = make("input", {
      type: "range", min: 1, step: 1,
      input: () => { parts.k_number.textContent = parts.k_slider.value; },
      change: () => go({ do: "change", k: Number(parts.k_slider.value) }),
    });
    parts.dial_slider = make("input", {
      type: "range", min: 0, max: 1, step: 0.05, value: 0.5, "aria-label": "Dial",
      input: () => turnDial(dialAlpha()),
    });
    parts.machines = make("div", switchOf("Works made by a machine"));
    parts.machines_said = make("span", {});
    parts.recipes = make("div", switchOf("Features"));
    const chooser = (/** @type {Attributes} */ attributes) => {
      const input = make("input", {
        type: "file", accept: "image/*", hidden: "", ...attributes,
        change: () => {
          if (input.files) upload(input.files);
          input.value = "";
        },
      });
      return input;
    };
    parts.file = chooser({});
    parts.image = make("img", {});
    parts.words = make("p", { class: "as-words", dir: "auto", hidden: "" });
    parts.past = make("ol", { class: "as-strip" });
    parts.choices = make("ol", { class: "as-works as-choices" });
    parts.matches = make("span", { class: "as-quiet" });
    parts.searchbox = make("input", {
      type: "search", placeholder: "Artist, title, year, style", "aria-label": "Search the drawer",
      input: () => {
        clearTimeout(pause);
        pause = setTimeout(() => go({ do: "change", search: parts.searchbox.value }), 250);
      },
    });

    part("networks", "div", switchOf("Network"));
    part("crops", "div", switchOf("Crop"));
    parts.crop = make("div", { class: "as-tool" }, make("span", {}, "Crop"), parts.crops);
    does("compare", "Side by side", () => go({ do: "change", compare: !view.compare }));
    part("k", "label", { class: "as-k" }, "Neighbours", parts.k_slider, parts.k_number);
    part("dial", "div", {}, parts.recipes);
    parts.slider = make("label", { class: "as-slider" },
      make("span", {}, "content"), parts.dial_slider, make("span", {}, "style"));
    part("machine", "div", { class: "as-machines" }, parts.machines_said, parts.machines);
    part("upload", "div", { class: "as-tool" },
      button("Your own image…", {
        title: "Choose a file; or drop one here, or paste one", click: () => parts.file.click(),
      }), parts.file);
    // A machine without a touch screen would show its files again.
    if (matchMedia("(pointer: coarse)").matches) {
      const camera = chooser({ capture: "environment" });
      parts.camera = make("div", { class: "as-tool" },
        button("Camera…", { "data-part": "camera", click: () => camera.click() }), camera);
    }
    Object.assign(parts, createSheet(layOut));
    parts.line = make("div", { class: "as-bar as-line" }, parts.more);
    does("export", "Save table", () => go({ do: "export" }));
    does("picture", "Save picture", () => go({ do: "picture" }));
    does("refresh", "Refresh choices", () => go({ do: "refresh" }));
    part("error", "p", { class: "as-error", role: "alert" });
    part("status", "p", { class: "as-status", role: "status" });
    part("caption", "div", { class: "as-caption", role: "tooltip" },
      words("caption_title", "strong"), words("caption_more", "span"),
      words("caption_machine", "span"),
      words("caption_rights", "small"));
    part("query", "section", { class: "as-query", "aria-label": "Selected work" },
      make("figure", {},
        (parts.mat = make("div", { class: "as-mat" }, parts.image, parts.words)),
        make("figcaption", {},
          words("title", "h2"), words("artist", "p", "as-artist"), words("style", "p"),
          words("by_machine", "p"),
          words("rights", "p", "as-quiet"), (parts.source = make("p", { class: "as-quiet" })))));
    part("neighbours", "section", { class: "as-neighbours", "aria-label": "Similar works" },
      part("overlap", "p", { class: "as-overlap" }),
      (parts.rows = make("div", { class: "as-rows" })),
      make("div", { class: "as-bar as-foot" },
        (parts.unit = make("p", { class: "as-quiet" })), parts.export, parts.picture));
    part("history", "nav", { class: "as-history", "aria-label": "Trail of selected works" },
      (parts.back = goes("←", "Back", () => go({ do: "back" }))),
      (parts.forward = goes("→", "Forward", () => go({ do: "forward" }))), parts.past);
    part("drawer", "section", { class: "as-drawer", "aria-label": "Drawer of works" },
      make("div", { class: "as-bar" },
        parts.searchbox, parts.refresh, make("span", { class: "as-space" }),
        (parts.earlier = goes("‹", "Earlier works", () => turnPage(-1))), parts.matches,
        (parts.later = goes("›", "Later works", () => turnPage(1)))),
      parts.choices);

    // JupyterLab would take Enter and the arrows for its own.
    part("gallery", "div", { class: "artsearch", "data-lm-suppress-shortcuts": "true" },
      parts.line, parts.sheet, parts.error, (parts.wait = make("p", { class: "as-wait as-quiet", hidden: "" })),
      make("div", { class: "as-main" }, parts.query, parts.neighbours),
      parts.history, parts.drawer,
      make("div", { class: "as-quiet as-about" }, words("sentence", "p", "as-sentence"),
        " ", words("licences", "p", "as-licences"), " ",  // blanks stay where it is copied
        part("reason", "details", {}, make("summary", {}, "Why?"), words("why", "p"))),
      parts.status, parts.caption);
    return parts;
  }

  // ---- what changes with every view -----------------------------------------------------------

  /** @param {View} next */
  function update(next) {
    const focus = placeOfFocus();
    view = next;
    parts.sentence.textContent = view.sentence;
    parts.licences.textContent = view.licences || "";
    parts.why.textContent = view.reason || "";
    parts.reason.hidden = !view.reason;
    tell(parts.error, view.error);
    ask?.update(view);
    which?.update(view);
    pair?.update(view);
    if (parts.status.textContent !== summary()) parts.status.textContent = summary();
    parts.gallery.classList.remove("as-waiting");
    tell(parts.wait, "");
    const networks = view.networks.map((one) => (view.compare ? { ...one, selected: false } : one));
    const network = networks.find((one) => one.selected)?.name ?? "";
    fillSwitch(parts.networks, networks, (name) => go({ do: "change", network: name }));
    parts.networks.hidden = networks.length < 2; // the headings name it
    fillSwitch(parts.crops, view.crops, (crop) => go({ do: "change", crop }));
    parts.compare.hidden = view.networks.length < 2;
    parts.compare.setAttribute("aria-pressed", Boolean(view.compare));
    parts.k.hidden = view.k_max < 2;
    parts.k_slider.max = view.k_max;
    parts.k_slider.value = view.k;
    parts.k_number.textContent = view.k;
    fillDial(view.dial);
    fillMachines(view.machine_made);
    for (const one of [parts.upload, parts.camera]) if (one) one.hidden = !view.can_upload;
    parts.picture.hidden = !view.can_upload || Boolean(view.alone);
    fillQuery(view.query);
    fillRows();
    time?.update(view);
    fillHistory(view.history);
    fillDrawer(view.drawer);
    layOut();
    if (network !== parts.networks.dataset.shown) showPressed();
    parts.networks.dataset.shown = network;
    restoreFocus(focus);
  }

  /** @param {View["dial"]} dial */
  function fillDial({ available, alpha, yours = null }) {
    const wanted = turnNext;
    // The place that was fitted to votes, where there is one.
    const own = yours === null ? [] : [
      { name: "yours", title: `your dial (${yours.toFixed(2)})`, selected: alpha === yours }];
    [turning, turnNext] = [false, undefined];
    parts.dial.hidden = parts.slider.hidden = !available;
    parts.slider.classList.toggle("as-off", alpha === null);
    fillSwitch(parts.recipes, [
      { name: "final", title: "final layer", selected: alpha === null },
      { name: "dial", title: "dial", selected: alpha !== null && alpha !== yours },
      ...own,
    ], (name) => turnDial(name === "dial" ? dialAlpha() : name === "yours" ? yours : null));
    // The visitor is further than this answer: the slider stays where the hand is.
    if (wanted !== undefined && wanted !== alpha) turnDial(wanted);
    else setDial(alpha);
  }

  /** @param {number | null} alpha */
  function setDial(alpha) {
    if (alpha !== null) parts.dial_slider.value = alpha;
    const said = alpha === null ? `not in use: ${dialText(null)}` : dialText(alpha);
    parts.dial_slider.setAttribute("aria-valuetext", said);
  }

  /** @param {View["machine_made"]} made */
  function fillMachines({ available, shown, count }) {
    parts.machine.hidden = !available;
    parts.machines_said.textContent = `Made by a machine (${count.toLocaleString("en")})`;
    fillSwitch(parts.machines, [
      { name: "out", title: "left out", selected: !shown },
      { name: "shown", title: "shown", selected: shown },
    ], (name) => go({ do: "change", machine_made: name === "shown" }));
  }

  /** @param {Work | null} work */
  function fillQuery(work) {
    parts.query.classList.toggle("as-empty", !work);
    if (!work) return;
    parts.query.dataset.id = work.id;
    parts.mat.style.setProperty("--ratio", ratio(work));
    tell(parts.words, work.words ? work.title : "");
    parts.image.hidden = Boolean(work.words);
    if (!work.words) showLarge(parts.image, work);
    parts.title.textContent = work.words ? "In words" : work.title;
    fillWords(parts.artist, work, ["artist", "year"]);
    fillWords(parts.style, work, ["style"]);
    tell(parts.by_machine, bySaid(work));
    parts.rights.textContent = work.licence ? `Licence: ${work.licence}` : "";
    parts.source.replaceChildren(...(work.source ? ["Source: ", sourceOf(work.source)] : []));
  }

  /**
   * Show the large picture of a work; until it is there, not the one before.
   * @param {HTMLImageElement} image @param {Work} work
   */
  function showLarge(image, work) {
    if (image.dataset.of !== work.image) {
      image.removeAttribute("src");
      image.dataset.of = work.image;
    }
    image.alt = work.alt;
    show(image, work.image);
  }

  /**
   * What is known of the selected work, in one line; each word of it may be asked for (ask.js).
   * @param {any} line @param {Work} work @param {string[]} columns
   */
  function fillWords(line, work, columns) {
    const known = columns.filter((column) => work[column]);
    const said = JSON.stringify(known.map((column) => [column, work[column]]));
    if (line.dataset.said === said) return; // the focus may be in it
    line.dataset.said = said;
    const word = (/** @type {string} */ column) => ask?.word(column, work[column]) ?? work[column];
    line.replaceChildren(...known.flatMap((column, i) => [...(i ? [", "] : []), word(column)]));
  }

  function fillRows() {
    const { rows } = view;
    const times = timesIn(rows);
    const overlap = view.compare && rows.length ? overlapOf(rows, times) : null;
    parts.neighbours.classList.toggle("as-compared", view.compare);
    parts.neighbours.classList.toggle("as-many", rows.some((row) => row.works.length > 12));
    parts.overlap.hidden = !overlap;
    if (overlap) {
      const number = make("strong", {}, `${Math.round(100 * overlap.value)} %`);
      parts.overlap.replaceChildren(number, ` ${overlap.text}`);
    }
    const numbers = ask?.numbers() ?? "distances";
    const unit = view.unit ? `Small numbers are ${numbers} (${view.unit}). ` : "";
    const alone = view.query && !rows.length ? "There is no other work that could be near. " : "";
    const only = view.compare && rows.length ? "◆ found by this network only." : "";
    parts.unit.textContent = alone + unit + only;
    while (parts.rows.childElementCount > rows.length) parts.rows.lastElementChild.remove();
    rows.forEach((row, i) => {
      const block = parts.rows.children[i] || parts.rows.appendChild(
        make("div", {}, make("h3", { dir: "auto" }), make("p", { class: "as-quiet" }),
          make("ol", { class: "as-works" })));
      block.dataset.network = row.network;
      block.firstElementChild.textContent =
        view.compare ? row.title : `${answerSaid()} as ${row.title} sees it${dialSaid()}`;
      tell(block.children[1], row.cut || "");
      fillWorks(block.lastElementChild, row.works.map((work) => (
        { ...work, only: view.compare && times.get(work.id) === 1 })));
    });
  }

  /** @param {View["history"]} history */
  function fillHistory(history) {
    const { works, position } = history;
    disable([parts.back, parts.forward], [position <= 0, position >= works.length - 1]);
    fillWorks(parts.past, works);
    [...parts.past.children].forEach((item, i) => markCurrent(workIn(item), i === position));
  }

  /** @param {View["drawer"]} drawer */
  function fillDrawer(drawer) {
    if (document.activeElement !== parts.searchbox) parts.searchbox.value = drawer.search;
    const works = countOf(drawer.matches, "work");
    parts.matches.textContent =
      drawer.pages > 1 ? `${drawer.page + 1} of ${drawer.pages} · ${works}` : works;
    disable([parts.earlier, parts.later], [drawer.page <= 0, drawer.page >= drawer.pages - 1]);
    fillWorks(parts.choices, drawer.works);
  }

  /**
   * Put works into a list; those that stay in their place keep their buttons, and the focus.
   * @param {Element} list @param {Work[]} works
   */
  function fillWorks(list, works) {
    const old = [...list.children];
    works.forEach((work, i) => {
      const same = old[i] && workIn(old[i]).dataset.id === work.id;
      const item = same ? old[i] : workItem(work.id);
      dress(item, work);
      if (!old[i]) list.append(item);
      else if (!same) old[i].replaceWith(item);
    });
    old.slice(works.length).forEach((item) => item.remove());
  }

  /** @param {string} id */
  function workItem(id) {
    const tags = ["as-distance", "as-only", "as-rarity"].map((name) => make("span", { class: name }));
    const image = make("img", { loading: "lazy", draggable: "false" });
    // Hidden from those who listen: the picture's text says it too.
    const badge = make("span", { class: "as-badge", "aria-hidden": "true" });
    const words = make("span", { class: "as-words", dir: "auto", hidden: "" });
    const one = make("button", { type: "button", "data-part": "work", "data-id": id },
      image, badge, words);
    return make("li", {}, one, make("p", {}, ...tags), make("p", { class: "as-print", dir: "auto" }));
  }

  /** @param {any} item @param {Work} work */
  function dress(item, work) {
    const one = workIn(item);
    const words = one.nextElementSibling;
    one.work = work;
    markCurrent(one, work.id === view.query?.id);
    item.classList.toggle("as-alone", Boolean(work.only));
    tell(one.querySelector(".as-badge"), work.machine_made ? "machine" : "");
    item.style.setProperty("--ratio", ratio(work));
    one.firstElementChild.alt = work.only ? `${work.alt}. In this row only` : work.alt;
    one.firstElementChild.hidden = Boolean(work.words);
    tell(one.querySelector(".as-words"), work.words || "");
    if (!work.words) show(one.firstElementChild, work.thumb);
    words.hidden = !work.distance_text;
    words.children[0].textContent = (work.distance_text || "") +
      (work.duplicates ? ` +${work.duplicates.toLocaleString("en")}` : "");
    words.title = work.duplicates ? `${work.duplicates} near-duplicates of it are left out` : "";
    if (work.duplicates) one.firstElementChild.alt += `. ${words.title}`;
    words.children[1].textContent = work.only ? "◆" : "";
    tell(words.children[2], work.rarity || "");
    words.children[2].title = work.rarity_text || "";
    tell(words.nextElementSibling, work.distance_text ? printed(work) : "");
    ask?.dress(item, work);
  }

  /** @param {Element} one @param {boolean} is */
  function markCurrent(one, is) {
    if (is) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }

  /**
   * Give the works of a list widths with which they fill whole lines, in their own proportions.
   * @param {Element} list
   */
  function justify(list) {
    const style = getComputedStyle(list);
    const gap = parseFloat(style.columnGap);
    const items = /** @type {HTMLElement[]} */ ([...list.children]);
    const ratios = items.map((item) => ratio(workIn(item).work));
    const total = ratios.reduce((a, b) => a + b, 0);
    const natural = (total * parseFloat(style.getPropertyValue("--row"))) / list.clientWidth;
    const lines = parseFloat(style.getPropertyValue("--lines")) || Math.max(1, Math.round(natural));
    // With half a pixel for what browsers round.
    const gaps = (/** @type {number} */ count) => gap * (count - 1) + 0.5;
    let first = 0;
    for (const end of breakLines(ratios, Math.min(lines, items.length))) {
      const sum = ratios.slice(first, end).reduce((a, b) => a + b, 0);
      for (let i = first; i < end; i++) {
        const share = ratios[i] / sum;
        items[i].style.width = `calc((100% - ${gaps(end - first)}px) * ${share})`;
      }
      first = end;
    }
  }

  /**
   * Where to end each line so that they are as equally long as can be (Knuth and Plass, in small).
   * @param {number[]} lengths @param {number} lines
   */
  function breakLines(lengths, lines) {
    const upTo = [0];
    for (const length of lengths) upTo.push(upTo[upTo.length - 1] + length);
    const ideal = upTo[lengths.length] / lines;
    // best[end]: the cost of the lines so far when they hold the first `end` works, and their ends
    let best = [{ cost: 0, ends: /** @type {number[]} */ ([]) }];
    for (let line = 0; line < lines; line++) {
      /** @type {typeof best} */
      const next = [];
      best.forEach(({ cost, ends }, start) => {
        for (let end = start + 1; end <= lengths.length; end++) {
          const total = cost + (upTo[end] - upTo[start] - ideal) ** 2;
          if (!next[end] || total < next[end].cost) next[end] = { cost: total, ends: [...ends, end] };
        }
      });
      best = next;
    }
    return best[lengths.length]?.ends || [];
  }

  /** Bring the network that is asked into sight where they scroll. */
  function showPressed() {
    const one = parts.networks.querySelector("[aria-pressed=true]");
    if (one) parts.networks.scrollLeft = one.offsetLeft - 4;
    markCut();
  }

  function markCut() {
    const { scrollWidth, clientWidth, scrollLeft } = parts.networks;
    parts.networks.classList.toggle("as-cut", scrollWidth - clientWidth - scrollLeft > 4);
  }

  /** Put into the one line what there is room for, and all else behind "…". */
  function arrange() {
    const { line, more, rest } = parts;
    const there = FIRST.filter((name) => parts[name] && !parts[name].hidden);
    const asked = parts.gallery.className.includes("as-asking");
    const now = [line.clientWidth, asked, ...there.map((name) => parts[name].textContent)].join();
    // While a tool behind "…" has the focus it stays there: moved, it would lose that, and close it.
    if (!line.clientWidth || arranged === now || rest.contains(document.activeElement)) return;
    arranged = now;
    const focus = document.activeElement;
    line.classList.add("as-measured");
    line.replaceChildren(...there.map((name) => parts[name]), more);
    const gap = parseFloat(getComputedStyle(line).columnGap);
    const narrow = line.clientWidth < NARROW;
    let room = line.clientWidth - more.offsetWidth;
    const fits = there.filter((name) => {
      const whole = parts[name].offsetWidth;
      // Networks may scroll; they take what the others leave.
      const least = name === "networks" ? Math.min(whole, room * (narrow ? 0.33 : 0.6)) : whole;
      const width = least + gap;
      if (!whole || width > room || (narrow && there.indexOf(name) > 2)) return false;
      room -= width;
      return true;
    });
    const behind = BEHIND.filter((name) => parts[name] && !fits.includes(name));
    line.classList.remove("as-measured");
    const inLine = IN_LINE.filter((name) => fits.includes(name));
    line.replaceChildren(...inLine.map((name) => parts[name]), more);
    rest.replaceChildren(...behind.map((name) => parts[name]));
    if (parts.panel && fits.includes("ask_more")) parts.asked.after(parts.panel);
    showPressed();
    if (document.activeElement !== focus && parts.gallery.contains(focus)) focusOn(focus);
  }

  /**
   * Give the focus to a tool, or, where it is not in sight, to what leads to it.
   * @param {any} one
   */
  function focusOn(one) {
    one.focus({ preventScroll: true });
    if (document.activeElement !== one) parts.more.focus({ preventScroll: true });
  }

  function layOut() {
    arrange();
    for (const list of parts.gallery.querySelectorAll(".as-works")) {
      if (list.clientWidth) justify(list);
    }
    time?.layOut();
  }

  function summary() {
    if (!view.query) return "";
    if (!view.rows.length) return `Selected: ${view.query.caption}. There is no other work.`;
    const by = view.compare ? `${view.rows.length} networks` : view.rows[0]?.title;
    const answer = ask?.answer() ?? countOf(view.k, "similar work");
    return `Selected: ${view.query.caption}. ${answer} by ${by}${dialSaid()}.`;
  }

  /** What the heading of a row calls its works. */
  function answerSaid() {
    return ask?.answer() ?? "Nearest";
  }

  /** What headings add about the dial where it is used. */
  function dialSaid() {
    return view.dial.alpha === null ? "" : ` · ${dialText(view.dial.alpha)}`;
  }

  // ---- what the visitor does ------------------------------------------------------------------

  function listen() {
    const { gallery } = parts;
    let width = 0;
    new ResizeObserver(() => {
      if (width !== gallery.clientWidth) layOut();
      width = gallery.clientWidth;
    }).observe(gallery);
    parts.networks.addEventListener("scroll", markCut, { passive: true });
    gallery.addEventListener("click", chooseClicked);
    gallery.addEventListener("keydown", onKey);
    gallery.addEventListener("mouseover", (/** @type {Event} */ event) => caption(event.target));
    gallery.addEventListener("mouseleave", () => caption(null));
    gallery.addEventListener("focusin", (/** @type {Event} */ event) => caption(event.target));
    gallery.addEventListener("focusout", () => caption(null));
    gallery.addEventListener("dragover", onDrag);
    gallery.addEventListener("dragleave", () => gallery.classList.remove("as-dropping"));
    gallery.addEventListener("drop", onDrop);
    document.addEventListener("paste", onPaste);
  }

  /** @type {Go} */
  function go(what) {
    parts.gallery.classList.add("as-waiting");
    tell(parts.wait, waitingFor(what));
    act(what);
  }

  /** What is said when the answer takes more than a second. @param {What} what */
  function waitingFor(what) {
    if (what.file) return `Looking at ${what.file.name} …`;
    if (what.tried) return "Changing the picture, and asking again each time …";
    if (what.motif) return "Looking for this part in other works …";
    if (what.why) return "Comparing the two pictures, place by place …";
    const isNew = ["network", "crop", "dial", "compare"].some((name) => name in what);
    return isNew && view.can_upload && !view.alone
      ? "One moment: a network that is asked for the first time looks at every work."
      : "…";
  }

  /**
   * Ask for a weight of the dial; while an answer is awaited, only the last one is kept.
   * @param {number | null} alpha
   */
  function turnDial(alpha) {
    setDial(alpha);
    if (turning) {
      turnNext = alpha;
      return;
    }
    turning = true;
    go({ do: "change", dial: alpha });
  }

  /** The weight that the slider means. */
  function dialAlpha() {
    return Number(parts.dial_slider.value);
  }

  /** @param {any} event */
  function chooseClicked(event) {
    const one = event.target.closest("[data-part=work]");
    if (!one) return;
    const position = parts.past.contains(one) ? itemsOf(parts.past).indexOf(one) : -1;
    if (position >= 0) go({ do: "go_to", position });
    else go({ do: "select", id: one.dataset.id });
  }

  /**
   * Arrows, Home and End walk within a list of works; Escape puts the caption away.
   * @param {any} event
   */
  function onKey(event) {
    if (event.key === "Escape") caption(null);
    const one = event.target.closest("[data-part=work]");
    if (!one) return;
    const all = itemsOf(one.closest("ol"));
    const to = /** @type {Record<string, number>} */ ({
      ArrowLeft: all.indexOf(one) - 1, ArrowRight: all.indexOf(one) + 1,
      Home: 0, End: all.length - 1,
    })[event.key];
    if (all[to]) {
      event.preventDefault();
      event.stopPropagation();
      all[to].focus();
    }
  }

  /** @param {FileList} files */
  function upload(files) {
    if (view?.can_upload && files.length) go({ do: "upload", file: files[0] });
  }

  /** @param {any} event */
  function onDrag(event) {
    if (!view?.can_upload || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    parts.gallery.classList.add("as-dropping");
  }

  /** A picture that is pasted where nothing else would take it. @param {any} event */
  function onPaste(event) {
    const here = parts.gallery.contains(event.target) || event.target === document.body;
    if (!parts.gallery.isConnected || !here || !view?.can_upload) return;
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    upload(event.clipboardData.files);
  }

  /** @param {any} event */
  function onDrop(event) {
    if (!view?.can_upload || !event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    parts.gallery.classList.remove("as-dropping");
    upload(event.dataTransfer.files);
  }

  // ---- captions -------------------------------------------------------------------------------

  /**
   * Show the caption beside a work, and mark the same work in the other rows.
   * @param {any} target
   */
  function caption(target) {
    const one = target?.closest("[data-part=work]");
    const card = parts.caption;
    card.classList.toggle("as-shown", Boolean(one));
    for (const other of parts.rows.querySelectorAll("[data-part=work]")) {
      const same = other !== one && other.dataset.id === one?.dataset.id;
      other.classList.toggle("as-same", same);
    }
    if (!one) return;
    const { work } = one;
    parts.caption_title.textContent = work.title;
    parts.caption_more.textContent = [work.artist, work.year, work.style].filter(Boolean).join(", ");
    tell(parts.caption_machine, bySaid(work));
    parts.caption_rights.textContent = work.licence || "";
    put(card, one);
  }

  /**
   * Put a card above what it is about, or below it, as there is room in the window.
   * @param {HTMLElement} card @param {Element} one
   */
  function put(card, one, below = false) {
    const frame = parts.gallery.getBoundingClientRect();
    const box = one.getBoundingClientRect();
    const left = box.left - frame.left + box.width / 2 - card.offsetWidth / 2;
    const most = frame.width - card.offsetWidth - 4;
    card.style.left = `${Math.max(4, Math.min(left, most))}px`;
    // A caption rather above, so that the distance below a work stays readable.
    const above = box.top - card.offsetHeight - 8;
    const isRoom = box.bottom + 8 + card.offsetHeight <= innerHeight;
    const isUnder = above <= 0 || (below && isRoom);
    card.style.top = `${(isUnder ? box.bottom + 8 : above) - frame.top}px`;
  }

  // ---- focus ----------------------------------------------------------------------------------

  /**
   * Remember the focus by its place in a list: Enter, Enter, Enter goes down the rabbit hole.
   * @returns {Focus | null}
   */
  function placeOfFocus() {
    const one = /** @type {any} */ (document.activeElement?.closest?.("[data-part=work]"));
    if (!one || !parts.gallery.contains(one)) return null;
    const list = one.closest("ol");
    const row = [...parts.rows.children].findIndex((block) => block.contains(list));
    return { list, row, i: itemsOf(list).indexOf(one), one };
  }

  /** @param {Focus | null} focus */
  function restoreFocus(focus) {
    caption(null);
    if (!focus) return;
    if (!focus.one.isConnected) {
      const list = focus.list.isConnected ? focus.list : parts.rows.querySelector("ol");
      const all = list ? itemsOf(list) : [];
      (all[focus.i] || all.at(-1))?.focus({ preventScroll: true });
    }
    if (document.activeElement?.matches?.(":focus-visible")) caption(document.activeElement);
  }

  // ---- small things ---------------------------------------------------------------------------

  /** @param {Element} list @returns {any[]} */
  function itemsOf(list) {
    return [...list.querySelectorAll("[data-part=work]")];
  }

  /** The button of a work in a list. @param {Element} item @returns {any} */
  function workIn(item) {
    return item.querySelector("[data-part=work]");
  }

  /** @param {string} text @returns {Node | string} */
  function sourceOf(text) {
    if (!/^https?:\/\/\S+$/.test(text)) return text;
    return make("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text);
  }
}

/** In how many rows each work is. @param {View["rows"]} rows @returns {Map<string, number>} */
function timesIn(rows) {
  const times = new Map();
  for (const { works } of rows) {
    for (const { id } of works) times.set(id, (times.get(id) || 0) + 1);
  }
  return times;
}

/**
 * What share of the works all networks find, and a sentence about it.
 * @param {View["rows"]} rows @param {Map<string, number>} times
 */
function overlapOf(rows, times) {
  const k = Math.max(...rows.map(({ works }) => works.length));
  const common = [...times.values()].filter((n) => n === rows.length).length;
  const alone = [...times.values()].filter((n) => n === 1).length;
  const text = `in common: ${common} of ${k} works are in all ${rows.length} rows, ` +
    `${alone} ${alone === 1 ? "is" : "are"} in one row only.`;
  return { value: common / Math.max(k, 1), text };
}

/** What is said of a work that a machine made. @param {Work} work @returns {string} */
function bySaid(work) {
  return work.machine_made ? `Made by a machine: ${work.machine_made}` : "";
}

/** What stands below a neighbour on paper, where nothing is hovered. @param {Work} work */
function printed({ caption, licence, source }) {
  return [caption, licence, source].filter(Boolean).join(" · ");
}

/**
 * A weight of the dial in words, as dial_text in wording.py gives it.
 * @param {number | null} alpha
 */
function dialText(alpha) {
  /** @type {Record<number, string>} */
  const plain = { 0: "content alone", 0.5: "half way: content and style alike", 1: "style alone" };
  if (alpha === null) return "the network's final layer";
  const more = alpha < 0.5 ? "more content than style" : "more style than content";
  return plain[alpha] || `${more} (${alpha.toFixed(2)})`;
}

/**
 * The button "…" and what it opens: below it, or on a telephone a sheet from below (gallery.css).
 * Escape, a click elsewhere and the way out by Tab close it; the browser gives the focus back.
 * @param {() => void} closed what is called then
 */
function createSheet(closed) {
  const id = uniqueId();
  const more = button("…", {
    "data-part": "more", "aria-label": "More choices", title: "More choices", popovertarget: id,
    "aria-haspopup": "dialog", "aria-controls": id, "aria-expanded": "false",
  });
  const rest = make("div", { class: "as-rest" });
  const close = button("×", {
    "aria-label": "Close", popovertarget: id, popovertargetaction: "hide",
  });
  const sheet = make("div", {
    id, popover: "auto", class: "as-sheet", "data-part": "sheet", role: "dialog",
    "aria-label": "More choices", tabindex: -1,
    beforetoggle: ({ newState }) => more.setAttribute("aria-expanded", String(newState === "open")),
    toggle: ({ newState }) => toggled(newState === "open"),
    focusout: ({ relatedTarget: to }) => {
      if (to && to !== more && !sheet.contains(to)) sheet.hidePopover();
    },
    // On a telephone it fills the screen, so that the tap that closes it selects no work.
    click: ({ target }) => { if (target === sheet) sheet.hidePopover(); },
  }, make("div", { class: "as-card" },
    make("div", { class: "as-head" }, make("strong", {}, "More choices"), close), rest));
  return { more, sheet, rest };

  /** @param {boolean} open */
  function toggled(open) {
    const listen = open ? "addEventListener" : "removeEventListener";
    document[listen]("scroll", place, { capture: true, passive: true });
    window[listen]("resize", place);
    if (open) {
      place();
      sheet.focus({ preventScroll: true });
    } else {
      if (document.activeElement === document.body) more.focus({ preventScroll: true });
      closed();
    }
  }

  function place() {
    const { bottom, right } = more.getBoundingClientRect();
    const top = Math.max(8, Math.min(bottom + 6, innerHeight - rest.offsetHeight - 80));
    sheet.style.setProperty("--top", `${top}px`);
    sheet.style.setProperty("--right", `${document.documentElement.clientWidth - right}px`);
  }
}

/**
 * Make an element; attributes that are functions listen to the event of their name.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Attributes | null} attributes @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, String(value ?? ""));
  }
  node.append(...children);
  return node;
}

/** @param {string} text @param {Attributes} attributes */
function button(text, attributes) {
  return make("button", { type: "button", class: "as-button", ...attributes }, text);
}

function uniqueId() {
  return `as-${Math.random().toString(36).slice(2)}`;
}

/**
 * A number with what it counts, as count_of in text.py gives it.
 * @param {number} number @param {string} noun
 */
function countOf(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * A text without case, accents and blanks beside one, as fold in artsearch/base/text.py gives it:
 * "durer" finds Dürer.
 * @param {string} text
 */
function fold(text) {
  return caseless(text.normalize("NFKD")).replace(/\p{M}/gu, (one) => (isAccent(one) ? "" : one))
    .split(/[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/)
    .filter(Boolean).join(" ");
}

/**
 * Whether a mark changes its place beside U+3099, which tells the sounds of kana apart: if so it is
 * of another class than that one, and an accent. Starters never move.
 * @param {string} mark @returns {boolean}
 */
function isAccent(mark) {
  if (!accents.has(mark)) {
    const moves = [`\u3099${mark}`, `${mark}\u3099`].some((pair) => pair.normalize("NFD") !== pair);
    accents.set(mark, moves);
  }
  return accents.get(mark);
}

const accents = new Map();

/** Letters without case, as Python's casefold gives them. @param {string} text */
function caseless(text) {
  if (/^[\0-\x7f]*$/.test(text)) return text.toLowerCase();
  const upper = text.replace(/[^ıĸẞ]+/g, (part) => part.toUpperCase()).replaceAll("ẞ", "SS");
  return upper.replace(/[^Ꭰ-Ᏽ]+/g, (part) => part.toLowerCase()).replaceAll("ς", "σ");
}

/** Let the browser save a file. @param {string} name @param {Blob} blob */
function saveFile(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Fill a group of buttons of which some are pressed; what is clicked goes to `choose`, by name.
 * @param {any} group @param {Choice[]} choices @param {(name: string) => void} choose
 */
function fillSwitch(group, choices, choose) {
  if (group.childElementCount !== choices.length) {
    const click = (/** @type {any} */ { currentTarget }) => choose(currentTarget.dataset.name);
    group.replaceChildren(...choices.map(() => button("", { click })));
  }
  choices.forEach(({ name, title, selected }, i) => {
    const one = group.children[i];
    one.textContent = title;
    one.dataset.name = name;
    one.setAttribute("aria-pressed", Boolean(selected));
  });
}

/**
 * Switch buttons off or on; one that had the focus gives it to the first that is on.
 * @param {HTMLButtonElement[]} buttons @param {boolean[]} off
 */
function disable(buttons, off) {
  const had = buttons.findIndex((one) => one === document.activeElement);
  buttons.forEach((one, i) => { one.disabled = off[i]; });
  if (off[had]) buttons.find((one) => !one.disabled)?.focus({ preventScroll: true });
}

/** @param {HTMLElement} node @param {string} text */
function tell(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}

/**
 * A scroll or a frieze is held in a box of at most these proportions, whole, at a readable size;
 * the box of a work with a heading has room for some of it.
 * @param {Work} work @returns {number}
 */
function ratio(work) {
  return Math.max(work.group ? 0.75 : 0.5, Math.min(2.6, (work.width || 1) / (work.height || 1)));
}
