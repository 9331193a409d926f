/** Small pictures of a layer's heads: 255 * sqrt(weight). */
import { numbers } from "../attention/tile";
import { ofLayer, ofTheSameHeads, type Question } from "./question";

export interface Thumbnails {
  heads: number;
  shape: [number, number];
  /** The largest weight of each head. */
  peak: number[];
  values: Uint8Array;
}

export const thumbnails = (map: string, layer: number): Question<Thumbnails> => ({
  ...ofLayer("thumbnails", map, layer),
  worth: ofTheSameHeads,
  read({ header, buffers }) {
    const { heads, shape, peak } = header as unknown as Omit<Thumbnails, "values">;
    const values = numbers(Uint8Array, buffers[0], heads * shape[0] * shape[1], "thumbnails");
    return { heads, shape, peak, values };
  },
});
