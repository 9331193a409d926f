/** Mouse, touch and keyboard on the points of a plane. */
import type { Plane } from "../../../answers/plane";
import type { MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { inWords, litIn, nearest, type Placing, type Point, pointOf, tokenOf } from "./points";

const NEAR = 16;

/** What is on the screen. */
export interface Now {
  plane: Plane;
  place: Placing;
  map: MapFacts;
}

export function picking(canvas: HTMLCanvasElement, store: Store, now: () => Now): () => void {
  const stop = new AbortController();
  const listen = <Name extends keyof HTMLElementEventMap>(
    name: Name,
    listener: (event: HTMLElementEventMap[Name]) => void,
  ) => canvas.addEventListener(name, listener, { signal: stop.signal });

  function light(point: Point | null): void {
    const token = point && tokenOf(now().plane, point);
    const before = store.hover.peek();
    const next = point && {
      query: point.of === "queries" ? token : null,
      key: point.of === "keys" ? token : null,
      from: "plane",
    };
    if (before?.query === next?.query && before?.key === next?.key && Boolean(before) === Boolean(next))
      return;
    store.hover.value = next;
  }

  function pin(point: Point | null): void {
    if (!point) return;
    const token = tokenOf(now().plane, point);
    const { query } = store.pin.peek();
    if (point.of === "queries") store.togglePin({ query: token, key: null });
    else if (query !== null) store.togglePin({ query, key: token });
    else store.said.value = "Pin a query first, then a key.";
  }

  function under(event: { clientX: number; clientY: number }): Point | null {
    const box = canvas.getBoundingClientRect();
    const { plane, place } = now();
    return nearest(plane, place, event.clientX - box.left, event.clientY - box.top, NEAR);
  }

  listen("pointermove", (event) => light(under(event)));
  listen("pointerleave", () => light(null));
  listen("blur", () => light(null));
  listen("click", (event) => pin(under(event)));
  listen("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { plane, map } = now();
    const cell = store.hover.peek() ?? store.pin.peek();
    const at = pointOf(plane, "queries", cell.query) ?? pointOf(plane, "keys", cell.key);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined) {
      const of = at?.of ?? "queries";
      const last = (of === "queries" ? plane.queryAt : plane.keyAt).length - 1;
      light({ of, at: at ? Math.min(last, Math.max(0, at.at + step)) : 0 });
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const of = at?.of === "queries" ? "keys" : "queries";
      const last = (of === "queries" ? plane.queryAt : plane.keyAt).length - 1;
      light({ of, at: Math.min(last, at?.at ?? 0) });
    } else if (event.key === "Enter" || event.key === " ") pin(at);
    else return;
    const lit = litIn(store, plane);
    if (lit && event.key.startsWith("Arrow")) store.said.value = inWords(map, plane, lit);
    event.preventDefault();
    event.stopPropagation();
  });
  return () => stop.abort();
}
