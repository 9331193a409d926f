/** The heads whose lines are drawn, each with its map as tempered as the chosen one; or the difference of two. */
import { Temper, type Tempered, weightOf } from "../../../attention/temper";
import { MASKED, type Tile } from "../../../attention/tile";
import { isWhole, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { DrawnDifference } from "../../drawn";
import type { Store } from "../../store";

export interface HeadMap {
  head: number;
  tile: Pick<Tile, "rows" | "columns" | "shape">;
  /** Whether its numbers are what one head gives more or less than another. */
  signed: boolean;
  /** What a cell has; NaN where it is masked. */
  numberAt: (cell: number) => number;
  /** The farthest from 0 of all, and of each row. */
  largest: number;
  ofRows: ArrayLike<number>;
}

/**
 * Those that are switched on; the chosen one alone where none is, where the difference of two is shown, or where maps are
 * too long to be here whole.
 */
export function headsShown(store: Store, map: MapFacts): readonly number[] {
  const there = map.heads[store.layer.value] ?? 0;
  const several = isWhole(map) && store.compared.value !== "difference";
  const on = several ? store.traits.heads.value.filter((head) => head >= 0 && head < there) : [];
  return on.length > 0 ? [...new Set(on)] : [store.head.value];
}

/** Tempers each map once for each temperature. */
export class HeadMaps {
  readonly #made = new Map<Tile, { temper: Temper; at: string }>();

  of(store: Store, map: MapFacts, answers: Answers): HeadMap[] {
    const drawn = store.drawn.value;
    const others = answers.chosen.tiles();
    const found: HeadMap[] = [];
    const used = new Set<Tile>();
    if (store.compared.value === "difference") {
      this.#made.clear();
      const difference = store.both.value && store.difference.value;
      return difference?.tile.exact ? [differenceMap(store.head.value, difference)] : [];
    }
    for (const head of headsShown(store, map)) {
      if (drawn && store.isCurrent(drawn) && head === drawn.head) {
        if (drawn.tile.stride[0] * drawn.tile.stride[1] === 1) found.push(headMap(head, drawn.tile, drawn));
        continue;
      }
      const tile = others.get(head);
      if (!tile) continue;
      used.add(tile);
      found.push(headMap(head, tile, this.#tempered(tile, store)));
    }
    for (const tile of this.#made.keys()) if (!used.has(tile)) this.#made.delete(tile);
    return found;
  }

  #tempered(tile: Tile, store: Store): Tempered {
    const [temperature, scaling] = [store.temperature.value, store.scaling.value];
    const at = `${temperature}/${scaling}`;
    const made = this.#made.get(tile) ?? { temper: new Temper(), at: "" };
    if (made.at !== at) made.temper.run(tile, temperature, scaling);
    made.at = at;
    this.#made.set(tile, made);
    return made.temper;
  }
}

const headMap = (head: number, tile: Tile, tempered: Tempered): HeadMap => ({
  ...{ head, tile, signed: false },
  numberAt: (cell) => (tile.codes[cell] === MASKED ? Number.NaN : weightOf(tile, tempered, cell)),
  ...{ largest: tempered.largest, ofRows: tempered.shares },
});

const differenceMap = (head: number, { tile, values, largest, ofRows }: DrawnDifference): HeadMap => ({
  ...{ head, tile, signed: true, largest, ofRows },
  numberAt: (cell) => values[cell]!,
});
