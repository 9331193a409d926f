/** Tokens along the two axes: as many as can be read, the rest on hover. */
import type { Span } from "../attention/raster";
import type { Axis } from "../host/facts";
import type { Colours } from "../host/theme";
import { cellSize, columnX, type Plot, rowY, type Window } from "./geometry";
import { elide, readable } from "./words";

export const GAP = 6;
const FONT_SIZE = 12;
const SMALLEST_FONT = 9;
const SAMPLE = 64;
/** Height of the line of a token that has no row. */
export const FOLLOWING = 18;

export const labelFont = (colours: Colours, size = FONT_SIZE, weight = 400): string =>
  `${weight} ${size}px ${colours.font}`;

const longestOf = new WeakMap<Axis, string[]>();

/** The longest labels; found once, for a long text has tens of thousands. */
function longest(axis: Axis): string[] {
  const known = longestOf.get(axis);
  if (known) return known;
  const sorted =
    axis.labels.length > SAMPLE ? [...axis.labels].sort((a, b) => b.length - a.length) : axis.labels;
  const found = sorted.slice(0, SAMPLE);
  longestOf.set(axis, found);
  return found;
}

/** Width of the widest label; only the longest ones are measured. */
export function widest(context: CanvasRenderingContext2D, axis: Axis): number {
  let width = 0;
  for (const label of longest(axis)) {
    width = Math.max(width, context.measureText(readable(label)).width);
  }
  return Math.ceil(width);
}

/** Labels shrink a little with their rows before they are thinned out. */
function sizeFor(space: number): number {
  return Math.min(FONT_SIZE, Math.max(SMALLEST_FONT, Math.floor(space)));
}

export interface Drawing {
  context: CanvasRenderingContext2D;
  plot: Plot;
  window: Window;
  colours: Colours;
  /** What the names of runs take at the far side of the labels. */
  gutter: { left: number; top: number };
}

/** A token that is hovered or pinned, and the colour that says so. */
export interface Lit {
  index: number;
  colour: string;
}

/** Every so many tokens have a label; what a lit one would run into gives way. */
function forEachLabel(
  axis: Axis,
  span: Span,
  space: number,
  size: number,
  lit: readonly Lit[],
  draw: (index: number, lit: Lit | undefined) => void,
): void {
  const every = Math.max(1, Math.ceil(size / space));
  const clear = space >= FONT_SIZE + 2 ? 0.5 : (FONT_SIZE + 2) / space;
  const visible = (index: number) => index + 0.5 >= span.from && index + 0.5 <= span.to;
  for (let index = Math.ceil(Math.floor(span.from) / every) * every; index < span.to; index += every) {
    const gives = lit.some((other) => visible(other.index) && Math.abs(other.index - index) < clear);
    if (visible(index) && !gives) draw(index, undefined);
  }
  for (const one of lit) if (visible(one.index) && one.index < axis.labels.length) draw(one.index, one);
}

export function drawRowLabels(drawing: Drawing, axis: Axis, lit: readonly Lit[]): void {
  const { context, plot, window, colours, gutter } = drawing;
  const space = cellSize(plot, window).height;
  const size = sizeFor(space);
  const special = new Set(axis.special);
  context.textAlign = "right";
  context.textBaseline = "middle";
  forEachLabel(axis, window.rows, space, size, lit, (row, mark) => {
    context.font = mark ? labelFont(colours, FONT_SIZE, 600) : labelFont(colours, size);
    context.fillStyle = mark?.colour ?? (special.has(row) ? colours.muted : colours.text);
    const text = elide(context, readable(axis.labels[row] ?? ""), plot.x - GAP - gutter.left);
    context.fillText(text, plot.x - GAP, rowY(plot, window, row + 0.5));
  });
}

/** Below the last row: the token that would have come next, had it been a query. */
export function drawFollowing({ context, plot, colours, gutter }: Drawing, label: string): void {
  context.font = `italic ${labelFont(colours)}`;
  context.fillStyle = colours.muted;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const text = elide(context, readable(label), plot.x - GAP - gutter.left);
  context.fillText(text, plot.x - GAP, plot.y + plot.height + FOLLOWING / 2 + 2);
}

export function drawColumnLabels(
  drawing: Drawing,
  axis: Axis,
  widestLabel: number,
  lit: readonly Lit[],
): void {
  const { context, plot, window, colours, gutter } = drawing;
  const space = cellSize(plot, window).width;
  const upright = space >= 2 * FONT_SIZE && widestLabel + 4 <= space;
  const size = upright ? FONT_SIZE : sizeFor(space);
  const special = new Set(axis.special);
  context.textBaseline = "middle";
  forEachLabel(axis, window.columns, space, size, lit, (column, mark) => {
    context.font = mark ? labelFont(colours, FONT_SIZE, 600) : labelFont(colours, size);
    context.fillStyle = mark?.colour ?? (special.has(column) ? colours.muted : colours.text);
    const label = readable(axis.labels[column] ?? "");
    const x = columnX(plot, window, column + 0.5);
    if (upright) {
      context.textAlign = "center";
      context.fillText(label, x, plot.y - GAP - FONT_SIZE / 2);
      return;
    }
    context.save();
    context.translate(x, plot.y - GAP);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillText(elide(context, label, plot.y - GAP - gutter.top), 0, 0);
    context.restore();
  });
}
