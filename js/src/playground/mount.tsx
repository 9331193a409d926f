/** The Playground on the page: its element, its store, and its views in it. */
import { effect, signal } from "@preact/signals";
import { render as renderInto } from "preact";
import { keepFocus } from "../host/focus";
import { giveWay } from "../host/kept";
import { ending, surfaceOf } from "../host/surface";
import { followTheme } from "../host/theme";
import { connectTraits, type Model } from "../host/traits";
import { ANSWERING, type Answering } from "../lesson/facts";
import { type Choices, DEFAULTS, type PlaygroundFacts } from "./choices";
import { Layout } from "./layout";
import { Store } from "./store";
import styles from "./style.css?inline";

export interface Mounting {
  model: Model;
  host: HTMLElement;
  signal?: AbortSignal | undefined;
}

export function mount({ model, host, signal: until }: Mounting): () => void {
  const root = surfaceOf(host, styles);
  const { traits, disconnect } = connectTraits<Choices & Answering, PlaygroundFacts>(model, {
    ...DEFAULTS,
    ...ANSWERING,
  });
  const { colours, stop: stopTheme } = followTheme(root, traits.theme);
  const store = new Store(traits, colours);
  const drawn = signal(false);
  const stopHiding = giveWay(host, traits.kept, drawn);
  const stopState = effect(() => {
    host.dataset.state = store.scene.value && drawn.value ? "ready" : "loading";
  });
  const stopKeeping = keepFocus(root);

  /** The way back, from wherever the focus is but a field, which has its own. */
  function undo(event: KeyboardEvent): void {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    if ((event.target as Element).matches("input[type=text], input:not([type]), textarea")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey) store.redo();
    else store.undo();
  }
  // Before a control that keeps its keys to itself.
  root.addEventListener("keydown", undo, { capture: true });

  renderInto(<Layout store={store} />, root);
  drawn.value = true;

  return ending(until, () => {
    renderInto(null, root);
    root.removeEventListener("keydown", undo, { capture: true });
    stopKeeping();
    stopState();
    stopHiding();
    stopTheme();
    disconnect();
    host.remove();
  });
}
