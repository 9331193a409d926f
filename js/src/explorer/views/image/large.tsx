/** One picture, large: the weights over its patches, each of which can be pointed at and pinned. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { picture as pictureOf } from "../../../answers/picture";
import { prepare } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { quoted } from "../../../drawing/words";
import { axisOf, imagesOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { PinnedRow } from "../../pinned";
import type { Cell, Hover, Store } from "../../store";
import {
  endOfScale,
  type Mass,
  type Patch,
  patchAt,
  patchesIn,
  patchMarks,
  patchName,
  patchOf,
  positionOf,
  weightsOf,
} from "./patches";
import type { Shown } from "./picked";
import { named } from "./view";

interface Props {
  store: Store;
  answers: Answers;
  map: MapFacts;
  shown: Shown;
  mass: Mass | null;
  width: number;
  height: number;
  opacity: number;
}

export function Large({ store, answers, map, shown, mass, width, height, opacity }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { axis: which, image, number } = shown;
  const axis = axisOf(map, which);
  const row = store.pinned.value;
  const reading = store.reading.value;
  const picture = answers.known.get(pictureOf(map.name, which, number));
  const largest = mass ? endOfScale(store, mass) : 1;
  const colours = [store.colours.value, store.tint.value];
  useLayoutEffect(() => {
    const layers = { image, picture, weightOf: mass && row && weightsOf(row), largest, opacity };
    const area = { x: 0, y: 0, width, height };
    paint(prepare(canvas.current!, width, height), "", patchMarks(store, store.colours.value, area, layers));
    store.onScreen.value = row;
  }, [row, image, picture, largest, opacity, width, height, ...colours]);

  const asQuery = imagesOf(map.queries).length > 0;
  /** A patch is a query where queries are patches, and otherwise the key of the query that is read. */
  const cellOf = (at: number): Cell =>
    asQuery ? { query: positionOf(image, at), key: null } : { query: reading, key: positionOf(image, at) };

  function point(at: number): void {
    const place = positionOf(image, at);
    if (place < 0) store.hover.value = null;
    else
      store.hover.value = {
        ...(which === "keys" ? { query: reading, key: place } : { query: place, key: null }),
        from: "image",
      };
  }

  function pick(at: number): void {
    if (positionOf(image, at) < 0) return;
    store.togglePin(cellOf(at));
    const pinned = store.pin.peek();
    store.said.value = pinned.query === null ? "Unpinned" : `Pinned the patch in ${patchName(image, at)}`;
  }

  function under(event: MouseEvent): number {
    const box = canvas.current!.getBoundingClientRect();
    const at = (offset: number, size: number, count: number) =>
      Math.min(count - 1, Math.max(0, Math.floor((offset / size) * count)));
    const down = at(event.clientY - box.top, box.height, image.rows);
    return down * image.columns + at(event.clientX - box.left, box.width, image.columns);
  }

  /** The patch of a position, where it is one of this picture. */
  const here = (of: Parameters<typeof patchOf>[0], place: number | null): number | null => {
    const patch = patchOf(of, place);
    return patch && imagesOf(of)[patch.image] === image ? patch.at : null;
  };
  const own = here(map.queries, reading);
  const pointedBy = (hover: Hover | null) =>
    hover?.from === "image" ? here(axis, which === "keys" ? hover.key : hover.query) : null;
  const pointed = pointedBy(store.hover.value);
  const pinnedKey = which === "keys" ? here(axis, store.pin.value.key) : null;

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
      store.said.value = [patchName(image, to), weightIn(store, row, mass && positionOf(image, to))]
        .filter(Boolean)
        .join(": ");
    } else if ((event.key === "Enter" || event.key === " ") && from !== null) pick(from);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const place = (at: number) => {
    const { row: down, column } = patchAt(image, at);
    const [wide, high] = [100 / image.columns, 100 / image.rows];
    return { left: `${column * wide}%`, top: `${down * high}%`, width: `${wide}%`, height: `${high}%` };
  };
  return (
    <div class="patches" style={{ width: `${width}px`, height: `${height}px` }}>
      <canvas
        ref={canvas}
        data-part="image"
        data-query={row?.query ?? ""}
        data-number={number}
        data-picture={picture !== undefined}
        data-mass={mass?.patches ?? ""}
        data-strongest={mass && imagesOf(axis)[mass.strongest.image] === image ? mass.strongest.at : ""}
        tabIndex={0}
        role="application"
        aria-roledescription="attention over a picture"
        aria-label={summary(store, map, shown, row, mass)}
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
          <div>{quoted(axis.labels[positionOf(image, pointed)])}</div>
          <div>{weightIn(store, row, mass && positionOf(image, pointed))}</div>
          <div>patch in {patchName(image, pointed)}</div>
        </div>
      )}
    </div>
  );
}

/** It opens towards the middle, so that it never leaves the picture. */
function beside({ row, column }: Patch, grid: { rows: number; columns: number }) {
  const left = column > grid.columns / 2;
  const above = row > grid.rows / 2;
  return {
    left: `${((column + (left ? 0 : 1)) / grid.columns) * 100}%`,
    top: `${((row + (above ? 0 : 1)) / grid.rows) * 100}%`,
    transform: `translate(${left ? "calc(-100% - 6px)" : "6px"}, ${above ? "calc(-100% - 6px)" : "6px"})`,
  };
}

function weightIn(store: Store, row: PinnedRow | null, key: number | null): string {
  if (!row || key === null) return "";
  if (key < 0) return "no token";
  return row.masked(key) ? "masked" : store.weighing.said(row.shown[key]!);
}

/** The picture in a sentence. */
function summary(
  store: Store,
  map: MapFacts,
  { axis, image, images }: Shown,
  row: PinnedRow | null,
  mass: Mass | null,
): string {
  const keys = "Arrow keys move, Enter pins, Escape unpins.";
  const size = `${image.rows} by ${image.columns} patches${image.name ? ` of ${image.name}` : ""}`;
  if (!row || !mass) return `Picture of ${size}. ${keys}`;
  const strongest = `Strongest patch: ${patchName(images[mass.strongest.image]!, mass.strongest.at)}, ${store.weighing.said(mass.largest)}`;
  const all = `All ${images.length > 1 ? `${patchesIn(axisOf(map, axis))} ` : ""}patches: ${store.weighing.said(mass.patches)}`;
  return `Attention of ${named(map, row.query)} over ${size}. ${strongest}. ${all}. ${keys}`;
}
