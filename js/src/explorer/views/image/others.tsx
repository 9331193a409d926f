/** [CLS], registers, words: what is no patch gets attention too, and each can be chosen. */
import { css, inkOn } from "../../../attention/colour";
import { bracketed } from "../../../drawing/naming";
import { quoted } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { PinnedRow } from "../../pinned";
import type { Store } from "../../store";
import { endOfScale, type Mass, patchesIn } from "./patches";

interface Props {
  store: Store;
  map: MapFacts;
  row: PinnedRow;
  mass: Mass;
}

export function Others({ store, map, row, mass }: Props) {
  const keys = keysOf(map);
  const largest = endOfScale(store, mass);
  if (mass.others.length === 0) return null;
  const self = map.keys === null;

  function pick(key: number): void {
    store.togglePin(self ? { query: key, key: null } : { query: row.query, key });
  }

  return (
    <ul class="others" aria-label={`Tokens beside the ${patchesIn(keys)} patches`}>
      {mass.others.map((key) => {
        const weight = row.shown[key]!;
        const colour = store.tint.value(weight, largest);
        const label = `${quoted(keys.labels[key])}${bracketed(keys, key)}`;
        return (
          <li key={key}>
            <button
              type="button"
              data-part="image-token"
              data-key={key}
              data-weight={weight}
              aria-pressed={self ? store.reading.value === key : store.pin.value.key === key}
              onClick={() => pick(key)}
            >
              <b style={{ background: css(colour), color: inkOn(colour) }}>{store.weighing.number(weight)}</b>
              <bdi>{label}</bdi>
            </button>
          </li>
        );
      })}
      {mass.unlisted > 0 && (
        <li class="hint">
          {store.weighing.number(mass.rest)} on {mass.unlisted} more
        </li>
      )}
    </ul>
  );
}
