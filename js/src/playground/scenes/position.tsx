/** The same words in another order: which scores change, with positions and without. */
import { products, rotated } from "../../attention/steps";
import { Formula } from "../formula";
import { Output, Vectors, Weights } from "../machine";
import { ACROSS, DOWN, linear, Plane, path } from "../plots/axis";
import type { Store } from "../store";
import { NumberTable } from "../table";
import type { SceneProps } from "./table";

const FAR = 8;
/** The last place that Python knows. */
const FARTHEST = 1000;
/** Two scores are the same when no cell could tell them apart. */
const SAME = 1e-9;

export function Position({ store }: SceneProps) {
  const { traits } = store;
  const rotary = traits.rotary.value;
  const places = traits.key.value.map((_, at) => at);
  const other = traits.positions.value.length > 0 ? traits.positions.value : places;
  const before = store.firstScores.value;
  const after = store.steps.value.scores;
  const changed = (row: number, column: number) =>
    Math.abs(before[row]![column]! - after[row]![column]!) > SAME;
  const count = after.flatMap((row, r) => row.filter((_, c) => changed(r, c))).length;
  const labels = places.map((at) => store.label("key", at));
  return (
    <>
      <div class="controls">
        <label class="check">
          <input
            type="checkbox"
            data-part="rotary"
            checked={rotary}
            disabled={store.isLocked("rotary")}
            onChange={(event) => store.change({ rotary: event.currentTarget.checked })}
          />
          rotary positions
        </label>
        <Order store={store} positions={other} />
      </div>
      <div class="flow">
        <NumberTable
          store={store}
          step="first scores"
          part="scores-before"
          title={
            <>
              <b>Scores</b>
              <small>{inOrder(labels, places)}</small>
            </>
          }
          rows={before}
          rowLabels={labels}
          columnLabels={labels}
          scale="signed"
        />
        <NumberTable
          store={store}
          step="scores"
          title={
            <>
              <b>Scores</b>
              <small>{inOrder(labels, other)}</small>
            </>
          }
          rows={after}
          rowLabels={labels}
          columnLabels={labels}
          scale="signed"
          marked={(row, column) => !store.isVeiled("scores") && changed(row, column)}
        />
        {!store.isVeiled("scores") && (
          <>
            <p class="verdict" data-part="verdict">
              {count === 0
                ? "No score has changed."
                : `${count} of ${after.length ** 2} scores have changed (outlined).`}
            </p>
            <Distance store={store} />
          </>
        )}
      </div>
      <Formula store={store} />
      <div class="machine">
        <div class="inputs">
          <Vectors store={store} step="query" />
          <Vectors store={store} step="key" />
          <Vectors store={store} step="value" />
        </div>
        <div class="flow">
          <Weights store={store} />
          <Output store={store} />
        </div>
      </div>
    </>
  );
}

/** Words from left to right, with the place of the first where that is not 0. */
function inOrder(labels: readonly string[], positions: readonly number[]): string {
  const order = positions.map((_, at) => at).sort((a, b) => positions[a]! - positions[b]!);
  const first = positions[order[0]!]!;
  return `“${order.map((at) => labels[at]).join(" ")}”${first === 0 ? "" : ` from place ${first} on`}`;
}

/** Words in their places; a word moves by its arrows, and changes place with its neighbour. */
function Order({ store, positions }: { store: Store; positions: readonly number[] }) {
  const order = positions.map((_, at) => at).sort((a, b) => positions[a]! - positions[b]!);
  const locked = store.isLocked("positions");
  const far = Math.max(...positions) >= FARTHEST;
  const swap = (one: number, two: number) => {
    const next = [...positions];
    [next[order[one]!], next[order[two]!]] = [positions[order[two]!]!, positions[order[one]!]!];
    store.change({ positions: next });
  };
  return (
    <div class="order" data-part="order">
      <span>Order</span>
      {order.map((token, place) => (
        <span class="word" key={token}>
          <bdi>{store.label("key", token)}</bdi>
          <sub>{positions[token]}</sub>
          {place < order.length - 1 && (
            <button
              type="button"
              class="quiet"
              data-part="swap"
              aria-label={`Swap ${store.label("key", token)} and ${store.label("key", order[place + 1]!)}`}
              aria-disabled={locked}
              onClick={() => !locked && swap(place, place + 1)}
            >
              ⇄
            </button>
          )}
        </span>
      ))}
      <button
        type="button"
        class="quiet"
        data-part="move-all"
        aria-disabled={locked || far}
        onClick={() =>
          !locked && !far && store.change({ positions: positions.map((position) => position + 1) })
        }
      >
        all one further
      </button>
    </div>
  );
}

/** The score of a pair of words, the one here and the other so many places before it. */
function Distance({ store }: { store: Store }) {
  const { query, key } = store.traits;
  const row = store.row.value;
  const column = Math.min(key.value.length - 1, row === 0 ? 1 : 0);
  const at = (distance: number) =>
    products(rotated([query.value[row]!], [distance]), rotated([key.value[column]!], [0]))[0]![0]!;
  const distances = Array.from({ length: 2 * FAR * 8 + 1 }, (_, step) => step / 8 - FAR);
  const scores = distances.map(at);
  const bound = Math.max(...scores.map(Math.abs), 0.1);
  const x = linear([-FAR, FAR], ACROSS, 9);
  const y = linear([-bound, bound], DOWN);
  const places = store.positions.value;
  const here = places ? places[row]! - places[column]! : null;
  return (
    <Plane
      title={`Score of “${store.label("query", row)}” with “${store.label("key", column)}”, by distance`}
      part="distance"
      x={x}
      y={y}
      xLabel="places that the key is before the query"
      yLabel="score"
    >
      <path class="line" d={path(distances.map((distance, step) => [x(distance), y(scores[step]!)]))} />
      {distances
        .filter((distance) => Number.isInteger(distance))
        .map((distance) => (
          <circle class="dot" key={distance} cx={x(distance)} cy={y(at(distance))} r={2.5} />
        ))}
      {here !== null && Math.abs(here) <= FAR && (
        <circle
          class="dot now"
          data-part="distance-now"
          data-distance={here}
          cx={x(here)}
          cy={y(at(here))}
          r={5}
        />
      )}
    </Plane>
  );
}
