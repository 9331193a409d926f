/** The heads whose lines are drawn, each with its map as tempered as the chosen one. */
import { Temper, type Tempered } from "../../../attention/temper";
import type { Tile } from "../../../attention/tile";
import { isWhole, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";

export interface HeadMap {
  head: number;
  tile: Tile;
  tempered: Tempered;
}

/** Those that are switched on; the chosen one alone where none is, or where maps are too long to be here whole. */
export function headsShown(store: Store, map: MapFacts): readonly number[] {
  const there = map.heads[store.layer.value] ?? 0;
  const on = isWhole(map) ? store.traits.heads.value.filter((head) => head >= 0 && head < there) : [];
  return on.length > 0 ? [...new Set(on)] : [store.head.value];
}

/** Tempers each map once for each temperature. */
export class HeadMaps {
  readonly #made = new Map<Tile, { temper: Temper; at: string }>();

  of(store: Store, map: MapFacts, answers: Answers): HeadMap[] {
    const drawn = store.drawn.value;
    const others = answers.chosen.tiles();
    const found: HeadMap[] = [];
    for (const head of headsShown(store, map)) {
      if (drawn && store.isCurrent(drawn) && head === drawn.head) {
        if (drawn.tile.stride[0] * drawn.tile.stride[1] === 1)
          found.push({ head, tile: drawn.tile, tempered: drawn });
        continue;
      }
      const tile = others.get(head);
      if (tile) found.push({ head, tile, tempered: this.#tempered(tile, store) });
    }
    for (const tile of this.#made.keys())
      if (!found.some((one) => one.tile === tile)) this.#made.delete(tile);
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
