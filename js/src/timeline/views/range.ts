/** From the least number of any head to the largest, with a little room. */
import type { Curve } from "../run";

export function rangeOf(curves: readonly (Curve | null)[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const curve of curves) {
    if (!curve) continue;
    const end = curve.count * curve.layers * curve.heads;
    for (let at = 0; at < end; at++) {
      const value = curve.values[at]!;
      // NaN is in no order.
      if (value < low && value > -1e300) low = value;
      if (value > high && value < 1e300) high = value;
    }
  }
  if (low > high) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  // Shares and entropies begin at 0, unless all of them are far from it.
  if (low > 0 && low < high / 2) low = 0;
  const room = (high - low) * 0.04;
  return [low === 0 ? 0 : low - room, high + room];
}
