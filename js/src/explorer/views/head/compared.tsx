/** Two heads that are compared: what is shown of them, as a part of the picture's title. */
import { shortened } from "../../../drawing/words";
import { areRuns, type Compared, canDiffer, differenceName, namesOf, placeOf } from "../../comparing";
import type { Store } from "../../store";
import { viewOf } from "../table";

/** Stands before the place of one of two heads. */
export const Letter = ({ name }: { name: "A" | "B" }) => <b class="letter">{name}</b>;

export function Sides({ store }: { store: Store }) {
  const pair = store.pair.value;
  const compared = store.compared.value;
  if (store.incomparable.value) {
    return (
      <small class="hint" data-part="incomparable">
        {store.incomparable.value}
      </small>
    );
  }
  if (!pair || !compared || store.weighing.effect.value) return null;
  const [first, second] = namesOf(pair).map((name) => shortened(name, 24)) as [string, string];
  const { differs, pairs } = viewOf(store.view.value);
  const ways: [Compared, string][] = [
    ["first", first],
    ["second", second],
  ];
  const locked = store.lesson.isLocked("compared");
  if (canDiffer(differs, pair)) ways.unshift(["difference", differenceName(pair)]);
  if (pairs) ways.push(["beside", "Side by side"]);
  return (
    <>
      {!areRuns(pair) && (
        <span class="against" data-part="against">
          <Letter name="A" /> {placeOf(pair, "first")}
        </span>
      )}
      <span class="segments compared" role="group" aria-label="What is shown of the two" data-part="compared">
        {ways.map(([way, label]) => (
          <button
            type="button"
            key={way}
            data-part={`show-${way}`}
            aria-pressed={way === compared}
            aria-disabled={locked}
            onClick={() => {
              if (!locked) store.traits.compared.value = way;
            }}
          >
            <bdi>{label}</bdi>
          </button>
        ))}
      </span>
    </>
  );
}

/** Fixes the head that is shown, to compare others with it; or ends that. */
export function CompareButton({ store }: { store: Store }) {
  const facts = store.facts.value;
  const heads = facts?.maps.reduce((sum, map) => sum + map.heads.reduce((all, of) => all + of, 0), 0) ?? 0;
  // An effect is a difference itself.
  if (heads < 2 || store.empty.value || store.weighing.effect.value || store.lesson.isLocked("against"))
    return null;
  const comparing = store.traits.against.value !== null;

  function end(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !comparing) return;
    event.stopPropagation();
    toggle();
  }

  function toggle(): void {
    store.toggleComparing();
    store.said.value = comparing ? "Comparing no more" : "This head is A: choose another to compare it with";
  }

  return (
    <button
      type="button"
      class="compare"
      data-part="compare"
      aria-pressed={comparing}
      title={comparing ? "Compare no more (Esc)" : "Compare other heads with this one"}
      onClick={toggle}
      onKeyDown={end}
    >
      Compare
    </button>
  );
}
