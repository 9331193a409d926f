/** Labels, the hovered cross and the pinned cell, drawn above the map so that moving them repaints nothing below. */

import { type Drawing, drawColumnLabels, drawFollowing, drawRowLabels, type Lit } from "../../drawing/axes";
import { prepare } from "../../drawing/canvas";
import { cellSize, columnX, type Plot, rowY } from "../../drawing/geometry";
import { drawSpans } from "../../drawing/spans";
import { keysOf, type MapFacts } from "../../host/facts";
import type { Cell, Store } from "../store";
import { endsInside, type Stage } from "./stage";

export function drawMarks(canvas: HTMLCanvasElement, store: Store, stage: Stage, map: MapFacts): void {
  const context = prepare(canvas, stage.width, stage.height);
  const colours = store.colours.value;
  const drawing = { context, plot: stage.plot, window: store.window.value, colours, gutter: stage.gutter };
  const pin = store.pin.value;
  const hover = store.hover.value;
  drawSpans(drawing, map.queries, keysOf(map));
  mark(drawing, pin, colours.accentText, 2);
  if (hover) mark(drawing, hover, colours.text, 1);

  const lit = (axis: keyof Cell): Lit[] => {
    const pinned = pin[axis];
    const hovered = hover?.[axis] ?? null;
    const marks: Lit[] = [];
    if (pinned !== null) marks.push({ index: pinned, colour: colours.accentText });
    if (hovered !== null && hovered !== pinned) marks.push({ index: hovered, colour: colours.text });
    return marks;
  };
  drawRowLabels(drawing, map.queries, lit("query"));
  drawColumnLabels(drawing, keysOf(map), stage.keyLabel, lit("key"));
  if (map.following && endsInside(drawing.window, map)) drawFollowing(drawing, map.following);
}

/** What is pointed at, and a pixel around it, stays free of lines. */
const CLEAR = 1;

function mark(
  { context, plot, window, colours }: Drawing,
  { query, key }: Cell,
  colour: string,
  line: number,
): void {
  const size = cellSize(plot, window);
  const high = Math.max(size.height, 1);
  const wide = Math.max(size.width, 1);
  const y = query === null ? null : rowY(plot, window, query);
  const x = key === null ? null : columnX(plot, window, key);
  // A pale edge on the far side, so that the line stands out from dark cells and light ones.
  const halo = `rgba(${colours.surface.join()}, 0.6)`;
  const outer = line + CLEAR;
  context.save();
  context.beginPath();
  context.rect(plot.x - outer, plot.y - outer, plot.width + 2 * outer, plot.height + 2 * outer);
  // Lines of the one must not run over the other.
  if (y !== null) context.rect(plot.x, y - CLEAR, plot.width, high + 2 * CLEAR);
  if (x !== null) context.rect(x - CLEAR, plot.y, wide + 2 * CLEAR, plot.height);
  context.clip("evenodd");
  for (const [fill, from, width] of [
    [halo, CLEAR + 1, 1],
    [colour, CLEAR, 1],
  ] as const) {
    context.fillStyle = fill;
    if (y !== null) {
      context.fillRect(plot.x, y - from - width, plot.width, width);
      context.fillRect(plot.x, y + high + from, plot.width, width);
    }
    if (x !== null) {
      context.fillRect(x - from - width, plot.y, width, plot.height);
      context.fillRect(x + wide + from, plot.y, width, plot.height);
    }
  }
  context.restore();
  if (y !== null && x !== null) frame(context, { x, y, width: wide, height: high }, colour, line);
}

/** Around the cell that is meant. */
function frame(context: CanvasRenderingContext2D, cell: Plot, colour: string, line: number): void {
  const away = CLEAR + line / 2;
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.strokeRect(cell.x - away, cell.y - away, cell.width + 2 * away, cell.height + 2 * away);
}
