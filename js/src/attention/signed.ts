/** From differences to pixels: of the cells under a pixel the one that is farthest from 0. */
import { INDEX_SHIFT, type SignedTable } from "./colour";
import type { Difference } from "./difference";
import { axis, type Picture, type Span } from "./raster";

export class SignedRaster {
  /** Little-endian RGBA; masked cells stay transparent. */
  pixels = new Uint32Array(0);
  readonly #value = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#value.buffer);

  paint(
    tile: Difference["tile"],
    values: Float32Array,
    { negative, positive }: SignedTable,
    visible: { rows: Span; columns: Span },
    device: [number, number],
  ): Picture {
    const down = axis(tile.shape[0], tile.rows[0], tile.stride[0], visible.rows, device[0]);
    const across = axis(tile.shape[1], tile.columns[0], tile.stride[1], visible.columns, device[1]);
    const [width, columns] = [across.pixels, tile.shape[1]];
    if (this.pixels.length !== down.pixels * width) this.pixels = new Uint32Array(down.pixels * width);
    const [pixels, value, bits] = [this.pixels, this.#value, this.#bits];
    for (let y = 0; y < down.pixels; y++) {
      for (let x = 0; x < width; x++) {
        const [left, right] = [across.first[x]!, across.first[x + 1]!];
        let strongest = 0;
        let most = -1;
        for (let row = down.first[y]!; row < down.first[y + 1]!; row++) {
          for (let cell = row * columns + left; cell < row * columns + right; cell++) {
            const one = values[cell]!;
            const size = one < 0 ? -one : one;
            // NaN, which is masked, is larger than nothing.
            if (size > most) {
              strongest = one;
              most = size;
            }
          }
        }
        value[0] = Math.min(most, 1);
        const table = strongest < 0 ? negative : positive;
        pixels[y * width + x] = most < 0 ? 0 : table[bits[0]! >>> INDEX_SHIFT]!;
      }
    }
    return { width, height: down.pixels, rows: down.covers, columns: across.covers };
  }
}
