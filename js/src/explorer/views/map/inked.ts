/** The cells of what is shown as pixels: of a map, or of one less another. */
import { rowwiseOf } from "../../../attention/difference";
import { type Picture, Raster } from "../../../attention/raster";
import { SignedRaster } from "../../../attention/signed";
import type { Window } from "../../../drawing/geometry";
import { rowwise } from "../../range";
import { isDifference, type Shown, type Store } from "../../store";

export class Inked {
  readonly #raster = new Raster();
  readonly #signed = new SignedRaster();
  /** Little-endian RGBA, width * height of the picture; masked cells stay transparent. */
  pixels = new Uint32Array(0);

  paint(store: Store, shown: Shown, visible: Window, device: [number, number]): Picture {
    const { table, negative, of } = store.paint.value;
    if (isDifference(shown)) {
      const values = of === "rows" ? rowwiseOf(shown) : shown.values;
      const picture = this.#signed.paint(shown.tile, values, { negative, positive: table }, visible, device);
      this.pixels = this.#signed.pixels;
      return picture;
    }
    const picture = this.#raster.paint(
      shown.tile,
      of === "rows" ? rowwise(shown) : shown,
      table,
      visible,
      device,
    );
    this.pixels = this.#raster.pixels;
    return picture;
  }
}
