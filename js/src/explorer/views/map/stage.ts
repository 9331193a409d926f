/** What the heatmap, its overlay and the entropy of its rows agree on: one plot rectangle, one window. */
import { computed, type ReadonlySignal } from "@preact/signals";
import { FOLLOWING, GAP, labelFont, widest } from "../../../drawing/axes";
import { penOf } from "../../../drawing/canvas";
import { type Plot, plotSize, type Window } from "../../../drawing/geometry";
import { gutterOf } from "../../../drawing/spans";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { STRIP_ROOM } from "./strip";

export interface Stage {
  plot: Plot;
  /** Size of the canvas that holds plot and labels. */
  width: number;
  height: number;
  /** Width of the widest label of a key. */
  keyLabel: number;
  /** What the names of runs take, before the labels. */
  gutter: { left: number; top: number };
  /** Width left for the entropy of the rows. */
  entropyWidth: number;
}

const WIDEST_LABEL = 116;
const TALLEST_LABEL = 96;
const UPRIGHT_LABEL = 22;
const EDGE = 8;
const LEAST_PLOT = 80;
/** Labels of longer texts tell their positions. */
const MANY = 40;
/** The names of the axes have a line of their own above the labels of the keys. */
export const AXIS = 15;
const COMFORTABLE_PLOT = 360;
const LEAST_ENTROPY = 56;

/** Whether the last row is in sight. */
export const endsInside = ({ rows }: Window, map: MapFacts): boolean => rows.to > map.n_queries - 0.5;

/** Where everything is in so much room; null where there is nothing to show, or no room. */
export function stageOf(store: Store, pen: CanvasRenderingContext2D, room: number): Stage | null {
  const map = store.map.value;
  if (!map || room < 60 || map.n_queries < 1 || map.n_keys < 1) return null;
  // Labels turn bold under the pointer, and must fit then too.
  pen.font = labelFont(store.colours.value, 12, 600);
  const gutter = { left: gutterOf(map.queries), top: gutterOf(keysOf(map)) };
  const position = map.n_queries > MANY ? pen.measureText(`${map.n_queries} `).width : 0;
  const wanted = widest(pen, map.queries) + position + GAP + 4;
  const own = Math.min(WIDEST_LABEL, Math.round(room * 0.24), Math.ceil(wanted));
  const left = own + gutter.left;
  // The map comes first where room is scarce.
  const spare = Math.max(LEAST_ENTROPY, room - left - EDGE - COMFORTABLE_PLOT);
  // Effects are spread over nothing.
  const entropyWidth = store.weighing.effect.value
    ? 0
    : Math.round(Math.min(200, spare, Math.max(LEAST_ENTROPY, room * 0.17)));
  const free = Math.max(40, room - left - entropyWidth - EDGE);
  const label = widest(pen, keysOf(map));
  const turned = Math.max(UPRIGHT_LABEL, Math.min(TALLEST_LABEL, label + GAP + 4));
  const below = Math.max(map.following ? FOLLOWING + 4 : EDGE, map.strip ? STRIP_ROOM : 0);
  const within = (top: number) => Math.max(LEAST_PLOT, store.tallest.value - AXIS - gutter.top - top - below);
  const sizeBelow = (top: number) =>
    plotSize(map.n_queries, map.n_keys, free, Math.min(within(top), Math.max(280, room)));
  // Labels that need not be turned leave more of the height.
  const flat = sizeBelow(UPRIGHT_LABEL);
  const upright = label + 4 <= flat.width / map.n_keys;
  const size = upright ? flat : sizeBelow(turned);
  const top = upright ? UPRIGHT_LABEL : turned;
  const plot = { x: left, y: AXIS + top + gutter.top, ...size };
  return {
    plot,
    keyLabel: label,
    width: plot.x + plot.width + EDGE,
    height: plot.y + plot.height + below,
    gutter,
    entropyWidth,
  };
}

export function createStage(store: Store, width: ReadonlySignal<number>): ReadonlySignal<Stage | null> {
  const pen = penOf();
  return computed(() => stageOf(store, pen, width.value));
}
