// @ts-check
// A session in words, as a table and as a page: the same as artsearch/gallery/session_table.py and
// session_page.py make. Of the page Python wrote all but what is of the session (site.py): it is
// filled with elements that are made here, so that nothing of the data is ever markup.

const MOST_TEXT = 1000; // characters of a text in a table
const STEP_COLUMNS = ["step", "at", "asked", "link", "network", "crop", "dial"];
const FOUND_COLUMNS = ["rank", "distance", "rarity", "share", "group", "region", "found_again", "id"];
const SHOWN = 12; // works of a step, of those asked for and of those found
const PICTURES = 1500; // on a page; works behind these have words alone
const [SMALL, LARGE] = [144, 300]; // longer sides of pictures: those of steps, of works kept
const CAPTION = 160;

/**
 * @typedef {(id: string, side: number, region: number[] | null) => Promise<string>} Picture brings
 *   the picture of a work, or of a part of it, as a data: address
 * @typedef {{before?: string, group?: string, remark?: string, licence?: string, source?: string,
 *   address?: string}} Said what stands beside a work
 */

// ---- in words -----------------------------------------------------------------------------------

/** A work as sessions tell of it, where the page has it. @param {string} id @param {Site} site */
function toldOf(id, site) {
  const work = site.works[site.rows.get(id) ?? -1];
  if (!work) return null;
  const said = SAID.map((name) => shorten(work[name], 300));
  const caption = [...said, work[MACHINE] && "made by a machine"].filter(Boolean).join(", ");
  return /** @type {Work} */ ({ ...work, caption });
}

/** A question in words, as `describe` in session_table.py has it. */
function inSentence(
  /** @type {Question} */ question, /** @type {string} */ goal, /** @type {Site} */ site,
) {
  const name = (/** @type {Weighed} */ [id, weight]) => {
    const work = toldOf(id, site);
    const artist = shorten(work?.artist ?? "", 60);
    const named = work ? shorten(work.title, 80) + (artist && ` (${artist})`) : shorten(id, 80);
    return named + weighed(weight);
  };
  const weighed = (/** @type {number} */ weight) => (
    weight === 1 ? "" : ` (weight ${writeNumber(weight)})`);
  const quote = (/** @type {Weighed} */ [text, weight]) => `“${shorten(text, 200)}”${weighed(weight)}`;
  const [first, ...more] = [...question.positive.map(name), ...question.words.map(quote)];
  const unliked = [...question.negative.map(name), ...question.negative_words.map(quote)];
  let near = goal ? `Stepping stones from ${first} to ${name([goal, 1])}` : `Near ${first}`;
  if (more.length) near += `, like also ${joinNames(more)}`;
  if (unliked.length) near += `, not like ${joinNames(unliked)}`;
  const [left, top, right, bottom] = (question.region ?? []).map((end) => roundEven(100 * end));
  const columns = question.exclude_same.map((column) => shorten(column, 80));
  const each = question.group_size === 1 ? "" : `${count(question.group_size)} `;
  return [
    near,
    question.region && `the part from ${left} to ${right} % of the width and from ${top} to ${bottom}`
      + " % of the height",
    question.where && `only ${shorten(question.where, 300)}`,
    columns.length && `not of the same ${joinNames(columns, " or ")}`,
    !question.near_duplicates && "without near-duplicates",
    !question.machine_made && "without works made by a machine",
    question.exclude.length && `without ${joinNames(question.exclude.map((id) => name([id, 1])))}`,
    question.group_by && `the ${each}nearest in each ${shorten(question.group_by, 80)}`,
  ].filter(Boolean).join("; ");
}

/** Names as a list in a sentence; of more than six, how many more there are. */
function joinNames(/** @type {string[]} */ names, last = " and ") {
  const some = names.length > 6 ? [...names.slice(0, 5), `${count(names.length - 5)} more`] : names;
  return [some.slice(0, -1).join(", "), some.at(-1)].filter(Boolean).join(last);
}

// ---- as a table ---------------------------------------------------------------------------------

/**
 * A session as CSV, a row a work seen; works kept that no step found come last. No text in it is a
 * formula, and texts are cut after 1,000 characters; links and ids are whole.
 * @param {Session} session @param {Site} site
 */
function tableOf({ kept, steps }, site) {
  const text = (/** @type {string} */ one) => disarm(cutText(one, MOST_TEXT));
  const about = (/** @type {string} */ id) => {
    const work = toldOf(id, site);
    return [
      disarm(id), ...["caption", ...EXPORTED].map((name) => text(work?.[name] ?? "")),
      id in kept ? "yes" : "", text(kept[id] ?? ""),
    ];
  };
  const rows = steps.flatMap((step, number) => {
    const said = inSentence(readLink(step.question).question, step.goal, site);
    const dial = step.dial === null ? "" : writeNumber(step.dial);
    const asked = [said, linkOf(step), step.network, step.crop, dial].map(disarm);
    return step.ids.map((id, rank) => {
      const rarity = rarityAt(step, rank);
      const near = rarity ? [rarityWord(rarity), writeFloat(rarity.share)] : ["", ""];
      return [
        number + 1, step.at, ...asked, rank + 1, writeFloat(step.distances[rank]), ...near,
        text(step.groups[rank] ?? ""), "", "", ...about(id),
      ];
    });
  });
  const found = new Set(steps.flatMap(({ ids }) => ids));
  const nothing = Array(STEP_COLUMNS.length + FOUND_COLUMNS.length - 1).fill("");
  const rest = Object.keys(kept).filter((id) => !found.has(id)).map((id) => [...nothing, ...about(id)]);
  const head = [...STEP_COLUMNS, ...FOUND_COLUMNS, "caption", ...EXPORTED, "kept", "note"];
  return [head, ...rows, ...rest].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** @param {SessionStep} step @param {number} rank @returns {Rarity | null} */
function rarityAt({ rarities }, rank) {
  const known = rarities?.[rank];
  return known ? { share: known[0], by_chance: known[1] } : null;
}

// ---- as a page ----------------------------------------------------------------------------------

/**
 * A session as a page, in one file to read, send and print: what was kept, then every step.
 * @param {Session} session @param {Site} site
 * @param {string} empty the page of a session of nothing @param {Picture | null} picture
 */
async function pageOf(session, site, empty, picture) {
  // Its style is put back at the end: what is parsed here is under the policy of the page at hand.
  const [style] = /** @type {RegExpMatchArray} */ (empty.match(/<style>[^]*?<\/style>/));
  const page = new DOMParser().parseFromString(empty.replace(style, ""), "text/html");
  const works = createWorks(session, site, picture);
  const sections = [];
  const kept = Object.entries(session.kept);
  if (kept.length) {
    const sheet = make("ol", { class: "sheet" });
    for (const [id, note] of kept) sheet.append(await works.kept(id, note));
    sections.push(make("section", {}, make("h2", {}, `Kept (${count(kept.length)})`), sheet));
  }
  for (const [i, step] of session.steps.entries()) {
    sections.push(await sectionOf(step, i + 1, works, site));
  }
  const name = shorten(session.collection.name, CAPTION);
  const title = shorten(session.title, CAPTION) || `A session through ${name}`;
  const put = (/** @type {string} */ where, /** @type {string} */ text) => {
    /** @type {Element} */ (page.querySelector(where)).textContent = text;
  };
  put("title", title);
  put("h1 bdi", title);
  put("h1 + p bdi", aboutSession(session, site, Boolean(picture), works.left()));
  page.querySelector("footer")?.before(...sections);
  const whole = page.documentElement.outerHTML.replace("</head>", () => `${style}\n</head>`);
  return `<!doctype html>\n${whole}\n`;
}

/** When this was asked, of which collection; and what is not as it was. */
function aboutSession(
  /** @type {Session} */ session, /** @type {Site} */ site, /** @type {boolean} */ pictured,
  /** @type {number} */ left,
) {
  const { steps, kept, collection } = session;
  const when = steps.length ? `, ${spanOf([steps[0], steps[steps.length - 1]])}` : "";
  const keeps = Object.keys(kept).length > 0;
  const isWork = (/** @type {string} */ id) => site.rows.has(id);
  return [
    `${countOf(steps.length, "step")} through ${shorten(collection.name, CAPTION)} `
      + `(${count(collection.works)} works)${when}.`,
    steps.length && keeps && "Framed are the works that were kept.",
    collection.fingerprint !== site.origin.fingerprint
      && "The collection at hand has other works than the one that was asked.",
    missingFrom({ ...session, collection: site.origin }, isWork),
    !pictured && "Without pictures: the page that saved this has none at hand that it may read; the app "
      + "(make app) has.",
    !left && `The first ${count(PICTURES)} pictures are shown; what comes later has words alone.`,
    !steps.length && !keeps && "Nothing was asked, and nothing kept.",
  ].filter(Boolean).join(" ");
}

/** The span of time of two steps, in which a day is named once. @param {SessionStep[]} steps */
function spanOf(steps) {
  const [first, last] = steps.map(({ at }) => at.slice(0, 16).replace("T", " "));
  const later = last.slice(0, 10) === first.slice(0, 10) ? last.slice(11) : last;
  return last === first ? `${first} UTC` : `${first} to ${later} UTC`;
}

/** A step: the question in words and pictures, its link, the notes, the answer. */
async function sectionOf(
  /** @type {SessionStep} */ step, /** @type {number} */ number,
  /** @type {ReturnType<typeof createWorks>} */ works, /** @type {Site} */ site,
) {
  const { question } = readLink(step.question);
  const title = site.networks.find(isNamed(step.network))?.title ?? step.network;
  const crop = step.crop.replaceAll("_", " ");
  const seen = [spanOf([step, step]), title, crop, dialText(step.dial)].filter(Boolean).join(" · ");
  const link = linkOf(step);
  const notes = step.notes.slice(0, SHOWN).map((note) => shorten(note, 500))
    .map((note) => `${note.slice(0, 1).toUpperCase()}${note.slice(1)}`.replace(/\.*$/, "."));
  const asked = make("ol", { class: "query" }, ...await works.asked(question, step.goal));
  const found = make("ol", {});
  for (const [rank, id] of step.ids.slice(0, SHOWN).entries()) {
    found.append(await works.found(step, rank, id));
  }
  const more = step.ids.length - SHOWN;
  return make("section", { id: `step-${number}` },
    make("h2", {}, make("a", { href: `#step-${number}` }, String(number)), " ",
      make("bdi", {}, inSentence(question, step.goal, site))),
    make("p", { class: "seen" }, seen, make("br", {}), link ? make("code", {}, link)
      : "It holds an image of the visitor’s own, so there is no link to it."),
    asked,
    ...(notes.length ? [make("ul", {}, ...notes.map((note) => make("li", {}, note)))] : []),
    step.ids.length ? found : make("p", {}, "No work answers this."),
    ...(more > 0 ? [make("p", {}, `and ${count(more)} more`)] : []));
}

/**
 * Works as the page shows them: picture, caption, and what is to be said beside.
 * @param {Session} session @param {Site} site @param {Picture | null} picture
 */
function createWorks(session, site, picture) {
  let left = PICTURES;
  return { kept, asked, found, left: () => left };

  /** @param {string} id @param {number} side @param {Said} said @param {number[] | null} region */
  async function show(id, side, said, region = null) {
    const work = toldOf(id, site);
    const address = work && picture && left ? await picture(id, side, region).catch(() => "") : "";
    if (address) left -= 1;
    const missing = work ? "the picture cannot be read" : "no picture here";
    const image = address ? [make("img", { src: address, alt: "" })]
      : left && (picture || !work) ? [make("span", { class: "none" }, missing)] : [];
    const framed = id in session.kept && side === SMALL && !region;
    return make("li", { ...(framed ? { class: "kept" } : {}), "data-id": id }, ...image, ...(
      region ? [make("b", {}, "the part")] : besides(shorten(work?.caption ?? id, CAPTION), said)));
  }

  /** @param {string} caption @param {Said} said */
  function besides(caption, { before, group, remark, licence, source, address }) {
    const small = (/** @type {string | undefined} */ text) => (
      text ? [make("small", {}, make("bdi", {}, text))] : []);
    const link = () => make("a", { href: address, rel: "noopener noreferrer" }, source ?? "");
    return [
      ...small(group), ...(before ? [make("b", {}, before)] : []), " ", make("bdi", {}, caption),
      ...(remark ? [make("em", {}, make("bdi", {}, remark))] : []), ...small(licence),
      ...(address ? [make("small", {}, link())] : small(source)),
    ];
  }

  /** A work that was kept, with its licence and source. @param {string} id @param {string} note */
  function kept(id, note) {
    const { licence = "", source = "" } = toldOf(id, site) ?? {};
    return show(id, LARGE, {
      remark: shorten(note, 500), licence: shorten(licence || "licence not stated", CAPTION),
      source: shorten(source, CAPTION),
      address: /^https?:\/\/\S{1,2000}$/.test(source) ? source : "",
    });
  }

  /** The works that a step asks for, each with its part in the question. */
  async function asked(/** @type {Question} */ question, /** @type {string} */ goal) {
    const sides = [
      ...question.positive.map(([id]) => [goal ? "from" : "near", id]),
      ...question.negative.map(([id]) => ["not like", id]), ...(goal ? [["to", goal]] : []),
    ];
    const items = [];
    for (const [before, id] of sides.slice(0, SHOWN)) items.push(await show(id, SMALL, { before }));
    if (question.region) {
      const part = await show(question.positive[0][0], SMALL, {}, question.region);
      // Without a picture the work itself stands beside it, and says so.
      if (part.querySelector("img")) items.push(part);
    }
    return items;
  }

  /** A work of an answer. @param {SessionStep} step @param {number} rank @param {string} id */
  function found(step, rank, id) {
    const rarity = rarityAt(step, rank);
    const brief = rarity && `${rarityWord(rarity)}, ${percentText(rarity)}`.replaceAll(" %", "\u00a0%");
    return show(id, SMALL, {
      before: [distanceText(step.distances[rank]), brief].filter(Boolean).join(" "),
      group: shorten(step.groups[rank] ?? "", CAPTION),
      licence: shorten(toldOf(id, site)?.licence ?? "", CAPTION),
    });
  }
}
