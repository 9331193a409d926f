/** Runs of tokens on paper: what each gives to each, and where each query looks. */
import { css, inkOn } from "../../attention/colour";
import { penOf } from "../../drawing/canvas";
import type { Mark } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import { elide, readable } from "../../drawing/words";
import type { MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { scaleOf } from "../views/key";
import { titleOf } from "../views/spans/kinds";
import { endOf, inCell } from "../views/spans/matrix";
import { type Shown, shownOf } from "../views/spans/shown";
import { colourOf } from "../views/spans/stack";
import { aboutOf, framed, headTitle } from "./frame";

const LABEL = 120;
const [SMALLEST, LARGEST] = [5, 52];
const MAP = 520;
const STACK = { width: 620, height: 140 };
const FONT = 11;

export function spansSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const shown = shownOf(store, answers, map);
  if (!shown) return null;
  const colours = opaque(store.colours.value);
  const pen = penOf();
  pen.font = `${FONT}px ${colours.font}`;
  const { of } = shown;
  const size = Math.max(SMALLEST, Math.min(LARGEST, MAP / Math.max(of.keys.length, of.queries.length)));
  const tint = store.tint.value;
  const marks: Mark[] = [];
  const text = (x: number, y: number, said: string, more: object = {}): void => {
    marks.push({ kind: "text", x, y, text: said, size: FONT, colour: colours.muted, ...more });
  };
  const top = LABEL;
  const named = size >= FONT;
  of.keys.forEach(([name], at) => {
    if (named)
      text(LABEL + (at + 0.5) * size, top - 6, elide(pen, readable(name), LABEL - 10), { turned: true });
  });
  of.queries.forEach(([name], row) => {
    const y = top + row * size;
    if (named) text(LABEL - 6, y + size / 2, elide(pen, readable(name), LABEL - 10), { anchor: "end" });
    const end = endOf(store, of, row);
    of.keys.forEach((_, column) => {
      const value = of.mass[row * of.keys.length + column]!;
      const place = { x: LABEL + column * size, y, width: size, height: size };
      if (Number.isNaN(value)) return;
      const fill = tint(value, end);
      marks.push({ kind: "box", ...place, fill: css(fill), stroke: colours.line, line: 0.5 });
      if (size >= 28)
        text(place.x + size / 2, y + size / 2, inCell(of, value), { anchor: "middle", colour: inkOn(fill) });
    });
  });
  const below = top + of.queries.length * size;
  // Bands are shares of a row, and effects are none.
  const stack = of.unit === null ? bandMarks(colours, pen, map, shown, below) : { marks: [], bottom: below };
  return framed(colours, {
    width: LABEL + Math.max(STACK.width, of.keys.length * size),
    height: stack.bottom + 12,
    marks: [...marks, ...stack.marks],
    title: headTitle(map, store.layer.value, store.head.value),
    about: [
      ...aboutOf(store, map),
      `${titleOf(shown.spans.kind)}: ${of.unit === null ? "mean mass of a span's queries on a span's keys" : "mean effect at a span's queries through a span's keys"}`,
    ],
    scale: { ...scaleOf(store, endOf(store, of, 0)), masked: false, undefinedRows: false },
    notes: map.notes,
  });
}

/** How the queries spread over the spans, from so far down. */
function bandMarks(
  colours: Colours,
  pen: CanvasRenderingContext2D,
  map: MapFacts,
  { bands, sampled }: Shown,
  from: number,
): { marks: Mark[]; bottom: number } {
  const marks: Mark[] = [];
  const text = (x: number, y: number, said: string, colour: string): void => {
    marks.push({ kind: "text", x, y, text: said, size: FONT, colour });
  };
  let y = from + 34;
  text(LABEL, y - 14, `Where each query looks. ${sampled}`.trim(), colours.text);
  const { queries } = bands;
  const step = STACK.width / map.n_queries;
  for (let at = 0; at < queries.length; at++) {
    const x = LABEL + queries[at]! * step;
    const next = at + 1 < queries.length ? queries[at + 1]! : map.n_queries;
    let bottom = y + STACK.height;
    for (const band of bands.bands) {
      const value = band.mass[at]!;
      if (!(value > 0)) continue;
      const height = value * STACK.height;
      const width = (next - queries[at]!) * step;
      marks.push({ kind: "box", x, y: bottom - height, width, height, fill: colourOf(band, colours) });
      bottom -= height;
    }
  }
  marks.push({ kind: "box", x: LABEL, y, ...STACK, stroke: colours.line, line: 1 });
  y += STACK.height + 16;
  let x = LABEL;
  for (const band of bands.bands) {
    const said = `${elide(pen, readable(band.name), 160)} ${band.mean.toFixed(2)}`;
    const wide = pen.measureText(said).width + 34;
    if (x + wide > LABEL + STACK.width && x > LABEL) {
      x = LABEL;
      y += 16;
    }
    marks.push({ kind: "box", x, y: y - 5, width: 10, height: 10, fill: colourOf(band, colours) });
    text(x + 15, y, said, colours.muted);
    x += wide;
  }
  return { marks, bottom: y };
}
