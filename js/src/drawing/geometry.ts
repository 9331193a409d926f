/** Where the cells are: the size of the plot, the visible window, and the way between pixels and cells. */
import type { Span } from "../attention/raster";

/** The visible part of a map. */
export interface Window {
  rows: Span;
  columns: Span;
}

export interface Plot {
  x: number;
  y: number;
  width: number;
  height: number;
}

const LARGEST_CELL = 56;
/** Cells of very long and narrow maps are stretched to this where there is room. */
const COMFORTABLE_CELL = 18;
const FEWEST_CELLS = 4;

/** Square cells, unless the map is so long one way that they would become threads. */
export function plotSize(
  queries: number,
  keys: number,
  room: number,
  tallest: number,
): { width: number; height: number } {
  const cell = Math.min(LARGEST_CELL, room / keys, tallest / queries);
  const size = { width: keys * cell, height: queries * cell };
  if (keys > 4 * queries) size.height = Math.max(size.height, Math.min(tallest, queries * COMFORTABLE_CELL));
  if (queries > 4 * keys) size.width = Math.max(size.width, Math.min(room, keys * COMFORTABLE_CELL));
  // Whole pixels keep the edges of the plot sharp.
  return { width: Math.max(1, Math.floor(size.width)), height: Math.max(1, Math.floor(size.height)) };
}

const length = (span: Span) => span.to - span.from;

/** A span of a given length, moved back inside the axis. */
function placed(from: number, size: number, count: number): Span {
  const start = Math.min(Math.max(0, from), count - size);
  return { from: start, to: start + size };
}

function zoomSpan(span: Span, count: number, factor: number, at: number): Span {
  const size = Math.min(count, Math.max(Math.min(FEWEST_CELLS, count), length(span) / factor));
  return placed(at - ((at - span.from) * size) / length(span), size, count);
}

/** Zoom by a factor, keeping a cell where it is; both axes together. */
export function zoomed(
  window: Window,
  shape: Shape,
  factor: number,
  at: { row: number; column: number },
): Window {
  return {
    rows: zoomSpan(window.rows, shape.queries, factor, at.row),
    columns: zoomSpan(window.columns, shape.keys, factor, at.column),
  };
}

export interface Shape {
  queries: number;
  keys: number;
}

export function panned(window: Window, shape: Shape, rows: number, columns: number): Window {
  return {
    rows: placed(window.rows.from + rows, length(window.rows), shape.queries),
    columns: placed(window.columns.from + columns, length(window.columns), shape.keys),
  };
}

/** The least move that brings a cell into the window. */
export function including(window: Window, shape: Shape, row: number, column: number): Window {
  const need = (span: Span, cell: number) => Math.min(0, cell - span.from) + Math.max(0, cell + 1 - span.to);
  return panned(window, shape, need(window.rows, row), need(window.columns, column));
}

export const isFitted = (window: Window, shape: Shape): boolean =>
  length(window.rows) >= shape.queries && length(window.columns) >= shape.keys;

/** Whether no zoom shows fewer cells. */
export const isNearest = (window: Window, shape: Shape): boolean =>
  length(window.rows) <= Math.min(FEWEST_CELLS, shape.queries) &&
  length(window.columns) <= Math.min(FEWEST_CELLS, shape.keys);

export const rowY = (plot: Plot, window: Window, row: number): number =>
  plot.y + ((row - window.rows.from) / length(window.rows)) * plot.height;

export const columnX = (plot: Plot, window: Window, column: number): number =>
  plot.x + ((column - window.columns.from) / length(window.columns)) * plot.width;

/** The place under a pixel, in cells with fractions. */
export function cellAt(plot: Plot, window: Window, x: number, y: number): { row: number; column: number } {
  return {
    row: window.rows.from + ((y - plot.y) / plot.height) * length(window.rows),
    column: window.columns.from + ((x - plot.x) / plot.width) * length(window.columns),
  };
}

export const cellSize = (plot: Plot, window: Window): { width: number; height: number } => ({
  width: plot.width / length(window.columns),
  height: plot.height / length(window.rows),
});
