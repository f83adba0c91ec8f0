// @ts-check
// From a picture file to the square that a network takes: the same bytes as in Python.
//
// A browser's own resizing is no substitute. With the canvas's, at its best, rows of the final layer
// had a mean cosine of 0.975 to Python's, and 0.795 of ten neighbours in common.

const BITS = 22; // of a weight, and of what is summed: Pillow's own
/** @type {Kernel} */
const CUBIC = { support: 2, at: cubic };
/** @type {Kernel} */
const LANCZOS = { support: 3, at: lanczos };
const STRIP = 400_000; // pixels that are drawn and weighed in one go, some ten milliseconds

/** @typedef {[number, number, number, number]} Box left, top, right, bottom */
/** @typedef {(from: number, to: number) => ArrayLike<number>} Reader pixels of a strip */
/** @typedef {{width: number, height: number, rgb: Uint8Array}} Pixels */
/** @typedef {{support: number, at: (x: number) => number}} Kernel */
/** @typedef {{starts: Int32Array, counts: Int32Array, weights: Int32Array, most: number}} Taps */

/**
 * Decode a picture file upright, as sRGB.
 * @param {Blob} file @returns {Promise<ImageBitmap>}
 */
async function decodePicture(file) {
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "default",
    });
  } catch {
    const named = /** @type {Partial<File>} */ (file).name;
    const name = named ? `“${named}”` : "this file";
    const other = /\.(tiff?|hei[cf]|jp2|psd)$/i.test(named || "") || /tiff|hei[cf]/.test(file.type);
    const why = other ? ", as most browsers cannot read this kind of file" : " as a picture";
    throw new Error(`Your browser cannot read ${name}${why}; save it as JPEG or PNG.`);
  }
}

/**
 * Return the part of a picture that is looked at, in its pixels.
 *
 * `region` is a rectangle as shares of its sides; of that, center_crop takes the square in the
 * middle. Rounded as `cut` in search/answer.py and Transform.kept do.
 * @param {number} width @param {number} height @param {number} side
 * @param {{region?: Box | null, crop?: string}} [asked] @returns {Box}
 */
function boxOf(width, height, side, { region = null, crop = "no_crop" } = {}) {
  let [left, top, right, bottom] = [0, 0, width, height];
  if (region) {
    const [a, b, c, d] = region;
    [left, top] = [roundEven(a * width), roundEven(b * height)];
    [right, bottom] = [roundEven(c * width), roundEven(d * height)];
    [right, bottom] = [Math.max(right, left + 1), Math.max(bottom, top + 1)];
  }
  if (crop !== "center_crop") return [left, top, right, bottom];
  const [wide, high] = [right - left, bottom - top];
  const kept = Math.max(1, Math.trunc((Math.min(wide, high) / side) * side));
  left += Math.floor((wide - kept) / 2);
  top += Math.floor((high - kept) / 2);
  return [left, top, left + kept, top + kept];
}

/** Round as Python does: halves to the even number. @param {number} x */
function roundEven(x) {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

/**
 * Return a box of a picture as a square of bytes, side × side × RGB, white behind transparency.
 * @param {ImageBitmap} picture @param {Box} box @param {number} side
 * @param {() => Promise<void>} pause @returns {Promise<Uint8Array>}
 */
function squareOf(picture, box, side, pause) {
  return pixelsOf(picture, box, [side, side], pause, CUBIC);
}

/**
 * Return a box of a picture, resized, as bytes; white behind transparency.
 * @param {ImageBitmap} picture @param {Box} box @param {[number, number]} size
 * @param {() => Promise<void>} pause @param {Kernel} kernel @returns {Promise<Uint8Array>}
 */
async function pixelsOf(picture, [left, top, right, bottom], size, pause, kernel) {
  const [width, height] = [right - left, bottom - top];
  const draw = (/** @type {Box} */ [x, y, w, h]) => {
    const canvas = new OffscreenCanvas(w, h);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
      canvas.getContext("2d", { willReadFrequently: true }));
    context.fillStyle = "white";
    context.fillRect(0, 0, w, h);
    context.drawImage(picture, left + x, top + y, w, h, 0, 0, w, h);
    return context.getImageData(0, 0, w, h).data;
  };
  return resizeAsPillow(width, height, size, pause,
    (from, to) => draw([0, from, width, to - from]),
    (from, to) => draw([from, 0, to - from, height]), 4, kernel);
}

/**
 * Return a box of pixels as a square of bytes, as `squareOf` does.
 * @param {Pixels} pixels @param {Box} box @param {number} side @param {() => Promise<void>} pause
 */
function squareOfPixels(pixels, box, side, pause) {
  const { width, height, rgb } = cropped(pixels, box);
  return resizeAsPillow(width, height, [side, side], pause,
    (from, to) => rgb.subarray(3 * width * from, 3 * width * to),
    (from, to) => cropped({ width, height, rgb }, [from, 0, to, height]).rgb, 3, CUBIC);
}

/** A box of pixels. @param {Pixels} pixels @param {Box} box @returns {Pixels} */
function cropped({ width, rgb }, [left, top, right, bottom]) {
  const wide = right - left;
  const cut = new Uint8Array(3 * wide * (bottom - top));
  for (let y = top; y < bottom; y++) {
    const from = 3 * (y * width + left);
    cut.set(rgb.subarray(from, from + 3 * wide), 3 * (y - top) * wide);
  }
  return { width: wide, height: bottom - top, rgb: cut };
}

/**
 * Resize as Image.resize of Pillow 13 does, to the last bit; strip by strip, so that a large scan is
 * never in memory twice.
 *
 * Pillow works along rows and along columns one after the other, and rounds to bytes in between. It
 * begins with the columns where the picture is made lower, and its height is further from the
 * square's than twice its width is: found by trying sizes, of squares.
 * @param {number} width @param {number} height @param {[number, number]} size
 * @param {() => Promise<void>} pause
 * @param {Reader} rows pixels of the rows from … to … @param {Reader} columns likewise of columns
 * @param {number} channels that they give of each @param {Kernel} kernel
 * @returns {Promise<Uint8Array>}
 */
async function resizeAsPillow(width, height, [wide, high], pause, rows, columns, channels, kernel) {
  const [across, down] = [tapsOf(width, wide, kernel), tapsOf(height, high, kernel)];
  const columnsFirst = height > high && height - high > 2 * (width - wide);
  const [length, step, kept] = columnsFirst ? [width, height, high] : [height, width, wide];
  const between = new Uint8Array(3 * kept * length);
  const strip = Math.max(1, Math.floor(STRIP / step));
  for (let from = 0; from < length; from += strip) {
    const to = Math.min(length, from + strip);
    const many = to - from;
    // What lies between is as high as what comes out and as wide as the picture, or the other way.
    if (columnsFirst) {
      weigh(columns(from, to), channels, many, 1, down, many, between, length, 1, from);
    } else {
      weigh(rows(from, to), channels, 1, width, across, many, between, 1, wide, from);
    }
    await pause();
  }
  const out = new Uint8Array(3 * wide * high);
  if (columnsFirst) weigh(between, 3, 1, length, across, high, out, 1, wide, 0);
  else weigh(between, 3, wide, 1, down, wide, out, wide, 1, 0);
  await pause();
  return out;
}

/**
 * Weigh pixels along one side. `along` and `over` are how many pixels lie between neighbours along
 * that side, and over it; `lines` of them are done, the first of which is line `first` of `out`.
 * @param {ArrayLike<number>} pixels @param {number} channels
 * @param {number} along @param {number} over @param {Taps} taps @param {number} lines
 * @param {Uint8Array} out @param {number} outAlong @param {number} outOver @param {number} first
 */
function weigh(pixels, channels, along, over, taps, lines, out, outAlong, outOver, first) {
  const { starts, counts, weights, most } = taps;
  const step = channels * along;
  for (let line = 0; line < lines; line++) {
    for (let place = 0; place < starts.length; place++) {
      let [red, green, blue] = [1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1)];
      let at = channels * (line * over + starts[place] * along);
      const end = place * most + counts[place];
      for (let tap = place * most; tap < end; tap++, at += step) {
        const weight = weights[tap];
        red = (red + Math.imul(pixels[at], weight)) | 0;
        green = (green + Math.imul(pixels[at + 1], weight)) | 0;
        blue = (blue + Math.imul(pixels[at + 2], weight)) | 0;
      }
      const to = 3 * ((first + line) * outOver + place * outAlong);
      out[to] = clipped(red);
      out[to + 1] = clipped(green);
      out[to + 2] = clipped(blue);
    }
  }
}

/** @param {number} sum */
function clipped(sum) {
  const value = sum >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * Of each of `count` places of a side that is `length` pixels long: which pixels it is made of, and
 * with what weights. A side that stays as long is copied.
 * @param {number} length @param {number} count @param {Kernel} kernel @returns {Taps}
 */
function tapsOf(length, count, kernel) {
  const scale = length / count;
  const wide = Math.max(scale, 1);
  const support = kernel.support * wide;
  const most = 2 * Math.ceil(support) + 1;
  const [starts, counts] = [new Int32Array(count), new Int32Array(count)];
  const weights = new Int32Array(count * most);
  for (let place = 0; place < count; place++) {
    const centre = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const shares = [];
    let sum = 0;
    for (let i = start; i < end; i++) {
      shares.push(kernel.at((i - centre + 0.5) * (1 / wide)));
      sum += shares[shares.length - 1];
    }
    [starts[place], counts[place]] = [start, end - start];
    shares.forEach((share, i) => {
      const weight = (sum === 0 ? share : share / sum) * 2 ** BITS;
      weights[place * most + i] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    });
  }
  return { starts, counts, weights, most };
}

/** Keys' cubic with a = −0.5, whose sums Pillow does in this order. @param {number} x */
function cubic(x) {
  const [a, far] = [-0.5, Math.abs(x)];
  if (far < 1) return ((a + 2) * far - (a + 3)) * far * far + 1;
  if (far < 2) return (((far - 5) * far + 8) * far - 4) * a;
  return 0;
}

/** @param {number} x */
function lanczos(x) {
  const sinc = (/** @type {number} */ y) => (y === 0 ? 1 : Math.sin(y) / y);
  return Math.abs(x) < 3 ? sinc(Math.PI * x) * sinc((Math.PI * x) / 3) : 0;
}
