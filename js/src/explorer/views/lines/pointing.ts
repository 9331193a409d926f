/** Mouse and keyboard on lines: a word is pointed at from its row on, walked to, and pinned. */
import type { MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { type Side, type Stage, sightOf, wordAt } from "./stage";
import type { Lines } from "./view";

export function pointing(frame: HTMLElement, store: Store, here: Lines): () => void {
  const stop = new AbortController();
  const listen = <Name extends keyof HTMLElementEventMap>(
    name: Name,
    listener: (event: HTMLElementEventMap[Name]) => void,
  ) => frame.addEventListener(name, listener, { signal: stop.signal });

  function at(event: MouseEvent): { side: Side; index: number } | null {
    const scene = here.scene.peek();
    if (!scene) return null;
    const box = frame.getBoundingClientRect();
    const { stage, map, scrolled } = scene;
    return wordAt(stage, map, scrolled, event.clientX - box.left, event.clientY - box.top);
  }

  function point(word: { side: Side; index: number } | null): void {
    const before = store.hover.peek();
    const [query, key] = [
      word?.side === "query" ? word.index : null,
      word?.side === "key" ? word.index : null,
    ];
    if ((before?.query ?? null) === query && (before?.key ?? null) === key) return;
    store.hover.value = word ? { query, key, from: "lines" } : null;
  }

  function pin({ side, index }: { side: Side; index: number }, more: boolean): void {
    if (side === "key") store.togglePin({ query: null, key: index });
    else if (more) store.toggleAlso(index);
    else store.togglePin({ query: index, key: null });
  }

  listen("pointermove", (event) => {
    if (event.pointerType !== "touch") point(at(event));
  });
  listen("pointerleave", () => point(null));
  listen("click", (event) => {
    // A press by whoever has no pointer is on the word itself.
    const word = wordOf(event.target) ?? at(event);
    if (word) pin(word, event.shiftKey || event.ctrlKey || event.metaKey);
  });

  const wordOf = (target: EventTarget | null): { side: Side; index: number } | null => {
    const word = (target as Element | null)?.closest<HTMLElement>(".token");
    if (!word) return null;
    const side = word.closest<HTMLElement>("[data-side]")!.dataset.side as Side;
    return { side, index: Number(word.dataset.index) };
  };

  listen("focusin", (event) => point(wordOf(event.target)));
  listen("focusout", () => point(null));
  listen("keydown", (event) => {
    const word = wordOf(event.target);
    const scene = here.scene.peek();
    if (!word || !scene || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      pin(word, event.shiftKey || event.ctrlKey || event.metaKey);
    } else {
      const next = stepped(word, event.key, scene.map);
      if (!next || event.ctrlKey || event.metaKey) return;
      reach(frame, store, scene, next);
      store.said.value = here.told.peek();
    }
    event.preventDefault();
    event.stopPropagation();
  });
  return () => stop.abort();
}

function stepped(
  { side, index }: { side: Side; index: number },
  key: string,
  map: MapFacts,
): { side: Side; index: number } | null {
  const count = (of: Side) => (of === "query" ? map.n_queries : map.n_keys);
  const inside = (of: Side, to: number) => ({ side: of, index: Math.max(0, Math.min(count(of) - 1, to)) });
  if (key === "ArrowUp") return inside(side, index - 1);
  if (key === "ArrowDown") return inside(side, index + 1);
  if (key === "PageUp") return inside(side, index - 20);
  if (key === "PageDown") return inside(side, index + 20);
  if (key === "Home") return inside(side, 0);
  if (key === "End") return inside(side, count(side) - 1);
  if (key === "ArrowLeft") return inside("query", index);
  if (key === "ArrowRight") return inside("key", index);
  return null;
}

/** Put the focus on a word; one that is out of sight is scrolled to first. */
export function reach(
  frame: HTMLElement,
  store: Store,
  { stage, map, scrolled }: { stage: Stage; map: MapFacts; scrolled: number },
  { side, index }: { side: Side; index: number },
): void {
  const find = () => frame.querySelector<HTMLElement>(`[data-side="${side}"] [data-index="${index}"]`);
  bring(frame, store, { stage, map, scrolled }, side, index);
  const there = find();
  if (there) there.focus({ preventScroll: stage.scrolls });
  else requestAnimationFrame(() => find()?.focus({ preventScroll: true }));
}

/** Scroll until a word is in sight, where there is something to scroll. */
export function bring(
  frame: HTMLElement,
  store: Store,
  { stage, map, scrolled }: { stage: Stage; map: MapFacts; scrolled: number },
  side: Side,
  index: number,
): void {
  if (!stage.scrolls) return;
  const { from, to } = sightOf(stage, map, side, scrolled);
  if (index > from && index < to - 1) return;
  const own = Math.max(1, (side === "query" ? map.n_queries : map.n_keys) * stage.pitch - stage.height);
  const wanted = (index + 0.5) * stage.pitch - stage.height / 2;
  frame.scrollTop = (Math.max(0, Math.min(own, wanted)) / own) * (stage.whole - stage.height);
  store.scrolled.value = frame.scrollTop;
}
