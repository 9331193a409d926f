/** Queries and keys in a plane as marks: where they stand, and what is lit, on the screen and on paper. */
import { type Signal, signal } from "@preact/signals";
import type { Plane } from "../../../answers/plane";
import { css } from "../../../attention/colour";
import { fontOf } from "../../../drawing/canvas";
import type { Mark, Segment } from "../../../drawing/mark";
import { bracketed } from "../../../drawing/naming";
import { elide, exact, quoted, readable, shortened, wrapped } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Cell, Store } from "../../store";

/** A lower rank correlation says that distances say little about scores. */
export const READABLE = 0.5;
const UNREADABLE = "Not readable: distance in this picture says little about the scores of this head.";
const PADDING = 22;
const FEW = 400;
const LABEL = { size: 11, weight: 500 };
const LONGEST = 130;
/** So many partners of a point are drawn to, as far as they get this share of the largest weight. */
const PARTNERS = 5;
const LEAST = 0.04;

/** A point of a plane: which of its queries or keys. */
export interface Point {
  of: "queries" | "keys";
  /** Among the points, which of a long map are not all tokens. */
  at: number;
}

export type Placing = (x: number, y: number) => [x: number, y: number];

/** All points in a square, both axes in one scale. */
export function placing({ queries, keys }: Plane, side: number, padding = PADDING): Placing {
  const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const points of [queries, keys]) {
    for (let at = 0; at < points.length; at++) {
      const value = points[at]!;
      if (!Number.isFinite(value)) continue;
      low[at % 2] = Math.min(low[at % 2]!, value);
      high[at % 2] = Math.max(high[at % 2]!, value);
    }
  }
  const span = Math.max(high[0]! - low[0]!, high[1]! - low[1]!);
  const scale = span > 0 && Number.isFinite(span) ? (side - 2 * padding) / span : 0;
  const middle = [0, 1].map((axis) => (scale === 0 ? 0 : (low[axis]! + high[axis]!) / 2)) as [number, number];
  return (x, y) => [side / 2 + (x - middle[0]) * scale, side / 2 - (y - middle[1]) * scale];
}

const xyOf = (plane: Plane, { of, at }: Point, place: Placing): [number, number] =>
  place(plane[of][2 * at]!, plane[of][2 * at + 1]!);

/** The point of a token; null where a long map has none for it. */
export function pointOf(plane: Plane, of: Point["of"], token: number | null): Point | null {
  if (token === null) return null;
  const places = of === "queries" ? plane.queryAt : plane.keyAt;
  const at = places[token] === token ? token : places.indexOf(token);
  return at >= 0 ? { of, at } : null;
}

export const tokenOf = (plane: Plane, { of, at }: Point): number =>
  (of === "queries" ? plane.queryAt : plane.keyAt)[at]!;

/** The point nearest to a place, if it is near. */
export function nearest(plane: Plane, place: Placing, x: number, y: number, within: number): Point | null {
  let best: Point | null = null;
  let least = within * within;
  for (const of of ["queries", "keys"] as const) {
    for (let at = 0; 2 * at < plane[of].length; at++) {
      const [px, py] = xyOf(plane, { of, at }, place);
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [{ of, at }, far];
    }
  }
  return best;
}

/** A query is a disc, a key a hollow square. */
function shape({ of }: Point, x: number, y: number, size: number, colour: string): Mark {
  if (of === "queries") {
    const area = { x: x - size, y: y - size, width: 2 * size, height: 2 * size };
    return { kind: "box", ...area, radius: size, fill: colour };
  }
  const half = size * 0.9;
  const area = { x: x - half, y: y - half, width: 2 * half, height: 2 * half };
  return { kind: "box", ...area, stroke: colour, line: Math.min(1.25, size / 2.4) };
}

/** The colour of a token by its position: from pale to dark along the text, never as pale as the surface. */
function byPosition(store: Store, token: number, count: number): string {
  const ramp = store.ramp.value;
  const share = 0.3 + 0.7 * (count > 1 ? token / (count - 1) : 1);
  return css(ramp[Math.round(share * (ramp.length - 1))]!);
}

export interface Looks {
  size: number;
  /** Whether colours tell positions; else whether a point is a query or a key. */
  positions: boolean;
}

export const sizeOf = ({ queries, keys }: Plane, side: number): number =>
  (queries.length + keys.length > 4 * FEW ? 2 : 3.5) * (side < 200 ? 0.5 : 1);

export function pointMarks(
  store: Store,
  colours: Colours,
  map: MapFacts,
  plane: Plane,
  place: Placing,
  { size, positions }: Looks,
): Mark[] {
  const marks: Mark[] = [];
  const opacity = plane.correlation >= READABLE ? 1 : 0.55;
  for (const of of ["keys", "queries"] as const) {
    const count = of === "queries" ? map.n_queries : map.n_keys;
    const own = of === "queries" ? colours.accentText : colours.muted;
    for (let at = 0; 2 * at < plane[of].length; at++) {
      const [x, y] = xyOf(plane, { of, at }, place);
      if (!Number.isFinite(x + y)) continue;
      const colour = positions ? byPosition(store, tokenOf(plane, { of, at }), count) : own;
      marks.push({ ...shape({ of, at }, x, y, size, colour), opacity });
    }
  }
  return marks;
}

/** What is said across the picture where distances cannot be read. */
export function verdictMarks(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  plane: Plane,
  side: number,
): Mark[] {
  if (!(plane.correlation < READABLE)) return [];
  pen.font = fontOf(colours.font, { size: 12, weight: 600 });
  return wrapped(pen, UNREADABLE, side - 24).map((text, line) => ({
    kind: "text",
    x: 12,
    y: 14 + 16 * line,
    text,
    size: 12,
    weight: 600,
    colour: colours.text,
  }));
}

/** What is pointed at or pinned, and the points it has most to do with. */
export interface Lit {
  from: Point;
  partners: { point: Point; weight: number }[];
  /** Why its query has no weights. */
  lacks?: string;
}

export function litIn(store: Store, plane: Plane): Lit | null {
  const {
    hover: { value: hover },
    pin: { value: pin },
  } = store;
  const cell = hover ?? pin;
  const query = pointOf(plane, "queries", cell.query);
  const key = pointOf(plane, "keys", cell.key);
  const weight = (one: number, other: number): number => {
    const row = store.pinned.value;
    if (row?.query === one) return row.masked(other) ? 0 : row.after[other]!;
    return store.drawn.value?.tile.exact ? (store.weight(one, other) ?? 0) : 0;
  };
  const from = query ?? key;
  if (!from) return null;
  const row = store.pinned.value;
  if (query && row?.lacks && tokenOf(plane, query) === row.query)
    return { from, partners: [], lacks: row.lacks };
  const of = from.of === "queries" ? "keys" : "queries";
  const token = tokenOf(plane, from);
  const partners = Array.from({ length: plane[of].length / 2 }, (_, at) => {
    const point: Point = { of, at };
    const other = tokenOf(plane, point);
    return { point, weight: of === "keys" ? weight(token, other) : weight(other, token) };
  });
  // The other end of a chosen cell comes first, however light it is.
  const chosen = query && key ? partners[key.at] : undefined;
  partners.sort((one, other) => other.weight - one.weight);
  const least = LEAST * (partners[0]?.weight ?? 0);
  const heaviest = partners.filter((one) => one !== chosen && one.weight > 0 && one.weight >= least);
  return { from, partners: [...(chosen ? [chosen] : []), ...heaviest].slice(0, PARTNERS) };
}

export function litMarks(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  map: MapFacts,
  plane: Plane,
  place: Placing,
  { from, partners }: Lit,
  side: number,
  size: number,
): Mark[] {
  const [x, y] = xyOf(plane, from, place);
  if (!Number.isFinite(x + y)) return [];
  const marks: Mark[] = [];
  const ends = partners.map(({ point, weight }) => ({ point, weight, at: xyOf(plane, point, place) }));
  for (const { at, weight } of ends) {
    const segment: Segment = [x, y, ...at];
    marks.push({
      kind: "lines",
      segments: [segment],
      colour: colours.accentText,
      line: 0.75 + 4 * weight,
      opacity: 0.35 + 0.65 * weight,
    });
  }
  const [points, names]: [Mark[], Mark[]] = [[], []];
  const taken: { x: number; y: number; width: number }[] = [];
  for (const [one, [px, py]] of [
    [from, [x, y]] as const,
    ...ends.map(({ point, at }) => [point, at] as const),
  ]) {
    points.push(shape(one, px, py, size + 2, colours.text));
    pen.font = fontOf(colours.font, LABEL);
    const labels = one.of === "queries" ? map.queries.labels : keysOf(map).labels;
    const text = elide(pen, shortened(readable(labels[tokenOf(plane, one)] ?? "")), LONGEST);
    const width = pen.measureText(text).width;
    const left = Math.max(2, Math.min(px + 8 + width > side ? px - 8 - width : px + 8, side - width - 2));
    // A name that would lie on another is left to the words below.
    const over = taken.some(
      (other) => Math.abs(other.y - py) < 13 && left < other.x + other.width && other.x < left + width,
    );
    if (over) continue;
    taken.push({ x: left, y: py, width });
    const back = { x: left - 2, y: py - 8, width: width + 4, height: 16 };
    marks.push({ kind: "box", ...back, fill: css(colours.surface), opacity: 0.85 });
    const bold = one === from ? 600 : LABEL.weight;
    names.push({ kind: "text", x: left, y: py, text, ...LABEL, weight: bold, colour: colours.text });
  }
  return [...marks, ...points, ...names];
}

/** Whether colours tell positions, by store: a person's own choice, of this view alone. */
const byPositions = new WeakMap<Store, Signal<boolean>>();

export function positionsIn(store: Store): Signal<boolean> {
  const known = byPositions.get(store) ?? signal(false);
  byPositions.set(store, known);
  return known;
}

/** What is pinned and not among the points of a long text, in a sentence. */
export function missingIn(map: MapFacts, plane: Plane, { query, key }: Cell): string | null {
  const token = query ?? key;
  if (token === null) return null;
  const [axis, noun, drawn] =
    query === null
      ? ([keysOf(map), "Key", plane.keyAt] as const)
      : ([map.queries, "Query", plane.queryAt] as const);
  const name = `${noun} ${quoted(axis.labels[token])} at ${token}`;
  return `${name} is pinned, and is none of the ${drawn.length.toLocaleString("en")} that are drawn.`;
}

/** What is lit, in a sentence. */
export function inWords(map: MapFacts, plane: Plane, { from, partners, lacks }: Lit): string {
  const name = ({ of, at }: Point) => {
    const axis = of === "queries" ? map.queries : keysOf(map);
    const token = tokenOf(plane, { of, at });
    return `${quoted(axis.labels[token])} at ${token}${bracketed(axis, token)}`;
  };
  if (lacks) return `Query ${name(from)}. ${lacks}`;
  const list = partners.map(({ point, weight }) => `${name(point)}: ${exact(weight)}`).join(", ");
  if (from.of === "queries") return `Query ${name(from)}${list ? ` looks at ${list}` : ""}.`;
  return `Key ${name(from)}${list ? ` is looked at most by ${list}` : ""}.`;
}
