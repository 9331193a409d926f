/** What the bars say, in words: which cell, where its weight comes from, each term, and what has to be known to read them. */
import { sumOf, type Term } from "../../../attention/products";
import { bracketed, sharing } from "../../../drawing/naming";
import { exact, measured, quoted } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { notesOf, ruleOf } from "../rule";
import { most } from "./bars";
import type { Behind, Place } from "./behind";

export const nounOf = ({ terms }: Behind): string =>
  terms.some(({ dimensions }) => dimensions.length > 1) ? "pair" : "dimension";

export const HOW: Record<Place["how"], string> = {
  pinned: "",
  pointed: "",
  heaviest: " The key is the heaviest of this query.",
  strongest: " Nothing is pinned, so this is the strongest cell.",
};

export function nameOf(map: MapFacts, { query, key }: { query: number; key: number }): string {
  const keys = keysOf(map);
  return `query ${query} ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)} → key ${key} ${quoted(keys.labels[key])}${bracketed(keys, key)}`;
}

/** From the sum to the weight, in a line. */
export function wayOf(store: Store, behind: Behind): string {
  const { made, numbers, masked, lacks, seen, weights, place, terms, against } = behind;
  const product = numbers?.product ?? (against ? null : sumOf(terms, "total"));
  const begin = product === null ? "" : `q·k = ${measured(product)}`;
  if (lacks) return `${begin}. ${lacks}`;
  if (masked) return `${begin}, masked: this query may not see the key.`;
  const score = numbers && `score ${measured(numbers.score)}`;
  const weight = numbers?.weight ?? weights?.[place.key];
  const sharpness = { temperature: store.temperature.value, scaling: store.scaling.value };
  const rule = ruleOf(made, sharpness);
  const among = seen === null ? "" : ` among ${seen} ${seen === 1 ? "key" : "keys"}`;
  const end = weight === undefined ? "" : `weight ${exact(weight)} = ${rule}${among}`;
  return `${[begin, score, end].filter(Boolean).join(" → ")}.`;
}

/** A term in a sentence: what is multiplied, what it adds, and the sum up to it. */
export function inWords(terms: readonly Term[], at: number): string {
  const { dimensions, q, k, total, content, apart } = terms[at]!;
  const sum = `Sum so far ${measured(sumOf(terms.slice(0, at + 1), "total"))}.`;
  const vector = (values: readonly number[]) =>
    values.length === 1 ? measured(values[0]!) : `(${values.map((value) => measured(value)).join(", ")})`;
  const name =
    dimensions.length === 1 ? `Dimension ${dimensions[0]}` : `Dimensions ${dimensions.join(" and ")}`;
  const adds = `${name}: q ${vector(q)} times k ${vector(k)} adds ${measured(total)}`;
  if (!Number.isFinite(apart)) return `${adds}. ${sum}`;
  const turns = Math.abs(apart) / (2 * Math.PI);
  const turned = turns < 1 ? `${Math.round(turns * 360)}°` : `${turns.toFixed(1)} turns`;
  return `${adds}: content ${measured(content)}, distance ${measured(total - content)}, turned ${turned} apart. ${sum}`;
}

/** What is said while nothing is pointed at. */
export function resting(behind: Behind): string {
  const { terms, against } = behind;
  const [total, content] = [sumOf(terms, "total"), sumOf(terms, "content")];
  const noun = nounOf(behind);
  if (Number.isFinite(content) && noun === "pair") {
    const all = against ? `The difference is ${measured(total)}` : `q·k ${measured(total)}`;
    return `${all} = content ${measured(content)} + distance ${measured(total - content)}. ${most(terms, noun)}`;
  }
  return most(terms, noun);
}

export function aloud(map: MapFacts, behind: Behind): string {
  return `What each ${nounOf(behind)} adds to q·k, ${nameOf(map, behind.place)}: ${behind.terms.length} ${nounOf(behind)}s, the sum ${measured(sumOf(behind.terms, "total"))}. ${resting(behind)}`;
}

/** What has to be said beside the bars. */
export function notesIn(store: Store, map: MapFacts, behind: Behind): string[] {
  const { vectors, made } = behind;
  const paired = nounOf(behind) === "pair";
  return [
    paired
      ? "Two dimensions that turn together with position are one bar, named by its first. The tick is its content: what it would add if query and key stood side by side. From there to the end of the bar is what the distance does; the dashed line sums content alone."
      : "",
    vectors.rotary
      ? ""
      : "No turning of queries and keys with position was proved for this layer, so content and distance are not told apart.",
    ...notesOf(made, sharing(map, store.layer.value, store.head.value)),
  ].filter(Boolean);
}
