/** Temperature and scaling, with the stops that a course uses. */
import { widthOf } from "../attention/steps";
import { Dial } from "../controls/dial";
import type { Store } from "./store";

const TEMPERATURES = [0.01, 0.1, 1, 10].map((value) => ({ value, label: String(value) }));

export function Temperature({ store }: { store: Store }) {
  return (
    <Dial
      label="Temperature"
      part="temperature"
      value={store.traits.temperature.value}
      from={0.01}
      to={100}
      stops={TEMPERATURES}
      disabled={store.isLocked("temperature")}
      onChange={(temperature) => store.change({ temperature }, "temperature")}
      onEnd={() => store.endGesture()}
    />
  );
}

/** Whether products are divided by the square root of the width, or taken as they are. */
export function Scaling({ store }: { store: Store }) {
  const { scaling, query } = store.traits;
  const width = widthOf(query.value);
  const options: [string, number | null][] = [
    [`/ √${width}`, null],
    ["not scaled", 1],
  ];
  return (
    <div class="segments" role="group" aria-label="Scaling of the scores">
      {options.map(([text, value]) => (
        <button
          type="button"
          key={text}
          data-part={value === null ? "scaled-by-width" : "not-scaled"}
          aria-pressed={scaling.value === value}
          aria-disabled={store.isLocked("scaling")}
          onClick={() => !store.isLocked("scaling") && store.change({ scaling: value })}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
