/** From weights to pixels: one pixel a cell where cells are larger than pixels, the strongest of each pixel's cells otherwise. */
import { INDEX_SHIFT } from "./colour";
import type { Tempered } from "./temper";
import { MASKED, type Tile } from "./tile";

/** The visible part of a map, in cells, with fractions while it moves. */
export interface Span {
  from: number;
  to: number;
}

/** One axis of the picture: the first cell of each pixel (and of the one after the last), and what the pixels cover. */
interface Axis {
  pooled: boolean;
  pixels: number;
  first: Int32Array;
  covers: Span;
}

export interface Picture {
  width: number;
  height: number;
  rows: Span;
  columns: Span;
}

export function axis(count: number, origin: number, stride: number, visible: Span, device: number): Axis {
  const length = visible.to - visible.from;
  const pooled = length / stride > device;
  if (!pooled) {
    const first = Int32Array.from({ length: count + 1 }, (_, cell) => cell);
    return { pooled, pixels: count, first, covers: { from: origin, to: origin + count * stride } };
  }
  const first = Int32Array.from({ length: device + 1 }, (_, pixel) => {
    const cell = Math.ceil((visible.from + (pixel / device) * length - origin) / stride - 0.5);
    return Math.min(count, Math.max(0, cell));
  });
  return { pooled, pixels: device, first, covers: visible };
}

export class Raster {
  /** Little-endian RGBA, width * height of the picture; masked cells stay transparent. */
  pixels = new Uint32Array(0);
  #line = new Float32Array(0);
  /** Pooling along a row needs no temperature, so it is done once for all steps of a slider. */
  #narrow: { tile: Tile; name: string; across: Axis; codes: Uint16Array } | null = null;

  /** Paint the part of a tile that is visible at a resolution of `device` pixels (height, width). */
  paint(
    tile: Tile,
    { table, shares }: Pick<Tempered, "table" | "shares">,
    colours: Uint32Array,
    visible: { rows: Span; columns: Span },
    device: [number, number],
  ): Picture {
    const down = axis(tile.shape[0], tile.rows[0], tile.stride[0], visible.rows, device[0]);
    const { across, codes } = this.#narrowed(tile, visible.columns, device[1]);
    const width = across.pixels;
    if (this.pixels.length !== down.pixels * width) this.pixels = new Uint32Array(down.pixels * width);
    if (this.#line.length !== width) this.#line = new Float32Array(width);
    const line = this.#line;
    const bits = new Uint32Array(line.buffer);
    const { pixels } = this;
    for (let y = 0; y < down.pixels; y++) {
      line.fill(-1);
      for (let row = down.first[y]!; row < down.first[y + 1]!; row++) {
        const top = tile.largest[row]!;
        const share = shares[row]!;
        for (let x = 0; x < width; x++) {
          const code = codes[row * width + x]!;
          if (code === MASKED) continue;
          const weight = table[top - code]! * share;
          if (weight > line[x]!) line[x] = weight;
        }
      }
      for (let x = 0; x < width; x++) {
        pixels[y * width + x] = line[x]! < 0 ? 0 : colours[bits[x]! >>> INDEX_SHIFT]!;
      }
    }
    return { width, height: down.pixels, rows: down.covers, columns: across.covers };
  }

  #narrowed(tile: Tile, columns: Span, device: number): { across: Axis; codes: Uint16Array } {
    const name = `${columns.from}-${columns.to}/${device}`;
    if (this.#narrow?.tile === tile && this.#narrow.name === name) return this.#narrow;
    const across = axis(tile.shape[1], tile.columns[0], tile.stride[1], columns, device);
    const codes = across.pooled ? narrow(tile, across) : tile.codes;
    this.#narrow = { tile, name, across, codes };
    return this.#narrow;
  }
}

/** The largest code of each pixel, row by row: within a row the order of codes is the order of weights. */
function narrow(tile: Tile, across: Axis): Uint16Array {
  const [height, width] = tile.shape;
  const narrowed = new Uint16Array(height * across.pixels);
  for (let row = 0; row < height; row++) {
    for (let x = 0; x < across.pixels; x++) {
      let best = -1;
      for (let column = across.first[x]!; column < across.first[x + 1]!; column++) {
        const code = tile.codes[row * width + column]!;
        if (code !== MASKED && code > best) best = code;
      }
      narrowed[row * across.pixels + x] = best < 0 ? MASKED : best;
    }
  }
  return narrowed;
}
