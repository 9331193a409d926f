/** What cells say: weights, these times the size of values, or effects on a token. */
import { useRef } from "preact/hooks";
import type { Store } from "../../store";
import type { Weighs } from "../../weighing";

const CHOICES: readonly (readonly [Weighs, label: string, hint: string])[] = [
  ["weight", "weight", "What a query gives to each key"],
  ["value", "weight × value", "The weight times the size of what the value of its key adds"],
  ["effect", "effect on a token", "What comes through each key adds to the logit of a token"],
];

export function Switch({ store }: { store: Store }) {
  const group = useRef<HTMLSpanElement>(null);
  const { weighing, traits, lesson } = store;
  const weighed = weighing.weighed.value;
  if (!weighed || lesson.isLocked("weighing")) return null;
  const chosen = traits.weighing.value;

  function move(event: KeyboardEvent): void {
    const at = [...group.current!.querySelectorAll("button")];
    const from = at.indexOf(event.target as HTMLButtonElement);
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (from < 0 || step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const to = (from + step + at.length) % at.length;
    at[to]!.focus();
    choose(CHOICES[to]![0]);
  }

  function choose(what: Weighs): void {
    weighing.choose(what);
    store.said.value = weighing.refused.peek();
  }

  return (
    <span
      class="segments weighing"
      role="radiogroup"
      aria-label="What cells say"
      data-part="weighing"
      data-run={weighed.state}
      ref={group}
      onKeyDown={move}
    >
      {CHOICES.map(([what, label, hint]) => {
        const why = weighing.refusal(what);
        return (
          <button
            type="button"
            role="radio"
            key={what}
            data-part={`weigh-${what}`}
            aria-checked={what === chosen}
            aria-disabled={why !== null}
            aria-description={why ?? undefined}
            title={why ?? hint}
            tabIndex={what === chosen ? 0 : -1}
            onClick={() => choose(what)}
          >
            {label}
          </button>
        );
      })}
    </span>
  );
}
