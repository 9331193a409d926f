/** What a person can change in a Playground, with what holds until somebody does; Python has a trait for each. */
import type { HeadKind, MaskRule, Rows } from "../attention/steps";
import type { Theme } from "../host/theme";
import type { Traits as TraitsOf } from "../host/traits";
import type { Answering, LessonFacts } from "../lesson/facts";

/** What a scene decides, and what undo brings back. */
export interface Numbers {
  query: Rows;
  key: Rows;
  value: Rows;
  query_labels: readonly string[];
  key_labels: readonly string[];
  temperature: number;
  /** Null for 1 / sqrt(width). */
  scaling: number | null;
  mask: MaskRule;
  /** The query whose row is drawn. */
  row: number;
  rotary: boolean;
  positions: readonly number[];
  heads: readonly HeadKind[];
  /** The output projection; empty for the mean of the heads. */
  mixing: Rows;
  width: number;
  length: number;
  seed: number;
}

export interface Choices extends Numbers {
  scene: string;
  preset: string;
  theme: Theme;
}

export const NUMBERS: Numbers = {
  query: [],
  key: [],
  value: [],
  query_labels: [],
  key_labels: [],
  temperature: 1,
  scaling: null,
  mask: "none",
  row: 0,
  rotary: false,
  positions: [],
  heads: [],
  mixing: [],
  width: 64,
  length: 8,
  seed: 0,
};

export const DEFAULTS: Choices = { ...NUMBERS, scene: "lookup", preset: "", theme: "auto" };

export interface PresetFacts {
  name: string;
  look: string;
  state: Numbers;
}

export interface SceneFacts {
  name: string;
  title: string;
  look: string;
  /** Whether queries, keys and values are the same vectors. */
  tied: boolean;
  /** Whether there is one query and one key a token. */
  paired: boolean;
  presets: PresetFacts[];
}

/** What Python tells of all scenes. */
export interface PlaygroundFacts {
  version?: number;
  lesson: LessonFacts | null;
  scenes: SceneFacts[];
  limits: {
    tokens: number;
    width: number;
    heads: number;
    largest: number;
    widest: number;
    longest: number;
  };
}

export type Traits = TraitsOf<Choices & Answering, PlaygroundFacts>;
