// @ts-check
// A network's way through a picture, and the rows of the blend: what site_network.py wrote is read,
// and what features/extractor.py and features/blend.py do is done here. Nothing leaves the browser.
//
// Values lie as height × width × channels in one Float32Array. Sums are of 64 bits: what Chromium
// makes of sums rounded to 32 bits takes three times as long.

const WORK = 2_000_000; // products between two looks at the clock
const BREATH = 12; // milliseconds after which the page may draw, and heed its visitor
// From this cosine on a work shows the same picture. Of 30 works the least cosine to their own 8-bit
// rows was 0.9990, of 51 pictures the largest one to another work 0.9939.
const SAME = 0.997;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";

/**
 * @typedef {{do: string, of: number[], in: number, out: number, stride: number, side: number,
 *   clip: boolean}} Stage
 * @typedef {{values: Float32Array, side: number, channels: number}} Maps
 * @typedef {Stage & {weights: Float32Array, bias: Float32Array}} Ready
 * @typedef {{size: number, mean: number[], std: number[], final: string, steps: Ready[],
 *   layers: [string, number, string][], places: number | null,
 *   directions: Map<number, Float32Array>}} Net
 * @typedef {{layers: [string, number, number][], dims: number, means: Float32Array,
 *   basis: Int8Array, scales: Float32Array}} Component
 * @typedef {{others: number, power: number, components: Component[]}} Fit
 * @typedef {{(): Promise<void>, longest: number}} Pause
 * @typedef {{file: string, fits: Record<string, string>}} Looker data files: a network, and what its
 *   blend learnt, by crop
 * @typedef {{final: Float64Array, raw: Float64Array | null, averaged: Float64Array | null}} Looked
 */

// ---- time ---------------------------------------------------------------------------------------

/** What is awaited between two pieces of work: it lets the page draw when it was kept for long. */
function createPause() {
  let since = performance.now();
  /** @type {Pause} */
  const pause = Object.assign(async () => {
    const taken = performance.now() - since;
    pause.longest = Math.max(pause.longest, taken);
    if (taken < BREATH) return;
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve(null);
      };
      port2.postMessage(null);
    });
    since = performance.now();
  }, { longest: 0 });
  return pause;
}

// ---- data ---------------------------------------------------------------------------------------

/**
 * Return the bytes of a text made by pack85: base 85, and within that deflated.
 * @param {string} text @param {Pause} pause @returns {Promise<ArrayBuffer>}
 */
async function unpack85(text, pause) {
  const values = new Uint8Array(128);
  [...DIGITS].forEach((digit, value) => { values[digit.charCodeAt(0)] = value; });
  const missing = (5 - (text.length % 5)) % 5;
  const bytes = new Uint8Array(((text.length + missing) / 5) * 4);
  const whole = text + "~".repeat(missing);
  for (let from = 0; from < whole.length; from += 500_000) {
    const to = Math.min(whole.length, from + 500_000);
    for (let i = from, at = (from / 5) * 4; i < to; i += 5, at += 4) {
      let sum = 0;
      for (let k = i; k < i + 5; k++) sum = sum * 85 + values[whole.charCodeAt(k)];
      bytes[at] = sum >>> 24;
      bytes[at + 1] = sum >>> 16;
      bytes[at + 2] = sum >>> 8;
      bytes[at + 3] = sum;
    }
    await pause();
  }
  const deflated = new Blob([bytes.subarray(0, bytes.length - missing)]);
  const inflated = deflated.stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(inflated).arrayBuffer();
  await pause();
  return buffer;
}

/**
 * Read what network_data of site_network.py wrote.
 * @param {any} data @param {Pause} pause @returns {Promise<Net>}
 */
async function readNetwork(data, pause) {
  const bytes = async (/** @type {string} */ name) => unpack85(data[name], pause);
  const [low, high] = [new Uint8Array(await bytes("low")), new Uint8Array(await bytes("high"))];
  const half = new Uint16Array(await bytes("half"));
  const [scales, biases] = [
    new Float32Array(await bytes("scales")), new Float32Array(await bytes("biases"))];
  let [point, other, scaled, bias] = [0, 0, 0, 0]; // how much of each was taken
  const middle = 2 ** (data.bits - 1);
  const steps = [];
  for (const step of data.steps) {
    if (step.do === "sum") {
      steps.push(step);
      continue;
    }
    const { side = 1, in: ins, out: outs } = step;
    const each = step.do === "depth" ? side * side : ins * side * side;
    const weights = new Float32Array(outs * each);
    if (step.do === "point") {
      for (let i = 0; i < outs * each; i++, point++) {
        const number = low[point] | (((high[point >> 2] >> (2 * (point & 3))) & 3) << 8);
        weights[i] = (number - middle) * scales[scaled + Math.floor(i / each)];
      }
      scaled += outs;
    } else {
      for (let i = 0; i < outs * each; i++) weights[i] = halfFloat(half[other++]);
    }
    steps.push({ ...step, weights, bias: biases.subarray(bias, bias += outs) });
    await pause();
  }
  const directions = new Map();
  for (const [width, text] of Object.entries(data.directions)) {
    directions.set(Number(width), new Float32Array(await unpack85(text, pause)));
  }
  return { ...data, steps, directions };
}

/**
 * Read what fit_data of site_network.py wrote.
 * @param {any} data @param {Pause} pause @returns {Promise<Fit>}
 */
async function readFit(data, pause) {
  const components = [];
  for (const { layers, dims, ...texts } of data.components) {
    const bytes = async (/** @type {string} */ name) => unpack85(texts[name], pause);
    components.push({
      layers, dims,
      means: new Float32Array(await bytes("means")),
      basis: new Int8Array(await bytes("basis")),
      scales: new Float32Array(await bytes("scales")),
    });
  }
  return { ...data, components };
}

/** A 16-bit floating point number. @param {number} bits */
function halfFloat(bits) {
  const [sign, power, part] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (power ? 2 ** (power - 15) * (1 + part / 1024) : 2 ** -14 * (part / 1024));
}

// ---- the forward pass ---------------------------------------------------------------------------

/**
 * Send a square of bytes through a network; return its layers, pooled, by their names.
 * @param {Net} net @param {Uint8Array} square @param {Pause} pause
 * @param {(share: number) => void} [progress] called with what share of the work is done
 * @returns {Promise<Map<string, Float32Array>>}
 */
async function runNetwork(net, square, pause, progress = () => {}) {
  const rows = new Map();
  await walkThrough(net, square, net.steps.length, pause, async (maps, end) => {
    for (const [name, at, pooling] of net.layers) {
      if (at !== end) continue;
      await pause();
      rows.set(name, pool(maps, pooling, net.directions));
    }
    progress(end / net.steps.length);
  });
  return rows;
}

/**
 * Take so many steps; `see` is called with what each of them gives, and the last one's is returned.
 * @param {Net} net @param {Uint8Array} square @param {number} end @param {Pause} pause
 * @param {(maps: Maps, end: number) => Promise<void>} see @returns {Promise<Maps>}
 */
async function walkThrough({ size, mean, std, steps }, square, end, pause, see) {
  const input = new Float32Array(square.length);
  for (let i = 0; i < input.length; i++) input[i] = (square[i] / 255 - mean[i % 3]) / std[i % 3];
  /** @type {Maps} */
  let maps = { values: input, side: size, channels: 3 };
  /** @type {(Maps | null)[]} */
  const outputs = [maps];
  const last = new Map(); // the step that takes an output for the last time
  steps.forEach(({ of }, i) => of.forEach((one) => last.set(one, i)));
  for (const [i, step] of steps.slice(0, end).entries()) {
    const [first, second] = step.of.map((one) => /** @type {Maps} */ (outputs[one]));
    maps = step.do === "sum" ? added(first, second) : await convolve(step, first, pause);
    outputs.push(maps);
    await see(maps, i + 1);
    for (const one of step.of) if (last.get(one) === i) outputs[one] = null;
    await pause();
  }
  return maps;
}

/** @param {Maps} first @param {Maps} second @returns {Maps} */
function added(first, second) {
  const values = first.values.slice();
  for (let i = 0; i < values.length; i++) values[i] += second.values[i];
  return { ...first, values };
}

/**
 * One convolution, padded as TensorFlow's "same": what is wanted in all, the odd pixel at the end.
 * @param {Ready} step @param {Maps} maps @param {Pause} pause @returns {Promise<Maps>}
 */
async function convolve(step, maps, pause) {
  const { stride, out: channels, side: kernel = 1 } = step;
  const side = Math.ceil(maps.side / stride);
  const before = Math.max((side - 1) * stride + kernel - maps.side, 0) >> 1;
  const values = new Float32Array(side * side * channels);
  const products = side * (step.do === "depth" ? 1 : step.in) * kernel * kernel * channels;
  const lines = Math.max(1, Math.floor(WORK / products)); // done in one go
  for (let from = 0; from < side; from += lines) {
    const to = Math.min(side, from + lines);
    if (step.do === "depth") {
      depthLines(step, maps, values, side, before, from, to);
    } else {
      const plain = kernel === 1 && stride === 1;
      const patches = plain
        ? maps.values.subarray(from * side * step.in, to * side * step.in)
        : patchesOf(maps, kernel, stride, before, side, from, to);
      const part = values.subarray(from * side * channels, to * side * channels);
      multiply(patches, step.weights, step.bias, (to - from) * side, part);
    }
    if (step.clip) clip(values, from * side * channels, to * side * channels);
    await pause();
  }
  return { values, side, channels };
}

/**
 * Each place's numbers times each output's weights: four outputs (their number divides by four) of
 * two places at a time, so that a number that was read is used more than once.
 * @param {Float32Array} inputs @param {Float32Array} weights @param {Float32Array} bias
 * @param {number} places @param {Float32Array} outputs
 */
function multiply(inputs, weights, bias, places, outputs) {
  const outs = bias.length;
  const ins = inputs.length / places;
  const first = new Float64Array(ins);
  const second = new Float64Array(ins);
  for (let place = 0; place < places; place += 2) {
    const a = place * ins;
    const b = place + 1 < places ? a + ins : a;
    for (let i = 0; i < ins; i++) {
      first[i] = inputs[a + i];
      second[i] = inputs[b + i];
    }
    for (let out = 0; out < outs; out += 4) {
      const w0 = out * ins;
      const w1 = w0 + ins;
      const w2 = w1 + ins;
      const w3 = w2 + ins;
      let [a0, a1, a2, a3] = [0, 0, 0, 0];
      let [b0, b1, b2, b3] = [0, 0, 0, 0];
      for (let i = 0; i < ins; i++) {
        const x = first[i];
        const y = second[i];
        const p = weights[w0 + i];
        const q = weights[w1 + i];
        const r = weights[w2 + i];
        const s = weights[w3 + i];
        a0 += x * p;
        a1 += x * q;
        a2 += x * r;
        a3 += x * s;
        b0 += y * p;
        b1 += y * q;
        b2 += y * r;
        b3 += y * s;
      }
      const toA = place * outs + out;
      const toB = b === a ? toA : toA + outs;
      outputs[toB] = b0 + bias[out];
      outputs[toB + 1] = b1 + bias[out + 1];
      outputs[toB + 2] = b2 + bias[out + 2];
      outputs[toB + 3] = b3 + bias[out + 3];
      outputs[toA] = a0 + bias[out];
      outputs[toA + 1] = a1 + bias[out + 1];
      outputs[toA + 2] = a2 + bias[out + 2];
      outputs[toA + 3] = a3 + bias[out + 3];
    }
  }
}

/** ReLU6. @param {Float32Array} values @param {number} from @param {number} to */
function clip(values, from, to) {
  for (let i = from; i < to; i++) {
    const value = values[i];
    values[i] = value < 0 ? 0 : value > 6 ? 6 : value;
  }
}

/**
 * One filter a channel.
 * @param {Ready} step @param {Maps} maps @param {Float32Array} values @param {number} side
 * @param {number} before @param {number} from @param {number} to
 */
function depthLines({ weights, bias, stride, side: kernel }, maps, values, side, before, from, to) {
  const { values: inputs, side: wide, channels } = maps;
  const sums = new Float64Array(channels);
  for (let y = from; y < to; y++) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < channels; c++) sums[c] = bias[c];
      for (let v = 0; v < kernel; v++) {
        const row = y * stride - before + v;
        if (row < 0 || row >= wide) continue;
        for (let u = 0; u < kernel; u++) {
          const column = x * stride - before + u;
          if (column < 0 || column >= wide) continue;
          const at = (row * wide + column) * channels;
          const tap = (v * kernel + u) * channels;
          for (let c = 0; c < channels; c++) sums[c] += inputs[at + c] * weights[tap + c];
        }
      }
      values.set(sums, (y * side + x) * channels);
    }
  }
}

/**
 * What a filter sees at each place of some lines, laid in rows.
 * @param {Maps} maps @param {number} kernel @param {number} stride @param {number} before
 * @param {number} side @param {number} from @param {number} to
 */
function patchesOf({ values, side: wide, channels }, kernel, stride, before, side, from, to) {
  const patches = new Float32Array((to - from) * side * kernel * kernel * channels);
  let at = 0;
  for (let y = from; y < to; y++) {
    for (let x = 0; x < side; x++) {
      for (let v = 0; v < kernel; v++) {
        for (let u = 0; u < kernel; u++, at += channels) {
          const row = y * stride - before + v;
          const column = x * stride - before + u;
          if (row < 0 || row >= wide || column < 0 || column >= wide) continue;
          const start = (row * wide + column) * channels;
          for (let c = 0; c < channels; c++) patches[at + c] = values[start + c];
        }
      }
    }
  }
  return patches;
}

// ---- poolings, as in networks/pooling.py --------------------------------------------------------

/**
 * @param {Maps} maps @param {string} pooling @param {Map<number, Float32Array>} directions
 * @returns {Float32Array}
 */
function pool(maps, pooling, directions) {
  const means = meansOf(maps);
  if (pooling === "") return means;
  if (pooling === "moments") return joinArrays([means, deviationsOf(maps, means)]);
  const ways = directions.get(maps.channels);
  const projected = ways ? project(maps, ways) : maps;
  const centre = pooling === "covariance" ? meansOf(projected) : null;
  return triangle(rootOf(gramOf(projected, centre), projected.channels), projected.channels);
}

/** @param {Maps} maps */
function meansOf({ values, channels }) {
  const sums = new Float64Array(channels);
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) sums[c] += values[at + c];
  }
  return Float32Array.from(sums, (sum) => (sum * channels) / values.length);
}

/** @param {Maps} maps @param {Float32Array} means */
function deviationsOf({ values, channels }, means) {
  const sums = new Float64Array(channels);
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) sums[c] += (values[at + c] - means[c]) ** 2;
  }
  return Float32Array.from(sums, (sum) => Math.sqrt((sum * channels) / values.length));
}

/** Maps projected onto directions, which lie one after another. @returns {Maps} */
function project(/** @type {Maps} */ { values, side, channels }, /** @type {Float32Array} */ ways) {
  const kept = ways.length / channels;
  const out = new Float32Array(side * side * kept);
  multiply(values, ways, new Float32Array(kept), side * side, out);
  return { values: out, side, channels: kept };
}

/**
 * How channels go together, a matrix of channels × channels, with their means taken off or not.
 * @param {Maps} maps @param {Float32Array | null} centre
 */
function gramOf({ values, channels }, centre) {
  const gram = new Float64Array(channels * channels);
  const row = new Float32Array(channels);
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) row[c] = values[at + c] - (centre ? centre[c] : 0);
    for (let i = 0; i < channels; i++) {
      for (let j = i; j < channels; j++) gram[i * channels + j] += row[i] * row[j];
    }
  }
  const places = values.length / channels;
  for (let i = 0; i < channels; i++) {
    for (let j = i; j < channels; j++) {
      gram[j * channels + i] = gram[i * channels + j] = gram[i * channels + j] / places;
    }
  }
  return gram;
}

/**
 * The square root of a symmetric matrix, by the eigenvectors that Jacobi's rotations lead to (Golub
 * and Van Loan, Matrix Computations, 8.5).
 * @param {Float64Array} matrix is changed @param {number} n
 */
function rootOf(matrix, n) {
  const vectors = new Float64Array(n * n); // one in each row
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  const size = matrix.reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < 30; sweep++) {
    let rest = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) rest += matrix[i * n + j] ** 2;
    if (rest <= 1e-24 * size) break;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(matrix, vectors, n, p, q);
  }
  const root = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    const value = Math.sqrt(Math.max(0, matrix[k * n + k]));
    for (let i = 0; i < n; i++) {
      const share = value * vectors[k * n + i];
      for (let j = 0; j < n; j++) root[i * n + j] += share * vectors[k * n + j];
    }
  }
  return root;
}

/**
 * Turn two axes so that what lies between them in the matrix becomes 0.
 * @param {Float64Array} matrix @param {Float64Array} vectors @param {number} n
 * @param {number} p @param {number} q
 */
function rotate(matrix, vectors, n, p, q) {
  const between = matrix[p * n + q];
  if (between === 0) return;
  const tau = (matrix[q * n + q] - matrix[p * n + p]) / (2 * between);
  const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const a = matrix[p * n + k];
    const b = matrix[q * n + k];
    matrix[p * n + k] = c * a - s * b;
    matrix[q * n + k] = s * a + c * b;
    const v = vectors[p * n + k];
    const w = vectors[q * n + k];
    vectors[p * n + k] = c * v - s * w;
    vectors[q * n + k] = s * v + c * w;
  }
  for (let k = 0; k < n; k++) {
    const a = matrix[k * n + p];
    const b = matrix[k * n + q];
    matrix[k * n + p] = c * a - s * b;
    matrix[k * n + q] = s * a + c * b;
  }
}

/** The upper triangle as a row whose products are those of the matrices. */
function triangle(/** @type {Float64Array} */ matrix, /** @type {number} */ n) {
  const row = new Float32Array((n * (n + 1)) / 2);
  let at = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) row[at++] = matrix[i * n + j] * (i === j ? 1 : Math.SQRT2);
  }
  return row;
}

// ---- the blend, as in features/blend.py ---------------------------------------------------------

/**
 * A row of the blend before it is averaged: its components side by side, each of length 1.
 * @param {Fit} fit @param {Map<string, Float32Array>} layers @param {Pause} pause
 */
async function rawRow({ components }, layers, pause) {
  const parts = [];
  for (const { layers: named, dims, means, basis, scales } of components) {
    const joined = new Float64Array(means.length);
    let at = 0;
    for (const [name, weight, spread] of named) {
      const unit = scaleToUnit(Float64Array.from(/** @type {Float32Array} */ (layers.get(name))));
      const factor = Math.sqrt(weight) / spread;
      for (const value of unit) joined[at] = (value - means[at++]) * factor;
    }
    const row = new Float64Array(dims);
    for (let d = 0, i = 0; d < dims; d++) {
      for (let k = 0; k < joined.length; k++, i++) row[d] += joined[k] * basis[i];
      row[d] *= scales[d];
      if (d % 32 === 31) await pause();
    }
    parts.push(...scaleToUnit(row));
  }
  return Float64Array.from(parts);
}

/**
 * Average a row with those of the nearest works, component by component, weighted by the cosine to
 * some power. A work that shows the same picture is passed over.
 * @param {Fit} fit @param {Float64Array} raw @param {ByteRows} rows the works' own, as `raw`
 */
function averageRow({ others, power }, raw, rows) {
  const averaged = raw.slice();
  let start = 0;
  rows.widths.forEach((width, part) => {
    const cosines = productsOf(rows, raw, part).map((one) => (one > SAME ? -1 : one));
    const sum = averaged.subarray(start, start + width);
    for (const work of largestOf(cosines, Math.min(others, rows.length - 1))) {
      const weight = Math.max(0, cosines[work]) ** power;
      const row = fetchRow(rows, work);
      for (let i = 0; i < width; i++) sum[i] += weight * row[start + i];
    }
    scaleToUnit(sum);
    start += width;
  });
  return averaged;
}

/** The places of the largest values, the largest first. */
function largestOf(/** @type {Float64Array} */ values, /** @type {number} */ count) {
  /** @type {number[]} */
  const found = [];
  for (let i = 0; i < values.length; i++) {
    if (found.length === count && values[i] <= values[found[count - 1]]) continue;
    let at = Math.min(found.length, count - 1);
    for (; at > 0 && values[i] > values[found[at - 1]]; at--) found[at] = found[at - 1];
    if (count) found[at] = i;
  }
  return found;
}

/** Bring a row to length 1, in place; one of zeros stays. @param {Float64Array} row */
function scaleToUnit(row) {
  const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)) || 1;
  for (let i = 0; i < row.length; i++) row[i] /= length;
  return row;
}

/** @param {Float32Array[]} arrays */
function joinArrays(arrays) {
  const joined = new Float32Array(arrays.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of arrays) {
    joined.set(one, at);
    at += one.length;
  }
  return joined;
}

// ---- a picture ----------------------------------------------------------------------------------

/** @type {Map<string, Promise<any>>} what was read of data files, by name */
const readFiles = new Map();

/**
 * Read a data file at its first use; after a failure the next call tries again.
 * @template T
 * @param {string} name @param {(data: any, pause: Pause) => Promise<T>} read
 * @param {(name: string) => Promise<any>} load @param {Pause} pause @returns {Promise<T>}
 */
function readOnce(name, read, load, pause) {
  if (!readFiles.has(name)) {
    const reading = load(name).then((data) => read(data, pause));
    readFiles.set(name, reading);
    reading.catch(() => readFiles.delete(name));
  }
  return /** @type {Promise<T>} */ (readFiles.get(name));
}

/**
 * Look at a picture by a network: its final layer, and its row of the blend before and after
 * averaging (null where this crop has no blend).
 *
 * `load` loads a data file, and `rows` brings the works' rows before averaging. `region` is a
 * rectangle of the picture, as shares of its sides. `progress` is told what share of all is done.
 * Throws what can be said to the visitor: that the picture cannot be read, or a data file not be
 * loaded.
 * @param {Blob} file
 * @param {{looker: Looker, crop: string, region?: Box | null, load: Load,
 *   rows: () => Promise<ByteRows>, pause?: Pause, progress?: (share: number) => void}} how
 * @returns {Promise<Looked>}
 */
async function describe(file, how) {
  const { looker, load, crop, region = null, progress = () => {} } = how;
  const pause = how.pause ?? createPause();
  const picture = await decodePicture(file);
  try {
    progress(0.05);
    const net = await readOnce(looker.file, readNetwork, load, pause);
    progress(0.35);
    const box = boxOf(picture.width, picture.height, net.size, { region, crop });
    const square = await squareOf(picture, box, net.size, pause);
    return await describeSquare(net, square, { ...how, pause, progress });
  } finally {
    picture.close();
  }
}

/**
 * Look at a square of a picture; see `describe`.
 * @param {Net} net @param {Uint8Array} square
 * @param {{looker: Looker, crop: string, load: Load, rows: () => Promise<ByteRows>, pause: Pause,
 *   progress: (share: number) => void}} how
 * @returns {Promise<Looked>}
 */
async function describeSquare(net, square, { looker, crop, load, rows, pause, progress }) {
  progress(0.4);
  const layers = await runNetwork(net, square, pause, (share) => progress(0.4 + 0.5 * share));
  const final = Float64Array.from(/** @type {Float32Array} */ (layers.get(net.final)));
  if (!looker.fits[crop]) return { final, raw: null, averaged: null };
  const fit = await readOnce(looker.fits[crop], readFit, load, pause);
  const raw = await rawRow(fit, layers, pause);
  const averaged = fit.others ? averageRow(fit, raw, await rows()) : raw;
  await pause();
  progress(1);
  return { final, raw, averaged };
}
