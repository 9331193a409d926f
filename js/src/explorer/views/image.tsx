/** The picture an image model saw, with one query's weights over its patches, and beside it what other tokens get. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { picture as pictureOf } from "../../answers/picture";
import type { Question } from "../../answers/question";
import { Fault } from "../../controls/fault";
import { Slider } from "../../controls/slider";
import { prepare, useWidth } from "../../drawing/canvas";
import { bracketed } from "../../drawing/naming";
import { paint } from "../../drawing/paint";
import { exact, quoted } from "../../drawing/words";
import { axisOf, imageAxis, keysOf, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Cell, Hover, PinnedRow, Store } from "../store";
import { Key } from "./key";
import { Others } from "./others";
import { endOfScale, type Mass, massOf, patchAt, patchMarks, patchName, patchOf } from "./patches";
import { Path } from "./path";
import { Words } from "./text";

const LARGEST = 560;
/** The list beside the picture; with less room it goes below. */
const LIST = 220;
const NARROW = 560;

/** Width of the picture in so much room. */
export const pictureWidth = (room: number): number => Math.min(LARGEST, room < NARROW ? room : room - LIST);

interface Props {
  store: Store;
  answers: Answers;
}

/** The picture, where the maps carry one. */
export function* needs(_: Store, map: MapFacts): Generator<Question<unknown>> {
  const axis = imageAxis(map);
  if (axis && axisOf(map, axis).image?.picture) yield pictureOf(map.name, axis);
}

export function ImageView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const opacity = store.overlay;
  const map = store.map.value;
  const which = map && imageAxis(map);
  const image = map && which ? axisOf(map, which).image : null;
  if (!map || !which || !image) return null;
  const asked = pictureOf(map.name, which);
  const fault = answers.chosen.faults.value.tile ?? answers.known.fault(asked) ?? undefined;
  const picture = answers.known.get(asked);
  const row = store.pinned.value;
  // Weights over the patches are there where these are keys.
  const mass = which === "keys" && row ? massOf(row, image) : null;
  const width = pictureWidth(room.value);
  const aspect = picture ? picture.height / picture.width : image.rows / image.columns;
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
      {!map.queries.image && <Words store={store} axis={map.queries} of="query" following={map.following} />}
      <div class="beside">
        {width > 40 && (
          <Patches
            {...{ store, answers, map, mass, width }}
            height={Math.round(width * aspect)}
            opacity={opacity.value}
          />
        )}
        {row && mass && <Others {...{ store, map, row, mass }} />}
      </div>
      {which === "queries" && <Words store={store} axis={keysOf(map)} of="key" />}
      <footer>
        {mass && <Key store={store} largest={endOfScale(store, mass)} />}
        <p class="notes">{map.notes.join(" ")}</p>
      </footer>
    </section>
  );
}

const named = (map: MapFacts, query: number): string =>
  `query ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}`;

/** Whose row it is, and where all of its mass went. */
export function sentence(store: Store, map: MapFacts, mass: Mass | null): string {
  const query = store.reading.value ?? 0;
  const chosen = store.pin.value.query === null ? `Nothing is pinned, so this is ${named(map, query)}` : "";
  const who = chosen || named(map, query).replace(/^q/, "Q");
  if (!mass) return `${who}.`;
  const parts = [`${exact(mass.patches)} on the patches`, `${exact(mass.beside)} on other tokens`];
  if (mass.outside > 5e-4) parts.push(`${exact(mass.outside)} outside the map`);
  return `${who}: ${parts.join(", ")}.`;
}

interface PatchesProps extends Props {
  map: MapFacts;
  mass: Mass | null;
  width: number;
  height: number;
  opacity: number;
}

function Patches({ store, answers, map, mass, width, height, opacity }: PatchesProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const which = imageAxis(map)!;
  const axis = axisOf(map, which);
  const image = axis.image!;
  const row = store.pinned.value;
  const reading = store.reading.value;
  const picture = answers.known.get(pictureOf(map.name, which));
  const largest = mass ? endOfScale(store, mass) : 1;
  const colours = [store.colours.value, store.tint.value];
  useLayoutEffect(() => {
    const layers = { image, picture, row: mass && row, largest, opacity };
    const area = { x: 0, y: 0, width, height };
    paint(prepare(canvas.current!, width, height), "", patchMarks(store, store.colours.value, area, layers));
    store.onScreen.value = row;
  }, [row, picture, largest, opacity, width, height, ...colours]);

  /** A patch is a query where queries are patches, and otherwise the key of the query that is read. */
  const cellOf = (index: number): Cell =>
    map.queries.image
      ? { query: map.queries.image.start + index, key: null }
      : { query: reading, key: image.start + index };

  function point(index: number): void {
    const cell = which === "keys" ? { query: reading, key: image.start + index } : cellOf(index);
    store.hover.value = { ...cell, from: "image" };
  }

  function pick(index: number): void {
    store.togglePin(cellOf(index));
    const pinned = store.pin.peek();
    store.said.value = pinned.query === null ? "Unpinned" : `Pinned the patch in ${patchName(image, index)}`;
  }

  function under(event: MouseEvent): number {
    const box = canvas.current!.getBoundingClientRect();
    const at = (offset: number, size: number, count: number) =>
      Math.min(count - 1, Math.max(0, Math.floor((offset / size) * count)));
    const down = at(event.clientY - box.top, box.height, image.rows);
    return down * image.columns + at(event.clientX - box.left, box.width, image.columns);
  }

  const own = patchOf(map.queries, reading);
  const pointedBy = (hover: Hover | null) =>
    hover?.from === "image" ? patchOf(axis, which === "keys" ? hover.key : hover.query) : null;
  const pointed = pointedBy(store.hover.value);

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Keys may come faster than pictures.
    const from = pointedBy(store.hover.peek()) ?? own;
    const at = patchAt(image, from ?? 0);
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (move) {
      const inside = (value: number, count: number) => Math.min(Math.max(0, value), count - 1);
      const [down, across] = from === null ? [0, 0] : move;
      const to =
        inside(at.row + down, image.rows) * image.columns + inside(at.column + across, image.columns);
      point(to);
      store.said.value = [patchName(image, to), weightIn(row, mass && image.start + to)]
        .filter(Boolean)
        .join(": ");
    } else if ((event.key === "Enter" || event.key === " ") && from !== null) pick(from);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const place = (index: number) => {
    const { row: down, column } = patchAt(image, index);
    const [wide, high] = [100 / image.columns, 100 / image.rows];
    return { left: `${column * wide}%`, top: `${down * high}%`, width: `${wide}%`, height: `${high}%` };
  };
  const pinnedKey = patchOf(axis, which === "keys" ? store.pin.value.key : null);
  return (
    <div class="patches" style={{ width: `${width}px`, height: `${height}px` }}>
      <canvas
        ref={canvas}
        data-part="image"
        data-query={row?.query ?? ""}
        data-picture={picture !== undefined}
        data-mass={mass?.patches ?? ""}
        data-strongest={mass?.strongest ?? ""}
        tabIndex={0}
        role="application"
        aria-roledescription="attention over a picture"
        aria-label={summary(map, image.rows, image.columns, row, mass)}
        onPointerMove={(event) => point(under(event))}
        onPointerLeave={() => (store.hover.value = null)}
        onBlur={() => (store.hover.value = null)}
        onClick={(event) => pick(under(event))}
        onKeyDown={press}
      />
      {own !== null && <i class="patch" data-part="patch-query" style={place(own)} />}
      {pinnedKey !== null && <i class="patch" data-part="patch-key" style={place(pinnedKey)} />}
      {pointed !== null && <i class="patch" data-part="patch-hover" style={place(pointed)} />}
      {pointed !== null && (
        <div
          class="tooltip"
          data-part="tooltip"
          style={beside(patchAt(image, pointed), image)}
          aria-hidden="true"
        >
          <div>{quoted(axis.labels[image.start + pointed])}</div>
          <div>{weightIn(row, mass && image.start + pointed)}</div>
          <div>patch in {patchName(image, pointed)}</div>
        </div>
      )}
    </div>
  );
}

/** It opens towards the middle, so that it never leaves the picture. */
function beside({ row, column }: { row: number; column: number }, grid: { rows: number; columns: number }) {
  const left = column > grid.columns / 2;
  const above = row > grid.rows / 2;
  return {
    left: `${((column + (left ? 0 : 1)) / grid.columns) * 100}%`,
    top: `${((row + (above ? 0 : 1)) / grid.rows) * 100}%`,
    transform: `translate(${left ? "calc(-100% - 6px)" : "6px"}, ${above ? "calc(-100% - 6px)" : "6px"})`,
  };
}

function weightIn(row: PinnedRow | null, key: number | null): string {
  if (!row || key === null) return "";
  return row.masked(key) ? "masked" : exact(row.after[key]!);
}

/** The picture in a sentence. */
function summary(
  map: MapFacts,
  rows: number,
  columns: number,
  row: PinnedRow | null,
  mass: Mass | null,
): string {
  const keys = "Arrow keys move, Enter pins, Escape unpins.";
  const size = `${rows} by ${columns} patches`;
  if (!row || !mass) return `Picture of ${size}. ${keys}`;
  const image = keysOf(map).image!;
  const strongest = `Strongest patch: ${patchName(image, mass.strongest)}, ${exact(mass.largest)}`;
  return `Attention of ${named(map, row.query)} over ${size}. ${strongest}. All patches: ${exact(mass.patches)}. ${keys}`;
}
