/** Two heads that are compared, of one run or of two. */
import type { Choices } from "../../src/explorer/choices";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";

export const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");

/** Heads of one run, the chosen one and another. */
export const heads = (choices: Partial<Choices> = {}, options: Partial<MapOptions> = {}) =>
  new MockModel(
    [
      new MockMap({ queries: WORDS, ...options }),
      new MockMap({
        name: "mean of heads",
        queries: WORDS,
        heads: [1, 1, 1, 1],
        derived: "mean of heads",
        seed: 4,
      }),
    ],
    choices,
  );

/** Two runs of one model, as compare() shows them. */
export function runs(choices: Partial<Choices> = {}, options: Partial<MapOptions> = {}): MockModel {
  const of = (run: string, seed: number) =>
    new MockMap({ queries: WORDS, name: run, run, seed, measured: {}, ...options });
  const mean = (run: string, seed: number) =>
    new MockMap({
      ...{ name: `${run}: mean of heads`, queries: WORDS, heads: [1, 1, 1, 1], seed },
      ...{ derived: "mean of heads", run, part: "mean of heads" },
    });
  return new MockModel([of("after", 8), of("before", 7), mean("after", 3), mean("before", 4)], {
    against: { map: "before", layer: null, head: null },
    ...choices,
  });
}

export function difference(
  host: MockModel,
  second: [number, number, number],
  first: [number, number, number],
  temperature = 1,
) {
  const row = ([map, layer, head]: [number, number, number], query: number) =>
    host.maps[map]!.row(layer, head, query, temperature);
  return (query: number, key: number) => row(second, query)[key]! - row(first, query)[key]!;
}
