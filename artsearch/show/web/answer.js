// @ts-check
// Answers to questions, computed in the page as artsearch/search/answer.py and path.py compute them in
// Python. `data` is what data/works.js holds and the works' ids; `load(name)` gives what another file
// of data/ holds, each of which is asked for when it is wanted: the rows of a network by its final
// layer or its dial, those before averaging (for near-duplicates), and the columns (for conditions and
// groups).
//
// `look(asked, id, region, rows)` brings the rows of what no work of the collection is: an image of the
// visitor's own, or a part of one or of a work (region is null for the whole); `rows` gives the works'
// rows before averaging. It rejects with a Refusal where the page cannot look.
//
// Works, order and notes are Python's, as far as numbers of 8 bits tell works apart; distances differ
// in the third digit after the point. It does not take words or motifs, and orders by distance alone.

/**
 * @typedef {Found & {row: number}} FoundHere with its place among the works
 *
 * @typedef {Object} DescriptorHead rows, and how they are compared
 * @property {string} metric
 * @property {string} unit
 * @property {number[] | null} near the distance of near-duplicates, at weights of the dial
 * @property {RowsHead | null} raw the rows before averaging, where these are others
 *
 * @typedef {{network: string, crop: string, final: RowsHead & DescriptorHead,
 *   dial: (RowsHead & DescriptorHead) | null, yours?: number | null}} Descriptors
 *
 * @typedef {Object} AnswererData
 * @property {string[]} ids
 * @property {Descriptors[]} descriptors
 * @property {number[]} near_at the weights of the dial that `near` is for
 * @property {number[]} usual_at those for which the page has what is usual
 * @property {Record<string, string[]>} texts columns that are at hand already
 * @property {string[]} columns the names of all
 * @property {string[]} machine_made what made each work, "" where nobody's machine did; or empty
 *
 * @typedef {(asked: Asked, id: string, region: number[] | null, rows: () => Promise<ByteRows>)
 *   => Promise<Looked>} Look
 * @typedef {(asked: Asked, id: string, region: number[] | null, rows: () => Promise<ByteRows>)
 *   => Promise<Looked[]>} Change
 */

const POOL = 1500; // works between the ends of a path that are looked at, as in path.py
const POWER = 16; // of a step's distance, by which it counts
const WAYPOINTS = 5;
const ROUNDED = 0.05; // more than rounding to 8 bits makes distances differ by
const ADDABLE = ["angular", "euclidean", "manhattan", "dot"]; // metrics in which rows can be added

/**
 * @param {AnswererData} data @param {Load} load @param {Look} [look]
 */
function createSearch(data, load, look) {
  const { ids } = data;
  const place = new Map(ids.map((id, row) => [id, row]));
  /** @type {Map<string, Promise<any>>} */
  const loaded = new Map();
  return { answer, attempt, earlier, columns, placesOf };

  /** @param {Asked} asked @returns {Promise<Answer>} */
  async function answer(asked) {
    const { question } = asked;
    if (question.words.length || question.negative_words.length) {
      throw new Refusal("this page takes no words; the app does, with a network that reads them");
    }
    if (question.motif) throw new Refusal("this page finds no motifs; the app (`make app`) does");
    if (question.normalise) {
      throw new Refusal(`this page orders works by their distance alone; ${repr(question.normalise)} `
        + "is asked of the app");
    }
    const own = asked.goal ? new Map() : await lookAtOwn(asked);
    const descriptor = { ...await descriptorOf(asked), own };
    const table = question.where || question.group_by || question.exclude_same.length
      ? await columns() : null;
    const found = await (asked.goal ? findPath : findNearest)(asked, descriptor, table);
    return { ...found, cut: whereCut(found.works, Boolean(question.group_by)), ...placesOf(asked) };
  }

  /** What goes with every answer of a network. @param {Asked} asked */
  function placesOf({ network, crop }) {
    const found = data.descriptors.find((one) => one.network === network && one.crop === crop);
    return { yours: found?.yours ?? null, words: false };
  }

  /**
   * What is asked for and no work of the collection: by its id, its rows.
   * @param {Asked} asked @returns {Promise<Map<string, Looked>>}
   */
  async function lookAtOwn(asked) {
    const { region } = asked.question;
    const [own, see] = [new Map(), look ?? refuseToLook];
    for (const [i, id] of worksOf(asked.question).entries()) {
      const part = i === 0 ? region : null;
      if (!place.has(id) || part) own.set(id, await see(asked, id, part, () => rawOf(asked)));
    }
    return own;
  }

  /**
   * Where an answer comes as the question is, and when the picture of its first work is changed.
   * @param {Asked} asked @param {string} id @param {Change} change
   */
  async function attempt(asked, id, change) {
    const { question } = asked;
    const [first] = worksOf(question);
    const own = await lookAtOwn(asked);
    const descriptor = { ...await descriptorOf(asked), own };
    const { rows, metric, weights } = descriptor;
    const table = question.where || question.exclude_same.length ? await columns() : null;
    const raw = question.near_duplicates ? null : await descriptor.raw();
    const { left } = restrict(asked, descriptor, table, raw);
    const at = rowOf(id);
    if (!left[at]) throw new Refusal(`${repr(id)} is none of the works that may answer`);
    const changed = await change(asked, first, question.region, () => rawOf(asked));
    const each = [own, ...changed.map((one) => new Map(own).set(first, one))].map((looked) => (
      distancesTo(rows, combine(asked, { ...descriptor, own: looked }), metric, weights)));
    const peers = smallest(each[0], left, PEERS).filter((row) => row !== at);
    const named = worksOf(question).map((one) => place.get(one));
    const size = Math.min(ids.length, SAMPLE);
    const drawn = Array.from({ length: size }, (_, i) => Math.floor((i * ids.length) / size))
      .filter((row) => !named.includes(row));
    const near = (/** @type {number[]} */ some) => (
      each.map((distances) => some.map((row) => similarity(distances[row], metric))));
    const ranks = each.map((distances) => (
      1 + sum(left.map((one, row) => Number(one && distances[row] < distances[at])))));
    return judgeTrials({ ranks, works: sum(left), others: near([at, ...peers]), drawn: near(drawn) });
  }

  /** The rows of a blend before averaging. @param {Asked} asked */
  function rawOf({ network, crop }) {
    const head = data.descriptors.find((one) => one.network === network && one.crop === crop)?.dial;
    if (!head) throw new Refusal(`this page has no dial of ${network}, ${crop}`);
    return rowsOf(head.raw ?? head);
  }

  /** The table of the works, for conditions. @returns {Promise<Columns>} */
  function columns() {
    return once("columns", async () => {
      const { packed } = await load("columns");
      const { texts, years } = JSON.parse(new TextDecoder().decode(await unpack(packed)));
      return new Columns(Object.fromEntries(data.columns.map((name) => (
        [name, texts[name] ?? data.texts[name]]))), years);
    });
  }

  /** What is made once; where it fails, the next one who asks tries again. */
  function once(/** @type {string} */ name, /** @type {() => Promise<any>} */ make) {
    let made = loaded.get(name);
    if (!made) {
      made = make();
      loaded.set(name, made);
      made.catch(() => loaded.delete(name));
    }
    return made;
  }

  /** The rows that a question is put to, and how they are compared. @param {Asked} asked */
  async function descriptorOf({ network, crop, dial }) {
    const found = data.descriptors.find((one) => one.network === network && one.crop === crop);
    const head = dial === null ? found?.final : found?.dial;
    if (!head) {
      throw new Refusal(`this page has no ${dial === null ? "rows" : "dial"} of ${network}, ${crop}`);
    }
    const rows = await rowsOf(head);
    const weights = dial === null ? [1] : dialWeights(dial);
    /** @type {() => Promise<ByteRows>} */
    const raw = () => rowsOf(head.raw ?? head);
    const near = () => {
      if (!head.near) {
        throw new Refusal(
          "an inner product does not tell copies; leave them out in the metric angular");
      }
      return dial === null ? head.near[0] : interpolate(data.near_at, head.near, dial);
    };
    return { rows, raw, near, weights, file: head.file, metric: head.metric, unit: head.unit };
  }

  /** @param {RowsHead} head @returns {Promise<ByteRows>} */
  function rowsOf(head) {
    return once(head.file, () => loadRows(head, load));
  }

  /**
   * What tells the rarities of an answer, see rarity.js; null where too few works are there.
   * @param {Asked} asked @param {Descriptor} descriptor
   */
  async function rarities({ dial, question }, { file, rows, metric, weights }) {
    /** @type {(Usual | null)[]} */
    const all = await once(`${file}-usual`, async () => {
      const { packed } = await load(`${file}-usual`);
      return JSON.parse(new TextDecoder().decode(await unpack(packed)));
    });
    const usual = dial === null ? all[0] : usualBetween(data.usual_at, all, dial);
    if (!usual) return null;
    const hands = await once("hands", async () => handsOf(data.texts.artist ?? [], ids));
    const liked = question.positive.map(([id]) => place.get(id) ?? -1);
    const byHand = (/** @type {number} */ row) => !data.machine_made[row];
    return (
      /** @type {Float64Array} */ distances, /** @type {number[]} */ found,
      /** @type {Uint8Array} */ left,
    ) => {
      const works = left.reduce((all_, one, row) => all_ + Number(one && byHand(row)), 0);
      return rate(usual, { rows, metric, weights, hands, liked, works, distances, found });
    };
  }

  /** The place of a work; refuses one that is not there. @param {string} id */
  function rowOf(id) {
    return place.get(id) ?? refuseWork(id);
  }

  /** @param {string} id @returns {never} */
  function refuseWork(id) {
    throw unknown("work", id, ids);
  }

  /** @type {Look} */
  async function refuseToLook(asked, id, region) {
    if (!region) return refuseWork(id);
    throw new Refusal("this page looks at no parts of works; the app does (make app)");
  }

  // ---- the nearest ------------------------------------------------------------------------------

  /**
   * @typedef {Awaited<ReturnType<typeof descriptorOf>> & {own: Map<string, Looked>}} Descriptor
   * @param {Asked} asked @param {Descriptor} descriptor @param {Columns | null} table
   * @returns {Promise<{works: FoundHere[], notes: string[], metric: string, unit: string}>}
   */
  async function findNearest(asked, descriptor, table) {
    const { question } = asked;
    const { rows, metric, weights, unit } = descriptor;
    const raw = question.near_duplicates ? null : await descriptor.raw();
    const vector = combine(asked, descriptor);
    const { left, notes, far } = restrict(asked, descriptor, table, raw);
    const distances = distancesTo(rows, vector, metric, weights, remember);
    /** @type {Map<number, number>} */
    const behind = new Map(); // works shown → how many near-duplicates stand behind each
    for (;;) {
      const said = [...notes];
      const found = nearestOf(question, distances, left, table, said);
      const shown = found.map(({ row }) => row);
      if (raw && leaveOutBehind(shown, behind, left, raw, descriptor, far)) continue;
      const count_ = [...behind.values()].reduce((a, b) => a + b, 0);
      if (count_) said.push(`Near-duplicates of the works shown, left out: ${count(count_)}.`);
      const rate = question.negative.length ? null : await rarities(asked, descriptor);
      const rated = rate?.(distances, shown, left) ?? [];
      const works = found.map((one, i) => ({
        ...one, id: ids[one.row], duplicates: behind.get(one.row) ?? 0, rarity: rated[i] ?? null,
      }));
      return { works, notes: said, metric, unit };
    }
  }

  /**
   * The row that a question is near to: what is liked, less what is not, by weight.
   * @param {Asked} asked @param {Descriptor} descriptor
   */
  function combine(asked, { rows, metric, own }) {
    const { positive, negative } = asked.question;
    const signed = [...positive, ...negative.map(([id, weight]) => [id, -weight])];
    const vectors = signed.map(([id]) => (
      ownRow(asked, own, String(id)) ?? fetchRow(rows, rowOf(String(id)))));
    if (signed.length === 1) return vectors[0];
    if (!ADDABLE.includes(metric)) {
      throw new Refusal(`several works cannot be put together in the metric ${repr(metric)}; take one `
        + `of ${ADDABLE.join(", ")}`);
    }
    const total = positive.reduce((sum, [, weight]) => sum + weight, 0);
    const sum = new Float64Array(rows.dims);
    let longest = 0;
    signed.forEach(([, weight], i) => {
      const long = lengthOf(vectors[i], [rows.dims], [1]);
      const factor = Number(weight) / total / (metric === "angular" ? long || 1 : 1);
      for (let column = 0; column < rows.dims; column++) sum[column] += factor * vectors[i][column];
      longest = Math.max(longest, Math.abs(factor) * long);
    });
    if (lengthOf(sum, [rows.dims], [1]) < 1e-3 * longest) {
      throw new Refusal(
        "the works liked and not liked cancel each other out; give them other weights");
    }
    return sum;
  }

  /**
   * The row of what the page looked at itself, before averaging or after; null for a whole work.
   * @param {Asked} asked @param {Map<string, Looked>} own @param {string} id @param {boolean} before
   */
  function ownRow({ dial }, own, id, before = false) {
    if (before && place.has(id)) return null; // copies are those of the whole work
    const found = own.get(id);
    if (!found || dial === null) return found?.final ?? null;
    return before ? found.raw : found.averaged;
  }

  /**
   * Which works may answer, 1 for each, and what is to be said of them.
   * @param {Asked} asked @param {Descriptor} descriptor @param {Columns | null} table
   * @param {ByteRows | null} raw the rows by which near-duplicates are told, where they are left out
   */
  function restrict(asked, descriptor, table, raw) {
    const { question } = asked;
    const { left, notes, drop } = permit(question, table);
    for (const id of worksOf(question)) if (place.has(id)) left[rowOf(id)] = 0;
    const liked = question.positive.map(([id]) => id);
    for (const column of table ? question.exclude_same : []) {
      const texts = /** @type {Columns} */ (table).folded(column);
      const values = new Set(liked.filter((id) => place.has(id)).map((id) => texts[rowOf(id)]));
      values.delete("");
      if (values.size) drop((row) => values.has(texts[row]), `of the same ${column}`);
      else notes.push(`No ${column} is known of what is asked for: none is left out.`);
    }
    /** @type {Float64Array} */
    let far = new Float64Array(0);
    if (raw && liked.length) {
      const [near, { metric, weights }] = [descriptor.near(), descriptor];
      // What is compared with all works here is often what is asked for: its products are kept.
      const products = raw === descriptor.rows ? remember : productsOf;
      const rowBefore = (/** @type {string} */ id) => (
        ownRow(asked, descriptor.own, id, true) ?? fetchRow(raw, rowOf(id)));
      const all = liked.map((id) => distancesTo(raw, rowBefore(id), metric, weights, products));
      [far] = all;
      drop((row) => all.some((one) => one[row] < near),
        `as near-duplicates (nearer than ${threeDigits(near)})`);
    }
    return { left, notes, far };
  }

  /**
   * Which works a question allows for, those that it names among them, and what is to be said of them.
   * @param {Question} question @param {Columns | null} table
   */
  function permit(question, table) {
    const left = new Uint8Array(ids.length).fill(1);
    /** @type {string[]} */
    const notes = [];
    question.exclude.forEach(rowOf);
    if (table && question.where) require_(question.where, table, left, notes);
    const drop = (/** @type {(row: number) => unknown} */ is, /** @type {string} */ why) => {
      const gone = dropWhere(left, is);
      notes.push(`Left out ${why}: ${countOf(gone, "work")}.`);
    };
    if (!question.machine_made && data.machine_made.some(Boolean)) {
      drop((row) => data.machine_made[row], "as made by a machine");
    }
    for (const id of question.exclude) left[rowOf(id)] = 0;
    return { left, notes, drop };
  }

  /** @param {string} where @param {Columns} table @param {Uint8Array} left @param {string[]} notes */
  function require_(where, table, left, notes) {
    const tree = parseWhere(where);
    const mask = maskOf(tree, table);
    const matching = sum(mask);
    dropWhere(left, (row) => !mask[row]);
    const share = `${matching ? count(matching) : "None"} of ${count(ids.length)} works`;
    notes.push(`${share} ${matching === 1 ? "matches" : "match"} ${where}.`);
    if (!matching && "both" in tree) {
      const alone = tree.both.map((part) => count(sum(maskOf(part, table))));
      notes.push(`Its parts match, each alone: ${alone.join(", ")}.`);
    }
    for (const [column, texts] of countUnread(tree, table)) {
      const blank = texts.get("");
      if (blank) notes.push(`Not compared: ${countOf(blank, "work")} without ${column}.`);
      texts.delete("");
      if (!texts.size) continue;
      const common = [...texts].sort(([, a], [, b]) => b - a).slice(0, 5);
      const named = common.map(([text]) => repr(shorten(text, 40))).join(", ");
      const more = texts.size > 5 ? ` and ${count(texts.size - 5)} others` : "";
      notes.push(`Not compared: ${countOf(sum([...texts.values()]), "work")}, whose ${column} is not `
        + `read as a number or as years: ${named}${more}.`);
    }
  }

  /**
   * The nearest of those left, or of each value of a column.
   * @param {Question} question @param {Float64Array} distances @param {Uint8Array} left
   * @param {Columns | null} table @param {string[]} notes
   */
  function nearestOf({ group_by, group_size, k }, distances, left, table, notes) {
    if (!group_by || !table) {
      const rows = smallest(distances, left, k);
      if (rows.length < k) {
        notes.push(`${countOf(rows.length, "work")} left to show, of ${k} asked for.`);
      }
      return rows.map((row) => ({ row, distance: distances[row], group: "" }));
    }
    const values = table.folded(group_by);
    /** @type {Map<string, number[]>} */
    const groups = new Map();
    let unknown_ = 0;
    for (let row = 0; row < left.length; row++) {
      if (!left[row]) continue;
      const members = groups.get(values[row]);
      if (!values[row]) unknown_ += 1;
      else if (members) members.push(row);
      else groups.set(values[row], [row]);
    }
    if (unknown_) notes.push(`In no group: ${countOf(unknown_, "work")} without ${group_by}.`);
    notes.push(`${count(groups.size)} different in ${group_by}.`);
    const names = table.names(group_by);
    const nearer = (/** @type {number} */ a, /** @type {number} */ b) => (
      distances[a] - distances[b] || a - b);
    const found = [...groups].sort(([a], [b]) => byCharacter(a, b)).map(([name, members]) => (
      members.sort(nearer).slice(0, group_size).map((row) => (
        { row, distance: distances[row], group: String(names.get(name)) }))));
    return found.sort(([a], [b]) => a.distance - b.distance).flat();
  }

  /**
   * Leave out the near-duplicates of works found, of which the first stands for all; tell whether
   * some were among them.
   * @param {number[]} found @param {Map<number, number>} behind @param {Uint8Array} left
   * @param {ByteRows} raw @param {Descriptor} descriptor
   * @param {Float64Array} far how far all works are from one: those that are about as far from it as
   *   a work found may be near to that, by the triangle inequality, and no others are compared
   */
  function leaveOutBehind(found, behind, left, raw, descriptor, far) {
    const [gone, near, { metric, weights }] = [new Set(), descriptor.near(), descriptor];
    for (const row of found) {
      if (gone.has(row) || behind.has(row)) continue;
      const some = [];
      const [low, high] = [far[row] - near - ROUNDED, far[row] + near + ROUNDED];
      for (let one = 0; one < far.length; one++) {
        if (far[one] > low && far[one] < high && one !== row) some.push(one);
      }
      const distances = distancesTo(takeRows(raw, some), fetchRow(raw, row), metric, weights);
      const copies = some.filter((_, i) => distances[i] < near);
      behind.set(row, copies.reduce((count_, one) => count_ + left[one], 0));
      for (const one of copies) {
        left[one] = 0;
        gone.add(one);
      }
    }
    return found.some((row) => gone.has(row));
  }

  // ---- what came before -------------------------------------------------------------------------

  /**
   * Of each of some works the nearest that is surely earlier: its last year is before the first year of
   * the other. Null where there is none, and for a work without a year.
   * @param {Asked} asked @param {string[]} some @returns {Promise<Before>}
   */
  async function earlier(asked, some) {
    const { rows, metric, weights } = await descriptorOf(asked);
    const table = await columns();
    const [first, last] = table.years("year");
    const { left } = permit(asked.question, table);
    /** @type {Before} */
    const found = new Map();
    let began = performance.now();
    for (const id of some) {
      const limit = first[rowOf(id)];
      const older = left.map((one, row) => one & Number(last[row] < limit));
      /** @type {typeof productsOf} */
      const products = (all, vector, part) => productsOf(all, vector, part, older);
      const distances = distancesTo(rows, fetchRow(rows, rowOf(id)), metric, weights, products);
      const [row] = smallest(distances, older, 1);
      found.set(id, row === undefined ? null : { id: ids[row], distance: distances[row] });
      if (performance.now() - began > 30) {
        await pause();
        began = performance.now();
      }
    }
    return found;
  }

  // ---- stepping stones --------------------------------------------------------------------------

  /**
   * @param {Asked} asked @param {Descriptor} descriptor @param {Columns | null} table
   * @returns {Promise<{works: FoundHere[], notes: string[], metric: string, unit: string}>}
   */
  async function findPath(asked, descriptor, table) {
    const { goal, question } = asked;
    const { rows, metric, weights, unit } = descriptor;
    const id = question.positive[0]?.[0];
    if (!place.has(id)) {
      throw new Refusal(
        "stepping stones lead from one work of the collection to another; select one");
    }
    const [start, end] = [rowOf(id), rowOf(goal)];
    const { left, notes } = permit(question, table);
    if (metric === "dot") {
      throw new Refusal(
        "an inner product is no length of a step; ask for a path in the metric angular");
    }
    if (start === end) {
      throw new Refusal("a path leads from one work to another; these are the same");
    }
    [left[start], left[end]] = [0, 0];
    const ends = [start, end].map((row) => distancesTo(rows, fetchRow(rows, row), metric, weights));
    const sums = ends[0].map((one, row) => one ** 2 + ends[1][row] ** 2);
    const pool = smallest(sums, left, POOL).sort((a, b) => a - b);
    const some = [start, ...pool, end];
    const steps = await distancesBetween(rows, some, metric, weights);
    const path = cheapest(steps, some.length);
    const found = path.slice(1).map((at, i) => (
      { row: some[at], id: ids[some[at]], distance: steps[path[i] * some.length + at], group: "",
        duplicates: 0, rarity: null }));
    const longest = Math.max(...found.map(({ distance }) => distance));
    notes.push(`The longest step is ${threeDigits(longest)}; in one step it would be `
      + `${threeDigits(ends[0][end])}.`);
    return { works: found, notes, metric, unit };
  }
}

/**
 * The cheapest path from the first place to the last, over at most WAYPOINTS others: Bellman's
 * recursion over the number of steps.
 * @param {Float64Array} steps places × places @param {number} size places
 */
function cheapest(steps, size) {
  let largest = 1e-12;
  for (const step of steps) if (step > largest) largest = step;
  const costs = steps.map((step) => (step / largest) ** POWER);
  for (let at = 0; at < size; at++) costs[at * size + at] = Infinity;
  let best = costs.slice(0, size);
  const cameFrom = [new Int32Array(size)];
  for (let step = 0; step < WAYPOINTS; step++) {
    const further = new Float64Array(size).fill(Infinity);
    const before = new Int32Array(size);
    for (let from = 0; from < size; from++) {
      for (let to = 0, at = from * size; to < size; to++, at++) {
        const cost = best[from] + costs[at];
        if (cost < further[to]) [further[to], before[to]] = [cost, from];
      }
    }
    if (!further.some((cost, to) => cost < best[to])) break;
    // Where no more steps help, a place keeps the path it has.
    const last = best;
    cameFrom.push(before.map((from, to) => (further[to] < last[to] ? from : -1)));
    best = last.map((cost, to) => Math.min(cost, further[to]));
  }
  let at = size - 1;
  const path = [at];
  for (const before of cameFrom.reverse()) {
    if (before[at] >= 0) {
      at = before[at];
      path.push(at);
    }
    if (at === 0) break;
  }
  return path.reverse();
}

/** How much each component counts at a weight from 0 (content) to 1 (style). @param {number} dial */
function dialWeights(dial) {
  const [content, style] = [Math.max(0, 1 - 2 * dial), Math.max(0, 2 * dial - 1)];
  return [content, 1 - content - style, style];
}

/** @param {number[]} at @param {number[]} values @param {number} where */
function interpolate(at, values, where) {
  const after = Math.max(1, at.findIndex((one) => one >= where));
  const share = (where - at[after - 1]) / (at[after] - at[after - 1]);
  return values[after - 1] + share * (values[after] - values[after - 1]);
}

/**
 * The places of the smallest values among some, smallest first, `most` at most; ties by place.
 * @param {Float64Array} values @param {Uint8Array} some 1 for each @param {number} most
 */
function smallest(values, some, most) {
  /** @type {number[]} */
  let kept = [];
  let limit = Infinity;
  const order = (/** @type {number} */ a, /** @type {number} */ b) => values[a] - values[b] || a - b;
  for (let at = 0; at < values.length; at++) {
    if (!some[at] || values[at] >= limit) continue;
    kept.push(at);
    if (kept.length < 2 * most + 64) continue;
    kept = kept.sort(order).slice(0, most);
    limit = kept.length === most ? values[kept[most - 1]] : Infinity;
  }
  return kept.sort(order).slice(0, most);
}

/** The last products of each part are kept: a turn of the dial then compares no row anew. */
const kept = new Map();

/** @type {typeof productsOf} */
function remember(rows, vector, part) {
  const last = kept.get(part);
  const same = last?.rows === rows && last.vector.length === vector.length
    && vector.every((one, i) => one === last.vector[i]);
  if (!same) kept.set(part, { rows, vector, products: productsOf(rows, vector, part) });
  return kept.get(part).products;
}

/** Put zeros where something is; return how many ones there were. */
function dropWhere(/** @type {Uint8Array} */ left, /** @type {(row: number) => unknown} */ is) {
  let gone = 0;
  for (let row = 0; row < left.length; row++) {
    if (left[row] && is(row)) {
      left[row] = 0;
      gone += 1;
    }
  }
  return gone;
}

/** @param {ArrayLike<number>} numbers */
function sum(numbers) {
  return Array.from(numbers).reduce((a, b) => a + b, 0);
}
