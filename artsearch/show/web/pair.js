// @ts-check
// Two works large, side by side or one over the other with a curtain; gallery.js stands above.
//
// gallery.js calls createPair where this file is loaded. `open` shows the selected work and the one
// of a button in a list of works; from there the visitor goes on to the others of that list. None of
// this is the gallery's state: how it is looked at is remembered here, until the page is left.

/** @typedef {Record<string, any>} Shown a work of a view */

const CLOSEST = 8; // how often a picture may be enlarged
const NUDGE = 0.1; // of the picture's box, for each press of an arrow
const PAIR_HELP = "Keys: N and P next and previous work · S side by side or over each other, "
  + "arrows move the curtain · G grey · + − 0 closer, farther, whole · Shift and arrows move both"
  + " · Escape closes";

/* exported createPair */
/**
 * @param {Record<string, any>} parts
 * @param {{showLarge: (image: HTMLImageElement, work: Shown) => void,
 *   sourceOf: (text: string) => Node | string}} tools
 */
function createPair(parts, { showLarge, sourceOf }) {
  /** @type {Record<string, any> | null} */
  let view = null;
  /** @type {Shown[]} */
  let works = []; // those to go through
  let at = 0; // the place of the one that is shown
  let sees = ""; // the network by which they were found
  let [over, grey, zoom] = [false, false, 1];
  let corner = [0, 0]; // of the enlarged pictures, in shares of their box
  const images = ["The selected work", "The other work"].map(
    (alt) => make("img", { alt, draggable: "false" }));
  const panes = images.map((image) => make("div", { class: "as-pane" }, image));
  // They scroll where there is little room: by keyboard too.
  const captions = images.map(({ alt }) => make("div", {
    class: "as-pair-said", tabindex: 0, role: "group", "aria-label": alt,
  }));
  const slider = make("input", {
    type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": "Curtain", input: draw,
  });
  const stage = make("div", { class: "as-pair-stage" },
    ...panes, slider, make("div", { class: "as-curtain", "aria-hidden": "true" }));
  const ways = make("div", { class: "as-switch", role: "group", "aria-label": "Way of looking" });
  const toggle = button("Grey", { "data-part": "pair-grey", click: () => turnGrey() });
  const place = make("output", { class: "as-quiet" });
  /** @param {string} text @param {string} label @param {() => void} click */
  const does = (text, label, click) => button(text, { "aria-label": label, title: label, click });
  const [before, after] = [
    does("‹", "Previous work", () => turn(-1)), does("›", "Next work", () => turn(1))];
  const [farther, closer, whole] = [
    does("−", "Farther", () => look(zoom / 1.5)), does("+", "Closer", () => look(zoom * 1.5)),
    button("Whole", { click: () => look(1) })];
  const dialog = make("dialog", {
    class: "as-pair", "data-part": "pair", tabindex: -1, "aria-label": "Two works, large",
    keydown: onKey,
  }, make("div", { class: "as-bar" }, ways, toggle,
    make("span", { class: "as-bar", "data-part": "pair-zoom" }, farther, closer, whole),
    make("span", { class: "as-space" }), make("span", { class: "as-bar" }, before, place, after),
    button("Close", { "data-part": "pair-close", click: () => dialog.close() })),
  stage, make("div", { class: "as-pair-captions" }, ...captions),
  make("p", { class: "as-quiet as-pair-help" }, PAIR_HELP));
  parts.gallery.append(dialog);
  listen();
  return { update, takes, open };

  /** @param {Record<string, any>} next */
  function update(next) {
    if (view?.query?.id !== next.query?.id) dialog.close();
    view = next;
  }

  /** Whether a work can be laid beside the selected one. @param {Shown} work */
  function takes(work) {
    const query = view?.query;
    return Boolean(query) && !query.words && !work.words && work.id !== query.id;
  }

  /** Show the selected work and that of a button, or one without. @param {any} one */
  function open(one, work = one.work) {
    const all = [...(one?.closest("ol").querySelectorAll("[data-part=work]") ?? [])];
    works = one ? all.map((other) => other.work).filter(takes) : [work];
    at = works.findIndex(({ id }) => id === work.id);
    const { network } = one?.closest("[data-network]")?.dataset ?? {};
    sees = view?.rows.find((/** @type {any} */ row) => row.network === network)?.title ?? "";
    dialog.showModal(); // closing gives the focus back
    fill();
    (over ? slider : dialog).focus();
  }

  function fill() {
    const pair = [view?.query, works[at]];
    const [first, second] = pair.map(ratio);
    const sizes = {
      sum: first + second, widest: Math.max(first, second), stack: 1 / first + 1 / second,
    };
    Object.entries(sizes).forEach(([name, size]) => (
      stage.style.setProperty(`--${name}`, String(size))));
    pair.forEach((work, i) => {
      panes[i].style.setProperty("--ratio", String(ratio(work)));
      showLarge(images[i], work);
      describe(captions[i], work, i ? nearness(work) : "Selected");
    });
    place.textContent = `${at + 1} of ${works.length}`;
    [before, after].forEach((one) => { one.disabled = works.length < 2; });
    look(1);
    show();
  }

  function show() {
    fillSwitch(ways, [
      { name: "beside", title: "side by side", selected: !over },
      { name: "over", title: "over each other", selected: over },
    ], (/** @type {string} */ name) => lay(name === "over"));
    if (!over && document.activeElement === slider) dialog.focus();
    slider.hidden = !over;
    dialog.classList.toggle("as-over", over);
    dialog.classList.toggle("as-grey", grey);
    toggle.setAttribute("aria-pressed", String(grey));
    draw();
  }

  /** @param {HTMLElement} node @param {Shown} work @param {string} more */
  function describe(node, work, more) {
    const line = (/** @type {string} */ css, /** @type {(string | Node)[]} */ ...said) => (
      said.some(Boolean) ? [make("p", { class: css, dir: "auto" }, ...said)] : []);
    const known = [work.artist, work.year, work.style].filter(Boolean).join(", ");
    node.replaceChildren(
      make("h2", { dir: "auto" }, work.title), ...line("", known), ...line("", bySaid(work)),
      ...line("as-quiet", more), ...line("as-quiet", work.licence && `Licence: ${work.licence}`),
      ...(work.source ? line("as-quiet", "Source: ", sourceOf(work.source)) : []));
  }

  /** How near the other work is, where it stands in an answer. @param {Shown} work */
  function nearness({ distance_text: far, rarity }) {
    if (!far) return "";
    const said = view?.ask?.goal ? "Distance from the work before" : "Distance";
    return [`${said} ${far}${sees && `, as ${sees} sees it`}`, rarity].filter(Boolean).join(" · ");
  }

  // ---- what the visitor does ------------------------------------------------------------------

  /** Go on to another work of the list, round its ends. @param {number} by */
  function turn(by) {
    at = (at + by + works.length) % works.length;
    fill();
  }

  /** @param {boolean} isOver */
  function lay(isOver) {
    over = isOver;
    look(1);
    show();
  }

  function turnGrey() {
    grey = !grey;
    show();
  }

  /** Draw the curtain where the slider is. */
  function draw() {
    const share = Number(slider.value);
    stage.style.setProperty("--at", `${share}%`);
    const [left, right] = [view?.query, works[at]].map((work) => work?.title);
    slider.setAttribute("aria-valuetext", `${share} % ${left}, ${100 - share} % ${right}`);
  }

  /** Enlarge both pictures so that one place of them, in shares of their box, stays where it is. */
  function look(/** @type {number} */ next, point = [0.5, 0.5]) {
    const to = Math.max(1, Math.min(CLOSEST, next));
    move(corner.map((from, i) => (point[i] - from) * (1 - to / zoom)), to);
  }

  /** Move both pictures, as far as there is something to see. @param {number[]} by */
  function move(by, to = zoom) {
    zoom = to;
    corner = corner.map((from, i) => Math.min(0, Math.max(1 - zoom, from + by[i])));
    const [x, y] = corner.map((share) => `${100 * share}%`);
    for (const image of images) image.style.transform = `translate(${x}, ${y}) scale(${zoom})`;
    disable([closer, farther, whole], [zoom === CLOSEST, zoom === 1, zoom === 1]);
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = {
      ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const act = arrow ? onArrow(arrow, event) : {
      n: () => turn(1), p: () => turn(-1), g: turnGrey, s: () => lay(!over), 0: () => look(1),
      "+": () => look(zoom * 1.5), "=": () => look(zoom * 1.5), "-": () => look(zoom / 1.5),
    }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {number[]} arrow @param {KeyboardEvent} event */
  function onArrow([x, y], event) {
    if (event.shiftKey) return () => move([NUDGE * x, NUDGE * y]);
    if (!x || event.target === slider) return null; // the slider has arrows of its own
    if (!over) return () => turn(-x);
    return () => {
      slider.focus();
      slider.value = String(Number(slider.value) - x);
      draw();
    };
  }

  /** The place of a pointer in the box of the picture that it is on. @param {MouseEvent} event */
  function placeOf({ clientX, clientY }) {
    const boxes = panes.map((pane) => pane.getBoundingClientRect());
    const box = boxes.find(({ left, right, top, bottom }) => (
      left <= clientX && clientX <= right && top <= clientY && clientY <= bottom)) ?? boxes[0];
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  }

  function listen() {
    /** @type {Map<number, PointerEvent>} */
    const fingers = new Map();
    let drawing = false;
    const drawAt = (/** @type {PointerEvent} */ event) => {
      slider.value = String(Math.round(100 * placeOf(event)[0]));
      draw();
    };
    stage.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      look(zoom * 1.002 ** -event.deltaY, placeOf(event));
    }, { passive: false });
    stage.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button) return;
      stage.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      const near = Math.abs(placeOf(event)[0] - Number(slider.value) / 100) < 0.05;
      drawing = over && fingers.size === 1 && (zoom === 1 || near);
      if (drawing) drawAt(event);
    });
    stage.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const old = fingers.get(event.pointerId);
      if (!old) return;
      fingers.set(event.pointerId, event);
      const [other] = [...fingers.values()].filter((one) => one !== event);
      const [from, to] = [old, event].map(placeOf);
      const far = (/** @type {PointerEvent} */ one) => (
        Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1);
      if (other) look((zoom * far(event)) / far(old), placeOf(other));
      else if (drawing) drawAt(event);
      else move(to.map((share, i) => share - from[i]));
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      stage.addEventListener(end, (/** @type {PointerEvent} */ event) => {
        fingers.delete(event.pointerId);
      });
    }
    parts.gallery.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const one = /** @type {any} */ (event.target).closest("[data-part=work]");
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      if (!one || event.key.toLowerCase() !== "c" || !plain || !takes(one.work)) return;
      event.preventDefault();
      event.stopPropagation();
      open(one);
    });
  }
}
