/** The Explorer on the page: its element, its store, its answers, and its views in it. */
import { computed, effect, type ReadonlySignal, signal as signalOf, untracked } from "@preact/signals";
import { render as renderInto } from "preact";
import { bytesOf } from "../attention/tile";
import { Backed } from "../host/backed";
import { keepFocus } from "../host/focus";
import { followKept, giveWay } from "../host/kept";
import { hasKernel, Kernel } from "../host/kernel";
import { Stored } from "../host/stored";
import { ending, surfaceOf } from "../host/surface";
import { followTheme } from "../host/theme";
import { connectTraits, type Model } from "../host/traits";
import { ANSWERING, type Answering } from "../lesson/facts";
import { Answers } from "./answers";
import { type Choices, DEFAULTS, type Told, type Traits } from "./choices";
import { followFullScreen } from "./full";
import { followKeys } from "./keys";
import { followCopying } from "./saving/copying";
import { type ShownTile, Store } from "./store";
import styles from "./style.css?inline";
import { SURVEYING, type Surveying } from "./surveyed";
import { pointTogether } from "./together";
import { Layout } from "./views/layout";
import { VIEWS, viewOf } from "./views/table";

export interface Mounting {
  model: Model;
  host: HTMLElement;
  /** Hosts before anywidget 0.10 only call the returned clean-up. */
  signal?: AbortSignal | undefined;
  /** Whether answers come of this page alone. */
  alone?: Stored;
}

export function mount({ model, host, signal, alone }: Mounting): () => void {
  const root = surfaceOf(host, styles);
  const connected = connectTraits<Choices & Answering & Surveying, Told>(
    model,
    { ...DEFAULTS, ...ANSWERING, ...SURVEYING },
    ["outcome", "weighed", "surveyed"],
  );
  const { disconnect } = connected;
  const traits = connected.traits as Traits;
  const { colours, stop: stopTheme } = followTheme(root, traits.theme);
  const store = new Store(traits, colours, VIEWS, alone !== undefined);
  const stored: ReadonlySignal<Stored | null> = alone
    ? signalOf(alone)
    : computed(() => (traits.opening.value?.byteLength ? new Stored(bytesOf(traits.opening.value)) : null));
  const version = computed(() => traits.facts.value?.version);
  const source = new Backed(alone ? null : new Kernel(model, hasKernel(model, host)), stored, version);
  const answers = new Answers(store, source);

  const { chosen } = answers;
  const stopLink = effect(() => {
    store.applying.link.value = source.link.value;
  });

  let frame = 0;
  let latest: ShownTile | null = null;
  const stopDrawing = effect(() => {
    const shown = chosen.tile.value;
    store.otherTile.value;
    store.temperature.value;
    store.scaling.value;
    if (!shown) return;
    cancelAnimationFrame(frame);
    if (shown === latest) {
      // However often a slider moves, a picture is made once a frame.
      frame = requestAnimationFrame(() => store.draw(shown));
    } else {
      latest = shown;
      untracked(() => store.draw(shown));
    }
  });

  const ready = computed(() => {
    const drawn = store.drawn.value;
    if (!drawn || drawn.tile !== chosen.tile.value?.tile) return false;
    if (!store.isCurrent(drawn) || !chosen.settled()) return false;
    if (!answers.reference.settled() || (store.pair.value && !store.both.value)) return false;
    const { made } = viewOf(store.view.value);
    const picture = made?.(store, answers);
    return picture === undefined || (picture !== null && store.onScreen.value === picture);
  });
  const stopState = effect(() => {
    const failed =
      chosen.faults.value.tile !== undefined ||
      answers.reference.fault.value !== null ||
      ["lost", "absent"].includes(source.link.value) ||
      store.empty.value;
    const busy = source.patience.value !== "calm";
    host.dataset.view = store.view.value;
    host.dataset.state = failed ? "error" : busy ? "waiting" : ready.value ? "ready" : "loading";
  });

  const isDrawn = computed(() => store.drawn.value !== null);
  const choice = computed(() =>
    JSON.stringify([
      traits.facts.value?.version,
      ...Object.keys(DEFAULTS).map((name) => traits[name as keyof typeof DEFAULTS].value),
    ]),
  );
  const stopHiding = giveWay(host, traits.kept, isDrawn);
  const stopFollowing = traits.kept.peek() ? followKept(source, choice, isDrawn) : () => {};

  /** In the views alone: Escape on a menu closes it, or means nothing. */
  function unpin(event: KeyboardEvent): void {
    const at = event.target as Element;
    const inViews = at === root || (at.closest(".views") !== null && !at.matches("select"));
    const { query, key } = store.pin.peek();
    if (event.key !== "Escape" || !inViews || (query === null && key === null)) return;
    event.stopPropagation();
    store.setPin({ query: null, key: null });
    store.said.value = "Unpinned";
  }
  root.addEventListener("keydown", unpin);
  const stopFull = followFullScreen(host, store);
  const stopKeeping = keepFocus(root);
  const stopKeys = followKeys(root, store);
  const stopCopying = followCopying(root, store);
  const stopPointing = pointTogether(store);

  renderInto(<Layout store={store} answers={answers} source={source} ready={ready} />, root);

  return ending(signal, () => {
    cancelAnimationFrame(frame);
    stopLink();
    stopFull();
    stopKeeping();
    stopKeys();
    stopCopying();
    stopPointing();
    renderInto(null, root);
    root.removeEventListener("keydown", unpin);
    stopState();
    stopHiding();
    stopFollowing();
    stopDrawing();
    answers.close();
    source.close();
    stopTheme();
    disconnect();
    host.remove();
  });
}
