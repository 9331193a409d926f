/** Heads in the order of a measure, and the way by keyboard through lines that wrap. */
import type { Choices } from "../../choices";

export interface HeadPlace {
  layer: number;
  head: number;
}

export type Sort = Choices["sort"];

/** Every head in the order of the model. */
export const inModelOrder = (heads: readonly number[]): HeadPlace[] =>
  heads.flatMap((count, layer) => Array.from({ length: count }, (_, head) => ({ layer, head })));

/** Numbers first, then the heads that have none (NaN); ties as in the model. */
export function ranked(
  heads: readonly number[],
  numberOf: (layer: number, head: number) => number,
  sort: Sort,
): HeadPlace[] {
  const places = inModelOrder(heads);
  if (sort === "model") return places;
  const keyed = places.map((place) => ({ place, value: numberOf(place.layer, place.head) }));
  const sign = sort === "highest" ? -1 : 1;
  keyed.sort(({ value: one }, { value: other }) => {
    const missing = Number(Number.isNaN(one)) - Number(Number.isNaN(other));
    if (missing !== 0 || Number.isNaN(one) || one === other) return missing;
    return one < other ? -sign : sign;
  });
  return keyed.map(({ place }) => place);
}

/** Where a key leads from a place in lines of so many columns; null for keys that lead nowhere. */
export function stepped(key: string, at: number, count: number, columns: number): number | null {
  const line = (index: number) => Math.floor(index / columns);
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: line(at) === 0 ? at : at - columns,
    // The last line may be shorter.
    ArrowDown: line(at) === line(count - 1) ? at : at + columns,
    Home: 0,
    End: count - 1,
  }[key];
  return to === undefined ? null : Math.min(Math.max(0, to), count - 1);
}
