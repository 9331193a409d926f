/** Which words' lines stand alone: those of the word that is pointed at, or else of those that are pinned. */
import { quoted } from "../../../drawing/words";
import { headNumber, keysOf, type MapFacts } from "../../../host/facts";
import type { Cell, Store } from "../../store";
import type { HeadMap } from "./maps";
import type { Line } from "./picked";
import type { Side } from "./stage";

export interface Lit {
  side: Side;
  words: readonly number[];
}

export function litOf(store: Store, hover: Cell | null = store.hover.value): Lit | null {
  if (hover?.query != null) return { side: "query", words: [hover.query] };
  if (hover?.key != null) return { side: "key", words: [hover.key] };
  const { query, key } = store.pin.value;
  if (query !== null) return { side: "query", words: [query, ...store.also.value] };
  return key === null ? null : { side: "key", words: [key] };
}

const TOLD = 5;

/** The strongest lines of lit words in a sentence. */
export function toldOf(
  store: Store,
  map: MapFacts,
  maps: readonly HeadMap[],
  lit: Lit,
  lines: readonly Line[],
): string {
  const [own, other] = lit.side === "query" ? [map.queries, keysOf(map)] : [keysOf(map), map.queries];
  const who = lit.words.map((word) => quoted(own.labels[word])).join(", ");
  const does = lit.side === "query" ? (lit.words.length > 1 ? "look at" : "looks at") : "is looked at by";
  const effect = store.weighing.effect.value !== null;
  const through = lit.side === "query" ? `At ${who}, through` : `Through ${who}, at`;
  const said = lines
    .slice(-TOLD)
    .reverse()
    .map(({ query, key, at, weight }) => {
      const name = quoted(other.labels[lit.side === "query" ? key : query]);
      const head = maps.length > 1 ? ` (head ${headNumber(map, store.layer.value, maps[at]!.head)})` : "";
      return `${name} ${store.weighing.said(weight, maps[at]!.signed)}${head}`;
    });
  const more = lines.length > TOLD ? `, and ${(lines.length - TOLD).toLocaleString("en")} more` : "";
  return said.length > 0
    ? `${effect ? through : `${who} ${does}`} ${said.join(", ")}${more}.`
    : `${who}: no line.`;
}
