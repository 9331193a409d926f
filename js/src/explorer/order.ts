/** In which order the views get what they need: what shows the chosen head first, then its layer, then the others. */
import type { Question } from "../answers/question";
import type { MapFacts } from "../host/facts";
import type { Store } from "./store";
import { needs as findings } from "./views/findings";
import { needs as grid } from "./views/grid";
import { needs as profile } from "./views/profile";
import { VIEWS } from "./views/table";

/**
 * A question, the place in the order of what makes the picture of the chosen head better and its neighbours ready, or that
 * nothing more is known to be needed before it is known what is in sight.
 */
export type Need = Question<unknown> | "better picture" | "sight";

export function* needsOf(store: Store, map: MapFacts): Generator<Need> {
  yield* VIEWS.find(({ name }) => name === store.view.value)?.needs?.(store, map) ?? [];
  yield* profile(store, map);
  yield* grid(store, map);
  yield "better picture";
  yield* findings(store, map);
}
