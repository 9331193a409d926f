/** One query's row in every head of a layer that is held whole, as the kernel would answer it. */
import type { HeldLayer } from "./projections";
import { mapOf, rowScores } from "./scores";
import { MASKED } from "./tile";

const MOST_CELLS = 1024;

export function rowsOf(layer: HeldLayer, query: number) {
  const { heads, nKeys } = layer;
  const stride = Math.max(1, Math.ceil(nKeys / MOST_CELLS));
  const cells = Math.ceil(nKeys / stride);
  const values = new Uint16Array(heads * cells);
  const peak: number[] = [];
  for (let head = 0; head < heads; head++) {
    const weights = weightsOf(layer, head, query);
    peak[head] = 0;
    for (let key = 0; key < nKeys; key++) {
      const weight = Math.min(1, Math.max(0, weights[key] || 0));
      const cell = head * cells + Math.floor(key / stride);
      values[cell] = Math.max(values[cell]!, Math.round(65535 * Math.sqrt(weight)));
      peak[head] = Math.max(peak[head]!, weight);
    }
  }
  return { header: { heads, stride, shape: [heads, cells], peak }, buffers: [values] };
}

function weightsOf(layer: HeldLayer, head: number, query: number): Float64Array {
  if (layer.form === "codes") {
    const { low, step, codes } = mapOf(layer, head);
    const row = codes.subarray(query * layer.nKeys, (query + 1) * layer.nKeys);
    return Float64Array.from(row, (code) => (code === MASKED ? 0 : Math.exp(low + step * code)));
  }
  const { scores, sink } = rowScores(layer, head, query);
  const top = Array.from(scores).reduce((one, other) => Math.max(one, other), sink);
  const masses = Float64Array.from(scores, (score) => Math.exp(score - top));
  const sum = masses.reduce((one, other) => one + other, Math.exp(sink - top));
  return masses.map((mass) => mass / sum);
}
