/** Apply to the model: the switch, what is changed, and what the model then says. */
import { useId } from "preact/hooks";
import type { Store } from "../../store";
import { Candidates } from "./candidates";
import { Sums } from "./sums";

export function Apply({ store }: { store: Store }) {
  const { applying, traits } = store;
  const described = useId();
  const outcome = applying.outcome.value;
  const map = store.map.value;
  if (!outcome || !map || store.lesson.isLocked("applied")) return null;
  const needs = applying.needs.value;
  const on = traits.applied.value;
  return (
    <section class="apply" data-part="apply" data-on={on} data-run={outcome.state}>
      <label class="check" data-disabled={needs !== null}>
        <input
          type="checkbox"
          data-part="applied"
          checked={on}
          disabled={needs !== null}
          aria-describedby={described}
          onChange={(event) => (traits.applied.value = event.currentTarget.checked)}
        />
        Apply to the model
      </label>
      <p class="hint" id={described} data-part="apply-said">
        {needs ?? (on ? "" : "Runs the model again with what is changed here.")}
      </p>
      {on && <Changes store={store} />}
      {on && outcome.why && (
        <p class="refused" role="alert" data-part="apply-failed">
          The model did not run: {outcome.why}
        </p>
      )}
      {on && outcome.candidates && <Candidates outcome={outcome} />}
      {on && outcome.candidates && <Sums outcome={outcome} />}
    </section>
  );
}

/** What is changed, each to be taken back. */
function Changes({ store }: { store: Store }) {
  const { applying } = store;
  const changes = applying.changes(store.map.value!);
  if (changes.length === 0) {
    return (
      <p class="hint" data-part="unchanged">
        Nothing is changed yet. Turn a slider; press <kbd>x</kbd> to switch the chosen head off; hold Shift
        and drag over cells of the map, and press <kbd>c</kbd> to cut them.
      </p>
    );
  }
  return (
    <ul class="lens" aria-label="What is changed in the model">
      {changes.map(({ words, remove }, at) => (
        <li key={`${at} ${words}`} data-part="change">
          {words}
          {applying.needs.value === null && (
            <button
              type="button"
              data-part="take-back"
              aria-label={`Take back: ${words}`}
              title="Take back"
              onClick={remove}
            >
              ×
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
