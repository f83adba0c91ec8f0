// @ts-check
// The map of the book: works where a layout has them, as points and, where there is room, as pictures.
//
// Loaded by map.html after site/rows.js (for unpack). The works come from the site's data/works.js,
// their places from map.js beside this page; both call `receive`. A click shows the work, and what
// is near to it, in the gallery below. Wheel, drag and pinch zoom and move; so do + − and the arrows.

const SIDE = 56; // of a picture in pixels
const KEY = 60; // pixels that an arrow moves the map

/** @type {Map<string, any>} */
const here = new Map();

/** Called by the data files; when both are here the map begins. */
function receive(/** @type {string} */ name, /** @type {any} */ data) {
  here.set(name, data);
  if (here.size === 2) begin(here.get("works"), here.get("map"));
}

/** @param {any} site @param {any} map */
async function begin(site, map) {
  const columns = JSON.parse(new TextDecoder().decode(await unpack(site.works)));
  const rows = new Map(columns.id.map((/** @type {string} */ id, /** @type {number} */ row) => [id, row]));
  const works = map.ids.map((/** @type {string} */ id, /** @type {number} */ i) => {
    const row = rows.get(id);
    const name = columns.picture.slice(12 * row, 12 * row + 12);
    const caption = ["artist", "title", "year"].map((one) => columns[one]?.[row]).filter(Boolean);
    return {
      id, x: map.x[i], y: map.y[i], colour: map.colours[map.groups[i]],
      caption: caption.join(", "), file: `site/thumbs/${name.slice(0, 2)}/${name}.jpg`,
    };
  });
  show(works);
}

/** @param {{id: string, x: number, y: number, colour: string, caption: string, file: string}[]} works */
function show(works) {
  const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("map"));
  const said = /** @type {HTMLElement} */ (document.getElementById("said"));
  const frame = /** @type {HTMLIFrameElement} */ (document.getElementById("gallery"));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  /** @type {Map<string, HTMLImageElement>} */
  const pictures = new Map();
  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();
  const view = { zoom: 1, x: 0, y: 0 };
  let moved = 0;
  let asked = 0;

  new ResizeObserver(draw).observe(canvas);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    moved = 0;
  });
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    const one = moved < 6 && nearest(event.offsetX, event.offsetY);
    if (one) choose(one);
  });
  canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [KEY, 0], ArrowRight: [-KEY, 0], ArrowUp: [0, KEY], ArrowDown: [0, -KEY] }[event.key];
    const factor = { "+": 1.3, "=": 1.3, "-": 1 / 1.3 }[event.key];
    if (event.key === "Enter") {
      const one = nearest(canvas.clientWidth / 2, canvas.clientHeight / 2);
      if (one) choose(one);
    }
    if (step) [view.x, view.y] = [view.x + step[0], view.y + step[1]];
    else if (factor) zoomAt(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
    else return;
    event.preventDefault();
    draw();
  });

  /** @param {PointerEvent} event */
  function move(event) {
    const before = fingers.get(event.pointerId);
    if (!before) {
      const one = nearest(event.offsetX, event.offsetY);
      said.textContent = one ? one.caption : "";
      return;
    }
    const [dx, dy] = [event.offsetX - before.offsetX, event.offsetY - before.offsetY];
    moved += Math.hypot(dx, dy);
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const far = (/** @type {PointerEvent} */ one) => Math.hypot(one.offsetX - other.offsetX, one.offsetY - other.offsetY);
      zoomAt(far(event) / Math.max(far(before), 1), other.offsetX, other.offsetY);
    } else [view.x, view.y] = [view.x + dx, view.y + dy];
    fingers.set(event.pointerId, event);
    draw();
  }

  /** @param {number} factor @param {number} x @param {number} y */
  function zoomAt(factor, x, y) {
    const zoom = Math.max(0.5, Math.min(60, view.zoom * factor));
    const [w, h] = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    const by = zoom / view.zoom;
    view.x = x - w - (x - w - view.x) * by;
    view.y = y - h - (y - h - view.y) * by;
    view.zoom = zoom;
    draw();
  }

  /** @param {{x: number, y: number}} one */
  function placeOf({ x, y }) {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const unit = 0.46 * Math.min(w / 1.3, h) * view.zoom;
    return [w / 2 + view.x + 1.3 * x * unit, h / 2 + view.y - y * unit];
  }

  /** @param {number} x @param {number} y */
  function nearest(x, y) {
    const far = (/** @type {typeof works[0]} */ one) => {
      const [a, b] = placeOf(one);
      return Math.hypot(a - x, b - y);
    };
    const best = works.reduce((a, b) => (far(b) < far(a) ? b : a), works[0]);
    return best && far(best) < SIDE / 2 ? best : null;
  }

  /** @param {typeof works[0]} one */
  function choose(one) {
    said.textContent = one.caption;
    const id = encodeURIComponent(one.id).replaceAll("%2F", "/");
    frame.src = `site/index.html#work=${id}`;
  }

  function draw() {
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      paint();
    });
  }

  function paint() {
    const [w, h, dense] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
    canvas.width = w * dense;
    canvas.height = h * dense;
    context.scale(dense, dense);
    const taken = new Set();
    for (const one of works) {
      const [x, y] = placeOf(one);
      if (x < -SIDE || y < -SIDE || x > w + SIDE || y > h + SIDE) continue;
      const cell = `${Math.floor(x / SIDE)} ${Math.floor(y / SIDE)}`;
      const picture = !taken.has(cell) && pictureOf(one);
      if (picture && picture.complete && picture.naturalWidth) {
        taken.add(cell);
        const scale = (SIDE - 6) / Math.max(picture.naturalWidth, picture.naturalHeight);
        const [a, b] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
        context.fillStyle = one.colour;
        context.fillRect(x - a / 2 - 2, y - b / 2 - 2, a + 4, b + 4);
        context.drawImage(picture, x - a / 2, y - b / 2, a, b);
      } else {
        context.fillStyle = one.colour;
        context.fillRect(x - 2, y - 2, 4, 4);
      }
    }
  }

  /** @param {typeof works[0]} one */
  function pictureOf(one) {
    let picture = pictures.get(one.id);
    if (!picture) {
      picture = new Image();
      picture.onload = draw;
      picture.src = one.file;
      pictures.set(one.id, picture);
    }
    return picture;
  }
}
