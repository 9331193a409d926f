/** What was done to the tokens, as chips that can be taken off. */
import { batch } from "@preact/signals";
import { shortened } from "../../../drawing/words";
import type { Lensed } from "../../../host/facts";
import type { Source } from "../../../host/source";
import type { Store } from "../../store";

const counted = (count: number | undefined, noun: string): string =>
  `${count ?? 0} ${noun}${count === 1 ? "" : "s"}`;

function textOf({ kind, count, names = [], learned }: Lensed): string {
  if (kind === "words") return "Whole words";
  if (kind === "special") return `${counted(count, "special token")} hidden`;
  if (kind === "sinks" && learned)
    return count ? `Learned sinks and ${counted(count, "sink")} hidden` : "Learned sinks hidden";
  if (kind === "sinks") return `${counted(count, "sink")} hidden`;
  if (kind === "tokens") return `${counted(count, "token")} hidden`;
  return `Only ${names.length > 0 ? names.map((name) => shortened(name)).join(", ") : counted(count, "token")}`;
}

/** Without one of them, the maps are asked for anew. */
function takeOff({ traits }: Store, { kind }: Lensed): void {
  batch(() => {
    if (kind === "words") traits.words.value = false;
    else if (kind === "only") traits.only.value = [];
    else if (kind === "tokens")
      traits.hide.value = traits.hide.value.filter((one) => typeof one === "string");
    else traits.hide.value = traits.hide.value.filter((one) => one !== kind);
  });
}

export function Lens({ store, source }: { store: Store; source: Source }) {
  const lens = store.map.value?.lens ?? [];
  if (lens.length === 0) return null;
  const live = source.link.value === "live";
  const renormalised = lens.some(({ kind }) => kind !== "words");
  return (
    <ul class="lens" data-part="lens" aria-label="What was done to the tokens">
      {lens.map((one) => (
        <li key={one.kind} data-part="chip" data-kind={one.kind}>
          {textOf(one)}
          {live && (
            <button
              type="button"
              data-part="take-off"
              aria-label={`Take off: ${textOf(one)}`}
              title="Take off"
              onClick={() => takeOff(store, one)}
            >
              ×
            </button>
          )}
        </li>
      ))}
      {renormalised && <li class="hint">The rest of each row is rescaled to sum to 1.</li>}
    </ul>
  );
}
