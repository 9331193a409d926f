/** The map of the chosen head on paper: the part that is on the screen, with its tokens. */
import { Raster, type Picture as Rastered } from "../../attention/raster";
import { penOf } from "../../drawing/canvas";
import { columnX, type Plot, rowY, type Window } from "../../drawing/geometry";
import { inside, type Mark, type Pixels } from "../../drawing/mark";
import type { Sheet } from "../../drawing/sheet";
import { opaque } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import { rowwise } from "../range";
import type { Drawn, Store } from "../store";
import { cellMarks } from "../views/cells";
import { scaleOf } from "../views/key";
import { marksOf, placingOf } from "../views/marks";
import { lastWord, pooled } from "../views/notes";
import { type Stage, stageOf } from "../views/stage";
import { aboutOf, framed, headTitle, queryName } from "./frame";

/** Where nothing says how much room there is. */
const ROOM = 720;

export function heatmapSheet(store: Store, map: MapFacts): Sheet | null {
  const pen = penOf();
  const stage = stageOf(store, pen, store.room.value || ROOM);
  const drawn = store.drawn.value;
  if (!stage || !drawn || !store.isCurrent(drawn)) return null;
  const colours = opaque(store.colours.value);
  const fine = 2 * Math.max(1, window.devicePixelRatio || 1);
  const device: [number, number] = [
    Math.round(stage.plot.height * fine),
    Math.round(stage.plot.width * fine),
  ];
  const placing = placingOf(store, pen, stage, colours, map);
  const { query } = store.pin.value;
  return framed(colours, {
    width: stage.width,
    height: stage.height,
    marks: [...cells(store, colours, drawn, stage, device), ...marksOf(placing, store, stage, map, null)],
    title: headTitle(map, drawn.layer, drawn.head),
    about: [...aboutOf(store, map), ...(query === null ? [] : [`Pinned: ${queryName(map, query)}`])],
    scale: scaleOf(store),
    inset: stage.plot.x,
    notes: [pooled(store, device), lastWord(store) ?? "", ...map.notes].filter(Boolean),
  });
}

function* cells(
  store: Store,
  colours: Colours,
  drawn: Drawn,
  { plot }: Stage,
  device: [number, number],
): Generator<Mark> {
  const visible = store.window.value;
  if (drawn.tile.hasMasked) yield { kind: "box", ...plot, hatched: colours.hatch };
  const raster = new Raster();
  const { table, of } = store.paint.value;
  const picture = raster.paint(drawn.tile, of === "rows" ? rowwise(drawn) : drawn, table, visible, device);
  const seen = cropped(raster.pixels, picture, visible, plot);
  if (seen) yield seen;
  for (const mark of cellMarks(store, drawn, plot)) {
    // At the edges of a part of the map, what is written in a cell may be outside with the middle of it.
    if (mark.kind === "text" && inside({ ...mark, width: 1, height: 1 }, plot)) yield mark;
    const part = mark.kind === "box" && inside(mark, plot);
    if (part) yield { ...mark, ...part };
  }
  const frame = { x: plot.x - 0.5, y: plot.y - 0.5, width: plot.width + 1, height: plot.height + 1 };
  yield { kind: "box", ...frame, stroke: colours.line, line: 1 };
}

/** The cells that are in the window, some of them with a part alone. */
function cropped(pixels: Uint32Array, picture: Rastered, visible: Window, plot: Plot): Pixels | null {
  const down = part(picture.rows, picture.height, visible.rows);
  const across = part(picture.columns, picture.width, visible.columns);
  const [rows, columns] = [down.stop - down.start, across.stop - across.start];
  if (rows <= 0 || columns <= 0) return null;
  const seen = new Uint32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = (down.start + row) * picture.width + across.start;
    seen.set(pixels.subarray(from, from + columns), row * columns);
  }
  const x = columnX(plot, visible, across.from);
  const y = rowY(plot, visible, down.from);
  const size = { width: columnX(plot, visible, across.to) - x, height: rowY(plot, visible, down.to) - y };
  return { kind: "pixels", x, y, ...size, rows, columns, pixels: seen, clip: plot, vector: true };
}

/** Which of so many pixels over a span are seen, and the cells that these stand for. */
function part(span: Window["rows"], count: number, visible: Window["rows"]) {
  const each = (span.to - span.from) / count;
  const start = Math.max(0, Math.floor((visible.from - span.from) / each + 1e-6));
  const stop = Math.min(count, Math.ceil((visible.to - span.from) / each - 1e-6));
  return { start, stop, from: span.from + start * each, to: span.from + stop * each };
}
