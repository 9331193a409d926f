/** What the pinned queries give to each key: the row of one, or those of several made one. */
import type { Place } from "../answers/tile";
import { rowWeights, type Temper } from "../attention/temper";
import { MASKED, type Tile } from "../attention/tile";
import { bracketed } from "../drawing/naming";
import { quoted } from "../drawing/words";
import type { MapFacts } from "../host/facts";
import type { Compared } from "./comparing";
import { isAt, type ShownTile } from "./drawn";

/** How the rows of several queries are made one. */
export type Joined = "mean" | "sum";

export interface PinnedRow {
  /** The query that was pinned first. */
  query: number;
  /** All whose rows are in it. */
  queries: readonly number[];
  joined: Joined;
  /** As the model made it, or where two heads are compared the first one's. */
  before: Float32Array;
  /** At the temperature that is chosen, or the second one's. */
  after: Float32Array;
  /** What the views show of it: weights, or what is more and less where the difference of two heads is shown. */
  shown: Float32Array;
  signed: boolean;
  masked: (key: number) => boolean;
  /** Why there are no weights, in a sentence; null where there are some. */
  lacks: string | null;
  entropyBefore: number;
  entropyAfter: number;
}

/** A row with its entropy, as some temperature has it. */
export interface Read {
  weights: Float32Array;
  entropy: number;
}

/** One row of an exact tile as a tile of its own; null where it is not in it. */
export function rowOf(tile: Tile, query: number): Tile | null {
  if (!tile.exact || query < tile.rows[0] || query >= tile.rows[1]) return null;
  const width = tile.shape[1];
  const at = query - tile.rows[0];
  return {
    ...tile,
    rows: [query, query + 1],
    shape: [1, width],
    codes: tile.codes.subarray(at * width, (at + 1) * width),
    missing: tile.missing.subarray(at, at + 1),
    entropy: tile.entropy.subarray(at, at + 1),
    largest: tile.largest.subarray(at, at + 1),
    informative: tile.informative.subarray(at, at + 1),
  };
}

/** Rows of all queries that are read, of the tiles of a head; null while one of them is not here. */
export function readRows(
  from: readonly (ShownTile | null)[],
  place: Place | null,
  more: readonly Tile[],
  queries: readonly number[],
): Tile[] | null {
  if (!place) return null;
  const tiles = [...from.flatMap((one) => (one && isAt(one, place) ? [one.tile] : [])), ...more];
  const rows = queries.map((wanted) => {
    for (const tile of tiles) {
      const row = rowOf(tile, wanted);
      if (row) return row;
    }
    return null;
  });
  return rows.every((row) => row !== null) ? rows : null;
}

/** Rows made one, at a temperature and a scaling. */
export function join(
  rows: readonly Tile[],
  joined: Joined,
  temper: Temper,
  temperature: number,
  scaling: number,
): Read {
  const [first, ...others] = rows;
  const tempered = temper.run(first!, temperature, scaling);
  const weights = rowWeights(first!, tempered, 0);
  if (others.length === 0) return { weights, entropy: tempered.entropy[0]! };
  for (const row of others) {
    const more = rowWeights(row, temper.run(row, temperature, scaling), 0);
    for (let key = 0; key < weights.length; key++) weights[key]! += more[key]!;
  }
  if (joined === "mean") for (let key = 0; key < weights.length; key++) weights[key]! /= rows.length;
  return { weights, entropy: entropyOf(weights) };
}

/** In nats, of weights rescaled to their sum; NaN where there are none. */
function entropyOf(weights: Float32Array): number {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) return Number.NaN;
  return weights.reduce(
    (all, weight) => (weight > 0 ? all - (weight / sum) * Math.log(weight / sum) : all),
    0,
  );
}

/** A key is masked where no row sees it, and everywhere where one of the rows has no values. */
function maskOf(rows: readonly Tile[]): (key: number) => boolean {
  const lost = rows.some(({ missing }) => Number.isNaN(missing[0]));
  return (key) => lost || rows.every(({ codes }) => codes[key] === MASKED);
}

/** Why rows have no weights, in a sentence; null where they have some. */
export function lackOf(rows: readonly Tile[]): string | null {
  const which = rows.length > 1 ? "One of the rows" : "This row";
  if (rows.some(({ missing }) => Number.isNaN(missing[0])))
    return `${which} holds NaN: its weights are not known.`;
  if (rows.every(({ codes }) => codes.every((code) => code === MASKED)))
    return rows.length > 1 ? "These queries see no key." : "This query sees no key.";
  return null;
}

/** Temperature and scaling. */
type Sharpness = readonly [temperature: number, scaling: number];

/** Rows made one, before and after temperature and scaling. */
export function pinnedRow(
  rows: readonly Tile[],
  joined: Joined,
  temper: Temper,
  sharpness: Sharpness,
): PinnedRow {
  const before = join(rows, joined, temper, 1, 1);
  const after = join(rows, joined, temper, ...sharpness);
  return {
    ...made(rows, joined, before, after),
    shown: after.weights,
    signed: false,
    masked: maskOf(rows),
    lacks: lackOf(rows),
  };
}

/** The rows of two heads, each at its own temperature and scaling; those of the head that is looked at come first. */
export function comparedRow(
  own: readonly Tile[],
  other: readonly Tile[],
  joined: Joined,
  temper: Temper,
  sharpness: Sharpness,
  theirs: Sharpness,
  compared: Compared | null,
): PinnedRow {
  const [looked, against] = [join(own, joined, temper, ...sharpness), join(other, joined, temper, ...theirs)];
  const [first, second] = compared === "first" ? [looked, against] : [against, looked];
  const signed = compared === "difference";
  const [hidden, alike] = [maskOf(own), maskOf(other)];
  const shown = signed ? second.weights.map((weight, key) => weight - first.weights[key]!) : looked.weights;
  const masked = (key: number) => hidden(key) && (!signed || alike(key));
  const lacks = lackOf(own) ?? (signed ? lackOf(other) : null);
  return { ...made(own, joined, first, second), shown, signed, masked, lacks };
}

const made = (rows: readonly Tile[], joined: Joined, before: Read, after: Read) => ({
  query: rows[0]!.rows[0],
  queries: rows.map((row) => row.rows[0]),
  joined,
  before: before.weights,
  after: after.weights,
  entropyBefore: before.entropy,
  entropyAfter: after.entropy,
});

/** Whose row it is: the query by its place and word, or how many there are of them. */
export function rowName(map: MapFacts, { query, queries, joined }: PinnedRow): string {
  if (queries.length > 1) return `${joined} of ${queries.length} queries`;
  return `query ${query} ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}`;
}
