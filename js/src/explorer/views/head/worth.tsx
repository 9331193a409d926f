/** Heads worth a look: a line below the head line, each with its reason, a click away. */
import { measures } from "../../../answers/measures";
import type { Question } from "../../../answers/question";
import { type Standout, standouts } from "../../../answers/standouts";
import { shortName, spokenName } from "../../../drawing/naming";
import { brief } from "../../../drawing/words";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { chosenFirst, type Store } from "../../store";

/** A layer is measured by itself, so that a click never waits for all of them. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  if (!map.standouts) return;
  for (const layer of chosenFirst(store, map)) yield measures(map, layer);
  yield standouts(map.name);
}

interface Props {
  store: Store;
  answers: Answers;
}

export function Worth({ store, answers }: Props) {
  const map = store.map.value;
  if (!map?.standouts || store.lesson.facts.value?.predict?.kind === "head") return null;
  const asked = standouts(map.name);
  const answer = answers.known.get(asked);
  const fault = answers.known.fault(asked);
  return (
    <section
      class="worth"
      data-part="worth"
      data-there={answer !== undefined}
      aria-label="Heads worth a look"
    >
      <h3>Worth a look</h3>
      {answer === undefined && <span class="hint">{fault ?? "looking …"}</span>}
      {answer?.heads.length === 0 && (
        <span class="hint">No head stands out. Looked for: {answer.looked.join(", ")}.</span>
      )}
      {answer && answer.heads.length > 0 && (
        <ul>
          {answer.heads.map((one) => (
            <li key={`${one.layer}/${one.head}`}>
              <Head store={store} map={map} one={one} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Head({ store, map, one }: { store: Store; map: MapFacts; one: Standout }) {
  const { layer, head, reasons } = one;
  const chosen = store.layer.value === layer && store.head.value === head;
  const words = reasons.map(([, value, why]) => `${why} ${brief(value)}`).join(", ");
  const more = reasons.length > 1 ? ` +${reasons.length - 1}` : "";
  // What is seen is also what is said first: who speaks to the page says what is seen.
  return (
    <button
      type="button"
      data-part="standout"
      data-layer={layer}
      data-head={head}
      data-measure={reasons[0]![0]}
      aria-pressed={chosen}
      aria-label={`${shortName(map, layer, head)} ${reasons[0]![2]}${more}: ${spokenName(map, layer, head)}, ${words}`}
      title={words}
      onClick={() => store.select(layer, head)}
    >
      <b>{shortName(map, layer, head)}</b> {reasons[0]![2]}
      {more && <small>{more.trim()}</small>}
    </button>
  );
}
