/** One column of words: real text, which is right in every script; a list that is walked by keys. */
import { effect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { bracketed } from "../../../drawing/naming";
import { quoted, readable, shortened } from "../../../drawing/words";
import type { Axis, MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { type Side, type Stage, sightOf, yOf } from "./stage";
import type { Lines } from "./view";

interface Props {
  store: Store;
  map: MapFacts;
  axis: Axis;
  side: Side;
  stage: Stage;
  here: Lines;
}

/** Letters of a word that are laid out; the rest has no room in any column. */
const LONGEST = 60;

export function Column({ store, map, axis, side, stage, here }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const scrolled = stage.scrolls ? (here.scene.value?.scrolled ?? 0) : 0;
  const { from, to } = sightOf(stage, map, side, scrolled);
  const special = new Set(axis.special);
  const shift = yOf(stage, map, side, scrolled, 0) - stage.pitch / 2;

  useLayoutEffect(() =>
    effect(() => {
      const lit = here.lit.value?.lit;
      const words = new Set(lit?.side === side ? lit.words : []);
      const { query, key } = store.pin.value;
      const pins = new Set(side === "query" ? [query, ...store.also.value] : [key]);
      for (const word of list.current?.querySelectorAll<HTMLElement>(".token") ?? []) {
        const index = Number(word.dataset.index);
        const pinned = pins.has(index);
        // Only what changes is written: this runs at every move of the pointer.
        set(word, "data-lit", words.has(index));
        set(word, "data-pinned", pinned);
        set(word, "aria-selected", pinned);
      }
    }),
  );

  const first = Math.max(
    from,
    Math.min(to - 1, (side === "query" ? store.pin.value.query : store.pin.value.key) ?? from),
  );
  return (
    <div
      class="column"
      data-side={side}
      role="listbox"
      aria-multiselectable={side === "query"}
      aria-label={side === "query" ? "Queries: they look" : "Keys: they are looked at"}
      ref={list}
      style={{
        inlineSize: `${stage.column[side]}px`,
        [side === "query" ? "left" : "right"]: `${stage.beside}px`,
        fontSize: `${stage.font}px`,
        lineHeight: `${stage.pitch}px`,
      }}
    >
      {axis.labels.slice(from, to).map((label, at) => {
        const index = from + at;
        return (
          <span
            key={index}
            class="token"
            role="option"
            aria-selected="false"
            aria-label={`${quoted(label)}${bracketed(axis, index)}, ${side} ${index}`}
            aria-setsize={axis.labels.length}
            aria-posinset={index + 1}
            tabIndex={index === first ? 0 : -1}
            data-part={`lines-${side}`}
            data-index={index}
            data-special={special.has(index)}
            title={label.length > 12 ? quoted(label) : undefined}
            style={{ top: `${shift + index * stage.pitch}px`, blockSize: `${stage.pitch}px` }}
          >
            <bdi>{shortened(readable(label), LONGEST)}</bdi>
          </span>
        );
      })}
    </div>
  );
}

function set(element: Element, name: string, value: boolean): void {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}
