/** Where in the tokens a text stands, and the way there. */
import { including } from "../drawing/geometry";
import { readable } from "../drawing/words";
import { type Axis, keysOf, type MapFacts } from "../host/facts";
import type { Cell, Store } from "./store";
import { shapeOf } from "./views/map/pointing";

export interface Found {
  axis: keyof Cell;
  index: number;
}

const folded = (text: string): string => text.normalize("NFKC").toLowerCase();

/** Positions of the tokens in which a text begins; it may run over several. */
export function positionsOf(axis: Axis, text: string): number[] {
  const wanted = folded(text.trim());
  if (wanted === "") return [];
  const place = /^#(\d+)$/.exec(wanted);
  if (place) return Number(place[1]) < axis.labels.length ? [Number(place[1])] : [];
  const joined = new Set(axis.continues);
  const starts: number[] = [];
  let whole = "";
  axis.labels.forEach((label, index) => {
    if (index > 0 && !joined.has(index)) whole += " ";
    starts.push(whole.length);
    whole += folded(readable(label));
  });
  const found: number[] = [];
  let token = 0;
  for (let at = whole.indexOf(wanted); at >= 0; at = whole.indexOf(wanted, at + 1)) {
    while (token + 1 < starts.length && starts[token + 1]! <= at) token++;
    if (found.at(-1) !== token) found.push(token);
  }
  return found;
}

/** On the axis of the queries first; on that of the keys too where these are others. */
export function find(map: MapFacts, text: string): Found[] {
  const on = (axis: keyof Cell, labels: Axis) =>
    positionsOf(labels, text).map((index) => ({ axis, index }) as Found);
  return [...on("query", map.queries), ...(map.keys ? on("key", keysOf(map)) : [])];
}

/** Pin what was found, and bring it into sight. */
export function jump(store: Store, { axis, index }: Found): void {
  const map = store.map.peek();
  if (!map) return;
  const pin = store.pin.peek();
  const cell: Cell = axis === "query" ? { query: index, key: null } : { query: pin.query, key: index };
  store.setPin(cell);
  const seen = store.window.peek();
  const middle = ({ from, to }: { from: number; to: number }) => Math.floor((from + to) / 2);
  const [row, column] = [cell.query ?? middle(seen.rows), cell.key ?? middle(seen.columns)];
  store.lookAt(including(seen, shapeOf(map), row, axis === "query" && !map.keys ? index : column));
}
