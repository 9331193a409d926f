/** The heads of the layer as a legend that is switched: each with its colour, and its number in the model. */
import type { Signal } from "@preact/signals";
import { coloursOf, DISTINCT, paletteOf } from "../../../attention/palette";
import { headNumber, isWhole, type MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { headsShown } from "./maps";

interface Props {
  store: Store;
  map: MapFacts;
  /** The head that is pointed at, whose lines are shown alone meanwhile. */
  alone: Signal<number | null>;
}

export function Heads({ store, map, alone }: Props) {
  const layer = store.layer.value;
  const count = map.heads[layer] ?? 0;
  const shown = headsShown(store, map);
  if (store.compared.value === "difference")
    return <p class="hint">Full lines are more, broken ones less.</p>;
  if (count < 2) return null;
  if (!isWhole(map)) return <p class="hint">Of maps this long the chosen head is drawn alone.</p>;
  const palette = paletteOf(store.colours.value.dark);
  const colours = coloursOf(shown);

  const locked = store.lesson.isLocked("heads");

  function toggle(head: number): void {
    if (locked) return;
    const shown = headsShown(store, map);
    const rest = shown.filter((other) => other !== head);
    // The last one stays: a picture of no head says nothing.
    if (rest.length === 0) return;
    store.traits.heads.value = rest.length < shown.length ? rest : [...shown, head];
  }

  function only(head: number): void {
    if (locked) return;
    store.traits.heads.value = [];
    store.select(layer, head);
  }

  return (
    <div class="heads-shown" role="group" aria-label="Heads whose lines are drawn">
      <span class="label">Heads</span>
      {Array.from({ length: count }, (_, head) => {
        const at = shown.indexOf(head);
        const number = headNumber(map, layer, head);
        const colour = at < 0 ? "" : shown.length === 1 ? "var(--accent)" : palette[colours[at]!]!;
        return (
          <button
            type="button"
            key={head}
            data-part="lines-head"
            data-head={head}
            aria-pressed={at >= 0}
            aria-disabled={locked}
            aria-label={`Head ${number}`}
            title={`Head ${number}: click to switch on or off, double click or Shift+Enter to see it alone`}
            style={{ "--colour": colour }}
            onClick={() => toggle(head)}
            onDblClick={() => only(head)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || !event.shiftKey) return;
              event.preventDefault();
              only(head);
            }}
            onPointerEnter={() => (alone.value = at >= 0 && shown.length > 1 ? head : null)}
            onPointerLeave={() => (alone.value = null)}
          >
            <i class="swatch" />
            {number}
          </button>
        );
      })}
      {!locked && (
        <button
          type="button"
          class="quiet"
          data-part="lines-all"
          onClick={() => {
            if (shown.length === count) only(store.head.peek());
            else store.traits.heads.value = Array.from({ length: count }, (_, head) => head);
          }}
        >
          {shown.length === count ? "one" : "all"}
        </button>
      )}
      {shown.length > DISTINCT && (
        <span class="hint">{`More than ${DISTINCT} heads: colours repeat. Point at one to see it alone.`}</span>
      )}
    </div>
  );
}
