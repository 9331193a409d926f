/** The questions that a picture needs: the whole map where it is small, the visible part at screen resolution otherwise. */
import type { Place, Window } from "../store";
import { type MapFacts, WHOLE } from "./facts";

export interface Wanted extends Place {
  /** Names the answer in the cache; equal questions have equal names. */
  name: string;
  body: object;
}

export interface PlaceOfMap extends Place {
  facts: MapFacts;
}

interface Sharpness {
  temperature: number;
  scaling: number;
}

interface Part {
  rows: [number, number];
  columns: [number, number];
  height: number;
  width: number;
}

/** Exact tiles come untempered: the browser applies both numbers itself. */
const UNTEMPERED: Sharpness = { temperature: 1, scaling: 1 };

/** Of a text that grows the kernel may know more than this side: of the whole map, or row, it sends all there is. */
type Whole = { whole?: "map" | "row" };

function tile({ map, layer, head }: Place, part: Part & Whole, sharpness: Sharpness): Wanted {
  const body = { op: "tile", map, layer, head, ...part, ...sharpness };
  return { map, layer, head, name: JSON.stringify(body), body };
}

export function wholeTile(place: PlaceOfMap): Wanted {
  const { n_queries: height, n_keys: width } = place.facts;
  return tile(place, { rows: [0, height], columns: [0, width], height, width, whole: "map" }, UNTEMPERED);
}

/** What is visible, in no more cells than the screen has pixels (height, width). */
export function visibleTile(
  place: PlaceOfMap,
  { rows, columns }: Window,
  device: [number, number],
  sharpness: Sharpness,
): Wanted {
  const part: Part = {
    rows: [Math.floor(rows.from), Math.min(place.facts.n_queries, Math.ceil(rows.to))],
    columns: [Math.floor(columns.from), Math.min(place.facts.n_keys, Math.ceil(columns.to))],
    height: Math.min(WHOLE, device[0]),
    width: Math.min(WHOLE, device[1]),
  };
  return tile(place, part, sharpness);
}

export function exactRow(place: PlaceOfMap, query: number): Wanted {
  const width = place.facts.n_keys;
  const part: Part & Whole = {
    rows: [query, query + 1],
    columns: [0, width],
    height: 1,
    width,
    whole: "row",
  };
  return tile(place, part, UNTEMPERED);
}
