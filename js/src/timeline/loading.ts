/** Who asks for what: readings as they come, the curves that are drawn, and frames, those about to be seen first. */
import { effect, type Signal, signal, untracked } from "@preact/signals";
import { type Source, Withdrawn } from "../host/source";
import type { MapTold } from "./choices";
import type { Run } from "./run";
import type { Store } from "./store";

/** Milliseconds from one look for what has come to the next, while something comes and while nothing does. */
const [SOON, LATER] = [1_000, 5_000];
const QUIET = 30_000;
/** Frames of one question. */
const FEW = 12;

export class Loading {
  readonly fault: Signal<string | null> = signal(null);
  /** Whether any run has said what it has. */
  readonly looked: Signal<boolean> = signal(false);
  readonly #store: Store;
  readonly #source: Source;
  readonly #stops: (() => void)[] = [];
  readonly #timers = new Set<number>();
  readonly #asking = new Set<string>();
  #closed = false;

  constructor(store: Store, source: Source) {
    this.#store = store;
    this.#source = source;
    this.#stops.push(
      effect(() => {
        const runs = store.runs.value;
        untracked(() => {
          this.fault.value = null;
          for (const [at, run] of runs.entries()) this.#look(run, at, performance.now());
        });
      }),
      effect(() => {
        const { map, measure } = store.traits;
        store.runs.value.forEach((run, at) => {
          const known = run.curve(map.value, measure.value).value?.count ?? 0;
          if (map.value && measure.value && known < run.steps.value.length)
            untracked(() => this.#curve(run, at, map.value, measure.value, known));
        });
      }),
      effect(() => {
        const told = store.map.value;
        const [layer, head] = [store.traits.layer.value, store.traits.head.value];
        store.runs.value.forEach((run, at) => {
          run.arrived.value;
          run.keptAt.value;
          const place = run.placeOf(store.step.value);
          if (told?.queries && place >= 0) untracked(() => this.#frames(run, at, told, layer, head, place));
        });
      }),
    );
  }

  /** Forget what failed, and ask again. */
  retry(): void {
    this.fault.value = null;
    this.#source.retry();
    this.#store.runs.value.forEach((run, at) => {
      this.#look(run, at, performance.now());
      run.arrived.value++;
    });
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops) stop();
    for (const timer of this.#timers) window.clearTimeout(timer);
  }

  /** Ask what has come; of a run that may grow, again and again. */
  #look(run: Run, at: number, since: number): void {
    const after = run.steps.peek().length;
    const first = after === 0;
    const told = (came: boolean) => {
      if (this.#closed || !this.#store.told.peek()?.growing || this.#source.link.peek() !== "live") return;
      const last = came ? performance.now() : since;
      const timer = window.setTimeout(
        () => {
          this.#timers.delete(timer);
          // Nobody looks: whoever comes back waits for a moment.
          if (document.visibilityState === "hidden") told(false);
          else if (this.#store.runs.peek()[at] === run) this.#look(run, at, last);
        },
        performance.now() - last < QUIET ? SOON : LATER,
      );
      this.#timers.add(timer);
    };
    this.#source
      .ask(
        `readings ${at}`,
        { op: "readings", run: at, after, generation: run.generation },
        { background: !first },
      )
      .then(
        (reply) => {
          told(run.take(reply));
          this.looked.value = true;
        },
        (reason) => this.#fail(reason),
      );
  }

  #curve(run: Run, at: number, map: string, measure: string, after: number): void {
    this.#once(
      `curve ${at} ${map} ${measure} ${after}`,
      `curves ${at}`,
      { op: "curves", run: at, map, measure, after },
      (reply) => run.extend(map, measure, reply),
    );
  }

  /** The frame that is seen, and those around it, the ones ahead before the ones behind. */
  #frames(run: Run, at: number, told: MapTold, layer: number, head: number, place: number): void {
    const kept = [...new Set(run.keptAt.peek())].filter((one) => one >= 0);
    const seen = run.keptAt.peek()[place] ?? -1;
    const missing = kept.filter((one) => !run.hasFrame(told.name, layer, head, one));
    const urgent = missing.includes(seen);
    if (missing.length === 0 || !(urgent || run.roomy)) return;
    const distance = (one: number) => (one >= seen ? one - seen : 2 * (seen - one));
    const wanted = missing.sort((one, other) => distance(one) - distance(other)).slice(0, FEW);
    const size = [told.n_queries, told.n_keys];
    const body = { op: "frames", run: at, map: told.name, layer, head, at: wanted, size };
    this.#once(
      `frames ${at}`,
      `frames ${at}`,
      body,
      (reply) => {
        this.#asking.delete(`frames ${at}`);
        run.takeFrames(told, layer, head, reply);
      },
      !urgent,
    );
  }

  /** What was asked is not asked again before it was answered. */
  #once(
    name: string,
    kind: string,
    body: object,
    take: (reply: Awaited<ReturnType<Source["ask"]>>) => void,
    background = false,
  ): void {
    if (this.#asking.has(name) || this.fault.peek()) return;
    this.#asking.add(name);
    this.#source.ask(kind, body, { background }).then(
      (reply) => {
        this.#asking.delete(name);
        if (!this.#closed) take(reply);
      },
      (reason) => {
        this.#asking.delete(name);
        this.#fail(reason);
      },
    );
  }

  #fail(reason: unknown): void {
    if (this.#closed || reason instanceof Withdrawn) return;
    this.fault.value = reason instanceof Error ? reason.message : String(reason);
  }
}
