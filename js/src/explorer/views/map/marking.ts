/** A block of cells is marked: by Shift and a drag, or by Shift and the arrows. */
import type { MapFacts } from "../../../host/facts";
import { type Block, blockName } from "../../applying";
import type { Cell, Store } from "../../store";

interface Corner {
  query: number;
  key: number;
}

const range = (one: number, other: number) => [Math.min(one, other), Math.max(one, other) + 1] as const;

export class Marking {
  readonly #store: Store;
  #from: Corner | null = null;
  #to: Corner | null = null;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Begin at a cell; false where cells cannot be meant. */
  begin({ query, key }: Cell): boolean {
    if (query === null || key === null || !this.#store.applying.outcome.peek()) return false;
    this.#from = { query, key };
    this.#show(this.#from);
    return true;
  }

  /** Go on to a cell, or to the edge beside it. */
  reach(map: MapFacts, row: number, column: number): void {
    const inside = (value: number, count: number) => Math.min(Math.max(0, Math.floor(value)), count - 1);
    this.#show({ query: inside(row, map.n_queries), key: inside(column, map.n_keys) });
  }

  /** Move the corner that moves, from where the cursor is. */
  step(map: MapFacts, down: number, across: number): string {
    const { hover, pin, applying } = this.#store;
    if (!applying.marked.peek()) {
      const at = hover.peek() ?? pin.peek();
      if (!this.begin({ query: at.query ?? 0, key: at.key ?? 0 })) return "";
    }
    this.reach(map, this.#to!.query + down, this.#to!.key + across);
    return `Marked ${blockName(applying.marked.peek()!)}`;
  }

  /** Let go what is marked; false where nothing is. */
  clear(): boolean {
    const { marked } = this.#store.applying;
    if (!marked.peek()) return false;
    marked.value = null;
    return true;
  }

  #show(to: Corner): void {
    const from = this.#from!;
    this.#to = to;
    const block: Block = { queries: range(from.query, to.query), keys: range(from.key, to.key) };
    this.#store.applying.marked.value = block;
  }
}
