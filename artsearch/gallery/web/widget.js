// @ts-check
// The gallery as an anywidget: the scripts of the gallery stand above this file, the kernel on the other
// side answers (remote.js). Pictures travel as bytes, once each, when they come into sight.

const SIDE = 1024; // longest side, in pixels, of an image on its way to the kernel

/** Pictures by name, asked for when an image is about to be seen. @param {any} model */
function createPictures(model) {
  /** @type {Map<string, string>} */
  const addresses = new Map();
  /** @type {Map<string, Set<HTMLImageElement>>} */
  const waiting = new Map(); // name → images that want it
  /** @type {string[]} */
  let wanted = [];

  const inSight = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      const img = /** @type {HTMLImageElement} */ (entry.target);
      inSight.unobserve(img);
      want(img.dataset.name ?? "", img);
    }),
    { rootMargin: "200px" },
  );

  /** @type {Show} */
  function show(img, name) {
    if (img.dataset.name === name) return;
    img.dataset.name = name;
    inSight.unobserve(img);
    const address = addresses.get(name);
    if (address) img.src = address;
    else {
      // Until a large picture is here, the thumbnail that was clicked stands in for it.
      const id = name.slice(name.indexOf("/"));
      const rough = addresses.get(`thumb${id}`) || addresses.get(`small${id}`);
      if (rough) img.src = rough;
      else img.removeAttribute("src");
      inSight.observe(img);
    }
  }

  /** @param {string} name @param {HTMLImageElement} img */
  function want(name, img) {
    const [address, others] = [addresses.get(name), waiting.get(name)];
    if (address) img.src = address;
    else if (others) others.add(img);
    else {
      waiting.set(name, new Set([img]));
      // All that come into sight together are asked for in one message.
      if (wanted.push(name) === 1) queueMicrotask(ask);
    }
  }

  function ask() {
    model.send({ do: "pictures", names: wanted });
    wanted = [];
  }

  /** @param {string[]} names @param {DataView<ArrayBuffer>[]} buffers */
  function take(names, buffers) {
    names.forEach((name, i) => {
      if (buffers[i].byteLength) {
        addresses.set(name, URL.createObjectURL(new Blob([buffers[i]], { type: "image/webp" })));
      }
      const address = addresses.get(name);
      for (const img of waiting.get(name) || []) {
        if (img.dataset.name === name && address) img.src = address;
      }
      waiting.delete(name);
    });
  }

  function forget() {
    inSight.disconnect();
    addresses.forEach((address) => URL.revokeObjectURL(address));
  }

  return { show, take, forget };
}

/**
 * Shrink an image file to what a network can use; null when this browser cannot read it.
 * @param {File} file
 */
async function shrink(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind transparency, as everywhere in this project
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  /** @type {Blob | null} */
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return blob && blob.arrayBuffer();
}

/** What of an image file travels: bytes that the kernel can open. @param {File} file */
async function toBytes(file) {
  const small = await shrink(file);
  if (!small && file.size > RAW) {
    throw new Refusal(`${file.name} is not an image this browser can read.`);
  }
  return small || file.arrayBuffer();
}

/** All views of a widget show one walk. */
export default () => {
  /** @type {Set<ReturnType<typeof createGallery>>} */
  const views = new Set();
  const draw = () => views.forEach((gallery) => gallery.update(visit.walk.view()));
  /** @type {ReturnType<typeof createVisit>} */
  let visit;

  /** @param {{model: any}} widget */
  function initialize({ model }) {
    visit = createVisit(model, toBytes, saveFile, draw);
    visit.begin();
    return visit.close;
  }

  /** @param {{model: any, el: HTMLElement}} widget */
  function render({ model, el }) {
    const pictures = createPictures(model);
    const gallery = createGallery(el, visit.act, pictures.show);
    views.add(gallery);
    model.on("msg:custom", heed);
    if (visit.walk.state.history.length) gallery.update(visit.walk.view());
    return () => {
      views.delete(gallery);
      model.off("msg:custom", heed);
      pictures.forget();
    };

    /** @param {any} message @param {DataView<ArrayBuffer>[]} buffers */
    function heed(message, buffers) {
      if (message.pictures) pictures.take(message.pictures, buffers);
      if (message.progress === "which") gallery.which?.say(message.text);
      if (message.progress === "motif") gallery.ask?.say(message.text);
    }
  }

  return { initialize, render };
};
