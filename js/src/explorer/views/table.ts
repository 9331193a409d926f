/** The views of the main area: each with what it needs beside the tile of the chosen head. */

import type { ReadonlySignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import type { Sheet } from "../../drawing/sheet";
import { imageAxis, isAllPicture, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Chosen } from "../chosen";
import type { Need } from "../order";
import { gridSheet } from "../paper/grid";
import { heatmapSheet } from "../paper/heatmap";
import { imageSheet } from "../paper/image";
import { linesSheet } from "../paper/lines";
import { spansSheet } from "../paper/spans";
import { textSheet } from "../paper/text";
import type { Kind, Store } from "../store";
import { ImageView, needs as imageNeeds } from "./image";
import { LinesView, needs as linesNeeds } from "./lines/lines";
import { MapView } from "./map";
import { SpansView, needs as spansNeeds } from "./spans";
import { TextView, needs as textNeeds } from "./text";

export interface ViewProps {
  store: Store;
  answers: Answers;
  /** Whether what is drawn is what was chosen. */
  ready: ReadonlySignal<boolean>;
}

/** The question that a view answers. */
export type Asked = "one head" | "all heads" | "all layers" | "one score";

export interface View extends Kind {
  label: string;
  asked: Asked;
  /** What its place under the sliders says while no query is pinned. */
  hint: string;
  /** Absent where the grid takes the main area. */
  Main?: FunctionComponent<ViewProps>;
  /** The picture that is shown, as it leaves; null while there is none. */
  sheet: (store: Store, map: MapFacts, answers: Answers) => Sheet | null;
  needs?: (store: Store, map: MapFacts, chosen: Chosen) => Iterable<Need>;
  /**
   * What its picture is made of, null while that is not there; the view is ready once it is `store.onScreen`. Without it
   * the view is ready when what was chosen is here.
   */
  made?: (store: Store, answers: Answers) => object | null;
}

export const VIEWS: readonly View[] = [
  {
    name: "heatmap",
    label: "Map",
    asked: "one head",
    hint: "Click a row to pin a query",
    Main: MapView,
    sheet: heatmapSheet,
    made: (store) => store.drawn.value,
  },
  {
    name: "lines",
    label: "Lines",
    asked: "one head",
    hint: "Click a query to pin it",
    Main: LinesView,
    sheet: linesSheet,
    needs: linesNeeds,
    made: (store) => store.drawn.value,
  },
  {
    name: "text",
    label: "Text",
    asked: "one head",
    hint: "Click a word to pin its query",
    suits: (map) => !isAllPicture(map),
    Main: TextView,
    sheet: textSheet,
    needs: textNeeds,
  },
  {
    name: "image",
    label: "Image",
    asked: "one head",
    hint: "Click a patch to pin its query",
    suits: (map) => imageAxis(map) !== null,
    Main: ImageView,
    sheet: imageSheet,
    needs: imageNeeds,
    reads: true,
    made: (store) => store.pinned.value,
  },
  {
    name: "spans",
    label: "Spans",
    asked: "one head",
    hint: "Point at a query to see where it looks",
    Main: SpansView,
    sheet: spansSheet,
    needs: spansNeeds,
  },
  {
    name: "grid",
    label: "Grid",
    asked: "all heads",
    hint: "Pin a query in the map to see its keys",
    suits: (map) => map.heads.reduce((sum, heads) => sum + heads, 0) > 1,
    sheet: gridSheet,
  },
];

export const viewsOf = (map: MapFacts | null): View[] =>
  VIEWS.filter(({ suits }) => map !== null && (suits?.(map) ?? true));

export const viewOf = (name: string): View => VIEWS.find((view) => view.name === name) ?? VIEWS[0]!;
