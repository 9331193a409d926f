/** Named runs of tokens along the axes: a bracket with the name beside the labels, and thin lines across the map. */
import type { Span } from "../attention/raster";
import type { Axis, NamedSpan } from "../host/facts";
import { type Drawing, labelFont } from "./axes";
import { columnX, rowY } from "./geometry";

/** Room for one line of brackets and names. */
const LANE = 15;
const FONT_SIZE = 11;
/** Runs inside runs have a line of their own; what is nested deeper is only named under the pointer. */
const MOST_LANES = 2;

/** The line that each run is named on, the outermost first; runs that fit on none are left out. */
export function laned(spans: readonly NamedSpan[]): { span: NamedSpan; lane: number }[] {
  const ends: number[] = [];
  const found: { span: NamedSpan; lane: number }[] = [];
  const inOrder = [...spans].sort((one, other) => one[1] - other[1] || other[2] - one[2]);
  for (const span of inOrder) {
    const free = ends.findIndex((end) => end <= span[1]);
    const lane = free < 0 ? ends.length : free;
    if (lane >= MOST_LANES) continue;
    ends[lane] = span[2];
    found.push({ span, lane });
  }
  return found;
}

/** What the names of an axis take beside its labels. */
export const gutterOf = (axis: Axis): number =>
  LANE * Math.max(0, ...laned(axis.spans ?? []).map(({ lane }) => lane + 1));

/** Where runs begin and end, apart from the ends of the axis. */
export const edgesOf = (axis: Axis): number[] =>
  [...new Set((axis.spans ?? []).flatMap(([, start, stop]) => [start, stop]))].filter(
    (at) => at > 0 && at < axis.labels.length,
  );

export function drawSpans(drawing: Drawing, queries: Axis, keys: Axis): void {
  const { context, plot, window, colours } = drawing;
  const halo = `rgba(${colours.surface.join()}, 0.6)`;
  const inside = (span: Span) => (at: number) => at > span.from && at < span.to;
  context.beginPath();
  for (const at of edgesOf(queries).filter(inside(window.rows))) {
    const y = Math.round(rowY(plot, window, at)) + 0.5;
    context.moveTo(plot.x, y);
    context.lineTo(plot.x + plot.width, y);
  }
  for (const at of edgesOf(keys).filter(inside(window.columns))) {
    const x = Math.round(columnX(plot, window, at)) + 0.5;
    context.moveTo(x, plot.y);
    context.lineTo(x, plot.y + plot.height);
  }
  // A pale edge first, so that the line stands out from dark cells and light ones.
  for (const [stroke, width] of [
    [halo, 3],
    [colours.faint, 1],
  ] as const) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.stroke();
  }
  context.font = labelFont(colours, FONT_SIZE);
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { span, lane } of laned(queries.spans ?? [])) {
    const from = Math.max(plot.y, rowY(plot, window, span[1]));
    const to = Math.min(plot.y + plot.height, rowY(plot, window, span[2]));
    context.save();
    context.translate((lane + 1) * LANE, to);
    context.rotate(-Math.PI / 2);
    bracket(drawing, span[0], 0, to - from);
    context.restore();
  }
  for (const { span, lane } of laned(keys.spans ?? [])) {
    const from = Math.max(plot.x, columnX(plot, window, span[1]));
    const to = Math.min(plot.x + plot.width, columnX(plot, window, span[2]));
    context.save();
    context.translate(from, (lane + 1) * LANE);
    bracket(drawing, span[0], 0, to - from);
    context.restore();
  }
}

/** A line along a run with its name above, where there is room for it. */
function bracket({ context, colours }: Drawing, name: string, from: number, to: number): void {
  if (to - from < 3) return;
  context.strokeStyle = colours.faint;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(from + 1, -2.5);
  context.lineTo(to - 1, -2.5);
  context.stroke();
  if (context.measureText(name).width + 4 > to - from) return;
  context.fillStyle = colours.muted;
  context.fillText(name, (from + to) / 2, -LANE / 2 - 1);
}
