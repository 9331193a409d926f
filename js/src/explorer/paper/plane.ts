/** Queries and keys in the plane on paper, with what is pinned. */
import { penOf } from "../../drawing/canvas";
import { opaque, type Sheet } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import {
  inWords,
  litIn,
  litMarks,
  placing,
  pointMarks,
  positionsIn,
  sizeOf,
  verdictMarks,
} from "../views/plane/points";
import { notesIn, planeOf, verdict } from "../views/plane/view";
import { aboutOf, framed, headTitle } from "./frame";

const SIDE = 520;

export function planeSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const plane = planeOf(store, answers);
  if (!plane) return null;
  const colours = opaque(store.colours.value);
  const pen = penOf();
  const place = placing(plane, SIDE);
  const size = sizeOf(plane, SIDE);
  const lit = litIn(store, plane);
  return framed(colours, {
    width: SIDE,
    height: SIDE,
    marks: [
      { kind: "box", x: 0.5, y: 0.5, width: SIDE - 1, height: SIDE - 1, stroke: colours.line, line: 1 },
      ...pointMarks(store, colours, map, plane, place, { size, positions: positionsIn(store).value }),
      ...(lit ? litMarks(pen, colours, map, plane, place, lit, SIDE, size) : []),
      ...verdictMarks(pen, colours, plane, SIDE),
    ],
    title: headTitle(map, store.layer.value, store.head.value),
    about: [...aboutOf(store, map), verdict(plane), ...(lit ? [inWords(map, plane, lit)] : [])],
    scale: null,
    notes: [...notesIn(map, plane), ...map.notes],
  });
}
