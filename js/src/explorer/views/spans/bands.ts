/** Where each query looks, as bands that are stacked: few enough to be told apart, the rest together. */
import { DISTINCT } from "../../../attention/palette";
import { meanOf } from "../../../attention/temper";
import type { NamedSpan } from "../../../host/facts";

export interface Band {
  name: string;
  /** Its place among the hues; null for what is told in grey. */
  hue: number | null;
  /** Of each query, in the order of `queries`. */
  mass: Float32Array;
  /** In the mean over the queries that have values. */
  mean: number;
}

export interface Bands {
  /** Positions of the queries. */
  queries: ArrayLike<number>;
  bands: Band[];
}

/** The largest runs by what they get, in the order of the text; then the query itself, and what is left. */
export function bandsOf(spans: readonly NamedSpan[], queries: ArrayLike<number>, mass: Float32Array): Bands {
  const columns = spans.length + 2;
  const rows = queries.length;
  const column = (at: number) => Float32Array.from({ length: rows }, (_, row) => mass[row * columns + at]!);
  const all = spans.map(([name], at) => ({ name, at, mass: column(at), mean: 0 }));
  for (const one of all) one.mean = meanOf(one.mass);
  const kept = [...all].sort((one, other) => other.mean - one.mean).slice(0, DISTINCT - 1);
  const bands: Band[] = all
    .filter((one) => kept.includes(one))
    .map(({ name, mean, mass: of }, hue) => ({ name, mean, mass: of, hue }));
  const others = all.filter((one) => !kept.includes(one));
  if (others.length > 0) {
    const sum = new Float32Array(rows);
    for (const { mass: of } of others) for (let row = 0; row < rows; row++) sum[row]! += of[row]!;
    bands.push({ name: `${others.length} other spans`, hue: DISTINCT - 1, mass: sum, mean: meanOf(sum) });
  }
  for (const [name, at] of [
    ["itself", spans.length],
    ["other tokens", spans.length + 1],
  ] as const) {
    const of = column(at);
    const mean = meanOf(of);
    if (mean > 5e-4) bands.push({ name, hue: null, mass: of, mean });
  }
  return { queries, bands };
}
