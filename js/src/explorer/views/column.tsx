/** The pinned key: what every query gives to it, in the order of the text. */
import { useMemo } from "preact/hooks";
import type { Question } from "../../answers/question";
import { css } from "../../attention/colour";
import { meanOf } from "../../attention/temper";
import { Fault } from "../../controls/fault";
import { bracketed } from "../../drawing/naming";
import { quoted, readable } from "../../drawing/words";
import { keysOf, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import { columnAsked, columnOf } from "../column";
import type { Store } from "../store";
import { heaviest } from "./heaviest";

/** Bars this wide hold their word without turning it. */
const UPRIGHT = 46;

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const asked = columnAsked(store, map, store.pin.value.key);
  if (asked) yield asked;
}

/** The queries that see the key, or those of them that give it most. */
function queriesToShow(weights: Float32Array): { queries: number[]; total: number } {
  const seeing = Array.from(weights.keys()).filter((query) => !Number.isNaN(weights[query]));
  return { queries: heaviest(seeing, (query) => Math.abs(weights[query]!)), total: seeing.length };
}

interface Props {
  store: Store;
  answers: Answers;
  width: number;
}

export function KeyColumn({ store, answers, width }: Props) {
  const map = store.map.value;
  const { key, query: pinned } = store.pin.value;
  const asked = map && columnAsked(store, map, key);
  const far = asked ? answers.known.get(asked) : undefined;
  const drawn = store.drawn.value;
  // Not at every move of the pointer.
  const column = useMemo(() => {
    if (key === null || !map) return null;
    const weights = far?.weights ?? columnOf(store, key);
    return weights && { weights, read: far?.read ?? weights.length, ...queriesToShow(weights) };
  }, [map, key, drawn, far]);
  if (!map || key === null) return null;
  const keys = keysOf(map);
  const fault = asked ? answers.known.fault(asked) : null;
  const name = `Key ${key} ${quoted(keys.labels[key])}${bracketed(keys, key)}`;
  if (fault !== null) return <Fault sentence={fault} onRetry={() => answers.retry()} />;
  if (!column) {
    return (
      <section class="row" data-part="column">
        <p class="hint">{name} is on its way.</p>
      </section>
    );
  }
  const { weights, read, queries, total } = column;
  const { negative, positive } = store.diverging.value;
  const mean = meanOf(weights);
  const top = Math.max(1e-12, ...queries.map((query) => Math.abs(weights[query]!)));
  const hovered = store.hover.value?.query ?? null;
  return (
    <section
      class="row"
      data-part="column"
      data-key={key}
      data-effect={store.weighing.effect.value !== null}
      style={{ "--less": css(negative.at(-1)!), "--more": css(positive.at(-1)!) }}
    >
      <h3>
        {name}{" "}
        <small>
          {store.weighing.effect.value
            ? "what comes through it at every query"
            : "what every query gives to it"}
        </small>
        <small class="end">
          {queries.length < total && `${queries.length} heaviest of ${total} queries`}
          {read < map.n_queries && ` · ${read} of ${map.n_queries} were read`}
        </small>
      </h3>
      <p class="spread">
        <span>
          mean over the queries that see it <b>{store.weighing.said(mean)}</b>
        </span>
      </p>
      <div
        class="pairs"
        role="list"
        data-upright={width / Math.max(1, queries.length) >= UPRIGHT}
        onPointerLeave={() => (store.hover.value = null)}
      >
        {queries.map((query) => {
          const words = `${quoted(map.queries.labels[query])} ${store.weighing.said(weights[query]!)}`;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the heatmap's arrow keys reach the same cells
            <div
              class="pair"
              role="listitem"
              key={query}
              data-query={query}
              data-lit={query === hovered}
              data-pinned={query === pinned}
              title={words}
              aria-label={words}
              onPointerEnter={() => (store.hover.value = { query, key, from: "column" })}
              onClick={() => store.togglePin({ query, key })}
            >
              <span class="track">
                <i
                  class="bar after"
                  data-less={weights[query]! < 0}
                  style={{ height: `${(Math.abs(weights[query]!) / top) * 100}%` }}
                />
              </span>
              <span class="name">
                <bdi>{readable(map.queries.labels[query] ?? "")}</bdi>
              </span>
            </div>
          );
        })}
      </div>
    </section>
  );
}
