// @ts-check
// The places that match in two pictures, as artsearch/search/matches.py finds them: where a network
// sees the same.

const AROUND = 1; // a place takes in its neighbours on this many sides
const MOST = 5; // pairs of places

/**
 * Two places that look alike to a network, as shares of each picture, and the cosine of what it gives
 * at both, each less the mean of the pictures.
 * @typedef {{first: Box, second: Box, strength: number}} Match
 * @typedef {{maps: Maps, kept: Box}} Places a picture's maps, and what part of it they are of
 */

/**
 * Look at a picture, or at a part of it, place by place.
 * @param {Blob} file
 * @param {{looker: Looker, crop: string, region: Box | null, load: Load, pause?: Pause,
 *   progress?: (share: number) => void}} how as for `describe`
 * @returns {Promise<Places>}
 */
async function lookAtPlaces(file, { looker, crop, region, load, ...how }) {
  const { pause = createPause(), progress = () => {} } = how;
  const picture = await decodePicture(file);
  try {
    progress(0.05);
    const net = await readOnce(looker.file, readNetwork, load, pause);
    const end = net.places;
    if (!end) throw new Refusal("this network has no maps of places; the app may say why (make app)");
    progress(0.4);
    const whole = boxOf(picture.width, picture.height, net.size, { region });
    const box = boxOf(picture.width, picture.height, net.size, { region, crop });
    const square = await squareOf(picture, box, net.size, pause);
    const maps = await walkThrough(net, square, end, pause, async (_, step) => (
      progress(0.4 + (0.6 * step) / end)));
    return { maps: smooth(maps), kept: sharesOf(box, whole) };
  } finally {
    picture.close();
  }
}

/**
 * The places that match best in two pictures, the best first, none of them over another.
 * @param {Places} first @param {Places} second @param {Box | null} region what `first` is a part of
 * @returns {Match[]}
 */
function matchPlaces(first, second, region) {
  return choosePairs(first.maps, second.maps, MOST).map(([one, other, strength]) => ({
    first: within(region ?? [0, 0, 1, 1], within(first.kept, boxAt(one, first.maps.side))),
    second: within(second.kept, boxAt(other, second.maps.side)), strength,
  }));
}

/** What is said of the places that match. @param {string} title @param {Match[]} matches */
function whyText(title, { length }) {
  const found = length ? countOf(length, "place") : "no places";
  return `${title} finds ${found} in these two pictures that are each other's nearest.`;
}

/**
 * Pairs of places that are each other's nearest, the weightiest first; a place beside one that was
 * chosen before is passed over, so that the pairs tell of different things.
 * @param {Maps} first @param {Maps} second @param {number} most
 * @returns {[number, number, number][]} a place of each, row by row, and their cosine
 */
function choosePairs(first, second, most) {
  const [ones, others] = centred(first, second);
  const count_ = ones.length;
  const cosines = ones.map((one) => others.map((other) => (
    dot(one.values, other.values) / (one.length * other.length))));
  const there = cosines.map(largest);
  const back = others.map((_, i) => largest(cosines.map((row) => row[i])));
  const inner = (/** @type {number} */ at, /** @type {Maps} */ { side }) => (
    [at % side, Math.floor(at / side)].every((one) => one >= AROUND && one < side - AROUND));
  // By what a pair adds to the likeness of the two: an empty ground is like another, and says
  // little. At the edge a network sees its own padding more than the picture.
  const pairs = [...Array(count_).keys()].filter((at) => back[there[at]] === at).map((at) => (
    { at, to: there[at], worth: dot(ones[at].values, others[there[at]].values) }))
    .filter(({ at, to, worth }) => worth > 0 && inner(at, first) && inner(to, second))
    .sort((a, b) => b.worth - a.worth);
  /** @type {[number, number, number][]} */
  const chosen = [];
  for (const { at, to } of pairs) {
    const clear = chosen.every(([a, b]) => areApart(at, a, first) && areApart(to, b, second));
    if (clear && chosen.length < most) chosen.push([at, to, cosines[at][to]]);
  }
  return chosen;
}

/** What is seen at each place of two pictures, less the mean of both. @param {Maps[]} both */
function centred(...both) {
  const { channels } = both[0];
  const mean = new Float64Array(channels);
  const all = both[0].values.length + both[1].values.length;
  for (const { values } of both) {
    for (let at = 0; at < values.length; at++) mean[at % channels] += values[at] * (channels / all);
  }
  return both.map(({ values, side }) => [...Array(side * side).keys()].map((place) => {
    const here = mean.map((one, c) => values[place * channels + c] - one);
    return { values: here, length: Math.sqrt(dot(here, here)) || 1 };
  }));
}

/** @param {number} one @param {number} other @param {Maps} maps */
function areApart(one, other, { side }) {
  const across = Math.abs((one % side) - (other % side));
  const down = Math.abs(Math.floor(one / side) - Math.floor(other / side));
  return Math.max(across, down) >= 2 * AROUND + 1;
}

/** The mean of each place and its neighbours. @param {Maps} maps @returns {Maps} */
function smooth({ values, side, channels }) {
  const means = new Float32Array(values.length);
  const near = (/** @type {number} */ at) => [at - 1, at, at + 1].filter((i) => i >= 0 && i < side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = near(y).flatMap((v) => near(x).map((u) => (v * side + u) * channels));
      for (let c = 0; c < channels; c++) {
        let total = 0;
        for (const at of from) total += values[at + c];
        means[(y * side + x) * channels + c] = total / from.length;
      }
    }
  }
  return { values: means, side, channels };
}

/**
 * A place with what it takes in around it, as shares.
 * @param {number} at @param {number} side @returns {Box}
 */
function boxAt(at, side) {
  const [x, y] = [at % side, Math.floor(at / side)];
  const from = (/** @type {number} */ one) => Math.max(0, one - AROUND) / side;
  const to = (/** @type {number} */ one) => Math.min(side, one + 1 + AROUND) / side;
  return [from(x), from(y), to(x), to(y)];
}

/**
 * A rectangle that is given as shares of another one.
 * @param {Box} outer @param {Box} inner @returns {Box}
 */
function within([left, top, right, bottom], [a, b, c, d]) {
  const [wide, high] = [right - left, bottom - top];
  return [left + a * wide, top + b * high, left + c * wide, top + d * high];
}

/** A rectangle as shares of one around it. @param {Box} box @param {Box} whole @returns {Box} */
function sharesOf([a, b, c, d], [left, top, right, bottom]) {
  const [wide, high] = [right - left, bottom - top];
  return [(a - left) / wide, (b - top) / high, (c - left) / wide, (d - top) / high];
}

/** @param {Float64Array} one @param {Float64Array} other */
function dot(one, other) {
  let total = 0;
  for (let i = 0; i < one.length; i++) total += one[i] * other[i];
  return total;
}

/** The place of the largest value, the first of them. @param {number[]} values */
function largest(values) {
  return values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
}
