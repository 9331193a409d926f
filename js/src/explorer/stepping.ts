/** To the next head or layer, from wherever one is; and what is said of it. */
import { spokenName } from "../drawing/naming";
import type { Store } from "./store";

function go(store: Store, layer: number, head: number): void {
  const map = store.map.peek();
  if (!map) return;
  const to = Math.min(Math.max(0, layer), map.heads.length - 1);
  const last = (map.heads[to] ?? 1) - 1;
  store.select(to, Math.min(Math.max(0, head), last));
  store.said.value = spokenName(map, store.layer.peek(), store.head.peek());
}

export const stepHead = (store: Store, by: number): void =>
  go(store, store.layer.peek(), store.head.peek() + by);

export const stepLayer = (store: Store, by: number): void =>
  go(store, store.layer.peek() + by, store.head.peek());
