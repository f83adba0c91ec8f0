// @ts-check
// By time: the works of an answer above a line of decades, and below it what came before each.
//
// gallery.js calls createTime where this file is loaded. It shows what a view has in `view.time`, and
// in its rows `before`: for each work by its id the nearest that is surely earlier, or null. Works have
// `years`, the first and the last that they may be of, or null. What the visitor does is
//
//   {do: "change", time}   whether the works are shown by time
//
// The first part computes where things stand, and knows nothing of the page.

/**
 * @typedef {[number, number]} Span the first and the last year
 * @typedef {{x: number, at: number, text: string}} Tick a mark, and where its label has its middle
 * @typedef {{x: (year: number) => number, ticks: Tick[], cuts: number[]}} Scale
 * @typedef {{x: number, width: number}} Wide its middle, where it would stand, and how wide it is
 * @typedef {{left: number, lane: number}} Stand
 * @typedef {Record<string, any>} Dated a work as a view has it
 */

const DECADE = 10;
const STEPS_IN_TIME = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000];
const LETTER = 7; // pixels of a letter of the line's labels, and between two of them
const EMPTY_YEARS = 100; // without a work that may be cut out of the line
/**
 * What is tried until works stand about where they belong: how long a line is, beside the room, whether
 * it is cut, how many works stand above one another, and how many pixels aside.
 * @type {[number, boolean, number, number][]}
 */
const LINES = [
  [1, false, 3, 12], [1, true, 3, 36], [1, true, 4, 36], [1.5, true, 4, 36], [1, true, 5, 48],
  [2, true, 5, 48], [3, true, 5, 60],
];
/** @type {typeof LINES} */
const ON_PAPER = [[1, true, Infinity, 0]];
const HELPS = 0.85; // of the shift, which is less at a longer line
const IN_SVG = `${"http"}://www.w3.org/2000/svg`; // a name, which nobody is asked for

/** A year as the line says it. @param {number} year */
function yearText(year) {
  if (year < 0) return `${-year} BC`;
  return year === 0 ? "AD 1" : String(year); // there was no year 0
}

/**
 * Where years stand on a line of some pixels: evenly, but where `cut` says so without the centuries in
 * which there is no work. Labels are at decades, or more, so that none touches the next.
 * @param {Span[]} spans @param {number} width @param {boolean} cut @returns {Scale}
 */
function timeScale(spans, width, cut = false) {
  const low = decadeOf(Math.min(...spans.map(([first]) => first)));
  const high = decadeOf(Math.max(...spans.map(([, last]) => last))) + DECADE;
  const gaps = cut ? gapsIn(spans) : [];
  const rest = gaps.reduce((sum, [from, to]) => sum + from - to, high - low);
  // A piece of the line: from and to which year, how long it is, and whether it is cut short.
  /** @type {[number, number, number, boolean][]} */
  const pieces = [];
  let from = low;
  for (const [first, last] of gaps) {
    pieces.push([from, first, first - from, false], [first, last, rest / 8, true]);
    from = last;
  }
  pieces.push([from, high, high - from, false]);
  const total = pieces.reduce((sum, [, , long]) => sum + long, 0);
  const x = (/** @type {number} */ year) => {
    let at = 0;
    for (const [first, last, long] of pieces) {
      if (year > last) at += long;
      else {
        at += (long * (Math.max(year, first) - first)) / (last - first);
        return Math.min(width, (width / total) * at);
      }
    }
    return width;
  };
  const marks = (/** @type {number} */ step) => pieces
    .filter(([, , , isCut]) => !isCut)
    .map(([from, to]) => {
      const first = Math.ceil(from / step) * step;
      const count = Math.max(0, Math.floor((to - first) / step) + 1);
      return Array.from({ length: count }, (_, i) => {
        const [at, text] = [x(first + i * step), yearText(first + i * step)];
        return { x: at, at: Math.max(at, (LETTER * text.length) / 2), text };
      });
    });
  const touch = (/** @type {Tick} */ a, /** @type {Tick} */ b) => (
    b.at - a.at < (LETTER * (a.text.length + b.text.length)) / 2 + LETTER);
  const step = STEPS_IN_TIME.find((one) => high - low < 2_000 * one && marks(one).every((part) => (
    part.every((tick, i) => !i || !touch(part[i - 1], tick))))) ?? high - low;
  /** @type {Tick[]} */
  const ticks = [];
  for (const tick of marks(step).flat()) {
    if (!ticks.length || !touch(/** @type {any} */ (ticks.at(-1)), tick)) ticks.push(tick);
  }
  return { x, ticks, cuts: gaps.map(([first, last]) => (x(first) + x(last)) / 2) };
}

/** @param {number} year */
function decadeOf(year) {
  return Math.floor(year / DECADE) * DECADE;
}

/** The long stretches of whole decades in which there is no work. @param {Span[]} spans @returns {Span[]} */
function gapsIn(spans) {
  /** @type {Span[]} */
  const gaps = [];
  let from = Infinity;
  for (const [first, last] of [...spans].sort(([a], [b]) => a - b)) {
    if (decadeOf(first) - from >= EMPTY_YEARS) gaps.push([from, decadeOf(first)]);
    const end = decadeOf(last) + DECADE;
    from = from === Infinity ? end : Math.max(from, end);
  }
  return gaps;
}

/**
 * Boxes in order of time put into lanes, the first lane nearest to the line: each where it belongs, or
 * in another lane, and where all `most` are taken as little aside as can be.
 * @param {Wide[]} boxes @param {number} width @param {number} most @param {number} gap
 * @returns {{stands: Stand[], lanes: number, shift: number, end: number}}
 */
function stackInLanes(boxes, width, most, gap = LANE.gap) {
  /** @type {number[]} */
  const ends = [];
  /** @type {number[]} */
  const taken = []; // of each lane
  const wanted = boxes.map(({ x, width: wide }) => Math.max(0, Math.min(x - wide / 2, width - wide)));
  const stands = boxes.map(({ width: wide }, i) => {
    const free = ends.findIndex((end) => end + gap <= wanted[i]);
    let lane = free < 0 ? ends.length : free;
    if (lane >= most) lane = ends.indexOf(Math.min(...ends));
    const left = lane in ends ? Math.max(wanted[i], ends[lane] + gap) : wanted[i];
    ends[lane] = left + wide;
    taken[lane] = (lane in taken ? taken[lane] + gap : 0) + wide;
    return { left, lane };
  });
  // Those that were pushed beyond the end push the others back, where there is room in their lane.
  const limits = taken.map((all) => Math.max(all, width));
  for (let i = boxes.length - 1; i >= 0; i--) {
    const stand = stands[i];
    stand.left = Math.min(stand.left, limits[stand.lane] - boxes[i].width);
    limits[stand.lane] = stand.left - gap;
  }
  const end = Math.max(0, ...stands.map(({ left }, i) => left + boxes[i].width));
  const shift = Math.max(0, ...stands.map(({ left }, i) => Math.abs(left - wanted[i])));
  return { stands, lanes: ends.length, shift, end };
}

/**
 * The line for all lists of works along it: as long as there is room, and where works would stand too
 * far from where they belong, without empty centuries, or longer, as far as that helps.
 * @param {{spans: Span[], widths: number[]}[]} lists @param {number} room @param {typeof LINES} lines
 */
function fitLine(lists, room, lines = LINES) {
  const spans = lists.flatMap((one) => one.spans);
  const fit = (/** @type {number} */ width, /** @type {boolean} */ cut, /** @type {number} */ most) => {
    const scale = timeScale(spans, width, cut);
    const stacks = lists.map((one) => stackInLanes(one.spans.map((span, i) => (
      { x: middleOf(scale, span), width: one.widths[i] })), width, most));
    const shift = Math.max(...stacks.map((one) => one.shift));
    return { scale, stacks, shift, width: Math.max(width, ...stacks.map(({ end }) => end)) };
  };
  let best = null;
  for (const [long, cut, most, far] of lines) {
    const found = fit(long * room, cut, most);
    if (!best || found.shift < HELPS * best.shift || found.shift <= far) best = found;
    if (found.shift <= far) break;
  }
  return /** @type {ReturnType<typeof fit>} */ (best);
}

/** @param {Scale} scale @param {Span} span */
function middleOf({ x }, [first, last]) {
  return (x(first) + x(last)) / 2;
}

/**
 * Works in order of time, those without a year last.
 * @template {Record<string, any>} T
 * @param {T[]} works @returns {T[]}
 */
function inTime(works) {
  const middle = (/** @type {T} */ { years }) => (years ? (years[0] + years[1]) / 2 : Infinity);
  const order = (/** @type {T} */ a, /** @type {T} */ b) => (
    middle(a) === middle(b) ? 0 : middle(a) - middle(b));
  return [...works].sort(order);
}

// ---- the lanes ----------------------------------------------------------------------------------

/** Pixels, and proportions of pictures. */
const LANE = {
  band: 20, // the line with its labels
  room: 12, // between the pictures and the line
  threads: 32, // between the line and what came before
  under: 36, // two lines of text below a picture
  high: [48, 64], // a picture: where there is little room, and where there is more than `narrow`
  narrow: 600,
  smaller: 0.75, // what came before, beside the works
  widest: 1.6, // pictures that are wider are lower
  text: 58, // the text at least, and where it names two distances
  twoTexts: 76,
  gap: 6, // round it all, and between works
  most: 3, // works without a year above one another
  paper: 680, // a sheet, on which nothing scrolls
};

/**
 * @typedef {Object} Below what stands below the line: what came before some works, or that nothing did
 * @property {Dated | null} work
 * @property {Dated[]} of
 * @property {Span} years
 *
 * @typedef {ReturnType<typeof makeLane>} Lane
 */

/* exported createTime */
/**
 * @param {Record<string, any>} parts of the gallery
 * @param {{go: (what: object) => void, fillWorks: (list: Element, works: Dated[]) => void}} does
 */
function createTime(parts, { go, fillWorks }) {
  /** @type {any} */
  let view = null;
  /** @type {Map<Element, Lane>} */
  const lanes = new Map(); // by the block of their row
  const toggle = button("By time", {
    "data-part": "time", hidden: "", click: () => go({ do: "change", time: !isOn() }),
  });
  const note = make("p", { class: "as-quiet", hidden: "" });
  parts.rows.before(toggle);
  parts.rows.after(note);
  let paper = 0; // pixels of the sheet while it is printed
  globalThis.addEventListener("beforeprint", () => layOutOn(LANE.paper));
  globalThis.addEventListener("afterprint", () => layOutOn(0));
  return { update, layOut };

  function isOn() {
    return Boolean(view.time) && !toggle.hidden;
  }

  /** @param {any} next */
  function update(next) {
    view = next;
    const works = view.rows.flatMap((/** @type {{works: Dated[]}} */ row) => row.works);
    const dated = works.filter((/** @type {Dated} */ { years }) => years);
    toggle.hidden = new Set(dated.map((/** @type {Dated} */ { id }) => id)).size < 2;
    toggle.setAttribute("aria-pressed", String(isOn()));
    tell(note, isOn() ? "Above the line are the works, below it what came before each: the nearest that "
      + "is surely earlier, with its distance." : "");
    for (const [block, lane] of lanes) {
      if (isOn() && block.isConnected) continue;
      lane.root.remove();
      lanes.delete(block);
    }
    [...parts.rows.children].forEach((block, i) => {
      block.classList.toggle("as-timed", isOn());
      if (isOn()) fillLane(block, view.rows[i]);
    });
  }

  /** @param {Element} block @param {any} row */
  function fillLane(block, row) {
    const lane = lanes.get(block) ?? makeLane();
    if (!lanes.has(block)) block.insertBefore(lane.root, block.lastElementChild);
    lanes.set(block, lane);
    lane.root.setAttribute("aria-label", `${row.title}: by time`);
    const { query } = view;
    const isIn = row.works.some((/** @type {Dated} */ { id }) => id === query?.id);
    lane.works = inTime(query?.years && !isIn ? [query, ...row.works] : row.works);
    lane.under = underLine(lane.works, row.before ?? {});
    const first = new Set(lane.under.flatMap(({ work, of }) => (work ? [] : of)));
    fillWorks(lane.above, lane.works.map((one) => (
      inLane(one, one.distance_text, first.has(one) ? ". Nothing earlier here" : ""))));
    fillWorks(lane.below, lane.under.flatMap(({ work, of }) => (work ? [inLane(
      work, distancesText(of.map((one) => row.before[one.id])),
      `. What came before ${titlesOf(of)}`)] : [])));
    tell(lane.printed, lane.under.flatMap(({ work, of }) => (
      work ? [`Before ${titlesOf(of)}: ${work.caption}.`] : [])).join(" "));
  }

  /** @param {number} sheet */
  function layOutOn(sheet) {
    paper = sheet;
    layOut();
  }

  /** Put all where it belongs; after an update, and where there is other room. */
  function layOut() {
    const all = [...lanes.values()];
    const room = paper || Math.min(...all.map(({ root }) => root.clientWidth - 2 * LANE.gap));
    if (!all.length || !(room > 0)) return;
    const high = LANE.high[Number(room > LANE.narrow)];
    const listOf = (/** @type {any[]} */ list, /** @type {number[]} */ widths) => (
      { spans: list.map(({ years }) => years), widths });
    const lists = all.flatMap(({ works, under }) => [
      listOf(datedOf(works), datedOf(works).map((work) => widthOf(work, high))),
      listOf(under, under.map((one) => widthUnder(one, high)))]);
    const behind = Math.max(...all.map(({ works }) => sizeBehind(works, high)));
    const line = fitLine(lists, Math.max(room / 2, room - behind), paper ? ON_PAPER : LINES);
    all.forEach((lane, i) => placeLane(lane, line, line.stacks.slice(2 * i, 2 * i + 2), high));
    if (!paper) all.forEach(showCurrent);
  }
}

/** The nodes of a lane, and what they show. */
function makeLane() {
  const lines = document.createElementNS(IN_SVG, "svg");
  lines.setAttribute("aria-hidden", "true");
  const labels = make("div", { class: "as-labels" });
  const above = make("ol", { class: "as-lane", "aria-label": "Works in order of time" });
  const below = make("ol", { class: "as-lane", "aria-label": "What came before them" });
  const line = make("div", { class: "as-timeline" }, lines, labels, above, below);
  const printed = make("p", { class: "as-print", dir: "auto" });
  const root = make("div", { class: "as-time", role: "group" }, line, printed);
  const light = (/** @type {Event} */ { target, type }) => {
    const away = type === "mouseleave" || type === "focusout";
    const one = /** @type {Element} */ (target).closest("[data-part=work]");
    const id = away ? undefined : one?.getAttribute("data-id");
    for (const path of lines.children) {
      path.classList.toggle("as-lit", (path.getAttribute("data-of") ?? "").split("\n").includes(id ?? "\n"));
    }
  };
  for (const name of ["mouseover", "mouseleave", "focusin", "focusout"]) {
    root.addEventListener(name, light);
  }
  /** @type {Dated[]} */
  const works = [];
  /** @type {Below[]} */
  const under = [];
  return { root, line, lines, labels, above, below, printed, works, under };
}

/** @param {Dated[]} works @returns {Dated[]} */
function datedOf(works) {
  return works.filter(({ years }) => years);
}

/**
 * What came before some works, each once; and of which of them nothing did. In order of time.
 * @param {Dated[]} works @param {Record<string, Dated | null>} before @returns {Below[]}
 */
function underLine(works, before) {
  /** @type {Map<string, Below>} */
  const found = new Map();
  for (const one of datedOf(works)) {
    const work = before[one.id];
    if (work === undefined) continue; // it is not known yet
    const key = work ? work.id : `nothing before ${one.id}`;
    /** @type {Below} */
    const there = found.get(key) ?? { work, of: [], years: (work ?? one).years };
    there.of.push(one);
    found.set(key, there);
  }
  return inTime([...found.values()]);
}

/** @param {Dated[]} works */
function titlesOf(works) {
  return works.map(({ title }) => `“${title}”`).join(", ");
}

/** How far one work is from several: the least and the most. @param {Dated[]} found */
function distancesText(found) {
  const sorted = [...found].sort((a, b) => a.distance - b.distance);
  const [first, last] = [sorted[0], sorted[sorted.length - 1]].map((one) => one.distance_text);
  return first === last ? first : `${first}–${last}`;
}

/** A work as a lane shows it: with its year, another word below that, and more for those who listen. */
function inLane(
  /** @type {Dated} */ work, /** @type {string} */ word = "", /** @type {string} */ more = "",
) {
  return {
    ...work, distance_text: work.year || "no year", rarity: word, alt: work.alt + more, duplicates: 0,
    group: "",
  };
}

/** @param {Dated} work @param {number} high */
function widthOf(work, high) {
  return Math.max(LANE.text, Math.min(ratio(work), LANE.widest) * high);
}

/** @param {Below} below @param {number} high */
function widthUnder({ work, of }, high) {
  return Math.max(of.length > 1 ? LANE.twoTexts : 0, work ? widthOf(work, LANE.smaller * high) : LANE.text);
}

/** The pixels that works without a year take behind the line. @param {Dated[]} works @param {number} high */
function sizeBehind(works, high) {
  const widths = works.filter(({ years }) => !years).map((work) => widthOf(work, high));
  return widths.length && 24 + Math.ceil(widths.length / LANE.most) * (Math.max(...widths) + 6);
}

/**
 * @param {Lane} lane @param {ReturnType<typeof fitLine>} line
 * @param {ReturnType<typeof stackInLanes>[]} stacks above and below the line @param {number} high
 */
function placeLane(lane, { scale, width }, [above, below], high) {
  const { works, under } = lane;
  const dated = datedOf(works);
  const undated = works.length - dated.length;
  const step = high + LANE.under;
  const rows = Math.max(1, above.lanes, Math.min(LANE.most, undated));
  const behind = sizeBehind(works, high);
  const axis = rows * step + LANE.room;
  const start = axis + LANE.band + LANE.threads;
  const small = LANE.smaller * high;
  const size = { width: width + behind, height: start + below.lanes * (small + LANE.under) };
  for (const [name, value] of Object.entries(size)) {
    lane.line.style.setProperty(name, `${value}px`);
    lane.lines.setAttribute(name, String(value));
  }
  /** @type {SVGElement[]} */
  const drawn = [];
  const draw = (/** @type {string} */ css, /** @type {string} */ d, /** @type {Dated[]} */ of = []) => {
    const path = document.createElementNS(IN_SVG, "path");
    path.setAttribute("class", css);
    path.setAttribute("d", d);
    path.setAttribute("data-of", of.map(({ id }) => id).join("\n"));
    drawn.push(path);
  };
  const labels = scale.ticks.map(({ at, text }) => labelAt(text, at, axis + 3, "as-decade"));
  draw("as-axis", `M0 ${axis}H${width}`);
  for (const { x } of scale.ticks) draw("as-axis", `M${x} ${axis}v4`);
  for (const x of scale.cuts) draw("as-axis", `M${x - 5} ${axis + 6}l4 -12m2 12l4 -12`);
  // Works and, from the line up, where each may be of.
  works.forEach((work, i) => {
    const item = lane.above.children[i];
    const wide = widthOf(work, high);
    const stand = above.stands[i];
    if (stand) {
      const top = (rows - 1 - stand.lane) * step;
      placeItem(item, stand.left, top, wide, high, work);
      const foot = middleOf(scale, work.years);
      draw("as-stem", `M${stand.left + wide / 2} ${top + high}L${foot} ${axis}`, [work]);
      drawSpan(work);
    } else {
      const place = i - dated.length;
      const column = (behind - 24) / Math.ceil(undated / LANE.most);
      const left = width + 24 + Math.floor(place / LANE.most) * column;
      placeItem(item, left, (rows - 1 - (place % LANE.most)) * step, wide, high, work);
    }
  });
  if (undated) {
    draw("as-apart", `M${width + 12} 0V${axis}`);
    labels.push(labelAt("no year", width + 24, axis + 3, "as-apart"));
  }
  // What came before, from the line down; and a thread from each work to it.
  let place = 0;
  under.forEach((one, i) => {
    const { work, of, years } = one;
    const { left, lane: row } = below.stands[i];
    const [wide, top] = [widthUnder(one, high), start + row * (small + LANE.under)];
    const middle = left + wide / 2;
    if (work) {
      placeItem(lane.below.children[place++], left, top, wide, small, work, true);
      draw("as-stem", `M${middle} ${top}L${middleOf(scale, years)} ${axis}`, [work, ...of]);
      drawSpan(work);
    } else labels.push(labelAt("nothing earlier here", left, top, "as-none"));
    for (const later of of) {
      const [foot, bend] = [middleOf(scale, later.years), axis + LANE.band];
      draw(work ? "as-thread" : "as-thread as-none",
        `M${foot} ${axis}V${bend}C${foot} ${bend + 24} ${middle} ${top - 30} ${middle} ${top}`,
        work ? [later, work] : [later]);
    }
  });
  lane.lines.replaceChildren(...drawn);
  lane.labels.replaceChildren(...labels);

  /** @param {Dated} work */
  function drawSpan(work) {
    const [from, to] = work.years.map(scale.x);
    if (to - from > 3) draw("as-span", `M${from} ${axis}H${to}`, [work]);
  }
}

/** @param {string} text @param {number} left @param {number} top @param {string} css */
function labelAt(text, left, top, css) {
  const label = make("span", { class: css }, text);
  label.style.left = `${left}px`;
  label.style.top = `${top}px`;
  return label;
}

/** A picture stands at the foot of its place, or hangs; the text below it has the whole width. */
function placeItem(
  /** @type {any} */ item, /** @type {number} */ left, /** @type {number} */ top,
  /** @type {number} */ wide, /** @type {number} */ high, /** @type {Dated} */ work, hangs = false,
) {
  const width = Math.min(ratio(work), LANE.widest) * high;
  item.style.left = `${left}px`;
  item.style.top = `${hangs ? top : top + high - width / ratio(work)}px`;
  item.style.setProperty("--wide", `${wide}px`);
  item.style.setProperty("--picture", `${width}px`);
}

/**
 * Bring the selected work into sight, or the middle one of those with a year, where the line is longer
 * than there is room; once, for then the visitor scrolls.
 * @param {Lane} lane
 */
function showCurrent({ root, above, works }) {
  /** @type {any} */
  const current = above.querySelector("[aria-current]")?.parentElement
    ?? above.children[Math.floor(datedOf(works).length / 2)];
  const { id } = current.firstChild.dataset;
  if (root.scrollWidth <= root.clientWidth || root.dataset.shown === id) return;
  root.dataset.shown = id;
  root.scrollLeft = current.offsetLeft + current.offsetWidth / 2 - root.clientWidth / 2;
}
