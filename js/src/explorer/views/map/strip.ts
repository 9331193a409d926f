/** One number for each key, as an attribution, in a strip below the map: its cells stand under the columns. */
import { colourOf, css, type Rgb, signedColourOf } from "../../../attention/colour";
import type { Placing } from "../../../drawing/axes";
import { fontOf } from "../../../drawing/canvas";
import { columnX } from "../../../drawing/geometry";
import { inside, type Mark } from "../../../drawing/mark";
import { bracketed } from "../../../drawing/naming";
import { elide, exact, quoted, signed } from "../../../drawing/words";
import { keysOf, type MapFacts, type Strip } from "../../../host/facts";
import type { Store } from "../../store";
import type { Stage } from "./stage";

const APART = 6;
const HIGH = 12;
const NAME = { size: 11, below: 11 };
/** What it takes below the map, with its name. */
export const STRIP_ROOM = APART + HIGH + NAME.below + NAME.size;

export const saidOf = (strip: Strip, key: number): string =>
  (strip.signed ? signed : exact)(strip.values[key] ?? Number.NaN);

/** The largest size, which has the full colour. */
const mostOf = ({ values }: Strip): number => Math.abs(values[largestOf(values)] ?? 0);

function largestOf(values: readonly number[]): number {
  let best = 0;
  for (let key = 1; key < values.length; key++)
    if (Math.abs(values[key]!) > Math.abs(values[best]!)) best = key;
  return best;
}

/** Where it is in the picture. */
export const stripPlace = ({ plot }: Stage) => ({
  ...{ x: plot.x, y: plot.y + plot.height + APART, width: plot.width, height: HIGH },
});

export function* stripMarks(placing: Placing, store: Store, stage: Stage, strip: Strip): Generator<Mark> {
  const { colours, pen, plot, window } = placing;
  const place = stripPlace(stage);
  const [ramp, ways, most] = [store.ramp.value, store.diverging.value, mostOf(strip)];
  const tint = (value: number): Rgb =>
    strip.signed
      ? signedColourOf(ways, value, most || 1, "linear")
      : colourOf(ramp, value, most || 1, "linear");
  const last = Math.min(Math.ceil(window.columns.to), strip.values.length);
  // Where several keys share a pixel, it shows the largest of them.
  const each = Math.max(1, Math.floor((window.columns.to - window.columns.from) / plot.width));
  for (let key = Math.floor(window.columns.from / each) * each; key < last; key += each) {
    const values = strip.values.slice(key, key + each);
    const [x, end] = [columnX(plot, window, key), columnX(plot, window, Math.min(key + each, last))];
    const seen = inside({ ...place, x, width: end - x }, place);
    if (seen) yield { kind: "box", ...seen, fill: css(tint(values[largestOf(values)]!)) };
  }
  const frame = { x: place.x - 0.5, y: place.y - 0.5, width: place.width + 1, height: place.height + 1 };
  yield { kind: "box", ...frame, stroke: colours.line, line: 1 };

  const font = { size: NAME.size, colour: colours.muted };
  pen.font = fontOf(colours.font, font);
  const text = elide(pen, `${strip.name}, ${rangeOf(strip)}`, stage.width);
  // A long name begins before the strip does.
  const x = Math.max(0, Math.min(place.x, stage.width - pen.measureText(text).width));
  yield { kind: "text", x, y: place.y + HIGH + NAME.below, text, ...font };
}

/** Between which numbers its colours are. */
function rangeOf(strip: Strip): string {
  const most = mostOf(strip);
  return strip.signed ? `${signed(-most)} to ${signed(most)}` : `0 to ${exact(most)}`;
}

/** The strip in a sentence. */
export function stripSummary(map: MapFacts, strip: Strip): string {
  const key = largestOf(strip.values);
  const keys = keysOf(map);
  return `${strip.name}, a number for each of ${strip.values.length} keys. Largest: key ${quoted(keys.labels[key])}${bracketed(keys, key)}, ${saidOf(strip, key)}.`;
}
