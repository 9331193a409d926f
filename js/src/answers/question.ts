/** Questions about maps, and what an answer to each of them is. */
import type { MapFacts } from "../host/facts";
import type { Reply } from "../host/source";

/** What an answer is worth for other maps: it is still right, it may be shown until a new one comes, or nothing. */
export type Worth = "same" | "stand-in" | "none";

export interface Question<T> {
  /** Equal questions have equal names. */
  readonly name: string;
  readonly body: { readonly op: string; readonly map: string; readonly [more: string]: unknown };
  read(reply: Reply): T;
  /** How many answers of its kind are kept; all, where it is not said. */
  readonly most?: number;
  worth(before: MapFacts | undefined, after: MapFacts | undefined): Worth;
}

export const ofLayer = (op: string, map: string, layer: number) => ({
  name: `${op}/${map}/${layer}`,
  body: { op, map, layer },
});

/** Small pictures and numbers of the same heads stand in for new ones, which replace them one by one. */
export function ofTheSameHeads(before: MapFacts | undefined, after: MapFacts | undefined): Worth {
  const form = (map?: MapFacts) => JSON.stringify([map?.heads, map?.measures]);
  return form(before) === form(after) ? "stand-in" : "none";
}
