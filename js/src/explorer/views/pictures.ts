/** The small pictures of a line of heads, on one canvas: thousands of canvases would stop the page. */
import type { Known } from "../../answers/known";
import { type Thumbnails, thumbnails as thumbnailsOf } from "../../answers/thumbnails";
import { type ColourScale, colourOf, pack, type Rgb } from "../../attention/colour";
import { prepare } from "../../drawing/canvas";
import type { MapFacts } from "../../host/facts";
import type { HeadPlace } from "./ranking";

export interface Inks {
  ramp: readonly Rgb[];
  scale: ColourScale;
  /** Whether the colours of every head end at 1. */
  shared: boolean;
}

/** Width over height of a picture, within reason. */
export const aspectOf = (map: MapFacts): number => Math.max(0.25, Math.min(4, map.n_keys / map.n_queries));

export class Pictures {
  /** The cells of one head, before they are made as large as its thumbnail. */
  readonly #cells = document.createElement("canvas");

  /** Draw what is known of some heads, each at its place from the left, in CSS pixels. */
  draw(
    canvas: HTMLCanvasElement,
    known: Known,
    map: MapFacts,
    line: { places: readonly HeadPlace[]; starts: readonly number[]; size: number },
    inks: Inks,
  ): void {
    const { places, starts, size } = line;
    const context = prepare(canvas, (starts.at(-1) ?? 0) + size, size);
    const aspect = aspectOf(map);
    const [width, height] = [size * Math.min(1, aspect), size / Math.max(1, aspect)];
    places.forEach(({ layer, head }, at) => {
      const there = known.get(thumbnailsOf(map.name, layer));
      if (!there || head >= there.heads) return;
      this.#put(there, head, inks);
      // Cells larger than a pixel have edges; smaller ones are averaged, so that none is lost.
      context.imageSmoothingEnabled = Math.max(...there.shape) > size;
      context.imageSmoothingQuality = "high";
      const left = starts[at]! + (size - width) / 2;
      context.drawImage(this.#cells, left, (size - height) / 2, width, height);
    });
  }

  #put(there: Thumbnails, head: number, inks: Inks): void {
    const [height, width] = there.shape;
    const image = new ImageData(width, height);
    new Uint32Array(image.data.buffer).set(thumbPixels(there, head, inks));
    if (this.#cells.width !== width || this.#cells.height !== height) {
      this.#cells.width = width;
      this.#cells.height = height;
    }
    this.#cells.getContext("2d")!.putImageData(image, 0, 0);
  }
}

/** Little-endian RGBA of a head's cells. */
export function thumbPixels(
  { shape, values, peak }: Thumbnails,
  head: number,
  { ramp, scale, shared }: Inks,
): Uint32Array {
  const largest = shared ? 1 : peak[head] || 1;
  const colours = Uint32Array.from({ length: 256 }, (_, value) =>
    pack(colourOf(ramp, (value / 255) ** 2, largest, scale)),
  );
  const count = shape[0] * shape[1];
  return Uint32Array.from({ length: count }, (_, cell) => colours[values[head * count + cell]!]!);
}
