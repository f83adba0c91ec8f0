// @ts-check
// Which work an image of the visitor's own shows, below that image; gallery.js and ask.js stand above.
//
// What is said stands in `view.which` (see tell_which in artsearch/gallery/view.py), null where a
// work of the collection is selected. How far it is comes meanwhile, a sentence at a time, to `say`.
// What the visitor does goes to `go` as {do: "identify"} or {do: "select", id}.

/* exported createWhich */
/**
 * @param {Parts} parts
 * @param {{go: Go, fillWorks: (list: Element, works: Work[]) => void, showLarge: ShowLarge}} tools
 */
function createWhich(parts, { go, fillWorks, showLarge }) {
  const said = make("p", { class: "as-which-said", role: "status", dir: "auto" });
  const more = make("p", { class: "as-quiet", dir: "auto" });
  const offer = button("", { "data-part": "identify", click: () => go({ do: "identify" }) });
  const image = make("img", { alt: "The work that this is" });
  const inWork = createOutline();
  const inPicture = createOutline();
  const mat = make("div", { class: "as-mat" }, image, inWork.layer);
  const select = button("Select this work", { "data-part": "which-select" });
  const figure = make("figure", {}, mat, select);
  const others = make("ol", { class: "as-works" });
  const also = make("div", {}, make("p", { class: "as-quiet" }, "These agree as well:"), others);
  const section = make("section", {
    class: "as-which", "data-part": "which", "aria-label": "Which work this is", hidden: "",
  }, said, more, offer, figure, also);
  parts.mat.append(inPicture.layer);
  parts.mat.parentElement.after(section);
  return { update, say };

  /** @param {View} view */
  function update({ query, which }) {
    const work = which?.work;
    section.hidden = !which;
    parts.query.classList.toggle("as-named", Boolean(work));
    inPicture.draw(work ? query : null, which?.in_picture);
    inWork.draw(work, which?.in_work);
    if (!which) return;
    tell(said, which.text);
    tell(more, which.more);
    tell(offer, which.offer);
    section.setAttribute("aria-busy", which.busy);
    figure.hidden = !work;
    also.hidden = !which.others?.length;
    if (!work) return;
    mat.style.setProperty("--ratio", String(ratio(work)));
    showLarge(image, work);
    select.onclick = () => go({ do: "select", id: work.id });
    fillWorks(others, which.others);
  }

  /** Say how far it is. @param {string} sentence */
  function say(sentence) {
    if (section.getAttribute("aria-busy") === "true") tell(more, sentence);
  }
}

/** A layer over the picture of a work in which an outline is drawn, cut off where the picture ends. */
function createOutline() {
  /** @param {string} name @param {Record<string, string>} attributes */
  const svg = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const lines = ["as-under", "as-over"].map((name) => svg("polygon", { class: name }));
  const drawing = svg("svg", {
    viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true",
  });
  const layer = make("div", { class: "as-layer as-outline", hidden: "" });
  drawing.append(...lines);
  return { layer, draw };

  /** @param {Work | null} work @param {number[][]} corners */
  function draw(work, corners) {
    layer.hidden = !work;
    layer.replaceChildren(...(work ? [drawing] : []));
    if (!work) return;
    layOver(layer, work);
    const points = corners.map((corner) => corner.map((share) => 100 * share).join()).join(" ");
    lines.forEach((line) => line.setAttribute("points", points));
  }
}
