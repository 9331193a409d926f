/** What is asked for, and in which order: the selected head, its layer, the grid, its measures, neighbours, findings. */
import { batch, computed, effect, type Signal, signal, untracked } from "@preact/signals";
import { decodeTile, numbers, type TileHeader } from "../attention/tile";
import type { ShownTile, Store } from "../explorer/store";
import { axisOf, type Facts, imageAxis, isWhole } from "../host/facts";
import { type AskOptions, type Reply, type Requests, Withdrawn } from "../host/requests";
import { Cache } from "./cache";
import type { Findings } from "./findings";
import { samePictures, standIns } from "./standins";
import { exactRow, type PlaceOfMap, refined, visibleTile, type Wanted, wholeTile } from "./wanted";

const CACHE_BYTES = 32 * 1024 * 1024;
/** Neighbours of larger maps, and more rows of what is shown, are asked for when nothing has moved for so long. */
const SMALL = 512;
const STILL_AFTER = 250;
const COARSE: [number, number] = [256, 256];
/** So long new facts must have stood, in ms, before more than their tile is asked for: a text may be growing. */
const STILL = 200;
/** So many facts are kept until a picture of them comes. */
const RECENT = 64;

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

/** What an image model saw: RGB, row by row. */
export interface Picture {
  height: number;
  width: number;
  pixels: Uint8Array;
}

interface Cached extends ShownTile {
  bytes: number;
}

interface Job {
  name: string;
  run(): Promise<void>;
}

type Kind = "tile" | "row";

/** An answer, and the facts that it is about. */
interface Came {
  shown: ShownTile;
  name: string;
  facts: Facts;
}

export const layerName = (map: string, layer: number) => `${map}/${layer}`;

export class Loader {
  readonly profiles: Signal<ReadonlyMap<string, Profile>> = signal(new Map());
  readonly thumbnails: Signal<ReadonlyMap<string, Thumbnails>> = signal(new Map());
  readonly measured: Signal<ReadonlyMap<string, Measured>> = signal(new Map());
  /** By the name of the map. */
  readonly findings: Signal<ReadonlyMap<string, Findings>> = signal(new Map());
  /** By the name of the map and the axis. */
  readonly pictures: Signal<ReadonlyMap<string, Picture>> = signal(new Map());
  /** Sentences of what failed, by the name of what was asked for. */
  readonly faults: Signal<ReadonlyMap<string, string>> = signal(new Map());
  /** The newest tile of the chosen head, before temperature. */
  readonly tile: Signal<ShownTile | null> = signal(null);
  readonly #wanted = computed(() => this.#want());
  readonly #wantedRow = computed(() => this.#wantRow());

  readonly #store: Store;
  readonly #requests: Requests;
  readonly #cache = new Cache<Cached>(CACHE_BYTES);
  /** What the kernel has answered since the facts came; what is not among it stands in from earlier ones. */
  readonly #answered = new Set<string>();
  /** Facts that an answer may still be about: those on the screen, and what has come since. */
  #recent: Facts[] = [];
  /** What has come of facts that are not on the screen yet; null where all are. */
  #coming: { [kind in Kind]?: Came } | null = null;
  #epoch = new AbortController();
  readonly #life = new AbortController();
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
        store.view.value;
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
    this.#life.abort();
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
    const thumbnails = this.thumbnails.value;
    const there = map.heads.filter(
      (_, layer) => thumbnails.size > 0 && this.isFresh("thumbnails", layerName(map.name, layer)),
    );
    return there.length / map.heads.length;
  }

  /** Whether an answer is about the maps that are shown, and no stand-in. */
  isFresh(op: string, name: string): boolean {
    return this.#answered.has(`${op}/${name}`);
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

  /**
   * Ask for what new facts show; the old picture stays until that has come. What was asked before is withdrawn, except
   * for a picture on its way: facts may change faster than pictures come.
   */
  #restart(facts: Facts | null): void {
    const first = this.tile.value === null;
    this.#facts = facts;
    if (facts) this.#recent = [...this.#recent, facts].slice(-RECENT);
    this.#asked.tile = "";
    this.#asked.row = "";
    this.#here.value = "";
    this.#epoch.abort();
    this.#wake();
    this.#epoch = new AbortController();
    this.#cache.clear();
    this.#answered.clear();
    this.faults.value = new Map();
    this.#coming = {};
    if (first || !this.#wanted.value) this.#reveal(facts);
    if (this.#store.told.value) void this.#background(this.#epoch.signal, first ? 0 : STILL);
  }

  /** Facts, tile and row come on the screen together, so that no label stands beside another text's weights. */
  #reveal(facts: Facts | null): void {
    const { tile, row } = this.#coming ?? {};
    this.#coming = facts === this.#facts ? null : {};
    this.#recent = this.#recent.slice(facts ? this.#recent.indexOf(facts) : 0);
    batch(() => {
      const before = this.#store.facts.value;
      this.#store.facts.value = facts;
      this.#forget(before, facts);
      this.tile.value = tile?.shown ?? null;
      this.#here.value = (facts === this.#facts && tile?.name) || "";
      this.#store.exactRow.value = row?.facts === facts ? row.shown : null;
      if (!tile) this.#store.drawn.value = null;
      const hover = this.#store.hover.value;
      const map = this.#store.map.value;
      const gone = (hover?.query ?? 0) >= (map?.n_queries ?? 0) || (hover?.key ?? 0) >= (map?.n_keys ?? 0);
      if (gone) this.#store.hover.value = null;
    });
  }

  /** Small pictures and numbers stand in for the new ones of the same heads; findings do not. */
  #forget(before: Facts | null, after: Facts | null): void {
    this.profiles.value = standIns(this.profiles.value, before, after);
    this.thumbnails.value = standIns(this.thumbnails.value, before, after);
    this.measured.value = standIns(this.measured.value, before, after);
    this.findings.value = new Map();
    const pictures = samePictures(this.pictures.value, before, after);
    for (const name of this.pictures.value.keys()) this.#answered.delete(`picture/${name}`);
    for (const name of pictures.keys()) this.#answered.add(`picture/${name}`);
    this.pictures.value = pictures;
  }

  #place(): PlaceOfMap | null {
    const { told, traits } = this.#store;
    const facts = told.value;
    if (!facts) return null;
    const inside = (value: number, count: number) => Math.min(Math.max(0, Math.trunc(value) || 0), count - 1);
    const layer = inside(traits.layer.value, facts.heads.length);
    const head = inside(traits.head.value, facts.heads[layer] ?? 0);
    const empty = facts.n_queries * facts.n_keys * (facts.heads[layer] ?? 0) === 0;
    return empty ? null : { facts, map: facts.name, layer, head };
  }

  #want(place = this.#place()): Wanted | null {
    const store = this.#store;
    if (!place) return null;
    if (isWhole(place.facts)) return wholeTile(place);
    const sharpness = { temperature: store.temperature.value, scaling: store.scaling.value };
    // Without a heatmap on the screen a coarse tile is enough for what else is shown.
    const device = store.view.value === "heatmap" ? store.device.value : COARSE;
    return (
      device && visibleTile(place, store.windowOf(place.facts), device, sharpness, store.traits.pooling.value)
    );
  }

  #wantRow(): Wanted | null {
    const place = this.#place();
    const query = this.#store.reading.value;
    if (!place || query === null || query >= place.facts.n_queries) return null;
    return isWhole(place.facts) ? null : exactRow(place, query);
  }

  #load(wanted: Wanted, kind: Kind): void {
    if (this.#asked[kind] === wanted.name) return;
    this.#asked[kind] = wanted.name;
    this.#forgive(kind);
    if (kind === "tile") this.#stir();
    const seen = this.#cache.get(wanted.name);
    if (seen) {
      if (this.#facts) this.#show({ shown: seen, name: wanted.name, facts: this.#facts }, kind);
      return;
    }
    this.#fetch(wanted, kind, { signal: this.#life.signal })
      .then((came) => this.#show(came, kind))
      .catch((reason) => {
        if (this.#asked[kind] !== wanted.name || reason instanceof Withdrawn) return;
        this.#fail(kind, reason);
        if (kind === "tile" && this.#coming) {
          this.#coming = {};
          this.#reveal(this.#facts);
        } else this.#revealWhenWhole();
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
  #show(came: Came, kind: Kind): void {
    const { shown, name, facts } = came;
    const place = this.#place();
    if (place?.map !== shown.map || place.layer !== shown.layer || place.head !== shown.head) return;
    if (!this.#recent.includes(facts)) return;
    if (facts !== this.#store.facts.value) {
      this.#coming = { ...this.#coming, [kind]: came };
      this.#revealWhenWhole();
    } else if (kind === "row") this.#store.exactRow.value = shown;
    else {
      this.#here.value = facts === this.#facts ? name : "";
      this.tile.value = shown;
    }
  }

  #revealWhenWhole(): void {
    const row = this.#coming?.row || !this.#wantedRow.value || this.faults.value.has("row");
    if (this.#coming?.tile && row) this.#reveal(this.#coming.tile.facts);
  }

  async #fetch({ name, body, ...place }: Wanted, kind: string, options: AskOptions = {}): Promise<Came> {
    const asked = this.#facts!;
    const { header, buffers } = await this.#requests.ask(kind, body, {
      signal: this.#epoch.signal,
      ...options,
    });
    // The kernel may have been shown other maps since, and its answer is about these.
    const { version } = header;
    const facts = version === undefined ? asked : this.#recent.find((one) => one.version === version);
    const map = facts?.maps.find((one) => one.name === place.map);
    if (!facts || !map) throw new Withdrawn();
    const tile = decodeTile(header as unknown as TileHeader, buffers, map.n_keys, map.causal);
    const shown = { map: place.map, layer: place.layer, head: place.head, tile };
    if (facts === this.#facts) this.#cache.set(name, { ...shown, bytes: tile.bytes });
    // What was asked of other facts is not what is wanted of these.
    return { shown, name: facts === asked ? name : "", facts };
  }

  /** One thing after another, each chosen when the last has come, so that a new choice never waits for the grid. */
  async #background(epoch: AbortSignal, delay: number): Promise<void> {
    if (delay > 0) await new Promise((resolve) => window.setTimeout(resolve, delay));
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
    if (!place || this.#coming || !this.#store.isCurrent(this.tile.value)) return null;
    const { facts, map, layer, head } = place;
    const layers = [layer, ...[...facts.heads.keys()].filter((other) => other !== layer)];
    const jobs: Job[] = [];
    const axis = this.#store.view.value === "image" ? imageAxis(facts) : null;
    if (axis && axisOf(facts, axis).image?.picture) jobs.push(this.#pictureJob(map, axis));
    jobs.push(this.#profileJob(map, layer));
    for (const other of layers) jobs.push(this.#thumbnailsJob(map, other));
    const measures = facts.measures?.length ?? 0;
    // Numbers are read when somebody wants to see them: the kernel has better things to do.
    const wanted = facts.measures?.some(({ name }) => name === this.#store.traits.measure.value);
    for (const other of wanted ? layers : []) jobs.push(this.#measuresJob(map, other, measures));
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
    if (facts.diagnosed) {
      // A layer at a time, so that a click never waits for a whole diagnosis.
      for (const other of layers)
        jobs.push(this.#job("vitals", layerName(map, other), { map, layer: other }));
      jobs.push(this.#findingsJob(map));
    }
    return jobs.find(({ name }) => !this.#answered.has(name) && !this.faults.value.has(name)) ?? null;
  }

  /** Ask for something once, and keep what comes. */
  #job(op: string, name: string, about: object, keep: (reply: Reply) => void = () => {}): Job {
    const run = async () => {
      const reply = await this.#ask({ op, ...about });
      this.#answered.add(`${op}/${name}`);
      keep(reply);
    };
    return { name: `${op}/${name}`, run };
  }

  #pictureJob(map: string, axis: string): Job {
    const name = `${map}/${axis}`;
    return this.#job("picture", name, { map, axis }, ({ header, buffers }) => {
      const [height, width] = [Number(header.height), Number(header.width)];
      const pixels = numbers(Uint8Array, buffers[0], height * width * 3, "picture");
      this.pictures.value = new Map(this.pictures.value).set(name, { height, width, pixels });
    });
  }

  /** More rows of what is shown, once a person stays to look. */
  #refineJob(): Job | null {
    const wanted = this.#wanted.value;
    const shown = this.tile.value;
    const finer = wanted && shown && refined(wanted, shown.tile);
    if (!finer) return null;
    const run = async () => {
      const came = await this.#fetch(finer, "refine", { background: true });
      if (this.#wanted.value?.name === finer.name) this.#show(came, "tile");
    };
    return { name: `refine/${finer.name}`, run };
  }

  #profileJob(map: string, layer: number): Job {
    const name = layerName(map, layer);
    return this.#job("profile", name, { map, layer }, ({ header, buffers }) => {
      const entropy = numbers(Float32Array, buffers[0], Number(header.heads), "entropy");
      const profile = { entropy, uniform: Number(header.uniform) };
      this.profiles.value = new Map(this.profiles.value).set(name, profile);
    });
  }

  #thumbnailsJob(map: string, layer: number): Job {
    const name = layerName(map, layer);
    return this.#job("thumbnails", name, { map, layer }, ({ header, buffers }) => {
      const { heads, shape, peak } = header as unknown as Omit<Thumbnails, "values">;
      const values = numbers(Uint8Array, buffers[0], heads * shape[0] * shape[1], "thumbnails");
      this.thumbnails.value = new Map(this.thumbnails.value).set(name, { heads, shape, peak, values });
    });
  }

  #measuresJob(map: string, layer: number, measures: number): Job {
    const name = layerName(map, layer);
    return this.#job("measures", name, { map, layer }, ({ header, buffers }) => {
      const heads = Number(header.heads);
      const values = numbers(Float32Array, buffers[0], measures * heads, "measures");
      this.measured.value = new Map(this.measured.value).set(name, { heads, values });
    });
  }

  #findingsJob(map: string): Job {
    return this.#job("findings", map, { map }, ({ header }) => {
      this.findings.value = new Map(this.findings.value).set(map, header as unknown as Findings);
    });
  }

  #ask(body: { op: string }): Promise<Reply> {
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
