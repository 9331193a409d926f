/** The questions that a picture needs: the whole map where it is small, the visible part at screen resolution otherwise. */
import type { Span } from "../attention/raster";
import type { Pooling, Tile, TileAsked } from "../attention/tile";
import type { Window } from "../drawing/geometry";
import { type MapFacts, WHOLE } from "../host/facts";

/** Which head a tile belongs to. */
export interface Place {
  map: string;
  layer: number;
  head: number;
}

export interface Wanted extends Place {
  /** Names the answer in the cache; equal questions have equal names. */
  name: string;
  body: object;
}

export interface PlaceOfMap extends Place {
  facts: MapFacts;
}

/** How a tile that is not whole is read. */
interface Reading extends Sharpness {
  pooling: Pooling;
  cells: number;
}

interface Sharpness {
  temperature: number;
  scaling: number;
}

/** Exact tiles come untempered: the browser applies both numbers itself. */
const UNTEMPERED: Sharpness = { temperature: 1, scaling: 1 };

function tile({ map, layer, head }: Place, part: TileAsked, reading: Sharpness | Reading): Wanted {
  const body = { op: "tile", map, layer, head, ...part, ...reading };
  return { map, layer, head, name: JSON.stringify(body), body };
}

export function wholeTile(place: PlaceOfMap): Wanted {
  const { n_queries: height, n_keys: width } = place.facts;
  return tile(place, { rows: [0, height], columns: [0, width], height, width, whole: "map" }, UNTEMPERED);
}

/** Cells of the map that may be computed before a picture is there; a budget holds the kernel a tenth of a second. */
const AT_ONCE = 2 ** 24;
/** And afterwards, when a person stays to look. */
const IN_THE_BACKGROUND = 2 ** 26;

/** What is visible, in no more cells than the screen has pixels (height, width). */
export function visibleTile(
  place: PlaceOfMap,
  { rows, columns }: Window,
  device: [number, number],
  sharpness: Sharpness,
  pooling: Pooling,
): Wanted {
  const down = divided(rows, place.facts.n_queries, device[0]);
  const across = divided(columns, place.facts.n_keys, device[1]);
  const part: TileAsked = {
    rows: down.range,
    columns: across.range,
    height: down.cells,
    width: across.cells,
  };
  return tile(place, part, { ...sharpness, pooling, cells: AT_ONCE });
}

/** Pooled cells begin at multiples of their size, so that what a map is pooled to stays as it moves. */
function divided(span: Span, count: number, pixels: number): { range: [number, number]; cells: number } {
  // Two cells more than pixels may be needed at the edges.
  const stride = Math.max(1, Math.ceil((span.to - span.from) / Math.min(WHOLE - 2, pixels) - 1e-6));
  const from = Math.floor(span.from / stride) * stride;
  const to = Math.min(count, Math.ceil(span.to / stride) * stride);
  return { range: [from, to], cells: Math.ceil((to - from) / stride) };
}

/** The same tile from more of its rows, all of them if these are not too many; null where no more would be read. */
export function refined(wanted: Wanted, { sampled, work }: Tile): Wanted | null {
  if (!sampled || Math.floor((sampled[1] * IN_THE_BACKGROUND) / work) <= sampled[0]) return null;
  return { ...wanted, body: { ...wanted.body, cells: IN_THE_BACKGROUND } };
}

export function exactRow(place: PlaceOfMap, query: number): Wanted {
  const width = place.facts.n_keys;
  const part: TileAsked = {
    rows: [query, query + 1],
    columns: [0, width],
    height: 1,
    width,
    whole: "row",
  };
  return tile(place, part, UNTEMPERED);
}
