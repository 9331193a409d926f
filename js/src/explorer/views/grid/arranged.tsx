/** The two orders of the grid: layers by heads, and the heads in the order of a measure. */
import type { RefObject } from "preact";
import { useMemo } from "preact/hooks";
import { groupSize, headNumber, keyValueHead, layerNumber, type MapFacts } from "../../../host/facts";
import { APART, GAP } from "../room";
import { Line, type Lined } from "./line";
import { type HeadPlace, stepped } from "./ranking";
import { Flag } from "./thumb";

/** A thumbnail this large has room for the names of its layer and head below. */
const NAMED = 40;
/** Names and numbers stand on one line below thumbnails this large. */
const ONE_LINE = 76;
/** The least gap between ranked heads. */
const RANKED_GAP = 4;
/** Room that a number takes along a line of numbers, and across. */
const ALONG = 15;
const LONG_ALONG = 22;
const ACROSS = 12;

export interface Arranged extends Lined {
  grid: RefObject<HTMLDivElement | null>;
}

const isPlain = (event: KeyboardEvent) => !event.ctrlKey && !event.metaKey && !event.altKey;

export const thumbOf = (grid: HTMLElement | null, layer: number, head: number) =>
  grid?.querySelector<HTMLElement>(`[data-layer="${layer}"][data-head="${head}"]`) ?? null;

/** Choose a head by key, and follow with the focus. */
function go(event: KeyboardEvent, { store, grid }: Arranged, { layer, head }: HeadPlace): void {
  event.preventDefault();
  event.stopPropagation();
  store.select(layer, head);
  thumbOf(grid.current, layer, head)?.focus();
}

/** Whether a head is the first of those that read another key-value head than the one before it. */
const opensGroup = (map: MapFacts, layer: number, head: number): boolean =>
  head > 0 && keyValueHead(map, layer, head) !== keyValueHead(map, layer, head - 1);

/** The layer by which columns are named: the widest. */
const namesakeOf = (map: MapFacts): number => map.heads.indexOf(Math.max(0, ...map.heads));

/** Where the heads of a layer stand, in CSS pixels from the first. */
function startsOf(map: MapFacts, layer: number, size: number): number[] {
  let groups = 0;
  return Array.from({ length: map.heads[layer] ?? 0 }, (_, head) => {
    if (opensGroup(map, layer, head)) groups++;
    return head * (size + GAP) + groups * APART;
  });
}

/** Numbers that have room: every so many, and the chosen one, which others give way to. */
const isNumbered = (at: number, chosen: number, space: number, room: number): boolean => {
  const every = Math.ceil(room / space);
  return at === chosen || (at % every === 0 && Math.abs(at - chosen) >= every);
};

/** Layers that group their heads alike have one line of brackets above them all. */
function Groups({ map, size }: { map: MapFacts; size: number }) {
  const layer = namesakeOf(map);
  const shared = groupSize(map, layer);
  if (shared < 2 || map.heads.some((_, other) => groupSize(map, other) !== shared)) return null;
  const width = shared * (size + GAP) - GAP;
  return (
    <div class="line groups" data-part="groups" role="row" aria-hidden="true">
      <span class="numeral" title="Key-value heads, each shared by the heads below it">
        kv
      </span>
      {Array.from({ length: (map.heads[layer] ?? 0) / shared }, (_, at) => (
        <span
          class="bracket"
          key={at}
          style={{ inlineSize: `${width}px`, marginInlineStart: at > 0 ? `${GAP + APART}px` : 0 }}
        >
          {isNumbered(at, -1, width + GAP, ALONG) && at}
        </span>
      ))}
    </div>
  );
}

function Columns({ store, map, size }: Arranged) {
  const head = store.head.value;
  const named = namesakeOf(map);
  const starts = startsOf(map, named, size);
  return (
    <div class="line columns" role="row" aria-hidden="true">
      <span class="numeral" />
      {starts.map((start, at) => (
        <span
          class="numeral"
          key={at}
          data-chosen={at === head}
          style={{ marginInlineStart: `${start - (at > 0 ? starts[at - 1]! + size : 0)}px` }}
        >
          {isNumbered(at, head, size + GAP, starts.length > 100 ? LONG_ALONG : ALONG) &&
            headNumber(map, named, at)}
        </span>
      ))}
    </div>
  );
}

interface LayerProps {
  arranged: Arranged;
  layer: number;
  chosen: boolean;
  numbered: boolean;
}

function Layer({ arranged, layer, chosen, numbered }: LayerProps) {
  const { map, size } = arranged;
  const places = useMemo(
    () => Array.from({ length: map.heads[layer] ?? 0 }, (_, head) => ({ layer, head })),
    [map, layer],
  );
  const starts = useMemo(() => startsOf(map, layer, size), [map, layer, size]);
  const told = arranged.told.get(`${layer}/`);
  const name = [map.layer_names[layer], told?.words].filter(Boolean).join(" · ");
  return (
    <div
      class="line"
      data-part="layer"
      role="row"
      aria-label={[`Layer ${layerNumber(map, layer)}`, told?.words].filter(Boolean).join(", ")}
    >
      <span class="numeral" title={name} data-chosen={chosen} aria-hidden="true">
        {told && <Flag severity={told.severity} />}
        {(numbered || told) && layerNumber(map, layer)}
      </span>
      <Line {...arranged} places={places} starts={starts} named={false} />
    </div>
  );
}

export function Rows(arranged: Arranged) {
  const { store, map, grid, size } = arranged;
  const layer = store.layer.value;
  const last = (of: number) => (map.heads[of] ?? 1) - 1;

  function move(event: KeyboardEvent): void {
    if (!isPlain(event)) return;
    const at = event.target as HTMLElement;
    const row = Number(at.dataset.layer);
    const column = Number(at.dataset.head);
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
    const toLayer = Math.min(Math.max(0, place[0]), map.heads.length - 1);
    go(event, arranged, { layer: toLayer, head: Math.min(Math.max(0, place[1]), last(toLayer)) });
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
      <Groups map={map} size={size} />
      {!(map.derived && Math.max(0, ...map.heads) === 1) && <Columns {...arranged} />}
      {map.heads.map((_, at) => (
        <Layer
          key={at}
          arranged={arranged}
          layer={at}
          chosen={at === layer}
          numbered={isNumbered(at, layer, size + GAP, ACROSS)}
        />
      ))}
    </div>
  );
}

interface RankingProps {
  arranged: Arranged;
  places: readonly HeadPlace[];
  label: string;
  /** CSS pixels of a line. */
  width: number;
}

export function Ranking({ arranged, places, label, width }: RankingProps) {
  const { grid } = arranged;
  const size = Math.max(NAMED, arranged.size);
  const columns = Math.max(1, Math.floor((width + RANKED_GAP) / (size + RANKED_GAP)));
  const { lines, starts } = useMemo(() => {
    const gap = columns > 1 ? (width - columns * size) / (columns - 1) : 0;
    const starts = Array.from({ length: columns }, (_, at) => at * (size + gap));
    const count = Math.ceil(places.length / columns);
    const lines = Array.from({ length: count }, (_, at) => places.slice(at * columns, (at + 1) * columns));
    return { lines, starts };
  }, [places, columns, size, width]);

  function move(event: KeyboardEvent): void {
    if (!isPlain(event)) return;
    const { layer, head } = (event.target as HTMLElement).dataset;
    const at = places.findIndex((place) => place.layer === Number(layer) && place.head === Number(head));
    const to = stepped(event.key, at, places.length, columns);
    if (to !== null) go(event, arranged, places[to]!);
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
      style={{ "--thumb": `${size}px` }}
      onKeyDown={move}
    >
      {lines.map((line, at) => (
        <Line
          key={at}
          {...arranged}
          size={size}
          places={line}
          starts={line.length < columns ? starts.slice(0, line.length) : starts}
          named
        />
      ))}
    </div>
  );
}
