/** Two heads that are compared, as they are drawn: both, and the one less the other. */
import { areAlike, differenceOf } from "../attention/difference";
import { type Facts, isTempered } from "../host/facts";
import { type Drawn, type DrawnDifference, isAt } from "./drawn";
import type { Store } from "./store";

export interface Both {
  first: Drawn;
  second: Drawn;
}

/** Both, the first one first; null while one of them is not here as the other is. */
export function bothDrawn(store: Store): Both | null {
  const [drawn, other, pair] = [store.drawn.value, store.otherDrawn.value, store.pair.value];
  if (!pair || !drawn || !other || !store.isCurrent(drawn)) return null;
  if (!isAt(other, store.places.value.other) || !areAlike(drawn.tile, other.tile)) return null;
  // A tile that was tempered elsewhere may be here before that of the other at the same temperature.
  const alike = drawn.temperature === other.temperature && drawn.scaling === other.scaling;
  if (!alike && isTempered(pair.first.facts) && isTempered(pair.second.facts)) return null;
  return store.traits.compared.value === "first"
    ? { first: drawn, second: other }
    : { first: other, second: drawn };
}

/** The difference that is shown: while the next is on its way the last one stays. */
export class Differing {
  #last: DrawnDifference | null = null;
  #facts: Facts | null = null;

  of(store: Store): DrawnDifference | null {
    const [both, facts] = [store.both.value, store.facts.value];
    const shown = store.compared.value === "difference";
    // What is left standing is never of another text.
    if (!shown || facts !== this.#facts) this.#last = null;
    this.#facts = facts;
    if (shown && both) {
      const difference = differenceOf(both.first, both.second, this.#last?.values);
      this.#last = { ...difference, ...both };
    }
    return this.#last;
  }
}
