/** One run as far as it is here: its steps, what happened, the curves of its heads, and frames of its maps. */
import { batch, type Signal, signal } from "@preact/signals";
import { Cache } from "../answers/cache";
import { type Bytes, decodeTile, numbers, type Tile, type TileHeader } from "../attention/tile";
import type { Reply } from "../host/source";
import type { MapTold } from "./choices";

/** Bytes of the frames of one run that are held. */
const FRAMES = 64 << 20;

export interface Event {
  place: number;
  kind: "finding" | "gone" | "alert";
  text: string;
}

/** One number of every head at all readings so far: [readings, layers, heads]. */
export interface Curve {
  count: number;
  layers: number;
  heads: number;
  values: Float32Array;
}

interface Readings {
  /** How often the file behind it was begun anew. */
  generation: number;
  after: number;
  steps: number[];
  labels: string[] | null;
  events: [number, Event["kind"], string][];
  logged: Record<string, (number | null)[]>;
  /** Of every reading, "1" where its maps are kept. */
  kept: string;
}

export class Run {
  readonly name: string;
  readonly steps: Signal<readonly number[]> = signal([]);
  readonly labels: Signal<readonly string[] | null> = signal(null);
  readonly events: Signal<readonly Event[]> = signal([]);
  readonly logged: Signal<Record<string, readonly (number | null)[]>> = signal({});
  /** Of each reading, the last at or before it whose maps were kept; -1 where there is none. */
  readonly keptAt: Signal<readonly number[]> = signal([]);
  /** Rises with every frame that comes. */
  readonly arrived = signal(0);
  readonly #curves = new Map<string, Signal<Curve | null>>();
  #frames = new Cache<Tile>(FRAMES);
  generation = 0;
  #kept = "";
  /** Readings whose maps turned out not to be there, or not to be of this size. */
  readonly #gone = new Set<number>();

  constructor(name: string) {
    this.name = name;
  }

  /** Take what has come; whether anything did. */
  take({ header }: Reply): boolean {
    const { generation, after, steps, labels, events, logged, kept } = header as unknown as Readings;
    if (generation !== this.generation) this.#begin(generation);
    if (after !== this.steps.peek().length) return false;
    if (kept !== this.#kept) {
      this.#kept = kept;
      this.#settle();
    }
    if (steps.length === 0) return false;
    batch(() => {
      this.steps.value = [...this.steps.peek(), ...steps];
      if (labels) this.labels.value = [...(this.labels.peek() ?? []), ...labels];
      this.events.value = [
        ...this.events.peek(),
        ...events.map(([place, kind, text]) => ({ place, kind, text })),
      ].sort((one, other) => one.place - other.place);
      const known = this.logged.peek();
      this.logged.value = Object.fromEntries(
        Object.entries(logged).map(([name, values]) => [
          name,
          [...(known[name] ?? Array<null>(after).fill(null)), ...values],
        ]),
      );
    });
    return true;
  }

  /** The file was begun anew: nothing of before is of this run. */
  #begin(generation: number): void {
    this.generation = generation;
    this.#kept = "";
    this.#gone.clear();
    this.#frames = new Cache<Tile>(FRAMES);
    batch(() => {
      this.steps.value = [];
      this.labels.value = null;
      this.events.value = [];
      this.logged.value = {};
      this.keptAt.value = [];
      for (const curve of this.#curves.values()) curve.value = null;
    });
  }

  #settle(): void {
    let last = -1;
    this.keptAt.value = Array.from(this.#kept, (there, at) => {
      if (there === "1" && !this.#gone.has(at)) last = at;
      return last;
    });
  }

  /** The last reading at or before a step; 0 where it is before the first, -1 where there is none. */
  placeOf(step: number): number {
    const steps = this.steps.value;
    let [low, high] = [0, steps.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (steps[middle]! <= step) low = middle;
      else high = middle - 1;
    }
    return steps.length === 0 ? -1 : low;
  }

  curve(map: string, measure: string): Signal<Curve | null> {
    const name = `${map}/${measure}`;
    const known = this.#curves.get(name) ?? signal<Curve | null>(null);
    this.#curves.set(name, known);
    return known;
  }

  /** Take more of a curve. */
  extend(map: string, measure: string, { header, buffers }: Reply): void {
    const { after, shape } = header as unknown as { after: number; shape: [number, number, number] };
    const curve = this.curve(map, measure);
    const before = curve.peek();
    if (after !== (before?.count ?? 0)) return;
    const [more, layers, heads] = shape;
    const size = layers * heads;
    const count = after + more;
    let values = before?.values ?? new Float32Array(0);
    if (values.length < count * size) {
      // Room for as many again, so that a long training is not copied at every reading.
      const larger = new Float32Array(Math.max(count, 2 * after) * size);
      larger.set(values.subarray(0, after * size));
      values = larger;
    }
    values.set(numbers(Float32Array, buffers[0], more * size, "a curve"), after * size);
    curve.value = { count, layers, heads, values };
  }

  frame(map: string, layer: number, head: number, at: number): Tile | undefined {
    this.arrived.value;
    return this.#frames.get(frameName(map, layer, head, at));
  }

  hasFrame(map: string, layer: number, head: number, at: number): boolean {
    return this.#frames.has(frameName(map, layer, head, at));
  }

  /** Whether there is room for frames that nobody has asked for yet. */
  get roomy(): boolean {
    return this.#frames.bytes < FRAMES / 2;
  }

  takeFrames(told: MapTold, layer: number, head: number, { header, buffers }: Reply): void {
    let at = 0;
    const { size } = this.#gone;
    for (const one of header.frames as (TileHeader & { at: number; missing?: boolean })[]) {
      if (one.missing) {
        this.#gone.add(one.at);
        continue;
      }
      const own = buffers.slice(at, at + 3) as Bytes[];
      at += 3;
      const tile = decodeTile(one, own, told.n_keys ?? 0, told.causal ?? false);
      this.#frames.set(frameName(told.name, layer, head, one.at), tile);
    }
    if (this.#gone.size > size) this.#settle();
    if (at > 0) this.arrived.value++;
  }
}

const frameName = (map: string, layer: number, head: number, at: number): string =>
  `${map}/${layer}/${head}/${at}`;

/** The number of a head at a reading. */
export const valueAt = (curve: Curve | null, place: number, layer: number, head: number): number =>
  curve && place >= 0 && place < curve.count
    ? curve.values[(place * curve.layers + layer) * curve.heads + head]!
    : Number.NaN;
