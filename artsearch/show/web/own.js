// @ts-check
// Pictures of the visitor's own, and parts of pictures: kept in the page's memory, looked at by its
// own network (forward.js), and sent nowhere.

const UPLOADED = "your image: "; // how the id begins, as in artsearch/gallery/state.py
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
  /** @type {Map<string, Promise<Looked>>} */
  const looked = new Map();
  /** @type {Promise<unknown>} */
  let last = Promise.resolve(); // one picture after the other: each keeps the processor busy
  return { add, look };

  /** Take a picture of the visitor's own; returns its id. @param {File} file */
  async function add(file) {
    const work = await previewOf(file, `${UPLOADED}${files.size + 1}`);
    files.set(work.id, file);
    site.own.set(work.id, work);
    return work.id;
  }

  /** @type {Look} */
  function look(asked, id, region, rows) {
    const { network, crop } = asked;
    const key = JSON.stringify([network, crop, id, region]);
    const before = looked.get(key);
    if (before) return before;
    const one = last.catch(() => {}).then(() => lookNow(network, crop, id, region, rows));
    last = one;
    looked.set(key, one);
    one.catch(() => looked.delete(key));
    return one;
  }

  /**
   * @param {string} network @param {string} crop @param {string} id @param {number[] | null} region
   * @param {() => Promise<ByteRows>} rows
   */
  async function lookNow(network, crop, id, region, rows) {
    const looker = site.looks.find((one) => one.network === network);
    if (!looker) throw new Refusal(refusalOf(network, site));
    const file = files.get(id) ?? await pictureOf(id);
    const title = site.networks.find(isNamed(network))?.title;
    const what = `${region ? "Looking at the part" : "Looking at the picture"} by ${title}`;
    const loading = `${what} (at the first time ${looker.megabytes} MB are loaded)`;
    const box = /** @type {Box | null} */ (region);
    return describe(file, {
      looker, crop, region: box, load, rows,
      progress: (share) => say(
        `${share < 0.35 ? loading : what} … ${Math.round(100 * share)} %`),
    });
  }

  /** The picture of a work, as data: a page from file:// may not read what it shows. */
  async function pictureOf(/** @type {string} */ id) {
    const row = site.rows.get(id);
    if (row === undefined) throw unknown("work", id, site.ids);
    if (!site.parts) throw new Refusal("this page has no pictures of which it could look at a part");
    const { jpeg } = await load(`picture--${site.works[row].picture}`);
    return new Blob([Uint8Array.from(atob(jpeg), (one) => one.charCodeAt(0))]);
  }
}

/** What is said where a network cannot look. @param {string} network @param {Site} site */
function refusalOf(network, site) {
  const title = site.networks.find(isNamed(network))?.title;
  const able = site.looks.map((one) => site.networks.find(isNamed(one.network))?.title);
  const other = able.length ? `, and ${able.join(", ")} ${able.length > 1 ? "do" : "does"} here` : "";
  return `${title} looks at pictures of your own, and at parts of works, in the app alone (make app)`
    + other;
}

/** A picture of the visitor's own as a work, shown smaller. @param {File} file @param {string} id */
async function previewOf(file, id) {
  const picture = await decodePicture(file);
  const scale = Math.min(1, PREVIEW / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(scale * picture.width));
  const height = Math.max(1, Math.round(scale * picture.height));
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  const shown = await addressOfBlob(await canvas.convertToBlob({ type: "image/jpeg" }));
  const caption = `Your image ${file.name}`.trim();
  /** @type {Work} */
  const work = { id, width, height, caption, alt: caption, thumb: shown, image: shown };
  for (const name of [...EXPORTED, MACHINE]) work[name] = "";
  return { ...work, id, title: file.name || "Your image" };
}

/** A file as an address that holds all of it: the policy of the page shows no other ones. */
function addressOfBlob(/** @type {Blob} */ blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
