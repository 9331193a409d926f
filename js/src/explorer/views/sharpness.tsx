/** Temperature and scaling: the two numbers that act between scores and weights, and what they do there. */
import { batch } from "@preact/signals";
import { Button } from "../../controls/button";
import type { Stop } from "../../controls/decades";
import { Dial } from "../../controls/dial";
import { withArticle } from "../../drawing/naming";
import { isTempered, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { Apply } from "./apply/apply";
import { Formula, madeOf } from "./formula";
import { rootOf, unscaled } from "./rule";

const TEMPERATURES: readonly Stop[] = [0.1, 0.5, 1, 2, 10].map((value) => ({ value, label: String(value) }));
const SCALINGS: readonly Stop[] = [
  { value: 0, label: "0", title: "0: every key alike" },
  { value: 1, label: "model", title: "as the model" },
];

/** What a map is, that no temperature acts on. */
function madeNow({ weighing }: Store, map: MapFacts): string {
  if (weighing.effect.value) return "these cells are effects on a token";
  if (weighing.valued.value) return "these cells are weights times the size of values";
  return `this map is ${map.derived ? withArticle(map.derived) : "a sum of weights"}`;
}

export function Sharpness({ store, answers }: { store: Store; answers: Answers }) {
  const { traits, lesson } = store;
  const map = store.map.value;
  if (map && !isTempered(map)) {
    return (
      <section class="sharpness" data-part="sharpness">
        <p class="said">Temperature and scaling act on one head's scores; {madeNow(store, map)}.</p>
        <Apply store={store} />
      </section>
    );
  }
  // What is applied acts on the model, and is in what is drawn.
  const applied = traits.applied.value;
  const unheard = applied && store.applying.needs.value !== null;
  const coarse = unheard || (!applied && store.isCoarse.value);
  const [fixed, bound] = [lesson.isLocked("temperature"), lesson.isLocked("scaling")];
  // Coarse points stay as they were made.
  const drawn = coarse ? store.drawn.value : null;
  const temperature = applied ? traits.temperature.value : (drawn?.temperature ?? store.temperature.value);
  const scaling = applied ? traits.scaling.value : (drawn?.scaling ?? store.scaling.value);
  const changed = (temperature !== 1 && !fixed) || (scaling !== 1 && !bound);
  const made = map && madeOf(map, store.layer.value);
  const root = made && rootOf(made);
  const undone = made && unscaled(made);
  const isUndone = undone !== null && Math.abs(scaling - undone) <= 1e-9 * undone;

  function reset(): void {
    batch(() => {
      if (!fixed) traits.temperature.value = 1;
      if (!bound) traits.scaling.value = 1;
    });
  }

  return (
    <section class="sharpness" data-part="sharpness">
      <Dial
        label="Temperature"
        part="temperature"
        value={temperature}
        stops={TEMPERATURES}
        disabled={coarse || fixed}
        onChange={(value) => (traits.temperature.value = value)}
      />
      <Dial
        label="Scaling"
        part="scaling"
        value={scaling}
        zero
        stops={
          root === null
            ? SCALINGS
            : [
                ...SCALINGS,
                { value: root, label: `× √${made!.width}`, title: `× √${made!.width}, the width of a head` },
              ]
        }
        disabled={coarse || bound}
        onChange={(value) => (traits.scaling.value = value)}
      />
      <div class="presses">
        <Button class="quiet" part="reset" idle={!changed} onClick={reset}>
          Reset
        </Button>
        {undone !== null && !coarse && !bound && (
          <button
            type="button"
            class="quiet"
            data-part="unscaled"
            aria-pressed={isUndone}
            title="Multiplies by what the model divides by"
            onClick={() => (traits.scaling.value = isUndone ? 1 : undone)}
          >
            As if not scaled
          </button>
        )}
      </div>
      <p class="said">
        {unheard
          ? "Temperature and scaling are in these weights as the model was run with them."
          : coarse
            ? "Temperature and scaling act on heads that are here whole, and this one is here in coarse points."
            : "Scaling × 2 does what temperature / 2 does: both act on the scores, before the softmax."}
      </p>
      <Apply store={store} />
      <Formula
        store={store}
        answers={answers}
        sharpness={applied ? { temperature: 1, scaling: 1 } : { temperature, scaling }}
      />
    </section>
  );
}
