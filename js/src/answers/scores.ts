/** The scores of one query, and the products they come of. */
import type { RowScores } from "../attention/scores";
import { bytesOf, numbers } from "../attention/tile";
import type { Question } from "./question";

export const scores = (map: string, layer: number, head: number, query: number): Question<RowScores> => ({
  name: `scores/${map}/${layer}/${head}/${query}`,
  body: { op: "scores", map, layer, head, query },
  // Another text has other scores.
  worth: () => "none",
  read: ({ buffers: [products, scores, sink] }) => {
    const keys = products ? bytesOf(products).byteLength / 4 : 0;
    return {
      products: numbers(Float32Array, products, keys, "products"),
      scores: numbers(Float32Array, scores, keys, "scores"),
      sink: numbers(Float32Array, sink, 1, "sinks")[0]!,
    };
  },
});
