/** The picture with the weights over it on paper, as opaque as on the screen. */
import { picture as pictureOf } from "../../answers/picture";
import type { Mark } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import { axisOf, imageAxis, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { pictureWidth, sentence } from "../views/image";
import { scaleOf } from "../views/key";
import { endOfScale, massOf, patchAt, patchMarks, patchOf } from "../views/patches";
import { aboutOf, framed, headTitle } from "./frame";

/** Where nothing says how much room there is. */
const ROOM = 720;

export function imageSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const which = imageAxis(map);
  const image = which && axisOf(map, which).image;
  if (!image) return null;
  const colours = opaque(store.colours.value);
  const picture = answers.known.get(pictureOf(map.name, which));
  const row = store.pinned.value;
  const mass = which === "keys" && row ? massOf(row, image) : null;
  const width = pictureWidth(store.room.value || ROOM);
  const height = Math.round(width * (picture ? picture.height / picture.width : image.rows / image.columns));
  const area = { x: 0, y: 0, width, height };
  const largest = mass ? endOfScale(store, mass) : 1;
  const layers = { image, picture, row: mass && row, largest, opacity: store.overlay.value };
  const outlined = (axis: "queries" | "keys", position: number | null, line: number): Mark[] => {
    const patch = patchOf(axisOf(map, axis), position);
    if (patch === null) return [];
    const at = patchAt(image, patch);
    const size = { width: width / image.columns, height: height / image.rows };
    const place = { x: at.column * size.width, y: at.row * size.height };
    return [{ kind: "box", ...place, ...size, stroke: colours.accentText, line }];
  };
  return framed(colours, {
    width,
    height,
    marks: [
      ...patchMarks(store, colours, area, layers),
      ...outlined("queries", store.reading.value, 2),
      ...(which === "keys" ? outlined("keys", store.pin.value.key, 1) : []),
    ],
    title: headTitle(map, store.layer.value, store.head.value),
    about: [...aboutOf(store, map), sentence(store, map, mass)],
    scale: mass && scaleOf(store, largest),
    notes: map.notes,
  });
}
