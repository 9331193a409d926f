/** The formula between scores and weights, with the numbers of the cell that is pointed at or pinned. */
import { useMemo } from "preact/hooks";
import type { Question } from "../../answers/question";
import { scores as scoresOf } from "../../answers/scores";
import { cellNumbers } from "../../attention/cell";
import { type RowScores, rowScores } from "../../attention/scores";
import { weightOf } from "../../attention/temper";
import { MASKED } from "../../attention/tile";
import { sharing } from "../../drawing/naming";
import { quoted } from "../../drawing/words";
import { isWhole, keysOf, type MapFacts, type ScoreFacts } from "../../host/facts";
import type { Answers } from "../answers";
import type { Chosen } from "../chosen";
import { cellOf, type Store } from "../store";
import { notesOf, ruleOf, type Sharpness, type Step, stepsOf, stepsOfWeight } from "./rule";

interface Place {
  query: number;
  key: number;
}

/** The cell under the pointer, or else the pinned one. */
function cellShown(store: Store): Place | null {
  for (const cell of [store.hover.value, store.pin.value]) {
    if (cell && cell.query !== null && cell.key !== null) return { query: cell.query, key: cell.key };
  }
  return null;
}

export const madeOf = (map: MapFacts, layer: number): ScoreFacts | null => map.scores?.[layer] ?? null;

/** What the kernel must be asked for the row of a cell; null where that is here, or is coming with its whole layer. */
function question(store: Store, map: MapFacts, chosen: Chosen): Question<RowScores> | null {
  const layer = store.layer.value;
  const cell = cellShown(store);
  if (!cell || !madeOf(map, layer) || map.held?.[layer] === "projections" || chosen.projections())
    return null;
  // Rows of long maps are long: one is asked for when it is pinned.
  if (!isWhole(map) && cell.query !== store.pin.value.query) return null;
  return scoresOf(map.name, layer, store.head.value, cell.query);
}

export function* needs(store: Store, map: MapFacts, chosen: Chosen): Generator<Question<unknown>> {
  const asked = question(store, map, chosen);
  if (asked) yield asked;
}

interface Props {
  store: Store;
  answers: Answers;
  sharpness: Sharpness;
}

export function Formula({ store, answers, sharpness }: Props) {
  const map = store.map.value;
  const layer = store.layer.value;
  const head = store.head.value;
  const made = map && madeOf(map, layer);
  const cell = cellShown(store);
  const held = answers.chosen.projections();
  const query = cell?.query ?? null;
  const computed = useMemo(
    () => (held && query !== null && query < held.nQueries ? rowScores(held, head, query) : null),
    [held, head, query],
  );
  if (!map) return null;
  const asked = question(store, map, answers.chosen);
  const came = asked && answers.known.isFresh(asked) ? answers.known.get(asked) : null;
  // What is on its way is waited for, so that numbers do not change under the eye.
  const waiting = asked !== null && !answers.known.isSettled(asked);
  const told =
    cell && !waiting && answers.chosen.isThere.value
      ? explain(store, made, cell, computed ?? came ?? null, sharpness)
      : null;
  return (
    <div class="formula" data-part="formula">
      <p class="rule" data-part="rule">
        {ruleOf(made, sharpness)}
      </p>
      <div class="cell">
        {cell ? (
          <>
            <p>
              {quoted(map.queries.labels[cell.query])} → {quoted(keysOf(map).labels[cell.key])}
              {typeof told === "string" && `: ${told}`}
            </p>
            {told && typeof told !== "string" && (
              <dl class="steps" data-part="steps" data-query={cell.query} data-key={cell.key}>
                {told.steps.map(({ name, operation, text, value }) => (
                  <div key={name} data-step={name} data-value={value}>
                    <dt>{operation}</dt>
                    <dd>{text}</dd>
                  </div>
                ))}
              </dl>
            )}
            {told && typeof told !== "string" && !told.whole && (
              <p data-part="unknown">{UNKNOWN[made ? "here" : "ever"]}</p>
            )}
          </>
        ) : (
          <p>Point at a cell, or pin it, to see its numbers.</p>
        )}
      </div>
      {notesOf(made, sharing(map, layer, head)).map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  );
}

/** Why the numbers begin with the weight. */
const UNKNOWN = {
  ever: "Weights were given: their logarithms are the scores, less one number that the row shares.",
  here: "The scores of this row are not here: log weight is a score less one number that the row shares.",
};

/** The steps of a cell, from its scores where these are known; or in words why there are none. */
function explain(
  store: Store,
  made: ScoreFacts | null,
  { query, key }: Place,
  row: RowScores | null,
  sharpness: Sharpness,
): { steps: Step[]; whole: boolean } | string | null {
  const { temperature, scaling } = sharpness;
  if (made && row && row.scores.length === store.map.value?.n_keys) {
    const numbers = cellNumbers(row, key, scaling / temperature);
    return numbers ? { steps: stepsOf(numbers, made, sharpness), whole: true } : "masked";
  }
  for (const shown of [store.drawn.value, store.exactRow.value]) {
    if (!shown?.tile.exact || !store.isCurrent(shown)) continue;
    const { tile } = shown;
    const at = cellOf(tile, query, key);
    if (at === null) continue;
    if (Number.isNaN(tile.missing[query - tile.rows[0]])) return "NaN";
    const code = tile.codes[at]!;
    if (code === MASKED) return "masked";
    const pinned = store.pinned.value;
    const first = store.compared.value === "first";
    const drawn = store.drawn.value;
    const own = drawn && shown === drawn ? weightOf(tile, drawn, at) : null;
    const alone = pinned?.query === query && pinned.queries.length === 1;
    const weight = alone ? (first ? pinned.before : pinned.after)[key]! : own;
    if (weight === null) return null;
    return { steps: stepsOfWeight(tile.low + code * tile.step, weight, sharpness), whole: false };
  }
  return null;
}
