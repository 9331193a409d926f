/** What is around a picture on paper: what it shows above it; its colours, and what has to be said, below. */
import { css } from "../../attention/colour";
import { fontOf, penOf } from "../../drawing/canvas";
import { LEGEND_HEIGHT, legendMarks, type Scale } from "../../drawing/legend";
import { type Mark, shifted } from "../../drawing/mark";
import { placeName, sharing } from "../../drawing/naming";
import type { Sheet } from "../../drawing/sheet";
import { elide, quoted, short, shortened, wrapped } from "../../drawing/words";
import type { MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import { areRuns, sideName } from "../comparing";
import type { Store } from "../store";
import { effectName, effectPlace } from "../weighing";

/** A picture from its own top left corner on. */
export interface Picture {
  width: number;
  height: number;
  marks: Iterable<Mark>;
  /** Bold, above everything. */
  title: string;
  /** More of what it shows, in smaller letters. */
  about: readonly string[];
  scale: Scale | null;
  /** Where the legend begins. */
  inset?: number;
  notes: readonly string[];
}

const MARGIN = 16;
/** Room enough for a legend and a title. */
const NARROWEST = 360;
const TITLE = { size: 15, weight: 600 };
const SMALL = { size: 12 };
const LINE = 17;

export function framed(colours: Colours, picture: Picture): Sheet {
  const pen = penOf();
  const { scale, inset = 0 } = picture;
  const legend = scale && legendMarks(pen, colours, scale);
  const width = Math.ceil(Math.max(NARROWEST, picture.width, legend ? inset + legend.width : 0));
  const marks: Mark[] = [];
  let y = MARGIN;
  const say = (texts: readonly string[]) => {
    pen.font = fontOf(colours.font, SMALL);
    for (const text of texts.flatMap((one) => wrapped(pen, one, width))) {
      marks.push({ kind: "text", x: MARGIN, y: y + LINE / 2, text, ...SMALL, colour: colours.muted });
      y += LINE;
    }
  };
  pen.font = fontOf(colours.font, TITLE);
  const title = elide(pen, picture.title, width);
  marks.push({ kind: "text", x: MARGIN, y: y + 10, text: title, ...TITLE, colour: colours.text });
  y += 22;
  say(picture.about);
  y += 10;
  for (const mark of picture.marks) marks.push(shifted(mark, MARGIN, y));
  y += picture.height + 12;
  if (legend) {
    for (const mark of legend.marks) marks.push(shifted(mark, MARGIN + inset, y));
    y += LEGEND_HEIGHT + 4;
  }
  say(picture.notes);
  return {
    width: width + 2 * MARGIN,
    height: Math.ceil(y + MARGIN - 4),
    surface: css(colours.surface),
    family: colours.font,
    title: [picture.title, ...picture.about].join(", "),
    marks,
  };
}

/** What the picture of one head is called. */
export function headTitle(map: MapFacts, layer: number, head: number): string {
  const group = sharing(map, layer, head);
  return `${placeName(map, layer, head)}${group ? ` (${group})` : ""}`;
}

/** What the picture is called: one head, or two that are compared. */
export function comparedTitle(store: Store, map: MapFacts): string {
  const pair = store.pair.value;
  const [compared, { chosen }] = [store.compared.value, store.places.value];
  if (!pair || !chosen || !compared || store.weighing.effect.value)
    return headTitle(map, store.layer.value, store.head.value);
  const sides = [sideName(pair, "second"), sideName(pair, "first")];
  const place = areRuns(pair) ? `${headTitle(chosen.facts, chosen.layer, chosen.head)}: ` : "";
  if (compared === "first" || compared === "second") return `${place}${sides[compared === "first" ? 1 : 0]}`;
  return place + (compared === "beside" ? sides.reverse().join(" and ") : sides.join(" − "));
}

/** Whose attention it is, and what was done to it: away from the widget nothing else tells. */
export function aboutOf(store: Store, map: MapFacts, tempered = true): string[] {
  const facts = store.facts.value;
  const effect = effectTitle(store);
  const which = effect || (facts && facts.maps.length > 1 ? map.name : "");
  return [
    shortened(facts?.title ?? "", 96),
    [which, ...(tempered ? sharpness(store) : [])].filter(Boolean).join(" · "),
  ].filter(Boolean);
}

/** On which token the effect is, and where; empty where weights are shown. */
function effectTitle({ weighing }: Store): string {
  const [effect, weighed] = [weighing.effect.value, weighing.weighed.value];
  if (!effect || !weighed) return "";
  return `${effectName(effect)} ${effectPlace(weighed)}`.replace(/^./, (first) => first.toUpperCase());
}

function sharpness(store: Store): string[] {
  const said = (name: string, value: number) => (value === 1 ? [] : [`${name} ${short(value)}`]);
  return [...said("temperature", store.temperature.value), ...said("scaling", store.scaling.value)];
}

export const queryName = (map: MapFacts, query: number): string =>
  `query ${query} ${quoted(map.queries.labels[query])}`;
