/** The views of the main area: each with what it needs beside the tile of the chosen head. */

import type { ReadonlySignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import type { Question } from "../../answers/question";
import type { Sheet } from "../../drawing/sheet";
import { imageAxis, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Choices } from "../choices";
import { gridSheet } from "../paper/grid";
import { heatmapSheet } from "../paper/heatmap";
import { imageSheet } from "../paper/image";
import { textSheet } from "../paper/text";
import type { Store } from "../store";
import { ImageView, needs as imageNeeds } from "./image";
import { MapView } from "./map";
import { TextView } from "./text";

export interface ViewProps {
  store: Store;
  answers: Answers;
  /** Whether what is drawn is what was chosen. */
  ready: ReadonlySignal<boolean>;
}

export interface View {
  name: Choices["view"];
  label: string;
  /** What its place under the sliders says while no query is pinned. */
  hint: string;
  /** Whether a map can be seen so; all can where it is not said. */
  suits?: (map: MapFacts) => boolean;
  /** Absent where the grid takes the main area. */
  Main?: FunctionComponent<ViewProps>;
  /** The picture that is shown, as it leaves; null while there is none. */
  sheet: (store: Store, map: MapFacts, answers: Answers) => Sheet | null;
  needs?: (store: Store, map: MapFacts) => Iterable<Question<unknown>>;
}

export const VIEWS: readonly View[] = [
  {
    name: "heatmap",
    label: "Heatmap",
    hint: "Click a row to pin a query",
    Main: MapView,
    sheet: heatmapSheet,
  },
  { name: "text", label: "Text", hint: "Click a word to pin its query", Main: TextView, sheet: textSheet },
  { name: "grid", label: "Grid", hint: "Pin a query in the heatmap to see its keys", sheet: gridSheet },
  {
    name: "image",
    label: "Image",
    hint: "Click a patch to pin its query",
    suits: (map) => imageAxis(map) !== null,
    Main: ImageView,
    sheet: imageSheet,
    needs: imageNeeds,
  },
];

export const viewsOf = (map: MapFacts | null): View[] =>
  VIEWS.filter(({ suits }) => map !== null && (suits?.(map) ?? true));
