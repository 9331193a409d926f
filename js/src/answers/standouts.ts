/** Which heads are worth a look, and why. */
import type { Question } from "./question";

export interface Standout {
  layer: number;
  head: number;
  /** What the head has most of, how much, and the same in words. */
  reasons: [measure: string, value: number, why: string][];
}

export interface Standouts {
  heads: Standout[];
  /** What heads were looked for. */
  looked: string[];
}

export const standouts = (map: string): Question<Standouts> => ({
  name: `standouts/${map}`,
  body: { op: "standouts", map },
  worth: () => "none",
  read: ({ header }) => header as unknown as Standouts,
});
