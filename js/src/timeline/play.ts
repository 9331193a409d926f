/** Plays a run from stop to stop, and stays where it is stopped. */
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Store } from "./store";

/** Milliseconds of a whole run, and the least and the most of a stop. */
const WHOLE = 8_000;
const [LEAST, MOST, CALM] = [16, 400, 800];

export class Player {
  readonly playing: ReadonlySignal<boolean>;
  readonly #playing: Signal<boolean> = signal(false);
  readonly #store: Store;
  #frame = 0;
  #next = 0;

  constructor(store: Store) {
    this.#store = store;
    this.playing = this.#playing;
  }

  toggle(): void {
    const stops = this.#store.stops.peek();
    if (this.#playing.peek()) this.stop();
    else if (stops.length > 1) this.#start(stops);
  }

  #start(stops: readonly number[]): void {
    if (this.#store.step.peek() === stops.at(-1)) this.#store.scrub(stops[0]!);
    this.#playing.value = true;
    this.#next = performance.now() + this.#pace();
    this.#frame = requestAnimationFrame(this.#tick);
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    if (!this.#playing.peek()) return;
    this.#playing.value = false;
    this.#store.settle();
  }

  #pace(): number {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return CALM;
    return Math.min(MOST, Math.max(LEAST, WHOLE / this.#store.stops.peek().length));
  }

  readonly #tick = () => {
    const now = performance.now();
    if (now >= this.#next) {
      const stops = this.#store.stops.peek();
      const pace = this.#pace();
      // Where a frame is late, as many stops are passed as the time has passed.
      const by = 1 + Math.floor((now - this.#next) / pace);
      const at = Math.min(stops.length - 1, this.#store.indexOf(this.#store.step.peek()) + by);
      this.#store.scrub(stops[at]!);
      this.#next += by * pace;
      if (at === stops.length - 1) {
        this.stop();
        return;
      }
    }
    this.#frame = requestAnimationFrame(this.#tick);
  };
}
