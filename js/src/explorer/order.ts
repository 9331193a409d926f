/** In which order the views get what they need: what shows the chosen head first, then its layer, then the others. */
import type { Errand } from "../answers/order";
import type { Question } from "../answers/question";
import { row } from "../answers/row";
import type { Tile } from "../attention/tile";
import { isWhole, type MapFacts } from "../host/facts";
import type { Chosen } from "./chosen";
import type { Store } from "./store";
import { needs as column } from "./views/column";
import { needs as findings } from "./views/findings";
import { needs as formula } from "./views/formula";
import { needs as grid } from "./views/grid/grid";
import { needs as worth } from "./views/head/worth";
import { needs as profile } from "./views/profile";
import { viewOf } from "./views/table";

/** A question, an errand, or that nothing more is known to be needed before it is known what is in sight. */
export type Need = Question<unknown> | Errand | null | "sight";

/** Rows of a long map that are read beside that of the first pinned query. */
export function otherRows(store: Store, map: MapFacts): Question<Tile>[] {
  if (isWhole(map)) return [];
  const place = { facts: map, map: map.name, layer: store.layer.value, head: store.head.value };
  return store.also.value.map((query) => row(place, query));
}

export function* needsOf(store: Store, map: MapFacts, chosen: Chosen): Generator<Need> {
  yield* otherRows(store, map);
  yield* viewOf(store.view.value).needs?.(store, map, chosen) ?? [];
  yield* column(store, map);
  yield* profile(store, map);
  yield* formula(store, map, chosen);
  yield chosen.layer();
  yield chosen.layer(store.places.value.other);
  yield* grid(store, map);
  yield chosen.better();
  yield* findings(store, map);
  yield* worth(store, map);
}
