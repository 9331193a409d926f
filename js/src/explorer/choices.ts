/** What a person chooses in the Explorer, with what holds until somebody does; Python has a trait for each. */
import type { Signal } from "@preact/signals";
import type { ColourMap, ColourScale } from "../attention/colour";
import type { Pooling } from "../attention/tile";
import type { Facts, NamedSpan } from "../host/facts";
import type { Theme } from "../host/theme";
import type { Traits as TraitsOf } from "../host/traits";
import type { Answering, LessonFacts } from "../lesson/facts";
import type { Cut, Outcome, Tempered } from "./applying";
import type { Against, Compared } from "./comparing";
import type { Joined } from "./pinned";
import type { Survey, Surveying } from "./surveyed";
import type { Weighed, Weighs } from "./weighing";

/** Where the colours end: at each row's largest weight, at the map's, or at 1. */
export type ColourRange = "row" | "map" | "shared";

/** What the widget is made of, each to be had without the others. */
export type Part = "head" | "grid" | "map" | "heads" | "sharpness" | "row" | "findings";

export interface Choices {
  map: string;
  layer: number;
  head: number;
  /** Heads that are chosen together, each as layer and head: from two on, their mean is one of the maps. */
  selected: readonly (readonly [number, number])[];
  query: number | null;
  key: number | null;
  /** Queries that are pinned beside the first, and how their rows are made one. */
  also: readonly number[];
  joined: Joined;
  /** Heads of the layer whose lines are drawn; empty for the chosen head alone. */
  heads: readonly number[];
  /** Whether a text is shaded by what the pinned word looks at, or by what looks at it. */
  reading: "row" | "column";
  temperature: number;
  scaling: number;
  view: string;
  color_map: ColourMap;
  color_scale: ColourScale;
  color_range: ColourRange;
  /** Weights below it look like none; of each row's largest where rows have a range each. */
  threshold: number;
  /** What a point of a long map shows of the cells under it. */
  pooling: Pooling;
  /** Whether pieces of words are merged. */
  words: boolean;
  /** What is left out: "special", "sinks", and positions in the text as it came. */
  hide: readonly (string | number)[];
  /** Names of spans and positions that are kept alone; empty for all. */
  only: readonly (string | number)[];
  /** Runs of tokens that were named by hand, by positions in the text as it came. */
  spans: readonly NamedSpan[];
  /** Which kind of runs is looked at; empty for the first there is. */
  span_kind: string;
  /** What is shown; empty for all. */
  parts: readonly string[];
  /** Of the picture, in CSS pixels; null for what the room gives. */
  height: number | null;
  /** The least share of an edge that the flow draws, and whether each head has edges of its own. */
  flow_threshold: number;
  flow_heads: "mean" | "each";
  /** The head that the chosen one is compared with; null for none. */
  against: Against | null;
  /** What is shown of the two. */
  compared: Compared;
  /** Whether what is changed is done to the model, and what is: heads that are off, cells, heads with a temperature. */
  applied: boolean;
  off: readonly (readonly [number, number])[];
  cuts: readonly Cut[];
  tempered: readonly Tempered[];
  /** What cells say; of an effect on which token, and against which. */
  weighing: Weighs;
  target: string;
  versus: string;
  theme: Theme;
  /** Name of the measure that badges the grid; empty for none. */
  measure: string;
  sort: "model" | "highest" | "lowest";
}

/** What Python tells of the maps, and of the question about them. */
export type Told = Facts & { lesson?: LessonFacts | null };

export type Traits = TraitsOf<Choices & Answering & Surveying, Told> & {
  outcome: Signal<Outcome | null>;
  weighed: Signal<Weighed | null>;
  /** Null where no survey is shown. */
  surveyed: Signal<Survey | null>;
};

export const DEFAULTS: Choices = {
  map: "",
  layer: 0,
  head: 0,
  selected: [],
  query: null,
  key: null,
  also: [],
  joined: "mean",
  heads: [],
  reading: "row",
  temperature: 1,
  scaling: 1,
  view: "heatmap",
  color_map: "ink",
  color_scale: "linear",
  color_range: "map",
  threshold: 0,
  pooling: "max",
  words: false,
  hide: [],
  only: [],
  spans: [],
  span_kind: "",
  parts: [],
  height: null,
  flow_threshold: 0.01,
  flow_heads: "mean",
  against: null,
  compared: "difference",
  applied: false,
  off: [],
  cuts: [],
  tempered: [],
  weighing: "weight",
  target: "",
  versus: "",
  theme: "auto",
  measure: "",
  sort: "model",
};
