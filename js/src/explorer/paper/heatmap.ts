/** The map of the chosen head on paper: the part that is on the screen, with its tokens. */
import type { Picture as Rastered } from "../../attention/raster";
import { penOf } from "../../drawing/canvas";
import { columnX, type Plot, rowY, type Window } from "../../drawing/geometry";
import { inside, type Mark, type Pixels, shifted } from "../../drawing/mark";
import type { Sheet } from "../../drawing/sheet";
import { opaque } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import { sideName } from "../comparing";
import { isDifference, type Shown, type Store } from "../store";
import { scaleOf } from "../views/key";
import { cellMarks } from "../views/map/cells";
import { Inked } from "../views/map/inked";
import { marksOf, placingOf } from "../views/map/marks";
import { lastWord, pooled } from "../views/map/notes";
import { type Stage, stageOf } from "../views/map/stage";
import { aboutOf, comparedTitle, framed, queryName } from "./frame";

/** Where nothing says how much room there is. */
const ROOM = 720;
const SIDES = ["first", "second"] as const;
const SIDE_TITLE = 22;
const APART = 24;

const sideTitle = (colours: Colours, { plot }: Stage, text: string): Mark => ({
  ...{ kind: "text", x: plot.x, y: 8, text, size: 12, weight: 600, colour: colours.text },
});

export function heatmapSheet(store: Store, map: MapFacts): Sheet | null {
  const pen = penOf();
  const stage = stageOf(store, pen, store.room.value || ROOM);
  const both = store.compared.value === "beside" ? store.both.value : null;
  const shown = both ? [both.first, both.second] : [store.picture.value].filter((one) => one !== null);
  const [drawn] = shown;
  const own = drawn && (isDifference(drawn) ? drawn.second : both ? both.second : drawn);
  if (!stage || !drawn || !own || !store.isCurrent(own)) return null;
  const colours = opaque(store.colours.value);
  const fine = 2 * Math.max(1, window.devicePixelRatio || 1);
  const device: [number, number] = [
    Math.round(stage.plot.height * fine),
    Math.round(stage.plot.width * fine),
  ];
  const placing = placingOf(store, pen, stage, colours, map);
  const { query } = store.pin.value;
  const names = both && store.pair.value ? SIDES.map((side) => sideName(store.pair.value!, side)) : [];
  const pictures = shown.map((one, at) => {
    const name = names[at];
    const titled: Mark[] = name === undefined ? [] : [sideTitle(colours, stage, name)];
    const marks = [
      ...cells(store, colours, one, stage, device),
      ...marksOf(placing, store, stage, map, null),
    ];
    const down = marks.map((mark) => shifted(mark, 0, titled.length * SIDE_TITLE));
    return [...titled, ...down].map((mark) => shifted(mark, at * (stage.width + APART), 0));
  });
  return framed(colours, {
    width: shown.length * (stage.width + APART) - APART,
    height: stage.height + (names.length && SIDE_TITLE),
    marks: pictures.flat(),
    title: comparedTitle(store, map),
    about: [...aboutOf(store, map), ...(query === null ? [] : [`Pinned: ${queryName(map, query)}`])],
    scale: scaleOf(store),
    inset: stage.plot.x,
    notes: [pooled(store, device), lastWord(store) ?? "", ...map.notes].filter(Boolean),
  });
}

function* cells(
  store: Store,
  colours: Colours,
  drawn: Shown,
  { plot }: Stage,
  device: [number, number],
): Generator<Mark> {
  const visible = store.window.value;
  if (isDifference(drawn) ? drawn.hasMasked : drawn.tile.hasMasked)
    yield { kind: "box", ...plot, hatched: colours.hatch };
  const inked = new Inked();
  const picture = inked.paint(store, drawn, visible, device);
  const seen = cropped(inked.pixels, picture, visible, plot);
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
