/** A source with something behind it: a kernel where there is one, and what was stored beside it or instead of it. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type AskOptions, type Link, type Patience, type Reply, type Source, Withdrawn } from "./source";
import type { Stored } from "./stored";

/** A kernel that has not answered for so long is not waited for where something was stored. */
const LONG_ENOUGH = 1_000;

export class Backed implements Source {
  readonly patience: ReadonlySignal<Patience>;
  readonly link: ReadonlySignal<Link>;
  readonly cut: ReadonlySignal<boolean>;
  readonly silence: ReadonlySignal<number | null>;
  readonly busy: ReadonlySignal<boolean>;
  readonly #kernel: Source | null;
  readonly #stored: ReadonlySignal<Stored | null>;
  /** Of the maps that are shown: answers about others are none. */
  readonly #version: ReadonlySignal<number | undefined>;

  constructor(
    kernel: Source | null,
    stored: ReadonlySignal<Stored | null>,
    version: ReadonlySignal<number | undefined>,
  ) {
    this.#kernel = kernel;
    this.#stored = stored;
    this.#version = version;
    this.link = computed(() => {
      if (!kernel) return "page";
      return kernel.link.value === "absent" && this.#current ? "kept" : kernel.link.value;
    });
    this.patience = kernel?.patience ?? signal("calm");
    this.cut = kernel?.cut ?? signal(false);
    this.silence = kernel?.silence ?? signal(null);
    this.busy = kernel?.busy ?? signal(false);
  }

  get made(): string {
    return this.#current?.made ?? "";
  }

  get missing(): string {
    return this.#current?.missing ?? "";
  }

  atOnce(body: object): Reply | null {
    return this.#current?.find(body, this.#kernel !== null) ?? null;
  }

  ask(kind: string, body: object, options: AskOptions = {}): Promise<Reply> {
    const known = this.atOnce(body);
    if (known) return Promise.resolve(known);
    if (!this.#kernel) return Promise.reject(new Error(`This is not in the page. ${this.missing}`.trim()));
    const asked = this.#kernel.ask(kind, body, options);
    const kept = this.#current?.find(body);
    return kept ? this.#sooner(asked, kept, options) : asked;
  }

  retry(): void {
    this.#kernel?.retry();
  }

  close(): void {
    this.#kernel?.close();
  }

  /** What was kept, where nothing better comes soon; what comes later replaces it. */
  #sooner(asked: Promise<Reply>, kept: Reply, { later }: AskOptions): Promise<Reply> {
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = window.setTimeout(() => {
        late = true;
        resolve(kept);
      }, LONG_ENOUGH);
      asked.then(
        (reply) => {
          window.clearTimeout(timer);
          if (late) later?.(reply);
          else resolve(reply);
        },
        (reason) => {
          window.clearTimeout(timer);
          if (reason instanceof Withdrawn) reject(reason);
          else resolve(kept);
        },
      );
    });
  }

  get #current(): Stored | null {
    const stored = this.#stored.value;
    return stored?.version === this.#version.value ? stored : null;
  }
}
