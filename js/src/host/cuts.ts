/**
 * Choices around a cut of the line to the kernel. A host may lose one that was on its way, may never send another
 * after it (ipywidgets waits for the end of the lost one), and hands over the kernel's older state once the line is
 * back. So what was chosen around a cut is told again by a message of our own, and holds against what is handed over.
 */
import type { Model } from "./traits";

/** A choice may have been on its way this long, in ms, when the line is seen to be cut. */
const ON_ITS_WAY = 5_000;
/** A host hands over the kernel's state within this time. */
const HANDED_OVER = 10_000;

interface Choice {
  value: unknown;
  /** What the kernel may hold instead. */
  before: unknown[];
  at: number;
}

export class Cuts {
  readonly #model: Model;
  readonly #choices = new Map<string, Choice>();
  readonly #status;
  #cutOnce = false;
  #cut = false;
  #back = Number.NEGATIVE_INFINITY;
  readonly #untold = new Set<string>();

  constructor(model: Model) {
    this.#model = model;
    this.#status = model.widget_manager?.kernel?.connectionStatusChanged;
    this.#status?.connect(this.#follow);
  }

  /** A person chose. */
  chose(name: string, value: unknown, before: unknown): void {
    if (!this.#status) return;
    const earlier = this.#inDoubt(this.#choices.get(name)) ? this.#choices.get(name)!.before : [];
    this.#choices.set(name, { value, before: [...earlier, before], at: performance.now() });
    if (this.#cutOnce) this.#tell(name);
  }

  /** Whether a value that the host says is older than a choice here. */
  isOlder(name: string, value: unknown): boolean {
    const choice = this.#choices.get(name);
    return this.#inDoubt(choice) && choice!.before.includes(value) && !Object.is(choice!.value, value);
  }

  close(): void {
    this.#status?.disconnect(this.#follow);
  }

  readonly #follow = (_kernel: unknown, status: string) => {
    const cut = status !== "connected";
    const now = performance.now();
    if (cut && !this.#cut) {
      this.#cutOnce = true;
      for (const [name, { at }] of this.#choices) if (now - at > ON_ITS_WAY) this.#choices.delete(name);
    }
    if (!cut && this.#cut) {
      this.#back = now;
      for (const [name, choice] of this.#choices) if (this.#inDoubt(choice)) this.#tell(name);
    }
    this.#cut = cut;
  };

  #inDoubt(choice: Choice | undefined): boolean {
    if (!choice || !this.#cutOnce) return false;
    return this.#cut || performance.now() - Math.max(this.#back, choice.at) < HANDED_OVER;
  }

  /** Choices made together travel in one message. */
  #tell(name: string): void {
    this.#untold.add(name);
    if (this.#untold.size > 1) return;
    queueMicrotask(() => {
      const chosen = Object.fromEntries([...this.#untold].map((one) => [one, this.#choices.get(one)?.value]));
      this.#untold.clear();
      try {
        this.#model.send({ chosen });
      } catch {
        // The kernel is gone for good, which its source says.
      }
    });
  }
}
