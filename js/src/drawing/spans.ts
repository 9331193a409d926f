/** Named runs of tokens along the axes: a bracket with the name beside the labels, and thin lines across the map. */
import { css } from "../attention/colour";
import type { Span } from "../attention/raster";
import type { Axis, NamedSpan } from "../host/facts";
import { labelFont, type Placing } from "./axes";
import { columnX, rowY } from "./geometry";
import type { Mark, Segment } from "./mark";

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

export function* spanMarks(placing: Placing, queries: Axis, keys: Axis): Generator<Mark> {
  const { plot, window, colours } = placing;
  const right = plot.x + plot.width;
  const bottom = plot.y + plot.height;
  const within = (span: Span) => (at: number) => at > span.from && at < span.to;
  const segments: Segment[] = [];
  for (const at of edgesOf(queries).filter(within(window.rows))) {
    const y = Math.round(rowY(plot, window, at)) + 0.5;
    segments.push([plot.x, y, right, y]);
  }
  for (const at of edgesOf(keys).filter(within(window.columns))) {
    const x = Math.round(columnX(plot, window, at)) + 0.5;
    segments.push([x, plot.y, x, bottom]);
  }
  if (segments.length > 0) {
    // A pale edge first, so that the line stands out from dark cells and light ones.
    yield { kind: "lines", segments, colour: css(colours.surface), line: 3, opacity: 0.6 };
    yield { kind: "lines", segments, colour: colours.faint, line: 1 };
  }
  for (const { span, lane } of laned(queries.spans ?? [])) {
    const from = Math.max(plot.y, rowY(plot, window, span[1]));
    const to = Math.min(bottom, rowY(plot, window, span[2]));
    yield* bracket(placing, span[0], from, to, lane, true);
  }
  for (const { span, lane } of laned(keys.spans ?? [])) {
    const from = Math.max(plot.x, columnX(plot, window, span[1]));
    const to = Math.min(right, columnX(plot, window, span[2]));
    yield* bracket(placing, span[0], from, to, lane, false);
  }
}

/** A line along a run with its name above, where there is room for it. */
function* bracket(
  { pen, colours, above: inset }: Placing,
  name: string,
  from: number,
  to: number,
  lane: number,
  turned: boolean,
): Generator<Mark> {
  if (to - from < 3) return;
  const across = (lane + 1) * LANE + (turned ? 0 : inset);
  const line = across - 2.5;
  const segment: Segment = turned ? [line, from + 1, line, to - 1] : [from + 1, line, to - 1, line];
  yield { kind: "lines", segments: [segment], colour: colours.faint, line: 1 };
  pen.font = labelFont(colours, FONT_SIZE);
  if (pen.measureText(name).width + 4 > to - from) return;
  const middle = (from + to) / 2;
  const above = across - LANE / 2 - 1;
  const [x, y] = turned ? [above, middle] : [middle, above];
  yield { kind: "text", x, y, text: name, size: FONT_SIZE, anchor: "middle", colour: colours.muted, turned };
}
