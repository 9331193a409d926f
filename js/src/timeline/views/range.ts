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
  // What is never below 0 begins there, so that small changes look small.
  if (low > 0 && low < high) low = 0;
  return low === high ? [low - 0.5, high + 0.5] : [low, high + (high - low) * 0.04];
}
