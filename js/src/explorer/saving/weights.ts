/** Weights as text: one, or the row of the query that is read. */
import { readable } from "../../drawing/words";
import { keysOf, type MapFacts } from "../../host/facts";
import type { PinnedRow } from "../pinned";
import type { Cell, Drawn, Store } from "../store";
import { DIGITS, isPooled } from "./csv";

/**
 * A weight with the digits of it that are known: weights travel as logarithms in steps, and half a step, which
 * temperature widens, is what nobody knows.
 */
export function known(weight: number, drawn: Pick<Drawn, "tile" | "temperature" | "scaling">): string {
  const { tile, temperature, scaling } = drawn;
  const doubt = (tile.step / 2) * (tile.exact ? Math.max(1, scaling / temperature) : 1);
  const digits = Math.floor(1 - Math.log10(Math.max(doubt, 1e-12)));
  return String(Number(weight.toPrecision(Math.min(DIGITS, Math.max(2, digits)))));
}

/** The cell that is pointed at, or else pinned, and its weight; null where that is masked, pooled or not there. */
export function weightShown(store: Store): { cell: Cell; text: string } | null {
  const { hover, pin, pinned, drawn } = store;
  for (const cell of [hover.value, pin.value]) {
    if (cell?.query == null || cell.key === null) continue;
    const shown = drawn.value;
    const row = pinned.value;
    if (!shown || !store.isCurrent(shown)) return null;
    if (row?.query === cell.query && row.queries.length === 1) {
      const exact = isPooled(shown.tile) ? (store.exactRow.value ?? shown) : shown;
      const sharp = { tile: exact.tile, temperature: store.temperature.value, scaling: store.scaling.value };
      return row.masked(cell.key)
        ? null
        : { cell, text: known(store.weighing.scaled(row.shown[cell.key]!), sharp) };
    }
    const weight = isPooled(shown.tile) ? null : store.weight(cell.query, cell.key);
    return weight === null ? null : { cell, text: known(store.weighing.scaled(weight), shown) };
  }
  return null;
}

/** The keys that the query sees, and its weights, where there are any. */
export function rowShown(store: Store): { row: PinnedRow; keys: number[] } | null {
  const row = store.pinned.value;
  const keys = row ? Array.from(row.shown.keys()).filter((key) => !row.masked(key)) : [];
  return row && keys.length > 0 ? { row, keys } : null;
}

/** Token and weight a line, between them a tab; masked keys are left out. */
export function rowText(
  store: Store,
  map: MapFacts,
  { row, keys }: NonNullable<ReturnType<typeof rowShown>>,
): string {
  const { labels } = keysOf(map);
  const weight = (key: number) => String(Number(store.weighing.scaled(row.shown[key]!).toPrecision(DIGITS)));
  return keys.map((key) => `${readable(labels[key] ?? "")}\t${weight(key)}\n`).join("");
}
