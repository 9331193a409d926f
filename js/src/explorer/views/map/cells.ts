/** What is written in the cells of a map: their numbers, where there is room, and which rows are NaN. */
import { inkOn } from "../../../attention/colour";
import { cellSize, columnX, type Plot, rowY } from "../../../drawing/geometry";
import type { Mark } from "../../../drawing/mark";
import { isDifference, numberOf, type Shown, type Store } from "../../store";

/** Cells this large have room for their number. */
const NUMBERED = { width: 30, height: 15 };

export function* cellMarks(store: Store, shown: Shown, plot: Plot): Generator<Mark> {
  yield* numbers(store, shown, plot);
  yield* undefinedRows(store, shown, plot);
}

/** Two digits after the point, without the zero before it; of a difference with its sign. */
function written(weight: number, signed: boolean): string {
  const size = Math.abs(weight);
  const digits = size.toFixed(size < 9.95 ? 2 : 1).replace(/^0\./, ".");
  if (!signed || digits === ".00") return digits;
  return `${weight < 0 ? "−" : "+"}${digits}`;
}

function* numbers(store: Store, shown: Shown, plot: Plot): Generator<Mark> {
  const visible = store.window.value;
  const room = cellSize(plot, visible);
  const { tile } = shown;
  const signed = isDifference(shown);
  if (room.width < NUMBERED.width || room.height < NUMBERED.height || tile.stride[0] * tile.stride[1] > 1)
    return;
  const tint = store.tint.value;
  const { largest, of } = store.paint.value;
  const size = room.width < 38 ? 10 : 11;
  for (let row = Math.floor(visible.rows.from); row < visible.rows.to; row++) {
    for (let column = Math.floor(visible.columns.from); column < visible.columns.to; column++) {
      const weight = numberOf(shown, row, column);
      if (weight === null) continue;
      const rows = signed ? shown.ofRows : shown.shares;
      const end = of === "rows" ? rows[row - tile.rows[0]] || 1 : largest;
      yield {
        kind: "text",
        x: columnX(plot, visible, column + 0.5),
        y: rowY(plot, visible, row + 0.5),
        text: written(store.weighing.scaled(weight), signed),
        size,
        anchor: "middle",
        colour: inkOn(tint(weight, end)),
        // Cells that round to nothing step back, so that the others can be read.
        opacity: Math.abs(store.weighing.scaled(weight)) < 0.005 ? 0.45 : 1,
      };
    }
  }
}

/** Rows of NaN: neither masked nor zero, so they look like neither. */
function* undefinedRows(store: Store, shown: Shown, plot: Plot): Generator<Mark> {
  const { tile } = shown;
  const rows = isDifference(shown) ? shown.undefinedRows : shown.tile.undefinedRows;
  const visible = store.window.value;
  const colour = store.colours.value.fault;
  for (const row of rows) {
    const top = rowY(plot, visible, tile.rows[0] + row * tile.stride[0]);
    const height = rowY(plot, visible, tile.rows[0] + (row + 1) * tile.stride[0]) - top;
    yield { kind: "box", x: plot.x, y: top, width: plot.width, height, fill: colour, opacity: 0.18 };
    if (height < 10) continue;
    const place = { x: plot.x + plot.width / 2, y: top + height / 2 };
    yield { kind: "text", ...place, text: "NaN", size: 10, anchor: "middle", colour };
  }
}
