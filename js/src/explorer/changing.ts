/** The chosen head is changed in the model: by key, and by the button beside what is marked. */
import type { Block } from "./applying";
import type { Store } from "./store";

/** Switch the chosen head off, or on again. */
export function toggleOff(store: Store): void {
  const map = store.map.peek();
  if (!map || store.lesson.isLocked("applied")) return;
  store.said.value = store.applying.toggleOff(map, store.layer.peek(), store.head.peek());
}

/** Cut the cells that are marked, or the one that is pinned. */
export function cutMarked(store: Store): void {
  const [map, block] = [store.map.peek(), store.applying.marked.peek() ?? pinned(store)];
  if (!map || store.lesson.isLocked("applied")) return;
  store.said.value = block
    ? store.applying.cut(map, store.layer.peek(), store.head.peek(), block)
    : "Mark cells, or pin one, to cut them";
}

function pinned(store: Store): Block | null {
  const { query, key } = store.pin.peek();
  return query === null || key === null ? null : { queries: [query, query + 1], keys: [key, key + 1] };
}
