/** All heads on paper: layers by heads, or in the order of a measure, each with its number. */
import { measureOf } from "../../answers/measures";
import { thumbnails as thumbnailsOf } from "../../answers/thumbnails";
import { type Mark, shifted } from "../../drawing/mark";
import { shortName } from "../../drawing/naming";
import { opaque, type Sheet } from "../../drawing/sheet";
import { groupSize, headNumber, keyValueHead, layerNumber, type MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import type { Answers } from "../answers";
import { differenceName } from "../comparing";
import type { Store } from "../store";
import { badge } from "../views/grid/badge";
import { ORDERS } from "../views/grid/measuring";
import { aspectOf, inksOf, pixelsOf } from "../views/grid/pictures";
import { type HeadPlace, ranked } from "../views/grid/ranking";
import { scaleOf } from "../views/key";

import { aboutOf, framed } from "./frame";

const WIDTH = 880;
const [SMALLEST, LARGEST] = [32, 96];
const GAP = 4;
/** Between the heads of two key-value heads. */
const APART = 5;
const NUMERAL = 26;
const CAPTION = 15;
const BRACKETS = 19;

export function gridSheet(store: Store, map: MapFacts, answers: Answers): Sheet {
  const colours = opaque(store.colours.value);
  const measure = store.measure.value;
  // No order is claimed before every number is there.
  const { there, of } = answers.measured();
  const sort = measure && there === of ? store.traits.sort.value : "model";
  const columns = Math.max(1, ...map.heads);
  const size = Math.min(LARGEST, Math.max(SMALLEST, Math.floor((WIDTH - NUMERAL) / columns) - GAP));
  const paper: Paper = { store, answers, map, colours, size };
  const { marks, width, height } = sort === "model" ? layered(paper) : ranking(paper);
  const shared = store.traits.color_range.value === "shared";
  const order = ORDERS.find(([name]) => name === sort)?.[1].toLowerCase();
  const unit = measure?.unit ? ` in ${measure.unit}` : "";
  return framed(colours, {
    width,
    height,
    marks,
    title: map.derived ? "Layers" : sort === "model" ? "Layers by heads" : "Heads ranked",
    about: [
      ...aboutOf(store, map),
      ...(store.minus.value !== null && !store.weighing.effect.value
        ? [`Each map: ${differenceName(store.pair.value!)}`]
        : []),
      ...(measure ? [`Numbers: ${measure.label}${unit}${sort === "model" ? "" : `, ${order}`}`] : []),
    ],
    scale: shared ? { ...scaleOf(store, 1), masked: false, undefinedRows: false } : null,
    notes: [
      shared
        ? ""
        : store.minus.value === null
          ? "The colours of each map run from 0 to its own largest weight."
          : `The colours of each map run to its own largest ${store.weighing.effect.value ? "effect" : "difference"}, on both sides of 0.`,
      ...map.notes,
    ].filter(Boolean),
  });
}

interface Paper {
  store: Store;
  answers: Answers;
  map: MapFacts;
  colours: Colours;
  size: number;
}

interface Placed {
  marks: Mark[];
  width: number;
  height: number;
}

/** Layers from top to bottom, heads from left to right; numbers of both at the edges. */
function layered(paper: Paper): Placed {
  const { store, map, colours, size } = paper;
  const caption = store.measure.value ? CAPTION : 0;
  const widest = map.heads.indexOf(Math.max(...map.heads));
  const numeral = (x: number, y: number, text: number, chosen: boolean): Mark => ({
    ...{ kind: "text", x, y, text: String(text), size: 11, anchor: "middle" },
    ...(chosen ? { colour: colours.text, weight: 600 } : { colour: colours.muted }),
  });
  /** Left edge of a head; those that read one key-value head stand together. */
  const xOf = (layer: number, head: number) => {
    const first = keyValueHead(map, layer, 0) ?? 0;
    const groups = (keyValueHead(map, layer, head) ?? first) - first;
    return NUMERAL + head * (size + GAP) + groups * APART;
  };
  const marks: Mark[] = [];
  const many = (map.heads[widest] ?? 0) > 1 || !map.derived;
  for (let head = 0; many && head < (map.heads[widest] ?? 0); head++) {
    const middle = xOf(widest, head) + size / 2;
    marks.push(numeral(middle, 7, headNumber(map, widest, head), head === store.head.value));
  }
  let y = many ? 18 : 0;
  const kv = brackets(paper, widest, xOf);
  if (kv.length > 0) {
    for (const [at, mark] of marks.entries()) marks[at] = shifted(mark, 0, BRACKETS);
    marks.push(...kv);
    y += BRACKETS;
  }
  for (const [layer, heads] of map.heads.entries()) {
    marks.push(numeral(NUMERAL / 2 - 3, y + size / 2, layerNumber(map, layer), layer === store.layer.value));
    for (let head = 0; head < heads; head++)
      marks.push(...thumb(paper, { layer, head }, xOf(layer, head), y, false));
    y += size + caption + GAP;
  }
  return { marks, width: xOf(widest, (map.heads[widest] ?? 1) - 1) + size + 2, height: y };
}

/** Key-value heads above the heads that read them, where all layers group theirs alike. */
function brackets(paper: Paper, layer: number, xOf: (layer: number, head: number) => number): Mark[] {
  const { map, colours, size } = paper;
  const group = groupSize(map, layer);
  if (group < 2 || map.heads.some((_, other) => groupSize(map, other) !== group)) return [];
  const said = (x: number, text: string): Mark => ({
    ...{ kind: "text", x, y: 7, text, size: 11, anchor: "middle", colour: colours.muted },
  });
  const marks = [said(NUMERAL / 2 - 3, "kv")];
  for (let shared = 0; shared * group < (map.heads[layer] ?? 0); shared++) {
    const [left, right] = [xOf(layer, shared * group), xOf(layer, (shared + 1) * group - 1) + size];
    marks.push(said((left + right) / 2, String(shared)));
    marks.push({ kind: "lines", segments: [[left, 15.5, right, 15.5]], colour: colours.faint, line: 1 });
  }
  return marks;
}

/** In the order of the measure, in lines. */
function ranking(paper: Paper): Placed {
  const { map, size } = paper;
  const numbers = (layer: number, head: number) => numberOf(paper, { layer, head }) ?? Number.NaN;
  const places = ranked(map.heads, numbers, paper.store.traits.sort.value);
  const step = Math.max(size, 64) + GAP;
  const columns = Math.max(1, Math.floor(WIDTH / step));
  const line = size + 2 * CAPTION + GAP;
  const marks = places.flatMap((place, at) => {
    const x = (at % columns) * step + (step - GAP - size) / 2;
    return thumb(paper, place, x, Math.floor(at / columns) * line, true);
  });
  const lines = Math.ceil(places.length / columns);
  return { marks, width: Math.min(columns, places.length) * step, height: lines * line };
}

function numberOf({ store, answers, map }: Paper, { layer, head }: HeadPlace): number | undefined {
  const measure = store.measure.value;
  return measure ? measureOf(answers.known, map, layer, head, measure.index) : undefined;
}

function thumb(paper: Paper, place: HeadPlace, x: number, y: number, named: boolean): Mark[] {
  const { store, answers, map, colours, size } = paper;
  const { layer, head } = place;
  const there = answers.known.get(thumbnailsOf(map.name, layer));
  const shape = aspectOf(map);
  const [width, height] = [size * Math.min(1, shape), size / Math.max(1, shape)];
  const area = { x: x + (size - width) / 2, y: y + (size - height) / 2, width, height };
  const marks: Mark[] = [];
  if (there && head < there.heads) {
    const [rows, columns] = there.shape;
    const smooth = Math.max(rows, columns) > size;
    const pixels = pixelsOf(answers.known, there, layer, head, inksOf(store));
    if (pixels) marks.push({ kind: "pixels", ...area, rows, columns, pixels, smooth });
  }
  const chosen = store.layer.value === layer && store.head.value === head;
  marks.push({
    kind: "box",
    ...area,
    stroke: chosen ? colours.accentText : colours.line,
    line: chosen ? 2 : 0.5,
  });
  let line = y + size + CAPTION / 2 + 1;
  const said = (text: string, colour: string) => {
    marks.push({ kind: "text", x: x + size / 2, y: line, text, size: 11, anchor: "middle", colour });
    line += CAPTION - 1;
  };
  if (named) said(shortName(map, layer, head), colours.muted);
  const number = numberOf(paper, place);
  if (number !== undefined)
    said(
      badge(store.measure.value ?? { unit: "" }, number, size < 40),
      chosen ? colours.accentText : colours.text,
    );
  return marks;
}
