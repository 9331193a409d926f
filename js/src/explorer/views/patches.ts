/** Patches of a picture and the tokens beside them: where a row's weight is, and how it is painted. */

import type { Picture } from "../../answers/picture";
import { colourOf, pack } from "../../attention/colour";
import { hatch, prepare } from "../../drawing/canvas";
import type { Axis, ImageGrid } from "../../host/facts";
import type { PinnedRow, Store } from "../store";

/** So many tokens beside the patches are listed; the rest is summed. */
const LISTED = 24;

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
  width: number;
  height: number;
}

/** The picture, and over it one cell a patch in the colour of its weight. */
export function paintPatches(canvas: HTMLCanvasElement, store: Store, layers: Layers): void {
  const { image, picture, row, largest, opacity, width, height } = layers;
  const context = prepare(canvas, width, height);
  const colours = store.colours.value;
  if (picture) context.drawImage(pixelsOf(picture), 0, 0, width, height);
  if (row) {
    const cells = new Uint32Array(countOf(image));
    const ramp = store.ramp.value;
    const scale = store.traits.color_scale.value;
    const hidden: number[] = [];
    for (let at = 0; at < cells.length; at++) {
      if (row.masked(image.start + at)) hidden.push(at);
      else cells[at] = pack(colourOf(ramp, row.after[image.start + at]!, largest, scale));
    }
    context.imageSmoothingEnabled = false;
    context.globalAlpha = picture ? opacity : 1;
    context.drawImage(canvasOf(cells, image.columns, image.rows), 0, 0, width, height);
    context.globalAlpha = 1;
    context.fillStyle = hidden.length > 0 ? hatch(context, colours.hatch) : "";
    for (const at of hidden) {
      const { row: down, column } = patchAt(image, at);
      const [wide, high] = [width / image.columns, height / image.rows];
      context.fillRect(column * wide, down * high, wide, high);
    }
  }
  if (picture) return;
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let down = 0; down <= image.rows; down++) {
    const y = Math.min(height - 0.5, Math.round((down * height) / image.rows) + 0.5);
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  for (let across = 0; across <= image.columns; across++) {
    const x = Math.min(width - 0.5, Math.round((across * width) / image.columns) + 0.5);
    context.moveTo(x, 0);
    context.lineTo(x, height);
  }
  context.stroke();
}

function canvasOf(cells: Uint32Array, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const data = new ImageData(width, height);
  new Uint32Array(data.data.buffer).set(cells);
  canvas.getContext("2d")!.putImageData(data, 0, 0);
  return canvas;
}

const drawn = new WeakMap<Picture, HTMLCanvasElement>();

/** A picture is unpacked once, however often the weights over it change. */
function pixelsOf(picture: Picture): HTMLCanvasElement {
  const known = drawn.get(picture);
  if (known) return known;
  const { pixels, width, height } = picture;
  const cells = Uint32Array.from({ length: width * height }, (_, at) =>
    pack([pixels[3 * at]!, pixels[3 * at + 1]!, pixels[3 * at + 2]!]),
  );
  const canvas = canvasOf(cells, width, height);
  drawn.set(picture, canvas);
  return canvas;
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
