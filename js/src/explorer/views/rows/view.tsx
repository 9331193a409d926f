/** Where every head looks from one query: its row in each head as a strip, all of them under one axis of keys. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Question } from "../../../answers/question";
import { rows as rowsOf } from "../../../answers/rows";
import { Fault } from "../../../controls/fault";
import { penOf, prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { bracketed, placeName } from "../../../drawing/naming";
import { paint } from "../../../drawing/paint";
import { quoted } from "../../../drawing/words";
import { keysOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { chosenFirst, type Store } from "../../store";
import { effectName } from "../../weighing";
import { Ramp, rampEnd } from "../key";
import { Path } from "../path";
import {
  AROUND,
  differenceEnd,
  headAt,
  keyAt,
  rowsIn,
  stageOf,
  stripMarks,
  tokenMarks,
  valuesOf,
} from "./strips";

interface Props {
  store: Store;
  answers: Answers;
}

export const suits = (map: MapFacts): boolean =>
  !map.derived && map.heads.reduce((sum, heads) => sum + heads, 0) > 1;

/** The query that is looked from: the pinned one, or the last. */
export const lookedFrom = (store: Store, map: MapFacts): number => store.pin.value.query ?? map.n_queries - 1;

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const minus = store.minus.value;
  for (const layer of chosenFirst(store, map)) {
    yield rowsOf(map.name, layer, lookedFrom(store, map));
    if (minus !== null) yield rowsOf(minus, layer, lookedFrom(store, map));
  }
}

export function RowsView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const map = store.map.value;
  const fault = useComputed(() => {
    const map = store.map.value;
    return map && answers.known.firstFault(needs(store, map));
  });
  if (!map || !suits(map)) return null;
  const end = rampEnd(store, differenceEnd(store, answers, map, lookedFrom(store, map)));
  return (
    <section class="map rows" data-part="rows">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
      </header>
      <p class="hint" data-part="rows-query">
        {sentence(store, map)}
      </p>
      {fault.value !== null && <Fault sentence={fault.value} onRetry={() => answers.retry()} />}
      {room.value > 0 && <Strips {...{ store, answers, map }} room={room.value} />}
      <footer>
        {end !== null && <Ramp store={store} largest={end} />}
        <p class="notes">{notes(store, map).join(" ")}</p>
      </footer>
    </section>
  );
}

export function sentence(store: Store, map: MapFacts): string {
  const query = lookedFrom(store, map);
  const name = `${quoted(map.queries.labels[query])} at ${query}${bracketed(map.queries, query)}`;
  const last = store.pin.value.query === null ? ", the last as none is pinned" : "";
  const effect = store.weighing.effect.value;
  const what = effect
    ? `${effectName(effect).replace(/^./, (first) => first.toUpperCase())} of every head at`
    : "Where every head looks from";
  return `${what} ${name}${last}: a line for each head, a column for each key.`;
}

export function notes(store: Store, map: MapFacts): string[] {
  const changed = store.temperature.value !== 1 || store.scaling.value !== 1;
  const ends =
    store.traits.color_range.value === "shared"
      ? `Colours end at ${store.weighing.one}.`
      : store.minus.value === null
        ? "The colours of each line end at its own largest weight."
        : "";
  return [
    ends,
    changed ? "As the model has them: at temperature 1 and its own scaling." : "",
    ...map.notes,
  ].filter(Boolean);
}

function Strips({ store, answers, map, room }: Props & { map: MapFacts; room: number }) {
  const box = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const pen = useRef<CanvasRenderingContext2D>(null);
  pen.current ??= penOf();
  const scrolled = useSignal(0);
  const pointed = useSignal<{ layer: number; head: number } | null>(null);
  const newest = useSignal({ map, room });
  if (newest.peek().map !== map || newest.peek().room !== room) newest.value = { map, room };
  const stage = useComputed(() =>
    stageOf(pen.current!, store.colours.value, newest.value.map, newest.value.room, store.tallest.value),
  );
  // Taller ones scroll, under an axis that stays.
  const high = useComputed(() => Math.min(stage.value.height, Math.max(80, store.tallest.value - AROUND)));

  useDrawing(() => {
    const { map } = newest.value;
    const colours = store.colours.value;
    const { width, top } = stage.value;
    const lit = { hover: store.hover.value?.key ?? null, pin: store.pin.value.key };
    paint(
      prepare(axis.current!, width, top),
      colours.font,
      tokenMarks(pen.current!, stage.value, map, colours, lit),
    );
  });
  useDrawing(() => {
    const { map } = newest.value;
    const context = prepare(canvas.current!, stage.value.width, high.value);
    // What is out of sight is not drawn: a thousand heads are taller than any canvas.
    const seen = { from: scrolled.value, to: scrolled.value + high.value };
    context.translate(0, -seen.from);
    const { font } = store.colours.value;
    paint(context, font, stripMarks(store, answers, map, stage.value, lookedFrom(store, map), seen));
  });
  useDrawing(() => {
    const context = prepare(above.current!, stage.value.width, high.value);
    const { text, accentText } = store.colours.value;
    const { plot, key } = stage.value;
    const keys = [
      [store.pin.value.key, accentText],
      [store.hover.value?.key ?? null, text],
    ] as const;
    for (const [at, fill] of keys) {
      if (at === null) continue;
      const left = plot.x + at * key;
      for (const x of [left - 1, left + key])
        paint(context, "", [{ kind: "box", x, y: 0, width: 1, height: high.value, fill, opacity: 0.75 }]);
    }
  });
  // The chosen head is in sight.
  const [layer, head] = [store.layer.value, store.head.value];
  useEffect(() => {
    const { scrollTop, clientHeight } = box.current!;
    const y = stage.peek().yOf(layer, head);
    if (y < scrollTop || y + stage.peek().line > scrollTop + clientHeight) {
      box.current!.scrollTop = y - clientHeight / 2;
    }
  }, [stage, layer, head]);

  function under(event: MouseEvent) {
    const area = canvas.current!.getBoundingClientRect();
    const y = event.clientY - area.top + scrolled.peek();
    return { at: headAt(stage.peek(), map, y), key: keyAt(stage.peek(), map, event.clientX - area.left) };
  }

  function light(event: PointerEvent): void {
    const { at, key } = under(event);
    pointed.value = at;
    store.hover.value = key === null ? null : { query: lookedFrom(store, map), key, from: "rows" };
  }

  function leave(): void {
    pointed.value = null;
    store.hover.value = null;
  }

  function go(event: MouseEvent): void {
    const { at } = under(event);
    if (at) store.select(at.layer, at.head);
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const right = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const key = store.hover.peek()?.key ?? null;
    if (down !== undefined) {
      const to = stage.peek().after({ layer: store.layer.peek(), head: store.head.peek() }, down);
      store.select(to.layer, to.head);
    } else if (right !== undefined) {
      const to = key === null ? 0 : Math.min(Math.max(0, key + right), map.n_keys - 1);
      store.hover.value = { query: lookedFrom(store, map), key: to, from: "rows" };
    } else if ((event.key === "Enter" || event.key === " ") && key !== null) {
      store.togglePin({ query: lookedFrom(store, map), key });
    } else return;
    store.said.value = said(store, answers, map, { layer: store.layer.peek(), head: store.head.peek() });
    event.preventDefault();
    event.stopPropagation();
  }

  const hover = store.hover.value;
  const at = pointed.value ?? { layer, head };
  return (
    <div class="strips">
      <canvas ref={axis} role="presentation" data-part="rows-axis" />
      <div
        class="scroll"
        ref={box}
        style={{ height: `${high.value}px`, width: `${stage.value.width}px` }}
        onScroll={(event) => (scrolled.value = event.currentTarget.scrollTop)}
      >
        <div style={{ height: `${stage.value.height}px` }}>
          <div class="seen">
            <canvas
              ref={canvas}
              data-part="strips"
              data-query={lookedFrom(store, map)}
              data-plot={[stage.value.plot.x, stage.value.key, stage.value.line].join()}
              tabIndex={0}
              role="application"
              aria-roledescription="rows of all heads"
              aria-label={`${sentence(store, map)} ${said(store, answers, map, { layer, head })}. Up and down choose a head, left and right a key, Enter pins it.`}
              onPointerMove={light}
              onPointerLeave={leave}
              onBlur={leave}
              onClick={go}
              onKeyDown={press}
            />
            <canvas ref={above} class="marks" role="presentation" />
          </div>
        </div>
      </div>
      <p class="hint" data-part="rows-said">
        {hover?.from === "rows" ? said(store, answers, map, at) : " "}
      </p>
    </div>
  );
}

/** What a head gives to the key that is pointed at, or to which it gives most; of two runs how much more. */
function said(
  store: Store,
  answers: Answers,
  map: MapFacts,
  { layer, head }: { layer: number; head: number },
): string {
  const known = rowsIn(store, answers, map, layer, lookedFrom(store, map));
  if (!known || head >= known.rows.heads) return placeName(map, layer, head);
  const { stride } = known.rows;
  const row = valuesOf(known, head);
  const far = row.reduce((most, value, at) => (Math.abs(value) > Math.abs(row[most]!) ? at : most), 0);
  const key = store.hover.value?.key ?? far * stride;
  const cell = Math.floor(key / stride);
  const most = cell === far ? "most of all, " : "";
  const keys = stride > 1 ? `at most, of ${stride} keys, ` : "";
  const number = store.weighing.said(row[cell]!, known.first !== null);
  return `${placeName(map, layer, head)} → ${quoted(keysOf(map).labels[key])} at ${key}: ${most}${keys}${number}`;
}
