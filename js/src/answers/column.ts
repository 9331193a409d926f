/** What every query gives to one key. */
import { numbers } from "../attention/tile";
import type { MapFacts } from "../host/facts";
import type { Question } from "./question";

export interface Column {
  layer: number;
  head: number;
  key: number;
  /** By query; NaN where the key is masked, the row has no values, or was not read. */
  weights: Float32Array;
  /** How many queries were read: all, or an even spread of them. */
  read: number;
}

export const column = (
  map: MapFacts,
  layer: number,
  head: number,
  key: number,
  temperature: number,
  scaling: number,
): Question<Column> => ({
  name: `column/${map.name}/${layer}/${head}/${key}/${temperature}/${scaling}`,
  body: { op: "column", map: map.name, layer, head, key, temperature, scaling },
  // Another text has other weights.
  worth: () => "none",
  read: ({ header, buffers }) => ({
    ...{ layer, head, key },
    weights: numbers(Float32Array, buffers[0], map.n_queries, "weights"),
    read: Number(header.read),
  }),
});
