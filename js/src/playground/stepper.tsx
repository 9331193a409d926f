/** One more, one less. */
import { type Axis, canResize, resized, sizeOf } from "./sizes";
import type { Store } from "./store";

interface Props {
  store: Store;
  axis: Axis;
  label: string;
}

const ONE: Record<string, string> = { queries: "query", keys: "key", tokens: "token" };

export function Stepper({ store, axis, label }: Props) {
  const { traits } = store;
  const facts = traits.facts.value;
  const scene = store.scene.value;
  if (!facts || !scene) return null;
  const numbers = store.numbers.value;
  const size = sizeOf(numbers, axis);
  const by = (step: 1 | -1) => {
    const can = canResize(numbers, axis, step, facts);
    return (
      <button
        type="button"
        class="quiet"
        data-part={`${axis}-${step > 0 ? "more" : "less"}`}
        aria-label={`${step > 0 ? "One more" : "One less"}: ${label}`}
        aria-disabled={!can || store.isLocked("size")}
        onClick={() => can && !store.isLocked("size") && store.change(resized(numbers, axis, step, scene))}
      >
        {step > 0 ? "+" : "−"}
      </button>
    );
  };
  return (
    <span class="stepper">
      {by(-1)}
      <span>
        {size} {size === 1 ? (ONE[label] ?? label) : label}
      </span>
      {by(1)}
    </span>
  );
}
