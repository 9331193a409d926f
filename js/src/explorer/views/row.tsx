/** The pinned query: what it gives to each key before and after temperature and scaling. */
import { useMemo } from "preact/hooks";
import { css } from "../../attention/colour";
import { Fault } from "../../controls/fault";
import { exact, quoted, readable, shortened } from "../../drawing/words";
import { keysOf } from "../../host/facts";
import type { Answers } from "../answers";
import { namesOf } from "../comparing";
import { type PinnedRow, rowName } from "../pinned";
import type { Store } from "../store";
import { heaviest } from "./heaviest";
import { speaking } from "./key";
import { viewOf } from "./table";

/** Columns this wide hold their word without turning it. */
const UPRIGHT = 46;

interface Props {
  store: Store;
  answers: Answers;
  width: number;
}

type Weighed = Pick<PinnedRow, "before" | "after" | "masked">;

/** All keys, or the heaviest; keys that the query may not see are left out. */
export function keysToShow({ before, after, masked }: Weighed): number[] {
  const seen = Array.from(after.keys()).filter((key) => !masked(key));
  return heaviest(seen, (key) => Math.max(before[key]!, after[key]!));
}

const seenBy = ({ after, masked }: Weighed): number =>
  after.reduce((count, _, key) => count + (masked(key) ? 0 : 1), 0);

/** What the two bars of a key are. */
function sidesOf({ pair, weighing }: Store): [before: string, after: string] {
  const effect = weighing.effect.value;
  if (effect) {
    const { lower, upper } = speaking(effect, false);
    return [lower, upper];
  }
  return pair.value ? namesOf(pair.value) : ["before", "after"];
}

/** What all keys together add to the logit. */
function Sum({ store, row }: { store: Store; row: PinnedRow }) {
  const sum = row.shown.reduce((all, one) => all + one, 0);
  return (
    <p class="spread">
      <span>
        together <b data-part="row-sum">{store.weighing.said(sum)}</b>
      </span>
    </p>
  );
}

/** Entropy of the row, of the largest that it could have: that of a query that looks at all its keys alike. */
function Spread({ row, total, compared }: { row: PinnedRow; total: number; compared: boolean }) {
  const most = Math.log(total);
  const share = (entropy: number) => (most > 0 && entropy > 0 ? Math.min(1, entropy / most) : 0);
  return (
    <p class="spread">
      <span class="meter" aria-hidden="true">
        {compared && (
          <i class="before" data-part="entropy-before" style={{ "--share": share(row.entropyBefore) }} />
        )}
        <i class="after" data-part="entropy-after" style={{ "--share": share(row.entropyAfter) }} />
      </span>
      <span>
        entropy {compared && `${exact(row.entropyBefore)} → `}
        <b>{exact(row.entropyAfter)}</b> nats
      </span>
      {total > 0 && (
        <span class="most" data-part="entropy-most" data-value={most}>
          at most log {total} = {exact(most)}: all {total} keys alike
        </span>
      )}
    </p>
  );
}

export function Row({ store, answers, width }: Props) {
  const map = store.map.value;
  const row = store.pinned.value;
  const fault = answers.chosen.faults.value.row;
  // Not at every move of the pointer: a long row takes a while to sort.
  const shown = useMemo(() => (row ? { keys: keysToShow(row), total: seenBy(row) } : null), [row]);
  if (!map) return null;
  if (fault !== undefined) return <Fault sentence={fault} onRetry={() => answers.retry()} />;
  if (!row || !shown) {
    const { hint } = viewOf(store.view.value);
    const waiting = store.pin.value.query !== null;
    // A key alone has a column and no row.
    if (!waiting && store.pin.value.key !== null) return null;
    if (waiting && answers.chosen.faults.value.tile !== undefined) return null;
    return (
      <section class="row" data-part="row">
        <p class="hint">{waiting ? "The pinned query is on its way." : hint}</p>
      </section>
    );
  }
  const { keys, total } = shown;
  const labels = keysOf(map).labels;
  const top = Math.max(...keys.map((key) => Math.max(row.before[key]!, row.after[key]!)), 1e-12);
  const hovered = store.hover.value?.key ?? null;
  const pinned = store.pin.value.key;
  // With nothing moved, and on a derived map, there is one state only.
  const pair = store.pair.value;
  const compared = pair !== null || store.temperature.value !== 1 || store.scaling.value !== 1;
  const effect = store.weighing.effect.value;
  const saidOf = (key: number): string => {
    if (effect) return store.weighing.said(row.shown[key]!);
    return compared ? `${exact(row.before[key]!)} → ${exact(row.after[key]!)}` : exact(row.after[key]!);
  };
  const spokenOf = (key: number): string =>
    compared && !effect
      ? `${exact(row.before[key]!)} ${before}, ${exact(row.after[key]!)} ${after}`
      : saidOf(key);
  const [before, after] = sidesOf(store);
  const { negative, positive } = store.diverging.value;
  const upright = width / Math.max(1, keys.length) >= UPRIGHT;
  return (
    <section
      class="row"
      data-part="row"
      data-effect={effect !== null}
      style={{ "--less": css(negative.at(-1)!), "--more": css(positive.at(-1)!) }}
      data-query={row.query}
      data-entropy-before={row.entropyBefore}
      data-entropy-after={row.entropyAfter}
    >
      <h3>
        {rowName(map, row).replace(/^./, (first) => first.toUpperCase())}
        <small class="end">
          {keys.length < total && `${keys.length} heaviest of ${total} keys${compared ? " · " : ""}`}
          {compared && (
            <>
              <i class="swatch before" /> <bdi>{shortened(before, 24)}</bdi> <i class="swatch after" />{" "}
              <bdi>{shortened(after, 24)}</bdi>
            </>
          )}
        </small>
      </h3>
      {effect ? <Sum store={store} row={row} /> : <Spread row={row} total={total} compared={compared} />}
      <div class="pairs" role="list" data-upright={upright} onPointerLeave={() => (store.hover.value = null)}>
        {keys.map((key) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the heatmap's arrow keys reach the same cells
          <div
            class="pair"
            role="listitem"
            key={key}
            data-key={key}
            data-lit={key === hovered}
            data-pinned={key === pinned}
            title={`${quoted(labels[key])} ${saidOf(key)}`}
            aria-label={`${quoted(labels[key])}: ${spokenOf(key)}`}
            onPointerEnter={() => (store.hover.value = { query: row.query, key, from: "row" })}
            onClick={() => store.togglePin({ query: row.query, key })}
          >
            <span class="track">
              {compared && <i class="bar before" style={{ height: `${(row.before[key]! / top) * 100}%` }} />}
              <i class="bar after" style={{ height: `${(row.after[key]! / top) * 100}%` }} />
            </span>
            <span class="name">
              <bdi>{readable(labels[key] ?? "")}</bdi>
            </span>
          </div>
        ))}
      </div>
    </section>
  );
}
