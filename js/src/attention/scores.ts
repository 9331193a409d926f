/** From queries and keys to a tile of log-weights: the arithmetic of the kernel, in the browser. */
import type { Codes, HeldLayer, MaskBits, MaskRule, Projections } from "./projections";
import { MASKED } from "./tile";

/** Log-weights below it are below float32, and would spoil the steps of the others. */
const LOWEST = -104;
const LARGEST_CODE = MASKED - 1;

/** A whole map of one head, as the kernel would send it. */
export interface WholeMap {
  low: number;
  step: number;
  codes: Uint16Array;
  missing: Float32Array;
  entropy: Float32Array;
}

/** Log-weights of a head [queries, keys], -Infinity where masked, with what its rows lack and their entropies. */
export interface LogWeights {
  logs: Float64Array;
  missing: Float32Array;
  entropy: Float32Array;
}

/** What the weights of one query come of: softmax(scores), the sink taking part in it. */
export interface RowScores {
  /** q·k with each key, before any factor. */
  products: ArrayLike<number>;
  /** As the softmax takes them; -Infinity where masked. */
  scores: ArrayLike<number>;
  /** -Infinity where there is none. */
  sink: number;
}

/** Multiplications that scores of one head take, as a measure of how long they do. */
export const workOf = (layer: HeldLayer): number =>
  layer.form === "codes" ? 0 : layer.nQueries * layer.nKeys * layer.width;

export const mapOf = (layer: HeldLayer, head: number): WholeMap =>
  layer.form === "codes" ? unpacked(layer, head) : encoded(logWeights(layer, head));

/** The keys that a query may see: from the first to the last, and of these all whose bit is set. */
function seen(mask: MaskRule | MaskBits, query: number, keys: number): [first: number, end: number] {
  if ("bits" in mask || !mask.causal) return [0, keys];
  const last = query + mask.offset;
  const first = mask.window === null ? 0 : last - mask.window + 1;
  return [Math.max(0, first), Math.min(keys, last + 1)];
}

export function logWeights(layer: Projections, head: number): LogWeights {
  const { nQueries, nKeys } = layer;
  const logs = new Float64Array(nQueries * nKeys).fill(Number.NEGATIVE_INFINITY);
  const missing = new Float32Array(nQueries);
  const entropy = new Float32Array(nQueries);
  const query = new Float64Array(layer.width);
  for (let row = 0; row < nQueries; row++) {
    const line = logs.subarray(row * nKeys, (row + 1) * nKeys);
    const span = scoreRow(layer, head, row, query, line);
    normalise(line, span, sinkOf(layer, head), row, missing, entropy);
  }
  return { logs, missing, entropy };
}

/** What the weights of one query come of. */
export function rowScores(layer: Projections, head: number, row: number): RowScores {
  const { nKeys, width } = layer;
  const from = (head * layer.nQueries + row) * width;
  const query = Float64Array.from(layer.q.subarray(from, from + width));
  const dots = new Float64Array(nKeys);
  products(query, keysOf(layer, head), 0, nKeys, dots);
  const scores = new Float64Array(nKeys).fill(Number.NEGATIVE_INFINITY);
  scoreRow(layer, head, row, query, scores);
  return { products: dots, scores, sink: sinkOf(layer, head) };
}

function keysOf({ k, heads, keyValueHeads, nKeys, width }: Projections, head: number): Float32Array {
  const shared = Math.floor((head * keyValueHeads) / heads);
  return k.subarray(shared * nKeys * width, (shared + 1) * nKeys * width);
}

const sinkOf = ({ sinks }: Projections, head: number): number =>
  sinks ? sinks[head]! : Number.NEGATIVE_INFINITY;

/** Scores of a row into a line of -Infinity, from the first key that may be seen to the last; `query` is scratch. */
function scoreRow(
  layer: Projections,
  head: number,
  row: number,
  query: Float64Array,
  line: Float64Array,
): [first: number, end: number] {
  const { nQueries, nKeys, width, softcap, mask } = layer;
  const from = (head * nQueries + row) * width;
  for (let at = 0; at < width; at++) query[at] = layer.q[from + at]! * layer.scaling;
  const [first, end] = seen(mask, row, nKeys);
  products(query, keysOf(layer, head), first, end, line);
  const bits = "bits" in mask ? mask.bits : null;
  const plane =
    bits && "heads" in mask ? (mask.heads === 1 ? 0 : head) * Math.ceil((nQueries * nKeys) / 8) : 0;
  for (let key = first; key < end; key++) {
    if (bits) {
      const at = row * nKeys + key;
      if (!((bits[plane + (at >> 3)]! >> (at & 7)) & 1)) {
        line[key] = Number.NEGATIVE_INFINITY;
        continue;
      }
    }
    if (softcap !== null) line[key] = Math.tanh(line[key]! / softcap) * softcap;
  }
  return [first, end];
}

/** Scores of one query with a run of keys; four at a time, so that the query is read once for them. */
function products(
  query: Float64Array,
  keys: Float32Array,
  first: number,
  end: number,
  into: Float64Array,
): void {
  const width = query.length;
  let key = first;
  for (; key + 4 <= end; key += 4) {
    const one = key * width;
    const two = one + width;
    const three = two + width;
    const four = three + width;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let at = 0; at < width; at++) {
      const value = query[at]!;
      a += value * keys[one + at]!;
      b += value * keys[two + at]!;
      c += value * keys[three + at]!;
      d += value * keys[four + at]!;
    }
    into[key] = a;
    into[key + 1] = b;
    into[key + 2] = c;
    into[key + 3] = d;
  }
  for (; key < end; key++) {
    let sum = 0;
    for (let at = 0; at < width; at++) sum += query[at]! * keys[key * width + at]!;
    into[key] = sum;
  }
}

/** Scores become log-weights in place; a row that sees nothing, or holds what is no number, becomes -Infinity. */
function normalise(
  line: Float64Array,
  [first, end]: [first: number, end: number],
  sink: number,
  row: number,
  missing: Float32Array,
  entropy: Float32Array,
): void {
  let top = Number.NEGATIVE_INFINITY;
  for (let key = first; key < end; key++) {
    const score = line[key]!;
    // What is no number spoils its row, as it does in the kernel.
    if (score > top || Number.isNaN(score)) top = score;
  }
  if (!Number.isFinite(top)) {
    line.fill(Number.NEGATIVE_INFINITY);
    const sees = top !== Number.NEGATIVE_INFINITY;
    missing[row] = sees ? Number.NaN : sink === Number.NEGATIVE_INFINITY ? 0 : 1;
    entropy[row] = Number.NaN;
    return;
  }
  let sum = 0;
  let fall = 0;
  for (let key = first; key < end; key++) {
    const under = line[key]! - top;
    if (under < LOWEST) continue;
    const weight = Math.exp(under);
    sum += weight;
    fall += weight * under;
  }
  const beside = Math.exp(sink - top);
  const log = Math.log(sum + beside);
  missing[row] = Number.isFinite(log) ? beside / (sum + beside) : 1;
  entropy[row] = sum === 1 ? 0 : Math.max(0, Math.log(sum) - fall / sum);
  const shift = Number.isFinite(log) ? top + log : sink;
  for (let key = first; key < end; key++) {
    const weight = line[key]! - shift;
    if (weight < LOWEST && line[key] !== Number.NEGATIVE_INFINITY) line[key] = LOWEST;
    else line[key] = weight;
  }
}

/** Log-weights in 16 bits, affine between the least of the map and 0. */
function encoded({ logs, missing, entropy }: LogWeights): WholeMap {
  let low = 0;
  for (let at = 0; at < logs.length; at++) {
    const log = logs[at]!;
    if (log < low && log !== Number.NEGATIVE_INFINITY) low = log;
  }
  const step = -low / LARGEST_CODE;
  const scale = step === 0 ? 0 : 1 / step;
  const codes = new Uint16Array(logs.length);
  for (let at = 0; at < logs.length; at++) {
    const log = logs[at]!;
    codes[at] =
      log === Number.NEGATIVE_INFINITY
        ? MASKED
        : Math.min(LARGEST_CODE, Math.max(0, (log - low) * scale + 0.5));
  }
  return { low, step, codes, missing, entropy };
}

function unpacked(layer: Codes, head: number): WholeMap {
  const { nQueries, nKeys, triangle } = layer;
  const rows = [head * nQueries, (head + 1) * nQueries] as const;
  const rest = {
    low: layer.low[head]!,
    step: layer.step[head]!,
    missing: layer.missing.subarray(...rows),
    entropy: layer.entropy.subarray(...rows),
  };
  const cells = nQueries * nKeys;
  if (!triangle) return { ...rest, codes: layer.codes.subarray(head * cells, (head + 1) * cells) };
  const codes = new Uint16Array(cells).fill(MASKED);
  let at = (head * nQueries * (nQueries + 1)) / 2;
  for (let row = 0; row < nQueries; row++) {
    codes.set(layer.codes.subarray(at, at + row + 1), row * nKeys);
    at += row + 1;
  }
  return { ...rest, codes };
}
