/** How words are shaded: by what the queries that are read give to each, or by what each gives to the word that is read. */
import { inkOn, type Rgb } from "../../../attention/colour";
import type { Axis } from "../../../host/facts";
import type { Store } from "../../store";

/** On paper longer texts are shown around the pinned word. */
const LONGEST = 4096;

/** What no colour needs an end for. */
export const NOTHING = 1e-12;

export type Role = "query" | "key" | "both";

export interface Shade {
  weight: number;
  background: Rgb;
  ink: string;
}

export interface Shading {
  /** The weight at the end of the colours; null where nothing is read, or all of it is nothing. */
  largest: number | null;
  masked(index: number): boolean;
  /** Of a word; null where it has no weight. */
  of(index: number): Shade | null;
}

const NONE: Shading = { largest: null, masked: () => false, of: () => null };

/** Of a row the keys have a shade, of a column the queries. */
export function shadingOf(store: Store, of: Role): Shading {
  if (store.traits.reading.value === "column") return of === "key" ? NONE : byColumn(store);
  return of === "query" ? NONE : byRow(store);
}

function byRow(store: Store): Shading {
  const row = store.pinned.value;
  return row ? shaded(store, row.shown, row.masked) : NONE;
}

function byColumn(store: Store): Shading {
  const column = store.column.value;
  if (!column) return NONE;
  const all = column.read === column.weights.length;
  return shaded(store, column.weights, (query) => all && Number.isNaN(column.weights[query]));
}

function shaded(store: Store, weights: Float32Array, masked: (index: number) => boolean): Shading {
  const tint = store.tint.value;
  const shared = store.traits.color_range.value === "shared";
  const largest = shared
    ? 1
    : weights.reduce((top, one) => (Number.isNaN(one) ? top : Math.max(top, Math.abs(one))), NOTHING);
  return {
    largest: largest > NOTHING ? largest : null,
    masked,
    of(index) {
      const weight = weights[index] ?? Number.NaN;
      if (Number.isNaN(weight) || masked(index)) return null;
      const background = tint(weight, largest);
      return { weight, background, ink: inkOn(background) };
    },
  };
}

/** Whether a word is one of those that are read. */
export function isRead(store: Store, of: Role, index: number): boolean {
  const { query, key } = store.pin.value;
  const column = store.traits.reading.value === "column";
  if (of === "key" || (of === "both" && column))
    return (of === "both" ? store.lookedAt.value : key) === index;
  if (column) return query === index;
  return store.reading.value === index || store.also.value.includes(index);
}

/** The part of an axis that paper shows, half-open, around a word of it. */
export function shownPart({ labels }: Axis, around: number | null): { from: number; to: number } {
  const from = Math.max(0, Math.min((around ?? 0) - LONGEST / 2, labels.length - LONGEST));
  return { from, to: Math.min(labels.length, from + LONGEST) };
}
