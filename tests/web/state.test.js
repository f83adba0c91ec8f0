// What a visitor does: state.js and view.js with an answerer of seven works that stand in a line.

const IDS = ["a", "b", "c", "d", "e", "f", "g"];
const ABOUT = {
  networks: ["one", "two", "three"].map((name) => ({ name, title: name })),
  crops: [{ name: "whole", title: "whole" }], dial: true, k_max: 6, has_both: true, machines: 1,
  columns: ["artist", "year"], values: { artist: ["Ada", "Bea"] }, looks: ["two"], sentence: "",
};

/** Answers with the works after the selected one, one for each of k. */
function createLine(more = {}) {
  const asked = [];
  const line = {
    about: ABOUT, asked,
    async answer(one) {
      asked.push(one);
      const start = IDS.indexOf(one.query);
      if (start < 0 && !wordsOf(one.query) && !one.query.startsWith(UPLOADED)) {
        throw unknown("work", one.query, IDS);
      }
      const works = IDS.filter((id) => id !== one.query).slice(0, one.question.k)
        .map((id, i) => ({ id, distance: i / 8, group: "", duplicates: 0, rarity: null }));
      return {
        works, notes: [`asked of ${one.query}`], metric: "angular", unit: "", cut: "", yours: null,
        words: true,
      };
    },
    async drawer({ search, page }) {
      const found = IDS.filter((id) => id.includes(search));
      const last = Math.max(0, Math.ceil(found.length / 3) - 1);
      const at = Math.max(0, Math.min(page, last));
      return { works: found.slice(3 * at, 3 * at + 3), page: at, pages: last + 1, matches: found.length };
    },
    works: async (ids) => ids.map((id) => ({
      id, title: id.toUpperCase(), thumb: `thumb/${id}`, small: `small/${id}`, image: `image/${id}`,
    })),
    add: async () => `${UPLOADED}1`,
    lacks: () => [],
    session: () => ({ kept: [], steps: 0 }),
    keep: async () => {},
    open: async () => ({ link: "?like=c&k=2&network=two", missing: "One work is missing." }),
    save: async () => {},
    ...more,
  };
  return line;
}

async function begin(more) {
  const line = createLine(more);
  const walk = createWalk(line, emptyState(ABOUT));
  await walk.act({ do: "select", id: "a" });
  return { walk, line };
}

const rowsOf = (walk) => walk.view().rows.map(({ works }) => works.map(({ id }) => id));

test("back and forward go through what was selected, and what lay ahead is forgotten", async () => {
  const { walk } = await begin();
  for (const id of ["b", "c"]) await walk.act({ do: "select", id });
  await walk.act({ do: "back" });
  assert.equal(queryOf(walk.state), "b");
  await walk.act({ do: "forward" });
  await walk.act({ do: "forward" });
  assert.equal(queryOf(walk.state), "c");
  await walk.act({ do: "go_to", position: -9 });
  await walk.act({ do: "select", id: "d" });
  assert.deepEqual(walk.state.history, ["a", "d"]);
  await walk.act({ do: "select", id: "d" });
  assert.deepEqual(walk.state.history, ["a", "d"]);
});

test("no more works are remembered than a link can hold", () => {
  let state = emptyState(ABOUT);
  for (let i = 0; i < 2 * HISTORY; i++) state = select(state, `work ${i}`);
  assert.equal(state.history.length, HISTORY);
  assert.equal(queryOf(state), `work ${2 * HISTORY - 1}`);
});

test("what is asked about a work ends with it, what is asked of the answers stays", async () => {
  const { walk } = await begin();
  await walk.act({ do: "like", id: "b", weight: 2 });
  await walk.act({ do: "unlike", id: "c" });
  await walk.act({ do: "change", where: "year > 1800", exclude_same: ["artist"], k: 3 });
  await walk.act({ do: "exclude", id: "g" });
  assert.deepEqual(walk.state.question.positive, [["a", 1], ["b", 2]]);
  await walk.act({ do: "select", id: "d" });
  const { positive, negative, where, exclude_same, exclude, k } = walk.state.question;
  assert.deepEqual([positive, negative, where, exclude_same, exclude, k],
    [[["d", 1]], [], "year > 1800", ["artist"], ["g"], 3]);
  await walk.act({ do: "clear" });
  assert.ok(!walk.view().ask.active);
  assert.equal(walk.state.question.k, 3);
});

test("the selected work keeps its place when its weight changes, and cannot be disliked", async () => {
  const { walk } = await begin();
  await walk.act({ do: "like", id: "b" });
  await walk.act({ do: "like", id: "a", weight: 3 });
  assert.deepEqual(walk.state.question.positive, [["a", 3], ["b", 1]]);
  await walk.act({ do: "unlike", id: "a" });
  assert.match(walk.error, /select another one first/);
  await walk.act({ do: "drop", id: "b" });
  assert.deepEqual(walk.state.question.positive, [["a", 3]]);
});

test("words are selected and liked as works are", async () => {
  const { walk } = await begin();
  await walk.act({ do: "select", id: `${IN_WORDS}  a   lake ` });
  assert.equal(queryOf(walk.state), `${IN_WORDS}a lake`);
  await walk.act({ do: "like", id: "b" });
  await walk.act({ do: "unlike", id: `${IN_WORDS}night` });
  const { ask, query } = walk.view();
  assert.equal(query.words, "a lake");
  assert.deepEqual(ask.liked.map(({ id, side }) => [id, side]),
    [["b", "like"], [`${IN_WORDS}night`, "unlike"]]);
  assert.match(ask.link, /^\?like=b&words=a\+lake&unlike-words=night&/);
});

test("what goes wrong is a sentence, and everything stays as it was", async () => {
  const { walk } = await begin();
  const before = walk.view();
  for (const what of [
    { do: "select", id: "nobody" }, { do: "change", network: "four" }, { do: "change", dial: 2 },
    { do: "change", k: 7 }, { do: "change", where: "year >" }, { do: "like", id: "b", weight: 0 },
  ]) {
    await walk.act(what);
    assert.ok(walk.error.length > 10, JSON.stringify(what));
    assert.deepEqual({ ...walk.view(), error: "" }, before);
  }
  await walk.act({ do: "change", k: 2 });
  assert.equal(walk.error, "");
});

test("a network that is chosen stands alone; a path ends where it is not asked of", async () => {
  const { walk, line } = await begin();
  await walk.act({ do: "change", compare: true, goal: "e" });
  assert.deepEqual(line.asked.slice(-3).map(({ network, goal }) => [network, goal]),
    [["one", "e"], ["two", "e"], ["three", "e"]]);
  await walk.act({ do: "change", network: "two" });
  assert.deepEqual([walk.state.compare, walk.state.goal], [false, "e"]);
  await walk.act({ do: "change", group_by: "artist" });
  assert.equal(walk.state.goal, "");
});

test("the answerer is asked only for what changed", async () => {
  const { walk, line } = await begin();
  const before = line.asked.length;
  await walk.act({ do: "change", search: "b" });
  await walk.act({ do: "change", page: 4 });
  await walk.act({ do: "refresh" });
  assert.equal(line.asked.length, before);
  await walk.act({ do: "change", dial: 0.333 });
  assert.equal(line.asked.at(-1).dial, 0.33);
});

test("the drawer has no page beyond its ends", async () => {
  const { walk } = await begin();
  await walk.act({ do: "change", page: 99 });
  assert.deepEqual([walk.state.page, walk.view().drawer.works.map(({ id }) => id)], [2, ["g"]]);
  await walk.act({ do: "change", machine_made: true });
  assert.equal(walk.state.page, 0);
});

test("an image of one's own is asked of a network that can look, and has no link", async () => {
  const { walk, line } = await begin();
  await walk.act({ do: "upload", file: { name: "mine.jpg" } });
  assert.equal(line.asked.at(-1).network, "two");
  assert.equal(walk.view().ask.link, "");
  await walk.act({ do: "back" });
  assert.notEqual(walk.view().ask.link, "");
});

test("a session goes on with what it asked last, and says what is missing", async () => {
  const { walk } = await begin();
  await walk.act({ do: "open", file: {} });
  assert.deepEqual([queryOf(walk.state), walk.state.network, walk.state.question.k], ["c", "two", 2]);
  assert.equal(walk.error, "One work is missing.");
});

test("a motif is sought when what finds it is there, if it is still wanted", async () => {
  let said = { text: "It takes long.", offer: "Look", busy: false };
  const { walk } = await begin({ motif: async () => said });
  const part = { region: [0.1, 0.1, 0.5, 0.5], motif: true };
  await walk.act({ do: "change", ...part });
  assert.deepEqual([walk.state.question.motif, walk.view().ask.motif.offer], [false, "Look"]);
  said = { text: "", offer: "", busy: false };
  await walk.sought(said);
  assert.ok(walk.state.question.motif);
  await walk.act({ do: "change", region: null });
  await walk.sought(said);
  assert.ok(!walk.state.question.motif);
});

test("what a notebook asks is shown without asking again", async () => {
  const { walk, line } = await begin();
  const before = line.asked.length;
  const question = makeQuestion({ positive: [["c", 1]], k: 2 });
  const answer = await line.answer({ query: "c", question });
  const place = { query: "c", question, network: "two", crop: "whole", dial: null, compare: false };
  await walk.adopt({ place, answers: { two: answer }, drawn: walk.drawn, error: "" });
  assert.deepEqual([line.asked.length, rowsOf(walk)], [before + 1, [["a", "b"]]]);
  assert.deepEqual(walk.state.history, ["a", "c"]);
});

test("few works have larger pictures than many, and notes are said once", async () => {
  const { walk } = await begin();
  const thumbs = () => new Set(walk.view().rows.flatMap(({ works }) => (
    works.map(({ thumb }) => thumb.split("/")[0]))));
  assert.deepEqual([...thumbs()], ["thumb"]);
  await walk.act({ do: "change", compare: true, k: 4 });
  assert.deepEqual([...thumbs()], ["thumb"]);
  await walk.act({ do: "change", k: 5 });
  assert.deepEqual([...thumbs()], ["small"]);
  assert.deepEqual(walk.view().ask.notes, ["asked of a"]);
});

test("acts wait for each other", async () => {
  const { walk } = await begin();
  const all = ["b", "c", "d"].map((id) => walk.act({ do: "select", id }));
  await Promise.all(all);
  assert.deepEqual(walk.state.history, ["a", "b", "c", "d"]);
});

test("what came before is asked for only where works are shown by time, and once", async () => {
  const asked = [];
  const before = (id) => (id === "a" ? null : { id: IDS[IDS.indexOf(id) - 1], distance: 0.5 });
  const { walk } = await begin({
    async earlier({ network, query }, ids) {
      asked.push([network, query, ids.join("")]);
      return new Map(ids.map((id) => [id, before(id)]));
    },
  });
  await walk.act({ do: "change", k: 2 });
  assert.deepEqual([asked.length, walk.view().rows[0].before], [0, {}]);
  await walk.act({ do: "change", time: true });
  await walk.act({ do: "change", page: 1 });
  assert.deepEqual(asked, [["one", "a", "abc"]]);
  const found = walk.view().rows[0].before;
  assert.deepEqual(Object.keys(found), ["a", "b", "c"]);
  assert.equal(found.a, null);
  assert.deepEqual([found.c.id, found.c.title, found.c.distance_text], ["b", "B", "0.500"]);
  await walk.act({ do: "change", compare: true });
  assert.deepEqual(asked.slice(1).map(([network]) => network), ["one", "two", "three"]);
  await walk.act({ do: "select", id: "g" }); // of which nothing that is shown came before
  assert.equal(walk.view().rows[2].before.g.id, "f");
  await walk.act({ do: "select", id: `${IN_WORDS}a lake` });
  assert.deepEqual(asked.at(-1), ["three", `${IN_WORDS}a lake`, "ab"]);
  await walk.act({ do: "change", time: false });
  assert.deepEqual([walk.view().time, walk.view().rows[0].before], [false, {}]);
});
