// @ts-check
// Messages to the kernel of a widget, which answers each by its number.

/**
 * @typedef {{ask: (what: Record<string, any>, patience?: number, buffers?: (ArrayBuffer | DataView)[]) =>
 *   Promise<any>, close: () => void}} Wire
 */

/**
 * Promise the kernel's answers; one that says nothing for so many milliseconds is taken for gone.
 * @param {any} model @param {number} [usual] none for a kernel that may be busy for long
 * @returns {Wire}
 */
function createWire(model, usual = 0) {
  const waiting = new Map();
  const begun = Math.random().toString(36).slice(2); // every view of the widget hears all answers
  let count = 0;
  model.on("msg:custom", heed);
  return { ask, close: () => model.off("msg:custom", heed) };

  /** @param {any} message @param {DataView[]} buffers */
  function heed(message, buffers) {
    const one = waiting.get(message.answer);
    if (!one) return;
    waiting.delete(message.answer);
    clearTimeout(one.timer);
    if (message.error) one.fail(new Error(message.error));
    else one.done({ ...message, buffers });
  }

  /** @type {Wire["ask"]} */
  function ask(what, patience = usual, buffers = []) {
    const number = `${begun}-${(count += 1)}`;
    return new Promise((done, fail) => {
      const gone = () => {
        waiting.delete(number);
        fail(new Error("The kernel does not answer; where it was restarted, run the cell again."));
      };
      waiting.set(number, { done, fail, timer: patience ? setTimeout(gone, patience) : 0 });
      try {
        model.send({ ...what, ask: number }, undefined, buffers);
      } catch {
        gone();
      }
    });
  }
}
