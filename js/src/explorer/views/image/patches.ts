/** Patches of pictures and the tokens beside them: where a row's weight is, and what is laid over a picture. */

import type { Picture } from "../../../answers/picture";
import { type HeadRows, weightIn } from "../../../answers/rows";
import { pack, position } from "../../../attention/colour";
import type { Plot } from "../../../drawing/geometry";
import type { Mark, Segment } from "../../../drawing/mark";
import { type Axis, type ImageGrid, imagesOf } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { PinnedRow } from "../../pinned";
import type { Store } from "../../store";

/** So many tokens beside the patches are listed; the rest is summed. */
const LISTED = 24;
/** From so many dots of the screen for one of the picture on, nothing is smoothed. */
const COARSE = 8;

export interface Patch {
  row: number;
  column: number;
}

/** A patch of one of several pictures. */
export interface Placed {
  image: number;
  at: number;
}

export const patchAt = ({ columns }: ImageGrid, index: number): Patch => ({
  row: Math.floor(index / columns),
  column: index % columns,
});

export const countOf = ({ rows, columns }: ImageGrid): number => rows * columns;

/** Position of a patch; -1 where no token stands for it. */
export const positionOf = ({ places, start }: ImageGrid, at: number): number =>
  places ? places[at]! : start + at;

const placed = new WeakMap<Axis, ReadonlyMap<number, Placed>>();

/** The patches of an axis by their positions. */
function placesOf(axis: Axis): ReadonlyMap<number, Placed> {
  const known = placed.get(axis);
  if (known) return known;
  const found = new Map<number, Placed>();
  for (const [image, grid] of imagesOf(axis).entries()) {
    for (let at = 0; at < countOf(grid); at++) {
      const place = positionOf(grid, at);
      if (place >= 0) found.set(place, { image, at });
    }
  }
  placed.set(axis, found);
  return found;
}

/** The patch of a position, and which picture it is of; null where it is none. */
export const patchOf = (axis: Axis, place: number | null): Placed | null =>
  place === null ? null : (placesOf(axis).get(place) ?? null);

/** How many tokens of an axis are patches. */
export const patchesIn = (axis: Axis): number => placesOf(axis).size;

/** Where the mass of a row is: nothing of it is hidden. */
export interface Mass {
  /** On all patches, and on those of each picture. */
  patches: number;
  each: number[];
  /** The patch with the largest weight. */
  strongest: Placed;
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

export function massOf(row: Pick<PinnedRow, "shown" | "signed" | "masked">, axis: Axis): Mass {
  const weights = row.shown;
  const places = placesOf(axis);
  const each = imagesOf(axis).map(() => 0);
  let [patches, beside, largest] = [0, 0, -1];
  let strongest: Placed = { image: 0, at: 0 };
  const others: number[] = [];
  for (let key = 0; key < weights.length; key++) {
    const weight = weights[key]!;
    const patch = places.get(key);
    if (patch) {
      patches += weight;
      each[patch.image]! += weight;
      if (Math.abs(weight) > largest) [largest, strongest] = [Math.abs(weight), patch];
    } else if (!row.masked(key)) {
      beside += weight;
      others.push(key);
    }
  }
  const heaviest = [...others]
    .sort((one, other) => Math.abs(weights[other]!) - Math.abs(weights[one]!))
    .slice(0, LISTED);
  const listed = heaviest.reduce((sum, key) => sum + weights[key]!, 0);
  return {
    patches,
    each,
    strongest,
    largest: Math.max(0, largest),
    others: heaviest.sort((one, other) => one - other),
    unlisted: others.length - heaviest.length,
    rest: beside - listed,
    beside,
    outside: (row.signed ? 0 : 1) - patches - beside,
  };
}

/** The end of the colours: 1, or the strongest patch, so that a sink beside the picture does not wash it out. */
export const endOfScale = (store: Store, mass: Mass): number =>
  store.traits.color_range.value === "shared" ? 1 : mass.largest || 1;

export interface Layers {
  image: ImageGrid;
  picture: Picture | undefined;
  /** What each patch got, by its position; null where it may not be seen. Without it the picture alone is shown. */
  weightOf: ((place: number) => number | null) | null;
  largest: number;
  opacity: number;
}

/** What a row gives to a position. */
export const weightsOf =
  (row: PinnedRow) =>
  (place: number): number | null =>
    row.masked(place) ? null : row.shown[place]!;

/** A picture, and over it one cell a patch: the more weight, the less of the picture is seen. */
export function* patchMarks(store: Store, colours: Colours, area: Plot, layers: Layers): Generator<Mark> {
  const { image, picture, weightOf, opacity } = layers;
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
  if (weightOf) {
    const { pixels, hidden } = veil(store, layers, weightOf);
    yield { kind: "pixels", ...area, rows, columns, pixels, vector: true, opacity: picture ? opacity : 1 };
    for (const at of hidden) yield { kind: "box", ...cell(at), hatched: colours.hatch };
  }
  if (!picture) yield { kind: "lines", segments: edges(area, rows, columns), colour: colours.line, line: 1 };
}

/** The colour of each patch, over a picture as opaque as its weight is large; and patches that may not be seen. */
function veil(
  store: Store,
  { image, picture, largest }: Pick<Layers, "image" | "picture" | "largest">,
  weightOf: (place: number) => number | null,
): { pixels: Uint32Array; hidden: number[] } {
  const pixels = new Uint32Array(countOf(image));
  const tint = store.tint.value;
  const nothing = tint(0, largest);
  const scale = store.traits.color_scale.value;
  const hidden: number[] = [];
  for (let at = 0; at < pixels.length; at++) {
    const place = positionOf(image, at);
    const weight = place < 0 ? 0 : weightOf(place);
    if (weight === null) hidden.push(at);
    if (place < 0 || weight === null) continue;
    const colour = tint(weight, largest);
    const share = !picture ? 1 : colour === nothing ? 0 : position(Math.abs(weight), largest, scale);
    pixels[at] = ((pack(colour) & 0xffffff) | (Math.round(255 * share) << 24)) >>> 0;
  }
  return { pixels, hidden };
}

function edges({ x, y, width, height }: Plot, rows: number, columns: number): Segment[] {
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
  return segments;
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
  const place = `row ${row}, column ${column}`;
  return image.name ? `${place} of ${image.name}` : place;
}

/** Width over height of a picture, or of its patches where it did not come. */
export const formOf = (image: ImageGrid, picture: Picture | undefined): number =>
  picture ? picture.width / picture.height : image.columns / image.rows;

function* weightsOn(image: ImageGrid, rows: HeadRows, head: number): Generator<number> {
  for (let at = 0; at < countOf(image); at++) {
    const place = positionOf(image, at);
    if (place >= 0) yield weightIn(rows, head, place);
  }
}

/** The largest weight that a head's row has on a picture: each head ends its colours there, so that all can be read. */
export function strongest(rows: HeadRows, head: number, image: ImageGrid): number {
  let largest = 0;
  for (const weight of weightsOn(image, rows, head)) largest = Math.max(largest, weight);
  return largest;
}

/** What a picture gets of a head's row. */
export function massIn(rows: HeadRows, head: number, image: ImageGrid): number {
  let sum = 0;
  for (const weight of weightsOn(image, rows, head)) sum += weight;
  return sum;
}
