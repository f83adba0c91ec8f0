// @ts-check
// Rows of 8-bit numbers, and the distances between them. artsearch/show/site_rows.py writes them, in
// files of some thousand works, column by column; a row may have several parts (those of a blend),
// each with a scale a work, with which it has the length that it had in Python.

/**
 * What works.js says of some rows.
 * @typedef {Object} RowsHead
 * @property {string} file how the names of its files begin
 * @property {number[]} blocks how many works are in each
 * @property {number[]} widths how many numbers each part has
 * @property {boolean} signed
 *
 * @typedef {Object} ByteRows
 * @property {number} length works
 * @property {number} dims numbers of a work
 * @property {number[]} widths
 * @property {Int8Array | Uint8Array} numbers work by work
 * @property {Float32Array} scales works × parts
 *
 * @typedef {(name: string) => Promise<any>} Load gives what a file of data/ holds
 */

const TILE = 64; // works that are turned from columns to rows at a time

/** The bytes of a text made by pack in site_rows.py. @param {string} text */
async function unpack(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/**
 * Load rows.
 * @param {RowsHead} head @param {Load} load @returns {Promise<ByteRows>}
 */
async function loadRows({ file, blocks, widths, signed }, load) {
  const length = blocks.reduce((a, b) => a + b, 0);
  const dims = widths.reduce((a, b) => a + b, 0);
  const bytes = new Uint8Array(length * dims);
  const scales = new Float32Array(length * widths.length);
  let start = 0;
  for (const [number, works] of blocks.entries()) {
    const data = await load(`${file}-${number}`);
    const columns = await unpack(data.packed);
    for (let first = 0; first < works; first += TILE) {
      const last = Math.min(works, first + TILE);
      for (let column = 0; column < dims; column++) {
        let to = (start + first) * dims + column;
        for (let row = first; row < last; row++, to += dims) bytes[to] = columns[column * works + row];
      }
    }
    const packed = await unpack(data.scales);
    scales.set(new Float32Array(packed.buffer), start * widths.length);
    start += works;
  }
  const numbers = signed ? new Int8Array(bytes.buffer) : bytes;
  return { length, dims, widths, numbers, scales };
}

/** The row of a work, or of several one after the other. @param {ByteRows} rows @param {number} row */
function fetchRow({ dims, widths, numbers, scales }, row) {
  const vector = new Float64Array(dims);
  let column = 0;
  widths.forEach((width, part) => {
    const scale = scales[row * widths.length + part];
    for (const end = column + width; column < end; column++) {
      vector[column] = numbers[row * dims + column] * scale;
    }
  });
  return vector;
}

/**
 * The products of one part of all works with that of a vector; 0 for those that are not `some`, where
 * that has 1 for each that is.
 * @param {ByteRows} rows @param {Float64Array} vector @param {number} part @param {Uint8Array} [some]
 */
function productsOf({ length, dims, widths, numbers, scales }, vector, part, some) {
  const found = new Float64Array(length);
  const start = widths.slice(0, part).reduce((a, b) => a + b, 0);
  const width = widths[part];
  const even = width - (width % 4);
  const query = vector.slice(start, start + width);
  for (let row = 0, at = start; row < length; row++, at += dims) {
    if (some && !some[row]) continue;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < even; i += 4) {
      a += numbers[at + i] * query[i];
      b += numbers[at + i + 1] * query[i + 1];
      c += numbers[at + i + 2] * query[i + 2];
      d += numbers[at + i + 3] * query[i + 3];
    }
    for (let i = even; i < width; i++) a += numbers[at + i] * query[i];
    found[row] = (a + b + c + d) * scales[row * widths.length + part];
  }
  return found;
}

/**
 * The distances of all works to a vector. `weights` say how much each part counts; `products` is the
 * function above, or one that remembers what it gave.
 * @param {ByteRows} rows @param {Float64Array} vector @param {string} metric @param {number[]} weights
 * @returns {Float64Array}
 */
function distancesTo(rows, vector, metric, weights, products = productsOf) {
  const { length, dims, widths, numbers, scales } = rows;
  const found = new Float64Array(length);
  if (metric === "angular" || metric === "dot") {
    widths.forEach((_, part) => {
      if (!weights[part]) return;
      const one = products(rows, vector, part);
      for (let row = 0; row < length; row++) found[row] += weights[part] * one[row];
    });
    if (metric === "dot") return found.map((product) => -product);
    const own = lengthOf(vector, widths, weights);
    const all = Math.sqrt(weights.reduce((sum_, one) => sum_ + one, 0));
    const whole = scales.every(Boolean); // no work lacks a part
    for (let row = 0; row < length; row++) {
      const both = own * (whole ? all : heldBy(rows, row, weights));
      found[row] = Math.sqrt(Math.max(0, 2 - (2 * found[row]) / (both || 1)));
    }
    return found;
  }
  for (let row = 0, at = 0; row < length; row++, at += dims) {
    let sum = 0;
    if (metric === "euclidean") {
      for (let i = 0; i < dims; i++) sum += (numbers[at + i] * scales[row] - vector[i]) ** 2;
    } else if (metric === "manhattan") {
      for (let i = 0; i < dims; i++) sum += Math.abs(numbers[at + i] * scales[row] - vector[i]);
    } else { // hamming: bits
      for (let i = 0; i < dims; i++) sum += Number((numbers[at + i] > 0) !== (vector[i] > 0));
    }
    found[row] = metric === "euclidean" ? Math.sqrt(sum) : sum;
  }
  return found;
}

/** The length of a vector whose parts count by weights. */
function lengthOf(
  /** @type {Float64Array} */ vector, /** @type {number[]} */ widths, /** @type {number[]} */ weights,
) {
  let [sum, i] = [0, 0];
  widths.forEach((width, part) => {
    for (const end = i + width; i < end; i++) sum += weights[part] * vector[i] * vector[i];
  });
  return Math.sqrt(sum);
}

/** The length of a work's row: its parts have that of one, or nothing in them. */
function heldBy(/** @type {ByteRows} */ { widths, scales }, /** @type {number} */ row, /** @type {number[]} */ weights) {
  let sum = 0;
  for (let part = 0; part < widths.length; part++) {
    if (scales[row * widths.length + part]) sum += weights[part];
  }
  return Math.sqrt(sum);
}

/**
 * The distances between some works, row by row; it pauses now and then, since for 1,500 works it
 * takes longer than a browser may stand still.
 * @param {ByteRows} rows @param {number[]} some @param {string} metric @param {number[]} weights
 */
async function distancesBetween(rows, some, metric, weights) {
  const part = takeRows(rows, some);
  const found = new Float64Array(some.length ** 2);
  let began = performance.now();
  for (let row = 0; row < some.length; row++) {
    found.set(distancesTo(part, fetchRow(part, row), metric, weights), row * some.length);
    if (performance.now() - began > 30) {
      await pause();
      began = performance.now();
    }
  }
  return found;
}

/** Rows of some works alone. @param {ByteRows} rows @param {number[]} some @returns {ByteRows} */
function takeRows({ dims, widths, numbers, scales }, some) {
  const taken = numbers.slice(0, some.length * dims);
  const parts = widths.length;
  some.forEach((row, i) => taken.set(numbers.subarray(row * dims, (row + 1) * dims), i * dims));
  const scaled = Float32Array.from({ length: some.length * parts }, (_, i) => (
    scales[some[Math.floor(i / parts)] * parts + (i % parts)]));
  return { length: some.length, dims, widths, numbers: taken, scales: scaled };
}

/** Let the page paint, and heed the visitor. @returns {Promise<void>} */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
