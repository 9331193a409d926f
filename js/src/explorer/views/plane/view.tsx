/** One head's queries and keys as points, near where they attend, and the other heads of its layer beside it in small. */
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { type Plane, plane as planeQuestion } from "../../../answers/plane";
import type { Question } from "../../../answers/question";
import { Fault } from "../../../controls/fault";
import { Menu } from "../../../controls/menu";
import { penOf, prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { spokenName } from "../../../drawing/naming";
import { paint } from "../../../drawing/paint";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { madeOf } from "../formula";
import { Path } from "../path";
import { picking } from "./picking";
import { Heads } from "./planes";
import {
  inWords,
  litIn,
  litMarks,
  missingIn,
  placing,
  pointMarks,
  positionsIn,
  READABLE,
  sizeOf,
  tokenOf,
  verdictMarks,
} from "./points";

const LARGEST = 560;
const SMALLEST = 240;

interface Props {
  store: Store;
  answers: Answers;
}

/** The chosen head's, of itself or of its whole layer, whichever has more points; null while neither is here. */
export function planeOf(store: Store, answers: Answers): Plane | null {
  const map = store.map.value;
  if (!map) return null;
  const [layer, head] = [store.layer.value, store.head.value];
  const [own, whole] = [head, null].map((which) => {
    const asked = planeQuestion(map.name, layer, which);
    return answers.known.isFresh(asked) ? answers.known.get(asked)?.get(head) : undefined;
  });
  return own ?? whole ?? null;
}

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const layer = store.layer.value;
  if (!madeOf(map, layer)) return;
  yield planeQuestion(map.name, layer, store.head.value);
  yield planeQuestion(map.name, layer, null);
}

/** What the picture is made of; what is drawn where no points will come. */
export function madeIn(store: Store, answers: Answers): object | null {
  const map = store.map.value;
  const found = planeOf(store, answers);
  if (found || !map) return found;
  const final = !madeOf(map, store.layer.value) || faultOf(store, answers) !== null;
  return final ? store.drawn.value : null;
}

function faultOf(store: Store, answers: Answers): string | null {
  const map = store.map.value!;
  const layer = store.layer.value;
  const tile = answers.chosen.faults.value.tile;
  if (tile !== undefined) return tile;
  const faults = [store.head.value, null].map((head) =>
    answers.known.fault(planeQuestion(map.name, layer, head)),
  );
  return faults.every((fault) => fault !== null) ? faults[0]! : null;
}

export function PlaneView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.room);
  useDrawing(() => {
    if (!planeOf(store, answers)) store.onScreen.value = madeIn(store, answers);
  });
  const map = store.map.value;
  if (!map) return null;
  const known = madeOf(map, store.layer.value) !== null;
  const plane = known ? planeOf(store, answers) : null;
  const fault = known && !plane ? faultOf(store, answers) : null;
  return (
    <section class="map plane">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
      </header>
      {!known && (
        <p class="hint" data-part="plane-hint">
          The queries and keys are not known: this layer was given as weights, which do not tell what they
          came from.
        </p>
      )}
      {fault !== null && <Fault sentence={fault} onRetry={() => answers.retry()} />}
      {known && !plane && fault === null && <p class="hint">Queries and keys are on their way.</p>}
      {plane && width.value > 0 && (
        <>
          <p class="verdict" data-part="verdict">
            {verdict(plane)}
          </p>
          <div class="sides">
            <Big store={store} map={map} plane={plane} side={sideOf(store, width.value)} />
            <div class="aside">
              <Choices store={store} />
              <Heads store={store} answers={answers} map={map} />
              <div class="notes">
                {notesIn(map, plane).map((note) => (
                  <p key={note}>{note}</p>
                ))}
              </div>
            </div>
          </div>
        </>
      )}
    </section>
  );
}

/** The side of the picture: what there is of the width, and of the height where that is bounded. */
const sideOf = (store: Store, width: number): number =>
  Math.min(LARGEST, width, Math.max(SMALLEST, store.tallest.value));

/** How far distances can be read, in a sentence. */
export function verdict({ correlation, pairs, sampled }: Plane): string {
  if (Number.isNaN(correlation)) return "Too few pairs to say how far distances can be read.";
  const over = `over ${pairs.toLocaleString("en")} pairs${sampled ? ", an even sample" : ""}`;
  const said = `Nearness and score: rank correlation ${correlation.toFixed(2).replace("-", "−")} ${over}`;
  return correlation < READABLE ? `${said}: not readable.` : `${said}.`;
}

export function notesIn(map: MapFacts, plane: Plane): string[] {
  const [queries, keys] = [plane.queryAt.length, plane.keyAt.length];
  const left = queries < map.n_queries || keys < map.n_keys;
  return [
    "Discs are queries, squares are keys. Keys were moved and both stretched in ways that leave the weights alike, so that what is near is attended to, as far as two axes can show it.",
    left
      ? `An even sample: ${queries.toLocaleString("en")} of ${map.n_queries.toLocaleString("en")} queries, ${keys.toLocaleString("en")} of ${map.n_keys.toLocaleString("en")} keys.`
      : "",
  ].filter(Boolean);
}

interface BigProps {
  store: Store;
  map: MapFacts;
  plane: Plane;
  side: number;
}

function Big({ store, map, plane, side }: BigProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const pen = useMemo(penOf, []);
  const place = useMemo(() => placing(plane, side), [plane, side]);
  const size = sizeOf(plane, side);
  const positions = positionsIn(store);
  const now = useRef({ plane, place, map });
  now.current = { plane, place, map };
  const colours = store.colours.value;
  const ramp = store.ramp.value;
  const coloured = positions.value;

  // The points stay while the pointer moves over them.
  useLayoutEffect(() => {
    const context = prepare(canvas.current!, side, side);
    const marks = pointMarks(store, colours, map, plane, place, { size, positions: coloured });
    paint(context, colours.font, [...marks, ...verdictMarks(pen, colours, plane, side)]);
    store.onScreen.value = plane;
  }, [store, colours, ramp, map, plane, place, size, side, coloured, pen]);

  const lit = litIn(store, plane);
  useLayoutEffect(() => {
    const context = prepare(over.current!, side, side);
    if (lit) paint(context, colours.font, litMarks(pen, colours, map, plane, place, lit, side, size));
  });
  useLayoutEffect(() => picking(canvas.current!, store, () => now.current), [store]);

  return (
    <div class="big">
      <div class="square" style={{ inlineSize: `${side}px`, blockSize: `${side}px` }}>
        <canvas
          ref={canvas}
          data-part="plane"
          data-head={store.head.value}
          data-correlation={plane.correlation}
          data-points={plane.queryAt.length + plane.keyAt.length}
          data-lit={lit ? `${lit.from.of} ${tokenOf(plane, lit.from)}` : ""}
          data-partners={lit?.partners.map(({ point }) => tokenOf(plane, point)).join(" ") ?? ""}
          tabIndex={0}
          role="application"
          aria-roledescription="plane of points"
          aria-label={`Queries and keys of ${spokenName(map, store.layer.value, store.head.value)}, as points. ${verdict(plane)} Left and right move along the text, up and down between queries and keys, Enter pins, Escape unpins.`}
        />
        <canvas ref={over} class="marks" role="presentation" />
      </div>
      <p class="term" data-part="lit">
        {lit
          ? inWords(map, plane, lit)
          : (missingIn(map, plane, store.pin.value) ??
            "Point at a query to see the keys it looks at most; click it to pin it.")}
      </p>
    </div>
  );
}

function Choices({ store }: { store: Store }) {
  const positions = positionsIn(store);
  return (
    <div class="choices">
      <Menu
        label="Colour"
        part="plane-colour"
        value={positions.value ? "position" : "kind"}
        options={[
          ["kind", "query or key"],
          ["position", "position, later is stronger"],
        ]}
        onChange={(value) => (positions.value = value === "position")}
      />
    </div>
  );
}
