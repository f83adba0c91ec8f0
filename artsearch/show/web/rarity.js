// @ts-check
// How unusual it is that two works by different hands are as near as two are, as
// artsearch/search/rarity.py tells it; what is usual was learnt there, when the page was written.

/**
 * What is usual: works drawn by chance, by their rows, and the nearness of their pairs.
 * @typedef {Object} Usual
 * @property {number[]} sample
 * @property {number} near from how many works of the sample crowding is learnt
 * @property {number} pairs
 * @property {number[]} ranks of some pairs, 0 for the nearest
 * @property {number[]} values their CSLS
 *
 * @typedef {{share: number, by_chance: number}} Rarity
 */

/** @type {[number, string][]} by how many works chance alone would give that are as near */
const RARITIES = [
  [0.01, "very unusual"], [0.1, "unusual"], [1, "somewhat unusual"], [Infinity, "usual"],
];
const NOTHING_LIKE_IT = "Nothing here is like it.";

/** Whose each work is: its artist, or where none is known its own. */
function handsOf(/** @type {string[]} */ artists, /** @type {string[]} */ ids) {
  const known = new Map([...new Set(artists)].map((text) => [text, fold(text)]));
  return ids.map((id, row) => known.get(artists[row]) || id);
}

/**
 * What is usual at a weight of the dial: between two, the values of the same ranks are interpolated.
 * @param {number[]} at @param {(Usual | null)[]} all @param {number} dial @returns {Usual | null}
 */
function usualBetween(at, all, dial) {
  const after = Math.max(1, at.findIndex((one) => one >= dial));
  const [low, high] = [all[after - 1], all[after]];
  if (!low || !high) return null;
  const share = (dial - at[after - 1]) / (at[after] - at[after - 1]);
  const nearer = share < 0.5 ? low : high;
  const values = nearer.values.map((_, i) => (
    low.values[i] + share * (high.values[i] - low.values[i])));
  return low.values.length === high.values.length ? { ...nearer, values } : nearer;
}

/**
 * The rarity of each work found; null where it is not known. `distances` are those of all works to
 * what is asked, `liked` the rows of the works it was made of, `works` how many by hand may answer.
 * @param {Usual} usual
 * @param {{rows: ByteRows, metric: string, weights: number[], hands: string[], liked: number[],
 *   works: number, distances: Float64Array, found: number[]}} answer
 * @returns {(Rarity | null)[]}
 */
function rate(usual, { rows, metric, weights, hands, liked, works, distances, found }) {
  const { sample, near, pairs } = usual;
  if (!(works > 0 && works < pairs)) return found.map(() => null);
  const part = takeRows(rows, sample);
  const out = new Set(liked);
  const toSample = (
    /** @type {(place: number) => number} */ similar, /** @type {number[]} */ of,
  ) => {
    const theirs = new Set(of.map((row) => hands[row]));
    return sample.map((row, i) => (
      theirs.has(hands[row]) || out.has(row) ? -Infinity : similar(i)));
  };
  const asked = toSample((i) => similarity(distances[sample[i]], metric), liked);
  const nearAsked = nearestFew(asked, near);
  return found.map((row) => {
    const far = distancesTo(part, fetchRow(rows, row), metric, weights);
    const nearFound = nearestFew(toSample((i) => similarity(far[i], metric), [row]), near);
    const place = sample.indexOf(row);
    const crowded = crowding(nearAsked, place < 0 ? -Infinity : asked[place], near)
      + crowding(nearFound, -Infinity, near);
    const nearness = 2 * similarity(distances[row], metric) - crowded;
    if (!Number.isFinite(nearness)) return null;
    const share = (1 + countNearer(usual, nearness)) / (1 + pairs);
    return { share: 1 - share, by_chance: works * share };
  });
}

/** What CSLS compares: the cosine, or a distance less. @param {number} distance @param {string} metric */
function similarity(distance, metric) {
  if (metric === "angular") return 1 - distance ** 2 / 2;
  return metric === "euclidean" ? -(distance ** 2) / 2 : -distance;
}

/** The similarities of the nearest, one more than crowding is learnt from. */
function nearestFew(/** @type {number[]} */ similar, /** @type {number} */ near) {
  return [...similar].sort((a, b) => b - a).slice(0, near + 1);
}

/** The mean similarity to the nearest without one work, whose similarity is given. */
function crowding(/** @type {number[]} */ nearest, /** @type {number} */ left, /** @type {number} */ near) {
  const out = left >= nearest[near - 1] ? left : nearest[near];
  return (sum(nearest) - out) / near;
}

/** How many pairs are at least as near, between ranks by interpolation. */
function countNearer(/** @type {Usual} */ { ranks, values, pairs }, /** @type {number} */ nearness) {
  const after = values.findIndex((value) => value < nearness);
  if (after === 0) return 0;
  if (after < 0) return pairs;
  const [before, last] = [values[after - 1], values[after]];
  const share = before > last ? (before - nearness) / (before - last) : 0;
  return ranks[after - 1] + 1 + share * (ranks[after] - ranks[after - 1] - 1);
}

/** How unusual it is in a word or two. @param {Rarity} rarity */
function rarityWord({ by_chance }) {
  return /** @type {[number, string]} */ (RARITIES.find(([most]) => by_chance < most))[1];
}

/** A rarity in a sentence. @param {Rarity} rarity */
function rarityText(rarity) {
  const { by_chance } = rarity;
  const near = `nearer than ${percentText(rarity)} of pairs by different hands`;
  const exactly = by_chance >= 10 ? count(Math.round(by_chance)) : digitsOf(by_chance, 2);
  const works = by_chance < 0.001 ? "fewer than 0.001" : exactly;
  return `${rarityWord(rarity)}: ${near}; by chance ${works} works would be`;
}

/** The share in per cent, cut, with as many digits as tell it from all pairs. @param {Rarity} rarity */
function percentText({ share }) {
  const rest = Math.max(1 - share, 1e-9);
  const digits = Math.max(0, Math.min(7, Math.ceil(-Math.log10(rest) - 2 - 1e-6)));
  const cut = Math.floor(share * 100 * 10 ** digits + 1e-6) / 10 ** digits;
  return `${cut.toFixed(digits)} %`;
}

/** Where an answer stops being unusual, in a sentence; "" where it does not. */
function whereCut(/** @type {Found[]} */ works, /** @type {boolean} */ grouped) {
  if (!works.length || works.some(({ rarity }) => !rarity)) return "";
  const rare = works.map(({ rarity }) => /** @type {Rarity} */ (rarity).by_chance < 1);
  const cut = 1 + rare.lastIndexOf(true);
  if (!cut) return NOTHING_LIKE_IT;
  if (cut === works.length || grouped) return "";
  return `Only the first ${cut > 1 ? `${count(cut)} are` : "is"} nearer than by chance.`;
}
