/** Labels, the hovered cross and the pinned cell: above the map, so that moving them repaints nothing below. */

import { css } from "../../../attention/colour";
import { axisNames, columnLabels, following, type Lit, type Placing, rowLabels } from "../../../drawing/axes";
import { prepare } from "../../../drawing/canvas";
import { cellSize, columnX, type Plot, rowY } from "../../../drawing/geometry";
import { type Box, inside, type Mark } from "../../../drawing/mark";
import { paint } from "../../../drawing/paint";
import { spanMarks } from "../../../drawing/spans";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Block } from "../../applying";
import type { Cell, Store } from "../../store";
import { AXIS, endsInside, type Stage } from "./stage";
import { stripMarks } from "./strip";

/** With less room for each, not every token has its label. */
const READABLE = 9;

/** Who looks, and at whom: in cross-attention these are two texts. */
const axesOf = ({ name, keys }: MapFacts): [string, string] =>
  keys !== null && /cross/i.test(name) ? ["decoder", "encoder"] : ["query", "key"];

export function drawMarks(canvas: HTMLCanvasElement, store: Store, stage: Stage, map: MapFacts): void {
  const context = prepare(canvas, stage.width, stage.height);
  const colours = store.colours.value;
  const placing = placingOf(store, context, stage, colours, map);
  paint(context, colours.font, marksOf(placing, store, stage, map, store.hover.value));
  const { marked } = store.applying;
  if (marked.value) paint(context, colours.font, marking(placing, marked.value));
}

/** Where labels go, and what they tell: for the screen and for paper. */
export function placingOf(
  store: Store,
  pen: CanvasRenderingContext2D,
  { plot, gutter }: Stage,
  colours: Colours,
  map: MapFacts,
): Placing {
  const { rows, columns } = store.window.value;
  const size = cellSize(plot, store.window.value);
  const partly = ({ from, to }: { from: number; to: number }, count: number) => to - from < count;
  const numbered = {
    query: partly(rows, map.n_queries) || size.height < READABLE,
    key: partly(columns, map.n_keys) || size.width < READABLE,
  };
  return { pen, plot, window: store.window.value, colours, gutter, above: AXIS, numbered };
}

/** What stands around and above the cells. */
export function* marksOf(
  placing: Placing,
  store: Store,
  stage: Stage,
  map: MapFacts,
  hover: Cell | null,
): Generator<Mark> {
  const { colours } = placing;
  const pin = store.pin.value;
  const [looking, looked] = axesOf(map);
  yield* axisNames(placing, looking, looked);
  yield* spanMarks(placing, map.queries, keysOf(map));
  if (map.strip) yield* stripMarks(placing, store, stage, map.strip);
  yield* cross(placing, pin, colours.accentText, 2);
  for (const query of store.also.value) yield* cross(placing, { query, key: null }, colours.accentText, 2);
  if (hover) yield* cross(placing, hover, colours.text, 1);

  for (const [, , queries, keys] of store.applying.cutsIn(map, store.layer.value, store.head.value))
    yield* outlined(placing, { queries, keys }, colours.text, 1);

  const lit = (axis: keyof Cell): Lit[] => {
    const pinned = pin[axis];
    const hovered = hover?.[axis] ?? null;
    const marks: Lit[] = [];
    if (pinned !== null) marks.push({ index: pinned, colour: colours.accentText });
    if (hovered !== null && hovered !== pinned) marks.push({ index: hovered, colour: colours.text });
    return marks;
  };
  yield* rowLabels(placing, map.queries, lit("query"));
  yield* columnLabels(placing, keysOf(map), stage.keyLabel, lit("key"));
  if (map.following && endsInside(placing.window, map)) yield following(placing, map.following);
}

function placeOf({ plot, window }: Placing, { queries, keys }: Block): Plot | null {
  const [x, y] = [columnX(plot, window, keys[0]), rowY(plot, window, queries[0])];
  const area = {
    x,
    y,
    width: columnX(plot, window, keys[1]) - x,
    height: rowY(plot, window, queries[1]) - y,
  };
  return inside(area, plot);
}

/** Around cells that are cut, or are going to be. */
function* outlined(placing: Placing, block: Block, colour: string, line: number): Generator<Mark> {
  const area = placeOf(placing, block);
  if (!area) return;
  yield {
    kind: "box",
    ...grown(area, line),
    stroke: css(placing.colours.surface),
    line: line + 2,
    opacity: 0.6,
  };
  yield { kind: "box", ...grown(area, line), stroke: colour, line };
}

function* marking(placing: Placing, block: Block): Generator<Mark> {
  const area = placeOf(placing, block);
  const colour = placing.colours.accentText;
  if (area) yield { kind: "box", ...area, fill: colour, opacity: 0.16 };
  yield* outlined(placing, block, colour, 2);
}

/** What is pointed at, and a pixel around it, stays free of lines. */
const CLEAR = 1;

function* cross(
  { plot, window, colours }: Placing,
  { query, key }: Cell,
  colour: string,
  line: number,
): Generator<Mark> {
  const size = cellSize(plot, window);
  const high = Math.max(size.height, 1);
  const wide = Math.max(size.width, 1);
  const y = query === null ? null : rowY(plot, window, query);
  const x = key === null ? null : columnX(plot, window, key);
  const outer = grown(plot, line + CLEAR);
  // Lines of the one must not run over the other.
  const across = x === null ? [[plot.x, plot.x + plot.width]] : around(plot.x, plot.width, x, wide);
  const down = y === null ? [[plot.y, plot.y + plot.height]] : around(plot.y, plot.height, y, high);
  const band = (area: Plot, fill: string, opacity: number): Box[] => {
    const seen = inside(area, outer);
    return seen ? [{ kind: "box", ...seen, fill, opacity }] : [];
  };
  // A pale edge on the far side, so that the line stands out from dark cells and light ones.
  for (const [fill, opacity, from] of [
    [css(colours.surface), 0.6, CLEAR + 1],
    [colour, 1, CLEAR],
  ] as const) {
    for (const [start, stop] of y === null ? [] : across) {
      const width = stop! - start!;
      yield* band({ x: start!, y: y! - from - 1, width, height: 1 }, fill, opacity);
      yield* band({ x: start!, y: y! + high + from, width, height: 1 }, fill, opacity);
    }
    for (const [start, stop] of x === null ? [] : down) {
      const height = stop! - start!;
      yield* band({ x: x! - from - 1, y: start!, width: 1, height }, fill, opacity);
      yield* band({ x: x! + wide + from, y: start!, width: 1, height }, fill, opacity);
    }
  }
  if (y === null || x === null) return;
  // Around the cell that is meant.
  const cell = { x, y, width: wide, height: high };
  if (inside(cell, plot)) {
    yield { kind: "box", ...grown(cell, CLEAR + line / 2), stroke: colour, line };
  }
}

const grown = ({ x, y, width, height }: Plot, by: number): Plot => ({
  x: x - by,
  y: y - by,
  width: width + 2 * by,
  height: height + 2 * by,
});

/** What is left of a length on both sides of a band in it. */
const around = (start: number, length: number, from: number, size: number): [number, number][] => [
  [start, from - CLEAR],
  [from + size + CLEAR, start + length],
];
