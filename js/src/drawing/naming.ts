/** What a head is called: by its number, or by what it was derived as. */
import {
  type Axis,
  groupSize,
  headNumber,
  keyValueHead,
  layerNumber,
  type MapFacts,
  spansAt,
} from "../host/facts";
import { shortened } from "./words";

export function headName(map: MapFacts, layer: number, head: number): string {
  if (!map.derived) return `head ${headNumber(map, layer, head)}`;
  return (map.heads[layer] ?? 1) > 1 ? `${map.derived} ${head}` : map.derived;
}

/** The layer needs no name where there is one derived map only. */
const parts = (map: MapFacts, layer: number, head: number): string[] =>
  map.derived && map.heads.length === 1
    ? [headName(map, layer, head)]
    : [`layer ${layerNumber(map, layer)}`, headName(map, layer, head)];

export const placeName = (map: MapFacts, layer: number, head: number): string =>
  parts(map, layer, head).join(" · ");

/** The same as the beginning of a sentence. */
export function spokenName(map: MapFacts, layer: number, head: number): string {
  const name = parts(map, layer, head).join(", ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** For labels a few letters wide; a whole layer where there is no head. */
export function shortName(map: MapFacts, layer: number, head: number | null): string {
  const alone = map.derived && (map.heads[layer] ?? 1) < 2;
  const line = `L${layerNumber(map, layer)}`;
  return head === null || alone ? line : `${line} H${headNumber(map, layer, head)}`;
}

/** The key-value head of a head and who reads it too; null where it has its own. */
export function sharing(map: MapFacts, layer: number, head: number): string | null {
  const shared = keyValueHead(map, layer, head);
  if (shared === null) return null;
  const size = groupSize(map, layer);
  const [first, last] = [shared * size, (shared + 1) * size - 1].map((at) => headNumber(map, layer, at));
  return `key-value head ${shared}, shared by heads ${first}${size > 2 ? "–" : " and "}${last}`;
}

/** The runs of a token in brackets, to be put after its name; empty where it is in none. */
export function bracketed(axis: Axis, index: number): string {
  const names = spansAt(axis, index).map((name) => shortened(name));
  return names.length > 0 ? ` (${names.join(", ")})` : "";
}

export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
