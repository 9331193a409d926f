/** How one weight comes of the scores of its row, number by number. */
import type { RowScores } from "./scores";

export interface CellNumbers {
  /** q·k, before any factor. */
  product: number;
  /** What the model's softmax takes. */
  score: number;
  /** The same × scaling / temperature. */
  turned: number;
  /** Logarithm of what exp(turned) is divided by: the sum over the keys that the query may see, and the sink. */
  logSum: number;
  weight: number;
}

/** Of a key that the query may see; null where it may not. */
export function cellNumbers(row: RowScores, key: number, factor: number): CellNumbers | null {
  const score = row.scores[key] ?? Number.NEGATIVE_INFINITY;
  if (score === Number.NEGATIVE_INFINITY) return null;
  // A factor of 0 makes keys equal, and leaves what is hidden hidden.
  const turn = (one: number) => (one === Number.NEGATIVE_INFINITY ? one : one * factor);
  let top = turn(row.sink);
  for (let at = 0; at < row.scores.length; at++) top = Math.max(top, turn(row.scores[at]!));
  let sum = Math.exp(turn(row.sink) - top);
  for (let at = 0; at < row.scores.length; at++) sum += Math.exp(turn(row.scores[at]!) - top);
  const logSum = top + Math.log(sum);
  const turned = turn(score);
  return { product: row.products[key]!, score, turned, logSum, weight: Math.exp(turned - logSum) };
}
