/** The line of Python that opens this view again. */
import { literal } from "../../host/python";
import { type Choices, DEFAULTS } from "../choices";
import type { Store } from "../store";

export function codeOf(store: Store): string {
  const { traits } = store;
  const choices = Object.fromEntries(
    Object.keys(DEFAULTS).map((name) => [name, traits[name as keyof Choices].value]),
  );
  // What is shown, where a choice cannot be.
  const shown: Partial<Choices> = {
    map: (store.facts.value?.maps.length ?? 0) > 1 ? (store.map.value?.name ?? "") : "",
    layer: store.layer.value,
    head: store.head.value,
    ...store.pin.value,
    view: store.view.value,
  };
  const differing = Object.entries({ ...choices, ...shown }).filter(
    ([name, value]) => literal(value) !== literal(DEFAULTS[name as keyof Choices]),
  );
  const options = differing.map(([name, value]) => `${name}=${literal(value)}`);
  return `aw.explore(${["run", ...options].join(", ")})`;
}
