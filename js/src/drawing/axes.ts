/** Tokens along the two axes: as many as can be read, the rest on hover. */
import type { Span } from "../attention/raster";
import type { Axis } from "../host/facts";
import type { Colours } from "../host/theme";
import { fontOf } from "./canvas";
import { cellSize, columnX, type Plot, rowY, type Window } from "./geometry";
import type { Lettering } from "./mark";
import { elide, readable } from "./words";

export const GAP = 6;
const FONT_SIZE = 12;
const SMALLEST_FONT = 9;
const SMALL_FONT = 11;
const SAMPLE = 64;
/** Height of the line of a token that has no row. */
export const FOLLOWING = 18;

export const labelFont = (colours: Colours, size = FONT_SIZE, weight = 400): string =>
  fontOf(colours.font, { size, weight });

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

export interface Placing {
  /** Measures text; nothing is drawn with it. */
  pen: CanvasRenderingContext2D;
  plot: Plot;
  window: Window;
  colours: Colours;
  /** What the names of runs take at the far side of the labels. */
  gutter: { left: number; top: number };
  /** What the names of the axes take above everything. */
  above: number;
  /** Whether labels tell their positions: where not all can be read, and where only a part is in sight. */
  numbered: { query: boolean; key: boolean };
}

/** A token that is hovered or pinned, and the colour that says so. */
export interface Lit {
  index: number;
  colour: string;
}

/** Round numbers of tokens from one label to the next. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return power * ([1, 2, 5, 10].find((times) => times * power >= least) ?? 10);
}

/** A token with its position before it. */
const told = (axis: Axis, index: number, numbered: boolean): string => {
  const label = readable(axis.labels[index] ?? "");
  // What is a position already needs no second.
  return numbered && label !== String(index) ? `${index} ${label}` : label;
};

/** Every so many tokens have a label; what a lit one would run into gives way. */
function* labelled(
  axis: Axis,
  span: Span,
  space: number,
  size: number,
  lit: readonly Lit[],
): Generator<{ index: number; mark: Lit | undefined }> {
  const every = roundStep(Math.ceil(size / space));
  const clear = space >= FONT_SIZE + 2 ? 0.5 : (FONT_SIZE + 2) / space;
  const visible = (index: number) => index + 0.5 >= span.from && index + 0.5 <= span.to;
  for (let index = Math.ceil(Math.floor(span.from) / every) * every; index < span.to; index += every) {
    const gives = lit.some((other) => visible(other.index) && Math.abs(other.index - index) < clear);
    if (visible(index) && !gives) yield { index, mark: undefined };
  }
  for (const mark of lit)
    if (visible(mark.index) && mark.index < axis.labels.length) yield { index: mark.index, mark };
}

/** The look of a label: lit ones are large and bold. */
function look(colours: Colours, size: number, special: boolean, mark: Lit | undefined) {
  if (mark) return { size: FONT_SIZE, weight: 600, colour: mark.colour };
  return { size, colour: special ? colours.muted : colours.text };
}

export function* rowLabels(placing: Placing, axis: Axis, lit: readonly Lit[]): Generator<Lettering> {
  const { pen, plot, window, colours, gutter, numbered } = placing;
  const space = cellSize(plot, window).height;
  const special = new Set(axis.special);
  for (const { index, mark } of labelled(axis, window.rows, space, sizeFor(space), lit)) {
    const font = look(colours, sizeFor(space), special.has(index), mark);
    pen.font = fontOf(colours.font, font);
    const text = elide(pen, told(axis, index, numbered.query), plot.x - GAP - gutter.left);
    const y = rowY(plot, window, index + 0.5);
    yield { kind: "text", x: plot.x - GAP, y, text, anchor: "end", ...font };
  }
}

/** Who looks at whom, in the corner. */
export function* axisNames(
  { pen, plot, colours }: Placing,
  queries: string,
  keys: string,
): Generator<Lettering> {
  const font = { size: SMALL_FONT, colour: colours.muted };
  pen.font = fontOf(colours.font, font);
  const down = `${queries} looks ↓`;
  const clear = pen.measureText(down).width + 2 * GAP;
  const y = SMALL_FONT / 2 + 1;
  yield { kind: "text", x: 0, y, text: down, ...font };
  yield { kind: "text", x: Math.max(plot.x, clear), y, text: `at ${keys} →`, ...font };
}

/** Below the last row: the token that would have come next, had it been a query. */
export function following({ pen, plot, colours, gutter }: Placing, label: string): Lettering {
  const font = { size: FONT_SIZE, italic: true };
  pen.font = fontOf(colours.font, font);
  const text = elide(pen, readable(label), plot.x - GAP - gutter.left);
  const place = { x: plot.x - GAP, y: plot.y + plot.height + FOLLOWING / 2 + 2 };
  return { kind: "text", ...place, text, anchor: "end", colour: colours.muted, ...font };
}

export function* columnLabels(
  placing: Placing,
  axis: Axis,
  widestLabel: number,
  lit: readonly Lit[],
): Generator<Lettering> {
  const { pen, plot, window, colours, gutter, above, numbered } = placing;
  const space = cellSize(plot, window).width;
  const upright = space >= 2 * FONT_SIZE && widestLabel + 4 <= space;
  const size = upright ? FONT_SIZE : sizeFor(space);
  const special = new Set(axis.special);
  for (const { index, mark } of labelled(axis, window.columns, space, size, lit)) {
    const font = look(colours, size, special.has(index), mark);
    const label = told(axis, index, numbered.key && !upright);
    const x = columnX(plot, window, index + 0.5);
    if (upright) {
      yield { kind: "text", x, y: plot.y - GAP - FONT_SIZE / 2, text: label, anchor: "middle", ...font };
      continue;
    }
    pen.font = fontOf(colours.font, font);
    const text = elide(pen, label, plot.y - GAP - gutter.top - above);
    yield { kind: "text", x, y: plot.y - GAP, text, turned: true, ...font };
  }
}
