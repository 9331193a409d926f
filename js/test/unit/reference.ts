/** What the fast code must agree with: the definitions, in float64, one row at a time. */
import { decodeTile, MASKED, type Tile } from "../../src/attention/tile";
import { unaligned } from "../answers";
import { random } from "../maps";

export interface Row {
  /** log weights; -Infinity where masked. */
  logs: number[];
  missing: number;
}

/** softmax(log p * scaling / temperature) over the keys and the sink, the sink dropped. */
export function tempered({ logs, missing }: Row, temperature: number, scaling: number): number[] {
  const all = [...logs, missing > 0 ? Math.log(missing) : Number.NEGATIVE_INFINITY];
  const scores = all.map((log) => (log === Number.NEGATIVE_INFINITY ? log : (log * scaling) / temperature));
  const top = Math.max(...scores);
  if (top === Number.NEGATIVE_INFINITY) return logs.map(() => 0);
  const exps = scores.map((score) => Math.exp(score - top));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.slice(0, -1).map((value) => value / sum);
}

export function entropy(weights: number[]): number {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum === 0) return Number.NaN;
  return weights.reduce(
    (total, weight) => (weight > 0 ? total - (weight / sum) * Math.log(weight / sum) : total),
    0,
  );
}

/** Random rows: causal or full, peaked or flat, with a sink or without. */
export function randomRows(seed: number, height: number, width: number): Row[] {
  const draw = random(seed);
  const causal = draw() < 0.5;
  const spread = 1 + 12 * draw();
  const missing = draw() < 0.3 ? draw() * 0.6 : 0;
  return Array.from({ length: height }, (_, row) => {
    const scores = Array.from({ length: width }, (_, column) =>
      causal && column > row ? Number.NEGATIVE_INFINITY : spread * (draw() - 0.5),
    );
    const top = Math.max(...scores);
    const sum = scores.reduce((total, score) => total + Math.exp(score - top), 0);
    return { logs: scores.map((score) => score - top - Math.log(sum) + Math.log(1 - missing)), missing };
  });
}

/** Encode rows as the kernel does, and decode them as the browser does. */
export function tileFrom(rows: Row[], causal = true): Tile {
  const height = rows.length;
  const width = rows[0]!.logs.length;
  const finite = rows.flatMap(({ logs }) => logs.filter(Number.isFinite));
  const low = Math.min(0, ...finite);
  const step = low === 0 ? 0 : -low / (MASKED - 1);
  const codes = Uint16Array.from(
    rows.flatMap(({ logs }) =>
      logs.map((log) => (Number.isFinite(log) ? (step === 0 ? 0 : Math.round((log - low) / step)) : MASKED)),
    ),
  );
  const header = {
    rows: [0, height] as [number, number],
    columns: [0, width] as [number, number],
    stride: [1, 1] as [number, number],
    shape: [height, width] as [number, number],
    low,
    step,
    temperature: 1,
    scaling: 1,
    pooling: "max" as const,
    sampled: null,
    work: height * width,
  };
  const missing = Float32Array.from(rows, (row) => row.missing);
  const entropies = Float32Array.from(rows, ({ logs }) => entropy(logs.map(Math.exp)));
  return decodeTile(header, [unaligned(codes), unaligned(missing), unaligned(entropies)], width, causal);
}
