/**
 * Attention over a handful of tokens, one step of the formula after another, in double precision.
 *
 * Python has the same arithmetic in attnwidget/teaching/steps.py, and writes the vectors that hold the two together.
 */

/** Rows of numbers. */
export type Rows = readonly (readonly number[])[];
/** What each query may see. */
export type Visible = readonly (readonly boolean[])[];
export type MaskRule = "none" | "causal" | Visible;

export const HEADS = ["previous", "first", "same", "content"] as const;
export type HeadKind = (typeof HEADS)[number];

const ROTARY_BASE = 10_000;
/** Score of what a ruled head looks for; all else has 0. */
const CERTAIN = 4;

export interface Steps {
  /** Products of queries and keys. */
  scores: number[][];
  /** Scores * scaling / temperature. */
  scaled: number[][];
  visible: Visible;
  /** Softmax over what is visible, 0 where it is not; a row that sees nothing is NaN. */
  weights: number[][];
  /** Weights times values. */
  output: number[][];
  /** Of each row, in nats. */
  entropy: number[];
}

export interface Given {
  query: Rows;
  key: Rows;
  value: Rows;
  /** What products are multiplied with; null for 1 / sqrt(width). */
  scaling: number | null;
  temperature: number;
  visible: Visible;
  /** Queries and keys are turned by these; null for no positions. */
  positions: readonly number[] | null;
}

export const widthOf = (rows: Rows): number => rows[0]?.length ?? 0;
export const factorOf = (scaling: number | null, width: number): number =>
  scaling ?? 1 / Math.sqrt(Math.max(1, width));

const dot = (one: readonly number[], other: readonly number[]): number =>
  one.reduce((sum, number, at) => sum + number * other[at]!, 0);
const column = (rows: Rows, at: number): number[] => rows.map((row) => row[at]!);
const mapped = (rows: Rows, change: (number: number) => number): number[][] =>
  rows.map((row) => row.map(change));

export function products(query: Rows, key: Rows): number[][] {
  return query.map((one) => key.map((other) => dot(one, other)));
}

export function steps({ query, key, value, scaling, temperature, visible, positions }: Given): Steps {
  const [q, k] = positions ? [rotated(query, positions), rotated(key, positions)] : [query, key];
  const scores = products(q, k);
  const factor = factorOf(scaling, widthOf(query));
  return weighed(
    scores,
    mapped(scores, (score) => (score * factor) / temperature),
    visible,
    value,
  );
}

/** The steps from scaled scores on. */
function weighed(scores: number[][], scaled: number[][], visible: Visible, value: Rows): Steps {
  const weights = scaled.map((row, at) => softmax(row, visible[at]!));
  return {
    scores,
    scaled,
    visible,
    weights,
    output: summed(weights, value),
    entropy: weights.map(entropyOf),
  };
}

export function softmax(row: readonly number[], sees: readonly boolean[]): number[] {
  const seen = row.map((score, at) => (sees[at] ? score : Number.NEGATIVE_INFINITY));
  const top = Math.max(...seen);
  if (top === Number.NEGATIVE_INFINITY) return row.map(() => Number.NaN);
  const exponentials = seen.map((score) => Math.exp(score - top));
  const sum = exponentials.reduce((one, other) => one + other, 0);
  return exponentials.map((exponential) => exponential / sum);
}

/** Each row of weights as a mix of values. */
export function summed(weights: Rows, value: Rows): number[][] {
  const columns = Array.from({ length: widthOf(value) }, (_, at) => column(value, at));
  return weights.map((row) => columns.map((numbers) => dot(row, numbers)));
}

export const entropyOf = (weights: readonly number[]): number =>
  Math.abs(weights.reduce((sum, weight) => sum + (weight > 0 ? weight * Math.log(weight) : weight * 0), 0));

/** The largest entropy that each row can have; NaN where it sees nothing. */
export const rangesOf = (visible: Visible): number[] =>
  visible.map((row) => Math.log(row.filter(Boolean).length || Number.NaN));

/** Vectors turned by their positions, each pair of neighbouring numbers by an angle of its own. */
export function rotated(vectors: Rows, positions: readonly number[]): number[][] {
  const width = widthOf(vectors);
  return vectors.map((vector, at) => {
    const turned = [...vector];
    for (let pair = 0; pair < Math.floor(width / 2); pair++) {
      const angle = positions[at]! * ROTARY_BASE ** ((-2 * pair) / width);
      const [even, odd] = [vector[2 * pair]!, vector[2 * pair + 1]!];
      turned[2 * pair] = even * Math.cos(angle) - odd * Math.sin(angle);
      turned[2 * pair + 1] = even * Math.sin(angle) + odd * Math.cos(angle);
    }
    return turned;
  });
}

export function visibility(mask: MaskRule, queries: number, keys: number): Visible {
  if (typeof mask !== "string") return mask;
  return Array.from({ length: queries }, (_, query) =>
    Array.from({ length: keys }, (_, key) => mask === "none" || key <= query + keys - queries),
  );
}

/** One causal head over a sentence; all but "content" are ruled. */
export function headSteps(
  kind: HeadKind,
  tables: { query: Rows; key: Rows; value: Rows },
  labels: readonly string[],
  temperature: number,
): Steps {
  const n = tables.key.length;
  const visible = visibility("causal", n, n);
  if (kind === "content") return steps({ ...tables, scaling: null, temperature, visible, positions: null });
  const wanted = {
    previous: (query: number, key: number) => key === Math.max(0, query - 1),
    first: (_: number, key: number) => key === 0,
    // A token without a name is no other's.
    same: (query: number, key: number) =>
      query === key || (Boolean(labels[query]) && labels[query] === labels[key]),
  }[kind];
  const scores = visible.map((row, query) => row.map((_, key) => (wanted(query, key) ? CERTAIN : 0)));
  return weighed(
    scores,
    mapped(scores, (score) => score / temperature),
    visible,
    tables.value,
  );
}

/** The output projection that gives the mean of the heads. */
export function meanOfHeads(heads: number, width: number): number[][] {
  return Array.from({ length: heads * width }, (_, row) =>
    Array.from({ length: width }, (_, at) => (row % width === at ? 1 / heads : 0)),
  );
}

/** Outputs of all heads side by side, and what an output projection makes of them. */
export function mixed(
  heads: readonly Steps[],
  mixing: Rows,
): { concatenated: number[][]; output: number[][] } {
  const concatenated = heads[0]!.output.map((_, row) => heads.flatMap((head) => head.output[row]!));
  const matrix = mixing.length > 0 ? mixing : meanOfHeads(heads.length, widthOf(heads[0]!.output));
  return { concatenated, output: summed(concatenated, matrix) };
}

/** How much of a change of its scores comes through each row's softmax: 1 where it is even, 0 where all is on one key. */
export function slopesOf(weights: Rows): number[] {
  const keys = widthOf(weights);
  return weights.map((row) => (keys < 2 ? Number.NaN : (1 - dot(row, row)) / (1 - 1 / keys)));
}

/** Population standard deviation of all numbers. */
export function spreadOf(rows: Rows): number {
  const numbers = rows.flat();
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  return Math.sqrt(numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0) / numbers.length);
}
