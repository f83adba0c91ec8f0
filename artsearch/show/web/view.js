// @ts-check
// What there is to see of a walk (state.js), as plain data for gallery.js and ask.js.

const FEW = 12; // works at once up to which their larger thumbnails are shown
const SAME_ARTIST = ["artist", "series"]; // what a visitor may want to leave out

/** @param {Walk} walk */
function viewOf({ answerer, state, answers, drawn, before, works, explained, motif, error }) {
  const { about } = answerer;
  const choices = (/** @type {About["networks"]} */ list, /** @type {string} */ name) => (
    list.map((one) => ({ ...one, selected: one.name === name })));
  const small = (/** @type {string} */ id) => smaller(workIn(works, id));
  const shown = [...answers.values()].reduce((sum_, answer) => sum_ + answer.works.length, 0);
  const size = shown <= FEW ? (/** @type {Work} */ work) => work : smaller;
  const query = queryOf(state);
  const own = worksOf(state.question).some((id) => id.startsWith(UPLOADED));
  return {
    sentence: about.sentence, reason: about.reason ?? "", licences: about.licences ?? "",
    error, unit: [...answers.values()][0]?.unit ?? "",
    dial: {
      available: about.dial, alpha: state.dial, yours: answers.get(state.network)?.yours ?? null,
    },
    networks: choices(about.networks, state.network), crops: choices(about.crops, state.crop),
    k: state.question.k, k_max: about.k_max, compare: state.compare, time: state.time,
    can_upload: about.looks.length > 0, alone: about.alone ?? false,
    machine_made: {
      available: about.has_both, shown: state.question.machine_made, count: about.machines,
    },
    query: query === undefined ? null : workIn(works, query) ?? null,
    which: query?.startsWith(UPLOADED) ? answerer.which?.(query) ?? null : null,
    rows: [...answers].map(([network, answer]) => ({
      network, title: titleOf(network, about), cut: answer.cut, before: beforeOf(before.get(network), works),
      works: answer.works.map(/** @returns {Work} */ ({
        id, distance, group, duplicates, rarity, motif: place,
      }) => ({
        ...size(workIn(works, id)), distance, distance_text: distanceText(distance), group, duplicates,
        ...(rarity ? { rarity: rarityWord(rarity), rarity_text: rarityText(rarity) } : {}),
        ...(place ? { region: place.region, rarity: place.word, rarity_text: place.text } : {}),
      })),
    })),
    ask: {
      ...askedOf(state, works), ...choicesOf(about), ...answerer.session(),
      in_words: answers.get(state.network)?.words ? IN_WORDS : "",
      motif: answerer.motif ? { ...motif, on: state.question.motif } : null,
      notes: [...notesOf(answers, about), ...(own && about.stays ? [about.stays] : [])],
      why: explained && { ...explained, work: workIn(works, state.why) },
      link: answers.size && !own ? linkTo(state) : "",
      lacks: answerer.lacks(state),
    },
    drawer: {
      works: drawn.works.map(small), search: state.search, page: drawn.page, pages: drawn.pages,
      matches: drawn.matches,
    },
    history: {
      works: state.history.map(small).filter(Boolean), position: state.position,
    },
  };
}

/** What is told of a work, or of words. @param {Map<string, Work>} works @param {string} id */
function workIn(works, id) {
  const text = wordsOf(id);
  if (!text) return /** @type {Work} */ (works.get(id));
  const said = `In words: ${text}`;
  /** @type {Work} */
  const words = {
    id, words: text, title: `“${text}”`, caption: said, alt: said, artist: "", year: "", style: "",
    thumb: "", image: "", width: 4, height: 3,
  };
  return words;
}

/**
 * What came before works by their ids: null where nothing did.
 * @param {Before | undefined} before @param {Map<string, Work>} works @returns {Record<string, Work | null>}
 */
function beforeOf(before, works) {
  return Object.fromEntries([...before ?? []].map(([id, found]) => [id, found && {
    ...smaller(workIn(works, found.id)), distance: found.distance,
    distance_text: distanceText(found.distance),
  }]));
}

/** A work with a smaller picture, where there is one. @param {Work} work @returns {Work} */
function smaller(work) {
  return work?.small ? { ...work, thumb: work.small } : work;
}

/** What is asked. @param {State} state @param {Map<string, Work>} works */
function askedOf(state, works) {
  const { question, goal } = state;
  const query = queryOf(state);
  const small = (/** @type {string} */ id) => smaller(workIn(works, id));
  const inWords = (/** @type {Weighed[]} */ pairs) => pairs.map(
    ([text, weight]) => /** @type {Weighed} */ ([IN_WORDS + text, weight]));
  const liked = [...question.positive, ...inWords(question.words)];
  const unliked = [...question.negative, ...inWords(question.negative_words)];
  const beside = (/** @type {Weighed[]} */ pairs, /** @type {string} */ side) => (
    pairs.map(/** @returns {Work} */ ([id, weight]) => ({ ...small(id), weight, side })));
  const isQuery = (/** @type {Weighed} */ [id]) => id === query;
  const { where, group_by, group_size, exclude_same, near_duplicates, region } = question;
  return {
    where, group_by, group_size, exclude_same, near_duplicates, region,
    weight: liked.find(isQuery)?.[1] ?? 1,
    liked: [...beside(liked.filter((one) => !isQuery(one)), "like"), ...beside(unliked, "unlike")],
    excluded: question.exclude.map(small), goal: goal ? small(goal) : null,
    active: query !== undefined && (Boolean(goal) || !isSame(question, plainOf(state))),
  };
}

/** What can be asked. @param {About} about */
function choicesOf({ columns, values }) {
  return {
    columns, values, group_columns: Object.keys(values),
    same_columns: SAME_ARTIST.filter((column) => columns.includes(column)),
  };
}

/** The sentences on the answers, each once; with several networks, named. */
function notesOf(/** @type {Answers} */ answers, /** @type {About} */ about) {
  const notes = [...answers].map(([name, answer]) => ({ name, notes: answer.notes }));
  const same = new Set(notes.map((one) => JSON.stringify(one.notes))).size <= 1;
  if (same) return notes[0]?.notes ?? [];
  return notes.flatMap((one) => one.notes.map((note) => `${titleOf(one.name, about)}: ${note}`));
}

/** @param {string} network @param {About} about */
function titleOf(network, about) {
  return about.networks.find(isNamed(network))?.title ?? network;
}

/** Write a distance as distance_text in wording.py does. @param {number} distance */
function distanceText(distance) {
  const digits = Math.abs(distance) < 10 ? 3 : Number(!Number.isInteger(distance));
  const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return distance.toLocaleString("en-US", exactly);
}
