/** Lines on paper: the part that is on the screen, with its words. */
import { coloursOf, paletteOf } from "../../attention/palette";
import { fontOf, penOf } from "../../drawing/canvas";
import type { Mark } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import { elide, readable } from "../../drawing/words";
import { headNumber, keysOf, type MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { scaleOf } from "../views/key";
import { litOf } from "../views/lines/lit";
import { HeadMaps } from "../views/lines/maps";
import { lineMarks, weightMarks } from "../views/lines/marks";
import { type Side, sightOf, yOf } from "../views/lines/stage";
import { countOf, litLines, pickedOf, type Scene, sceneOf } from "../views/lines/view";
import { aboutOf, framed, headTitle } from "./frame";

const ROOM = 640;

export function linesSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const drawn = store.drawn.value;
  if (!drawn || !store.isCurrent(drawn)) return null;
  const pen = penOf();
  const colours = opaque(store.colours.value);
  const scene = sceneOf(store, map, answers, new HeadMaps(), pen, ROOM);
  const { maps, look, heads, stage } = scene;
  const lit = litOf(store, null);
  const lines = lit ? litLines(scene, lit) : pickedOf(scene).lines;
  const marks: Mark[] = [
    ...lineMarks(scene, look, maps, heads, lines, lit !== null),
    ...words(store, scene, colours, "query"),
    ...words(store, scene, colours, "key"),
    ...(lit ? weightMarks(store, scene, look, maps, heads, lit.side, lines) : []),
    ...(heads.length > 1 ? legend(store, map, heads, stage.height + 18, colours) : []),
  ];
  return framed(colours, {
    width: stage.width,
    height: stage.height + (heads.length > 1 ? 30 : 0),
    marks,
    title: headTitle(map, drawn.layer, drawn.head),
    about: [...aboutOf(store, map), "Queries on the left look at keys on the right."],
    scale: heads.length === 1 ? { ...scaleOf(store), masked: false, undefinedRows: false } : null,
    notes: [lit ? "" : countOf(pickedOf(scene), maps[0]?.signed), ...map.notes].filter(Boolean),
  });
}

function* words(
  store: Store,
  { stage, map, scrolled }: Scene,
  colours: Colours,
  side: Side,
): Generator<Mark> {
  const axis = side === "query" ? map.queries : keysOf(map);
  const pen = penOf();
  const special = new Set(axis.special);
  const { query, key } = store.pin.value;
  const pinned = new Set<number | null>(side === "query" ? [query, ...store.also.value] : [key]);
  const { from, to } = sightOf(stage, map, side, scrolled);
  for (let index = from; index < to; index++) {
    const font = { size: stage.font, weight: pinned.has(index) ? 600 : 400 };
    pen.font = fontOf(colours.font, font);
    const text = elide(pen, readable(axis.labels[index] ?? ""), stage.column[side]);
    const colour = pinned.has(index) ? colours.accentText : special.has(index) ? colours.muted : colours.text;
    const x = side === "query" ? stage.left - 6 : stage.right + 6;
    const y = yOf(stage, map, side, scrolled, index);
    yield { kind: "text", x, y, text, anchor: side === "query" ? "end" : "start", colour, ...font };
  }
}

/** Which colour is which head. */
function* legend(
  store: Store,
  map: MapFacts,
  heads: readonly number[],
  y: number,
  colours: Colours,
): Generator<Mark> {
  const palette = paletteOf(colours.dark);
  let x = 0;
  for (const [at, colour] of coloursOf(heads).entries()) {
    yield { kind: "box", x, y: y - 5, width: 10, height: 10, fill: palette[colour]! };
    const text = String(headNumber(map, store.layer.value, heads[at]!));
    yield {
      kind: "text",
      x: x + 15,
      y,
      text: at === 0 ? `head ${text}` : text,
      size: 12,
      colour: colours.text,
    };
    x += at === 0 ? 74 : 44;
  }
}
