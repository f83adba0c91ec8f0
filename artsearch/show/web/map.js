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

/** Pictures and captions by row, asked for when they are first wanted. */
function createPictures(model, arrived) {
  const known = new Map(); // row → {src, caption}, the one used longest ago first
  const asked = new Set();

  function get(row) {
    const one = known.get(row);
    if (one) {
      known.delete(row);
      known.set(row, one);
    }
    return one;
  }

  function want(rows) {
    const missing = rows.filter((row) => !known.has(row) && !asked.has(row));
    missing.forEach((row) => asked.add(row));
    for (let at = 0; at < missing.length; at += AT_ONCE) {
      model.send({ do: "pictures", rows: missing.slice(at, at + AT_ONCE) });
    }
  }

  function take({ pictures: rows, captions }, buffers) {
    rows.forEach((row, i) => {
      asked.delete(row);
      const file = buffers[i].byteLength && new Blob([buffers[i]], { type: "image/webp" });
      known.set(row, { src: file ? URL.createObjectURL(file) : "", caption: captions[i] });
    });
    arrived(rows);
  }

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

/** Rows in an order that mixes them and is always the same (as in map.py). */
function mix(count) {
  const key = (row) => Math.imul(row, 2654435761) >>> 0;
  return Uint32Array.from({ length: count }, (_, row) => row).sort((a, b) => key(a) - key(b));
}

/** The rows whose pictures, `side` wide and high, can be shown none over another. */
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

function isFree(taken, column, line, x, y, side) {
  for (let a = column - 1; a <= column + 1; a += 1) {
    for (let b = line - 1; b <= line + 1; b += 1) {
      const near = taken.get(`${a} ${b}`);
      if (near && Math.abs(near[0] - x) < side && Math.abs(near[1] - y) < side) return false;
    }
  }
  return true;
}

/** The pictures over the points of one map. */
function createLayer(container, model) {
  const { api } = container;
  const points = api.get("points");
  const order = mix(points.length);
  const pictures = createPictures(model, (rows) => rows.forEach(fill));
  const layer = add(container, "div", "am-layer");
  const card = add(container, "div", "am-card");
  const shown = new Map(); // row → img
  let shy = false; // pictures are switched off
  let side = SMALLEST;
  let timer = 0;
  let pressed = null;

  const size = new ResizeObserver(later);
  size.observe(container);
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
    const answer = new Set(model.get("answer").map(([row]) => row));
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

  function findPlaces(width, height) {
    const places = new Map();
    for (let row = 0; row < points.length; row += 1) {
      const [x, y] = api.getScreenPosition(row);
      if (x >= 0 && y >= 0 && x < width && y < height) places.set(row, [x, y]);
    }
    return places;
  }

  function show(row) {
    if (!shown.has(row)) {
      const img = add(layer, "img");
      img.dataset.row = row;
      shown.set(row, img);
      fill(row);
    }
    const img = shown.get(row);
    img.style.maxWidth = img.style.maxHeight = `${Math.round(0.92 * side)}px`;
    move(img, row);
  }

  function fill(row) {
    const img = shown.get(row);
    const picture = img && pictures.get(row);
    if (!picture) return;
    img.alt = picture.caption;
    if (picture.src) img.src = picture.src;
    paint(img, row);
  }

  function paint(img, row) {
    const [, colour] = model.get("legend")[model.get("groups").getUint8(row)] || [];
    img.style.borderColor = colour || "";
  }

  function move(img, row) {
    const [x, y] = api.getScreenPosition(row);
    img.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
  }

  function find(event) {
    const inside = ({ left, right, top, bottom }) =>
      event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    return [...shown.values()].find((img) => img.src && inside(img.getBoundingClientRect()));
  }

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

  function press(event) {
    pressed = [event.clientX, event.clientY];
  }

  function click(event) {
    const still = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 4;
    const img = still && api.get("mouseMode") === "panZoom" && find(event);
    if (img) api.select([Number(img.dataset.row)]);
  }

  function repaint() {
    shown.forEach(paint);
    later();
  }

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

function add(parent, tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

/** What stands below the map: the choice of a colour, the legend, the selection's answer. */
function createFoot(el, model, toggle) {
  el.classList.add("artsearch", "am-foot");
  const bar = add(el, "div", "as-bar");
  const label = add(bar, "label", "", "colour by ");
  const select = add(label, "select");
  select.add(new Option("nothing", ""));
  model.get("columns").forEach((name) => select.add(new Option(name, name)));
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
    model.get("legend").forEach(([name, colour]) => {
      const item = add(legend, "li");
      add(item, "i").style.background = colour;
      add(item, "span", "", name);
    });
    said.textContent = model.get("said");
  }

  function show(pictures) {
    answer.replaceChildren();
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

  function fill(pictures) {
    for (const one of answer.querySelectorAll("button")) {
      const picture = pictures.get(Number(one.dataset.row));
      if (picture && picture.src) one.firstElementChild.src = picture.src;
    }
  }

  return { update, show, fill };
}

function render({ model, el }) {
  let map = null;
  let timer = 0;
  const foot = createFoot(el, model, (on) => map && map.toggle(on));
  const update = () => {
    foot.update();
    if (map) map.repaint();
  };
  const answer = () => map && (foot.show(map.pictures), map.repaint());
  const heed = (message, buffers) => {
    if (!map || !message.pictures) return;
    map.pictures.take(message, buffers);
    foot.fill(map.pictures);
  };
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
    const container = box && [...box.querySelectorAll("div[id]")].find(({ api }) => api && isDrawn(api));
    if (!container) {
      timer = setTimeout(find, 50);
      return;
    }
    map = createLayer(container, model);
    answer();
  }
}

function isDrawn(api) {
  try {
    return api.get("points").length > 0 && api.getScreenPosition(0) !== undefined;
  } catch {
    return false;
  }
}

export default { render };
