/**
 * Where q·k of one query and one key comes from: what each dimension adds, or each pair of dimensions that turn together
 * with position. Of a pair the content is what it would add if query and key stood side by side; the rest is distance.
 */
import type { Projections, Rotary } from "./projections";

/** Queries and keys of a head, row by row; of one query and one key alone where `at` says so. */
export interface Vectors {
  q: Float32Array;
  k: Float32Array;
  width: number;
  rotary: Rotary | null;
  at: { query: number; key: number } | null;
}

export interface Term {
  /** One dimension, or the two that turn together. */
  dimensions: readonly number[];
  q: readonly number[];
  k: readonly number[];
  /** What it adds to q·k. */
  total: number;
  /** What it would add at distance 0; NaN where that is not known. */
  content: number;
  /** By how much further the query was turned than the key, in radians; NaN where nothing turns. */
  apart: number;
}

export function vectorsOf(layer: Projections, head: number): Vectors {
  const { q, k, width, nQueries, nKeys, heads, keyValueHeads, rotary } = layer;
  const shared = Math.floor((head * keyValueHeads) / heads);
  return {
    q: q.subarray(head * nQueries * width, (head + 1) * nQueries * width),
    k: k.subarray(shared * nKeys * width, (shared + 1) * nKeys * width),
    width,
    rotary,
    at: null,
  };
}

/** In the model's order: pairs first, where there are any and they are wanted, then what stands alone. */
export function termsOf(vectors: Vectors, query: number, key: number, paired: boolean): Term[] {
  const { width, rotary, at } = vectors;
  const [row, column] = at ? [0, 0] : [query, key];
  const q = vectors.q.subarray(row * width, (row + 1) * width);
  const k = vectors.k.subarray(column * width, (column + 1) * width);
  const terms: Term[] = [];
  const turned = new Set<number>();
  if (rotary && paired) {
    const { pairs, start, pairing } = rotary;
    for (let pair = 0; pair < pairs; pair++) {
      const dimensions =
        pairing === "halves"
          ? [start + pair, start + pair + pairs]
          : [start + 2 * pair, start + 2 * pair + 1];
      const [a, b] = dimensions.map((one) => q[one]!) as [number, number];
      const [c, d] = dimensions.map((one) => k[one]!) as [number, number];
      const apart = rotary.queryAngles[row * pairs + pair]! - rotary.keyAngles[column * pairs + pair]!;
      const [cos, sin] = [Math.cos(apart), Math.sin(apart)];
      for (const one of dimensions) turned.add(one);
      terms.push({
        dimensions,
        q: [a, b],
        k: [c, d],
        total: a * c + b * d,
        content: a * (c * cos - d * sin) + b * (c * sin + d * cos),
        apart,
      });
    }
  }
  for (let one = 0; one < width; one++) {
    if (turned.has(one)) continue;
    const total = q[one]! * k[one]!;
    terms.push({
      dimensions: [one],
      q: [q[one]!],
      k: [k[one]!],
      total,
      content: rotary && paired ? total : Number.NaN,
      apart: Number.NaN,
    });
  }
  return terms;
}

/** What each term adds to one key's q·k more than to another's. */
export const lessThose = (terms: readonly Term[], others: readonly Term[]): Term[] =>
  terms.map((term, at) => ({
    ...term,
    total: term.total - others[at]!.total,
    content: term.content - others[at]!.content,
  }));

/** From what adds most to what takes away most; what is no number comes last. */
export const bySize = (terms: readonly Term[]): Term[] => {
  const rank = ({ total }: Term) => (Number.isNaN(total) ? Number.NEGATIVE_INFINITY : total);
  // Equal infinities have no difference.
  return [...terms].sort((one, other) => rank(other) - rank(one) || 0);
};

export const sumOf = (terms: readonly Term[], of: "total" | "content"): number =>
  terms.reduce((sum, term) => sum + term[of], 0);
