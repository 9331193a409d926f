/** One number along the layers: of the chosen head, the mean of all heads, and how far these spread. */
import { scaleLinear } from "d3-scale";
import { measureOf, measures } from "../../../answers/measures";
import { profile } from "../../../answers/profile";
import type { Question } from "../../../answers/question";
import type { Plot } from "../../../drawing/geometry";
import type { Mark, Segment } from "../../../drawing/mark";
import { headNumber, layerNumber, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { badge } from "../grid/badge";

const LEFT = 44;
const BELOW = 36;
const ABOVE = 8;
const HEIGHT = 132;
const WIDEST = 72;
const SIZE = 11;

/** What heads of a layer have; NaN where there is no such number, or it has not come. */
export interface Level {
  least: number;
  mean: number;
  largest: number;
  /** Of the chosen head. */
  own: number;
}

export interface Depth {
  label: string;
  unit: string;
  levels: Level[];
}

/** Where the numbers come from: the measure of the grid, or the entropy where there is none. */
export const asked = (store: Store, map: MapFacts, layer: number): Question<unknown> =>
  store.measure.value ? measures(map, layer) : profile(map.name, layer);

export function depthOf(store: Store, map: MapFacts, answers: Answers): Depth {
  const measure = store.measure.value;
  const levels = map.heads.map((heads, layer): Level => {
    const entropy = measure ? null : answers.known.get(profile(map.name, layer))?.entropy;
    const numberOf = (head: number) =>
      (measure ? measureOf(answers.known, map, layer, head, measure.index) : entropy?.[head]) ?? Number.NaN;
    const known = Array.from({ length: heads }, (_, head) => numberOf(head)).filter(
      (one) => !Number.isNaN(one),
    );
    const none = known.length === 0;
    return {
      least: none ? Number.NaN : Math.min(...known),
      mean: none ? Number.NaN : known.reduce((sum, one) => sum + one, 0) / known.length,
      largest: none ? Number.NaN : Math.max(...known),
      own: numberOf(store.head.value),
    };
  });
  return { label: measure?.label ?? "mean row entropy", unit: measure ? measure.unit : "nats", levels };
}

export interface Chart {
  width: number;
  height: number;
  plot: Plot;
  step: number;
  yOf: (value: number) => number;
  ticks: number[];
}

export function chartOf({ levels }: Depth, room: number): Chart {
  const known = levels
    .flatMap(({ least, largest }) => [least, largest])
    .filter((one) => Number.isFinite(one));
  const least = Math.min(0, ...known);
  const most = Math.max(least, ...known);
  const scale = scaleLinear()
    // Of nothing but zeros any end will do, and one that can be read is best.
    .domain([least, most - least > 1e-9 ? most : least + 1])
    .nice(3);
  const step = Math.min(WIDEST, (room - LEFT - 8) / levels.length);
  const plot = { x: LEFT, y: ABOVE, width: step * levels.length, height: HEIGHT };
  scale.range([plot.y + plot.height, plot.y]);
  return {
    width: plot.x + plot.width + 8,
    height: plot.y + plot.height + BELOW,
    plot,
    step,
    yOf: (value) => scale(value),
    ticks: scale.ticks(3),
  };
}

const xOf = ({ plot, step }: Chart, layer: number): number => plot.x + (layer + 0.5) * step;

export const layerAt = ({ plot, step }: Chart, x: number): number | null =>
  x >= plot.x && x < plot.x + plot.width ? Math.floor((x - plot.x) / step) : null;

export function* depthMarks(
  chart: Chart,
  map: MapFacts,
  { levels }: Depth,
  colours: Colours,
  at: number,
): Generator<Mark> {
  const { plot, step, ticks, yOf } = chart;
  const text = (x: number, y: number, said: string, more: object = {}): Mark => ({
    ...{ kind: "text", x, y, text: said, size: SIZE, colour: colours.muted },
    ...more,
  });
  for (const tick of ticks) {
    const y = Math.round(yOf(tick)) + 0.5;
    yield { kind: "lines", segments: [[plot.x, y, plot.x + plot.width, y]], colour: colours.line, line: 0.5 };
    yield text(plot.x - 6, y, String(tick), { anchor: "end" });
  }
  const seen = { x: xOf(chart, at) - step / 2, y: plot.y, width: step, height: plot.height };
  yield { kind: "box", ...seen, fill: colours.accentText, opacity: 0.12 };
  const wide = Math.max(2, Math.min(18, step * 0.5));
  for (const [layer, { least, largest }] of levels.entries()) {
    if (Number.isNaN(least) || (map.heads[layer] ?? 0) < 2) continue;
    const [top, bottom] = [yOf(largest), yOf(least)];
    const x = xOf(chart, layer) - wide / 2;
    yield {
      kind: "box",
      x,
      y: top,
      width: wide,
      height: Math.max(1, bottom - top),
      fill: colours.faint,
      opacity: 0.35,
    };
  }
  const several = map.heads.some((heads) => heads > 1);
  if (several)
    yield* line(
      chart,
      levels.map(({ mean }) => mean),
      colours.muted,
      1.5,
    );
  yield* line(
    chart,
    levels.map(({ own }) => own),
    colours.accentText,
    2,
  );
  const every = Math.ceil(26 / step);
  for (const layer of levels.keys()) {
    const crowded = Math.abs(layer - at) < every && layer !== at;
    if (layer !== at && (layer % every !== 0 || crowded)) continue;
    const look = layer === at ? { weight: 600, colour: colours.text } : {};
    yield text(xOf(chart, layer), plot.y + plot.height + 11, String(layerNumber(map, layer)), {
      anchor: "middle",
      ...look,
    });
  }
  yield text(plot.x + plot.width / 2, plot.y + plot.height + 28, "layer", { anchor: "middle" });
}

/** Broken where there is no number. */
function* line(chart: Chart, values: readonly number[], colour: string, line: number): Generator<Mark> {
  const segments: Segment[] = [];
  for (const [layer, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const [x, y] = [xOf(chart, layer), chart.yOf(value)];
    const next = values[layer + 1] ?? Number.NaN;
    if (!Number.isNaN(next)) segments.push([x, y, xOf(chart, layer + 1), chart.yOf(next)]);
    yield { kind: "box", x: x - 2, y: y - 2, width: 4, height: 4, radius: 2, fill: colour };
  }
  yield { kind: "lines", segments, colour, line };
}

/** The numbers of a layer in words. */
export function levelSaid(
  map: MapFacts,
  { label, levels, unit }: Depth,
  layer: number,
  head: number,
): string {
  const { own, mean, least, largest } = levels[layer]!;
  const of = map.derived ? map.derived : `head ${headNumber(map, layer, head)}`;
  const said = (value: number) => badge({ unit }, value);
  const one = `${label} of ${of}: ${said(own)}${unit && !Number.isNaN(own) ? ` ${unit}` : ""}`;
  if ((map.heads[layer] ?? 0) < 2 || Number.isNaN(mean)) return one;
  return `${one}; mean of heads ${said(mean)}, from ${said(least)} to ${said(largest)}`;
}
