/** The upper end of the colours of a map that is seen in parts: its own largest weight, wherever one looks. */
import type { Tile } from "../attention/tile";
import type { MapFacts } from "../host/facts";
import type { Drawn, Store } from "./store";

export interface UpperEnd {
  largest: number;
  /**
   * Whose it is: of the map, of what has been seen of it, of points that are means, which are different at every zoom, or
   * of each row for itself, as a share of it.
   */
  of: "map" | "seen" | "means" | "rows";
}

/** The same weights as shares of their rows' largest. */
export const rowwise = (drawn: Drawn): Drawn => ({
  ...drawn,
  shares: new Float64Array(drawn.shares.length).fill(1),
});

/** Whether nothing of the map can be larger than the largest in a tile. */
const isWhole = ({ rows, columns, stride, pooling, sampled }: Tile, map: MapFacts): boolean =>
  rows[0] === 0 &&
  columns[0] === 0 &&
  rows[1] >= map.n_queries &&
  columns[1] >= map.n_keys &&
  sampled === null &&
  // The first query sees itself alone, which says nothing: pooled with others it takes them along.
  (stride[0] === 1 || !map.causal) &&
  (pooling === "max" || stride[0] * stride[1] === 1);

const isMean = ({ stride, pooling }: Tile): boolean => pooling === "mean" && stride[0] * stride[1] > 1;

export class Range {
  /** The map that each tile is of: new facts come a moment before what is drawn of them. */
  readonly #maps = new WeakMap<Tile, MapFacts>();
  #key: readonly unknown[] = [];
  #end: UpperEnd = { largest: 1, of: "map" };

  /** The end for what is drawn; `peak` is the largest weight of that head untempered, null where that is not known. */
  endFor(drawn: Drawn, map: MapFacts, peak: number | null, what = ""): UpperEnd {
    const { tile, largest, temperature, scaling, layer, head } = drawn;
    if ((this.#maps.get(tile) ?? map) !== map) return this.#end;
    this.#maps.set(tile, map);
    const means = isMean(tile);
    const key = [map, layer, head, temperature, scaling, means && String(tile.stride), what];
    const before = key.every((part, at) => part === this.#key[at]) ? this.#end : null;
    const untempered = temperature === 1 && scaling === 1 && !means;
    const own = (untempered ? peak : null) ?? (isWhole(tile, map) ? largest : null);
    // The peak of a long map is that of an even spread of its rows: a larger weight may be found where one looks.
    const known = Math.max(own ?? 0, before?.largest ?? 0);
    // A code is one step wide, and so far may the same weight be larger in another tile.
    const found = largest > known * Math.exp(tile.step);
    this.#key = key;
    this.#end = {
      largest: found ? largest : known,
      of: means ? "means" : own !== null || before?.of === "map" ? "map" : "seen",
    };
    return this.#end;
  }
}

/** The end of the colours of what is shown: a map, or the difference of two. */
export class Ends {
  readonly #own = new Range();
  readonly #differences = new Range();

  of(store: Store): UpperEnd {
    const drawn = store.drawn.value;
    const map = store.map.value;
    const range = store.traits.color_range.value;
    if (range === "row") return { largest: 1, of: "rows" };
    const both = store.both.value;
    if (store.compared.value && map && range !== "shared") {
      const compared = store.compared.value;
      // Each of two ends where the larger of both does.
      const largest =
        compared === "difference"
          ? store.difference.value?.largest
          : both && Math.max(both.first.largest, both.second.largest);
      if (!drawn || largest == null) return { largest: 1, of: "map" };
      const what = JSON.stringify([compared === "difference", store.traits.against.value]);
      return this.#differences.endFor({ ...drawn, largest: largest || 1 }, map, null, what);
    }
    if (!drawn || drawn.map !== map?.name || range === "shared") return { largest: 1, of: "map" };
    return this.#own.endFor(drawn, map, store.isCurrent(drawn) ? store.peak.value : null);
  }
}
