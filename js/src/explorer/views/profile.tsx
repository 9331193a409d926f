/** Mean entropy of every head of the layer; the selected one follows the temperature. */
import { useRef } from "preact/hooks";
import { profile as profileOf } from "../../answers/profile";
import type { Question } from "../../answers/question";
import { meanOf } from "../../attention/temper";
import { Fault } from "../../controls/fault";
import { exact } from "../../drawing/words";
import type { MapFacts } from "../../host/facts";
import { headNumber, keyValueHead, layerNumber } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";

/** Names need this much room; closer ones are thinned out. */
const NAMED = 16;
const LONG_NAMED = 24;
/** Bars this wide stand apart by key-value heads. */
const APART = 12;
/** Bars this wide have room for their number. */
const NUMBERED = 34;

interface Props {
  store: Store;
  answers: Answers;
  width: number;
}

/** The mean of what is drawn, where that can be had and differs from what the kernel measured. */
function liveEntropy(store: Store): number | null {
  const drawn = store.drawn.value;
  if (!drawn || !store.isCurrent(drawn) || !drawn.tile.exact) return null;
  if (drawn.temperature === 1 && drawn.scaling === 1) return null;
  return meanOf(drawn.entropy);
}

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  yield profileOf(map.name, store.layer.value);
}

export function Profile({ store, answers, width }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const map = store.map.value;
  const layer = store.layer.value;
  const head = store.head.value;
  if (!map || store.weighing.effect.value) return null;
  const asked = profileOf(map.name, layer);
  const fault = answers.known.fault(asked);
  const profile = answers.known.get(asked);
  const stale = profile !== undefined && !answers.known.isFresh(asked);
  const heads = map.heads[layer] ?? 0;
  if (heads < 2 && !fault) return null;

  const live = liveEntropy(store);
  const measured = profile?.entropy[head] ?? Number.NaN;
  const values = Array.from({ length: heads }, (_, at) =>
    at === head && live !== null ? live : (profile?.entropy[at] ?? Number.NaN),
  );
  const finite = values.filter((value) => !Number.isNaN(value));
  const largest = finite.length > 0 ? Math.max(...finite) : Number.NaN;
  const apart = width / heads >= APART;
  const every = Math.ceil(((heads > 100 ? LONG_NAMED : NAMED) * heads) / Math.max(1, width));
  const top = Math.max(largest || 0, profile?.uniform ?? 0, 1e-9) * 1.08;

  function move(event: KeyboardEvent): void {
    const target = {
      ArrowLeft: head - 1,
      ArrowUp: head - 1,
      ArrowRight: head + 1,
      ArrowDown: head + 1,
      Home: 0,
      End: heads - 1,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = Math.min(Math.max(0, target), heads - 1);
    store.select(layer, next);
    list.current?.querySelector<HTMLElement>(`[data-head="${next}"]`)?.focus();
  }

  return (
    <section class="profile" data-part="profile">
      <h3>
        Heads of layer {layerNumber(map, layer)} <small>mean row entropy, nats</small>
        {profile && (
          <small class="ceiling">
            <i aria-hidden="true" /> all keys alike {profile.uniform.toFixed(2)}
          </small>
        )}
      </h3>
      {fault ? (
        <Fault sentence={fault} onRetry={() => answers.retry()} />
      ) : (
        <div
          class="bars"
          data-stale={stale}
          role="radiogroup"
          aria-label={`Entropy of the heads of layer ${layerNumber(map, layer)}`}
          ref={list}
          onKeyDown={move}
        >
          {profile && <div class="uniform" style={{ "--share": profile.uniform / top }} />}
          {values.map((value, at) => (
            <button
              type="button"
              role="radio"
              key={at}
              data-part="head-bar"
              data-head={at}
              data-entropy={value}
              data-max={value === largest}
              data-group={
                apart && at > 0 && keyValueHead(map, layer, at) !== keyValueHead(map, layer, at - 1)
              }
              aria-checked={at === head}
              aria-label={`Head ${headNumber(map, layer, at)}: ${exact(value)} nats${value === largest ? ", the largest" : ""}`}
              title={
                at === head && live !== null
                  ? `head ${headNumber(map, layer, at)}: ${exact(measured)} → ${exact(value)} nats`
                  : `head ${headNumber(map, layer, at)}: ${exact(value)} nats`
              }
              tabIndex={at === head ? 0 : -1}
              onClick={() => store.select(layer, at)}
            >
              <span class="track">
                <i class="bar" style={{ height: `${Number.isNaN(value) ? 0 : (value / top) * 100}%` }}>
                  {(value === largest || (width / heads >= NUMBERED && !Number.isNaN(value))) && (
                    <b>{value.toFixed(2)}</b>
                  )}
                </i>
                {at === head && live !== null && (
                  <i class="ghost" style={{ "--share": (measured || 0) / top }} />
                )}
              </span>
              <span class="name">
                {(at === head || (at % every === 0 && Math.abs(at - head) >= every)) &&
                  headNumber(map, layer, at)}
              </span>
            </button>
          ))}
        </div>
      )}
    </section>
  );
}
