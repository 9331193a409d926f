/**
 * Re-tempered attention: softmax(log p * scaling / temperature), for a million cells within a frame.
 *
 * A code's distance from the largest of its row decides its weight up to a factor that the whole row shares, and
 * there are only 65,535 distances: one table of exponentials and one factor a row hold every weight of the map.
 */
import { MASKED, type Tile } from "./tile";

/** Beyond this sharpness only ties of the largest key keep any weight, and products still stay finite. */
const SHARPEST = 1e12;

export interface Tempered {
  /** Weight relative to the row's largest, by distance in codes. */
  table: Float32Array;
  /** Weight of each row's largest key. */
  shares: Float64Array;
  /** In nats, of each row rescaled to its keys; NaN where the row sees nothing. */
  entropy: Float64Array;
  /** The largest weight among informative rows: the upper end of the colour range of a map. */
  largest: number;
  /** The row of that weight. */
  strongestRow: number;
  /** What the weights show, which for a tile that is not exact is what the kernel applied. */
  temperature: number;
  scaling: number;
}

/** Weight of a cell, counted row-major; 0 where masked. */
export function weightOf(
  tile: Tile,
  { table, shares }: Pick<Tempered, "table" | "shares">,
  cell: number,
): number {
  const code = tile.codes[cell] ?? MASKED;
  if (code === MASKED) return 0;
  const row = Math.floor(cell / tile.shape[1]);
  return table[tile.largest[row]! - code]! * shares[row]!;
}

/** Weights of one row. */
export function rowWeights(tile: Tile, tempered: Tempered, row: number): Float32Array {
  const width = tile.shape[1];
  return Float32Array.from({ length: width }, (_, column) => weightOf(tile, tempered, row * width + column));
}

/** Tempers one tile after another into the same memory. */
export class Temper implements Tempered {
  readonly table = new Float32Array(MASKED);
  shares = new Float64Array(0);
  entropy = new Float64Array(0);
  largest = 1;
  strongestRow = 0;
  temperature = 1;
  scaling = 1;

  run(tile: Tile, temperature: number, scaling: number): this {
    const height = tile.shape[0];
    if (this.shares.length !== height) {
      this.shares = new Float64Array(height);
      this.entropy = new Float64Array(height);
    }
    this.temperature = tile.exact ? temperature : tile.temperature;
    this.scaling = tile.exact ? scaling : tile.scaling;
    const sharpness = tile.exact ? Math.min(scaling / temperature, SHARPEST) : 1;
    const slope = tile.step * sharpness;
    for (let distance = 0; distance < MASKED; distance++) this.table[distance] = Math.exp(-distance * slope);

    for (let row = 0; row < height; row++) {
      if (tile.exact) this.#normalise(tile, row, sharpness);
      else this.shares[row] = shareAsSent(tile, row);
    }
    // Nothing was changed: the kernel's own entropy is the more exact one.
    if (!tile.exact || (temperature === 1 && scaling === 1)) this.entropy.set(tile.entropy);
    this.#findLargest(tile);
    return this;
  }

  #normalise(tile: Tile, row: number, sharpness: number): void {
    const { table } = this;
    const { codes } = tile;
    const top = tile.largest[row]!;
    if (top === MASKED) {
      this.shares[row] = 0;
      this.entropy[row] = Number.NaN;
      return;
    }
    let sum = 0;
    let fall = 0;
    for (let at = row * tile.shape[1], end = at + tile.shape[1]; at < end; at++) {
      const code = codes[at]!;
      if (code === MASKED) continue;
      const distance = top - code;
      const weight = table[distance]!;
      sum += weight;
      fall += weight * distance;
    }
    this.shares[row] = 1 / (sum + sink(tile, row, top, sharpness));
    this.entropy[row] = Math.log(sum) + (fall === 0 ? 0 : (fall * tile.step * sharpness) / sum);
  }

  #findLargest(tile: Tile): void {
    this.strongestRow = 0;
    let best = 0;
    let bestOfAll = 0;
    this.shares.forEach((share, row) => {
      bestOfAll = Math.max(bestOfAll, share);
      if (!tile.informative[row] || share <= best) return;
      best = share;
      this.strongestRow = row;
    });
    this.largest = best || bestOfAll || 1;
  }
}

function shareAsSent(tile: Tile, row: number): number {
  const top = tile.largest[row]!;
  return top === MASKED ? 0 : Math.min(1, Math.exp(tile.low + top * tile.step));
}

/**
 * A learned sink is one more key of the softmax, dropped afterwards; its weight relative to the largest key's.
 * A row that was given with more than 1 misses less than nothing: as sent it stays what it is.
 */
function sink(tile: Tile, row: number, top: number, sharpness: number): number {
  const missing = tile.missing[row]!;
  if (missing < 0) return sharpness === 1 ? missing / Math.exp(tile.low + top * tile.step) : 0;
  return missing > 0 ? Math.exp((Math.log(missing) - tile.low - top * tile.step) * sharpness) : 0;
}

/** Mean of the values that there are; NaN when there is none. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  for (let place = 0; place < values.length; place++) {
    const value = values[place]!;
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return count === 0 ? Number.NaN : sum / count;
}
