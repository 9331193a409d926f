/**
 * The views of a page are made one after another: those in sight first, the others when the page has nothing else to do.
 *
 * Hosts give a widget seconds to load, and forget those that were held up by the drawing of others. So this, and only
 * this, is shared by all views of a page.
 */

interface Turn {
  element: Element;
  make(): void;
  seen: boolean;
}

const waiting: Turn[] = [];
let awake = false;

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const turn = waiting.find(({ element }) => element === target);
      if (turn) turn.seen = isIntersecting;
    }
    wake();
  },
  { rootMargin: "200px" },
);

function wake(): void {
  if (awake || waiting.length === 0) return;
  awake = true;
  if (waiting.some(({ seen }) => seen)) window.setTimeout(next);
  // Not every browser says when it is idle.
  else if ("requestIdleCallback" in window) window.requestIdleCallback(next, { timeout: 2_000 });
  else globalThis.setTimeout(next, 200);
}

function next(): void {
  awake = false;
  const turn = waiting.find(({ seen }) => seen) ?? waiting[0];
  if (!turn) return;
  leave(turn);
  turn.make();
  wake();
}

function leave(turn: Turn): void {
  sight.unobserve(turn.element);
  const at = waiting.indexOf(turn);
  if (at >= 0) waiting.splice(at, 1);
}

/** Make something of an element when it is its turn, on paper at once; the returned function takes the wish back. */
export function inTurn(element: Element, make: () => void): () => void {
  const printed = new AbortController();
  const turn: Turn = {
    element,
    seen: false,
    make: () => {
      printed.abort();
      make();
    },
  };
  waiting.push(turn);
  sight.observe(element);
  const print = () => {
    leave(turn);
    turn.make();
  };
  window.addEventListener("beforeprint", print, { signal: printed.signal });
  return () => {
    printed.abort();
    leave(turn);
  };
}
