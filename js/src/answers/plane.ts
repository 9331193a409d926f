/** Queries and keys of one head, or of all heads of a layer, as points in a plane. */
import { numbers } from "../attention/tile";
import { ofLayer, type Question } from "./question";

/** One head's points: x and y of each, and which tokens they are. */
export interface Plane {
  queries: Float32Array;
  keys: Float32Array;
  queryAt: Int32Array;
  keyAt: Int32Array;
  /** Rank correlation between nearness and score; NaN where it cannot be measured. */
  correlation: number;
  pairs: number;
  sampled: boolean;
}

/** By number of the head. */
export type Planes = ReadonlyMap<number, Plane>;

/** Of all heads where none is named. */
export const plane = (map: string, layer: number, head: number | null): Question<Planes> => {
  const whole = ofLayer("plane", map, layer);
  return {
    name: head === null ? whole.name : `${whole.name}/${head}`,
    body: head === null ? whole.body : { ...whole.body, head },
    worth: () => "none",
    read: ({ header, buffers }) => {
      const [first, heads, queries, keys] = ["first", "heads", "queries", "keys"].map((name) =>
        Number(header[name]),
      ) as [number, number, number, number];
      const ofQueries = numbers(Float32Array, buffers[0], 2 * heads * queries, "points");
      const ofKeys = numbers(Float32Array, buffers[1], 2 * heads * keys, "points");
      const correlation = numbers(Float32Array, buffers[2], heads, "correlations");
      const queryAt = numbers(Int32Array, buffers[3], queries, "positions");
      const keyAt = numbers(Int32Array, buffers[4], keys, "positions");
      const pairs = header.pairs as number[];
      return new Map(
        Array.from({ length: heads }, (_, at) => [
          first + at,
          {
            queries: ofQueries.subarray(2 * at * queries, 2 * (at + 1) * queries),
            keys: ofKeys.subarray(2 * at * keys, 2 * (at + 1) * keys),
            queryAt,
            keyAt,
            correlation: correlation[at]!,
            pairs: pairs[at] ?? 0,
            sampled: Boolean(header.sampled),
          },
        ]),
      );
    },
  };
};
