/** The words around pictures, as queries to choose: patches among them are chosen in their picture. */
import { directionOfAxis } from "../../../drawing/flowing";
import { quoted, readable } from "../../../drawing/words";
import type { MapFacts } from "../../../host/facts";
import type { Store } from "../../store";
import { patchOf } from "./patches";

/** So many words are listed, those around the chosen one where there are more. */
const MOST = 300;

export function Askers({ store, map }: { store: Store; map: MapFacts }) {
  const { labels, continues, special } = map.queries;
  const joined = new Set(continues);
  const apart = new Set(special);
  const words = labels.flatMap((_, at) => (patchOf(map.queries, at) ? [] : [at]));
  const reading = store.reading.value ?? 0;
  const near = Math.max(
    0,
    words.findIndex((at) => at >= reading),
  );
  const first = Math.min(Math.max(0, near - MOST / 2), Math.max(0, words.length - MOST));
  const shown = words.slice(first, first + MOST);

  function press(event: KeyboardEvent): void {
    const word = (event.target as Element).closest<HTMLElement>("[data-index]");
    if (!word || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Number(word.dataset.index);
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step !== undefined) {
      const to = shown[shown.indexOf(at) + step];
      (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus();
    } else if (event.key === "Enter" || event.key === " ") store.togglePin({ query: at, key: null });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <p
      class="words askers"
      data-part="askers"
      dir={directionOfAxis(map.queries)}
      onClick={(event) => {
        const word = (event.target as Element).closest<HTMLElement>("[data-index]");
        if (word) store.togglePin({ query: Number(word.dataset.index), key: null });
      }}
      onKeyDown={press}
    >
      {first > 0 && "… "}
      {shown.map((at, order) => {
        const gap = order > 0 && at - shown[order - 1]! > 1;
        return [
          gap ? <small class="between">▦</small> : null,
          <span
            class="word"
            key={at}
            role="button"
            tabIndex={at === reading || (order === 0 && !shown.includes(reading)) ? 0 : -1}
            data-index={at}
            data-pinned={at === reading}
            data-special={apart.has(at)}
            data-joined={joined.has(at)}
            aria-label={quoted(labels[at])}
          >
            <bdi>{readable(labels[at]!)}</bdi>
          </span>,
          joined.has(at + 1) ? "" : " ",
        ];
      })}
      {first + MOST < words.length && "…"}
    </p>
  );
}
