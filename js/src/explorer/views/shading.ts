/** How words are shaded: by what the query that is read gives to each. */
import { inkOn, type Rgb } from "../../attention/colour";
import { directionOf } from "../../drawing/words";
import type { Axis } from "../../host/facts";
import type { Store } from "../store";

/** Longer texts are shown around the pinned word: tens of thousands of elements would stop the page. */
const LONGEST = 4096;

export interface Shade {
  weight: number;
  background: Rgb;
  ink: string;
}

export interface Shading {
  /** The weight at the end of the colours; null where no query is read. */
  largest: number | null;
  masked(index: number): boolean;
  /** Of a word; null where it has no weight. */
  of(index: number): Shade | null;
}

/** Queries themselves have no weight. */
export function shadingOf(store: Store, of: "query" | "key" | "both"): Shading {
  const row = of === "query" ? null : store.pinned.value;
  if (!row) return { largest: null, masked: () => false, of: () => null };
  const tint = store.tint.value;
  const shared = store.traits.color_range.value === "shared";
  const largest = shared ? 1 : row.after.reduce((a, b) => Math.max(a, b), 1e-12);
  return {
    largest,
    masked: row.masked,
    of(index) {
      if (row.masked(index)) return null;
      const weight = row.after[index]!;
      const background = tint(weight, largest);
      return { weight, background, ink: inkOn(background) };
    },
  };
}

/** The part of an axis that is shown, half-open, around a word of it. */
export function shownPart({ labels }: Axis, around: number | null): { from: number; to: number } {
  const from = Math.max(0, Math.min((around ?? 0) - LONGEST / 2, labels.length - LONGEST));
  return { from, to: Math.min(labels.length, from + LONGEST) };
}

/** How the words run; special tokens are in nobody's language. */
export function directionOfAxis({ labels, special }: Axis): "ltr" | "rtl" {
  const apart = new Set(special);
  return directionOf(labels.filter((_, index) => !apart.has(index)));
}
