/** The same row over the same picture, side by side: in every head of the layer, or of one head in every layer. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { picture as pictureOf } from "../../../answers/picture";
import { rows as rowsOf, weightIn } from "../../../answers/rows";
import { prepare } from "../../../drawing/canvas";
import { placeName } from "../../../drawing/naming";
import { paint } from "../../../drawing/paint";
import { brief, exact } from "../../../drawing/words";
import { headNumber, layerNumber, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { formOf, massIn, patchMarks, strongest } from "./patches";
import { type Across, pickedOf, type Shown } from "./picked";

const WIDE = 92;
const TALL = 110;
const GAP = 8;
const CAPTION = 17;
const ACROSS: readonly [Across, string][] = [
  ["heads", "Heads of this layer"],
  ["layers", "This head in all layers"],
];

interface Props {
  store: Store;
  answers: Answers;
  map: MapFacts;
  shown: Shown;
  width: number;
  opacity: number;
}

/** Layers and heads that are compared. */
export function placesOf(store: Store, map: MapFacts): { layer: number; head: number }[] {
  const [layer, head] = [store.layer.value, store.head.value];
  if (pickedOf(store).across.value === "heads")
    return Array.from({ length: map.heads[layer] ?? 0 }, (_, at) => ({ layer, head: at }));
  return map.heads.flatMap((heads, at) => (head < heads ? [{ layer: at, head }] : []));
}

export function Multiples({ store, answers, map, shown, width, opacity }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { image, axis, number } = shown;
  const picked = pickedOf(store).across;
  const query = store.reading.value;
  const places = placesOf(store, map);
  const picture = answers.known.get(pictureOf(map.name, axis, number));
  const fault = query === null ? null : answers.known.fault(rowsOf(map.name, store.layer.value, query));
  const form = formOf(image, picture);
  const [wide, high] = form > WIDE / TALL ? [WIDE, Math.round(WIDE / form)] : [Math.round(TALL * form), TALL];
  const cell = Math.max(56, wide);
  const columns = Math.max(1, Math.floor((width + GAP) / (cell + GAP)));
  const lines = Math.ceil(places.length / columns);
  const held = places.map(({ layer }) =>
    query === null ? undefined : answers.known.get(rowsOf(map.name, layer, query)),
  );
  const at = (index: number) => ({
    x: (index % columns) * (cell + GAP),
    y: Math.floor(index / columns) * (high + CAPTION + GAP),
  });
  const shared = store.traits.color_range.value === "shared";
  useLayoutEffect(() => {
    const context = prepare(canvas.current!, width, lines * (high + CAPTION + GAP));
    places.forEach(({ head }, index) => {
      const rows = held[index];
      const { x, y } = at(index);
      const area = { x: x + (cell - wide) / 2, y, width: wide, height: high };
      const weightOf = rows ? (place: number) => weightIn(rows, head, place) : null;
      const largest = shared || !rows ? 1 : strongest(rows, head, image) || 1;
      paint(
        context,
        "",
        patchMarks(store, store.colours.value, area, { image, picture, weightOf, largest, opacity }),
      );
    });
  });

  function press(event: KeyboardEvent): void {
    const index = places.findIndex(
      ({ layer, head }) => layer === store.layer.value && head === store.head.value,
    );
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const to = places[index + step];
    if (!to) return;
    store.select(to.layer, to.head);
    const next = `[data-layer="${to.layer}"][data-head="${to.head}"]`;
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(next)?.focus();
  }

  return (
    <section class="multiples">
      <fieldset aria-label="What is compared over the picture">
        {ACROSS.map(([name, label]) => (
          <label key={name}>
            <input
              type="radio"
              name="across"
              data-part={`across-${name}`}
              checked={picked.value === name}
              onChange={() => (picked.value = name)}
            />
            {label}
          </label>
        ))}
        {(store.temperature.value !== 1 || store.scaling.value !== 1) && (
          <span data-part="untempered">as the model has them, at temperature 1</span>
        )}
      </fieldset>
      {fault !== null && (
        <p class="hint" data-part="multiples-fault">
          {fault}
        </p>
      )}
      <div
        class="cells"
        data-part="multiples"
        role="listbox"
        aria-label={ACROSS.find(([name]) => name === picked.value)![1]}
        style={{ height: `${lines * (high + CAPTION + GAP)}px`, width: `${width}px` }}
        onKeyDown={press}
      >
        <canvas ref={canvas} role="presentation" />
        {places.map(({ layer, head }, index) => {
          const chosen = layer === store.layer.value && head === store.head.value;
          const rows = held[index];
          // Where a cell stands for several keys, what a picture gets is not known.
          const mass = rows?.stride === 1 ? massIn(rows, head, image) : null;
          const { x, y } = at(index);
          const name = picked.value === "heads" ? headNumber(map, layer, head) : layerNumber(map, layer);
          return (
            <button
              type="button"
              key={`${layer}/${head}`}
              role="option"
              data-part="multiple"
              data-layer={layer}
              data-head={head}
              data-loaded={rows !== undefined}
              data-mass={mass ?? ""}
              aria-selected={chosen}
              aria-label={[placeName(map, layer, head), mass !== null && `${exact(mass)} on this picture`]
                .filter(Boolean)
                .join(", ")}
              title={[placeName(map, layer, head), mass !== null && `${exact(mass)} on this picture`]
                .filter(Boolean)
                .join(" · ")}
              tabIndex={chosen ? 0 : -1}
              style={{ left: `${x}px`, top: `${y}px`, width: `${cell}px`, paddingTop: `${high}px` }}
              onClick={() => store.select(layer, head)}
            >
              <small>
                {picked.value === "heads" ? "H" : "L"}
                {name} {mass !== null && <b>{brief(mass, true)}</b>}
              </small>
            </button>
          );
        })}
      </div>
    </section>
  );
}
