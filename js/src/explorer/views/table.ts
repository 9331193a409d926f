/** The views of the main area: each with what it needs beside the tile of the chosen head. */

import type { ReadonlySignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import type { Sheet } from "../../drawing/sheet";
import { imageAxis, isAllPicture, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Chosen } from "../chosen";
import { type Kind, shows } from "../kind";
import type { Need } from "../order";
import { flowSheet } from "../paper/flow";
import { gridSheet } from "../paper/grid";
import { heatmapSheet } from "../paper/heatmap";
import { imageSheet } from "../paper/image";
import { layersSheet } from "../paper/layers";
import { linesSheet } from "../paper/lines";
import { neuronsSheet } from "../paper/neurons";
import { planeSheet } from "../paper/plane";
import { rowsSheet } from "../paper/rows";
import { spansSheet } from "../paper/spans";
import { textSheet } from "../paper/text";
import type { Store } from "../store";
import { FlowView, needs as flowNeeds, suits as flows } from "./flow/view";
import { ImageView, needs as imageNeeds } from "./image/view";
import { suits as hasDepth, LayersView, needs as layersNeeds } from "./layers/view";
import { LinesView, needs as linesNeeds } from "./lines/view";
import { MapView } from "./map/view";
import { needs as behindNeeds } from "./neurons/behind";
import { NeuronsView, madeIn as neuronsMade } from "./neurons/view";
import { PlaneView, madeIn as planeMade, needs as planeNeeds } from "./plane/view";
import { suits as hasHeads, RowsView, needs as rowsNeeds } from "./rows/view";
import { needs as spansNeeds } from "./spans/shown";
import { SpansView } from "./spans/view";
import { TextView, needs as textNeeds } from "./text/view";

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

/** Whether the queries and keys of any layer are known. */
const isProjected = (map: MapFacts): boolean => map.scores?.some((made) => made !== null) ?? false;

export const VIEWS: readonly View[] = [
  {
    name: "heatmap",
    label: "Map",
    asked: "one head",
    hint: "Click a row to pin a query",
    Main: MapView,
    sheet: heatmapSheet,
    made: (store) => store.picture.value,
    differs: true,
    pairs: true,
  },
  {
    name: "lines",
    label: "Lines",
    asked: "one head",
    hint: "Click a query to pin it",
    Main: LinesView,
    sheet: linesSheet,
    needs: linesNeeds,
    made: (store) => store.picture.value,
    differs: true,
  },
  {
    name: "text",
    label: "Text",
    differs: true,
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
    differs: true,
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
    differs: true,
  },
  {
    name: "grid",
    label: "Grid",
    differs: true,
    asked: "all heads",
    hint: "Pin a query in the map to see its keys",
    suits: (map) => map.heads.reduce((sum, heads) => sum + heads, 0) > 1,
    sheet: gridSheet,
  },
  {
    name: "rows",
    label: "From here",
    asked: "all heads",
    hint: "Pin a query to see where every head looks from it",
    suits: hasHeads,
    Main: RowsView,
    sheet: rowsSheet,
    needs: rowsNeeds,
    differs: "runs",
  },
  {
    name: "layers",
    label: "Layers",
    asked: "all layers",
    hint: "Click a layer to go there",
    suits: hasDepth,
    Main: LayersView,
    sheet: layersSheet,
    needs: layersNeeds,
    differs: "runs",
  },
  {
    name: "flow",
    label: "Flow",
    asked: "all layers",
    hint: "Click a token to follow it back",
    suits: flows,
    Main: FlowView,
    sheet: flowSheet,
    needs: flowNeeds,
  },
  {
    name: "neurons",
    label: "Why",
    asked: "one score",
    hint: "Pin a query in the map, and a key of it, to see what their score is the sum of",
    suits: isProjected,
    Main: NeuronsView,
    sheet: neuronsSheet,
    needs: behindNeeds,
    made: neuronsMade,
  },
  {
    name: "plane",
    label: "Plane",
    asked: "one score",
    hint: "Click a query to pin it",
    suits: isProjected,
    Main: PlaneView,
    sheet: planeSheet,
    needs: planeNeeds,
    made: planeMade,
  },
];

export function viewsOf(store: Store): View[] {
  const [map, effect] = [store.map.value, store.weighing.effect.value];
  return VIEWS.filter((view) => map !== null && shows(view, map, effect !== null));
}

export const viewOf = (name: string): View => VIEWS.find((view) => view.name === name) ?? VIEWS[0]!;
