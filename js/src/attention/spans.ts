/** Mass of runs of tokens, read off a whole map: how much each gives to each, and where each query looks. */
import type { Tempered } from "./temper";
import { MASKED, type Tile } from "./tile";

/** A run of tokens, half-open. */
export interface Run {
  start: number;
  stop: number;
}

/** What every query gives to runs of keys: [queries, runs + 2], behind them what it gives to itself and to the rest. */
export function massOfRows(
  tile: Tile,
  { table, shares }: Tempered,
  runs: readonly Run[],
  /** Whether queries are keys, each at its own place from here on; null where they are not. */
  offset: number | null,
): Float32Array {
  const [height, width] = tile.shape;
  const columns = runs.length + 2;
  const owner = new Int32Array(width).fill(runs.length + 1);
  for (const [at, { start, stop }] of runs.entries()) owner.fill(at, start, stop);
  const mass = new Float32Array(height * columns);
  const sums = new Float64Array(columns);
  for (let row = 0; row < height; row++) {
    const top = tile.largest[row]!;
    if (top === MASKED || Number.isNaN(tile.missing[row])) {
      mass.fill(Number.NaN, row * columns, (row + 1) * columns);
      continue;
    }
    sums.fill(0);
    const own = offset === null ? -1 : row + offset;
    for (let key = 0; key < width; key++) {
      const code = tile.codes[row * width + key]!;
      if (code === MASKED) continue;
      const weight = table[top - code]! * shares[row]!;
      sums[key === own ? runs.length : owner[key]!]! += weight;
    }
    if (offset === null) sums[runs.length] = Number.NaN;
    mass.set(sums, row * columns);
  }
  return mass;
}

/** Mean over the queries of each run of what they give to each run of keys, [runs, key runs]; NaN where none has values. */
export function massOfRuns(
  tile: Tile,
  tempered: Tempered,
  runs: readonly Run[],
  keyRuns: readonly Run[],
): Float32Array {
  const rows = massOfRows(tile, tempered, keyRuns, null);
  const columns = keyRuns.length + 2;
  const mass = new Float32Array(runs.length * keyRuns.length);
  runs.forEach(({ start, stop }, at) => {
    keyRuns.forEach((_, to) => {
      let sum = 0;
      let count = 0;
      for (let row = start; row < stop; row++) {
        const value = rows[row * columns + to]!;
        if (Number.isNaN(value)) continue;
        sum += value;
        count++;
      }
      mass[at * keyRuns.length + to] = count === 0 ? Number.NaN : sum / count;
    });
  });
  return mass;
}

/** The same of a head that looks everywhere alike: the share of the keys that a query sees which are in the run. */
export function chanceOfRuns(tile: Tile, runs: readonly Run[], keyRuns: readonly Run[]): Float32Array {
  const width = tile.shape[1];
  const chance = new Float32Array(runs.length * keyRuns.length);
  runs.forEach(({ start, stop }, at) => {
    let count = 0;
    const sums = new Float64Array(keyRuns.length);
    for (let row = start; row < stop; row++) {
      if (tile.largest[row] === MASKED) continue;
      const line = tile.codes.subarray(row * width, (row + 1) * width);
      let seen = 0;
      for (let key = 0; key < width; key++) if (line[key] !== MASKED) seen++;
      count++;
      keyRuns.forEach((run, to) => {
        let inside = 0;
        for (let key = run.start; key < run.stop; key++) if (line[key] !== MASKED) inside++;
        sums[to]! += inside / seen;
      });
    }
    for (let to = 0; to < keyRuns.length; to++)
      chance[at * keyRuns.length + to] = count === 0 ? Number.NaN : sums[to]! / count;
  });
  return chance;
}
