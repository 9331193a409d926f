/** From which text to which the lines go, where there are several. */
import { Menu } from "../../../controls/menu";
import { segmentsOf } from "../../../drawing/segments";
import { shortened } from "../../../drawing/words";
import { type Axis, keysOf, type MapFacts, type NamedSpan } from "../../../host/facts";
import type { Store } from "../../store";

/** Whether a line goes from where to where it shall. */
export function allowsOf(store: Store, map: MapFacts): (query: number, key: number) => boolean {
  const { from, to } = store.between.value;
  const [start, stop] = [segmentsOf(map.queries)[from], segmentsOf(keysOf(map))[to]];
  const within = (span: NamedSpan | undefined, at: number) => !span || (at >= span[1] && at < span[2]);
  return start || stop ? (query, key) => within(start, query) && within(stop, key) : () => true;
}

export function Between({ store, map }: { store: Store; map: MapFacts }) {
  const [queries, keys] = [segmentsOf(map.queries), segmentsOf(keysOf(map))];
  if (queries.length < 2 && keys.length < 2) return null;
  const { from, to } = store.between.value;
  return (
    <div class="between">
      <Menu
        label="From"
        part="lines-from"
        value={String(queries[from] ? from : -1)}
        options={optionsOf(map.queries, queries)}
        onChange={(value) => (store.between.value = { ...store.between.peek(), from: Number(value) })}
      />
      <Menu
        label="to"
        part="lines-to"
        value={String(keys[to] ? to : -1)}
        options={optionsOf(keysOf(map), keys)}
        onChange={(value) => (store.between.value = { ...store.between.peek(), to: Number(value) })}
      />
    </div>
  );
}

/** Each by its name and how it begins. */
function optionsOf({ labels, special }: Axis, spans: readonly NamedSpan[]): [string, string][] {
  const apart = new Set(special);
  const begins = ([, start, stop]: NamedSpan) =>
    labels
      .slice(start, Math.min(stop, start + 6))
      .filter((_, at) => !apart.has(start + at))
      .slice(0, 3)
      .join(" ");
  return [
    ["-1", "all"],
    ...spans.map((span, at): [string, string] => [
      String(at),
      `${shortened(span[0], 18)}: ${shortened(begins(span), 22)} …`,
    ]),
  ];
}
