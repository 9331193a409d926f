/** What a student is asked, as Python tells it, and what a student said. */

export interface Prediction {
  kind: "number" | "bars" | "cell" | "head";
  step?: "scores" | "scaled" | "weights" | "output" | "entropy";
  row?: number | null;
  column?: number | null;
  measure?: string;
}

/** A number, a row of numbers, a place [row, column] or a head [layer, head]. */
export type Said = number | readonly number[];

export interface LessonFacts {
  prompt: string;
  predict: Prediction | null;
  /** The same in the words of Python. */
  what: string;
  /** What is right; null where the widget knows it. Of places and heads several may be. */
  answer: Said | readonly Said[] | null;
  locked: readonly string[];
  reveal: string;
  tolerance: number;
}

export interface Guess {
  prompt: string;
  predict: string;
  kind: Prediction["kind"];
  guess: Said;
  answer: Said | readonly Said[] | null;
  /** Null where nothing is known to be right. */
  right: boolean | null;
  /** When it was said, UTC. */
  time: string;
  /** From when it was asked. */
  seconds: number;
}

/** What every widget with a lesson has beside its own choices. */
export interface Answering {
  guesses: readonly Guess[];
}

export const ANSWERING: Answering = { guesses: [] };
