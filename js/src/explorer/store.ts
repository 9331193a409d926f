/** What the views share: the choices, what they lead to, and the transient hover. One a view; nothing is global. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Column } from "../answers/column";
import type { Place } from "../answers/tile";
import {
  colourOf,
  colourTable,
  type Diverging,
  diverging,
  type Rgb,
  ramp,
  signedColourOf,
} from "../attention/colour";
import { Temper } from "../attention/temper";
import type { Tile } from "../attention/tile";
import { isFitted, type Window } from "../drawing/geometry";
import { type Facts, isTempered, isWhole, type MapFacts, type Measure } from "../host/facts";
import type { Colours } from "../host/theme";
import { Lesson } from "../lesson/lesson";
import { Applying } from "./applying";
import { bothDrawn, Differing } from "./both";
import type { Traits } from "./choices";
import { columnOf } from "./column";
import { areRuns, type Compared, canDiffer, chosenIn, type Pair, type Places, pairIn } from "./comparing";
import { type Drawn, type DrawnDifference, isAt, numberOf, type Shown, type ShownTile } from "./drawn";
import { type Kind, shows } from "./kind";
import { comparedRow, type PinnedRow, pinnedRow, readRows } from "./pinned";
import { Ends, type UpperEnd } from "./range";
import { Weighing } from "./weighing";

export type { Drawn, DrawnDifference, Shown, ShownTile } from "./drawn";
export { cellOf, isDifference, numberOf } from "./drawn";

export interface Cell {
  query: number | null;
  key: number | null;
}

/** A cell under the pointer or the cursor, and what it was pointed at in. */
export interface Hover extends Cell {
  from: string;
}

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

const within = (value: number, count: number) => Math.min(Math.max(0, value), Math.max(0, count - 1));
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
  /** Of two heads that are compared the one that the choices do not show: its tile, its exact row, and both drawn alike. */
  readonly otherTile: Signal<ShownTile | null> = signal(null);
  readonly otherRow: Signal<ShownTile | null> = signal(null);
  readonly otherDrawn: Signal<Drawn | null> = signal(null);
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
  readonly applying: Applying;
  readonly weighing: Weighing;

  /** The facts that are shown: new ones come on the screen together with their first tile. */
  readonly facts: Signal<Facts | null>;
  readonly map: ReadonlySignal<MapFacts | null>;
  /** The map of the newest facts, which may not be on the screen yet. */
  readonly told: ReadonlySignal<MapFacts | null>;
  /** The chosen view, where the map has it. */
  readonly view: ReadonlySignal<string>;
  readonly places: ReadonlySignal<Places>;
  /** The two heads that are compared; null where none are. */
  readonly pair: ReadonlySignal<Pair | null>;
  /** What is shown of them. */
  readonly compared: ReadonlySignal<Compared | null>;
  /** The maps that those of the grid are shown less of, where two runs are compared; null where they are not. */
  readonly minus: ReadonlySignal<string | null>;
  /** Why the chosen head and the one to compare it with cannot be. */
  readonly incomparable: ReadonlySignal<string | null>;
  /** Both as they are drawn, the first one first; null while one of them is not here. */
  readonly both: ReadonlySignal<{ first: Drawn; second: Drawn } | null>;
  /** Null where no difference is shown; while the next is on its way the last one stays. */
  readonly difference: ReadonlySignal<DrawnDifference | null>;
  /** What the picture of a map is made of. */
  readonly picture: ReadonlySignal<Shown | null>;
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
  /** Colours of what is more and what is less. */
  readonly diverging: ReadonlySignal<Diverging>;
  /** Of a difference, `table` holds the colours of what is more, and `negative` of what is less. */
  readonly paint: ReadonlySignal<{ table: Uint32Array; negative: Uint32Array } & UpperEnd>;
  /** The colour of a weight, or of a difference where that is shown, where the colours end at another. */
  readonly tint: ReadonlySignal<(weight: number, largest: number) => Rgb>;
  readonly pinned: ReadonlySignal<PinnedRow | null>;

  /** Layer and head that were chosen of maps that have both. */
  #left: [layer: number, head: number] = [0, 0];
  readonly #ends = new Ends();
  readonly #temper = new Temper();
  readonly #rowTemper = new Temper();
  readonly #otherTemper = new Temper();
  readonly #table = colourTable([[0, 0, 0]], 1, "linear");
  readonly #negative = colourTable([[0, 0, 0]], 1, "linear");
  readonly #differing = new Differing();

  /** The first of the views shows whatever the others cannot; `alone` where all answers are in this page. */
  constructor(traits: Traits, colours: Signal<Colours>, views: readonly Kind[], alone = false) {
    this.traits = traits;
    this.colours = colours;
    this.facts = signal(traits.facts.peek());
    this.lesson = new Lesson(
      computed(() => traits.facts.value?.lesson ?? null),
      traits.guesses,
    );
    this.applying = new Applying(traits);
    this.weighing = new Weighing(traits, this.facts, this.applying.link);
    this.places = computed(() => this.placesIn(this.facts.value));
    const place = computed(() => this.places.value.shown);
    this.map = computed(() => place.value?.facts ?? null);
    this.told = computed(() => this.placesIn(traits.facts.value).shown?.facts ?? null);
    const pair = computed(() => this.places.value.pair);
    this.pair = computed(() => (typeof pair.value === "string" ? null : pair.value));
    this.incomparable = computed(() => (typeof pair.value === "string" ? pair.value : null));
    const kind = computed(() => {
      const map = this.map.value;
      const chosen = views.find(({ name }) => name === traits.view.value);
      const effects = this.weighing.effect.value !== null;
      return chosen && map && shows(chosen, map, effects) ? chosen : views[0]!;
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
    this.layer = computed(() => place.value?.layer ?? 0);
    this.head = computed(() => place.value?.head ?? 0);
    this.compared = computed(() => {
      const pair = this.pair.value;
      if (!pair) return null;
      const { pairs, differs } = kind.value;
      const wanted = traits.compared.value === "beside" && !pairs ? "difference" : traits.compared.value;
      return wanted === "difference" && !canDiffer(differs, pair) ? "second" : wanted;
    });
    this.minus = computed(() => {
      const pair = this.pair.value;
      return pair && areRuns(pair) && this.compared.value === "difference" ? pair.first.map : null;
    });
    this.both = computed(() => bothDrawn(this));
    this.difference = computed(() => this.#differing.of(this));
    this.picture = computed(() =>
      this.compared.value === "difference" ? this.difference.value : this.drawn.value,
    );
    this.measure = computed(() => {
      const measures = this.map.value?.measures ?? [];
      const index = measures.findIndex(({ name }) => name === traits.measure.value);
      return index < 0 ? null : { ...measures[index]!, index };
    });
    this.temperature = computed(() => (this.map.value ? this.sharpnessOf(this.map.value)[0] : 1));
    this.scaling = computed(() => (this.map.value ? this.sharpnessOf(this.map.value)[1] : 1));
    this.pin = computed(() => ({
      query: index(traits.query.value, this.map.value?.n_queries ?? 0),
      key: index(traits.key.value, this.map.value?.n_keys ?? 0),
    }));
    this.reading = computed(() => this.pin.value.query ?? (kind.value.reads ? 0 : null));
    this.also = computed(() => {
      const { query } = this.pin.value;
      const there = (other: number) =>
        index(other, this.map.value?.n_queries ?? 0) !== null && other !== query;
      // Of long maps that are compared one row of each is here.
      const single = this.pair.value !== null && !isWhole(this.pair.value.second.facts);
      return query === null || single ? [] : [...new Set(traits.also.value)].filter(there);
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
      if (this.compared.value === "difference") return null;
      const asked = this.askedColumn.value;
      const same = asked?.key === key && asked.layer === this.layer.value && asked.head === this.head.value;
      return same ? asked : null;
    });
    this.ramp = computed(() => ramp(traits.color_map.value, colours.value));
    this.diverging = computed(() => diverging(colours.value));
    const signed = computed(() => this.compared.value === "difference");
    this.paint = computed(() => {
      const end = this.#ends.of(this);
      const { negative, positive } = this.diverging.value;
      const [scale, threshold] = [traits.color_scale.value, traits.threshold.value];
      const tableOf = (colours: readonly Rgb[], into: Uint32Array) =>
        colourTable(colours, end.largest, scale, threshold, into);
      return {
        table: tableOf(signed.value ? positive : this.ramp.value, this.#table),
        negative: signed.value ? tableOf(negative, this.#negative) : this.#negative,
        ...end,
      };
    });
    this.tint = computed(() => {
      const [colours, scale] = [this.ramp.value, traits.color_scale.value];
      const ways = signed.value ? this.diverging.value : null;
      const [rowwise, threshold] = [traits.color_range.value === "row", traits.threshold.value];
      return (weight, largest) => {
        const hidden = (rowwise ? Math.abs(weight) / largest : Math.abs(weight)) < threshold;
        const seen = hidden ? 0 : weight;
        return ways ? signedColourOf(ways, seen, largest, scale) : colourOf(colours, seen, largest, scale);
      };
    });
    const places = this.places;
    const rowsAt = (from: readonly (ShownTile | null)[], place: Place | null, more: readonly Tile[]) =>
      this.reading.value === null
        ? null
        : readRows(from, place, more, [this.reading.value, ...this.also.value]);
    const source = computed(() =>
      rowsAt([this.drawn.value, this.exactRow.value], places.value.shown, this.otherRows.value),
    );
    const otherSource = computed(() =>
      rowsAt([this.otherDrawn.value, this.otherRow.value], places.value.other, []),
    );
    this.pinned = computed(() => {
      const [own, other] = [source.value, otherSource.value];
      const { shown, other: against } = places.value;
      if (!own || !shown) return null;
      const joined = traits.joined.value;
      const sharp = this.sharpnessOf(shown.facts);
      if (!against) return pinnedRow(own, joined, this.#rowTemper, sharp);
      if (!other) return null;
      const theirs = this.sharpnessOf(against.facts);
      return comparedRow(own, other, joined, this.#rowTemper, sharp, theirs, this.compared.value);
    });
  }

  /** Temperature and scaling as they act on some maps: not at all on what was made of several heads, or has them already. */
  sharpnessOf(map: MapFacts): readonly [temperature: number, scaling: number] {
    const { temperature, scaling } = this.traits;
    const act = isTempered(map) && !this.traits.applied.value;
    return [
      act && temperature.value > 0 ? temperature.value : 1,
      act && scaling.value >= 0 ? scaling.value : 1,
    ];
  }

  /** What of some facts is chosen: the head that is shown, and where two are compared both. */
  placesIn(facts: Facts | null): Places {
    const { map, layer, head, against, compared } = this.traits;
    const chosen = chosenIn(facts, map.value, layer.value, head.value);
    const pair = pairIn(facts, chosen, against.value);
    if (pair === null || typeof pair === "string") return { chosen, shown: chosen, pair, other: null };
    const { first, second } = pair;
    return compared.value === "first"
      ? { chosen, shown: first, pair, other: second }
      : { chosen, shown: second, pair, other: first };
  }

  /** Apply temperature and scaling to a tile, and to that of the head it is compared with, and show both. */
  draw(shown: ShownTile): void {
    const other = this.otherTile.peek();
    const { facts } = this.places.peek().other ?? {};
    batch(() => {
      const tempered = this.#temper.run(shown.tile, this.temperature.peek(), this.scaling.peek());
      this.drawn.value = { ...shown, ...tempered };
      const sharp = facts ? this.sharpnessOf(facts) : ([1, 1] as const);
      this.otherDrawn.value = other && { ...other, ...this.#otherTemper.run(other.tile, ...sharp) };
    });
  }

  /** True when what is drawn belongs to the chosen head. */
  isCurrent(place: Place | null): boolean {
    return isAt(place, this.places.value.shown);
  }

  /** The part of a map that is visible, or would be: all of it where nobody has zoomed. */
  windowOf(map: MapFacts | null): Window {
    const zoom = this.#zoom.value;
    const [queries, keys] = [map?.n_queries ?? 1, map?.n_keys ?? 1];
    const fits = zoom && zoom.window.rows.to <= queries && zoom.window.columns.to <= keys;
    if (zoom && map && zoom.map === this.#zoomed(map) && fits) return zoom.window;
    return { rows: { from: 0, to: queries }, columns: { from: 0, to: keys } };
  }

  lookAt(window: Window | null): void {
    const map = this.map.peek();
    // What shows the whole map is no zoom: it goes on showing it all when the map grows.
    const part = map && window && !isFitted(window, { queries: map.n_queries, keys: map.n_keys });
    this.#zoom.value = part ? { map: this.#zoomed(map), window } : null;
  }

  /** Two heads that are compared have one window, whichever of them is looked at. */
  #zoomed({ name }: MapFacts): string {
    const pair = this.pair.value;
    return pair && name === pair.first.map ? pair.second.map : name;
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
      // The first of two stays where it is: who chooses another head wants to see that.
      const fixed = this.traits.against.peek()?.layer != null;
      if (fixed && this.compared.peek() === "first") this.traits.compared.value = "difference";
    });
  };

  /** Compare other heads with the one that is shown, or compare no more. */
  toggleComparing(): void {
    const place = this.places.peek().shown;
    batch(() => {
      if (this.traits.against.peek()) this.traits.against.value = null;
      else if (place) {
        const { run } = place.facts;
        const other = run && this.facts.peek()?.maps.find((map) => map.run !== run)?.run;
        this.traits.against.value = other
          ? { map: other, layer: null, head: null }
          : { map: place.map, layer: place.layer, head: place.head };
        this.traits.compared.value = "difference";
      }
    });
  }

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

  /** Weight of a cell of the picture, or the difference there; null where masked or not there. */
  weight(query: number, key: number): number | null {
    const shown = this.picture.value;
    return shown && numberOf(shown, query, key);
  }
}
