/** Queries on the left, keys on the right, and between them a line for each weight of one head or several. */
import { computed, effect, type ReadonlySignal, type Signal, signal, useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Fault } from "../../../controls/fault";
import { penOf, prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { isWhole, keysOf, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Chosen } from "../../chosen";
import type { Need } from "../../order";
import type { Store } from "../../store";
import { Ramp } from "../key";
import { Path } from "../path";
import { allowsOf, Between } from "./between";
import { Column } from "./column";
import { Heads } from "./heads";
import { type Lit, litOf, toldOf } from "./lit";
import { type HeadMap, HeadMaps, headsShown } from "./maps";
import { type Look, lineMarks, lookOf, showsOf, weightMarks } from "./marks";
import { type Line, linesOf, type Picked, pick } from "./picked";
import { bring, pointing } from "./pointing";
import { type Side, type Stage, sightOf, stageOf } from "./stage";

/** Of the lines of a word the strongest are drawn, which hide the others. */
const MOST_ALONE = 400;
/** Tokens of a long map that are asked for around what is in sight, and the steps in which that moves. */
const ASKED = 192;
const STEP = 64;

export function* needs(store: Store, map: MapFacts, chosen: Chosen): Generator<Need> {
  yield chosen.heads(headsShown(store, map).filter((head) => head !== store.head.value));
}

/** All that a picture of lines is made of. */
export interface Scene {
  map: MapFacts;
  stage: Stage;
  heads: readonly number[];
  maps: HeadMap[];
  look: Look;
  allows: (query: number, key: number) => boolean;
  scrolled: number;
}

export function sceneOf(
  store: Store,
  map: MapFacts,
  answers: Answers,
  all: HeadMaps,
  pen: CanvasRenderingContext2D,
  room: number,
): Scene {
  const heads = headsShown(store, map);
  const maps = all.of(store, map, answers);
  const stage = stageOf(pen, store.colours.value, map, room, heads.length);
  const scrolled = stage.scrolls ? Math.min(store.scrolled.value, stage.whole - stage.height) : 0;
  return {
    map,
    stage,
    heads,
    maps,
    look: lookOf(store, maps, heads),
    allows: allowsOf(store, map),
    scrolled,
  };
}

const wantedOf = ({ stage, map, scrolled, allows, look }: Scene) => ({
  queries: sightOf(stage, map, "query", scrolled),
  keys: sightOf(stage, map, "key", scrolled),
  allows,
  shows: showsOf(look),
});

export const pickedOf = (scene: Scene, alone: number | null = null): Picked =>
  pick(alone === null ? scene.maps : scene.maps.filter(({ head }) => head === alone), wantedOf(scene));

export const litLines = (scene: Scene, { side, words }: Lit): Line[] =>
  words.flatMap((word) => linesOf(scene.maps, side, word, wantedOf(scene)));

export function LinesView({ store, answers }: { store: Store; answers: Answers }) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const here = useMemo(() => createLines(store, answers, room), [store, answers, room]);
  const map = store.map.value;
  const fault = answers.chosen.faults.value.tile ?? answers.reference.fault.value ?? undefined;
  if (!map) return null;
  return (
    <section class="map lines">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        <p class="axes">Queries on the left look at keys on the right.</p>
        <Between store={store} map={map} />
      </header>
      <Heads store={store} map={map} alone={here.alone} />
      {fault !== undefined && <Fault sentence={fault} onRetry={() => answers.retry()} />}
      {fault === undefined && room.value > 60 && <Picture store={store} map={map} here={here} />}
      <footer>
        {headsShown(store, map).length === 1 && <Ramp store={store} />}
        <div class="notes">
          <p data-part="lines-told">{here.told}</p>
          <p data-part="lines-count">{here.counted}</p>
          <p>{map.notes.join(" ")}</p>
        </div>
      </footer>
    </section>
  );
}

export interface Lines {
  scene: ReadonlySignal<Scene | null>;
  picked: ReadonlySignal<Picked | null>;
  lit: ReadonlySignal<{ lit: Lit; lines: Line[] } | null>;
  /** What lines go to beyond what is in sight, above and below. */
  beyond: ReadonlySignal<[above: string, below: string]>;
  told: ReadonlySignal<string>;
  counted: ReadonlySignal<string>;
  /** The head that is pointed at in the legend. */
  alone: Signal<number | null>;
}

function createLines(store: Store, answers: Answers, room: ReadonlySignal<number>): Lines {
  const pen = penOf();
  const all = new HeadMaps();
  const alone = signal<number | null>(null);
  const scene = computed(() => {
    const map = store.map.value;
    return map && sceneOf(store, map, answers, all, pen, room.value);
  });
  const picked = computed(() => scene.value && pickedOf(scene.value, alone.value));
  const lit = computed(() => {
    const lit = litOf(store);
    return lit && scene.value ? { lit, lines: litLines(scene.value, lit) } : null;
  });
  const told = computed(() =>
    lit.value && scene.value
      ? toldOf(store, scene.value.map, scene.value.maps, lit.value.lit, lit.value.lines)
      : "Point at a word to see its lines alone; click it to keep them.",
  );
  const counted = computed(() => {
    const all = lit.value?.lines.length;
    if (all !== undefined)
      return all > MOST_ALONE ? `The strongest ${MOST_ALONE} of ${grouped(all)} lines.` : "";
    return picked.value ? countOf(picked.value, scene.value?.maps[0]?.signed) : "";
  });
  const beyond = computed(() => beyondOf(scene.value, lit.value));
  return { scene, picked, lit, told, counted, beyond, alone };
}

const grouped = (count: number): string => count.toLocaleString("en");

/** How many lines there are, and how many of them are drawn. */
export function countOf({ lines, of, share }: Picked, signed = false): string {
  if (lines.length === of) return `${grouped(of)} ${of === 1 ? "line" : "lines"}.`;
  const what = signed ? "all that differs" : "the weight";
  return `${grouped(lines.length)} of ${grouped(of)} lines, with ${share.toFixed(2)} of ${what}.`;
}

/** Weights below it are not worth a way. */
const WORTH = 0.005;

function beyondOf(scene: Scene | null, lit: { lit: Lit; lines: Line[] } | null): [string, string] {
  if (!scene || !lit || !scene.stage.scrolls) return ["", ""];
  const other: Side = lit.lit.side === "query" ? "key" : "query";
  const { from, to } = sightOf(scene.stage, scene.map, other, scene.scrolled);
  // Of what is more and what is less the sizes are added.
  const sign = scene.maps[0]?.signed ? "±" : "";
  const far = lit.lines.filter(({ weight }) => Math.abs(weight) >= WORTH);
  const say = (where: string, outside: (index: number) => boolean) => {
    const words = far.filter((line) => outside(line[other]));
    const noun = other === "key" ? "key" : "quer";
    const weight = words.reduce((sum, line) => sum + Math.abs(line.weight), 0) / scene.maps.length;
    const plural =
      noun === "key" ? (words.length > 1 ? "keys" : "key") : words.length > 1 ? "queries" : "query";
    return words.length > 0
      ? `${grouped(words.length)} more ${plural} ${where}, ${sign}${weight.toFixed(2)}`
      : "";
  };
  return [say("above", (index) => index < from), say("below", (index) => index >= to)];
}

/** Columns and canvases; of long texts in a window that scrolls. */
function Picture({ store, map, here }: { store: Store; map: MapFacts; here: Lines }) {
  const frame = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const stage = useComputed(() => here.scene.value?.stage ?? null);

  useLayoutEffect(() => pointing(frame.current!, store, here), [store, here]);
  useEffect(() => {
    if (!isWhole(map)) return askAround(store, map, here);
  }, [store, map, here]);
  // A word that was pinned elsewhere is brought into sight.
  useEffect(
    () =>
      effect(() => {
        const { query, key } = store.pin.value;
        const scene = here.scene.peek();
        if (!scene || !frame.current || (query === null && key === null)) return;
        bring(frame.current, store, scene, query === null ? "key" : "query", (query ?? key)!);
      }),
    [store, here],
  );

  useDrawing(() => {
    const [scene, picked] = [here.scene.value, here.picked.value];
    if (!scene || !picked || !base.current) return;
    const { maps, look, heads } = scene;
    const context = prepare(base.current, scene.stage.width, scene.stage.height);
    const font = store.colours.value.font;
    const shown = here.alone.value === null ? maps : maps.filter(({ head }) => head === here.alone.value);
    paint(context, font, lineMarks(scene, look, shown, heads, picked.lines));
    Object.assign(base.current.dataset, {
      lines: String(picked.lines.length),
      heads: maps.map(({ head }) => head).join(),
      layer: String(store.drawn.value?.layer ?? ""),
    });
    store.onScreen.value = store.picture.value;
  });

  useDrawing(() => {
    const [scene, lit] = [here.scene.value, here.lit.value];
    if (!scene || !over.current || !base.current) return;
    const { maps, look, heads } = scene;
    const context = prepare(over.current, scene.stage.width, scene.stage.height);
    base.current.style.visibility = lit ? "hidden" : "";
    over.current.dataset.lines = String(lit?.lines.length ?? 0);
    if (!lit) return;
    const font = store.colours.value.font;
    paint(context, font, lineMarks(scene, look, maps, heads, lit.lines.slice(-MOST_ALONE), true));
    paint(context, font, weightMarks(store, scene, look, maps, heads, lit.lit.side, lit.lines));
  });

  const size = stage.value;
  if (!size) return null;
  return (
    <div
      class="frame"
      data-part="lines"
      data-scrolls={size.scrolls}
      ref={frame}
      style={{ inlineSize: `${size.width}px`, blockSize: `${size.height}px` }}
      onScroll={(event) => {
        store.scrolled.value = (event.currentTarget as HTMLElement).scrollTop;
      }}
    >
      <div class="sizer" style={{ blockSize: `${size.whole}px` }}>
        <div class="board" style={{ blockSize: `${size.height}px` }}>
          <canvas ref={base} data-part="lines-all-drawn" role="presentation" />
          <canvas ref={over} data-part="lines-lit" class="marks" role="presentation" />
          <Column store={store} axis={map.queries} side="query" here={here} stage={size} map={map} />
          <Column store={store} axis={keysOf(map)} side="key" here={here} stage={size} map={map} />
          <Beyond here={here} />
        </div>
      </div>
    </div>
  );
}

function Beyond({ here }: { here: Lines }) {
  const [above, below] = here.beyond.value;
  return (
    <>
      {above && (
        <span class="beyond above" data-part="more-above">
          ↑ {above}
        </span>
      )}
      {below && (
        <span class="beyond below" data-part="more-below">
          ↓ {below}
        </span>
      )}
    </>
  );
}

/** Of a map that is too long to be here, what is around what is in sight is asked for. */
function askAround(store: Store, map: MapFacts, here: Lines): () => void {
  const before = store.window.peek();
  const stop = computed(() => {
    const scene = here.scene.value;
    if (!scene) return null;
    const around = (side: Side) => {
      const { from, to } = sightOf(scene.stage, map, side, scene.scrolled);
      const count = side === "query" ? map.n_queries : map.n_keys;
      const start = Math.max(
        0,
        Math.min(Math.floor((from + to) / 2 / STEP) * STEP - ASKED / 2, count - ASKED),
      );
      return { from: start, to: Math.min(count, start + ASKED) };
    };
    return JSON.stringify({ rows: around("query"), columns: around("key") });
  }).subscribe((window) => {
    if (window) store.lookAt(JSON.parse(window));
  });
  return () => {
    stop();
    // The map is found again as it was left.
    store.lookAt(before);
  };
}
