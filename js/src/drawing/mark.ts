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
  dashed?: boolean;
}

/** Dash and gap of what is dashed. */
export const DASHES = [5, 3];

/** Little-endian RGBA, row by row; what is transparent shows what is below. */
export interface Pixels extends Plot {
  kind: "pixels";
  rows: number;
  columns: number;
  pixels: Uint32Array;
  /** What of them is seen. */
  clip?: Plot;
  /** Whether they run into each other, as those of a photograph, or have edges however large they are. */
  smooth?: boolean;
  /** Whether each is drawn alone where a picture can be made of shapes. */
  vector?: boolean;
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

export function shifted<T extends Mark>(mark: T, right: number, down: number): T {
  if (mark.kind === "lines") {
    const segments = mark.segments.map(
      ([x1, y1, x2, y2]) => [x1 + right, y1 + down, x2 + right, y2 + down] as const,
    );
    return { ...mark, segments };
  }
  const moved = { ...mark, x: mark.x + right, y: mark.y + down };
  if (mark.kind !== "pixels" || !mark.clip) return moved;
  return { ...moved, clip: { ...mark.clip, x: mark.clip.x + right, y: mark.clip.y + down } };
}
