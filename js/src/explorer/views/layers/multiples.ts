/** One head in every layer, as small maps in lines: where they stand, and their cells. */
import type { Known } from "../../../answers/known";
import { type Thumbnails, thumbnails } from "../../../answers/thumbnails";
import type { Plot } from "../../../drawing/geometry";
import type { Mark } from "../../../drawing/mark";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Cell, Store } from "../../store";
import {
  aspectOf,
  differenceIn,
  farthest,
  type Inks,
  inksOf,
  pixelsOf as pixelsOfHead,
} from "../grid/pictures";

const [SMALLEST, LARGEST] = [48, 168];
const GAP = 10;
export const CAPTION = 18;
/** Of the height of the view; the rest is the number along the depth. */
const SHARE = 0.65;

export interface Multiples {
  /** Of the canvas. */
  width: number;
  height: number;
  /** Where each layer's map is. */
  places: readonly Plot[];
}

/** As large as all of them fit a picture of ordinary height. */
export function multiplesOf(map: MapFacts, room: number, tallest: number): Multiples {
  const aspect = aspectOf(map);
  const layers = map.heads.length;
  let size = Math.min(LARGEST, room - 6);
  const columnsOf = (wide: number) => Math.max(1, Math.floor((room - 6 + GAP) / (wide + GAP)));
  const heightOf = (wide: number) => Math.round(wide / aspect) + CAPTION + GAP;
  while (size > SMALLEST && Math.ceil(layers / columnsOf(size)) * heightOf(size) > SHARE * tallest) size -= 2;
  // Lines as full as can be.
  const columns = Math.ceil(layers / Math.ceil(layers / columnsOf(size)));
  const [width, height] = [size, Math.round(size / aspect)];
  const places = map.heads.map((_, layer) => ({
    x: 3 + (layer % columns) * (width + GAP),
    y: CAPTION + Math.floor(layer / columns) * (height + CAPTION + GAP),
    width,
    height,
  }));
  const last = places.at(-1)!;
  return { width: columns * (width + GAP) - GAP + 6, height: last.y + height + 4, places };
}

interface Made {
  name: string;
  first: Thumbnails | null;
  pixels: Uint32Array;
}

const made = new WeakMap<Thumbnails, Made>();

/** Cells of one head; made once for as long as its colours, and what it is shown less of, stay. */
function pixelsOf(
  known: Known,
  there: Thumbnails,
  layer: number,
  head: number,
  inks: Inks,
): Uint32Array | null {
  const { ramp, minus } = inks;
  const colours = minus
    ? [minus.colours.negative.at(-1), minus.colours.positive.at(-1)]
    : [ramp.at(0), ramp.at(-1)];
  const name = [head, inks.scale, inks.shared, minus?.map, minus?.end, ...colours].join();
  const first = (minus && known.get(thumbnails(minus.map, layer))) ?? null;
  const before = made.get(there);
  if (before?.name === name && before.first === first) return before.pixels;
  const pixels = pixelsOfHead(known, there, layer, head, inks);
  if (pixels) made.set(there, { name, first, pixels });
  return pixels;
}

const ends = new WeakMap<Thumbnails, { first: Thumbnails | undefined; head: number; end: number }>();

/** The largest difference of any layer that is here; null where weights are shown. */
export function differenceEnd(store: Store, answers: Answers, map: MapFacts): number | null {
  const minus = store.minus.value;
  if (minus === null) return null;
  const head = store.head.value;
  return map.heads.reduce((most, _, layer) => {
    const there = answers.known.get(thumbnails(map.name, layer));
    if (!there) return most;
    const first = answers.known.get(thumbnails(minus, layer));
    const before = ends.get(there);
    if (before?.first === first && before?.head === head) return Math.max(most, before.end);
    const values = differenceIn(answers.known, there, minus, layer, head);
    const end = values ? farthest(values) : 0;
    ends.set(there, { first, head, end });
    return Math.max(most, end);
  }, 0);
}

/** Differences of all layers have one scale: what is next to nothing beside the others is seen to be so. */
function inksFor(store: Store, answers: Answers, map: MapFacts): Inks {
  const inks = inksOf(store);
  const end = differenceEnd(store, answers, map);
  return inks.minus && end !== null ? { ...inks, minus: { ...inks.minus, end } } : inks;
}

/** The map of a layer in an area; a sentence where it has no such head, nothing while it has not come. */
export function* mapMarks(
  store: Store,
  answers: Answers,
  map: MapFacts,
  layer: number,
  area: Plot,
): Generator<Mark> {
  const colours = store.colours.value;
  const head = store.head.value;
  const there = answers.known.get(thumbnails(map.name, layer));
  const middle = { x: area.x + area.width / 2, y: area.y + area.height / 2 };
  if (head >= (map.heads[layer] ?? 0)) {
    yield {
      kind: "text",
      ...middle,
      text: "no such head",
      size: 11,
      anchor: "middle",
      colour: colours.muted,
    };
  } else if (there) {
    const [rows, columns] = there.shape;
    const smooth = Math.max(rows, columns) > Math.max(area.width, area.height);
    const pixels = pixelsOf(answers.known, there, layer, head, inksFor(store, answers, map));
    if (pixels) yield { kind: "pixels", ...area, rows, columns, pixels, smooth };
  }
  const frame = { x: area.x - 0.5, y: area.y - 0.5, width: area.width + 1, height: area.height + 1 };
  yield { kind: "box", ...frame, stroke: colours.line, line: 1 };
}

/** The same row and column in every map: lines along their edges, which leave the cells free, and marks outside. */
export function* crossMarks(
  map: MapFacts,
  areas: readonly Plot[],
  { query, key }: Cell,
  colour: string,
): Generator<Mark> {
  const line = { kind: "box", fill: colour } as const;
  for (const { x, y, width, height } of areas) {
    const [high, wide] = [height / map.n_queries, width / map.n_keys];
    if (query !== null) {
      const top = y + query * high;
      yield { ...line, x: x - 3, y: top, width: 3, height: Math.max(1, high) };
      for (const at of [top - 1, top + high]) yield { ...line, x, y: at, width, height: 1, opacity: 0.6 };
    }
    if (key !== null) {
      const left = x + key * wide;
      yield { ...line, x: left, y: y + height, width: Math.max(1, wide), height: 3 };
      for (const at of [left - 1, left + wide]) yield { ...line, x: at, y, width: 1, height, opacity: 0.6 };
    }
  }
}

/** The layer and the cell under a pixel; null between the maps. */
export function under(
  map: MapFacts,
  areas: readonly Plot[],
  x: number,
  y: number,
): { layer: number; query: number; key: number } | null {
  const layer = areas.findIndex(
    (area) => x >= area.x && x < area.x + area.width && y >= area.y && y < area.y + area.height,
  );
  const area = areas[layer];
  if (!area) return null;
  return {
    layer,
    query: Math.floor(((y - area.y) / area.height) * map.n_queries),
    key: Math.floor(((x - area.x) / area.width) * map.n_keys),
  };
}
