/** Keys that work wherever the focus is in the widget, but in a field that is typed into. */
import { cutMarked, toggleOff } from "./changing";
import { stepHead, stepLayer } from "./stepping";
import type { Store } from "./store";

/** What each key does, for whoever asks with "?"; those of the views are theirs and only told here. */
export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["[  ]", "previous and next head"],
  ["{  }", "previous and next layer"],
  ["/", "find a token"],
  ["?", "these keys"],
  ["← ↑ → ↓", "move in the map, the text, the grid"],
  ["Enter", "pin what the cursor is on"],
  ["Shift  Enter", "pin a word beside others; see one head alone"],
  ["x", "switch the chosen head off in the model, and on"],
  ["Shift  ← ↑ → ↓", "mark cells of the map"],
  ["c", "cut the marked cells, or the pinned one, in the model"],
  ["Esc", "unpin; close what is open"],
  ["+  −  0", "zoom in, out, and back, in the map"],
];

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  target.matches("input:not([type=range], [type=checkbox], [type=radio]), textarea, select");

export function followKeys(root: HTMLElement, store: Store): () => void {
  const doing: Record<string, () => void> = {
    "[": () => stepHead(store, -1),
    "]": () => stepHead(store, 1),
    "{": () => stepLayer(store, -1),
    "}": () => stepLayer(store, 1),
    "/": () => store.find.value++,
    x: () => toggleOff(store),
    c: () => cutMarked(store),
    "?": () => (store.keysShown.value = !store.keysShown.peek()),
  };

  function press(event: KeyboardEvent): void {
    // Some keyboards have brackets behind AltGr, which others take for Ctrl and Alt.
    const plain = event.getModifierState("AltGraph") || !(event.ctrlKey || event.metaKey || event.altKey);
    const act = plain && !typing(event.target) ? doing[event.key] : undefined;
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
  root.addEventListener("keydown", press);
  return () => root.removeEventListener("keydown", press);
}
