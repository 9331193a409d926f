/** The line of Python that opens this view again. */
import { type Choices, DEFAULTS } from "../choices";
import type { Store } from "../store";

/** What a reader of code would not see, or see elsewhere. */
const UNSEEN = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const spelt = (sign: string) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A value as Python writes it. */
export function literal(value: string | number | boolean | null): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // The escapes of JSON are Python's too.
  if (typeof value === "string") return JSON.stringify(value).replace(UNSEEN, spelt);
  if (Number.isFinite(value)) return String(value);
  return `float("${Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"}")`;
}

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
    ([name, value]) => value !== DEFAULTS[name as keyof Choices],
  );
  const options = differing.map(([name, value]) => `${name}=${literal(value)}`);
  return `aw.explore(${["run", ...options].join(", ")})`;
}
