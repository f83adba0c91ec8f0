// @ts-check
// Why two works are near, by experiment, as artsearch/search/experiment.py has it: the picture that is
// asked by is changed, and it is seen where an answer comes then. It is not repainted here.

const TRY_SIDE = 512; // the longer side, in pixels, of the picture that is changed
const BLUR = 0.02; // sigma, of the longer side
const MIDDLE = 0.5; // of the area
const PIECES = 4; // across, and as many down
// An order of the pieces drawn by chance; each takes the place of the next: so none stays.
const ORDER = [2, 11, 3, 10, 0, 4, 7, 5, 14, 12, 6, 9, 13, 8, 1, 15];
const SAMPLE = 1000; // works drawn by chance, and
const PEERS = 50; // the nearest ones, by which it is told how far answers usually fall
const ROUNDS = 10; // of median polish; it settles within a few
const FEWEST = 20; // with fewer works nothing is said of what is usual
// Beyond it a fall is unusual: a normal deviate of 0.05 for six causes together, on the scale of a
// median deviation, which is 0.6745 of a standard deviation.
const DEVIATE = 2.3939797998185095 / 0.6744897501960817;
const NOT_REPAINTED = "Not repainted: the app does that too (make app).";

/**
 * @type {{cause: string, how: string,
 *   change: (pixels: Pixels, pause: Pause) => Pixels | Promise<Pixels>}[]}
 */
const CHANGES = [
  { cause: "colours", how: "in grey", change: inGrey },
  { cause: "composition", how: "mirrored", change: mirrored },
  { cause: "fine detail", how: "blurred", change: blurred },
  { cause: "margins", how: "cut to its middle", change: cutToMiddle },
  { cause: "shapes", how: "in pieces", change: inPieces },
];

/**
 * The rank of an answer when the picture is changed; beyond `limit` it is no usual fall. The limit is
 * null where too few works are there to say.
 * @typedef {{cause: string, how: string, rank: number, limit: number | null, fell: boolean}} Trial
 */

// ---- changes ------------------------------------------------------------------------------------

/**
 * The picture that is changed, as it is.
 * @param {Blob} file @param {Box | null} region @param {Pause} pause @returns {Promise<Pixels>}
 */
async function toBeChanged(file, region, pause) {
  const picture = await decodePicture(file);
  try {
    const box = boxOf(picture.width, picture.height, 0, { region });
    const [wide, high] = [box[2] - box[0], box[3] - box[1]];
    const scale = Math.min(1, TRY_SIDE / Math.max(wide, high));
    const [width, height] = [wide, high].map((side) => Math.max(1, Math.round(scale * side)));
    return { width, height, rgb: await pixelsOf(picture, box, [width, height], pause, LANCZOS) };
  } finally {
    picture.close();
  }
}

/** How light each point is. @param {Pixels} pixels @returns {Pixels} */
function inGrey({ rgb, ...size }) {
  const grey = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i += 3) {
    grey.fill((rgb[i] * 19595 + rgb[i + 1] * 38470 + rgb[i + 2] * 7471 + 0x8000) >> 16, i, i + 3);
  }
  return { ...size, rgb: grey };
}

/** @param {Pixels} pixels @returns {Pixels} */
function mirrored({ width, height, rgb }) {
  const turned = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      turned.set(rgb.subarray(from, from + 3), 3 * ((y + 1) * width - 1 - x));
    }
  }
  return { width, height, rgb: turned };
}

/** The middle of a picture, MIDDLE of its area. @param {Pixels} pixels */
function cutToMiddle(pixels) {
  const margin = (1 - MIDDLE ** 0.5) / 2;
  const region = /** @type {Box} */ ([margin, margin, 1 - margin, 1 - margin]);
  return cropped(pixels, boxOf(pixels.width, pixels.height, 0, { region }));
}

/** A picture in pieces, of which none is where it was. @param {Pixels} pixels @returns {Pixels} */
function inPieces(pixels) {
  const [width, height] = [pixels.width, pixels.height].map(
    (side) => Math.max(1, Math.floor(side / PIECES)));
  const rgb = new Uint8Array(3 * width * height * PIECES * PIECES);
  ORDER.forEach((piece, i) => {
    const to = ORDER[(i + ORDER.length - 1) % ORDER.length];
    const [across, down] = [piece % PIECES, Math.floor(piece / PIECES)];
    // Of a picture of fewer pixels than pieces some lie beyond it, and are black.
    for (let y = 0; y < height && across * width < pixels.width; y++) {
      const from = 3 * ((down * height + y) * pixels.width + across * width);
      const row = Math.floor(to / PIECES) * height + y;
      rgb.set(pixels.rgb.subarray(from, from + 3 * width),
        3 * (row * width * PIECES + (to % PIECES) * width));
    }
  });
  return { width: width * PIECES, height: height * PIECES, rgb };
}

/**
 * A picture without its brushwork: Pillow's Gaussian blur.
 * @param {Pixels} pixels @param {Pause} pause @returns {Promise<Pixels>}
 */
async function blurred({ width, height, rgb }, pause) {
  const radius = boxRadius(BLUR * Math.max(width, height));
  const out = rgb.slice();
  for (const [lines, line, step, count_] of [[height, width, 1, width], [width, 1, width, height]]) {
    for (let i = 0; i < lines; i++) {
      for (let pass = 0; pass < 3; pass++) blurLine(out, 3 * i * line, 3 * step, count_, radius);
      if (i % 32 === 31) await pause();
    }
  }
  return { width, height, rgb: out };
}

/** The radius of a box by which a picture is blurred three times: Gwosdek et al. 2011, SSVM. */
function boxRadius(/** @type {number} */ sigma) {
  const f = Math.fround; // as Pillow's numbers of 32 bits
  const square = f(f(f(sigma) * f(sigma)) / 3);
  const length = f(Math.sqrt(12 * square + 1));
  const whole = f(Math.floor((length - 1) / 2));
  const over = f(f(f(2 * whole) + 1) * f(f(whole * f(whole + 1)) - f(3 * square)));
  const under = f(6 * f(square - f(f(whole + 1) * f(whole + 1))));
  return f(whole + f(over / under));
}

/**
 * Blur a line of pixels by a box, in place.
 * @param {Uint8Array} rgb @param {number} start @param {number} step
 * @param {number} length @param {number} size of the box on either side
 */
function blurLine(rgb, start, step, length, size) {
  const f = Math.fround;
  const radius = Math.floor(size);
  const whole = Math.floor(f(2 ** 24 / f(f(size * 2) + 1)));
  const rest = Math.floor((2 ** 24 - (radius * 2 + 1) * whole) / 2);
  const line = new Uint8Array(length + 2 * radius + 2); // its ends go on beyond it
  for (let channel = start; channel < start + 3; channel++) {
    for (let i = 0; i < line.length; i++) {
      const at = i < radius + 1 ? 0 : Math.min(length - 1, i - radius - 1);
      line[i] = rgb[channel + at * step];
    }
    let within_ = 0;
    for (let i = 0; i < 2 * radius + 1; i++) within_ += line[i];
    for (let i = 0; i < length; i++) {
      const [first, last] = [line[i], line[i + 2 * radius + 2]];
      within_ += line[i + 2 * radius + 1] - first;
      rgb[channel + i * step] = (within_ * whole + (first + last) * rest + 2 ** 23) / 2 ** 24;
    }
  }
}

// ---- what came of it ----------------------------------------------------------------------------

/**
 * Where an answer comes, and whether that is a usual fall.
 *
 * The rank of the answer is given for the question as it is and for each change; so is how near (more
 * is nearer) the answer and its peers are, `others`, and works `drawn` from all.
 * @param {{ranks: number[], works: number, others: number[][], drawn: number[][]}} found
 */
function judgeTrials({ ranks: [rank, ...ranks], works, others, drawn }) {
  const few = drawn[0].length < FEWEST || others[0].length < FEWEST / 2;
  const shares = few ? [] : usualShares(others, drawn);
  /** @type {Trial[]} */
  const trials = CHANGES.map(({ cause, how }, i) => {
    const limit = few ? null : Math.max(rank, roundEven(works * shares[i]) + 1);
    return { cause, how, rank: ranks[i], limit, fell: limit !== null && ranks[i] > limit };
  });
  return { rank, works, trials, text: trialsText(rank, trials), notes: [NOT_REPAINTED] };
}

/**
 * What share of all works may come before an answer by a usual fall, for each change.
 *
 * `others` are queries × answers, `drawn` queries × works drawn by chance: how near each is, more is
 * nearer; the query as it is comes first, and so does the answer that is asked about. See
 * usual_shares in experiment.py: Tukey's median polish.
 * @param {number[][]} others @param {number[][]} drawn
 */
function usualShares(others, drawn) {
  const scales = drawn.map((row) => {
    const mean = sum(row) / row.length;
    const spread = Math.sqrt(sum(row.map((one) => (one - mean) ** 2)) / row.length);
    return { mean, spread: Math.max(spread, 1e-9) };
  });
  const near = others.map((row, i) => row.map((one) => (one - scales[i].mean) / scales[i].spread));
  const falls = near.slice(1).map((row) => row.map((one, i) => near[0][i] - one));
  let left = falls;
  for (let round = 0; round < ROUNDS; round++) {
    const rows = left.map(median);
    left = left.map((row, i) => row.map((one) => one - rows[i]));
    const columns = left[0].map((_, i) => median(left.map((row) => row[i])));
    left = left.map((row) => row.map((one, i) => one - columns[i]));
  }
  const most = DEVIATE * median(left.flat().map(Math.abs));
  return drawn.slice(1).map((row, i) => {
    const lowest = near[0][0] - (falls[i][0] - left[i][0] + most);
    const { mean, spread } = scales[i + 1];
    return row.filter((one) => one > mean + lowest * spread).length / row.length;
  });
}

/** @param {number[]} values */
function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** What a work is near for, and what not, in a sentence. @param {number} rank @param {Trial[]} trials */
function trialsText(rank, trials) {
  const said = (/** @type {Trial} */ one) => `${ordinal(one.rank)} ${one.how}`;
  const place = ordinal(rank);
  if (trials.some(({ limit }) => limit === null)) {
    return `${place} as it is; ${trials.map(said).join(", ")}.`;
  }
  const depth = (/** @type {Trial} */ one) => one.rank / Number(one.limit);
  const causes = trials.filter(({ fell }) => fell).sort((a, b) => depth(b) - depth(a));
  if (!causes.length) {
    const worst = trials.reduce((most, one) => (one.rank > most.rank ? one : most));
    return `${place} for no one thing alone: at the most ${said(worst)}.`;
  }
  const [other] = trials.filter(({ fell }) => !fell).sort((a, b) => a.rank - b.rank);
  const because = causes.map((one) => `for its ${one.cause}: ${said(one)}`);
  const not = other ? [`not for its ${other.cause}: ${said(other)}`] : [];
  return `${place} ${[...because, ...not].join("; ")}.`;
}

/** A rank in words. @param {number} number */
function ordinal(number) {
  const teens = [11, 12, 13].includes(number % 100);
  return `${count(number)}${(!teens && ["", "st", "nd", "rd"][number % 10]) || "th"}`;
}
