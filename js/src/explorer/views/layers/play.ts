/** Steps through the layers: what it shows is its own until it stops, so that nobody is asked for anything. */
import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Store } from "../../store";

/** Milliseconds that a layer is seen. */
const PACE = 500;

export class Player {
  /** The layer that is seen: the one that is played, or the chosen one. */
  readonly layer: ReadonlySignal<number>;
  readonly playing: ReadonlySignal<boolean>;
  readonly #at: Signal<number | null> = signal(null);
  readonly #store: Store;
  readonly #stops: (() => void)[];
  #timer = 0;

  constructor(store: Store) {
    this.#store = store;
    this.layer = computed(() => this.#at.value ?? store.layer.value);
    this.playing = computed(() => this.#at.value !== null);
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    const still = () => calm.matches && this.stop();
    calm.addEventListener("change", still);
    this.#stops = [
      () => calm.removeEventListener("change", still),
      effect(() => {
        // Whoever chooses a layer goes there; and other maps begin at theirs.
        store.layer.value;
        store.map.value;
        this.#end();
      }),
    ];
  }

  toggle(): void {
    if (this.#at.peek() === null) {
      this.#at.value = this.#store.layer.peek();
      this.#timer = window.setInterval(() => this.#step(), PACE);
    } else this.stop();
  }

  /** Stay at the layer that is seen. */
  stop(): void {
    const at = this.#at.peek();
    if (at === null) return;
    this.#end();
    const heads = this.#store.map.peek()?.heads[at] ?? 1;
    this.#store.select(at, Math.min(this.#store.head.peek(), heads - 1));
  }

  close(): void {
    this.#end();
    for (const stop of this.#stops) stop();
  }

  #end(): void {
    window.clearInterval(this.#timer);
    this.#at.value = null;
  }

  #step(): void {
    const layers = this.#store.map.peek()?.heads.length ?? 1;
    this.#at.value = ((this.#at.peek() ?? 0) + 1) % layers;
  }
}
