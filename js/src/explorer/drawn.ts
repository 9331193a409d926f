/** What is drawn of one head, or of two: tiles and their numbers. */
import type { Place } from "../answers/tile";
import type { Difference } from "../attention/difference";
import { type Tempered, weightOf } from "../attention/temper";
import { MASKED, type Tile } from "../attention/tile";

export interface ShownTile extends Place {
  tile: Tile;
}

/** A tile with its temperature applied; the arrays are reused from step to step. */
export interface Drawn extends ShownTile, Tempered {}

/** A difference, and the two that it is of. */
export interface DrawnDifference extends Difference {
  first: Drawn;
  second: Drawn;
}

/** What the picture of a map is made of. */
export type Shown = Drawn | DrawnDifference;

export const isDifference = (shown: Shown): shown is DrawnDifference => "values" in shown;

export const isAt = (one: Place | null, other: Place | null): boolean =>
  one !== null &&
  other !== null &&
  one.map === other.map &&
  one.layer === other.layer &&
  one.head === other.head;

/** Weight of a cell, or the difference there; null where masked or not there. */
export function numberOf(shown: Shown, query: number, key: number): number | null {
  const cell = cellOf(shown.tile, query, key);
  if (cell === null) return null;
  if (isDifference(shown)) return Number.isNaN(shown.values[cell]) ? null : shown.values[cell]!;
  return shown.tile.codes[cell] === MASKED ? null : weightOf(shown.tile, shown, cell);
}

/** Index into a tile's cells of a query and a key; null outside the tile. */
export function cellOf(
  tile: Pick<Tile, "rows" | "columns" | "stride" | "shape">,
  query: number,
  key: number,
): number | null {
  const row = Math.floor((query - tile.rows[0]) / tile.stride[0]);
  const column = Math.floor((key - tile.columns[0]) / tile.stride[1]);
  const inside = row >= 0 && row < tile.shape[0] && column >= 0 && column < tile.shape[1];
  return inside ? row * tile.shape[1] + column : null;
}
