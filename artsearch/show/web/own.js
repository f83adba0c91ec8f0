// @ts-check
// Pictures of the visitor's own, and parts of pictures: kept in the page's memory, looked at by its
// own network (forward.js), and sent nowhere.

const PREVIEW = 1024; // pixels of the longer side that are shown of a picture of one's own
const STAYS = "Your image stays in your browser: it is sent nowhere.";

/**
 * What looks at pictures for the answerer; `own` gets the visitor's as works by id. `say` is told,
 * in words, how far it is.
 * @param {Site} site @param {Load} load @param {(text: string) => void} say
 */
function createEyes(site, load, say) {
  /** @type {Map<string, Blob>} */
  const files = new Map();
  /** @type {Map<string, Promise<any>>} */
  const looked = new Map();
  /** @type {Promise<unknown>} */
  let last = Promise.resolve(); // one picture after the other: each keeps the processor busy
  return { add, look, match, change, picture };

  /** Take a picture of the visitor's own, return its id. @param {File} file @returns {Promise<string>} */
  async function add(file) {
    const work = await previewOf(file, `${UPLOADED}${files.size + 1}`);
    files.set(work.id, file);
    site.own.set(work.id, work);
    return work.id;
  }

  /** @type {Look} */
  async function look({ network, crop }, id, region, rows) {
    const about = { ...how(network, region), crop };
    return inTurn(["rows", network, crop, id, region], async () => (
      describe(await fileOf(id), { ...about, rows })));
  }

  /**
   * The places that match in two pictures, the first of which may be a part.
   * @param {{network: string, crop: string}} asked @param {string} first
   * @param {number[] | null} region @param {string} second
   */
  async function match({ network, crop }, first, region, second) {
    const see = (/** @type {string} */ id, /** @type {number[] | null} */ part) => {
      const about = { ...how(network, part), crop };
      return inTurn(["places", network, crop, id, part], async () => (
        lookAtPlaces(await fileOf(id), about)));
    };
    const both = await Promise.all([see(first, region), see(second, null)]);
    return matchPlaces(both[0], both[1], /** @type {Box | null} */ (region));
  }

  /**
   * What is seen of a picture, or of a part of it, when it is changed in each of the ways of CHANGES.
   * @type {Change}
   */
  async function change({ network, crop, dial }, id, region, rows) {
    const { looker, ...about } = how(network, region);
    const fits = dial === null ? {} : looker.fits;
    return inTurn(["changed", network, crop, dial === null, id, region], async () => {
      const pause = createPause();
      const net = await readOnce(looker.file, readNetwork, load, pause);
      const pixels = await toBeChanged(await fileOf(id), about.region, pause);
      const found = [];
      for (const [i, { how: changed, change: apply }] of CHANGES.entries()) {
        say(`Trying the picture ${changed}: ${i + 1} of ${CHANGES.length} …`);
        const one = await apply(pixels, pause);
        const box = boxOf(one.width, one.height, net.size, { crop });
        const square = await squareOfPixels(one, box, net.size, pause);
        const more = { looker: { ...looker, fits }, crop, load, rows, pause, progress: () => {} };
        found.push(await describeSquare(net, square, more));
      }
      return found;
    });
  }

  /** What is done once for the same words, one after the other. */
  function inTurn(/** @type {unknown} */ what, /** @type {() => Promise<any>} */ work) {
    const key = JSON.stringify(what);
    const before = looked.get(key);
    if (before) return before;
    const one = last.catch(() => {}).then(work);
    last = one;
    looked.set(key, one);
    one.catch(() => looked.delete(key));
    return one;
  }

  /** How a network looks here. @param {string} network @param {number[] | null} region */
  function how(network, region) {
    const looker = site.looks.find((one) => one.network === network);
    if (!looker) throw new Refusal(refusalOf(network, site));
    const title = site.networks.find(isNamed(network))?.title;
    const what = `${region ? "Looking at the part" : "Looking at the picture"} by ${title}`;
    const loading = `${what} (at the first time ${looker.megabytes} MB are loaded)`;
    return {
      looker, load, region: /** @type {Box | null} */ (region),
      progress: (/** @type {number} */ share) => say(
        `${share < 0.35 ? loading : what} … ${Math.round(100 * share)} %`),
    };
  }

  /** @type {Picture} */
  async function picture(id, side, region) {
    return (await shrunk(await pictureOf(id), side, { region, quality: 0.6 })).address;
  }

  /** @param {string} id */
  async function fileOf(id) {
    return files.get(id) ?? pictureOf(id);
  }

  /** The picture of a work, as data: a page from file:// may not read what it shows. */
  async function pictureOf(/** @type {string} */ id) {
    const row = site.rows.get(id);
    if (row === undefined) throw unknown("work", id, site.ids);
    if (!canLookAt(id, site)) {
      throw new Refusal("this page has no picture of this work that it could look at; the app has (make "
        + "app)");
    }
    const { jpeg } = await load(`picture--${site.works[row].picture}`);
    return new Blob([Uint8Array.from(atob(jpeg), (one) => one.charCodeAt(0))]);
  }
}

/** What is said where a network cannot look. @param {string} network @param {Site} site */
function refusalOf(network, site) {
  const title = site.networks.find(isNamed(network))?.title;
  const able = site.looks.map((one) => site.networks.find(isNamed(one.network))?.title);
  const other = able.length ? `, and ${able.join(", ")} ${able.length > 1 ? "do" : "does"} here` : "";
  return `${title} looks at pictures of your own, at parts of works, and at what makes two similar, `
    + `in the app alone (make app)${other}`;
}

/** A picture of the visitor's own as a work, shown smaller. @param {File} file @param {string} id */
async function previewOf(file, id) {
  const { address: shown, width, height } = await shrunk(file, PREVIEW);
  const caption = `Your image ${file.name}`.trim();
  /** @type {Work} */
  const work = { id, own: true, width, height, caption, alt: caption, thumb: shown, image: shown };
  for (const name of [...EXPORTED, MACHINE]) work[name] = "";
  return { ...work, id, title: file.name || "Your image" };
}

/**
 * A picture, or a part of it, made smaller: as an address that holds all of it, and its size.
 * @param {Blob} file @param {number} side the longest that there may be
 * @param {{region?: number[] | null, quality?: number}} [how]
 */
async function shrunk(file, side, { region = null, quality } = {}) {
  const picture = await decodePicture(file);
  const [left, top, right, bottom] = boxOf(picture.width, picture.height, 0, {
    region: /** @type {Box | null} */ (region),
  });
  const scale = Math.min(1, side / Math.max(right - left, bottom - top));
  const width = Math.max(1, Math.round(scale * (right - left)));
  const height = Math.max(1, Math.round(scale * (bottom - top)));
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left, top, right - left, bottom - top, 0, 0, width, height);
  picture.close();
  const address = await addressOfBlob(await canvas.convertToBlob({ type: "image/jpeg", quality }));
  return { address, width, height };
}

/**
 * A file as an address that holds all of it: the policy of the page shows no other ones.
 * @param {Blob} blob @returns {Promise<string>}
 */
function addressOfBlob(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
