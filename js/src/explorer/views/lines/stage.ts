/** Where everything is: two columns of words, between them the lines, beside them numbers. */
import type { Span } from "../../../attention/raster";
import { labelFont, widest } from "../../../drawing/axes";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";

export type Side = "query" | "key";

/** Longer columns have a window that scrolls. */
const UNSCROLLED = 200;
const PITCH = { least: 13, most: 24, scrolled: 18 };
const TALL = 620;
const WINDOW = 648;
const WIDEST = 720;
const COLUMN = { least: 40, most: 150 };
const NUMBERS = 44;
const SQUARE = 9;
const MARGIN = 6;

export interface Stage {
  width: number;
  /** Of what is in sight, and of all there is to scroll. */
  height: number;
  whole: number;
  scrolls: boolean;
  pitch: number;
  font: number;
  /** Of the two columns of words. */
  column: { query: number; key: number };
  /** Room for numbers at both sides. */
  beside: number;
  left: number;
  right: number;
}

export function stageOf(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  map: MapFacts,
  room: number,
  heads: number,
): Stage {
  const most = Math.max(map.n_queries, map.n_keys);
  const scrolls = most > UNSCROLLED;
  const pitch = scrolls
    ? PITCH.scrolled
    : Math.min(PITCH.most, Math.max(PITCH.least, Math.floor(TALL / most)));
  const font = Math.min(13, pitch - 2);
  const width = Math.min(WIDEST, room);
  const beside = heads > 1 ? Math.max(NUMBERS, Math.min(12, heads) * SQUARE + MARGIN) : NUMBERS;
  pen.font = labelFont(colours, font, 600);
  const roomFor = Math.min(COLUMN.most, width * 0.24);
  const columnOf = (label: number) => Math.round(Math.min(roomFor, Math.max(COLUMN.least, label + 10)));
  const column = { query: columnOf(widest(pen, map.queries)), key: columnOf(widest(pen, keysOf(map))) };
  const whole = most * pitch;
  return {
    ...{ width, whole, scrolls, pitch, font, column, beside },
    height: scrolls ? Math.min(WINDOW, whole) : whole,
    left: beside + column.query + MARGIN,
    right: width - beside - column.key - MARGIN,
  };
}

const countOf = (map: MapFacts, side: Side): number => (side === "query" ? map.n_queries : map.n_keys);

/** How far a column is scrolled: both come to their ends together. */
function shiftOf({ whole, height, pitch }: Stage, map: MapFacts, side: Side, scrolled: number): number {
  const own = Math.max(0, countOf(map, side) * pitch - height);
  return whole > height ? (scrolled / (whole - height)) * own : 0;
}

/** The middle of a word. */
export const yOf = (stage: Stage, map: MapFacts, side: Side, scrolled: number, index: number): number =>
  (index + 0.5) * stage.pitch - shiftOf(stage, map, side, scrolled);

/** Words of a column that are in sight, half-open. */
export function sightOf(stage: Stage, map: MapFacts, side: Side, scrolled: number): Span {
  const shift = shiftOf(stage, map, side, scrolled);
  const from = Math.max(0, Math.floor(shift / stage.pitch + 0.4));
  const to = Math.min(countOf(map, side), Math.ceil((shift + stage.height) / stage.pitch - 0.4));
  return { from, to };
}

/** The word at a place, or the nearest. */
export function wordAt(
  stage: Stage,
  map: MapFacts,
  scrolled: number,
  x: number,
  y: number,
): { side: Side; index: number } | null {
  const side: Side = x < (stage.left + stage.right) / 2 ? "query" : "key";
  const index = Math.floor((y + shiftOf(stage, map, side, scrolled)) / stage.pitch);
  return index >= 0 && index < countOf(map, side) ? { side, index } : null;
}
