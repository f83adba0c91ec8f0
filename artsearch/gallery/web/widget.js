// The gallery as an anywidget: gallery.js, ask.js and which.js stand above this file, the kernel on the
// other side.
//
// The kernel keeps `view` (plain data, pictures by name) and answers {do: …}; pictures travel as
// bytes, once each, when they come into sight.

const SIDE = 1024; // longest side, in pixels, of an image on its way to the kernel
const RAW = 8 * 1024 * 1024; // bytes of a file that only the kernel may be able to open

/** Pictures by name, asked for when an image is about to be seen. */
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
      // Until a large picture is here, the thumbnail that was clicked stands in for it.
      const id = name.slice(name.indexOf("/"));
      const rough = addresses.get(`thumb${id}`) || addresses.get(`small${id}`);
      if (rough) img.src = rough;
      else img.removeAttribute("src");
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

  function forget() {
    inSight.disconnect();
    addresses.forEach((address) => URL.revokeObjectURL(address));
  }

  return { show, take, forget };
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

function render({ model, el }) {
  const pictures = createPictures(model);
  const gallery = createGallery(el, act, pictures.show);
  const update = () => gallery.update(model.get("view"));
  model.on("change:view", update);
  model.on("msg:custom", heed);
  update();
  return () => {
    model.off("change:view", update);
    model.off("msg:custom", heed);
    pictures.forget();
  };

  async function act(what) {
    if (what.do === "open") return open(what.file);
    if (what.do !== "upload") return model.send(what);
    const { file } = what;
    const small = await shrink(file);
    if (!small && file.size > RAW) return fail(`${file.name} is not an image this browser can read.`);
    model.send({ do: "upload", name: file.name }, undefined, [small || (await file.arrayBuffer())]);
  }

  async function open(file) {
    if (file.size > RAW) return fail(`${file.name} is too large for a session.`);
    model.send({ do: "open" }, undefined, [await file.arrayBuffer()]);
  }

  function fail(error) {
    gallery.update({ ...model.get("view"), error });
  }

  function heed(message, buffers) {
    if (message.pictures) pictures.take(message.pictures, buffers);
    if (message.which) gallery.which.say(message.which);
    if (message.motif) gallery.ask.say(message.motif);
    if (message.save) saveFile(message.save, new Blob([buffers[0]], { type: message.type }));
  }
}

export default { render };
