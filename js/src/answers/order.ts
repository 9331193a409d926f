/** What is asked for when nobody waits for it: one thing after another, each chosen when the last has come. */
import { computed, effect } from "@preact/signals";
import { Withdrawn } from "../host/source";

export interface Errand {
  /** Equal errands have equal names. */
  name: string;
  run(signal: AbortSignal): Promise<void>;
}

export class Order {
  readonly #failed: (name: string, reason: unknown) => void;
  readonly #stop: () => void;
  readonly #next: { readonly value: Errand | null };
  #epoch = new AbortController();
  #wake: () => void = () => {};

  /** `next` says what is wanted most, as far as signals tell; it must not name again what has failed. */
  constructor(next: () => Errand | null, failed: (name: string, reason: unknown) => void) {
    this.#next = computed(next);
    this.#failed = failed;
    this.#stop = effect(() => {
      // A new choice never waits for what was wanted before it: the loop looks again.
      if (this.#next.value) this.#wake();
    });
  }

  /** Give up what is under way, and begin again after some ms. */
  restart(delay: number): void {
    this.#epoch.abort();
    this.#wake();
    this.#epoch = new AbortController();
    void this.#walk(this.#epoch.signal, delay);
  }

  close(): void {
    this.#epoch.abort();
    this.#wake();
    this.#stop();
  }

  async #walk(epoch: AbortSignal, delay: number): Promise<void> {
    if (delay > 0) await new Promise((resolve) => window.setTimeout(resolve, delay));
    while (!epoch.aborted) {
      const errand = this.#next.value;
      if (!errand) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        await errand.run(epoch);
      } catch (reason) {
        if (epoch.aborted) return;
        if (reason instanceof Withdrawn) continue;
        this.#failed(errand.name, reason);
      }
    }
  }
}
