/** The text itself: each word shaded by what the pinned words look at, or by how much it looks at the pinned one. */
import { Segments } from "../../../controls/menu";
import { quoted } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { columnAsked } from "../../column";
import type { Need } from "../../order";
import { rowName } from "../../pinned";
import type { Store } from "../../store";
import { Ramp } from "../key";
import { Path } from "../path";
import { NOTHING, shadingOf } from "./shading";
import { Words } from "./words";

export function* needs(store: Store, map: MapFacts): Generator<Need> {
  if (store.traits.reading.value === "column") {
    const asked = columnAsked(store, map, store.lookedAt.value);
    if (asked) yield asked;
  }
}

export function TextView({ store, answers }: { store: Store; answers: Answers }) {
  const map = store.map.value;
  if (!map) return null;
  const crossed = map.keys !== null;
  const column = store.traits.reading.value === "column";
  const asked = column ? columnAsked(store, map, store.lookedAt.value) : null;
  const fault = asked && answers.known.fault(asked);
  const { largest } = shadingOf(store, column ? "query" : "key");
  return (
    <section class="map">
      <header>
        <Path store={store} />
        <Reading store={store} map={map} />
      </header>
      <div class="text" data-part="text" onPointerLeave={() => (store.hover.value = null)}>
        {crossed && <h3>Queries</h3>}
        {crossed && <Words store={store} axis={map.queries} of="query" following={map.following} />}
        {crossed && <h3>Keys</h3>}
        <Words
          store={store}
          axis={keysOf(map)}
          of={crossed ? "key" : "both"}
          following={crossed ? null : map.following}
        />
      </div>
      <footer>
        {largest !== null && <Ramp store={store} largest={largest} />}
        <div class="notes">
          <p data-part="reading-note">{fault || noteOf(store, map)}</p>
          <p>{map.notes.join(" ")}</p>
        </div>
      </footer>
    </section>
  );
}

/** Whose weights these are, and which of them. */
function Reading({ store, map }: { store: Store; map: MapFacts }) {
  const column = store.traits.reading.value === "column";
  const several = store.also.value.length > 0 && !column;
  const key = store.lookedAt.value;
  const row = store.pinned.value;
  const who = column
    ? key !== null && `key ${key} ${quoted(keysOf(map).labels[key])}`
    : row && rowName(map, { ...row, joined: "mean" }).replace(/^mean of /, "");
  const free = (name: string) => !store.lesson.isLocked(name);
  function read(next: "row" | "column"): void {
    const { query, key: pinned } = store.pin.peek();
    store.traits.reading.value = next;
    // In one text the word that is read stays the same.
    if (next === "row" && query === null && map.keys === null) store.setPin({ query: pinned, key: null });
  }
  return (
    <div class="reading">
      {several && free("joined") && (
        <Segments
          label="The rows of several words as one"
          part="joined"
          value={store.traits.joined.value}
          options={[
            ["mean", "mean"],
            ["sum", "sum"],
          ]}
          onChange={(joined) => (store.traits.joined.value = joined)}
        />
      )}
      <span class="who" data-part="read">
        {who || (column ? "The pinned key" : "The pinned word")}
      </span>
      {free("reading") && (
        <Segments
          label="What the shades say"
          part="reading"
          value={store.traits.reading.value}
          options={[
            ["row", several ? "look at" : "looks at"],
            ["column", "is looked at by"],
          ]}
          onChange={read}
        />
      )}
    </div>
  );
}

/** What to do where nothing is shaded, and what of a long map was read. */
export function noteOf(store: Store, map: MapFacts): string {
  if (store.traits.reading.value === "column") {
    if (store.lookedAt.value === null) return map.keys ? "Click a key." : "Click a word.";
    const column = store.column.value;
    if (!column) return "What looks at it is on its way.";
    const { read, weights } = column;
    return read < weights.length
      ? `${read.toLocaleString("en")} of ${weights.length.toLocaleString("en")} queries were read; the others have no shade.`
      : "";
  }
  if (store.reading.value === null) return "Click a word; with Shift or Ctrl several.";
  const row = store.pinned.value;
  if (!row) return "The weights are on their way.";
  if (row.lacks) return row.lacks;
  return row.signed && !row.shown.some((value) => Math.abs(value) > NOTHING)
    ? "Both give the same here."
    : "";
}
