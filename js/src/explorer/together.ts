/** Widgets of one page that show the same tokens point together: what is pointed at in one is lit in the others. */
import { computed, effect, untracked } from "@preact/signals";
import { keysOf } from "../host/facts";
import type { Cell, Store } from "./store";

const EVENT = "attnwidget:pointed";
const ELSEWHERE = "elsewhere";

interface Pointed {
  by: Store;
  tokens: string;
  /** Null where nobody points any more. */
  cell: Cell | null;
}

export function pointTogether(store: Store): () => void {
  const tokens = computed(() => {
    const map = store.map.value;
    return map ? JSON.stringify([map.queries.labels, keysOf(map).labels]) : "";
  });
  let pointing = false;

  function tell(cell: Cell | null): void {
    pointing = cell !== null;
    const detail: Pointed = { by: store, tokens: tokens.value, cell };
    document.dispatchEvent(new CustomEvent(EVENT, { detail }));
  }

  function listen(event: Event): void {
    const { by, tokens: theirs, cell } = (event as CustomEvent<Pointed>).detail;
    if (by === store || theirs !== tokens.peek()) return;
    if (cell) store.hover.value = { ...cell, from: ELSEWHERE };
    else if (store.hover.peek()?.from === ELSEWHERE) store.hover.value = null;
  }

  const stop = effect(() => {
    const hover = store.hover.value;
    untracked(() => {
      if (hover && hover.from !== ELSEWHERE) tell({ query: hover.query, key: hover.key });
      else if (pointing) tell(null);
    });
  });
  document.addEventListener(EVENT, listen);
  return () => {
    stop();
    if (pointing) tell(null);
    document.removeEventListener(EVENT, listen);
  };
}
