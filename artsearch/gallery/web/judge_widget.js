// @ts-check
// The judging screen as an anywidget: gallery.js, judge.js and wire.js stand above this file, the
// kernel on the other side; pictures travel as bytes, once each.

const PATIENCE = 8000; // milliseconds until a kernel that says nothing is taken for gone
const HELD = "artsearch-judge-held"; // where a browser holds a vote that is not on the disk yet

/**
 * Promise pictures by name; those that are wanted together are asked for in one message.
 * @param {Wire["ask"]} ask
 */
function createPictureBox(ask) {
  /** @type {{name: string, done: (address: string) => void, fail: (error: any) => void}[]} */
  let wanted = [];
  /** @type {string[]} */
  const addresses = [];

  /** @param {string} name @returns {Promise<string>} */
  function picture(name) {
    return new Promise((done, fail) => {
      if (wanted.push({ name, done, fail }) === 1) queueMicrotask(fetchAll);
    });
  }

  async function fetchAll() {
    const all = wanted;
    wanted = [];
    try {
      const { buffers } = await ask({ do: "pictures", names: all.map(({ name }) => name) }, 60_000);
      all.forEach(({ done }, i) => done(buffers[i].byteLength ? toAddress(buffers[i]) : ""));
    } catch (error) {
      all.forEach(({ fail }) => fail(error));
    }
  }

  /** @param {DataView<ArrayBuffer>} bytes */
  function toAddress(bytes) {
    const address = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
    addresses.push(address);
    return address;
  }

  return { picture, forget: () => addresses.forEach((address) => URL.revokeObjectURL(address)) };
}

/** @param {{model: any, el: HTMLElement}} widget */
function render({ model, el }) {
  const { ask, close } = createWire(model, PATIENCE);
  const { picture, forget } = createPictureBox(ask);
  const { set, ...room } = model.get("room");
  let sent = "";
  const end = createJudge(el, {
    ...room,
    picture,
    begin: async (judge) => {
      const held = readHeld(judge);
      if (held) {
        await ask({ do: "vote", ...held, held: true });
        hold(held, false);
      }
      return ask({ do: "begin", judge });
    },
    vote: async (vote) => {
      hold(vote, true);
      const held = sent === vote.id; // then it may have been written, and only the answer lost
      sent = vote.id;
      await ask({ do: "vote", ...vote, held });
      hold(vote, false);
    },
    undo: (judge, id) => ask({ do: "undo", judge, id }),
    isKept: () => true,
    save: null,
    leave: () => {},
  });
  return () => {
    end();
    close();
    forget();
  };

  // Where the kernel died with a vote in its hands, the next one gets it: a vote has a number of
  // its own, and is written once. A browser that holds nothing loses only that.
  /** @param {Vote} vote @param {boolean} on */
  function hold(vote, on) {
    try {
      const key = `${HELD}-${set}-${vote.judge}`;
      if (on) localStorage.setItem(key, JSON.stringify(vote));
      else localStorage.removeItem(key);
    } catch { /* the screen holds it as long as it is open */ }
  }

  /** @param {string} judge @returns {Vote | null} */
  function readHeld(judge) {
    try {
      return JSON.parse(localStorage.getItem(`${HELD}-${set}-${judge}`) ?? "null");
    } catch {
      return null;
    }
  }
}

export default { render };
