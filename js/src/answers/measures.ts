/** Every measure of a layer's heads, one after another in the order of the facts; NaN where there is no such number. */
import { numbers } from "../attention/tile";
import type { MapFacts } from "../host/facts";
import type { Known } from "./known";
import { ofLayer, ofTheSameHeads, type Question } from "./question";

export interface Measured {
  heads: number;
  values: Float32Array;
}

export const measures = (map: MapFacts, layer: number): Question<Measured> => ({
  ...ofLayer("measures", map.name, layer),
  worth: ofTheSameHeads,
  read({ header, buffers }) {
    const heads = Number(header.heads);
    const count = map.measures?.length ?? 0;
    return { heads, values: numbers(Float32Array, buffers[0], count * heads, "measures") };
  },
});

/** A measure of a head, by its place in the facts; undefined while it has not come. */
export function measureOf(
  known: Known,
  map: MapFacts,
  layer: number,
  head: number,
  index: number,
): number | undefined {
  const there = known.get(measures(map, layer));
  return there && head < there.heads ? there.values[index * there.heads + head] : undefined;
}
