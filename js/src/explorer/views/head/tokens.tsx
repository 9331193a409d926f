/** Which tokens: one is found, pieces are merged, some are left out. */
import { useSignal } from "@preact/signals";
import { Panel } from "../../../controls/panel";
import { quoted } from "../../../drawing/words";
import { type Axis, keysOf, type MapFacts } from "../../../host/facts";
import type { Source } from "../../../host/source";
import { find, jump } from "../../finding";
import type { Store } from "../../store";

interface Props {
  store: Store;
  source: Source;
}

export function TokensPanel({ store, source }: Props) {
  return (
    <Panel part="tokens" title="Tokens: find, merge, hide" face="Tokens" opened={store.find.value}>
      {() => (
        <div class="choices">
          <Find store={store} />
          <Lenses store={store} source={source} />
        </div>
      )}
    </Panel>
  );
}

function Find({ store }: { store: Store }) {
  const text = useSignal("");
  const at = useSignal(-1);
  const map = store.map.value;
  if (!map) return null;
  const found = find(map, text.value);

  function go(by: number): void {
    if (found.length === 0) return;
    at.value = (at.peek() + by + found.length) % found.length;
    const there = found[at.peek()]!;
    jump(store, there);
    const labels = (there.axis === "query" ? map!.queries : keysOf(map!)).labels;
    store.said.value = `${there.axis} ${there.index}, ${quoted(labels[there.index])}`;
  }

  function press(event: KeyboardEvent): void {
    if (event.key !== "Escape") event.stopPropagation();
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
  }

  const count =
    text.value.trim() === ""
      ? ""
      : found.length === 0
        ? "not there"
        : at.value < 0
          ? String(found.length)
          : `${at.value + 1} of ${found.length}`;
  return (
    <div class="find">
      <label>
        <span>Find</span>
        <input
          type="search"
          data-part="find"
          placeholder="a word, or #12"
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            at.value = -1;
          }}
          onKeyDown={press}
        />
      </label>
      <output data-part="found" data-count={found.length}>
        {count}
      </output>
      <button type="button" class="quiet" data-part="find-next" onClick={() => go(1)}>
        Next
      </button>
    </div>
  );
}

const axesOf = (map: MapFacts): Axis[] => (map.keys ? [map.queries, map.keys] : [map.queries]);

/** The text's own positions of a token that may stand for several. */
function originsOf(axis: Axis, index: number): number[] {
  const { origins } = axis;
  if (!origins) return [index];
  const from = origins[index]!;
  const to = origins[index + 1] ?? from + 1;
  return Array.from({ length: Math.max(1, to - from) }, (_, step) => from + step);
}

function Lenses({ store, source }: Props) {
  const { traits } = store;
  const map = store.map.value;
  if (!map || store.lesson.isLocked("tokens")) return null;
  if (source.link.value !== "live") return <p class="hint">Merging and hiding tokens needs the kernel.</p>;
  const hides = (name: string) => traits.hide.value.includes(name);
  const axes = axesOf(map);
  const pieces = traits.words.value || axes.some(({ continues }) => continues.length > 0);
  const special = hides("special") || axes.some((axis) => axis.special.length > 0);
  const spans = [...new Set(axes.flatMap((axis) => (axis.spans ?? []).map(([name]) => name)))];
  const { query, key } = store.pin.value;
  // What is hidden is told by its place among the keys.
  const pinned = map.keys === null ? (key ?? query) : key;
  const toggle = (name: string, on: boolean) => {
    const others = traits.hide.value.filter((one) => one !== name);
    traits.hide.value = on ? [...others, name] : others;
  };
  return (
    <>
      {pieces && (
        <Check
          part="words"
          label="Whole words instead of pieces"
          on={traits.words.value}
          set={(on) => (traits.words.value = on)}
        />
      )}
      {special && (
        <Check
          part="hide-special"
          label="Hide special tokens"
          on={hides("special")}
          set={(on) => toggle("special", on)}
        />
      )}
      <Check
        part="hide-sinks"
        label="Hide sinks: tokens that most queries of some heads look at"
        on={hides("sinks")}
        set={(on) => toggle("sinks", on)}
      />
      {pinned !== null && map.n_keys > 1 && (
        <button
          type="button"
          class="quiet"
          data-part="hide-pinned"
          onClick={() => {
            const gone = originsOf(keysOf(map), pinned);
            traits.hide.value = [...traits.hide.value, ...gone];
          }}
        >
          Hide {quoted(keysOf(map).labels[pinned])}
        </button>
      )}
      {(spans.length > 1 || traits.only.value.length > 0) && (
        <fieldset class="only">
          <legend>Only</legend>
          {[...new Set([...traits.only.value.map(String), ...spans])].map((name) => (
            <Check
              key={name}
              part="only"
              label={name}
              on={traits.only.value.includes(name)}
              set={(on) => {
                const others = traits.only.value.filter((one) => one !== name);
                traits.only.value = on ? [...others, name] : others;
              }}
            />
          ))}
        </fieldset>
      )}
    </>
  );
}

interface CheckProps {
  part: string;
  label: string;
  on: boolean;
  set: (on: boolean) => void;
}

function Check({ part, label, on, set }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        data-part={part}
        checked={on}
        onChange={(event) => set(event.currentTarget.checked)}
      />
      <bdi>{label}</bdi>
    </label>
  );
}
