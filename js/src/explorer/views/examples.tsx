/** The texts of a survey, the most telling of the chosen head first; the one that is chosen is read and shown. */
import { exact } from "../../drawing/words";
import type { Store } from "../store";
import { open, type Survey, type Surveyed } from "../surveyed";

const NO_KERNEL = "A text is read by the model, which needs the kernel: run the cell again.";

export function Examples({ store }: { store: Store }) {
  const survey = store.traits.surveyed.value;
  if (!survey) return null;
  const live = store.weighing.isLive;
  return (
    <section class="examples" data-part="examples" data-run={survey.state}>
      <h3>
        Texts
        <small>
          of {survey.count.toLocaleString("en")}, by {survey.measure}
        </small>
      </h3>
      {survey.state === "error" && (
        <p class="hint" role="alert" data-part="examples-why">
          {survey.why}
        </p>
      )}
      {survey.largest.length === 0 && <p class="hint">This head has no such number in any text.</p>}
      <Side store={store} survey={survey} name="largest" live={live} />
      <Side store={store} survey={survey} name="smallest" live={live} />
    </section>
  );
}

interface Props {
  store: Store;
  survey: Survey;
  name: "largest" | "smallest";
  live: boolean;
}

function Side({ store, survey, name, live }: Props) {
  const texts: readonly Surveyed[] = survey[name];
  if (texts.length === 0) return null;
  const chosen = store.traits.example.value;
  return (
    <>
      <h4 id={`examples-${name}`}>{name}</h4>
      <ol aria-labelledby={`examples-${name}`} data-part={`examples-${name}`}>
        {texts.map((one) => {
          const [number, text, place, value] = one;
          return (
            <li key={number}>
              <button
                type="button"
                data-part="example"
                data-number={number}
                aria-pressed={number === chosen}
                aria-disabled={!live}
                title={live ? `row ${number}, token ${place}` : NO_KERNEL}
                onClick={() => live && open(store.traits, one)}
              >
                <span class="value">{exact(value)}</span>
                <bdi>{text}</bdi>
                <small>
                  row {number}, token {place}
                </small>
              </button>
            </li>
          );
        })}
      </ol>
    </>
  );
}
