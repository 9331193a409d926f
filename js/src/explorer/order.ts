/** In which order the views get what they need: what shows the chosen head first, then its layer, then the others. */
import type { Errand } from "../answers/order";
import type { Question } from "../answers/question";
import type { MapFacts } from "../host/facts";
import type { Chosen } from "./chosen";
import type { Store } from "./store";
import { needs as findings } from "./views/findings";
import { needs as grid } from "./views/grid";
import { needs as profile } from "./views/profile";
import { VIEWS } from "./views/table";

export function* needsOf(
  store: Store,
  map: MapFacts,
  chosen: Chosen,
): Generator<Question<unknown> | Errand | null> {
  yield* VIEWS.find(({ name }) => name === store.view.value)?.needs?.(store, map) ?? [];
  yield* profile(store, map);
  yield chosen.layer();
  yield* grid(store, map);
  yield chosen.better();
  yield* findings(store, map);
}
