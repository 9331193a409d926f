/** Why a query looks at a key as much as it does: the products of their dimensions, sorted, and what becomes of the sum. */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { products } from "../../../answers/products";
import { sumOf } from "../../../attention/products";
import { Fault } from "../../../controls/fault";
import { Menu } from "../../../controls/menu";
import { prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { exact, quoted } from "../../../drawing/words";
import { isWhole, keysOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { madeOf } from "../formula";
import { Path } from "../path";
import { HEIGHT, rowOf, termAt, termMarks } from "./bars";
import { arrangedIn, type Behind, behindOf, placeOf } from "./behind";
import { aloud, HOW, inWords, notesIn, nounOf, resting, wayOf } from "./reasons";

interface Props {
  store: Store;
  answers: Answers;
}

/** So many keys of the query are offered. */
const OFFERED = 6;

export function NeuronsView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.room);
  const map = store.map.value;
  const behind = behindOf(store, answers);
  const waiting = behind ? null : lacking(store, answers);
  // Where there is nothing to wait for, the sentence is the picture.
  useDrawing(() => {
    if (!behindOf(store, answers)) store.onScreen.value = madeIn(store, answers);
  });
  if (!map) return null;
  return (
    <section class="map neurons">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
      </header>
      {waiting?.fault && <Fault sentence={waiting.sentence} onRetry={() => answers.retry()} />}
      {waiting && !waiting.fault && (
        <p class="hint" data-part="neurons-hint">
          {waiting.sentence}
        </p>
      )}
      {behind && <Shown store={store} answers={answers} map={map} behind={behind} width={width.value} />}
    </section>
  );
}

/** What the picture is made of: the vectors, or what is drawn where there are none to come; null while they may. */
export function madeIn(store: Store, answers: Answers): object | null {
  const behind = behindOf(store, answers);
  if (behind) return answers.chosen.projections() ?? behind.vectors;
  return lacking(store, answers).final ? store.drawn.value : null;
}

/** Why there is nothing to see. */
function lacking(store: Store, answers: Answers): { sentence: string; fault?: boolean; final?: boolean } {
  const map = store.map.value;
  const layer = store.layer.value;
  if (!map || !madeOf(map, layer)) {
    return {
      sentence:
        "The products are not known: this layer was given as weights, which do not tell the queries and keys they came from.",
      final: true,
    };
  }
  const tile = answers.chosen.faults.value.tile;
  if (tile !== undefined) return { sentence: tile, fault: true };
  const place = placeOf(store);
  if (!place) {
    const pinned = store.pin.value.query !== null;
    const long = !isWhole(map) && !pinned;
    if (long)
      return {
        sentence: "This map is long: pin a query in the map or the text to see its products.",
        final: true,
      };
    return pinned
      ? { sentence: "This query has no weights, and no heaviest key; pin a key too.", final: true }
      : { sentence: "Nothing is pinned, and no cell of this map has a weight.", final: true };
  }
  const cell = isWhole(map) ? null : { query: place.query, key: place.key };
  const fault = answers.known.fault(products(map.name, layer, store.head.value, cell));
  if (fault !== null) return { sentence: fault, fault: true, final: true };
  return { sentence: "Queries and keys are on their way." };
}

interface ShownProps {
  store: Store;
  answers: Answers;
  map: MapFacts;
  behind: Behind;
  width: number;
}

function Shown({ store, answers, map, behind, width }: ShownProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const lit = useSignal<number | null>(null);
  const { terms, place } = behind;
  const what = nounOf(behind);
  const at = lit.value !== null && lit.value < terms.length ? lit.value : null;
  const colours = store.colours.value;
  useLayoutEffect(() => {
    if (!canvas.current || width < 60) return;
    const context = prepare(canvas.current, width, HEIGHT);
    paint(context, colours.font, termMarks(colours, terms, width, at, what));
    store.onScreen.value = madeIn(store, answers);
  });

  function point(event: PointerEvent): void {
    const box = canvas.current!.getBoundingClientRect();
    lit.value = termAt(rowOf(width, terms.length), event.clientX - box.left);
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = terms.length - 1;
    const to = {
      ArrowLeft: at === null ? last : Math.max(0, at - 1),
      ArrowRight: at === null ? 0 : Math.min(last, at + 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      lit.value = to;
      store.said.value = inWords(terms, to);
    } else if (event.key === "Enter" || event.key === " ")
      store.togglePin({ query: place.query, key: place.key });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <>
      <Cell store={store} map={map} behind={behind} />
      <Choices store={store} map={map} behind={behind} />
      <canvas
        ref={canvas}
        data-part="neurons"
        data-query={place.query}
        data-key={place.key}
        data-how={place.how}
        data-terms={terms.length}
        data-sum={sumOf(terms, "total")}
        data-content={sumOf(terms, "content")}
        data-lit={at ?? ""}
        tabIndex={0}
        role="application"
        aria-roledescription="bars"
        aria-label={`${aloud(map, behind)} Arrow keys move from ${what} to ${what}, Enter pins, Escape unpins.`}
        onPointerMove={point}
        onPointerLeave={() => (lit.value = null)}
        onBlur={() => (lit.value = null)}
        onKeyDown={press}
      >
        {terms
          .slice(0, 8)
          .map((_, one) => inWords(terms, one))
          .join(" ")}
      </canvas>
      <p class="term" data-part="term">
        {at === null ? resting(behind) : inWords(terms, at)}
      </p>
      <Keys store={store} map={map} behind={behind} />
      <div class="notes">
        {notesIn(store, map, behind).map((note) => (
          <p key={note}>{note}</p>
        ))}
      </div>
    </>
  );
}

function Cell({ store, map, behind }: Pick<ShownProps, "store" | "map" | "behind">) {
  const { place } = behind;
  const keys = keysOf(map);
  return (
    <p class="behind" data-part="behind">
      <b>
        <bdi>{quoted(map.queries.labels[place.query])}</bdi> → <bdi>{quoted(keys.labels[place.key])}</bdi>
      </b>{" "}
      <span>
        query {place.query}, key {place.key}.{HOW[place.how]}
      </span>
      <br />
      <span data-part="way">{wayOf(store, behind)}</span>
    </p>
  );
}

function Choices({ store, map, behind }: Pick<ShownProps, "store" | "map" | "behind">) {
  const { order, single, against } = arrangedIn(store);
  const { rival } = behind;
  const next = rival === null ? "" : `${quoted(keysOf(map).labels[rival])} at ${rival}`;
  return (
    <div class="choices">
      <Menu
        label="Order"
        part="neurons-order"
        value={order.value}
        options={[
          ["size", "largest first"],
          ["model", "as in the model"],
        ]}
        onChange={(value) => (order.value = value)}
      />
      {behind.vectors.rotary && (
        <Menu
          label="By"
          part="neurons-by"
          value={single.value ? "dimension" : "pair"}
          options={[
            ["pair", "rotary pair"],
            ["dimension", "dimension"],
          ]}
          onChange={(value) => (single.value = value === "dimension")}
        />
      )}
      {rival !== null && (
        <label class="against">
          <input
            type="checkbox"
            data-part="neurons-against"
            checked={against.value}
            onChange={(event) => (against.value = event.currentTarget.checked)}
          />{" "}
          less those of <bdi>{next}</bdi>
        </label>
      )}
    </div>
  );
}

/** The heaviest keys of the query, to go on to. */
function Keys({ store, map, behind }: Pick<ShownProps, "store" | "map" | "behind">) {
  const { weights, place } = behind;
  if (!weights) return null;
  const labels = keysOf(map).labels;
  const offered = Array.from(weights.keys())
    .filter((key) => weights[key]! > 0)
    .sort((one, other) => weights[other]! - weights[one]!)
    .slice(0, OFFERED);
  return (
    <p class="offered" onPointerLeave={() => (store.hover.value = null)}>
      <span>Keys of this query:</span>
      {offered.map((key) => (
        <button
          type="button"
          key={key}
          class="quiet"
          data-part="neurons-key"
          data-key={key}
          aria-pressed={key === place.key}
          onPointerEnter={() => (store.hover.value = { query: place.query, key, from: "neurons" })}
          onFocus={() => (store.hover.value = { query: place.query, key, from: "neurons" })}
          onBlur={() => (store.hover.value = null)}
          onClick={() => store.setPin({ query: place.query, key })}
        >
          <bdi>{quoted(labels[key])}</bdi> {exact(weights[key]!)}
        </button>
      ))}
    </p>
  );
}
