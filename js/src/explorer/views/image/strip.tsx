/** All pictures of an axis, small: pictures and frames in a strip, tiles as they lie, each with what it gets. */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { picture as pictureOf } from "../../../answers/picture";
import { prepare } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { brief } from "../../../drawing/words";
import type { ImageGrid, MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { endOfScale, formOf, type Mass, patchMarks, weightsOf } from "./patches";
import { pickedOf, type Shown } from "./picked";

const HIGH = 72;
const GAP = 6;
/** Between tiles, which are one picture. */
const TILED = 2;
/** Room for a name and a number below each. */
const CAPTION = 18;
/** Room around them for the line around the chosen one. */
const EDGE = 3;
/** As wide as their names need. */
const LEAST = 92;
const TILE = /tile (\d+), (\d+)$/;

interface Props {
  store: Store;
  answers: Answers;
  map: MapFacts;
  shown: Shown;
  mass: Mass | null;
  width: number;
  opacity: number;
}

interface Item {
  x: number;
  y: number;
  /** Of the picture, and of the button that its name stands in. */
  width: number;
  height: number;
  cell: number;
}

/** Where each picture stands: tiles by row and column in the width there is, others one after another. */
export function placed(images: readonly ImageGrid[], forms: readonly number[], room: number): Item[] {
  const tiles = images.map(({ name }) => TILE.exec(name ?? ""));
  const first = tiles.findIndex(Boolean);
  const [rows, columns] = [1, 2].map((part) =>
    Math.max(0, ...tiles.map((tile) => Number(tile?.[part] ?? 0))),
  );
  const width = first < 0 ? 0 : Math.max(20, Math.min(120, Math.floor(room / columns!) - TILED));
  const height = first < 0 ? 0 : Math.round(width / forms[first]!);
  const below = rows! * (height + CAPTION);
  let x = 0;
  return tiles.map((tile, at) => {
    if (tile) {
      const [row, column] = [Number(tile[1]) - 1, Number(tile[2]) - 1];
      return { x: column * (width + TILED), y: row * (height + CAPTION), width, height, cell: width };
    }
    // The overview, and what else is no tile, in a line below them.
    const wide = Math.round(forms[at]! * HIGH);
    const item = { x, y: below, width: wide, height: HIGH, cell: Math.max(LEAST, wide) };
    x += item.cell + GAP;
    return item;
  });
}

export function Strip({ store, answers, map, shown, mass, width: whole, opacity }: Props) {
  const width = whole - 2 * EDGE;
  const canvas = useRef<HTMLCanvasElement>(null);
  const scrolled = useSignal(0);
  const { axis, images, number } = shown;
  const pictures = images.map((_, at) => answers.known.get(pictureOf(map.name, axis, at)));
  const items = placed(
    images,
    images.map((image, at) => formOf(image, pictures[at])),
    width,
  );
  const row = store.pinned.value;
  const span = Math.max(...items.map(({ x, cell }) => x + cell));
  const high = Math.max(...items.map(({ y, height }) => y + height)) + CAPTION;
  const largest = mass ? endOfScale(store, mass) : 1;
  const from = scrolled.value;
  useLayoutEffect(() => {
    const context = prepare(canvas.current!, width, high);
    items.forEach((item, at) => {
      // Of a long strip only what is in sight is drawn.
      const area = { ...item, x: item.x - from + (item.cell - item.width) / 2 };
      if (area.x > width || area.x + area.width < 0) return;
      const weightOf = mass && row && weightsOf(row);
      const layers = { image: images[at]!, picture: pictures[at], weightOf, largest, opacity };
      paint(context, "", patchMarks(store, store.colours.value, area, layers));
    });
  });

  function press(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -images.length, End: images.length }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = Math.min(Math.max(0, number + step), images.length - 1);
    event.preventDefault();
    event.stopPropagation();
    pickedOf(store).image.value = to;
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-number="${to}"]`)?.focus();
  }

  return (
    <div
      class="strip"
      data-part="pictures"
      role="listbox"
      aria-label={`${images.length} pictures`}
      aria-orientation="horizontal"
      style={{ width: `${whole}px`, padding: `${EDGE}px` }}
      onScroll={(event) => (scrolled.value = event.currentTarget.scrollLeft)}
      onKeyDown={press}
    >
      <div style={{ width: `${Math.max(width, span)}px`, height: `${high}px` }}>
        <canvas ref={canvas} role="presentation" />
        {items.map((item, at) => {
          const { name } = images[at]!;
          const share = mass?.each[at];
          return (
            <button
              type="button"
              key={at}
              role="option"
              data-part="picture"
              data-number={at}
              data-share={share ?? ""}
              aria-selected={at === number}
              aria-label={[name || `picture ${at + 1}`, share !== undefined && store.weighing.said(share)]
                .filter(Boolean)
                .join(", ")}
              title={[name, share !== undefined && store.weighing.said(share)].filter(Boolean).join(" · ")}
              tabIndex={at === number ? 0 : -1}
              style={{
                left: `${item.x}px`,
                top: `${item.y}px`,
                width: `${item.cell}px`,
                paddingTop: `${item.height}px`,
              }}
              onClick={() => (pickedOf(store).image.value = at)}
            >
              <small>
                {!TILE.test(name ?? "") && <bdi>{name}</bdi>}{" "}
                {share !== undefined && brief(store.weighing.scaled(share), true)}
              </small>
            </button>
          );
        })}
      </div>
    </div>
  );
}
