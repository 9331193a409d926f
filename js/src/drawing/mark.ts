/** What pictures are made of, on the screen and on paper: placed once, and painted by whoever paints. Units are CSS pixels. */
import type { Plot } from "./geometry";

/** A line of text, in the middle of its height at y. */
export interface Lettering {
  kind: "text";
  x: number;
  y: number;
  text: string;
  size: number;
  colour: string;
  anchor?: "start" | "middle" | "end";
  weight?: number;
  italic?: boolean;
  opacity?: number;
  /** Runs upwards. */
  turned?: boolean;
}

/** A rectangle, filled, or drawn around, or both. */
export interface Box extends Plot {
  kind: "box";
  fill?: string;
  /** Fine diagonal lines of a colour: the sign of what a query may not see. */
  hatched?: string;
  /** Colours from left to right. */
  ramp?: readonly string[];
  stroke?: string;
  line?: number;
  opacity?: number;
  radius?: number;
}

export type Segment = readonly [x1: number, y1: number, x2: number, y2: number];

export interface Lines {
  kind: "lines";
  segments: readonly Segment[];
  colour: string;
  line: number;
  opacity?: number;
}

/** Little-endian RGBA, row by row; what is transparent shows what is below. */
export interface Pixels extends Plot {
  kind: "pixels";
  rows: number;
  columns: number;
  pixels: Uint32Array;
  /** What of them is seen. */
  clip?: Plot;
  /** Whether each is a cell of a map, which has edges however large it is. */
  cells: boolean;
  opacity?: number;
}

export type Mark = Lettering | Box | Lines | Pixels;

/** The part of a rectangle that is inside another; null where there is none. */
export function inside(one: Plot, other: Plot): Plot | null {
  const x = Math.max(one.x, other.x);
  const y = Math.max(one.y, other.y);
  const width = Math.min(one.x + one.width, other.x + other.width) - x;
  const height = Math.min(one.y + one.height, other.y + other.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}
