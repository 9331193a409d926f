/** To the next head or layer, from wherever one is; and what is said of it. */
import { spokenName } from "../drawing/naming";
import type { Store } from "./store";

function go(store: Store, down: number, across: number): void {
  const { chosen } = store.places.peek();
  if (!chosen) return;
  const { facts: map } = chosen;
  const [layer, head] = [chosen.layer + down, chosen.head + across];
  const to = Math.min(Math.max(0, layer), map.heads.length - 1);
  const last = (map.heads[to] ?? 1) - 1;
  store.select(to, Math.min(Math.max(0, head), last));
  store.said.value = spokenName(map, store.layer.peek(), store.head.peek());
}

export const stepHead = (store: Store, by: number): void => go(store, 0, by);

export const stepLayer = (store: Store, by: number): void => go(store, by, 0);
