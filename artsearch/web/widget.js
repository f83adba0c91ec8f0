// The gallery as an anywidget: gallery.js stands above this file, the kernel on the other side.
//
// The kernel keeps `view` (plain data, pictures by name) and answers {do: …}; pictures travel as
// bytes, once each, when they come into sight.

const SIDE = 1024; // longest side, in pixels, of an image on its way to the kernel
const RAW = 8 * 1024 * 1024; // bytes of a file that only the kernel may be able to open

/** The pictures of one model: addresses by name, asked for when an image is about to be seen. */
function createPictures(model) {
  const addresses = new Map();
  const waiting = new Map(); // name → images that want it
  let wanted = [];

  const inSight = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      inSight.unobserve(entry.target);
      want(entry.target.dataset.name, entry.target);
    }),
    { rootMargin: "200px" },
  );

  function show(img, name) {
    if (img.dataset.name === name) return;
    img.dataset.name = name;
    inSight.unobserve(img);
    if (addresses.has(name)) img.src = addresses.get(name);
    else {
      img.removeAttribute("src");
      inSight.observe(img);
    }
  }

  function want(name, img) {
    if (addresses.has(name)) img.src = addresses.get(name);
    else if (waiting.has(name)) waiting.get(name).add(img);
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

  function take(names, buffers) {
    names.forEach((name, i) => {
      if (buffers[i].byteLength) {
        addresses.set(name, URL.createObjectURL(new Blob([buffers[i]], { type: "image/webp" })));
      }
      for (const img of waiting.get(name) || []) {
        if (img.dataset.name === name && addresses.has(name)) img.src = addresses.get(name);
      }
      waiting.delete(name);
    });
  }

  return { show, take };
}

/** Shrink an image file to what a network can use; null when this browser cannot read it. */
async function shrink(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind transparency, as everywhere in this project
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return blob && blob.arrayBuffer();
}

function save(name, type, buffer) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([buffer], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const PICTURES = new WeakMap(); // one store a model, however many times it is displayed

function initialize({ model }) {
  const pictures = createPictures(model);
  PICTURES.set(model, pictures);
  model.on("msg:custom", (message, buffers) => {
    const bytes = (buffers || []).map((buffer) => buffer.buffer ?? buffer);
    if (message.pictures) pictures.take(message.pictures, buffers);
    if (message.save) save(message.save, message.type, bytes[0]);
  });
  pictures.take(Object.keys(model.get("pictures")), Object.values(model.get("pictures")));
}

function render({ model, el }) {
  const gallery = createGallery(el, act, PICTURES.get(model).show);
  const update = () => gallery.update(model.get("view"));
  model.on("change:view", update);
  update();
  return () => model.off("change:view", update);

  async function act(what) {
    if (what.do !== "upload") return model.send(what);
    const { file } = what;
    const small = await shrink(file);
    if (!small && file.size > RAW) return fail(`${file.name} is not an image this browser can read`);
    model.send({ do: "upload", name: file.name }, undefined, [small || (await file.arrayBuffer())]);
  }

  function fail(error) {
    gallery.update({ ...model.get("view"), error });
  }
}

export default { initialize, render };
