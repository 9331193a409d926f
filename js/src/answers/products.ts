/** Queries and keys of one head, or of one cell of a long map. */
import type { Vectors } from "../attention/products";
import type { RotaryHeader } from "../attention/projections";
import { numbers } from "../attention/tile";
import type { Question } from "./question";

export const products = (
  map: string,
  layer: number,
  head: number,
  cell: { query: number; key: number } | null,
): Question<Vectors> => ({
  name: `products/${map}/${layer}/${head}/${cell ? `${cell.query}/${cell.key}` : ""}`,
  body: { op: "products", map, layer, head, ...cell },
  // Another text has other vectors.
  worth: () => "none",
  read: ({ header, buffers: [q, k, ofQueries, ofKeys] }) => {
    const [queries, keys, width] = [header.queries, header.keys, header.width].map(Number) as [
      number,
      number,
      number,
    ];
    const rotary = (header.rotary ?? null) as RotaryHeader | null;
    return {
      q: numbers(Float32Array, q, queries * width, "queries"),
      k: numbers(Float32Array, k, keys * width, "keys"),
      width,
      rotary: rotary && {
        ...rotary,
        queryAngles: numbers(Float32Array, ofQueries, queries * rotary.pairs, "angles"),
        keyAngles: numbers(Float32Array, ofKeys, keys * rotary.pairs, "angles"),
      },
      at: cell,
    };
  },
});
