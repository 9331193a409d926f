/** Which of all lines are drawn: the strongest, as many as can be told apart, and how much they hold of the rest. */
import type { Span } from "../../../attention/raster";
import type { HeadMap } from "./maps";

/** More lines than that are a grey cloud, and take longer than a frame. */
export const MOST = 3000;

export interface Line {
  query: number;
  key: number;
  /** Place of its head among those that are shown. */
  at: number;
  /** Of two heads how much more or less the second gives. */
  weight: number;
}

export interface Picked {
  /** The faintest first. */
  lines: Line[];
  /** Lines that there are, and what they weigh. */
  of: number;
  weight: number;
  share: number;
}

const size = ({ weight }: Line): number => Math.abs(weight);
const fainterFirst = (one: Line, other: Line): number => size(one) - size(other);

/** What a line must be to be drawn. */
export interface Wanted {
  queries: Span;
  keys: Span;
  allows(query: number, key: number): boolean;
  /** Whether it is not too faint. */
  shows(weight: number, map: HeadMap, query: number): boolean;
}

/** Weights by their upper bits: exponent and 5 bits of mantissa order them finely enough. */
const SHIFT = 18;
const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);
function bucketOf(weight: number): number {
  value[0] = weight;
  return bits[0]! >>> SHIFT;
}

export function pick(maps: readonly HeadMap[], wanted: Wanted, most = MOST): Picked {
  const counts = new Uint32Array(1 << (32 - SHIFT));
  let [of, all] = [0, 0];
  for (const [, , , weight] of cells(maps, wanted)) {
    of++;
    all += Math.abs(weight);
    if (weight !== 0) counts[bucketOf(Math.abs(weight))]!++;
  }
  let room = most;
  let lowest = counts.length;
  while (lowest > 0 && counts[lowest - 1]! <= room) room -= counts[--lowest]!;
  const lines: Line[] = [];
  let weight = 0;
  for (const [query, key, at, share] of cells(maps, wanted)) {
    if (share === 0 || lines.length >= most) continue;
    const bucket = bucketOf(Math.abs(share));
    // Of the faintest that fit in part the first are taken.
    if (bucket < lowest - 1 || (bucket === lowest - 1 && room-- <= 0)) continue;
    if (!wanted.shows(share, maps[at]!, query)) continue;
    lines.push({ query, key, at, weight: share });
    weight += Math.abs(share);
  }
  lines.sort(fainterFirst);
  return { lines, of, weight, share: all > 0 ? weight / all : 0 };
}

/** Every cell of which one end is in sight. */
function* cells(
  maps: readonly HeadMap[],
  { queries, keys, allows }: Wanted,
): Generator<readonly [query: number, key: number, at: number, weight: number]> {
  for (const [at, { tile, numberAt }] of maps.entries()) {
    const [height, width] = tile.shape;
    for (let row = 0; row < height; row++) {
      const query = tile.rows[0] + row;
      const inside = query >= queries.from && query < queries.to;
      const from = inside ? 0 : Math.max(0, keys.from - tile.columns[0]);
      const to = inside ? width : Math.min(width, keys.to - tile.columns[0]);
      for (let column = from; column < to; column++) {
        const cell = row * width + column;
        const key = tile.columns[0] + column;
        const number = numberAt(cell);
        if (Number.isNaN(number) || !allows(query, key)) continue;
        yield [query, key, at, number];
      }
    }
  }
}

/** All lines of one word, as a query or as a key. */
export function linesOf(
  maps: readonly HeadMap[],
  side: "query" | "key",
  index: number,
  { allows, shows }: Pick<Wanted, "allows" | "shows">,
): Line[] {
  const lines: Line[] = [];
  for (const [at, map] of maps.entries()) {
    const { tile, numberAt } = map;
    const [height, width] = tile.shape;
    const own = index - tile[side === "query" ? "rows" : "columns"][0];
    if (own < 0 || own >= (side === "query" ? height : width)) continue;
    for (let other = 0; other < (side === "query" ? width : height); other++) {
      const [row, column] = side === "query" ? [own, other] : [other, own];
      const cell = row * width + column;
      const [query, key] = [tile.rows[0] + row, tile.columns[0] + column];
      const weight = numberAt(cell);
      if (weight && allows(query, key) && shows(weight, map, query)) lines.push({ query, key, at, weight });
    }
  }
  return lines.sort(fainterFirst);
}
