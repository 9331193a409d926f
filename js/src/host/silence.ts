/** Silence, counted in steps: a page that stands still hears nothing, and that says nothing about the kernel. */

const SHORTEST_STEP = 100;
const STEPS = 20;
/** A step that takes this much longer was held up by the page. */
const HELD_UP = 500;

/** Calls back after so many ms of silence, and once where the page has stood still meanwhile. */
export function afterSilence(ms: number, then: () => void, heldUp: () => void = () => {}): () => void {
  const most = Math.max(SHORTEST_STEP, ms / STEPS);
  let left = ms;
  let timer = 0;
  let said = false;
  const step = () => {
    const began = performance.now();
    const length = Math.min(most, left);
    timer = window.setTimeout(() => {
      left -= length;
      if (!said && performance.now() - began > length + HELD_UP) {
        said = true;
        heldUp();
      }
      if (left > 0) step();
      else then();
    }, length);
  };
  step();
  return () => window.clearTimeout(timer);
}
