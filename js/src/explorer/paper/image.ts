/** The pictures with the weights over them on paper, as opaque as on the screen. */
import { picture as pictureOf } from "../../answers/picture";
import type { Mark } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import { short } from "../../drawing/words";
import { axisOf, type ImageGrid, imagesOf, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { endOfScale, formOf, massOf, patchAt, patchMarks, patchOf, weightsOf } from "../views/image/patches";
import { shownOf } from "../views/image/picked";
import { pictureWidth, sentence } from "../views/image/view";
import { scaleOf } from "../views/key";
import { aboutOf, comparedTitle, framed } from "./frame";

/** Where nothing says how much room there is. */
const ROOM = 720;
/** Several pictures stand side by side, so many at most, each under its name. */
const SEVERAL = 4;
const GAP = 10;
const NAME = 18;

export function imageSheet(store: Store, map: MapFacts, answers: Answers): Sheet | null {
  const shown = shownOf(store, map);
  if (!shown) return null;
  const { axis, images } = shown;
  const colours = opaque(store.colours.value);
  const row = store.pinned.value;
  const mass = axis === "keys" && row ? massOf(row, axisOf(map, axis)) : null;
  const largest = mass ? endOfScale(store, mass) : 1;
  const opacity = store.overlay.value;
  const pictures = images.map((_, at) => answers.known.get(pictureOf(map.name, axis, at)));
  const forms = images.map((image, at) => formOf(image, pictures[at]));
  const room = store.room.value || ROOM;
  const columns = images.length <= SEVERAL ? images.length : Math.ceil(Math.sqrt(images.length));
  const one = images.length === 1;
  const width = one ? pictureWidth(room, forms[0]!) : Math.floor((room - GAP * (columns - 1)) / columns);
  const name = one ? 0 : NAME;
  const line = Math.round(width / Math.min(...forms)) + name + GAP;
  const marks: Mark[] = [];
  for (const [at, image] of images.entries()) {
    const [x, y] = [(at % columns) * (width + GAP), Math.floor(at / columns) * line + name];
    const area = { x, y, width, height: Math.round(width / forms[at]!) };
    const layers = {
      image,
      picture: pictures[at],
      weightOf: mass && row && weightsOf(row),
      largest,
      opacity,
    };
    const share = mass ? ` · ${short(store.weighing.scaled(mass.each[at]!))}` : "";
    if (!one)
      marks.push({
        kind: "text",
        x,
        y: y - 9,
        text: `${image.name}${share}`,
        size: 11,
        colour: colours.muted,
      });
    marks.push(...patchMarks(store, colours, area, layers));
    const outlined = (of: "queries" | "keys", place: number | null, thick: number) => {
      const patch = patchOf(axisOf(map, of), place);
      if (patch && imagesOf(axisOf(map, of))[patch.image] === image)
        marks.push(outline(area, image, patch.at, colours.accentText, thick));
    };
    outlined("queries", store.reading.value, 2);
    if (axis === "keys") outlined("keys", store.pin.value.key, 1);
  }
  return framed(colours, {
    width: columns * (width + GAP) - GAP,
    height: Math.ceil(images.length / columns) * line - GAP,
    marks,
    title: comparedTitle(store, map),
    about: [...aboutOf(store, map), sentence(store, map, mass)],
    scale: mass && scaleOf(store, largest),
    notes: map.notes,
  });
}

function outline(
  area: { x: number; y: number; width: number; height: number },
  image: ImageGrid,
  at: number,
  stroke: string,
  line: number,
): Mark {
  const { row, column } = patchAt(image, at);
  const [width, height] = [area.width / image.columns, area.height / image.rows];
  return { kind: "box", x: area.x + column * width, y: area.y + row * height, width, height, stroke, line };
}
