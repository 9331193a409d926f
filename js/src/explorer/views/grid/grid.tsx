/** Every head as a thumbnail: layers by heads, or in the order of a measure; the selected one is outlined. */
import { batch, useComputed } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { measureOf, measures } from "../../../answers/measures";
import type { Question } from "../../../answers/question";
import { thumbnails } from "../../../answers/thumbnails";
import { Fault } from "../../../controls/fault";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { differenceName } from "../../comparing";
import { chosenFirst, type Store } from "../../store";
import { type Told, toldOf } from "../head/alarms";
import { EDGES, NUMERAL, type Room } from "../room";
import { viewOf, viewsOf } from "../table";
import { Details } from "../weigh/details";
import { Switch } from "../weigh/switch";
import { Ranking, Rows, thumbOf } from "./arranged";
import { Measuring, ORDERS } from "./measuring";
import { Pictures } from "./pictures";
import { type HeadPlace, ranked } from "./ranking";
import { Sight } from "./sight";

interface Props {
  store: Store;
  answers: Answers;
  room: Room;
}

const NOTHING: ReadonlyMap<string, Told> = new Map();

const isSingle = ({ heads }: MapFacts): boolean => heads.length === 1 && heads[0] === 1;

/** Layers whose thumbnails are wanted: the chosen one, whose colours its map shares, and what is in sight. */
export function picturedLayers(store: Store, map: MapFacts): number[] {
  const seen = store.inSight.value;
  return chosenFirst(store, map).filter((layer, at) => at === 0 || seen?.has(layer));
}

/** The thumbnails that are wanted; of two runs that are compared those of both. */
export function* pictured(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const minus = store.minus.value;
  for (const layer of picturedLayers(store, map)) {
    yield thumbnails(map.name, layer);
    if (minus !== null) yield thumbnails(minus, layer);
  }
}

/**
 * Numbers are read when somebody wants to see them, and then before the pictures: nothing is ranked until all are there.
 * What comes after waits until it is known which pictures are in sight.
 */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown> | "sight"> {
  if (store.measure.value) for (const layer of chosenFirst(store, map)) yield measures(map, layer);
  yield* pictured(store, map);
  if (store.inSight.value === null && !isSingle(map)) yield "sight";
}

export function Grid({ store, answers, room }: Props) {
  const grid = useRef<HTMLDivElement>(null);
  const sight = useMemo(() => new Sight(store.inSight), [store]);
  const pictures = useMemo(() => new Pictures(), []);
  useEffect(() => () => sight.close(), [sight]);
  const map = store.map.value;
  const said = useComputed(() => (store.map.value ? toldOf(answers, store.map.value) : NOTHING));
  const measure = store.measure.value;
  const places = useOrder(store, answers);
  useScrolling(grid, store, places !== null);
  if (!map) return null;
  const order = ORDERS.find(([name]) => name === store.traits.sort.value)?.[1].toLowerCase();
  const arranged = { told: said.value, store, answers, map, grid, sight, pictures, size: room.thumb };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the buttons in it are what is pressed
    <section
      class="grid"
      data-measured={measure !== null}
      onDblClick={(event) => opened(store, event)}
      onKeyDown={(event) => {
        if (event.key === "Enter") opened(store, event);
      }}
      style={{ "--thumb": `${room.thumb}px`, "--row": `${room.thumb}px`, "--lines": map.heads.length }}
    >
      <header>
        <h3>
          {map.derived || !places ? "Layers" : "Heads"}{" "}
          {places ? <small>ranked</small> : !map.derived && <small>by heads</small>}
          {store.minus.value !== null && store.pair.value && !store.weighing.effect.value && (
            <small data-part="minus">{differenceName(store.pair.value)}</small>
          )}
          <Measured answers={answers} />
        </h3>
        <Measuring store={store} />
        {!viewOf(store.view.value).Main && <Switch store={store} />}
        {!viewOf(store.view.value).Main && <Details store={store} />}
      </header>
      {places ? (
        <Ranking
          arranged={arranged}
          places={places}
          width={room.column - EDGES}
          label={`Heads by ${measure?.label}, ${order}`}
        />
      ) : (
        <Rows {...arranged} />
      )}
      <GridFault store={store} answers={answers} />
    </section>
  );
}

/** Where the grid takes all the room, a head that is meant opens in its map. */
function opened(store: Store, event: Event): void {
  const thumb = (event.target as Element).closest<HTMLElement>('[data-part="thumb"]');
  if (!thumb || viewOf(store.view.peek()).Main) return;
  event.preventDefault();
  event.stopPropagation();
  batch(() => {
    store.select(Number(thumb.dataset.layer), Number(thumb.dataset.head));
    store.traits.view.value = viewsOf(store).find(({ Main }) => Main)!.name;
  });
}

/** How far a measure is, while it is not there for every head. */
function Measured({ answers }: { answers: Answers }) {
  const progress = useComputed(() => answers.measured());
  const { there, of } = progress.value;
  return there < of ? (
    <small data-part="measuring">
      measuring, {there} of {of} layers
    </small>
  ) : null;
}

function GridFault({ store, answers }: Omit<Props, "room">) {
  const fault = useComputed(() => {
    const map = store.map.value;
    for (const asked of map ? needs(store, map) : []) {
      const sentence = asked === "sight" ? null : answers.known.fault(asked);
      if (sentence !== null) return sentence;
    }
    return null;
  });
  return fault.value === null ? null : <Fault sentence={fault.value} onRetry={() => answers.retry()} />;
}

/** The heads in the order of the newest numbers that were all there; null where that is the order of the model. */
function useOrder(store: Store, answers: Answers): readonly HeadPlace[] | null {
  const held = useRef<{ name: string; places: readonly HeadPlace[] } | null>(null);
  return useComputed(() => {
    const map = store.map.value;
    const measure = store.measure.value;
    const sort = store.traits.sort.value;
    if (!map || !measure || sort === "model") return null;
    const name = JSON.stringify([map.name, map.heads, measure.name, sort]);
    const { there, of } = answers.measured();
    if (there === of) {
      const numberOf = (layer: number, head: number) =>
        measureOf(answers.known, map, layer, head, measure.index) ?? Number.NaN;
      held.current = { name, places: ranked(map.heads, numberOf, sort) };
    }
    return held.current?.name === name ? held.current.places : null;
  }).value;
}

/** The selected head stays in view inside the grid, and a ranking begins at its first; the page itself must not scroll. */
function useScrolling(grid: RefObject<HTMLDivElement | null>, store: Store, isRanked: boolean): void {
  const layer = store.layer.value;
  const head = store.head.value;
  const measure = store.measure.value?.name;
  const sort = store.traits.sort.value;

  useEffect(() => {
    const box = grid.current;
    const chosen = thumbOf(box, layer, head);
    if (!box || !chosen) return;
    const [around, at] = [box.getBoundingClientRect(), chosen.getBoundingClientRect()];
    const [above, left] = [at.top - around.top, at.left - around.left];
    if (above < NUMERAL || above + at.height > box.clientHeight)
      box.scrollTop += above - box.clientHeight / 2;
    if (left < NUMERAL || left + at.width > box.clientWidth) box.scrollLeft += left - box.clientWidth / 2;
  }, [grid, layer, head, isRanked]);

  useEffect(() => {
    if (grid.current && isRanked) grid.current.scrollTop = 0;
  }, [grid, isRanked, sort, measure]);
}
