/** The flow on paper. */
import { penOf } from "../../drawing/canvas";
import { opaque, type Sheet } from "../../drawing/sheet";
import type { MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { edgeMarks, nameMarks, nodeMarks, stageOf } from "../views/flow/diagram";
import { columnsLeft, flowShown, notes, sentence } from "../views/flow/view";
import { aboutOf, framed } from "./frame";

/** Where nothing says how much room there is. */
const ROOM = 720;

export function flowSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const flow = flowShown(store, map, answers);
  if (!flow) return null;
  const colours = opaque(store.colours.value);
  const pen = penOf();
  const stage = stageOf(pen, colours, map, flow, store.room.value || ROOM, store.tallest.value);
  return framed(colours, {
    width: stage.width,
    height: stage.height,
    marks: [
      ...nameMarks(pen, stage, map, flow, { colours, layer: null, lit: null }),
      ...edgeMarks(stage, flow.edges, colours.accentText),
      ...nodeMarks(stage, flow.nodes, colours.text),
    ],
    title: "Flow through the layers",
    about: [...aboutOf(store, map, false), sentence(store, map, flow)],
    scale: null,
    notes: [columnsLeft(map, stage), ...notes(store, map, flow)].filter(Boolean),
  });
}
