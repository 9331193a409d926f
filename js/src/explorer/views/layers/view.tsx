/** One head through all layers: small maps that can be played, and below them one number along the depth. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Question } from "../../../answers/question";
import { thumbnails } from "../../../answers/thumbnails";
import { Fault } from "../../../controls/fault";
import { prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { headName } from "../../../drawing/naming";
import { paint } from "../../../drawing/paint";
import { quoted } from "../../../drawing/words";
import { keysOf, layerNumber, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { chosenFirst, type Store } from "../../store";
import { LOGITS } from "../grid/badge";
import { aspectOf } from "../grid/pictures";
import { Ramp, rampEnd } from "../key";
import { Path } from "../path";
import { asked, chartOf, type Depth, depthMarks, depthOf, layerAt, levelSaid } from "./depth";
import { crossMarks, differenceEnd, mapMarks, multiplesOf, under } from "./multiples";
import { Player } from "./play";

/** The map that is played stands beside the others where there is this much room. */
const BESIDE = 620;
const FRAME = 300;

interface Props {
  store: Store;
  answers: Answers;
}

export const suits = (map: MapFacts): boolean => map.heads.length > 1;

/** Pictures before numbers. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const minus = store.minus.value;
  for (const layer of chosenFirst(store, map)) {
    yield thumbnails(map.name, layer);
    if (minus !== null) yield thumbnails(minus, layer);
  }
  for (const layer of chosenFirst(store, map)) yield asked(store, map, layer);
}

export function LayersView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const player = useMemo(() => new Player(store), [store]);
  useEffect(() => () => player.close(), [player]);
  const map = store.map.value;
  const fault = useComputed(() => {
    const map = store.map.value;
    return map && answers.known.firstFault(needs(store, map));
  });
  const depth = useComputed(() => (store.map.value ? depthOf(store, store.map.value, answers) : null));
  if (!map || !suits(map)) return null;
  const playing = player.playing.value;
  const shared = { store, answers, map, player, depth: depth.value! };
  const beside = room.value >= BESIDE;
  const end = rampEnd(store, differenceEnd(store, answers, map));

  function press(event: KeyboardEvent): void {
    const onButton = event.target instanceof HTMLElement && event.target.dataset.part === "play";
    if (event.key !== " " || onButton || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    player.toggle();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the key of a button in it
    <section class="map layers" data-part="layers" data-playing={playing} onKeyDown={press}>
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        <button
          type="button"
          class="quiet"
          data-part="play"
          aria-pressed={playing}
          title="Through the layers, one after another (space)"
          onClick={() => player.toggle()}
        >
          {playing ? "Pause" : "Play"}
        </button>
      </header>
      {fault.value !== null && <Fault sentence={fault.value} onRetry={() => answers.retry()} />}
      {room.value > 0 && (
        <div class="film" data-beside={beside}>
          <Frame {...shared} size={beside ? FRAME : Math.min(FRAME, room.value - 4)} />
          <Multiples {...shared} room={beside ? room.value - FRAME - 28 : room.value} />
        </div>
      )}
      {room.value > 0 && <Along {...shared} room={Math.min(1100, room.value)} />}
      <footer>
        {end !== null && <Ramp store={store} largest={end} />}
        <p class="notes">{notes(store, map).join(" ")}</p>
      </footer>
    </section>
  );
}

/** What the pictures are, and what they are not. */
export function notes(store: Store, map: MapFacts): string[] {
  const pooled = Math.max(map.n_queries, map.n_keys) > 64;
  const changed = store.temperature.value !== 1 || store.scaling.value !== 1;
  const shared = store.traits.color_range.value === "shared";
  const minus = store.minus.value !== null;
  return [
    shared
      ? `Colours end at ${store.weighing.one}.`
      : minus
        ? ""
        : "The colours of each map end at its own largest weight.",
    pooled
      ? `Each point is the largest of the weights under it${minus ? `, less that of the other ${store.weighing.effect.value ? "sign" : "run"}` : ""}.`
      : "",
    changed ? "As the model has them: at temperature 1 and its own scaling." : "",
    minus && store.measure.value?.name !== "changed" && store.measure.value?.unit !== LOGITS
      ? `Along the depth are the numbers of ${map.run}.`
      : "",
    ...map.notes,
  ].filter(Boolean);
}

interface PartProps extends Props {
  map: MapFacts;
  player: Player;
  depth: Depth;
}

/** The map of the layer that is seen, large. */
function Frame({ store, answers, map, player, depth, size }: PartProps & { size: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const aspect = aspectOf(map);
  const [width, height] = [size * Math.min(1, aspect), size / Math.max(1, aspect)];
  const newest = useSignal({ map, width, height });
  const last = newest.peek();
  if (last.map !== map || last.width !== width || last.height !== height)
    newest.value = { map, width, height };
  useDrawing(() => {
    const { map, width, height } = newest.value;
    const context = prepare(canvas.current!, width + 6, height + 6);
    const area = { x: 4, y: 1, width, height };
    paint(context, store.colours.value.font, mapMarks(store, answers, map, player.layer.value, area));
    const { accentText, text } = store.colours.value;
    paint(context, "", crossMarks(map, [area], { ...store.pin.value, key: null }, accentText));
    if (store.hover.value) paint(context, "", crossMarks(map, [area], store.hover.value, text));
  });
  const layer = player.layer.value;
  const { query, key } = store.hover.value ?? { query: null, key: null };
  const pointed = [
    query === null ? "" : quoted(map.queries.labels[query]),
    key === null ? "" : `→ ${quoted(keysOf(map).labels[key])}`,
  ];
  return (
    <figure>
      <canvas ref={canvas} data-part="layers-frame" data-layer={layer} role="presentation" />
      <figcaption>
        <b>layer {layerNumber(map, layer)}</b> {levelSaid(map, depth, layer, store.head.value)}
        <br />
        {pointed.join(" ")}
      </figcaption>
    </figure>
  );
}

function Multiples({ store, answers, map, player, depth, room }: PartProps & { room: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const newest = useSignal({ map, room });
  if (newest.peek().map !== map || newest.peek().room !== room) newest.value = { map, room };
  const stage = useComputed(() => multiplesOf(newest.value.map, newest.value.room, store.tallest.value));
  useDrawing(() => {
    const { map } = newest.value;
    const { width, height, places } = stage.value;
    const colours = store.colours.value;
    const context = prepare(canvas.current!, width, height);
    for (const [layer, area] of places.entries()) {
      paint(context, colours.font, mapMarks(store, answers, map, layer, area));
    }
  });
  useDrawing(() => {
    const { map } = newest.value;
    const { width, height, places } = stage.value;
    const context = prepare(above.current!, width, height);
    const { accentText, text } = store.colours.value;
    paint(context, "", crossMarks(map, places, { ...store.pin.value, key: null }, accentText));
    if (store.hover.value) paint(context, "", crossMarks(map, places, store.hover.value, text));
  });

  function go(layer: number): void {
    player.stop();
    const heads = map.heads[layer] ?? 1;
    store.select(layer, Math.min(store.head.peek(), heads - 1));
  }

  function move(event: KeyboardEvent): void {
    const at = store.layer.peek();
    const last = map.heads.length - 1;
    const to = {
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const layer = Math.min(Math.max(0, to), last);
    go(layer);
    list.current?.querySelector<HTMLElement>(`[data-layer="${layer}"]`)?.focus();
  }

  function light(event: PointerEvent): void {
    const box = canvas.current!.getBoundingClientRect();
    const found = under(map, stage.peek().places, event.clientX - box.left, event.clientY - box.top);
    store.hover.value = found && { query: found.query, key: found.key, from: "layers" };
  }

  const seen = player.layer.value;
  return (
    <div
      class="layer-maps"
      role="radiogroup"
      aria-label={`Layers of ${headName(map, seen, store.head.value)}`}
      ref={list}
      onKeyDown={move}
      onPointerMove={light}
      onPointerLeave={() => (store.hover.value = null)}
    >
      <canvas ref={canvas} data-part="multiples" role="presentation" />
      <canvas ref={above} class="marks" role="presentation" />
      {stage.value.places.map(({ x, y, width, height }, layer) => (
        <button
          type="button"
          role="radio"
          key={layer}
          data-part="multiple"
          data-layer={layer}
          data-loaded={answers.known.get(thumbnails(map.name, layer)) !== undefined}
          data-seen={layer === seen}
          aria-checked={layer === store.layer.value}
          aria-label={`Layer ${layerNumber(map, layer)}: ${levelSaid(map, depth, layer, store.head.value)}`}
          tabIndex={layer === store.layer.value ? 0 : -1}
          style={{ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` }}
          onClick={() => go(layer)}
        >
          <span>{layerNumber(map, layer)}</span>
        </button>
      ))}
    </div>
  );
}

/** The number along the depth. */
function Along({ store, map, player, depth, room }: PartProps & { room: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pointed = useSignal<number | null>(null);
  const newest = useSignal({ map, depth, room });
  const last = newest.peek();
  if (last.map !== map || last.depth !== depth || last.room !== room) newest.value = { map, depth, room };
  const chart = useComputed(() => chartOf(newest.value.depth, newest.value.room));
  useDrawing(() => {
    const { map, depth } = newest.value;
    const { width, height } = chart.value;
    const colours = store.colours.value;
    const context = prepare(canvas.current!, width, height);
    paint(context, colours.font, depthMarks(chart.value, map, depth, colours, player.layer.value));
  });

  function at(event: MouseEvent): number | null {
    return layerAt(chart.peek(), event.clientX - canvas.current!.getBoundingClientRect().left);
  }

  function go(event: MouseEvent): void {
    const layer = at(event);
    if (layer === null) return;
    player.stop();
    store.select(layer, Math.min(store.head.peek(), (map.heads[layer] ?? 1) - 1));
  }

  const head = store.head.value;
  const layer = pointed.value ?? store.layer.value;
  const several = map.heads.some((heads) => heads > 1);
  return (
    <div class="along">
      <h3>
        Along the depth{" "}
        <small>
          {depth.label}
          {depth.unit && `, ${depth.unit}`}
        </small>
      </h3>
      {several && (
        <p class="traces" aria-hidden="true">
          <span class="own">{headName(map, layer, head)}</span>
          <span class="mean">mean of heads</span>
          <span class="range">from the least head to the largest</span>
        </p>
      )}
      <canvas
        ref={canvas}
        data-part="depth"
        data-plot={Object.values(chart.value.plot).join()}
        role="img"
        aria-label={`Along the layers. ${map.heads.map((_, layer) => `Layer ${layerNumber(map, layer)}: ${levelSaid(map, depth, layer, head)}`).join(". ")}.`}
        onPointerMove={(event) => (pointed.value = at(event))}
        onPointerLeave={() => (pointed.value = null)}
        onClick={go}
      />
      <p class="notes" data-part="depth-said">
        {pointed.value !== null && `layer ${layerNumber(map, layer)}: ${levelSaid(map, depth, layer, head)}`}
      </p>
    </div>
  );
}
