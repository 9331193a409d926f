/** What one query gives to every key in each head of a layer: 65535 * sqrt(weight), as the model has it. */
import { numbers } from "../attention/tile";
import type { Question } from "./question";

export interface HeadRows {
  heads: number;
  /** How many keys a cell stands for, the largest weight of which it has. */
  stride: number;
  shape: [heads: number, cells: number];
  /** The largest weight of each head's row. */
  peak: number[];
  values: Uint16Array;
}

export const rows = (map: string, layer: number, query: number): Question<HeadRows> => ({
  name: `rows/${map}/${layer}/${query}`,
  body: { op: "rows", map, layer, query },
  // Another text has other rows.
  worth: () => "none",
  read({ header, buffers }) {
    const { heads, stride, shape, peak } = header as unknown as Omit<HeadRows, "values">;
    const values = numbers(Uint16Array, buffers[0], shape[0] * shape[1], "rows");
    return { heads, stride, shape, peak, values };
  },
});

/** The weight that a head gives to a key, or to the keys around it that share its cell. */
export function weightIn({ shape, stride, values }: HeadRows, head: number, key: number): number {
  return (values[head * shape[1] + Math.floor(key / stride)]! / 65535) ** 2;
}
