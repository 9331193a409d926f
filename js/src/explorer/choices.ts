/** What a person chooses in the Explorer, with what holds until somebody does; Python has a trait for each. */
import type { ColourMap, ColourScale } from "../attention/colour";
import type { Pooling } from "../attention/tile";
import type { Facts } from "../host/facts";
import type { Theme } from "../host/theme";
import type { Traits as TraitsOf } from "../host/traits";
import type { Answering, LessonFacts } from "../lesson/facts";

export interface Choices {
  map: string;
  layer: number;
  head: number;
  query: number | null;
  key: number | null;
  temperature: number;
  scaling: number;
  view: "heatmap" | "text" | "grid" | "image";
  color_map: ColourMap;
  color_scale: ColourScale;
  color_range: "map" | "shared";
  /** What a point of a long map shows of the cells under it. */
  pooling: Pooling;
  theme: Theme;
  /** Name of the measure that badges the grid; empty for none. */
  measure: string;
  sort: "model" | "highest" | "lowest";
}

/** What Python tells of the maps, and of the question about them. */
export type Told = Facts & { lesson?: LessonFacts | null };

export type Traits = TraitsOf<Choices & Answering, Told>;

export const DEFAULTS: Choices = {
  map: "",
  layer: 0,
  head: 0,
  query: null,
  key: null,
  temperature: 1,
  scaling: 1,
  view: "heatmap",
  color_map: "ink",
  color_scale: "linear",
  color_range: "map",
  pooling: "max",
  theme: "auto",
  measure: "",
  sort: "model",
};
