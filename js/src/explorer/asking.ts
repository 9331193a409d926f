/** What the Explorer knows of a lesson's question: what is chosen as the guess, and how it is said. */
import { computed } from "@preact/signals";
import { quoted } from "../drawing/words";
import { headNumber, keysOf, layerNumber } from "../host/facts";
import type { Asking } from "../lesson/card";
import type { Said } from "../lesson/facts";
import type { Store } from "./store";

export function askingOf(store: Store): Asking {
  const kind = () => store.lesson.facts.value?.predict?.kind;
  /** The head that the view opened with is a guess only once another was looked at. */
  const opened = `${store.layer.peek()} ${store.head.peek()}`;
  let moved = false;

  const picked = computed<Said | null>(() => {
    if (kind() === "cell") {
      const { query, key } = store.pin.value;
      return query === null || key === null ? null : [query, key];
    }
    const head = [store.layer.value, store.head.value];
    moved ||= head.join(" ") !== opened;
    return moved ? head : null;
  });

  function textOf(said: Said): string {
    const [one, other] = said as [number, number];
    const map = store.map.value;
    if (!map) return `${one}, ${other}`;
    if (kind() === "cell") {
      return `${quoted(map.queries.labels[one])} looking at ${quoted(keysOf(map).labels[other])}`;
    }
    return `layer ${layerNumber(map, one)}, head ${headNumber(map, one, other)}`;
  }

  return {
    answer: () => store.lesson.facts.peek()?.answer ?? null,
    picked,
    textOf,
    labels: () => [],
    get hint() {
      return kind() === "cell" ? "Click a cell of the map." : "Choose a head in the grid.";
    },
  };
}
