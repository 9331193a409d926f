/** How the width is shared: the map has the first right to it, thumbnails take what is left. */
import { groupSize, type MapFacts } from "../../host/facts";

export type Shape = "narrow" | "medium" | "wide";

export interface Room {
  shape: Shape;
  /** Where the grid stands: in a column beside the map, above it, instead of it, or nowhere where there is one head. */
  grid: "column" | "above" | "alone" | "none";
  /** CSS pixels of the grid, and of a thumbnail in it. */
  column: number;
  thumb: number;
}

/** What the map, its longest labels and the entropy of its rows need, and what stands at their right where it is wide. */
const MAP = 540;
export const REST = 380;
/** Columns; the style sheet has the same. */
export const BETWEEN = 28;
/** The least width of the column of the grid, with measures a little less than their line of menus takes. */
export const COLUMN = 272;
/** Narrower than this there is no room for a column beside the map. */
const NARROW = COLUMN + BETWEEN + MAP;
const WIDE = 1360;

/** Before the thumbnails of a layer, between them, and more between those of two key-value heads. */
export const NUMERAL = 24;
export const GAP = 2;
export const APART = 5;
/** Edges of the grid and its scroll bar. */
export const EDGES = 16;
/** Smaller than this a thumbnail says nothing. */
const LEAST = 8;
const LARGEST = 52;
/** So many heads a layer may have for their numbers to stand apart. */
const MANY = 16;

interface Wanted {
  /** Whether every thumbnail carries a number. */
  numbered: boolean;
  /** Whether there is a grid, and anything below the picture or beside it. */
  grid: boolean;
  rest: boolean;
}

export function roomFor(
  width: number,
  map: MapFacts | null,
  view: string,
  { numbered, grid, rest }: Wanted,
): Room {
  const shape = width < NARROW ? "narrow" : width < WIDE || !rest ? "medium" : "wide";
  const heads = Math.max(1, ...(map?.heads ?? []));
  const layers = Math.max(1, map?.heads.length ?? 1);
  const apart = gapsOf(map);
  const fits = (room: number) => Math.floor((room - NUMERAL - EDGES - apart) / heads) - GAP;
  const widthOf = (thumb: number) => NUMERAL + EDGES + apart + heads * (thumb + GAP);
  const readable = map?.measures?.length && heads <= MANY ? 17 : 14;
  const whole = (tallest: number, least: number): Pick<Room, "column" | "thumb"> => {
    const wanted = Math.max(least, Math.min(LARGEST, fits(width), Math.floor(tallest / layers) - GAP));
    const thumb = Math.max(LEAST, Math.min(wanted, fits(width)));
    return { column: width, thumb: numbered ? Math.max(readable, thumb) : thumb };
  };
  if (heads * layers === 1 || !grid) return { shape, grid: "none", column: width, thumb: LARGEST };
  if (view === "grid") {
    return { shape, grid: "alone", column: width, thumb: Math.min(160, Math.max(24, fits(width))) };
  }
  if (shape === "narrow") return { shape, grid: "above", ...whole(220, 20) };

  const most = Math.min(0.4 * width, width - MAP - BETWEEN - (shape === "wide" ? REST + BETWEEN : 0));
  // A column that shows less than half of the heads at a time is worth less than a line of its own.
  if (widthOf(LEAST) > 2 * most) return { shape, grid: "above", ...whole(220, readable) };
  const share = shape === "wide" ? width * 0.22 : Math.max(COLUMN, width * 0.27);
  const wanted = Math.max(readable, Math.min(LARGEST, fits(share), Math.floor(620 / layers) - GAP));
  const thumb = Math.max(LEAST, Math.min(wanted, fits(most)));
  return {
    shape,
    grid: "column",
    column: Math.floor(Math.min(most, Math.max(COLUMN, widthOf(thumb)))),
    thumb: numbered ? Math.max(readable, thumb) : thumb,
  };
}

/** Plot and labels of the picture, where there is no height that was asked for. */
const TALLEST = 720;
const TALLEST_NARROW = 520;
/** What else has to be on the screen with it. */
const AROUND = 150;

/** Height that the picture may have: what was asked for, what a whole screen has, or what fits most screens. */
export function tallest(shape: Shape, asked: number | null, full: boolean): number {
  if (full) return Math.max(320, window.innerHeight - AROUND);
  if (asked !== null) return asked;
  return shape === "narrow" ? TALLEST_NARROW : TALLEST;
}

/** What the gaps between groups of heads take, in the layer that has most of them. */
function gapsOf(map: MapFacts | null): number {
  const gaps = (map?.heads ?? []).map((heads, layer) => {
    const size = groupSize(map!, layer);
    return size > 1 ? (heads / size - 1) * APART : 0;
  });
  return Math.max(0, ...gaps);
}
