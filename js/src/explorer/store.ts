/** What the views share: the choices, what they lead to, and the transient hover. One a view; nothing is global. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Column } from "../answers/column";
import type { Place } from "../answers/tile";
import { colourOf, colourTable, type Rgb, ramp } from "../attention/colour";
import { Temper, type Tempered, weightOf } from "../attention/temper";
import { MASKED, type Tile } from "../attention/tile";
import { isFitted, type Window } from "../drawing/geometry";
import { type Facts, isTempered, isWhole, type MapFacts, type Measure } from "../host/facts";
import type { Colours } from "../host/theme";
import { Lesson } from "../lesson/lesson";
import type { Traits } from "./choices";
import { columnOf } from "./column";
import { join, maskOf, type PinnedRow, rowOf } from "./pinned";
import { Range, type UpperEnd } from "./range";

export interface Cell {
  query: number | null;
  key: number | null;
}

/** A cell under the pointer or the cursor, and what it was pointed at in. */
export interface Hover extends Cell {
  from: string;
}

/** What the choices have to know of a view. */
export interface Kind {
  name: string;
  /** Whether a map can be seen so; all can where it is not said. */
  suits?: (map: MapFacts) => boolean;
  /** Whether it shows the row of some query even where none is pinned: the first one's. */
  reads?: boolean;
}

export interface ShownTile extends Place {
  tile: Tile;
}

/** A tile with its temperature applied; the arrays are reused from step to step. */
export interface Drawn extends ShownTile, Tempered {}

/** Before the first layout. */
const TALLEST = 720;

/** All layers, in the order in which they are wanted. */
export function chosenFirst(store: Store, map: MapFacts): number[] {
  const chosen = store.layer.value;
  return [chosen, ...[...map.heads.keys()].filter((layer) => layer !== chosen)];
}

/** Whether a layer of the maps holds all those before it, or there is one layer for all. */
const isSummed = ({ derived, heads }: MapFacts): boolean =>
  derived === "rollout" || (Boolean(derived) && heads.length === 1);

const within = (value: number, count: number) =>
  Math.min(Math.max(0, Math.trunc(value) || 0), Math.max(0, count - 1));
const index = (value: number | null, count: number) =>
  value !== null && value >= 0 && value < count ? value : null;

export class Store {
  readonly traits: Traits;
  readonly colours: Signal<Colours>;

  readonly hover: Signal<Hover | null> = signal(null);
  /** The visible part; a zoom is one map's own, and stays while that map grows. */
  readonly window: ReadonlySignal<Window>;
  readonly #zoom: Signal<{ map: string; window: Window } | null> = signal(null);
  /** Width that the main view has, in CSS pixels; 0 before the first layout. */
  readonly room: Signal<number> = signal(0);
  /** Height that the main view may have, in CSS pixels, labels included. */
  readonly tallest: Signal<number> = signal(TALLEST);
  /** Whether the widget has the whole screen. */
  readonly full: Signal<boolean> = signal(false);
  /** Where the page lets a widget have the whole screen. */
  toggleFull: (() => void) | null = null;
  /** Whether the map stands below as a table too. */
  readonly tabled: Signal<boolean> = signal(false);
  /** How much of the picture its weights cover, 0 to 1. */
  readonly overlay: Signal<number> = signal(0.7);
  /** Size of the drawn cells in device pixels, [height, width]; null before the first layout. */
  readonly device: Signal<[number, number] | null> = signal(null);
  /** Exact row of the query that is read, where the tile is pooled. */
  readonly exactRow: Signal<ShownTile | null> = signal(null);
  /** Exact rows of the queries that are pinned beside it, as far as they are here; of tiles that are not pooled none. */
  readonly otherRows: Signal<readonly Tile[]> = signal([]);
  /** How far columns of words are scrolled that are longer than their window, in CSS pixels. */
  readonly scrolled: Signal<number> = signal(0);
  /** From which text of several to which lines are drawn, by their places; below 0 for all. */
  readonly between: Signal<{ from: number; to: number }> = signal({ from: -1, to: -1 });
  /** The newest column of a long map that was asked for. */
  readonly askedColumn: Signal<Column | null> = signal(null);
  readonly drawn: Signal<Drawn | null> = signal(null);
  /** The largest weight of the chosen head, untempered; null where that is not known. */
  readonly peak: Signal<number | null> = signal(null);
  /** What the view of the main area has on the screen: whatever its picture was made of. */
  readonly onScreen: Signal<object | null> = signal(null);
  /** Layers of which the grid has heads in sight; null before that is known. */
  readonly inSight: Signal<ReadonlySet<number> | null> = signal(null);
  /** Whether the findings are open, once somebody has said. */
  readonly openFindings: Signal<boolean | null> = signal(null);
  /** Counts how often somebody asked by key to find a token. */
  readonly find: Signal<number> = signal(0);
  readonly keysShown: Signal<boolean> = signal(false);
  /** Read out by screen readers. */
  readonly said = signal("");
  readonly lesson: Lesson;

  /** The facts that are shown: new ones come on the screen together with their first tile. */
  readonly facts: Signal<Facts | null>;
  readonly map: ReadonlySignal<MapFacts | null>;
  /** The map of the newest facts, which may not be on the screen yet. */
  readonly told: ReadonlySignal<MapFacts | null>;
  /** The chosen view, where the map has it. */
  readonly view: ReadonlySignal<string>;
  /** True where there is nothing to look at: no map, no token or no head. */
  readonly empty: ReadonlySignal<boolean>;
  /** Whether points stand for several cells where the map is small enough for single ones, or where nobody has finer. */
  readonly isCoarse: ReadonlySignal<boolean>;
  readonly layer: ReadonlySignal<number>;
  readonly head: ReadonlySignal<number>;
  /** The measure that badges the grid, and its place among those of the map; null for none. */
  readonly measure: ReadonlySignal<(Measure & { index: number }) | null>;
  /** Both are 1 for a derived map: they act on one head's scores. */
  readonly temperature: ReadonlySignal<number>;
  readonly scaling: ReadonlySignal<number>;
  readonly pin: ReadonlySignal<Cell>;
  /** The query whose row is read: the pinned one, or where an image must show some row, its first token. */
  readonly reading: ReadonlySignal<number | null>;
  /** Queries that are pinned beside it. */
  readonly also: ReadonlySignal<readonly number[]>;
  /** The word that is looked at, where what is read is who looks: the pinned key, or in one text the pinned word. */
  readonly lookedAt: ReadonlySignal<number | null>;
  /** What each query gives to it; null while that is not known. */
  readonly column: ReadonlySignal<Omit<Column, "layer" | "head"> | null>;
  readonly ramp: ReadonlySignal<ReturnType<typeof ramp>>;
  readonly paint: ReadonlySignal<{ table: Uint32Array } & UpperEnd>;
  /** The colour of a weight where the colours end at another. */
  readonly tint: ReadonlySignal<(weight: number, largest: number) => Rgb>;
  readonly pinned: ReadonlySignal<PinnedRow | null>;

  /** Layer and head that were chosen of maps that have both. */
  #left: [layer: number, head: number] = [0, 0];
  readonly #range = new Range();
  readonly #temper = new Temper();
  readonly #rowTemper = new Temper();
  readonly #table = colourTable([[0, 0, 0]], 1, "linear");

  /** The first of the views shows whatever the others cannot; `alone` where all answers are in this page. */
  constructor(traits: Traits, colours: Signal<Colours>, views: readonly Kind[], alone = false) {
    this.traits = traits;
    this.colours = colours;
    const chosen = ({ value: facts }: Signal<Facts | null>) =>
      facts?.maps.find(({ name }) => name === traits.map.value) ?? facts?.maps[0] ?? null;
    this.facts = signal(traits.facts.peek());
    this.lesson = new Lesson(
      computed(() => traits.facts.value?.lesson ?? null),
      traits.guesses,
    );
    this.map = computed(() => chosen(this.facts));
    this.told = computed(() => chosen(traits.facts));
    const kind = computed(() => {
      const map = this.map.value;
      const chosen = views.find(({ name }) => name === traits.view.value);
      return chosen && map && (chosen.suits?.(map) ?? true) ? chosen : views[0]!;
    });
    this.view = computed(() => kind.value.name);
    this.empty = computed(() => {
      const map = this.map.value;
      return !map || map.n_queries * map.n_keys * (map.heads[this.layer.value] ?? 0) === 0;
    });
    this.isCoarse = computed(() => {
      const [map, drawn] = [this.map.value, this.drawn.value];
      return map !== null && drawn !== null && (alone || isWhole(map)) && !drawn.tile.exact;
    });
    this.window = computed(() => this.windowOf(this.map.value));
    this.layer = computed(() => within(traits.layer.value, this.map.value?.heads.length ?? 0));
    this.head = computed(() => within(traits.head.value, this.map.value?.heads[this.layer.value] ?? 0));
    this.measure = computed(() => {
      const measures = this.map.value?.measures ?? [];
      const index = measures.findIndex(({ name }) => name === traits.measure.value);
      return index < 0 ? null : { ...measures[index]!, index };
    });
    const effective = (value: number, valid: boolean) =>
      valid && this.map.value && isTempered(this.map.value) ? value : 1;
    this.temperature = computed(() => effective(traits.temperature.value, traits.temperature.value > 0));
    this.scaling = computed(() => effective(traits.scaling.value, traits.scaling.value >= 0));
    this.pin = computed(() => ({
      query: index(traits.query.value, this.map.value?.n_queries ?? 0),
      key: index(traits.key.value, this.map.value?.n_keys ?? 0),
    }));
    this.reading = computed(() => this.pin.value.query ?? (kind.value.reads ? 0 : null));
    this.also = computed(() => {
      const { query } = this.pin.value;
      const there = (other: number) =>
        index(other, this.map.value?.n_queries ?? 0) !== null && other !== query;
      return query === null ? [] : [...new Set(traits.also.value)].filter(there);
    });
    this.lookedAt = computed(() => {
      const { query, key } = this.pin.value;
      return key ?? (this.map.value?.keys === null ? query : null);
    });
    this.column = computed(() => {
      const key = this.lookedAt.value;
      if (key === null) return null;
      const weights = columnOf(this, key);
      if (weights) return { key, weights, read: weights.length };
      const asked = this.askedColumn.value;
      const same = asked?.key === key && asked.layer === this.layer.value && asked.head === this.head.value;
      return same ? asked : null;
    });
    this.ramp = computed(() => ramp(traits.color_map.value, colours.value));
    this.paint = computed(() => {
      const end = this.#upperEnd();
      return {
        table: colourTable(
          this.ramp.value,
          end.largest,
          traits.color_scale.value,
          traits.threshold.value,
          this.#table,
        ),
        ...end,
      };
    });
    this.tint = computed(() => {
      const [colours, scale] = [this.ramp.value, traits.color_scale.value];
      const [rowwise, threshold] = [traits.color_range.value === "row", traits.threshold.value];
      return (weight, largest) => {
        const hidden = (rowwise ? weight / largest : weight) < threshold;
        return colourOf(colours, hidden ? 0 : weight, largest, scale);
      };
    });
    const source = computed(() => this.#pinnedRows());
    const before = computed(() => source.value && this.#joined(source.value, 1, 1));
    this.pinned = computed(() => {
      if (!source.value || !before.value) return null;
      const after = this.#joined(source.value, this.temperature.value, this.scaling.value);
      return {
        query: source.value[0]!.rows[0],
        queries: source.value.map(({ rows }) => rows[0]),
        joined: traits.joined.value,
        before: before.value.weights,
        after: after.weights,
        masked: maskOf(source.value),
        entropyBefore: before.value.entropy,
        entropyAfter: after.entropy,
      };
    });
  }

  /** Apply temperature and scaling to a tile and show it. */
  draw(shown: ShownTile): void {
    const tempered = this.#temper.run(shown.tile, this.temperature.peek(), this.scaling.peek());
    this.drawn.value = { ...shown, ...tempered };
  }

  /** True when what is drawn belongs to the chosen head. */
  isCurrent(place: Place | null): boolean {
    return (
      place !== null &&
      place.map === this.map.value?.name &&
      place.layer === this.layer.value &&
      place.head === this.head.value
    );
  }

  /** The part of a map that is visible, or would be: all of it where nobody has zoomed. */
  windowOf(map: MapFacts | null): Window {
    const zoom = this.#zoom.value;
    const [queries, keys] = [map?.n_queries ?? 1, map?.n_keys ?? 1];
    const fits = zoom && zoom.window.rows.to <= queries && zoom.window.columns.to <= keys;
    if (zoom && zoom.map === map?.name && fits) return zoom.window;
    return { rows: { from: 0, to: queries }, columns: { from: 0, to: keys } };
  }

  lookAt(window: Window | null): void {
    const map = this.map.peek();
    // What shows the whole map is no zoom: it goes on showing it all when the map grows.
    const part = map && window && !isFitted(window, { queries: map.n_queries, keys: map.n_keys });
    this.#zoom.value = part ? { map: map.name, window } : null;
  }

  /** Choose other maps: what adds layers up opens at the last of them, and heads where they were left. */
  chooseMap(name: string): void {
    const next = this.facts.peek()?.maps.find((map) => map.name === name);
    const now = this.map.peek();
    if (!next || !now || next === now) return;
    if (!isSummed(now)) this.#left = [this.layer.peek(), this.head.peek()];
    const [layer, head] = isSummed(next) ? [next.heads.length - 1, 0] : this.#left;
    batch(() => {
      this.traits.map.value = name;
      const inside = within(layer, next.heads.length);
      this.select(inside, within(head, next.heads[inside] ?? 0));
    });
  }

  readonly select = (layer: number, head: number): void => {
    batch(() => {
      this.traits.layer.value = layer;
      this.traits.head.value = head;
    });
  };

  /** Pin a cell, or take the pin away where it is there already. */
  togglePin(cell: Cell): void {
    const { query, key } = this.pin.peek();
    const same = cell.query === query && cell.key === key;
    this.setPin(same ? { query: null, key: null } : cell);
  }

  /** Pin a query beside those that are pinned, or take it away where it is among them. */
  toggleAlso(query: number): void {
    const also = this.also.peek();
    const { query: pinned, key } = this.pin.peek();
    if (pinned === null) {
      this.setPin({ query, key });
      return;
    }
    if (query !== pinned) {
      const rest = also.filter((other) => other !== query);
      this.traits.also.value = rest.length < also.length ? rest : [...also, query];
      return;
    }
    batch(() => {
      this.setPin({ query: also[0] ?? null, key: also.length > 0 ? key : null });
      this.traits.also.value = also.slice(1);
    });
  }

  setPin(cell: Cell): void {
    batch(() => {
      if (cell.query !== this.traits.query.peek() && this.traits.also.peek().length > 0)
        this.traits.also.value = [];
      this.traits.query.value = cell.query;
      this.traits.key.value = cell.key;
    });
  }

  /** Weight of a cell of the drawn tile; null where masked or not there. */
  weight(query: number, key: number): number | null {
    const drawn = this.drawn.value;
    const cell = drawn && cellOf(drawn.tile, query, key);
    if (!drawn || cell === null || drawn.tile.codes[cell] === MASKED) return null;
    return weightOf(drawn.tile, drawn, cell);
  }

  #upperEnd(): UpperEnd {
    const drawn = this.drawn.value;
    const map = this.map.value;
    const range = this.traits.color_range.value;
    if (range === "row") return { largest: 1, of: "rows" };
    if (!drawn || drawn.map !== map?.name || range === "shared") return { largest: 1, of: "map" };
    return this.#range.endFor(drawn, map, this.isCurrent(drawn) ? this.peak.value : null);
  }

  /** Rows of all queries that are read; null while one of them is not here. */
  #pinnedRows(): Tile[] | null {
    const query = this.reading.value;
    if (query === null) return null;
    const shown = [this.drawn.value, this.exactRow.value].filter((one) => one && this.isCurrent(one));
    const tiles = [...shown.map((one) => one!.tile), ...this.otherRows.value];
    const rows = [query, ...this.also.value].map((wanted) => {
      for (const tile of tiles) {
        const row = rowOf(tile, wanted);
        if (row) return row;
      }
      return null;
    });
    return rows.every((row) => row !== null) ? rows : null;
  }

  #joined(rows: readonly Tile[], temperature: number, scaling: number) {
    return join(rows, this.traits.joined.value, this.#rowTemper, temperature, scaling);
  }
}

/** Index into a tile's cells of a query and a key; null outside the tile. */
export function cellOf(tile: Tile, query: number, key: number): number | null {
  const row = Math.floor((query - tile.rows[0]) / tile.stride[0]);
  const column = Math.floor((key - tile.columns[0]) / tile.stride[1]);
  const inside = row >= 0 && row < tile.shape[0] && column >= 0 && column < tile.shape[1];
  return inside ? row * tile.shape[1] + column : null;
}
