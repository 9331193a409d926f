/** The Timeline on the page: its element, its store, what it asks, and its views in it. */
import { computed, effect, type ReadonlySignal, signal as signalOf } from "@preact/signals";
import { render as renderInto } from "preact";
import { Backed } from "../host/backed";
import { keepFocus } from "../host/focus";
import { followKept, giveWay } from "../host/kept";
import { hasKernel, Kernel } from "../host/kernel";
import type { Stored } from "../host/stored";
import { ending, surfaceOf } from "../host/surface";
import { followTheme } from "../host/theme";
import { connectTraits, type Model } from "../host/traits";
import { type Choices, DEFAULTS, type Told } from "./choices";
import { Loading } from "./loading";
import { Player } from "./play";
import { Store } from "./store";
import styles from "./style.css?inline";
import { Layout } from "./views/layout";

export interface Mounting {
  model: Model;
  host: HTMLElement;
  signal?: AbortSignal | undefined;
  /** Whether answers come of this page alone. */
  alone?: Stored;
}

export function mount({ model, host, signal, alone }: Mounting): () => void {
  const root = surfaceOf(host, styles);
  const { traits, disconnect } = connectTraits<Choices, Told>(model, DEFAULTS);
  const { colours, stop: stopTheme } = followTheme(root, traits.theme);
  const store = new Store(traits, colours);
  const stored: ReadonlySignal<Stored | null> = signalOf(alone ?? null);
  const version = computed(() => traits.facts.value?.version);
  const source = new Backed(alone ? null : new Kernel(model, hasKernel(model, host)), stored, version);
  const loading = new Loading(store, source);
  const player = new Player(store);

  /** Whether all that is to be seen is on the screen. */
  const ready = computed(() => {
    const { map, measure, layer, head } = traits;
    const told = store.map.value;
    const empty = store.runs.value.every((run) => run.steps.value.length === 0);
    // A training that has not begun has nothing to show, and that is shown.
    if (empty) return loading.looked.value;
    return store.runs.value.every((run, at) => {
      const count = run.steps.value.length;
      if (count === 0) return true;
      if ((run.curve(map.value, measure.value).value?.count ?? 0) < count) return false;
      const kept = run.keptAt.value[run.placeOf(store.step.value)] ?? -1;
      if (!told?.queries || kept < 0) return true;
      return store.drawn.value[at] === `${told.name}/${layer.value}/${head.value}/${kept}`;
    });
  });
  /** From the first picture on: while the next comes, what is kept beside it stays hidden. */
  const isDrawn = signalOf(false);
  const stopState = effect(() => {
    if (ready.value) isDrawn.value = true;
    const failed = loading.fault.value !== null || ["lost", "absent"].includes(source.link.value);
    const busy = source.patience.value !== "calm";
    host.dataset.state = failed ? "error" : busy ? "waiting" : ready.value ? "ready" : "loading";
    host.dataset.step = String(store.step.value);
  });
  const choice = computed(() =>
    JSON.stringify(Object.keys(DEFAULTS).map((name) => traits[name as keyof Choices].value)),
  );
  const stopHiding = giveWay(host, traits.kept, isDrawn);
  const stopFollowing = traits.kept.peek() ? followKept(source, choice, isDrawn) : () => {};
  const stopKeeping = keepFocus(root);

  renderInto(<Layout store={store} loading={loading} source={source} player={player} />, root);

  return ending(signal, () => {
    player.stop();
    renderInto(null, root);
    stopKeeping();
    stopFollowing();
    stopHiding();
    stopState();
    loading.close();
    source.close();
    stopTheme();
    disconnect();
    host.remove();
  });
}
