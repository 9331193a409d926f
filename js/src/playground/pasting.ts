/** A block of numbers that is pasted into a table. */
import type { Rows } from "../attention/steps";

/** The table with the block at a place; a block of the table's own size replaces it. Or why it does not fit. */
export function paste(rows: Rows, block: Rows, at: { row: number; column: number }): Rows | string {
  const [height, width] = [rows.length, rows[0]?.length ?? 0];
  const whole = block.length === height && block[0]!.length === width;
  const { row, column } = whole ? { row: 0, column: 0 } : at;
  if (row + block.length > height || column + block[0]!.length > width)
    return (
      `${block.length} x ${block[0]!.length} numbers do not fit into ${height} x ${width} from row ${row}, column ` +
      `${column} on. Make room first, with + above the table; everything stays as it was.`
    );
  return rows.map((line, r) => line.map((old, c) => block[r - row]?.[c - column] ?? old));
}
