// @ts-check
// What lies over and below the points of a map: pictures where there is room, captions, the legend.
//
// The points, the lasso and the zoom are jupyter-scatter's, whose element has regl-scatterplot's
// `api`. The kernel knows the works; here they are rows, and pictures travel as bytes, once each,
// when they come into sight.

const SMALLEST = 44; // sides of a picture in pixels: among many, and among few
const LARGEST = 128;
const KEPT = 1500; // pictures in memory
const AT_ONCE = 24; // pictures in one message, so that the first ones come soon
const STILL = 120; // milliseconds without a move, after which pictures are chosen anew

/**
 * Pictures and captions by row, asked for when they are first wanted.
 * @typedef {ReturnType<typeof createPictures>} Pictures
 * @param {any} model @param {(rows: number[]) => void} arrived
 */
function createPictures(model, arrived) {
  /** @type {Map<number, {src: string, caption: string}>} */
  const known = new Map(); // row → {src, caption}, the one used longest ago first
  const asked = new Set();

  /** @param {number} row */
  function get(row) {
    const one = known.get(row);
    if (one) {
      known.delete(row);
      known.set(row, one);
    }
    return one;
  }

  /** @param {number[]} rows */
  function want(rows) {
    const missing = rows.filter((row) => !known.has(row) && !asked.has(row));
    missing.forEach((row) => asked.add(row));
    for (let at = 0; at < missing.length; at += AT_ONCE) {
      model.send({ do: "pictures", rows: missing.slice(at, at + AT_ONCE) });
    }
  }

  /**
   * @param {{pictures: number[], captions: string[]}} message
   * @param {DataView<ArrayBuffer>[]} buffers
   */
  function take({ pictures: rows, captions }, buffers) {
    rows.forEach((row, i) => {
      asked.delete(row);
      const file = buffers[i].byteLength ? new Blob([buffers[i]], { type: "image/webp" }) : null;
      known.set(row, { src: file ? URL.createObjectURL(file) : "", caption: captions[i] });
    });
    arrived(rows);
  }

  /** @param {Set<number>} inUse */
  function tidy(inUse) {
    for (const [row, { src }] of known) {
      if (known.size <= KEPT) return;
      if (inUse.has(row)) continue;
      URL.revokeObjectURL(src);
      known.delete(row);
    }
  }

  function forget() {
    known.forEach(({ src }) => URL.revokeObjectURL(src));
  }

  return { get, want, take, tidy, forget };
}

/** Rows in an order that mixes them and is always the same (as in map.py). @param {number} count */
function mix(count) {
  const key = (/** @type {number} */ row) => Math.imul(row, 2654435761) >>> 0;
  return Uint32Array.from({ length: count }, (_, row) => row).sort((a, b) => key(a) - key(b));
}

/**
 * The rows whose pictures, `side` wide and high, can be shown none over another.
 * @param {Iterable<number>} rows @param {(row: number) => number[] | undefined} placeOf
 * @param {number} side @returns {Set<number>}
 */
function placePictures(rows, placeOf, side) {
  const taken = new Map();
  const placed = new Set();
  for (const row of rows) {
    const place = placeOf(row);
    if (!place || placed.has(row)) continue;
    const [x, y] = place;
    const column = Math.floor(x / side);
    const line = Math.floor(y / side);
    if (isFree(taken, column, line, x, y, side)) {
      taken.set(`${column} ${line}`, place);
      placed.add(row);
    }
  }
  return placed;
}

/**
 * @param {Map<string, number[]>} taken @param {number} column @param {number} line
 * @param {number} x @param {number} y @param {number} side
 */
function isFree(taken, column, line, x, y, side) {
  for (let a = column - 1; a <= column + 1; a += 1) {
    for (let b = line - 1; b <= line + 1; b += 1) {
      const near = taken.get(`${a} ${b}`);
      if (near && Math.abs(near[0] - x) < side && Math.abs(near[1] - y) < side) return false;
    }
  }
  return true;
}

/** The pictures over the points of one map. @param {any} container @param {any} model */
function createLayer(container, model) {
  const { api } = container;
  const points = api.get("points");
  const order = mix(points.length);
  const pictures = createPictures(model, (rows) => rows.forEach(fill));
  const layer = add(container, "div", "am-layer");
  const card = add(container, "div", "am-card");
  /** @type {Map<number, HTMLImageElement>} */
  const shown = new Map(); // row → img
  let shy = false; // pictures are switched off
  let side = SMALLEST;
  let timer = 0;
  /** @type {number[] | null} */
  let pressed = null;

  const size = new ResizeObserver(later);
  size.observe(container);
  /** @type {[string, () => void][]} */
  const heard = [["view", follow], ["select", later], ["deselect", later]];
  const stop = heard.map(([name, call]) => api.subscribe(name, call));
  container.addEventListener("mousemove", point);
  container.addEventListener("mouseleave", hideCard);
  container.addEventListener("mousedown", press, true);
  container.addEventListener("click", click);
  later();

  function later() {
    clearTimeout(timer);
    timer = setTimeout(choose, STILL);
  }

  function follow() {
    shown.forEach(move);
    hideCard();
    later();
  }

  function choose() {
    const { clientWidth: width, clientHeight: height } = container;
    const places = width && !shy ? findPlaces(width, height) : new Map();
    side = Math.sqrt((0.5 * width * height) / Math.max(1, places.size));
    side = Math.min(LARGEST, Math.max(SMALLEST, side));
    const selected = new Set(api.get("selectedPoints"));
    const answer = new Set(model.get("answer").map((/** @type {[number]} */ [row]) => row));
    const placed = placePictures([...selected, ...answer, ...order], (row) => places.get(row), side);
    shown.forEach((img, row) => placed.has(row) || (img.remove(), shown.delete(row)));
    placed.forEach(show);
    shown.forEach((img, row) => {
      img.classList.toggle("am-selected", selected.has(row));
      img.classList.toggle("am-answer", answer.has(row));
    });
    pictures.want([...placed]);
    pictures.tidy(placed);
    layer.dataset.shown = shown.size;
  }

  /** @param {number} width @param {number} height @returns {Map<number, number[]>} */
  function findPlaces(width, height) {
    const places = new Map();
    for (let row = 0; row < points.length; row += 1) {
      const [x, y] = api.getScreenPosition(row);
      if (x >= 0 && y >= 0 && x < width && y < height) places.set(row, [x, y]);
    }
    return places;
  }

  /** @param {number} row */
  function show(row) {
    const img = shown.get(row) ?? add(layer, "img");
    if (!shown.has(row)) {
      img.dataset.row = row;
      shown.set(row, img);
      fill(row);
    }
    img.style.maxWidth = img.style.maxHeight = `${Math.round(0.92 * side)}px`;
    move(img, row);
  }

  /** @param {number} row */
  function fill(row) {
    const img = shown.get(row);
    const picture = img && pictures.get(row);
    if (!img || !picture) return;
    img.alt = picture.caption;
    if (picture.src) img.src = picture.src;
    paint(img, row);
  }

  /** @param {HTMLElement} img @param {number} row */
  function paint(img, row) {
    const [, colour] = model.get("legend")[model.get("groups").getUint8(row)] || [];
    img.style.borderColor = colour || "";
  }

  /** @param {HTMLElement} img @param {number} row */
  function move(img, row) {
    const [x, y] = api.getScreenPosition(row);
    img.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
  }

  /** @param {MouseEvent} event */
  function find(event) {
    const inside = (/** @type {DOMRect} */ { left, right, top, bottom }) =>
      event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    return [...shown.values()].find((img) => img.src && inside(img.getBoundingClientRect()));
  }

  /** @param {MouseEvent} event */
  function point(event) {
    const img = !event.buttons && find(event);
    if (!img) return hideCard();
    const box = container.getBoundingClientRect();
    card.textContent = img.alt;
    card.classList.add("am-open");
    const [x, y] = [event.clientX - box.left + 14, event.clientY - box.top + 14];
    card.style.left = `${Math.max(0, Math.min(x, box.width - card.offsetWidth))}px`;
    card.style.top = `${y + card.offsetHeight > box.height ? y - card.offsetHeight - 28 : y}px`;
  }

  function hideCard() {
    card.classList.remove("am-open");
  }

  /** @param {MouseEvent} event */
  function press(event) {
    pressed = [event.clientX, event.clientY];
  }

  /** @param {MouseEvent} event */
  function click(event) {
    const still = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 4;
    const img = still && api.get("mouseMode") === "panZoom" && find(event);
    if (img) api.select([Number(img.dataset.row)]);
  }

  function repaint() {
    shown.forEach(paint);
    later();
  }

  /** @param {boolean} on */
  function toggle(on) {
    shy = !on;
    choose();
  }

  function remove() {
    clearTimeout(timer);
    size.disconnect();
    stop.forEach((subscription) => api.unsubscribe(subscription));
    container.removeEventListener("mousemove", point);
    container.removeEventListener("mouseleave", hideCard);
    container.removeEventListener("mousedown", press, true);
    container.removeEventListener("click", click);
    layer.remove();
    card.remove();
    pictures.forget();
  }

  return { pictures, repaint, toggle, remove };
}

/** @param {Element} parent @param {string} tag @returns {any} */
function add(parent, tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

/**
 * What stands below the map: the choice of a colour, the legend, the selection's answer.
 * @param {HTMLElement} el @param {any} model @param {(on: boolean) => void} toggle
 */
function createFoot(el, model, toggle) {
  el.classList.add("artsearch", "am-foot");
  const bar = add(el, "div", "as-bar");
  const label = add(bar, "label", "", "colour by ");
  const select = add(label, "select");
  select.add(new Option("nothing", ""));
  model.get("columns").forEach((/** @type {string} */ name) => select.add(new Option(name, name)));
  select.addEventListener("change", () => model.send({ do: "colour", column: select.value }));
  const button = add(bar, "button", "as-button", "pictures");
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    toggle(on);
  });
  const legend = add(bar, "ul", "am-legend");
  const said = add(el, "p", "am-said");
  said.setAttribute("aria-live", "polite");
  const answer = add(el, "ol", "am-answers");

  function update() {
    select.value = model.get("colour");
    legend.replaceChildren();
    model.get("legend").forEach((/** @type {string[]} */ [name, colour]) => {
      const item = add(legend, "li");
      add(item, "i").style.background = colour;
      add(item, "span", "", name);
    });
    said.textContent = model.get("said");
  }

  /** @param {Pictures} pictures */
  function show(pictures) {
    answer.replaceChildren();
    /** @type {[number, string][]} */
    const found = model.get("answer");
    found.forEach(([row, caption]) => {
      const one = add(add(answer, "li"), "button");
      one.dataset.row = row;
      one.title = caption;
      one.addEventListener("click", () => model.send({ do: "select", row }));
      add(one, "img").alt = caption;
    });
    fill(pictures);
    pictures.want(found.map(([row]) => row));
  }

  /** @param {Pictures} pictures */
  function fill(pictures) {
    for (const one of answer.querySelectorAll("button")) {
      const picture = pictures.get(Number(one.dataset.row));
      if (picture && picture.src) one.firstElementChild.src = picture.src;
    }
  }

  return { update, show, fill };
}

/** @param {{model: any, el: HTMLElement}} widget */
function render({ model, el }) {
  /** @type {ReturnType<typeof createLayer> | null} */
  let map = null;
  let timer = 0;
  const foot = createFoot(el, model, (on) => map && map.toggle(on));
  const update = () => {
    foot.update();
    if (map) map.repaint();
  };
  const answer = () => map && (foot.show(map.pictures), map.repaint());
  /** @param {any} message @param {DataView<ArrayBuffer>[]} buffers */
  const heed = (message, buffers) => {
    if (!map || !message.pictures) return;
    map.pictures.take(message, buffers);
    foot.fill(map.pictures);
  };
  /** @type {[string, (...said: any[]) => void][]} */
  const changes = [
    ["change:colour change:legend change:said", update],
    ["change:answer", answer],
    ["msg:custom", heed],
  ];
  changes.forEach(([names, call]) => names.split(" ").forEach((name) => model.on(name, call)));
  foot.update();
  find();
  return () => {
    clearTimeout(timer);
    changes.forEach(([names, call]) => names.split(" ").forEach((name) => model.off(name, call)));
    if (map) map.remove();
  };

  // The points' own element comes when jupyter-scatter has drawn them, beside this one.
  function find() {
    const box = el.closest(".artsearch-map");
    const container = box && [...box.querySelectorAll("div[id]")].find(
      (/** @type {any} */ { api }) => api && isDrawn(api));
    if (!container) {
      timer = setTimeout(find, 50);
      return;
    }
    map = createLayer(container, model);
    answer();
  }
}

/** @param {any} api */
function isDrawn(api) {
  try {
    return api.get("points").length > 0 && api.getScreenPosition(0) !== undefined;
  } catch {
    return false;
  }
}

export default { render };
