/** What a Timeline shows: its runs, the step that is seen, and who is pointed at. */
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Colours } from "../host/theme";
import type { MapTold, Told, Traits } from "./choices";
import { Run } from "./run";

export interface Pointed {
  query: number;
  key: number;
}

export class Store {
  readonly traits: Traits;
  readonly colours: ReadonlySignal<Colours>;
  readonly told: ReadonlySignal<Told | null>;
  readonly runs: ReadonlySignal<readonly Run[]>;
  readonly map: ReadonlySignal<MapTold | null>;
  /** Every step of any run, in order. */
  readonly stops: ReadonlySignal<readonly number[]>;
  /** The step that is seen while somebody scrubs or plays; null where it is the chosen one. */
  readonly scrubbed: Signal<number | null> = signal(null);
  readonly step: ReadonlySignal<number>;
  /** The step as it is called. */
  readonly pointed: Signal<Pointed | null> = signal(null);
  readonly said = signal("");
  /** What else happened until now, by its step. */
  readonly own: ReadonlySignal<readonly [step: number, text: string][]>;
  /** What has been drawn of each run: the frame's name, for tests and to know what is on the screen. */
  readonly drawn: Signal<readonly string[]> = signal([]);
  readonly width = signal(0);

  constructor(traits: Traits, colours: ReadonlySignal<Colours>) {
    this.traits = traits;
    this.colours = colours;
    this.told = traits.facts;
    const names = computed(() => JSON.stringify(traits.facts.value?.runs ?? []));
    this.runs = computed(() => (JSON.parse(names.value) as string[]).map((name) => new Run(name)));
    this.map = computed(
      () =>
        this.told.value?.maps.find(({ name }) => name === traits.map.value) ??
        this.told.value?.maps[0] ??
        null,
    );
    this.stops = computed(() => {
      const [first, ...others] = this.runs.value;
      if (!first) return [];
      if (others.length === 0) return first.steps.value;
      const all = new Set(this.runs.value.flatMap((run) => run.steps.value));
      return [...all].sort((one, other) => one - other);
    });
    this.own = computed(() => {
      const last = this.stops.value.at(-1) ?? Number.NEGATIVE_INFINITY;
      const { own = [], growing = false } = this.told.value ?? {};
      // Of a training what is still to come waits for its step.
      return own.filter(([step]) => !growing || step <= last);
    });
    this.step = computed(() => this.scrubbed.value ?? traits.step.value ?? this.stops.value.at(-1) ?? 0);
  }

  /** Whether it follows what comes. */
  get follows(): boolean {
    return this.scrubbed.value === null && this.traits.step.value === null;
  }

  select(layer: number, head: number): void {
    this.traits.layer.value = layer;
    this.traits.head.value = head;
  }

  /** The stop that is nearest to a step. */
  nearest(step: number): number {
    const stops = this.stops.value;
    let best = stops[0] ?? 0;
    for (const stop of stops) if (Math.abs(stop - step) < Math.abs(best - step)) best = stop;
    return best;
  }

  /** Where a step stands among the stops. */
  indexOf(step: number): number {
    const stops = this.stops.value;
    const at = stops.findIndex((stop) => stop >= step);
    return at < 0 ? stops.length - 1 : at;
  }

  /** See a step for now, as while a hand is on the scrubber. */
  scrub(step: number): void {
    this.scrubbed.value = this.nearest(step);
  }

  /** Stay at the step that is seen; at the last it follows what comes. */
  settle(): void {
    const { value } = this.scrubbed;
    if (value === null) return;
    const last = value === this.stops.value.at(-1);
    this.traits.step.value = last && this.told.value?.growing ? null : value;
    this.scrubbed.value = null;
  }

  go(step: number): void {
    this.scrub(step);
    this.settle();
  }

  /** By so many stops. */
  move(by: number): void {
    const stops = this.stops.value;
    const at = Math.min(Math.max(0, this.indexOf(this.step.value) + by), stops.length - 1);
    if (stops[at] !== undefined) this.go(stops[at]);
  }

  stepName(step: number): string {
    const run = this.runs.value[0];
    const place = run?.placeOf(step) ?? -1;
    const label = run?.steps.value[place] === step ? run?.labels.value?.[place] : undefined;
    return label ?? `step ${step.toLocaleString("en-US")}`;
  }
}
