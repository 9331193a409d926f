/** Which colour is which weight: where the numbers of the scale stand, and the scale as marks. */
import { scaleLinear, scalePow } from "d3-scale";
import { type ColourScale, css, DECADES, position, type Rgb } from "../attention/colour";
import type { Colours } from "../host/theme";
import { labelFont } from "./axes";
import type { Lettering, Mark } from "./mark";
import { short } from "./words";

/** Share of the scale that a number takes. */
const CLEAR = 0.15;

/** Round weights along the scale, each with its place from 0 to 1. */
export function ticks(largest: number, scale: ColourScale): { weight: number; place: number }[] {
  const lowest = largest * 10 ** -DECADES;
  const powers = (from: number) => Array.from({ length: DECADES }, (_, power) => 10 ** (from + power + 1));
  const weights =
    scale === "log"
      ? [
          lowest,
          ...powers(Math.floor(Math.log10(lowest))).filter((weight) => weight > lowest && weight < largest),
        ]
      : (scale === "sqrt" ? scalePow().exponent(0.5) : scaleLinear())
          .domain([0, largest])
          .ticks(scale === "sqrt" ? 6 : 4);
  if (weights.at(-1) !== largest) weights.push(largest);
  const placed = weights.map((weight) => ({ weight, place: position(weight, largest, scale) }));
  // The two ends are always there; what would run into the upper end or its neighbour is not.
  let last = Number.NEGATIVE_INFINITY;
  return placed.filter(({ place }, at) => {
    const end = at === placed.length - 1;
    const room = place - last >= CLEAR && (end || at === 0 || 1 - place >= CLEAR);
    // The lower end of the logarithmic scale is the widest: it says "or less".
    if (room) last = at === 0 && scale === "log" ? place + CLEAR : place;
    return room || end;
  });
}

/** What is at both ends of a difference, in words. */
export interface Ends {
  lower: string;
  upper: string;
  /** Of its numbers, where these are no weights. */
  unit?: string;
}

export interface Scale {
  /** Of a difference. */
  ends?: Ends;
  /** Levels from the least weight to the largest; of a difference from what is least to what is most. */
  ramp: readonly Rgb[];
  scale: ColourScale;
  /** The weight at the upper end. */
  largest: number;
  /** What the upper end is, where that is not plain. */
  end?: string | undefined;
  /** Whether some cells are masked, and whether some rows are NaN. */
  masked: boolean;
  undefinedRows: boolean;
}

/** The marks of a scale: from 0 up, or on both sides of 0. */
export function ticksOf({
  largest,
  scale,
  ends,
}: Pick<Scale, "largest" | "scale" | "ends">): { text: string; place: number }[] {
  if (!ends) return ticks(largest, scale).map((tick) => ({ text: tickText(scale, tick), place: tick.place }));
  // Half the room on each side: the two ends and 0 say enough.
  return [
    { text: `−${short(largest)}`, place: 0 },
    { text: "0", place: 0.5 },
    { text: `+${short(largest)}`, place: 1 },
  ];
}

/** What the colours of a difference mean, in words. */
export const endsInWords = ({ lower, upper, unit }: Ends): string =>
  `${unit ? `${unit}: ` : ""}← ${lower} · ${upper} →`;

/** Enough colours of a ramp for what is between them to be mixed. */
export const stopsOf = (ramp: readonly Rgb[]): string[] =>
  ramp.filter((_, level) => level % 15 === 0).map(css);

/** What a tick says; the lower end of a logarithmic scale holds all that is less. */
const tickText = (scale: ColourScale, { weight, place }: { weight: number; place: number }): string =>
  `${scale === "log" && place === 0 ? "≤ " : ""}${short(weight)}`;

const WIDTH = 220;
const HEIGHT = 8;
const FONT_SIZE = 11;
const SWATCH = { width: 16, height: 10 };
const APART = 24;
export const LEGEND_HEIGHT = 28;

/** The legend from the top left corner on, and how wide it is. */
export function legendMarks(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  { ramp, scale, largest, ends, masked, undefinedRows }: Scale,
): { marks: Mark[]; width: number } {
  const said = (x: number, y: number, text: string, anchor: "start" | "middle"): Lettering => ({
    ...{ kind: "text", x, y, text, anchor, size: FONT_SIZE, colour: colours.muted },
  });
  const marks: Mark[] = [
    { kind: "box", x: 0, y: 0, width: WIDTH, height: HEIGHT, ramp: stopsOf(ramp) },
    { kind: "box", x: 0, y: 0, width: WIDTH, height: HEIGHT, stroke: colours.line, line: 0.5 },
    ...ticksOf({ largest, scale, ...(ends && { ends }) }).map(({ text, place }, at) =>
      said(place * WIDTH, HEIGHT + 11, text, at === 0 ? "start" : "middle"),
    ),
  ];
  pen.font = labelFont(colours, FONT_SIZE);
  let x = WIDTH + APART;
  const swatch = (
    name: string,
    ...looks: { hatched?: string; fill?: string; stroke?: string; opacity?: number }[]
  ) => {
    for (const look of looks) marks.push({ kind: "box", x, y: 0, ...SWATCH, line: 0.5, ...look });
    marks.push(said(x + SWATCH.width + 6, SWATCH.height / 2, name, "start"));
    x += SWATCH.width + 6 + pen.measureText(name).width + APART;
  };
  if (ends) {
    const words = endsInWords(ends);
    marks.push(said(x, SWATCH.height / 2, words, "start"));
    x += pen.measureText(words).width + APART;
  }
  if (masked) swatch("masked", { hatched: colours.faint }, { stroke: colours.line });
  if (undefinedRows) swatch("NaN", { fill: colours.fault, opacity: 0.18 }, { stroke: colours.fault });
  return { marks, width: x - APART };
}
