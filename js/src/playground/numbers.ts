/** Numbers as a person types and pastes them, and as they are shown. */

export const LARGEST = 1e6;

/** A number, or why it is none. */
export type Read = { number: number; fault?: undefined } | { number?: undefined; fault: string };

/** A typed number; a comma may be its decimal point. */
export function readNumber(text: string): Read {
  const plain = text
    .trim()
    .replace("−", "-")
    .replace(/^(-?\d*),(\d+)$/, "$1.$2");
  if (plain === "") return { fault: "That is empty; a number is expected." };
  const number = Number(plain);
  if (Number.isNaN(number)) return { fault: `“${text.trim().slice(0, 24)}” is no number.` };
  if (!(Math.abs(number) <= LARGEST))
    return {
      fault: `${text.trim().slice(0, 24)} is too large; up to ${LARGEST.toLocaleString("en")} can be shown.`,
    };
  return { number };
}

/** What separates the numbers of a line, the surest sign first. */
const SEPARATORS = [/\t/, /;/, /,\s+|\s+/, /,/];

/** A block of numbers from a spreadsheet, a file or a notebook: its rows, or why it is none. */
export function readBlock(
  text: string,
): { rows: number[][]; fault?: undefined } | { rows?: undefined; fault: string } {
  const lines = text
    .replace(/\b(array|tensor)\(|,\s*(dtype|device|grad_fn|requires_grad)=[^)]*\)/g, "")
    .replace(/[[\](){}]/g, (sign) => (sign === "]" ? "\n" : ""))
    .split(/\r?\n/)
    .map((line) =>
      line
        .trim()
        .replace(/^[,;]+|[,;]+$/g, "")
        .trim(),
    )
    .filter((line) => line !== "");
  if (lines.length === 0) return { fault: "Nothing was pasted." };
  const separator = SEPARATORS.find((sign) => lines.some((line) => sign.test(line)));
  const rows: number[][] = [];
  for (const line of lines) {
    const cells = separator ? line.split(separator).filter((cell) => cell.trim() !== "") : [line];
    const row: number[] = [];
    for (const cell of cells) {
      const read = readNumber(cell);
      if (read.fault !== undefined) return { fault: read.fault };
      row.push(read.number);
    }
    rows.push(row);
  }
  const width = rows[0]!.length;
  const uneven = rows.find((row) => row.length !== width);
  if (uneven)
    return {
      fault: `The rows are of different lengths: ${width} and ${uneven.length} numbers. Expected a block.`,
    };
  return { rows };
}

/** A number in a cell. */
export function cellText(number: number, digits = 2): string {
  if (Number.isNaN(number)) return "NaN";
  const size = Math.abs(number);
  if (size >= 1e5) return number.toExponential(0).replace("+", "").replace("-", "−");
  const text = number.toFixed(size >= 1000 ? 0 : size >= 100 ? Math.min(1, digits) : digits);
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

/** A number that was chosen, with as many digits as it has, up to three after the point. */
export function chosenText(number: number): string {
  const rounded = Number(number.toFixed(3));
  // What is not 0 does not look like it.
  if (Math.abs(rounded) >= 1e5 || (rounded === 0 && number !== 0))
    return number.toExponential(0).replace("+", "").replaceAll("-", "−");
  return String(rounded).replace("-", "−");
}

/** What an arrow key or a dragged step adds. */
export const STEP = 0.1;

/** Without the dust of binary fractions. */
export const tidy = (number: number): number => Number(number.toFixed(6));

export const clamped = (number: number): number => Math.min(LARGEST, Math.max(-LARGEST, number));
