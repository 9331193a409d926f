/** Lines and numbers as marks, for the screen and for paper. */
import { css, position } from "../../../attention/colour";
import { coloursOf, paletteOf } from "../../../attention/palette";
import type { Mark, Segment } from "../../../drawing/mark";
import type { MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import type { HeadMap } from "./maps";
import type { Line, Wanted } from "./picked";
import { type Side, type Stage, yOf } from "./stage";

/** Lines of one look are drawn at once. */
const LEVELS = 16;
const WIDTH = { least: 0.6, most: 3 };
const FAINTEST = 0.14;
const ALONE = 0.35;
/** Weights below it are not written out. */
const WRITTEN = 0.005;
const SQUARE = 9;
/** A paler square is not seen. */
const SEEN = 0.04;

/** How lines look: where a weight falls on the scale, and the colour of each head. */
export interface Look {
  /** 0 to 1; below 0 where a weight is hidden. */
  place(weight: number, map: HeadMap, query: number): number;
  colour(at: number, place: number, less: boolean): string;
}

export function lookOf(store: Store, maps: readonly HeadMap[], heads: readonly number[]): Look {
  const { color_scale, color_range, threshold } = store.traits;
  const [scale, range, least] = [color_scale.value, color_range.value, threshold.value];
  const own = maps.reduce((most, { largest }) => Math.max(most, largest), 1e-12);
  const single = heads.length === 1 ? store.paint.value : null;
  const largest = range === "shared" ? 1 : single?.of === "map" ? single.largest : own;
  const { positive, negative } = store.diverging.value;
  const rampOf = (less: boolean) =>
    store.compared.value !== "difference" ? store.ramp.value : less ? negative : positive;
  const ramps = [rampOf(false), rampOf(true)] as const;
  const palette = paletteOf(store.colours.value.dark);
  const colours = coloursOf(heads).map((colour) => palette[colour]!);
  return {
    place(weight, { tile, ofRows }, query) {
      const end = range === "row" ? ofRows[query - tile.rows[0]] || 1 : largest;
      const size = Math.abs(weight);
      const hidden = (range === "row" ? size / end : size) < least;
      return hidden ? -1 : position(size, end, scale);
    },
    colour: (at, place, less) => {
      const ramp = ramps[less ? 1 : 0];
      return heads.length === 1 ? css(ramp[Math.round(place * (ramp.length - 1))]!) : colours[at]!;
    },
  };
}

/** What is too faint to be seen is no line. */
export const showsOf =
  (look: Look): Wanted["shows"] =>
  (weight, map, query) =>
    look.place(weight, map, query) >= 0;

export interface Placed {
  stage: Stage;
  map: MapFacts;
  scrolled: number;
}

/** The part of a line that is in the window; null where none is. */
function cut([x1, y1, x2, y2]: Segment, height: number): Segment | null {
  if (Math.max(y1, y2) < 0 || Math.min(y1, y2) > height) return null;
  const at = (y: number) => x1 + ((y - y1) / (y2 - y1)) * (x2 - x1);
  const end = (x: number, y: number) => (y < 0 ? [at(0), 0] : y > height ? [at(height), height] : [x, y]);
  const [[ax, ay], [bx, by]] = [end(x1, y1), end(x2, y2)];
  return [ax!, ay!, bx!, by!];
}

/** Lines from the faintest to the strongest. */
export function* lineMarks(
  { stage, map, scrolled }: Placed,
  look: Look,
  maps: readonly HeadMap[],
  heads: readonly number[],
  lines: readonly Line[],
  /** Whether these are the lines of few words, of which the faintest are to be seen too. */
  alone = false,
): Generator<Mark> {
  const least = alone ? ALONE : FAINTEST;
  const bundles = new Map<number, Segment[]>();
  // A bundle for each level, head and sign.
  const kinds = 2 * maps.length;
  for (const { query, key, at, weight } of lines) {
    const level = Math.min(LEVELS - 1, Math.floor(look.place(weight, maps[at]!, query) * LEVELS));
    const name = level * kinds + 2 * at + (weight < 0 ? 1 : 0);
    const segments = bundles.get(name) ?? [];
    if (segments.length === 0) bundles.set(name, segments);
    const ends = [yOf(stage, map, "query", scrolled, query), yOf(stage, map, "key", scrolled, key)] as const;
    const segment = cut([stage.left, ends[0], stage.right, ends[1]], stage.height);
    if (segment) segments.push(segment);
  }
  for (const name of [...bundles.keys()].sort((one, other) => one - other)) {
    const at = Math.floor((name % kinds) / 2);
    const less = name % 2 === 1;
    const place = (Math.floor(name / kinds) + 0.5) / LEVELS;
    yield {
      kind: "lines",
      segments: bundles.get(name)!,
      colour: look.colour(heads.indexOf(maps[at]!.head), alone ? ALONE + (1 - ALONE) * place : place, less),
      line: alone ? Math.max(1, WIDTH.most * place) : WIDTH.least + (WIDTH.most - WIDTH.least) * place,
      opacity: least + (1 - least) * place,
      dashed: less,
    };
  }
}

/** Two places, without the zero before the point. */
function numberSaid(weight: number, { signed }: HeadMap): string {
  const size = Math.abs(weight).toFixed(2).replace(/^0\./, ".");
  return signed ? `${weight < 0 ? "−" : "+"}${size}` : size;
}

/** What each of the words at the other ends gets or gives: numbers of one head, squares of several. */
export function* weightMarks(
  store: Store,
  { stage, map, scrolled }: Placed,
  look: Look,
  maps: readonly HeadMap[],
  heads: readonly number[],
  side: Side,
  lines: readonly Line[],
): Generator<Mark> {
  const other: Side = side === "query" ? "key" : "query";
  const { muted, text } = store.colours.value;
  for (const { query, key, at, weight } of lines) {
    if (Math.abs(store.weighing.scaled(weight)) < WRITTEN) continue;
    const index = side === "query" ? key : query;
    const y = yOf(stage, map, other, scrolled, index);
    if (y < 0 || y > stage.height) continue;
    const place = look.place(weight, maps[at]!, query);
    if (heads.length === 1) {
      const x = other === "key" ? stage.width : 0;
      const anchor = other === "key" ? "end" : "start";
      const size = Math.min(11, stage.font);
      const colour = place > 0.25 ? text : muted;
      yield {
        kind: "text",
        x,
        y,
        text: numberSaid(store.weighing.scaled(weight), maps[at]!),
        size,
        anchor,
        colour,
      };
    } else {
      const head = heads.indexOf(maps[at]!.head);
      if (head >= 12 || place < SEEN) continue;
      const x = other === "key" ? stage.width - stage.beside + 4 + head * SQUARE : head * SQUARE;
      const box = { x, y: y - SQUARE / 2 + 0.5, width: SQUARE - 1, height: SQUARE - 1 };
      yield { kind: "box", ...box, fill: look.colour(head, place, false), opacity: Math.max(0.2, place) };
    }
  }
}
