/** What is compared with what: the chosen head, and the one that it is held against. */
import type { PlaceOfMap } from "../answers/tile";
import type { Ends } from "../drawing/legend";
import { placeName } from "../drawing/naming";
import { shortened } from "../drawing/words";
import { type Facts, keysOf, type MapFacts } from "../host/facts";

/** The head that others are compared with; without layer and head the same place in another run. */
export interface Against {
  map: string;
  layer: number | null;
  head: number | null;
}

/** What is shown of the two: the second less the first, both, or one of them. */
export type Compared = "difference" | "beside" | "first" | "second";

export interface Pair {
  first: PlaceOfMap;
  second: PlaceOfMap;
}

/** The head that is shown; where two are compared both, or why they cannot be, and the one that is not shown. */
export interface Places {
  /** What layer and head say; it is shown but where the first of two is. */
  chosen: PlaceOfMap | null;
  shown: PlaceOfMap | null;
  pair: Pair | string | null;
  other: PlaceOfMap | null;
}

const within = (value: number, count: number) =>
  Math.min(Math.max(0, Math.trunc(value) || 0), Math.max(0, count - 1));

/** The chosen place, where there are such maps; another, where a choice lies outside of them. */
export function chosenIn(facts: Facts | null, map: string, layer: number, head: number): PlaceOfMap | null {
  const found = facts?.maps.find(({ name }) => name === map) ?? facts?.maps[0];
  return found ? placeIn(found, layer, head) : null;
}

function placeIn(facts: MapFacts, layer: number, head: number): PlaceOfMap {
  const inside = within(layer, facts.heads.length);
  return { facts, map: facts.name, layer: inside, head: within(head, facts.heads[inside] ?? 0) };
}

/** Both heads; null where nothing is compared, or in a sentence why these two cannot be. */
export function pairIn(
  facts: Facts | null,
  chosen: PlaceOfMap | null,
  against: Against | null,
): Pair | string | null {
  if (!against || !facts || !chosen) return null;
  const same = against.layer === null || against.head === null;
  const map = same
    ? facts.maps.find(({ run, part }) => run === against.map && part === chosen.facts.part)
    : facts.maps.find(({ name }) => name === against.map);
  if (!map) return `There are no maps of ${against.map} to compare these with.`;
  const first = same ? placeIn(map, chosen.layer, chosen.head) : placeIn(map, against.layer!, against.head!);
  return areAlike(map, chosen.facts)
    ? { first, second: chosen }
    : `${map.name} and ${chosen.map} stand on other tokens: choose maps of the same queries and keys to compare them.`;
}

function areAlike(one: MapFacts, other: MapFacts): boolean {
  if (one === other) return true;
  const equal = (some: readonly string[], others: readonly string[]) =>
    some.length === others.length && some.every((label, at) => label === others[at]);
  return equal(one.queries.labels, other.queries.labels) && equal(keysOf(one).labels, keysOf(other).labels);
}

/** Whether the two differ by their run alone. */
export const areRuns = ({ first, second }: Pair): boolean =>
  first.facts.run !== undefined &&
  first.facts.run !== second.facts.run &&
  first.layer === second.layer &&
  first.head === second.head;

/** Which pairs a view can show the difference of: any two heads, two runs, or none. */
export type Differs = boolean | "runs";

export const canDiffer = (differs: Differs | undefined, pair: Pair): boolean =>
  differs === "runs" ? areRuns(pair) : Boolean(differs);

/** What the two are called in few letters. */
export const namesOf = (pair: Pair): [first: string, second: string] =>
  areRuns(pair) ? [pair.first.facts.run!, pair.second.facts.run!] : ["A", "B"];

/** What the difference is called, that of two runs or of two heads. */
export function differenceName(pair: Pair): string {
  const [first, second] = namesOf(pair).map((name) => shortened(name, 24));
  return `${second} − ${first}`;
}

/** What the ends of their difference are. */
export function endsOf(pair: Pair): Ends {
  const [first, second] = namesOf(pair).map((name) => `${shortened(name, 24)} gives more`) as [
    string,
    string,
  ];
  return { lower: first, upper: second };
}

/** One of two, with the name that the title gives it. */
export function sideName(pair: Pair, side: "first" | "second"): string {
  const name = namesOf(pair)[side === "first" ? 0 : 1];
  return areRuns(pair) ? name : `${name}: ${placeOf(pair, side)}`;
}

/** Layer and head of one of two, and its maps where they are of several. */
export function placeOf(pair: Pair, side: "first" | "second"): string {
  const { facts, layer, head } = pair[side];
  const which = pair.first.map === pair.second.map ? "" : `${facts.name} · `;
  return `${which}${placeName(facts, layer, head)}`;
}
