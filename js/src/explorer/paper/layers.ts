/** One head through all layers on paper, and the number along the depth below. */
import { type Mark, shifted } from "../../drawing/mark";
import { headName } from "../../drawing/naming";
import { opaque, type Sheet } from "../../drawing/sheet";
import { layerNumber, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { rampEnd, scaleOf } from "../views/key";
import { chartOf, depthMarks, depthOf } from "../views/layers/depth";
import { CAPTION, differenceEnd, mapMarks, multiplesOf } from "../views/layers/multiples";
import { notes } from "../views/layers/view";
import { aboutOf, framed } from "./frame";

const ROOM = 880;
const BETWEEN = 34;

export function layersSheet(store: Store, map: MapFacts, answers: Answers): Sheet {
  const colours = opaque(store.colours.value);
  const { width, height, places } = multiplesOf(map, ROOM, store.tallest.value);
  const marks: Mark[] = [];
  const layer = store.layer.value;
  for (const [at, area] of places.entries()) {
    marks.push(...mapMarks(store, answers, map, at, area));
    const look = at === layer ? { colour: colours.text, weight: 600 } : { colour: colours.muted };
    const text = `layer ${layerNumber(map, at)}`;
    marks.push({ kind: "text", x: area.x, y: area.y - CAPTION / 2, text, size: 11, ...look });
  }
  const depth = depthOf(store, map, answers);
  const chart = chartOf(depth, ROOM);
  const title = `${depth.label}${depth.unit && `, ${depth.unit}`}`;
  marks.push({
    kind: "text",
    x: 0,
    y: height + 18,
    text: title,
    size: 12,
    weight: 600,
    colour: colours.text,
  });
  for (const mark of depthMarks(chart, map, depth, colours, layer))
    marks.push(shifted(mark, 0, height + BETWEEN));
  const several = map.heads.some((heads) => heads > 1);
  const end = rampEnd(store, differenceEnd(store, answers, map));
  return framed(colours, {
    width: Math.max(width, chart.width),
    height: height + BETWEEN + chart.height,
    marks,
    title: `${map.derived || headName(map, layer, store.head.value)} through the layers`,
    about: aboutOf(store, map, false),
    scale: end === null ? null : { ...scaleOf(store, end), masked: false, undefinedRows: false },
    notes: [
      ...notes(store, map),
      several
        ? "Below: the chosen head in colour, the mean of the heads, and bars from the least of them to the largest."
        : "",
    ].filter(Boolean),
  });
}
