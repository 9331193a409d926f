/** The products behind a score on paper. */
import { opaque, type Sheet } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { HEIGHT, termMarks } from "../views/neurons/bars";
import { behindOf } from "../views/neurons/behind";
import { nameOf, notesIn, nounOf, resting, wayOf } from "../views/neurons/reasons";
import { aboutOf, framed, headTitle } from "./frame";

const WIDTH = 680;

export function neuronsSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const behind = behindOf(store, answers);
  if (!behind) return null;
  const colours = opaque(store.colours.value);
  const rival = behind.against && behind.rival !== null;
  const less = rival ? [`Less the products of ${nameOf(map, { ...behind.place, key: behind.rival! })}`] : [];
  return framed(colours, {
    width: WIDTH,
    height: HEIGHT,
    marks: termMarks(colours, behind.terms, WIDTH, null, nounOf(behind)),
    title: headTitle(map, store.layer.value, store.head.value),
    about: [...aboutOf(store, map), nameOf(map, behind.place), ...less, wayOf(store, behind)],
    scale: null,
    notes: [resting(behind), ...notesIn(store, map, behind), ...map.notes].filter(Boolean),
  });
}
