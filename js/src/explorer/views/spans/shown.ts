/** What the view of spans is made of: masses read off a whole map, or of a long one the kernel's; of two heads their difference. */
import type { Question } from "../../../answers/question";
import { foundSpans, spanMass, spanRows } from "../../../answers/spans";
import type { PlaceOfMap } from "../../../answers/tile";
import { chanceOfRuns, massOfRows, massOfRuns, type Run } from "../../../attention/spans";
import { isWhole, type MapFacts, type NamedSpan } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Drawn } from "../../drawn";
import type { Store } from "../../store";
import { type Bands, bandsOf } from "./bands";
import { askedOf, type Spans, spansOf } from "./kinds";
import type { Mass } from "./matrix";

/** What a long map needs of the kernel; what is here whole is read off the map. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const asked = askedOf(store, map);
  if (asked && "kind" in asked) yield foundSpans(map.name);
  if (!asked || isWhole(map)) return;
  yield spanRows(map.name, store.layer.value, store.head.value, asked, sharpnessOf(store, map));
  yield spanMass(map.name, store.layer.value, asked, sharpnessOf(store, map));
  const first = firstOf(store);
  if (first) yield spanMass(first.map, first.layer, asked, sharpnessOf(store, first.facts));
}

/** The head that the chosen one is shown less of; null where weights are shown. */
const firstOf = (store: Store): PlaceOfMap | null =>
  store.compared.value === "difference" ? (store.pair.value?.first ?? null) : null;

export function sharpnessOf(store: Store, map: MapFacts): { temperature: number; scaling: number } {
  const [temperature, scaling] = store.sharpnessOf(map);
  return { temperature, scaling };
}

const runs = (spans: readonly NamedSpan[]): Run[] => spans.map(([, start, stop]) => ({ start, stop }));

export interface Shown {
  spans: Spans;
  of: Mass;
  /** Of two heads those of the second. */
  bands: Bands;
  /** What of a long text was read; empty where all was. */
  sampled: string;
}

/** Null while something of it has not come. */
export function shownOf(store: Store, answers: Answers, map: MapFacts): Shown | null {
  const spans = spansOf(store, answers, map);
  if (!spans || spans.queries.length === 0 || spans.keys.length === 0) return null;
  return isWhole(map) ? readOff(store, map, spans) : fromKernel(store, answers, map, spans);
}

function readOff(store: Store, map: MapFacts, spans: Spans): Shown | null {
  const first = firstOf(store) && (store.both.value?.first ?? null);
  const drawn = store.drawn.value;
  if (!drawn?.tile.exact || !store.isCurrent(drawn) || (firstOf(store) && !first)) return null;
  const [queries, keys] = [runs(spans.queries), runs(spans.keys)];
  const massOf = (one: Drawn) => massOfRuns(one.tile, one, queries, keys);
  const offset = map.keys === null || map.causal ? map.n_keys - map.n_queries : null;
  return {
    spans,
    of: {
      ...{ queries: spans.queries, keys: spans.keys, signed: first !== null },
      mass: first ? less(massOf(drawn), massOf(first)) : massOf(drawn),
      chance: chanceOfRuns(drawn.tile, queries, keys),
      unit: store.weighing.effect.value?.unit ?? null,
    },
    bands: bandsOf(
      spans.keys,
      Array.from({ length: map.n_queries }, (_, query) => query),
      massOfRows(drawn.tile, drawn, keys, offset),
    ),
    sampled: "",
  };
}

function fromKernel(store: Store, answers: Answers, map: MapFacts, spans: Spans): Shown | null {
  const asked = askedOf(store, map);
  if (!asked) return null;
  const [layer, head] = [store.layer.value, store.head.value];
  const massAt = (of: MapFacts, layer: number, head: number) => {
    const known = answers.known.get(spanMass(of.name, layer, asked, sharpnessOf(store, of)));
    if (!known || head >= known.heads) return null;
    const cells = known.spans.length * known.keySpans.length;
    return { known, mass: known.mass.subarray(head * cells, (head + 1) * cells) };
  };
  const own = massAt(map, layer, head);
  const rows = answers.known.get(spanRows(map.name, layer, head, asked, sharpnessOf(store, map)));
  const first = firstOf(store);
  const other = first && massAt(first.facts, first.layer, first.head);
  if (!own || !rows || (first && other?.mass.length !== own.mass.length)) return null;
  const { known } = own;
  const read = [known.sampled, rows.sampled].find((one) => one !== null);
  return {
    spans,
    of: {
      ...{ queries: known.spans, keys: known.keySpans, chance: known.chance, signed: other !== null },
      unit: store.weighing.effect.value?.unit ?? null,
      mass: other ? less(own.mass, other.mass) : own.mass,
    },
    bands: bandsOf(rows.spans, rows.queries, rows.mass),
    sampled: read ? `Read from ${read[0]} of ${read[1]} queries, evenly spread.` : "",
  };
}

const less = (second: Float32Array, first: Float32Array): Float32Array =>
  second.map((value, at) => value - first[at]!);
