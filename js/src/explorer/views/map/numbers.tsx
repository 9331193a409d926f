/** The part of the map that is in sight as a real table, for whoever reads numbers or cannot see colours. */
import { bracketed, placeName } from "../../../drawing/naming";
import { readable, shortened } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { effectName } from "../../weighing";
import { saidOf } from "./strip";

/** More rows or columns than this nobody reads. */
const MOST = 32;

interface Run {
  from: number;
  to: number;
  of: number;
}

/** So many positions of what is in sight, around one of them. */
function around(seen: { from: number; to: number }, count: number, at: number | null): Run {
  const [first, last] = [Math.floor(seen.from), Math.min(count, Math.ceil(seen.to))];
  if (last - first <= MOST) return { from: first, to: last, of: count };
  const middle = at !== null && at >= first && at < last ? at : first;
  const from = Math.max(first, Math.min(middle - MOST / 2, last - MOST));
  return { from, to: from + MOST, of: count };
}

const range = ({ from, to }: Run) => Array.from({ length: to - from }, (_, step) => from + step);
const said = (what: string, { from, to, of }: Run) =>
  to - from < of ? `${what} ${from} to ${to - 1} of ${of}` : `all ${of} ${what}`;

export function Numbers({ store, map }: { store: Store; map: MapFacts }) {
  const keys = keysOf(map);
  const pin = store.pin.value;
  const { rows, columns } = store.window.value;
  const down = around(rows, map.n_queries, pin.query);
  const across = around(columns, map.n_keys, pin.key ?? pin.query);
  const stride = store.drawn.value?.tile.stride ?? [1, 1];
  const coarse =
    stride[0] * stride[1] > 1 ? ` Each number is the largest of ${stride.join(" × ")} cells.` : "";
  const name = (label: string | undefined) => <bdi>{shortened(readable(label ?? ""), 16)}</bdi>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <div class="numbers" data-part="numbers" tabIndex={0} role="region" aria-label="The map as a table">
      <table>
        <caption>
          {placeName(map, store.layer.value, store.head.value)}:{" "}
          {store.weighing.effect.value
            ? `${effectName(store.weighing.effect.value)}, in logits, `
            : "weights "}
          of {said("queries", down)} on {said("keys", across)}.{coarse}
        </caption>
        <thead>
          <tr>
            <th scope="col">query</th>
            {range(across).map((key) => (
              <th scope="col" key={key} title={`key ${key}${bracketed(keys, key)}`}>
                {name(keys.labels[key])}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {range(down).map((query) => (
            <tr key={query} aria-current={pin.query === query ? "true" : undefined}>
              <th scope="row" title={`query ${query}${bracketed(map.queries, query)}`}>
                {name(map.queries.labels[query])}
              </th>
              {range(across).map((key) => {
                const weight = store.weight(query, key);
                return (
                  <td key={key} data-query={query} data-key={key}>
                    {weight === null ? <abbr title="masked">–</abbr> : store.weighing.number(weight)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
        {map.strip && (
          <tfoot>
            <tr data-part="strip-numbers">
              <th scope="row" title={map.strip.name}>
                {name(map.strip.name)}
              </th>
              {range(across).map((key) => (
                <td key={key}>{saidOf(map.strip!, key)}</td>
              ))}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}
