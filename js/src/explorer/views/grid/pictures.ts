/** The small pictures of a line of heads, on one canvas: thousands of canvases would stop the page. */
import type { Known } from "../../../answers/known";
import { type HeadRows, rows as rowsOf, weightIn } from "../../../answers/rows";
import { type Thumbnails, thumbnails as thumbnailsOf } from "../../../answers/thumbnails";
import {
  type ColourScale,
  colourOf,
  type Diverging,
  pack,
  type Rgb,
  signedColourOf,
} from "../../../attention/colour";
import { prepare } from "../../../drawing/canvas";
import type { ImageGrid, MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { countOf, positionOf, strongest } from "../image/patches";
import type { HeadPlace } from "./ranking";

export interface Inks {
  ramp: readonly Rgb[];
  scale: ColourScale;
  /** Whether the colours of every head end at 1. */
  shared: boolean;
  /** The maps that these are shown less of, the colours of more and less, and where these end if not at each head's own. */
  minus?: { map: string; colours: Diverging; end?: number } | null;
}

/** Of a store, as the choices are. */
export const inksOf = (store: Store): Inks => ({
  ramp: store.ramp.value,
  scale: store.traits.color_scale.value,
  shared: store.traits.color_range.value === "shared",
  minus: store.minus.value === null ? null : { map: store.minus.value, colours: store.diverging.value },
});

const within = (form: number): number => Math.max(0.25, Math.min(4, form));

/** Width over height of a picture, within reason. */
export const aspectOf = (map: MapFacts): number => within(map.n_keys / map.n_queries);

/** A row that heads are drawn by, laid out over the patches of a picture, instead of by their whole maps. */
export interface Over {
  query: number;
  image: ImageGrid;
}

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
    over: Over | null = null,
  ): void {
    const { places, starts, size } = line;
    const context = prepare(canvas, (starts.at(-1) ?? 0) + size, size);
    places.forEach(({ layer, head }, at) => {
      const row = over && known.get(rowsOf(map.name, layer, over.query));
      const there =
        over && row ? overPatches(row, head, over.image) : known.get(thumbnailsOf(map.name, layer));
      if (!there || (!row && head >= there.heads)) return;
      const aspect = over && row ? within(over.image.columns / over.image.rows) : aspectOf(map);
      const [width, height] = [size * Math.min(1, aspect), size / Math.max(1, aspect)];
      const pixels = over && row ? thumbPixels(there, 0, inks) : pixelsOf(known, there, layer, head, inks);
      if (!pixels) return;
      this.#put(there, pixels);
      // Cells larger than a pixel have edges; smaller ones are averaged, so that none is lost.
      context.imageSmoothingEnabled = Math.max(...there.shape) > size;
      context.imageSmoothingQuality = "high";
      const left = starts[at]! + (size - width) / 2;
      context.drawImage(this.#cells, left, (size - height) / 2, width, height);
    });
  }

  #put(there: Thumbnails, pixels: Uint32Array): void {
    const [height, width] = there.shape;
    const image = new ImageData(width, height);
    new Uint32Array(image.data.buffer).set(pixels);
    if (this.#cells.width !== width || this.#cells.height !== height) {
      this.#cells.width = width;
      this.#cells.height = height;
    }
    this.#cells.getContext("2d")!.putImageData(image, 0, 0);
  }
}

/** Little-endian RGBA of a head's cells; null while the maps that they are less of are not here. */
export function pixelsOf(
  known: Known,
  there: Thumbnails,
  layer: number,
  head: number,
  inks: Inks,
): Uint32Array | null {
  const { minus, scale, shared } = inks;
  if (!minus) return thumbPixels(there, head, inks);
  const values = differenceIn(known, there, minus.map, layer, head);
  if (!values) return null;
  const largest = shared ? 1 : (minus.end ?? farthest(values)) || 1;
  return Uint32Array.from(values, (value) => pack(signedColourOf(minus.colours, value, largest, scale)));
}

/** What a head's cells have more or less than those of other maps; null while these are not here. */
export function differenceIn(
  known: Known,
  there: Thumbnails,
  minus: string,
  layer: number,
  head: number,
): Float32Array | null {
  const first = known.get(thumbnailsOf(minus, layer));
  const alike = first && head < first.heads && String(first.shape) === String(there.shape);
  if (!alike) return null;
  const count = there.shape[0] * there.shape[1];
  const weight = ({ values }: Thumbnails, cell: number) => (values[head * count + cell]! / 255) ** 2;
  return Float32Array.from({ length: count }, (_, cell) => weight(there, cell) - weight(first, cell));
}

/** From 0, without its sign. */
export const farthest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

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

/** What one head's row gives to the patches of a picture, as a thumbnail of that head alone. */
function overPatches(row: HeadRows, head: number, image: ImageGrid): Thumbnails | undefined {
  if (head >= row.heads) return undefined;
  const values = new Uint8Array(countOf(image));
  const largest = strongest(row, head, image);
  for (let at = 0; at < values.length; at++) {
    const place = positionOf(image, at);
    if (place >= 0 && largest > 0)
      values[at] = Math.round(255 * Math.sqrt(weightIn(row, head, place) / largest));
  }
  return { heads: 1, shape: [image.rows, image.columns], peak: [1], values };
}
