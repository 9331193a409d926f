/** What every query of the chosen head gives to one key: read off the map where it is here, asked for where it is not. */
import { type Column, column } from "../answers/column";
import type { Question } from "../answers/question";
import { weightOf } from "../attention/temper";
import { MASKED } from "../attention/tile";
import { isWhole, type MapFacts } from "../host/facts";
import type { Store } from "./store";

/** A key's column of the map that is drawn; NaN where masked or without values, null where the map is not here whole. */
export function columnOf(store: Store, key: number): Float32Array | null {
  const drawn = store.drawn.value;
  const queries = store.map.value?.n_queries ?? 0;
  if (!drawn?.tile.exact || !store.isCurrent(drawn)) return null;
  const { tile } = drawn;
  if (tile.rows[0] !== 0 || tile.rows[1] !== queries || key >= tile.shape[1]) return null;
  const width = tile.shape[1];
  return Float32Array.from({ length: queries }, (_, query) => {
    const cell = query * width + key;
    return tile.codes[cell] === MASKED ? Number.NaN : weightOf(tile, drawn, cell);
  });
}

/** The question for a key's column where the map is too long to be here; null where it is not. */
export function columnAsked(store: Store, map: MapFacts, key: number | null): Question<Column> | null {
  if (key === null || isWhole(map)) return null;
  const [layer, head] = [store.layer.value, store.head.value];
  return column(map, layer, head, key, store.temperature.value, store.scaling.value);
}
