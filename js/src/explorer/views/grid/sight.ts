/** Which lines of the grid are in sight, and so which layers their heads belong to: the others are not asked for. */
import { batch, type Signal, signal } from "@preact/signals";

interface Line {
  layers: readonly number[];
  visible: Signal<boolean>;
}

export class Sight {
  /** Null before it is known. */
  readonly #layers: Signal<ReadonlySet<number> | null>;
  readonly #lines = new Map<Element, Line>();
  readonly #observer = new IntersectionObserver((entries) => this.#look(entries));

  constructor(layers: Signal<ReadonlySet<number> | null>) {
    this.#layers = layers;
  }

  /** Says of a line whether it is in sight, until it is let go. */
  watch(element: Element, layers: readonly number[]): { visible: Signal<boolean>; stop: () => void } {
    const visible = signal(false);
    this.#lines.set(element, { layers, visible });
    this.#observer.observe(element);
    const stop = () => {
      this.#observer.unobserve(element);
      this.#lines.delete(element);
    };
    return { visible, stop };
  }

  close(): void {
    this.#observer.disconnect();
    this.#lines.clear();
  }

  #look(entries: readonly IntersectionObserverEntry[]): void {
    batch(() => {
      for (const { target, isIntersecting } of entries) {
        const line = this.#lines.get(target);
        if (line) line.visible.value = isIntersecting;
      }
      const seen = [...this.#lines.values()].filter(({ visible }) => visible.peek());
      const layers = new Set(seen.flatMap((line) => line.layers).sort((one, other) => one - other));
      if (String([...layers]) !== String([...(this.#layers.peek() ?? [Number.NaN])]))
        this.#layers.value = layers;
    });
  }
}
