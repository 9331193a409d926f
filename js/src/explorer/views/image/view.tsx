/** The pictures a model saw, with one query's weights over their patches, and beside them what other tokens get. */
import { useRef } from "preact/hooks";
import { picture as pictureOf } from "../../../answers/picture";
import type { Question } from "../../../answers/question";
import { rows as rowsOf } from "../../../answers/rows";
import { Fault } from "../../../controls/fault";
import { Slider } from "../../../controls/slider";
import { useWidth } from "../../../drawing/canvas";
import { bracketed } from "../../../drawing/naming";
import { quoted } from "../../../drawing/words";
import { axisOf, imageAxis, imagesOf, isAllPicture, keysOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { rowName } from "../../pinned";
import type { Store } from "../../store";
import { picturedLayers } from "../grid/grid";
import { Key } from "../key";
import { Path } from "../path";
import { Words } from "../text/words";
import { Askers } from "./askers";
import { Large } from "./large";
import { Multiples } from "./multiples";
import { Others } from "./others";
import { endOfScale, formOf, type Mass, massOf } from "./patches";
import { pickedOf, shownOf } from "./picked";
import { Strip } from "./strip";

const LARGEST = 560;
const TALLEST = 620;
/** The list beside the picture; with less room it goes below. */
const LIST = 220;
const NARROW = 560;

/** Width of a picture of a form in so much room. */
export const pictureWidth = (room: number, form: number): number =>
  Math.min(LARGEST, room < NARROW ? room : room - LIST, Math.round(TALLEST * form));

interface Props {
  store: Store;
  answers: Answers;
}

/** The pictures, the large one first, and the row that is read in every head that is compared. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const shown = shownOf(store, map);
  if (!shown) return;
  const asked = (at: number) => pictureOf(map.name, shown.axis, at);
  if (shown.image.picture) yield asked(shown.number);
  const query = store.reading.value;
  if (query !== null && shown.axis === "keys") {
    const compared = pickedOf(store).across.value === "layers" ? map.heads.keys() : [store.layer.value];
    for (const layer of new Set([...compared, ...picturedLayers(store, map)]))
      yield rowsOf(map.name, layer, query);
  }
  for (const [at, { picture }] of shown.images.entries()) if (picture) yield asked(at);
}

export function ImageView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const opacity = store.overlay;
  const map = store.map.value;
  const shown = map && shownOf(store, map);
  if (!map || !shown) return null;
  const { axis, images, image, number } = shown;
  const asked = pictureOf(map.name, axis, number);
  const fault = answers.chosen.faults.value.tile ?? answers.known.fault(asked) ?? undefined;
  const picture = answers.known.get(asked);
  const row = store.pinned.value;
  // Weights over the patches are there where these are keys.
  const mass = axis === "keys" && row ? massOf(row, keysOf(map)) : null;
  const form = formOf(image, picture);
  const width = pictureWidth(room.value, form);
  const mixed = imagesOf(map.queries).length > 0;
  const parts = { store, answers, map, shown, mass, opacity: opacity.value };
  return (
    <section class="map image">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        {picture && mass && (
          <Slider
            label="Overlay"
            part="overlay"
            value={opacity.value}
            text={`${Math.round(100 * opacity.value)} %`}
            min={0}
            max={1}
            step={0.05}
            onInput={(value) => (opacity.value = value)}
          />
        )}
      </header>
      {fault !== undefined && <Fault sentence={fault} onRetry={() => answers.retry()} />}
      <p class="hint" data-part="image-query">
        {sentence(store, map, mass)}
      </p>
      {!mixed && <Words store={store} axis={map.queries} of="query" following={map.following} />}
      {mixed && !isAllPicture(map) && <Askers store={store} map={map} />}
      <div class="beside">
        {width > 40 && (
          <div>
            <Large {...parts} width={width} height={Math.round(width / form)} />
            {images.length > 1 && <Strip {...parts} width={Math.max(width, Math.min(room.value, LARGEST))} />}
          </div>
        )}
        {row && mass && <Others {...{ store, map, row, mass }} />}
      </div>
      {axis === "queries" && <Words store={store} axis={keysOf(map)} of="key" />}
      <footer>
        {mass && <Key store={store} largest={endOfScale(store, mass)} />}
        <p class="notes">{map.notes.join(" ")}</p>
      </footer>
      {axis === "keys" &&
        room.value > 40 &&
        !store.weighing.effect.value &&
        map.heads.reduce((sum, heads) => sum + heads, 0) > 1 && <Multiples {...parts} width={room.value} />}
    </section>
  );
}

export const named = (map: MapFacts, query: number): string =>
  `query ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}`;

/** Whose row it is, and where all of its mass went. */
export function sentence(store: Store, map: MapFacts, mass: Mass | null): string {
  const query = store.reading.value ?? 0;
  const chosen = store.pin.value.query === null ? `Nothing is pinned, so this is ${named(map, query)}` : "";
  const row = store.pinned.value;
  const joined = row && row.queries.length > 1 ? rowName(map, row) : null;
  const who = chosen || (joined ?? named(map, query)).replace(/^./, (first) => first.toUpperCase());
  if (row?.lacks) return `${who}. ${row.lacks}`;
  if (!mass) return `${who}.`;
  const axis = imageAxis(map);
  const several = axis && imagesOf(axisOf(map, axis)).length > 1 ? " of all pictures" : "";
  const parts = [
    `${store.weighing.said(mass.patches)} on the patches${several}`,
    `${store.weighing.said(mass.beside)} on other tokens`,
  ];
  if (mass.outside > 5e-4) parts.push(`${store.weighing.said(mass.outside)} outside the map`);
  return `${who}: ${parts.join(", ")}.`;
}
