/** What every query of the chosen head gives to one key: read off the map where it is here, asked for where it is not. */
import { type Column, column } from "../answers/column";
import type { Question } from "../answers/question";
import { isWhole, type MapFacts } from "../host/facts";
import { isDifference, numberOf } from "./drawn";
import type { Store } from "./store";

/** A key's column of what is drawn; NaN where masked or without values, null where the map is not here whole. */
export function columnOf(store: Store, key: number): Float32Array | null {
  const shown = store.picture.value;
  const queries = store.map.value?.n_queries ?? 0;
  const own = shown && (isDifference(shown) ? shown.second : shown);
  if (!shown || !own?.tile.exact || !store.isCurrent(own)) return null;
  const { tile } = own;
  if (tile.rows[0] !== 0 || tile.rows[1] !== queries || key >= tile.shape[1]) return null;
  return Float32Array.from({ length: queries }, (_, query) => numberOf(shown, query, key) ?? Number.NaN);
}

/** The question for a key's column where the map is too long to be here; null where it is not. */
export function columnAsked(store: Store, map: MapFacts, key: number | null): Question<Column> | null {
  if (key === null || isWhole(map)) return null;
  const [layer, head] = [store.layer.value, store.head.value];
  return column(map, layer, head, key, store.temperature.value, store.scaling.value);
}
