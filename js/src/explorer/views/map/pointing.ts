/** Mouse, touch and keyboard on the heatmap: hover, pin, zoom and pan. */
import type { ReadonlySignal } from "@preact/signals";
import type { Span } from "../../../attention/raster";
import { cellAt, including, isFitted, panned, type Shape, zoomed } from "../../../drawing/geometry";
import { bracketed } from "../../../drawing/naming";
import { exact, quoted, signed } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Cell, Store } from "../../store";
import { Marking } from "./marking";
import type { Stage } from "./stage";
import { saidOf } from "./strip";

/** Farther than this a press is a drag. */
const DRAG = 4;
const STEP = 1.5;
const NOWHERE: Cell = { query: null, key: null };

export const shapeOf = (map: MapFacts): Shape => ({ queries: map.n_queries, keys: map.n_keys });

/** Zoom about the cursor or the pinned cell where one is visible, else the middle; a factor of 0 shows the whole map. */
export function zoomBy(store: Store, factor: number): void {
  const map = store.map.peek();
  if (!map) return;
  const { rows, columns } = store.window.peek();
  const shape = shapeOf(map);
  const cursor = store.hover.peek() ?? store.pin.peek();
  const about = (cell: number | null, { from, to }: Span) =>
    cell !== null && cell + 1 > from && cell < to ? cell : Math.floor((from + to) / 2);
  const row = about(cursor.query, rows);
  const column = about(cursor.key, columns);
  const nearer = zoomed(store.window.peek(), shape, factor || 1, { row: row + 0.5, column: column + 0.5 });
  store.lookAt(factor === 0 ? null : including(nearer, shape, row, column));
}

/** What a screen reader hears of a cell. */
export function spoken(store: Store, map: MapFacts, { query, key }: Cell): string {
  if (query === null && key === null) return "";
  if (query === null) {
    const along = map.strip ? `: ${map.strip.name} ${saidOf(map.strip, key!)}` : "";
    return `key ${quoted(keysOf(map).labels[key!])}${bracketed(keysOf(map), key!)}${along}`;
  }
  const from = `query ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}`;
  if (key === null) return from;
  const weight = store.weight(query, key);
  const keys = keysOf(map);
  const said = store.compared.value === "difference" ? signed : exact;
  return `${from} → key ${quoted(keys.labels[key])}${bracketed(keys, key)}: ${weight === null ? "masked" : said(weight)}`;
}

export function pointing(
  canvas: HTMLCanvasElement,
  store: Store,
  stage: ReadonlySignal<Stage | null>,
): () => void {
  const stop = new AbortController();
  const fingers = new Map<number, { x: number; y: number }>();
  let drag: { x: number; y: number; moved: boolean } | null = null;
  const marking = new Marking(store);
  /** Whether the finger that is down marks cells, and whether the last one did: its click pins nothing. */
  let [marks, marked] = [false, false];
  let pinBefore: Cell = NOWHERE;

  function place(event: { clientX: number; clientY: number }) {
    const plot = stage.peek()?.plot;
    const map = store.map.peek();
    if (!plot || !map) return null;
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const at = cellAt(plot, store.window.peek(), x, y);
    const insideX = x >= plot.x && x < plot.x + plot.width;
    const insideY = y >= plot.y && y < plot.y + plot.height;
    const cell: Cell = {
      query: insideY ? Math.floor(at.row) : null,
      key: insideX ? Math.floor(at.column) : null,
    };
    return { plot, map, at, cell };
  }

  /** A cell, or the query or key whose label is pointed at. */
  const target = (cell: Cell): Cell | null => (cell.query === null && cell.key === null ? null : cell);

  const listen = <Name extends keyof HTMLElementEventMap>(
    name: Name,
    listener: (event: HTMLElementEventMap[Name]) => void,
    options: AddEventListenerOptions = {},
  ) => canvas.addEventListener(name, listener, { ...options, signal: stop.signal });

  listen("pointerdown", (event) => {
    marks = event.button === 0 && event.shiftKey && marking.begin(place(event)?.cell ?? NOWHERE);
    marked = marks;
    if (marks) {
      store.hover.value = null;
      canvas.setPointerCapture(event.pointerId);
      return;
    }
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });

  listen("pointermove", (event) => {
    const here = place(event);
    if (!here) return;
    const { map, plot, cell } = here;
    if (marks) {
      marking.reach(map, here.at.row, here.at.column);
      return;
    }
    const shape = shapeOf(map);
    const finger = fingers.get(event.pointerId);
    if (finger && fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)![1];
      const apart = (point: { x: number; y: number }) => Math.hypot(point.x - other.x, point.y - other.y);
      const now = { x: event.clientX, y: event.clientY };
      store.lookAt(zoomed(store.window.peek(), shape, apart(now) / Math.max(1, apart(finger)), here.at));
      fingers.set(event.pointerId, now);
      if (drag) drag.moved = true;
      return;
    }
    if (drag && (drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > DRAG)) {
      const { rows, columns } = store.window.peek();
      const down = ((drag.y - event.clientY) / plot.height) * (rows.to - rows.from);
      const across = ((drag.x - event.clientX) / plot.width) * (columns.to - columns.from);
      if (!drag.moved) canvas.setPointerCapture(event.pointerId);
      drag = { x: event.clientX, y: event.clientY, moved: true };
      store.lookAt(panned(store.window.peek(), shape, down, across));
      store.hover.value = null;
      return;
    }
    const { query, key } = cell;
    store.hover.value = query === null && key === null ? null : { query, key, from: "heatmap" };
  });

  const lift = (event: PointerEvent) => {
    marks = false;
    fingers.delete(event.pointerId);
  };
  listen("pointerup", lift);
  listen("pointercancel", (event) => {
    lift(event);
    drag = null;
  });
  listen("pointerleave", () => {
    store.hover.value = null;
  });
  listen("blur", () => {
    store.hover.value = null;
  });

  listen("click", (event) => {
    if (marked) {
      marked = false;
      return;
    }
    marking.clear();
    const wasDrag = drag?.moved ?? false;
    drag = null;
    const cell = wasDrag || event.detail > 1 ? null : target(place(event)?.cell ?? NOWHERE);
    if (!cell) return;
    pinBefore = store.pin.peek();
    pin(cell);
  });

  listen("dblclick", (event) => {
    const here = place(event);
    if (!here) return;
    // The first click of the two was not meant as a pin.
    store.setPin(pinBefore);
    store.lookAt(zoomed(store.window.peek(), shapeOf(here.map), 2, here.at));
  });

  listen(
    "wheel",
    (event) => {
      // A plain wheel belongs to the notebook.
      const here = event.ctrlKey || event.metaKey ? place(event) : null;
      if (!here) return;
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const factor = Math.exp(-Math.max(-60, Math.min(60, event.deltaY * lines)) / 120);
      store.lookAt(zoomed(store.window.peek(), shapeOf(here.map), factor, here.at));
    },
    { passive: false },
  );

  listen("keydown", (event) => {
    const map = store.map.peek();
    if (!map || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (move && event.shiftKey) store.said.value = marking.step(map, move[0], move[1]) || store.said.peek();
    else if (event.key === "Escape" && marking.clear()) store.said.value = "Unmarked";
    else if (move) step(map, move[0], move[1]);
    else if (event.key === "Enter" || event.key === " ") pinCursor();
    else if (event.key === "+" || event.key === "=") zoomBy(store, STEP);
    else if (event.key === "-") zoomBy(store, 1 / STEP);
    else if (event.key === "0") zoomBy(store, 0);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function step(map: MapFacts, down: number, across: number): void {
    const { rows, columns } = store.window.peek();
    const from = store.hover.peek() ?? store.pin.peek();
    const fresh = from.query === null && from.key === null;
    const inside = (value: number, count: number) => Math.min(Math.max(0, value), count - 1);
    // Where cells are pooled a step of one cell could not be seen.
    const [high, wide] = store.drawn.peek()?.tile.stride ?? [1, 1];
    const query = inside((from.query ?? Math.floor(rows.from)) + (fresh ? 0 : down * high), map.n_queries);
    const key = inside((from.key ?? Math.floor(columns.from)) + (fresh ? 0 : across * wide), map.n_keys);
    store.lookAt(including(store.window.peek(), shapeOf(map), query, key));
    store.hover.value = { query, key, from: "heatmap" };
    store.said.value = spoken(store, map, { query, key });
  }

  function pinCursor(): void {
    const cursor = store.hover.peek();
    if (cursor) pin(cursor);
  }

  function pin({ query, key }: Cell): void {
    store.togglePin({ query, key });
    const map = store.map.peek();
    const pinned = store.pin.peek();
    const nothing = pinned.query === null && pinned.key === null;
    if (map) store.said.value = nothing ? "Unpinned" : `Pinned ${spoken(store, map, pinned)}`;
  }

  const touch = store.window.subscribe(() => {
    const map = store.map.peek();
    const fitted = !map || isFitted(store.window.peek(), shapeOf(map));
    canvas.style.touchAction = fitted ? "pan-x pan-y" : "none";
    canvas.classList.toggle("zoomed", !fitted);
  });

  return () => {
    stop.abort();
    touch();
  };
}
