/** The shown map as a table: keys across, queries down, as tempered as on the screen. */
import { weightOf } from "../../attention/temper";
import { MASKED, type Tile } from "../../attention/tile";
import { type Axis, keysOf, type MapFacts } from "../../host/facts";
import { isDifference, type Shown } from "../store";
import { type Effect, effectName } from "../weighing";

/** Excel reads UTF-8 as such with this alone; pandas, polars and R skip it. */
const MARK = "\ufeff";
/** Digits of a number: what a float of 32 bits holds. */
export const DIGITS = 7;

/** RFC 4180. A label that a spreadsheet would take for a formula begins with an apostrophe instead. */
export function field(label: string): string {
  // Some readers stop at the first zero byte.
  const safe = label.replace(/\0/g, "␀").replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A weight that can be read back; powers of ten where these are shorter. */
const number = (weight: number): string => String(Number(weight.toPrecision(DIGITS)));

export const isPooled = ({ stride }: Pick<Tile, "stride">): boolean => stride[0] * stride[1] > 1;

/** What a cell is, where it is not one weight. */
export function pooledAs({ stride, pooling, sampled }: Pick<Tile, "stride" | "pooling" | "sampled">): string {
  const what = pooling === "mean" ? "mean" : "largest";
  const read = sampled ? `, ${sampled[0]} of ${sampled[1]} rows read` : "";
  return `${what} of ${stride[0]} x ${stride[1]} cells${read}`;
}

/** Names along an axis: tokens, or which of them are pooled. */
function namesOf(axis: Axis, [from, to]: readonly [number, number], stride: number): string[] {
  const count = Math.ceil((to - from) / stride);
  return Array.from({ length: count }, (_, at) => {
    const start = from + at * stride;
    const last = Math.min(to, start + stride) - 1;
    return stride === 1 ? (axis.labels[start] ?? "") : last > start ? `${start}-${last}` : String(start);
  });
}

/** Of an effect in logits; `effect` says on which token. */
export function csvOf(map: MapFacts, shown: Shown, effect: Effect | null = null): string {
  const { tile } = shown;
  const corner = `${effect ? `${effectName(effect)}, logits, ` : isDifference(shown) ? "difference, " : ""}${isPooled(tile) ? pooledAs(tile) : "query"}`;
  const undefinedRows = new Set(isDifference(shown) ? shown.undefinedRows : shown.tile.undefinedRows);
  const across = namesOf(keysOf(map), tile.columns, tile.stride[1]);
  const down = namesOf(map.queries, tile.rows, tile.stride[0]);
  const lines = [[corner, ...across].map(field).join()];
  const [, width] = tile.shape;
  for (const [row, name] of down.entries()) {
    const nan = undefinedRows.has(row);
    const line = [field(name)];
    for (let cell = row * width; cell < (row + 1) * width; cell++) {
      if (nan) line.push("NaN");
      else {
        const value = isDifference(shown)
          ? shown.values[cell]! * (effect?.unit ?? 1)
          : shown.tile.codes[cell] === MASKED
            ? Number.NaN
            : weightOf(shown.tile, shown, cell);
        line.push(Number.isNaN(value) ? "" : number(value));
      }
    }
    lines.push(line.join());
  }
  return `${MARK}${lines.join("\r\n")}\r\n`;
}
