/** What is asked for, and in which order: the selected head, its layer, the grid, its measures, neighbours, findings. */
import { computed, effect, type Signal, signal, untracked } from "@preact/signals";
import { decodeTile, numbers, type TileHeader } from "../attention/tile";
import type { ShownTile, Store } from "../store";
import { Cache } from "./cache";
import { type Facts, isWhole } from "./facts";
import type { Findings } from "./findings";
import { type AskOptions, type Reply, type Requests, Withdrawn } from "./requests";
import { exactRow, type PlaceOfMap, refined, visibleTile, type Wanted, wholeTile } from "./wanted";

const CACHE_BYTES = 32 * 1024 * 1024;
/** Neighbours of larger maps, and more rows of what is shown, are asked for when nothing has moved for so long. */
const SMALL = 512;
const STILL_AFTER = 250;
const COARSE: [number, number] = [256, 256];

/** Mean entropy of every head of a layer, in nats. */
export interface Profile {
  entropy: Float32Array;
  /** What a head that looks everywhere alike would have. */
  uniform: number;
}

/** Small pictures of a layer's heads: 255 * sqrt(weight). */
export interface Thumbnails {
  heads: number;
  shape: [number, number];
  peak: number[];
  values: Uint8Array;
}

/** Every measure of a layer's heads, one after another in the order of the facts; NaN where there is no such number. */
export interface Measured {
  heads: number;
  values: Float32Array;
}

interface Cached extends ShownTile {
  bytes: number;
}

interface Job {
  name: string;
  run(): Promise<void>;
}

export const layerName = (map: string, layer: number) => `${map}/${layer}`;

export class Loader {
  readonly profiles: Signal<ReadonlyMap<string, Profile>> = signal(new Map());
  readonly thumbnails: Signal<ReadonlyMap<string, Thumbnails>> = signal(new Map());
  readonly measured: Signal<ReadonlyMap<string, Measured>> = signal(new Map());
  /** By the name of the map. */
  readonly findings: Signal<ReadonlyMap<string, Findings>> = signal(new Map());
  /** Sentences of what failed, by the name of what was asked for. */
  readonly faults: Signal<ReadonlyMap<string, string>> = signal(new Map());
  /** The newest tile of the chosen head, before temperature. */
  readonly tile: Signal<ShownTile | null> = signal(null);
  readonly #wanted = computed(() => this.#want());
  readonly #wantedRow = computed(() => this.#wantRow());

  readonly #store: Store;
  readonly #requests: Requests;
  readonly #cache = new Cache<Cached>(CACHE_BYTES);
  /** Layers that the kernel has looked at for the findings. */
  readonly #examined = new Set<string>();
  #epoch = new AbortController();
  #wake: () => void = () => {};
  #facts: Facts | null = null;
  /** Names of the newest tile and row asked for, and of the tile that is there. */
  readonly #asked = { tile: "", row: "" };
  readonly #here = signal("");
  readonly #still = signal(false);
  #stillness = 0;
  readonly #stops: (() => void)[];

  constructor(store: Store, requests: Requests) {
    this.#store = store;
    this.#requests = requests;
    this.#stops = [
      effect(() => {
        const facts = store.traits.facts.value;
        const tile = this.#wanted.value;
        const row = this.#wantedRow.value;
        untracked(() => {
          if (facts !== this.#facts) this.#restart(facts);
          if (tile) this.#load(tile, "tile");
          if (row) this.#load(row, "row");
        });
      }),
      effect(() => {
        // Anything the order depends on wakes the queue.
        store.map.value;
        store.layer.value;
        store.head.value;
        store.traits.measure.value;
        this.tile.value;
        this.faults.value;
        this.#still.value;
        this.#wake();
      }),
    ];
  }

  close(): void {
    for (const stop of this.#stops) stop();
    window.clearTimeout(this.#stillness);
    this.#epoch.abort();
    this.#wake();
    this.#cache.clear();
  }

  retry(): void {
    this.faults.value = new Map();
    this.#requests.retry();
    this.#asked.tile = "";
    this.#asked.row = "";
    if (this.#wanted.value) this.#load(this.#wanted.value, "tile");
    if (this.#wantedRow.value) this.#load(this.#wantedRow.value, "row");
  }

  /** Share of the grid that is there, 0 to 1. */
  progress(): number {
    const map = this.#store.map.value;
    if (!map || map.heads.length === 0) return 1;
    const there = map.heads.filter((_, layer) => this.thumbnails.value.has(layerName(map.name, layer)));
    return there.length / map.heads.length;
  }

  /** A measure of a head, by its place in the facts; NaN where it does not exist, undefined while it has not come. */
  measureOf(map: string, layer: number, head: number, index: number): number | undefined {
    const there = this.measured.value.get(layerName(map, layer));
    return there && head < there.heads ? there.values[index * there.heads + head] : undefined;
  }

  /** True when the tile that is there is the one that was asked for last. */
  settled(): boolean {
    return this.#wanted.value?.name === this.#here.value;
  }

  #restart(facts: Facts | null): void {
    this.#facts = facts;
    this.#asked.tile = "";
    this.#asked.row = "";
    this.#here.value = "";
    this.#epoch.abort();
    this.#wake();
    this.#epoch = new AbortController();
    this.#cache.clear();
    this.profiles.value = new Map();
    this.thumbnails.value = new Map();
    this.measured.value = new Map();
    this.findings.value = new Map();
    this.#examined.clear();
    this.faults.value = new Map();
    this.tile.value = null;
    this.#store.exactRow.value = null;
    this.#store.drawn.value = null;
    this.#store.hover.value = null;
    if (this.#store.map.value) void this.#background(this.#epoch.signal);
  }

  #place(): PlaceOfMap | null {
    const { map, layer, head, empty } = this.#store;
    const facts = map.value;
    return facts && !empty.value ? { facts, map: facts.name, layer: layer.value, head: head.value } : null;
  }

  #want(place = this.#place()): Wanted | null {
    const store = this.#store;
    if (!place) return null;
    if (isWhole(place.facts)) return wholeTile(place);
    const sharpness = { temperature: store.temperature.value, scaling: store.scaling.value };
    // Without a heatmap on the screen a coarse tile is enough for what else is shown.
    const device = store.traits.view.value === "heatmap" ? store.device.value : COARSE;
    return device && visibleTile(place, store.window.value, device, sharpness, store.traits.pooling.value);
  }

  #wantRow(): Wanted | null {
    const place = this.#place();
    const { query } = this.#store.pin.value;
    return place && query !== null && !isWhole(place.facts) ? exactRow(place, query) : null;
  }

  #load(wanted: Wanted, kind: "tile" | "row"): void {
    if (this.#asked[kind] === wanted.name) return;
    this.#asked[kind] = wanted.name;
    this.#forgive(kind);
    if (kind === "tile") this.#stir();
    const seen = this.#cache.get(wanted.name);
    if (seen) {
      this.#show(seen, kind, wanted.name);
      return;
    }
    this.#fetch(wanted, kind)
      .then((shown) => this.#show(shown, kind, wanted.name))
      .catch((reason) => {
        if (this.#asked[kind] === wanted.name) this.#fail(kind, reason);
      });
  }

  #stir(): void {
    this.#still.value = false;
    window.clearTimeout(this.#stillness);
    this.#stillness = window.setTimeout(() => {
      this.#still.value = true;
    }, STILL_AFTER);
  }

  /** An answer that is late still shows the right head at an older window or temperature, until the next one. */
  #show(shown: ShownTile, kind: "tile" | "row", name: string): void {
    if (!this.#store.isCurrent(shown)) return;
    if (kind === "row") {
      this.#store.exactRow.value = shown;
      return;
    }
    this.#here.value = name;
    this.tile.value = shown;
  }

  async #fetch({ name, body, ...place }: Wanted, kind: string, options: AskOptions = {}): Promise<ShownTile> {
    const facts = this.#store.map.value!;
    const epoch = this.#epoch.signal;
    const reply = await this.#requests.ask(kind, body, { signal: epoch, ...options });
    const tile = decodeTile(reply.header as unknown as TileHeader, reply.buffers, facts.n_keys, facts.causal);
    const shown = { map: place.map, layer: place.layer, head: place.head, tile };
    this.#cache.set(name, { ...shown, bytes: tile.bytes });
    return shown;
  }

  /** One thing after another, each chosen when the last has come, so that a new choice never waits for the grid. */
  async #background(epoch: AbortSignal): Promise<void> {
    while (!epoch.aborted) {
      const job = this.#next();
      if (!job) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        await job.run();
      } catch (reason) {
        if (epoch.aborted) return;
        this.#fail(job.name, reason);
      }
    }
  }

  #next(): Job | null {
    const place = this.#place();
    if (!place || !this.#store.isCurrent(this.tile.value)) return null;
    const { facts, map, layer, head } = place;
    const layers = [layer, ...[...facts.heads.keys()].filter((other) => other !== layer)];
    const jobs: Job[] = [];
    if (!this.profiles.value.has(layerName(map, layer))) jobs.push(this.#profileJob(map, layer));
    for (const other of layers) {
      if (!this.thumbnails.value.has(layerName(map, other))) jobs.push(this.#thumbnailsJob(map, other));
    }
    const measures = facts.measures?.length ?? 0;
    // Numbers are read when somebody wants to see them: the kernel has better things to do.
    const wanted = facts.measures?.some(({ name }) => name === this.#store.traits.measure.value);
    for (const other of wanted ? layers : []) {
      if (!this.measured.value.has(layerName(map, other))) jobs.push(this.#measuresJob(map, other, measures));
    }
    const still = this.#still.value && this.settled();
    const refine = still && this.#refineJob();
    if (refine) jobs.push(refine);
    if (still || Math.max(facts.n_queries, facts.n_keys) <= SMALL) {
      for (const near of [head + 1, head - 1]) {
        if (near < 0 || near >= (facts.heads[layer] ?? 0)) continue;
        const wanted = this.#want({ facts, map, layer, head: near });
        if (!wanted || this.#cache.has(wanted.name)) continue;
        jobs.push({
          name: wanted.name,
          run: async () => void (await this.#fetch(wanted, "prefetch", { background: true })),
        });
      }
    }
    if (facts.diagnosed && !this.findings.value.has(map)) {
      // A layer at a time, so that a click never waits for a whole diagnosis.
      for (const other of layers) {
        if (!this.#examined.has(layerName(map, other))) jobs.push(this.#vitalsJob(map, other));
      }
      jobs.push(this.#findingsJob(map));
    }
    return jobs.find((job) => !this.faults.value.has(job.name)) ?? null;
  }

  /** More rows of what is shown, once a person stays to look. */
  #refineJob(): Job | null {
    const wanted = this.#wanted.value;
    const shown = this.tile.value;
    const finer = wanted && shown && refined(wanted, shown.tile);
    if (!finer) return null;
    const run = async () => {
      const tile = await this.#fetch(finer, "refine", { background: true });
      if (this.#wanted.value?.name === finer.name) this.#show(tile, "tile", finer.name);
    };
    return { name: `refine/${finer.name}`, run };
  }

  #profileJob(map: string, layer: number): Job {
    const run = async () => {
      const { header, buffers } = await this.#ask({ op: "profile", map, layer });
      const entropy = numbers(Float32Array, buffers[0], Number(header.heads), "entropy");
      const profile = { entropy, uniform: Number(header.uniform) };
      this.profiles.value = new Map(this.profiles.value).set(layerName(map, layer), profile);
    };
    return { name: `profile/${layerName(map, layer)}`, run };
  }

  #thumbnailsJob(map: string, layer: number): Job {
    const run = async () => {
      const { header, buffers } = await this.#ask({ op: "thumbnails", map, layer });
      const { heads, shape, peak } = header as unknown as Omit<Thumbnails, "values">;
      const values = numbers(Uint8Array, buffers[0], heads * shape[0] * shape[1], "thumbnails");
      this.thumbnails.value = new Map(this.thumbnails.value).set(layerName(map, layer), {
        heads,
        shape,
        peak,
        values,
      });
    };
    return { name: `thumbnails/${layerName(map, layer)}`, run };
  }

  #measuresJob(map: string, layer: number, measures: number): Job {
    const run = async () => {
      const { header, buffers } = await this.#ask({ op: "measures", map, layer });
      const heads = Number(header.heads);
      const values = numbers(Float32Array, buffers[0], measures * heads, "measures");
      this.measured.value = new Map(this.measured.value).set(layerName(map, layer), { heads, values });
    };
    return { name: `measures/${layerName(map, layer)}`, run };
  }

  #vitalsJob(map: string, layer: number): Job {
    const run = async () => {
      await this.#ask({ op: "vitals", map, layer });
      this.#examined.add(layerName(map, layer));
    };
    return { name: `vitals/${layerName(map, layer)}`, run };
  }

  #findingsJob(map: string): Job {
    const run = async () => {
      const { header } = await this.#ask({ op: "findings", map });
      this.findings.value = new Map(this.findings.value).set(map, header as unknown as Findings);
    };
    return { name: `findings/${map}`, run };
  }

  #ask(body: { op: string; map: string; layer?: number }): Promise<Reply> {
    return this.#requests.ask(body.op, body, { signal: this.#epoch.signal, background: true });
  }

  #fail(name: string, reason: unknown): void {
    if (reason instanceof Withdrawn) return;
    const sentence = reason instanceof Error ? reason.message : String(reason);
    this.faults.value = new Map(this.faults.value).set(name, sentence);
  }

  #forgive(name: string): void {
    if (!this.faults.value.has(name)) return;
    const faults = new Map(this.faults.value);
    faults.delete(name);
    this.faults.value = faults;
  }
}
