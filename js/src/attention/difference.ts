/** One map less another, cell by cell. */
import type { Tempered } from "./temper";
import { MASKED, type Tile } from "./tile";

export type Weights = Pick<Tempered, "table" | "shares"> & { tile: Tile };

export interface Difference {
  /** Where its cells lie: those of both maps. */
  tile: Pick<Tile, "rows" | "columns" | "stride" | "shape" | "pooling" | "sampled" | "step" | "exact">;
  /** What the second gives more than the first; NaN where neither sees the key, and in rows that are NaN. */
  values: Float32Array;
  /** The farthest from 0 in each row, without its sign. */
  ofRows: Float32Array;
  /** The farthest from 0 of rows that could look elsewhere, and its cell. */
  largest: number;
  strongest: number;
  /** Whether some cells are masked in both. */
  hasMasked: boolean;
  /** Rows of NaN in either. */
  undefinedRows: number[];
}

/** Whether both are cells of the same places, pooled alike. */
export const areAlike = (one: Tile, other: Tile): boolean => readingOf(one) === readingOf(other);

const readingOf = ({ rows, columns, stride, pooling }: Tile): string =>
  String([rows, columns, stride, pooling]);

/**
 * What a key that one of the two may not see gets of it is nothing; what neither sees is masked. Values are written into
 * an array of the right size where one is given: a slider makes a million of them a step.
 */
export function differenceOf(first: Weights, second: Weights, into?: Float32Array): Difference {
  const { tile } = second;
  const [height, width] = tile.shape;
  const values = into?.length === height * width ? into : new Float32Array(height * width);
  const ofRows = new Float32Array(height);
  const missing = new Set([...first.tile.undefinedRows, ...tile.undefinedRows]);
  const [codes, others] = [tile.codes, first.tile.codes];
  const [table, otherTable] = [second.table, first.table];
  let largest = 0;
  let strongest = 0;
  let ofAll = 0;
  let hasMasked = false;
  for (let row = 0; row < height; row++) {
    const [start, end] = [row * width, (row + 1) * width];
    if (missing.has(row)) {
      values.fill(Number.NaN, start, end);
      continue;
    }
    const [share, otherShare] = [second.shares[row]!, first.shares[row]!];
    const [top, otherTop] = [tile.largest[row]!, first.tile.largest[row]!];
    let most = 0;
    let at = start;
    for (let cell = start; cell < end; cell++) {
      const code = codes[cell]!;
      const other = others[cell]!;
      if (code === MASKED && other === MASKED) {
        values[cell] = Number.NaN;
        hasMasked = true;
        continue;
      }
      const gives = code === MASKED ? 0 : table[top - code]! * share;
      const value = gives - (other === MASKED ? 0 : otherTable[otherTop - other]! * otherShare);
      values[cell] = value;
      const size = value < 0 ? -value : value;
      if (size <= most) continue;
      most = size;
      at = cell;
    }
    ofRows[row] = most;
    if (most > ofAll) ofAll = most;
    const informative = first.tile.informative[row] || tile.informative[row];
    if (!informative || most <= largest) continue;
    largest = most;
    strongest = at;
  }
  return {
    tile,
    values,
    ofRows,
    largest: largest || ofAll,
    strongest,
    hasMasked,
    undefinedRows: [...missing].sort((one, other) => one - other),
  };
}

/** The same as shares of what is farthest from 0 in each row. */
export function rowwiseOf(difference: Difference): Float32Array {
  const { values, ofRows, tile } = difference;
  return values.map((value, cell) => value / (ofRows[Math.floor(cell / tile.shape[1])] || 1));
}
