/** Where every head looks from one query, on paper. */
import { penOf } from "../../drawing/canvas";
import { shifted } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { rampEnd, scaleOf } from "../views/key";
import { differenceEnd, stageOf, stripMarks, tokenMarks } from "../views/rows/strips";
import { lookedFrom, notes, sentence } from "../views/rows/view";
import { aboutOf, framed } from "./frame";

const ROOM = 880;

export function rowsSheet(store: Store, map: MapFacts, answers: Answers): Sheet {
  const colours = opaque(store.colours.value);
  const pen = penOf();
  const stage = stageOf(pen, colours, map, ROOM, store.tallest.value);
  const everything = { from: 0, to: stage.height };
  const strips = stripMarks(store, answers, map, stage, lookedFrom(store, map), everything);
  const lit = { hover: null, pin: store.pin.value.key };
  const end = rampEnd(store, differenceEnd(store, answers, map, lookedFrom(store, map)));
  return framed(colours, {
    width: stage.width,
    height: stage.top + stage.height,
    marks: [
      ...tokenMarks(pen, stage, map, colours, lit),
      ...[...strips].map((mark) => shifted(mark, 0, stage.top)),
    ],
    title: "Where every head looks",
    about: [...aboutOf(store, map, false), sentence(store, map)],
    scale: end === null ? null : { ...scaleOf(store, end), masked: false, undefinedRows: false },
    notes: notes(store, map),
  });
}
