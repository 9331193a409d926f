/** A run of tokens is given a name: drawn over with the pointer, or by its positions. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { quoted, shortened } from "../../../drawing/words";
import type { MapFacts, NamedSpan } from "../../../host/facts";
import type { Store } from "../../store";
import { OWN } from "./kinds";

interface Props {
  store: Store;
  map: MapFacts;
  /** What was drawn over, in positions of the axis. */
  marked: [start: number, stop: number] | null;
}

/** A position of the axis in the text as it came. */
const originOf = (map: MapFacts, position: number): number => {
  const { origins, labels } = map.queries;
  if (!origins) return position;
  return position < labels.length ? origins[position]! : (origins.at(-1) ?? 0) + 1;
};

/** Why a run cannot be named so; empty where it can. */
export function refused(map: MapFacts, spans: readonly NamedSpan[], [name, start, stop]: NamedSpan): string {
  if (name.trim() === "") return "Give it a name.";
  if (!(Number.isInteger(start) && Number.isInteger(stop) && start >= 0 && start < stop))
    return "A span goes from one token to a later one.";
  if (stop > originOf(map, map.n_queries)) return `There are ${map.n_queries} tokens.`;
  const other = spans.find(([, from, to]) => start < to && from < stop);
  if (other) return `It would overlap ${quoted(other[0])}, tokens ${other[1]} to ${other[2] - 1}.`;
  return "";
}

export function Naming({ store, map, marked }: Props) {
  const name = useSignal("");
  const from = useSignal("");
  const to = useSignal("");
  const fault = useSignal("");
  const { spans, span_kind } = store.traits;

  useEffect(() => {
    if (!marked) return;
    from.value = String(marked[0]);
    to.value = String(marked[1] - 1);
    fault.value = "";
  }, [marked]);

  function add(): void {
    const span: NamedSpan = [
      name.peek().trim(),
      originOf(map, Number(from.peek() || Number.NaN)),
      originOf(map, Number(to.peek() || Number.NaN) + 1),
    ];
    fault.value = refused(map, spans.peek(), span);
    if (fault.value) return;
    spans.value = [...spans.peek(), span].sort((one, other) => one[1] - other[1]);
    span_kind.value = OWN;
    name.value = "";
  }

  const field = (label: string, part: string, value: typeof name, wide: boolean) => (
    <label>
      <span>{label}</span>
      <input
        type="text"
        class={wide ? "wide" : ""}
        inputMode={wide ? "text" : "numeric"}
        data-part={part}
        value={value.value}
        onInput={(event) => (value.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter") add();
        }}
      />
    </label>
  );
  const words = marked
    ? [marked[0], marked[1] - 1].map((at) => quoted(map.queries.labels[at])).join(" to ")
    : "";
  return (
    <div class="naming" data-part="naming">
      {field("Name tokens", "span-from", from, false)}
      {field("to", "span-to", to, false)}
      {field("as", "span-name", name, true)}
      <button type="button" class="quiet" data-part="span-add" onClick={add}>
        Add
      </button>
      {words && !fault.value && <span class="hint">{words}</span>}
      {fault.value && (
        <span class="refused" role="alert" data-part="span-refused">
          {fault.value}
        </span>
      )}
      {spans.value.length > 0 && (
        <ul class="lens" aria-label="Spans named by hand">
          {spans.value.map(([called, start, stop], at) => (
            <li key={`${called}/${start}`} data-part="own-span">
              <bdi>{shortened(called, 24)}</bdi>{" "}
              <bdi>
                {start}–{stop - 1}
              </bdi>
              <button
                type="button"
                aria-label={`Forget ${called}`}
                onClick={() => (spans.value = spans.peek().filter((_, other) => other !== at))}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
