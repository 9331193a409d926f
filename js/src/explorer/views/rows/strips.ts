/** Rows of all heads from one query, one under the other: where they stand, and their cells. */
import { type HeadRows, rows as rowsOf } from "../../../answers/rows";
import { colourOf, css, pack, signedColourOf } from "../../../attention/colour";
import { labelFont, widest } from "../../../drawing/axes";
import { fontOf } from "../../../drawing/canvas";
import type { Plot } from "../../../drawing/geometry";
import type { Mark } from "../../../drawing/mark";
import { elide, readable } from "../../../drawing/words";
import { headNumber, keysOf, layerNumber, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { farthest, type Inks, inksOf } from "../grid/pictures";
import type { HeadPlace } from "../grid/ranking";

const LEFT = 58;
const RIGHT = 8;
const SIZE = 11;
const TALLEST_LABEL = 96;
const UPRIGHT = 20;
const WIDEST_KEY = 64;
/** Between two layers. */
const APART = 6;
const [LEAST, MOST] = [4, 14];
/** Keys above, and what is said below. */
export const AROUND = 120;

export interface Strips {
  width: number;
  height: number;
  /** Of the axis of keys, which stands above. */
  top: number;
  plot: Plot;
  /** Pixels of a key across, and of a head down. */
  key: number;
  line: number;
  upright: boolean;
  yOf: (layer: number, head: number) => number;
  /** The head so many after another. */
  after: (place: HeadPlace, by: number) => HeadPlace;
}

export function stageOf(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  map: MapFacts,
  room: number,
  tallest: number,
): Strips {
  pen.font = labelFont(colours, SIZE, 600);
  const key = Math.min(WIDEST_KEY, Math.max(40, room - LEFT - RIGHT) / map.n_keys);
  const label = widest(pen, keysOf(map));
  const upright = label + 6 <= key;
  const heads = map.heads.reduce((sum, count) => sum + count, 0);
  const line = Math.max(
    LEAST,
    Math.min(MOST, Math.floor((tallest - AROUND - APART * map.heads.length) / heads)),
  );
  const tops: number[] = [];
  let height = 2;
  for (const count of map.heads) {
    tops.push(height);
    height += count * line + APART;
  }
  const places = map.heads.flatMap((count, layer) =>
    Array.from({ length: count }, (_, head) => ({ layer, head })),
  );
  const plot = { x: LEFT, y: 0, width: key * map.n_keys, height };
  return {
    width: LEFT + plot.width + RIGHT,
    height,
    top: upright ? UPRIGHT : Math.min(TALLEST_LABEL, label + 12),
    plot,
    key,
    line,
    upright,
    yOf: (layer, head) => (tops[layer] ?? 0) + head * line,
    after: ({ layer, head }, by) => {
      const at = places.findIndex((place) => place.layer === layer && place.head === head) + by;
      return places[Math.min(Math.max(0, at), places.length - 1)]!;
    },
  };
}

export function headAt({ yOf, line }: Strips, map: MapFacts, y: number): HeadPlace | null {
  for (const [layer, count] of map.heads.entries()) {
    const head = Math.floor((y - yOf(layer, 0)) / line);
    if (head >= 0 && head < count) return { layer, head };
  }
  return null;
}

export function keyAt({ plot, key }: Strips, map: MapFacts, x: number): number | null {
  const at = Math.floor((x - plot.x) / key);
  return at >= 0 && at < map.n_keys ? at : null;
}

/** The rows of a layer, and those of the other run where the difference of two is shown. */
export interface LayerRows {
  rows: HeadRows;
  first: HeadRows | null;
}

/** What is known of a layer; null while something of it has not come, or where the other run has other cells. */
export function rowsIn(
  store: Store,
  answers: Answers,
  map: MapFacts,
  layer: number,
  query: number,
): LayerRows | null {
  const rows = answers.known.get(rowsOf(map.name, layer, query));
  const minus = store.minus.value;
  if (!rows || minus === null) return rows ? { rows, first: null } : null;
  const first = answers.known.get(rowsOf(minus, layer, query));
  return first && String(first.shape) === String(rows.shape) ? { rows, first } : null;
}

const weightAt = ({ values }: HeadRows, cell: number): number => (values[cell]! / 65535) ** 2;

/** The weights of one head, or what they are more than those of the other run. */
export function valuesOf({ rows, first }: LayerRows, head: number): Float32Array {
  const cells = rows.shape[1];
  return Float32Array.from({ length: cells }, (_, at) => {
    const cell = head * cells + at;
    return weightAt(rows, cell) - (first ? weightAt(first, cell) : 0);
  });
}

/** The largest difference of any head that is here; null where weights are shown. */
export function differenceEnd(store: Store, answers: Answers, map: MapFacts, query: number): number | null {
  if (store.minus.value === null) return null;
  const ends = map.heads.flatMap((heads, layer) => {
    const known = rowsIn(store, answers, map, layer, query);
    return Array.from({ length: known ? heads : 0 }, (_, head) => farthest(valuesOf(known!, head)));
  });
  return Math.max(0, ...ends);
}

const made = new WeakMap<HeadRows, { name: string; first: HeadRows | null; pixels: Uint32Array }>();

/** The cells of all heads of a layer; made once for as long as their colours stay. */
function pixelsOf(layer: LayerRows, { ramp, scale, shared, minus }: Inks, end: number | null): Uint32Array {
  const { rows, first } = layer;
  const ways = first && minus ? minus.colours : null;
  const ends = ways ? [ways.negative.at(-1), ways.positive.at(-1)] : [ramp.at(0), ramp.at(-1)];
  const name = [scale, shared, end, ...ends].join();
  const before = made.get(rows);
  if (before?.name === name && before.first === first) return before.pixels;
  const [heads, cells] = rows.shape;
  const pixels = new Uint32Array(heads * cells);
  for (let head = 0; head < heads; head++) {
    const values = valuesOf(layer, head);
    const largest = shared ? 1 : (end ?? rows.peak[head]) || 1;
    for (const [at, value] of values.entries()) {
      const colour = ways
        ? signedColourOf(ways, value, largest, scale)
        : colourOf(ramp, value, largest, scale);
      pixels[head * cells + at] = pack(colour);
    }
  }
  made.set(rows, { name, first, pixels });
  return pixels;
}

/** The strips between two heights, with the numbers of their layers and heads. */
export function* stripMarks(
  store: Store,
  answers: Answers,
  map: MapFacts,
  stage: Strips,
  query: number,
  seen: { from: number; to: number },
): Generator<Mark> {
  const colours = store.colours.value;
  const { plot, line, yOf } = stage;
  const inks = inksOf(store);
  // Differences of all heads have one scale: what is next to nothing beside the others is seen to be so.
  const end = differenceEnd(store, answers, map, query);
  const [chosenLayer, chosenHead] = [store.layer.value, store.head.value];
  const every = Math.ceil((SIZE + 1) / line);
  for (const [layer, heads] of map.heads.entries()) {
    const [y, height] = [yOf(layer, 0), heads * line];
    if (y > seen.to || y + height < seen.from || heads === 0) continue;
    const area = { x: plot.x, y, width: plot.width, height };
    const known = rowsIn(store, answers, map, layer, query);
    // No head sees them; what single heads may not see looks as if it got nothing.
    const hidden = map.causal && !map.keys ? map.n_keys - query - 1 : 0;
    const beyond = { x: plot.x + (map.n_keys - hidden) * stage.key, y, width: hidden * stage.key, height };
    if (known) {
      const [rows, cells] = known.rows.shape;
      const wide = (plot.width * cells * known.rows.stride) / map.n_keys;
      const pixels = { rows, columns: cells, pixels: pixelsOf(known, inks, end), clip: area };
      yield { kind: "pixels", ...area, width: wide, ...pixels, smooth: cells > plot.width };
    }
    if (hidden > 0) {
      yield { kind: "box", ...beyond, fill: css(colours.surface) };
      yield { kind: "box", ...beyond, hatched: colours.hatch };
    }
    yield {
      kind: "box",
      x: plot.x - 0.5,
      y: y - 0.5,
      width: plot.width + 1,
      height: height + 1,
      stroke: colours.line,
      line: 1,
    };
    const look = layer === chosenLayer ? { weight: 600, colour: colours.text } : { colour: colours.muted };
    const name = { text: `L${layerNumber(map, layer)}`, size: SIZE, anchor: "end" as const };
    yield { kind: "text", x: LEFT - 26, y: y + Math.min(height, 14) / 2, ...name, ...look };
    for (let head = 0; head < heads; head++) {
      const chosen = layer === chosenLayer && head === chosenHead;
      const crowded = layer === chosenLayer && Math.abs(head - chosenHead) < every;
      if (!chosen && (head % every !== 0 || crowded || head + every > heads + every / 2)) continue;
      const text = { text: String(headNumber(map, layer, head)), size: Math.min(SIZE, Math.max(9, line)) };
      const colour = chosen ? { weight: 600, colour: colours.accentText } : { colour: colours.muted };
      yield { kind: "text", x: LEFT - 6, y: yOf(layer, head) + line / 2, anchor: "end", ...text, ...colour };
    }
    if (layer !== chosenLayer) continue;
    const frame = { x: plot.x - 1, y: yOf(layer, chosenHead) - 1, width: plot.width + 2, height: line + 2 };
    yield { kind: "box", ...frame, stroke: colours.accentText, line: 2 };
  }
}

/** The keys above the strips: as many as can be read, and those that are pinned or pointed at. */
export function* tokenMarks(
  pen: CanvasRenderingContext2D,
  { plot, key, top, upright }: Strips,
  map: MapFacts,
  colours: Colours,
  { hover, pin }: { hover: number | null; pin: number | null },
): Generator<Mark> {
  const axis = keysOf(map);
  const every = upright ? 1 : Math.ceil((SIZE + 1) / key);
  const lit = [pin, hover].filter((one): one is number => one !== null && one < axis.labels.length);
  const special = new Set(axis.special);
  const shown = new Set(lit);
  for (let at = 0; at < axis.labels.length; at += every) {
    if (!lit.some((other) => Math.abs(other - at) < every)) shown.add(at);
  }
  for (const at of shown) {
    const strong = lit.includes(at);
    const colour =
      at === pin ? colours.accentText : strong || !special.has(at) ? colours.text : colours.muted;
    const look = { size: SIZE, weight: strong ? 600 : 400 };
    pen.font = fontOf(colours.font, look);
    const x = plot.x + (at + 0.5) * key;
    const text = elide(pen, readable(axis.labels[at] ?? ""), upright ? Math.max(key, 40) : top - 10);
    if (upright) yield { kind: "text", x, y: top - 9, text, anchor: "middle", colour, ...look };
    else yield { kind: "text", x, y: top - 5, text, turned: true, colour, ...look };
  }
}
