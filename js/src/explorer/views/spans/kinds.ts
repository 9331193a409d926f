/** Which runs of tokens are looked at: a kind that was found, or those that a person named. */
import { type Asked, type FoundSpans, foundSpans } from "../../../answers/spans";
import { type Axis, keysOf, type MapFacts, type NamedSpan } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";

/** Named by hand. */
export const OWN = "own";

const TITLES: Record<string, string> = {
  roles: "Turns",
  named: "Parts of the text",
  documents: "Documents",
  pictures: "Pictures",
  parts: "Parts",
  paragraphs: "Paragraphs",
  sentences: "Sentences",
  [OWN]: "Named by hand",
};

export const titleOf = (kind: string): string => TITLES[kind] ?? kind;

/** Where a position of the text as it came is on an axis of which some was merged or hidden. */
function placeOn({ origins, labels }: Axis, position: number): number {
  if (!origins) return Math.min(position, labels.length);
  const at = origins.findIndex((origin) => origin >= position);
  return at < 0 ? labels.length : at;
}

/** Spans that were named by hand, where they are on the axis of the keys. */
function ownSpans(store: Store, map: MapFacts): NamedSpan[] {
  const axis = keysOf(map);
  return store.traits.spans.value
    .map(([name, start, stop]): NamedSpan => [name, placeOn(axis, start), placeOn(axis, stop)])
    .filter(([, start, stop]) => stop > start);
}

/** The kinds there are, those that say most first. */
export function kindsOf(store: Store, map: MapFacts): string[] {
  const found = Object.keys(keysOf(map).found ?? {});
  return [...(store.traits.spans.value.length > 0 && map.keys === null ? [OWN] : []), ...found];
}

/** The kind that is chosen; null where there is none. */
export function kindOf(store: Store, map: MapFacts): string | null {
  const kinds = kindsOf(store, map);
  const chosen = store.traits.span_kind.value;
  return kinds.includes(chosen) ? chosen : (kinds[0] ?? null);
}

/** What is asked of the kernel about them. */
export function askedOf(store: Store, map: MapFacts): Asked | null {
  const kind = kindOf(store, map);
  if (kind === null) return null;
  return kind === OWN ? { spans: ownSpans(store, map) } : { kind };
}

export interface Spans {
  kind: string;
  queries: readonly NamedSpan[];
  keys: readonly NamedSpan[];
}

/** The chosen spans on both axes; null while the kernel has not listed them. */
export function spansOf(store: Store, answers: Answers, map: MapFacts): Spans | null {
  const kind = kindOf(store, map);
  if (kind === null) return null;
  if (kind === OWN) {
    const own = ownSpans(store, map);
    return { kind, queries: own, keys: own };
  }
  const found: FoundSpans | undefined = answers.known.get(foundSpans(map.name));
  if (!found) return null;
  const queries = found.queries[kind] ?? [];
  return { kind, queries, keys: found.keys === null ? queries : (found.keys[kind] ?? []) };
}
