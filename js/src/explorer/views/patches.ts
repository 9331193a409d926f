/** Patches of a picture and the tokens beside them: where a row's weight is, and what is laid over the picture. */

import type { Picture } from "../../answers/picture";
import { pack } from "../../attention/colour";
import type { Plot } from "../../drawing/geometry";
import type { Mark, Segment } from "../../drawing/mark";
import type { Axis, ImageGrid } from "../../host/facts";
import type { Colours } from "../../host/theme";
import type { PinnedRow, Store } from "../store";

/** So many tokens beside the patches are listed; the rest is summed. */
const LISTED = 24;
/** From so many dots of the screen for one of the picture on, nothing is smoothed. */
const COARSE = 8;

export interface Patch {
  row: number;
  column: number;
}

export const patchAt = ({ columns }: ImageGrid, index: number): Patch => ({
  row: Math.floor(index / columns),
  column: index % columns,
});

export const countOf = ({ rows, columns }: ImageGrid): number => rows * columns;

/** Where the mass of a row is: nothing of it is hidden. */
export interface Mass {
  patches: number;
  /** Index of the patch with the largest weight. */
  strongest: number;
  largest: number;
  /** Positions beside the patches that are listed, in the order of the tokens. */
  others: number[];
  /** How many are not, and what they have together. */
  unlisted: number;
  rest: number;
  /** All beside the patches. */
  beside: number;
  /** What no key of the map got. */
  outside: number;
}

export function massOf(row: PinnedRow, image: ImageGrid): Mass {
  const stop = image.start + countOf(image);
  const weights = row.after;
  let [patches, beside, strongest] = [0, 0, 0];
  const others: number[] = [];
  for (let key = 0; key < weights.length; key++) {
    const weight = weights[key]!;
    if (key >= image.start && key < stop) {
      patches += weight;
      if (weight > weights[image.start + strongest]!) strongest = key - image.start;
    } else if (!row.masked(key)) {
      beside += weight;
      others.push(key);
    }
  }
  const heaviest = [...others].sort((one, other) => weights[other]! - weights[one]!).slice(0, LISTED);
  const listed = heaviest.reduce((sum, key) => sum + weights[key]!, 0);
  return {
    patches,
    strongest,
    largest: weights[image.start + strongest]!,
    others: heaviest.sort((one, other) => one - other),
    unlisted: others.length - heaviest.length,
    rest: beside - listed,
    beside,
    outside: 1 - patches - beside,
  };
}

/** The end of the colours: 1, or the strongest patch, so that a sink beside the picture does not wash it out. */
export const endOfScale = (store: Store, mass: Mass): number =>
  store.traits.color_range.value === "shared" ? 1 : mass.largest || 1;

export interface Layers {
  image: ImageGrid;
  picture: Picture | undefined;
  /** Without a row the picture alone is shown. */
  row: PinnedRow | null;
  largest: number;
  opacity: number;
}

/** The picture, and over it one cell a patch in the colour of its weight. */
export function* patchMarks(store: Store, colours: Colours, area: Plot, layers: Layers): Generator<Mark> {
  const { image, picture, row, largest, opacity } = layers;
  const { rows, columns } = image;
  const cell = (at: number) => {
    const { row: down, column } = patchAt(image, at);
    const [width, height] = [area.width / columns, area.height / rows];
    return { x: area.x + column * width, y: area.y + down * height, width, height };
  };
  if (picture) {
    const size = { rows: picture.height, columns: picture.width };
    // Of a picture of few points each is seen as it is.
    const smooth = area.width < COARSE * picture.width;
    yield { kind: "pixels", ...area, ...size, pixels: pixelsOf(picture), smooth };
  }
  if (row) {
    const pixels = new Uint32Array(countOf(image));
    const tint = store.tint.value;
    const hidden: number[] = [];
    for (let at = 0; at < pixels.length; at++) {
      if (row.masked(image.start + at)) hidden.push(at);
      else pixels[at] = pack(tint(row.after[image.start + at]!, largest));
    }
    const over = picture ? opacity : 1;
    yield { kind: "pixels", ...area, rows, columns, pixels, vector: true, opacity: over };
    for (const at of hidden) yield { kind: "box", ...cell(at), hatched: colours.hatch };
  }
  if (picture) return;
  const { x, y, width, height } = area;
  const [right, bottom] = [x + width, y + height];
  const segments: Segment[] = [];
  for (let down = 0; down <= rows; down++) {
    const at = Math.min(bottom - 0.5, y + Math.round((down * height) / rows) + 0.5);
    segments.push([x, at, right, at]);
  }
  for (let across = 0; across <= columns; across++) {
    const at = Math.min(right - 0.5, x + Math.round((across * width) / columns) + 0.5);
    segments.push([at, y, at, bottom]);
  }
  yield { kind: "lines", segments, colour: colours.line, line: 1 };
}

const unpacked = new WeakMap<Picture, Uint32Array>();

/** A picture is unpacked once, however often the weights over it change. */
function pixelsOf(picture: Picture): Uint32Array {
  const known = unpacked.get(picture);
  if (known) return known;
  const { pixels, width, height } = picture;
  const cells = Uint32Array.from({ length: width * height }, (_, at) =>
    pack([pixels[3 * at]!, pixels[3 * at + 1]!, pixels[3 * at + 2]!]),
  );
  unpacked.set(picture, cells);
  return cells;
}

/** A patch in words. */
export function patchName(image: ImageGrid, index: number): string {
  const { row, column } = patchAt(image, index);
  return `row ${row}, column ${column}`;
}

/** The patch of a position; null where it is none. */
export function patchOf(axis: Axis, position: number | null): number | null {
  const { image } = axis;
  if (!image || position === null) return null;
  const index = position - image.start;
  return index >= 0 && index < countOf(image) ? index : null;
}
