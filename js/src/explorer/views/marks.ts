/** Labels, the hovered cross and the pinned cell, drawn above the map so that moving them repaints nothing below. */

import { type Drawing, drawColumnLabels, drawFollowing, drawRowLabels, type Lit } from "../../drawing/axes";
import { prepare } from "../../drawing/canvas";
import { cellSize, columnX, rowY } from "../../drawing/geometry";
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

function mark(
  { context, plot, window, colours }: Drawing,
  { query, key }: Cell,
  colour: string,
  line: number,
): void {
  const size = cellSize(plot, window);
  const halo = `rgba(${colours.surface.join()}, 0.6)`;
  const y = query === null ? 0 : rowY(plot, window, query);
  const x = key === null ? 0 : columnX(plot, window, key);
  const high = Math.max(size.height, 1);
  const wide = Math.max(size.width, 1);
  context.save();
  context.beginPath();
  context.rect(plot.x - line, plot.y - line, plot.width + 2 * line, plot.height + 2 * line);
  context.clip();
  // A pale edge first, so that the line stands out from dark cells and light ones.
  for (const [stroke, extra] of [
    [halo, 2],
    [colour, 0],
  ] as const) {
    context.strokeStyle = stroke;
    context.lineWidth = 1 + extra;
    if (query !== null) band(context, plot.x, y, plot.width, high, true);
    if (key !== null) band(context, x, plot.y, wide, plot.height, false);
    if (query === null || key === null) continue;
    context.lineWidth = line + extra;
    context.strokeRect(x - line / 2, y - line / 2, wide + line, high + line);
  }
  context.restore();
}

/** The two long edges of a row or column; one line where these would touch. */
function band(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  across: boolean,
): void {
  const thickness = across ? height : width;
  context.beginPath();
  for (const at of thickness < 4 ? [thickness / 2] : [-0.5, thickness + 0.5]) {
    if (across) {
      context.moveTo(x, y + at);
      context.lineTo(x + width, y + at);
    } else {
      context.moveTo(x + at, y);
      context.lineTo(x + at, y + height);
    }
  }
  context.stroke();
}
