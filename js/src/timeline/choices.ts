/** What a person chooses in a Timeline, and what Python tells of its runs. */
import type { Axis, Measure } from "../host/facts";
import type { Theme } from "../host/theme";
import type { Traits as Connected } from "../host/traits";

export interface Choices {
  map: string;
  layer: number;
  head: number;
  measure: string;
  /** A step of the training; null for the newest. */
  step: number | null;
  theme: Theme;
}

export const DEFAULTS: Choices = { map: "", layer: 0, head: 0, measure: "", step: null, theme: "auto" };

export interface MapTold {
  name: string;
  layers: number;
  /** The most heads of a layer. */
  most: number;
  /** From here on only where the maps of some step were kept. */
  heads?: number[];
  layer_numbers?: number[];
  head_numbers?: number[][];
  n_queries?: number;
  n_keys?: number;
  queries?: Axis;
  keys?: Axis | null;
  causal?: boolean;
}

export interface Told {
  version: number;
  title: string;
  /** Names of the runs; one empty name where there is one run. */
  runs: string[];
  maps: MapTold[];
  measures: Measure[];
  /** Whether more may come. */
  growing: boolean;
  /** What else happened, by its step. */
  own?: [step: number, text: string][];
}

export type Traits = Connected<Choices, Told>;
