/** The picture that somebody waits for: tile and row of the chosen head, and new facts, which come on the screen with them. */
import { batch, computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { Cache } from "../answers/cache";
import { LAYER_BYTES, Layers, layerQuestion } from "../answers/layers";
import type { Errand } from "../answers/order";
import { exactRow, type PlaceOfMap, refined, visibleTile, type Wanted, wholeTile } from "../answers/tile";
import type { Projections } from "../attention/projections";
import { decodeTile, type Tile, type TileHeader } from "../attention/tile";
import { type Facts, isWhole } from "../host/facts";
import { type AskOptions, type Reply, type Source, Withdrawn } from "../host/source";
import type { ShownTile, Store } from "./store";

const CACHE_BYTES = 32 * 1024 * 1024;
/** Neighbours of larger maps, and more rows of what is shown, are asked for when nothing has moved for so long. */
const SMALL = 512;
const STILL_AFTER = 250;
const COARSE: [number, number] = [256, 256];
/** So many facts are kept until a picture of them comes. */
const RECENT = 64;

interface Cached extends ShownTile {
  bytes: number;
}

type Kind = "tile" | "row";

/** An answer, and the facts that it is about. */
interface Came {
  shown: ShownTile;
  name: string;
  facts: Facts;
}

export class Chosen {
  /** The newest tile of the chosen head, before temperature. */
  readonly tile: Signal<ShownTile | null> = signal(null);
  /** Why there is no tile, or no row. */
  readonly faults: Signal<{ readonly [kind in Kind]?: string }> = signal({});
  /** Whether all that was told is on the screen, and the tile that is there belongs to the chosen head. */
  readonly isThere: ReadonlySignal<boolean>;
  readonly #wanted = computed(() => this.want());
  readonly #wantedRow = computed(() => this.#wantRow());

  readonly #store: Store;
  readonly #source: Source;
  readonly #onTurn: (before: Facts | null, after: Facts | null) => void;
  readonly #cache = new Cache<Cached>(CACHE_BYTES);
  readonly #layers = new Layers();
  /** Names of errands that failed, and how many came. */
  readonly #failed: Signal<ReadonlySet<string>> = signal(new Set());
  readonly #came = signal(0);
  /** Whole maps of heads of the chosen layer, by the names of their questions. */
  readonly #others: Signal<ReadonlyMap<string, Tile>> = signal(new Map());
  /** Facts that an answer may still be about: those on the screen, and what has come since. */
  #recent: Facts[] = [];
  /** What has come of facts that are not on the screen yet; null where all are. */
  readonly #coming: Signal<{ [kind in Kind]?: Came } | null> = signal(null);
  readonly #life = new AbortController();
  #facts: Facts | null = null;
  /** Names of the newest tile and row asked for, and of the tile that is there. */
  readonly #asked = { tile: "", row: "" };
  readonly #here = signal("");
  readonly #still = signal(false);
  #stillness = 0;

  constructor(store: Store, source: Source, onTurn: (before: Facts | null, after: Facts | null) => void) {
    this.#store = store;
    this.#source = source;
    this.#onTurn = onTurn;
    this.isThere = computed(() => this.#coming.value === null && store.isCurrent(this.tile.value));
  }

  /** Ask for what the choices want now; what is read here is what a change of it must call this again for. */
  follow(): void {
    const tile = this.#wanted.value;
    const row = this.#wantedRow.value;
    untracked(() => {
      if (tile) this.#load(tile, "tile");
      if (row) this.#load(row, "row");
    });
  }

  close(): void {
    window.clearTimeout(this.#stillness);
    this.#life.abort();
    this.#cache.clear();
    this.#layers.close();
  }

  retry(): void {
    this.faults.value = {};
    this.#failed.value = new Set();
    this.#asked.tile = "";
    this.#asked.row = "";
    if (this.#wanted.value) this.#load(this.#wanted.value, "tile");
    if (this.#wantedRow.value) this.#load(this.#wantedRow.value, "row");
  }

  /** True when the tile that is there is the one that was asked for last. */
  settled(): boolean {
    return this.#wanted.value?.name === this.#here.value;
  }

  /**
   * Ask for what new facts show; the old picture stays until that has come. A picture on its way is not withdrawn: facts
   * may change faster than pictures come.
   */
  turn(facts: Facts | null): void {
    const first = this.tile.value === null;
    this.#facts = facts;
    if (facts) this.#recent = [...this.#recent, facts].slice(-RECENT);
    this.#asked.tile = "";
    this.#asked.row = "";
    this.#here.value = "";
    this.#cache.clear();
    this.#layers.clear();
    this.#others.value = new Map();
    this.#failed.value = new Set();
    this.faults.value = {};
    this.#coming.value = {};
    if (first || !this.#wanted.value) this.#reveal(facts);
  }

  /** Facts, tile and row come on the screen together, so that no label stands beside another text's weights. */
  #reveal(facts: Facts | null): void {
    const { tile, row } = this.#coming.value ?? {};
    this.#recent = this.#recent.slice(facts ? this.#recent.indexOf(facts) : 0);
    batch(() => {
      this.#coming.value = facts === this.#facts ? null : {};
      const before = this.#store.facts.value;
      this.#store.facts.value = facts;
      this.#onTurn(before, facts);
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

  #place(): PlaceOfMap | null {
    const { shown } = this.#store.placesIn(this.#store.traits.facts.value);
    if (!shown) return null;
    const { facts, layer } = shown;
    return facts.n_queries * facts.n_keys * (facts.heads[layer] ?? 0) === 0 ? null : shown;
  }

  /** The tile of a head that the screen has room for. */
  want(place = this.#place()): Wanted | null {
    const store = this.#store;
    if (!place) return null;
    if (isWhole(place.facts)) return wholeTile(place);
    const [temperature, scaling] = store.sharpnessOf(place.facts);
    const sharpness = { temperature, scaling };
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
    if (this.faults.value[kind] !== undefined)
      this.faults.value = { ...this.faults.value, [kind]: undefined };
    if (kind === "tile") this.#stir();
    const seen = this.#cache.get(wanted.name);
    if (seen) {
      if (this.#facts) this.#show({ shown: seen, name: wanted.name, facts: this.#facts }, kind);
      return;
    }
    const show = (came: Came) => this.#show(came, kind);
    this.#fetch(wanted, kind, { signal: this.#life.signal }, show)
      .then(show)
      .catch((reason) => {
        if (this.#asked[kind] !== wanted.name || reason instanceof Withdrawn) return;
        this.faults.value = { ...this.faults.value, [kind]: sentenceOf(reason) };
        if (kind === "tile" && this.#coming.value) {
          this.#coming.value = {};
          this.#reveal(this.#facts);
        } else this.#revealWhenWhole();
      });
  }

  /** A tile that is here already. */
  seen({ name }: Wanted, facts: Facts): ShownTile | null {
    return facts === this.#facts ? (this.#cache.get(name) ?? null) : null;
  }

  /** Somebody else's tile, kept with the others; `show` is told when a better one comes after it. */
  async fetched(
    wanted: Wanted,
    kind: string,
    options: AskOptions,
    show: (came: Came) => void,
  ): Promise<void> {
    show(await this.#fetch(wanted, kind, options, show));
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
      this.#coming.value = { ...this.#coming.value, [kind]: came };
      this.#revealWhenWhole();
    } else if (kind === "row") this.#store.exactRow.value = shown;
    else {
      this.#here.value = facts === this.#facts ? name : "";
      this.tile.value = shown;
    }
  }

  #revealWhenWhole(): void {
    const coming = this.#coming.value;
    const row = coming?.row || !this.#wantedRow.value || this.faults.value.row !== undefined;
    if (coming?.tile && row) this.#reveal(coming.tile.facts);
  }

  /** A tile of a layer that is here, or of whoever has it; `better` is told where a better one comes after it. */
  async #fetch(
    wanted: Wanted,
    kind: string,
    options: AskOptions,
    better: (came: Came) => void = () => {},
  ): Promise<Came> {
    const asked = this.#facts!;
    const made = this.#make(wanted, asked);
    if (made) return made;
    const later = (reply: Reply) => {
      const came = this.#read(wanted, asked, reply);
      if (came) better(came);
    };
    const came = this.#read(wanted, asked, await this.#source.ask(kind, wanted.body, { ...options, later }));
    if (!came) throw new Withdrawn();
    return came;
  }

  /** What a reply shows. The kernel may have been shown other maps since it was asked, and its answer is about these. */
  #read(wanted: Wanted, asked: Facts, { header, buffers }: Reply): Came | null {
    const { version } = header;
    const facts = version === undefined ? asked : this.#recent.find((one) => one.version === version);
    const map = facts?.maps.find((one) => one.name === wanted.map);
    if (!facts || !map) return null;
    const tile = decodeTile(header as unknown as TileHeader, buffers, map.n_keys, map.causal);
    // What was asked of other facts is not what is wanted of these.
    return { ...this.#kept(wanted, facts, tile), name: facts === asked ? wanted.name : "" };
  }

  /** A whole map of a layer that is here needs nobody. */
  #make(wanted: Wanted, facts: Facts): Promise<Came> | null {
    const { name, body, ...place } = wanted;
    const map = facts.maps.find((one) => one.name === place.map);
    if (!map || !isWhole(map) || name !== wholeTile({ ...place, facts: map }).name) return null;
    const layer = layerQuestion(place.map, place.layer);
    const stored = this.#layers.has(layer.name) ? null : this.#source.atOnce(layer.body);
    if (stored) this.#layers.keep(layer.name, stored);
    const made = this.#layers.tile(layer.name, place.head, map);
    return made?.then((tile) => this.#kept(wanted, facts, tile)) ?? null;
  }

  #kept({ name, map, layer, head }: Wanted, facts: Facts, tile: Tile): Came {
    const shown = { map, layer, head, tile };
    if (facts === this.#facts) this.#cache.set(name, { ...shown, bytes: tile.bytes });
    return { shown, name, facts };
  }

  /** The layer of a head, so that its other heads need nobody; null where it is here. */
  layer(place = this.#place()): Errand | null {
    return place && this.#layerErrand(place, place.layer);
  }

  /** Queries and keys of that layer, where they are here. */
  projections(): Projections | null {
    // What is kept is no signal: it comes with an errand, or with a tile that is made of it.
    this.#came.value;
    this.tile.value;
    const place = this.#place();
    return place && this.#layers.projections(layerQuestion(place.map, place.layer).name);
  }

  /** Maps of further heads of the chosen layer, by head, as far as they are here; of the chosen one see `tile`. */
  tiles(): ReadonlyMap<number, Tile> {
    const place = this.#place();
    const found = new Map<number, Tile>();
    if (place && isWhole(place.facts))
      for (const [head, wanted] of this.#headsWanted(place)) {
        const tile = this.#others.value.get(wanted.name);
        if (tile) found.set(head, tile);
      }
    return found;
  }

  /** The next of some heads of the chosen layer whose whole map is not here. */
  heads(wanted: readonly number[]): Errand | null {
    const place = this.#place();
    if (!place || !isWhole(place.facts)) return null;
    const asked = this.#headsWanted(place);
    for (const head of wanted) {
      const tile = asked.get(head);
      if (!tile || this.#others.value.has(tile.name) || this.#failed.value.has(`head/${tile.name}`)) continue;
      return this.#errand(`head/${tile.name}`, async (signal) => {
        const facts = this.#facts;
        const came =
          this.#cache.get(tile.name) ?? (await this.#fetch(tile, "head", { signal, background: true })).shown;
        if (facts !== this.#facts) throw new Withdrawn();
        // Of other layers they are made again when somebody comes back.
        const names = new Set([...asked.values()].map(({ name }) => name));
        const kept = [...this.#others.value].filter(([name]) => names.has(name));
        this.#others.value = new Map([...kept, [tile.name, came.tile]]);
      });
    }
    return null;
  }

  #headsWanted(place: PlaceOfMap): Map<number, Wanted> {
    const heads = place.facts.heads[place.layer] ?? 0;
    return new Map([...Array(heads).keys()].map((head) => [head, wholeTile({ ...place, head })]));
  }

  /** What makes the next picture better or sooner: more rows of it once a person stays to look, then its neighbours. */
  better(): Errand | null {
    const place = this.#place();
    if (!place) return null;
    const still = this.#still.value && this.settled();
    const { facts } = place;
    const refine = still ? this.#refine() : null;
    if (refine) return refine;
    if (!still && Math.max(facts.n_queries, facts.n_keys) > SMALL) return null;
    for (const near of this.#headsAround(place)) {
      const wanted = this.want({ ...place, head: near });
      if (!wanted || this.#cache.has(wanted.name) || this.#failed.value.has(wanted.name)) continue;
      return this.#errand(wanted.name, async (signal) => {
        await this.#fetch(wanted, "prefetch", { signal, background: true });
      });
    }
    return still ? this.#layersAround(place) : null;
  }

  /** The neighbours of the chosen head, and where its layer is here all others, the nearest first, as far as they are kept. */
  #headsAround({ facts, map, layer, head }: PlaceOfMap): number[] {
    const heads = [...Array(facts.heads[layer] ?? 0).keys()].filter((other) => other !== head);
    const here = this.#layers.has(layerQuestion(map, layer).name);
    const tile = 2 * facts.n_queries * facts.n_keys;
    const most = here ? Math.floor(CACHE_BYTES / 2 / tile) : 2;
    return heads
      .sort((one, other) => Math.abs(one - head) - Math.abs(other - head) || other - one)
      .slice(0, Math.max(2, most))
      .filter((other) => here || Math.abs(other - head) === 1);
  }

  /** Do not try again. */
  giveUp(name: string): void {
    this.#failed.value = new Set(this.#failed.value).add(name);
  }

  /** What comes is told, so that the next errand is looked for. */
  #errand(name: string, run: (signal: AbortSignal) => Promise<void>): Errand {
    this.#came.value;
    return {
      name,
      run: async (signal) => {
        await run(signal);
        this.#came.value++;
      },
    };
  }

  #refine(): Errand | null {
    const wanted = this.#wanted.value;
    const shown = this.tile.value;
    const finer = wanted && shown && refined(wanted, shown.tile);
    const name = `refine/${finer?.name}`;
    if (!finer || this.#failed.value.has(name)) return null;
    return this.#errand(name, async (signal) => {
      const came = await this.#fetch(finer, "refine", { signal, background: true });
      if (this.#wanted.value?.name === finer.name) this.#show(came, "tile");
    });
  }

  /** Layers next to the chosen one, while they and it fit what is kept. */
  #layersAround(place: PlaceOfMap): Errand | null {
    const here = this.#layers.bytes(layerQuestion(place.map, place.layer).name);
    if (here === 0 || here * 3 > LAYER_BYTES) return null;
    return this.#layerErrand(place, place.layer + 1) ?? this.#layerErrand(place, place.layer - 1);
  }

  #layerErrand({ facts: map }: PlaceOfMap, layer: number): Errand | null {
    const { name, body } = layerQuestion(map.name, layer);
    if (!map.held?.[layer] || this.#layers.has(name) || this.#failed.value.has(name)) return null;
    const facts = this.#facts;
    return this.#errand(name, async (signal) => {
      const reply = await this.#source.ask("projections", body, { signal, background: true });
      // The kernel may have been shown other maps since.
      const { version } = reply.header;
      if (version !== undefined && version !== facts?.version) throw new Withdrawn();
      this.#layers.keep(name, reply);
    });
  }
}

const sentenceOf = (reason: unknown) => (reason instanceof Error ? reason.message : String(reason));
