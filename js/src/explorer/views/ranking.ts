/** Heads in the order of a measure, and the way by keyboard through lines that wrap. */
import type { Choices } from "../choices";

export interface HeadPlace {
  layer: number;
  head: number;
}

export type Sort = Choices["sort"];

/** Every head in the order of the model. */
export const inModelOrder = (heads: readonly number[]): HeadPlace[] =>
  heads.flatMap((count, layer) => Array.from({ length: count }, (_, head) => ({ layer, head })));

/** Numbers first, then the heads that have none (NaN), then those whose number has not come (undefined); ties as in the model. */
export function ranked(
  heads: readonly number[],
  numberOf: (layer: number, head: number) => number | undefined,
  sort: Sort,
): HeadPlace[] {
  const places = inModelOrder(heads);
  if (sort === "model") return places;
  const keyed = places.map((place) => ({ place, value: numberOf(place.layer, place.head) }));
  const group = (value: number | undefined) => (value === undefined ? 2 : Number.isNaN(value) ? 1 : 0);
  const sign = sort === "highest" ? -1 : 1;
  keyed.sort((one, other) => {
    const apart = group(one.value) - group(other.value);
    if (apart !== 0 || group(one.value) > 0) return apart;
    return one.value === other.value ? 0 : sign * (one.value! < other.value! ? -1 : 1);
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
