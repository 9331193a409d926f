/** Every head as a thumbnail: layers by heads, or in the order of a measure; the selected one is outlined. */
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { measureOf, measures } from "../../answers/measures";
import type { Question } from "../../answers/question";
import { thumbnails } from "../../answers/thumbnails";
import { Fault } from "../../controls/fault";
import { groupSize, headNumber, keyValueHead, layerNumber, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import { chosenFirst, type Store } from "../store";
import { Measuring, ORDERS } from "./measuring";
import { ranked, type Sort, stepped } from "./ranking";
import { Thumb } from "./thumb";

/** A thumbnail this large has room for the names of its layer and head below. */
const NAMED = 40;
/** Names and numbers stand on one line below thumbnails this large. */
const ONE_LINE = 76;

interface Props {
  store: Store;
  answers: Answers;
  /** CSS pixels of a thumbnail. */
  size: number;
  /** CSS pixels of the widest layer. */
  width: number;
}

/** Numbers are read when somebody wants to see them, and then before the pictures: nothing is ranked until all are there. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const layers = chosenFirst(store, map);
  if (store.measure.value) for (const layer of layers) yield measures(map, layer);
  for (const layer of layers) yield thumbnails(map.name, layer);
}

export function Grid({ store, answers, size, width }: Props) {
  const grid = useRef<HTMLDivElement>(null);
  const map = store.map.value;
  const measure = store.measure.value;
  const sort = measure ? store.traits.sort.value : "model";
  useScrolling(grid, store, sort);
  if (!map) return null;
  const asked = [...needs(store, map)];
  const fault = asked.map((question) => answers.known.fault(question)).find((sentence) => sentence !== null);
  const order = ORDERS.find(([name]) => name === sort)?.[1].toLowerCase();
  const arranged = { store, answers, map, grid, size, sort };
  return (
    <section
      class="grid"
      data-measures={Boolean(map.measures?.length)}
      data-measured={measure !== null}
      style={{ "--thumb": `${size}px`, "--wide": `${width}px`, "--lines": map.heads.length }}
    >
      <header>
        {sort === "model" ? (
          <h3>Layers {!map.derived && <small>by heads</small>}</h3>
        ) : (
          <h3>
            {map.derived ? "Layers" : "Heads"} <small>ranked</small>
          </h3>
        )}
        <Measuring store={store} />
      </header>
      {sort === "model" ? (
        <Rows {...arranged} />
      ) : (
        <Ranking {...arranged} label={`Heads by ${measure?.label}, ${order}`} />
      )}
      {fault && <Fault sentence={fault} onRetry={() => answers.retry()} />}
    </section>
  );
}

const thumbOf = (grid: HTMLElement | null, layer: number, head: number) =>
  grid?.querySelector<HTMLElement>(`[data-layer="${layer}"][data-head="${head}"]`) ?? null;

/** The selected head stays in view inside the grid, and a ranking begins at its first; the page itself must not scroll. */
function useScrolling(grid: RefObject<HTMLDivElement | null>, store: Store, sort: Sort): void {
  const layer = store.layer.value;
  const head = store.head.value;
  const measure = store.measure.value?.name;

  useEffect(() => {
    const box = grid.current;
    const chosen = thumbOf(box, layer, head);
    if (!box || !chosen) return;
    const above = chosen.offsetTop - box.scrollTop;
    if (above < 24 || above + chosen.offsetHeight > box.clientHeight)
      box.scrollTop = chosen.offsetTop - box.clientHeight / 2;
  }, [grid, layer, head, sort === "model"]);

  useEffect(() => {
    if (grid.current && sort !== "model") grid.current.scrollTop = 0;
  }, [grid, sort, measure]);
}

interface Arranged {
  store: Store;
  answers: Answers;
  map: MapFacts;
  grid: RefObject<HTMLDivElement | null>;
  size: number;
  sort: Sort;
}

/** Whether a head is the first of those that read another key-value head than the one before it. */
const opensGroup = (map: MapFacts, layer: number, head: number): boolean =>
  head > 0 && keyValueHead(map, layer, head) !== keyValueHead(map, layer, head - 1);

/** The layer by which columns are named: the widest. */
const namesakeOf = (map: MapFacts): number => map.heads.indexOf(Math.max(0, ...map.heads));

/** Layers that group their heads alike have one line of brackets above them all. */
function Groups({ map }: { map: MapFacts }) {
  const layer = namesakeOf(map);
  const size = groupSize(map, layer);
  if (size < 2 || map.heads.some((_, other) => groupSize(map, other) !== size)) return null;
  return (
    <div class="line groups" data-part="groups" role="row" aria-hidden="true">
      <span class="numeral" title="Key-value heads, each shared by the heads below it">
        kv
      </span>
      {Array.from({ length: (map.heads[layer] ?? 0) / size }, (_, shared) => (
        <span class="bracket" key={shared} data-group={shared > 0} style={{ "--size": size }}>
          {shared}
        </span>
      ))}
    </div>
  );
}

/** The number of a head, where a measure is chosen and it has come. */
function numberOf({ store, answers, map }: Arranged, layer: number, head: number): number | undefined {
  const measure = store.measure.value;
  return measure ? measureOf(answers.known, map, layer, head, measure.index) : undefined;
}

const isPlain = (event: KeyboardEvent) => !event.ctrlKey && !event.metaKey && !event.altKey;

function Rows(arranged: Arranged) {
  const { store, answers, map, grid, size } = arranged;
  const layer = store.layer.value;
  const head = store.head.value;
  const widestLayer = Math.max(0, ...map.heads);

  function move(event: KeyboardEvent): void {
    if (!isPlain(event)) return;
    const at = event.target as HTMLElement;
    const row = Number(at.dataset.layer);
    const column = Number(at.dataset.head);
    const last = (of: number) => (map.heads[of] ?? 1) - 1;
    const places: Record<string, [number, number]> = {
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      Home: [row, 0],
      End: [row, last(row)],
    };
    const place = places[event.key];
    if (!place) return;
    event.preventDefault();
    event.stopPropagation();
    const toLayer = Math.min(Math.max(0, place[0]), map.heads.length - 1);
    const toHead = Math.min(Math.max(0, place[1]), last(toLayer));
    store.select(toLayer, toHead);
    thumbOf(grid.current, toLayer, toHead)?.focus();
  }

  return (
    <div
      class="thumbs"
      data-part="grid"
      role="grid"
      aria-label={map.derived ? "Layers" : "Layers by heads"}
      ref={grid}
      onKeyDown={move}
    >
      <Groups map={map} />
      {!(map.derived && widestLayer === 1) && (
        <div class="line heads" role="row" aria-hidden="true">
          <span class="numeral" />
          {Array.from({ length: widestLayer }, (_, at) => (
            <span
              class="numeral"
              key={at}
              data-chosen={at === head}
              data-group={opensGroup(map, namesakeOf(map), at)}
            >
              {headNumber(map, namesakeOf(map), at)}
            </span>
          ))}
        </div>
      )}
      {map.heads.map((heads, at) => (
        <div class="line" role="row" key={at}>
          <span
            class="numeral"
            title={map.layer_names[at] ?? ""}
            data-chosen={at === layer}
            aria-hidden="true"
          >
            {layerNumber(map, at)}
          </span>
          {Array.from({ length: heads }, (_, of) => (
            <Thumb
              key={of}
              store={store}
              answers={answers}
              map={map}
              layer={at}
              head={of}
              size={size}
              measure={store.measure.value}
              value={numberOf(arranged, at, of)}
              named={false}
              apart={opensGroup(map, at, of)}
            />
          ))}
        </div>
      ))}
    </div>
  );
}

function Ranking({ label, ...arranged }: Arranged & { label: string }) {
  const { store, answers, map, grid, sort } = arranged;
  const size = Math.max(NAMED, arranged.size);
  const places = ranked(map.heads, (layer, head) => numberOf(arranged, layer, head), sort);

  function move(event: KeyboardEvent): void {
    if (!isPlain(event) || !grid.current) return;
    const seen = [...grid.current.querySelectorAll<HTMLElement>('[data-part="thumb"]')];
    const wrap = seen.findIndex((thumb) => thumb.offsetTop > seen[0]!.offsetTop);
    const columns = wrap < 0 ? seen.length : wrap;
    const to = stepped(event.key, seen.indexOf(event.target as HTMLElement), seen.length, columns);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    const { layer, head } = places[to]!;
    store.select(layer, head);
    seen[to]?.focus();
  }

  return (
    <div
      class="thumbs ranking"
      data-part="grid"
      data-compact={size < ONE_LINE}
      role="listbox"
      aria-label={label}
      aria-orientation="horizontal"
      ref={grid}
      style={{ "--ranked": `${size}px` }}
      onKeyDown={move}
    >
      {places.map(({ layer, head }) => (
        <Thumb
          key={`${layer}/${head}`}
          store={store}
          answers={answers}
          map={map}
          layer={layer}
          head={head}
          size={size}
          measure={store.measure.value}
          value={numberOf(arranged, layer, head)}
          named
        />
      ))}
    </div>
  );
}
