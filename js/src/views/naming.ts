/** What a head is called: by its number, or by what it was derived as. */
import type { MapFacts } from "../host/facts";

function headName(map: MapFacts, layer: number, head: number): string {
  if (!map.derived) return `head ${head}`;
  return (map.heads[layer] ?? 1) > 1 ? `${map.derived} ${head}` : map.derived;
}

/** The layer needs no name where there is one derived map only. */
const parts = (map: MapFacts, layer: number, head: number): string[] =>
  map.derived && map.heads.length === 1
    ? [headName(map, layer, head)]
    : [`layer ${layer}`, headName(map, layer, head)];

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
  return head === null || alone ? `L${layer}` : `L${layer} H${head}`;
}

export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
