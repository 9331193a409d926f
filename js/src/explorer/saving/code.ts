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
  const { chosen } = store.places.value;
  const maps = store.facts.value?.maps ?? [];
  const shown: Partial<Choices> = {
    map: maps.length > 1 ? (chosen?.map ?? "") : "",
    layer: chosen?.layer ?? 0,
    head: chosen?.head ?? 0,
    ...store.pin.value,
    view: store.view.value,
  };
  if (traits.weighing.value !== "weight") return codeOfWeighing({ ...choices, ...shown });
  const runs = [...new Set(maps.flatMap(({ run }) => run ?? []))].reverse();
  const [before] = runs;
  // What compare() chooses by itself.
  const defaults: Choices =
    before === undefined
      ? DEFAULTS
      : {
          ...DEFAULTS,
          ...{ map: maps[0]!.name, layer: -1, head: -1, measure: "changed", sort: "highest" },
          against: { map: before, layer: null, head: null },
        };
  const differing = Object.entries({ ...choices, ...shown }).filter(
    ([name, value]) => literal(value) !== literal(defaults[name as keyof Choices]),
  );
  const options = differing.map(([name, value]) => `${name}=${literal(value)}`);
  if (before === undefined) return `aw.explore(${["run", ...options].join(", ")})`;
  const labels = literal(runs) === literal(["before", "after"]) ? [] : [`labels=${literal(runs)}`];
  return `aw.compare(${["before", "after", ...labels, ...options].join(", ")})`;
}

/** The model is run for it; what goes with it by itself is not chosen again. */
function codeOfWeighing(choices: Partial<Choices>): string {
  const own = { ...choices };
  if (choices.weighing === "effect")
    for (const name of ["map", "measure", "sort", "against", "compared"] as const) delete own[name];
  const options = Object.entries(own)
    .filter(([name, value]) => literal(value) !== literal(DEFAULTS[name as keyof Choices]))
    .map(([name, value]) => `${name}=${literal(value)}`);
  return `aw.explore(${["text", "model=model", "tokenizer=tokenizer", ...options].join(", ")})`;
}
