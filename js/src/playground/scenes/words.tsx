/** Words as arrows in the plane: drag one, and watch which look at each other, and where each goes. */
import { useRef } from "preact/hooks";
import type { Rows } from "../../attention/steps";
import { Formula } from "../formula";
import { Machine } from "../machine";
import { chosenText, STEP, tidy } from "../numbers";
import { Temperature } from "../sharpness";
import type { Store } from "../store";
import { replaced } from "../table";
import type { SceneProps } from "./table";

const SIDE = 320;
const MIDDLE = SIDE / 2;

export function Words({ store }: SceneProps) {
  const flat = store.traits.key.value[0]?.length === 2;
  return (
    <>
      <div class="controls">
        <Temperature store={store} />
      </div>
      <div class="beside">
        {flat ? (
          <Drawing store={store} />
        ) : (
          <p class="note">
            The plane shows words of two numbers; these have {store.traits.key.value[0]?.length}.
          </p>
        )}
        <div>
          <Formula store={store} />
          <Machine store={store} without={["query", "value", "mask"]} />
        </div>
      </div>
    </>
  );
}

function Drawing({ store }: { store: Store }) {
  const words: Rows = store.traits.key.value;
  const { weights, output } = store.steps.value;
  const row = store.row.value;
  const plane = useRef<SVGSVGElement>(null);
  const held = useRef<number | null>(null);
  const locked = store.isLocked("key");
  const reach = 1.25 * Math.max(1, ...words.flat().map(Math.abs));
  const fixed = useRef(reach);
  // While a word is dragged the plane stands still under it.
  if (held.current === null) fixed.current = reach;
  const scale = MIDDLE / fixed.current;
  const place = ([x, y]: readonly number[]) => [MIDDLE + x! * scale, MIDDLE - y! * scale] as const;

  function put(word: number, x: number, y: number, gesture: string): void {
    store.setTable("key", replaced(replaced(words, word, 0, tidy(x)), word, 1, tidy(y)), gesture);
  }

  function move(event: PointerEvent): void {
    if (held.current === null || !plane.current) return;
    const box = plane.current.getBoundingClientRect();
    const unit = SIDE / box.width / scale;
    const x = (event.clientX - box.left - box.width / 2) * unit;
    const y = (box.top + box.height / 2 - event.clientY) * unit;
    const inside = (number: number) =>
      Math.round(Math.max(-fixed.current, Math.min(fixed.current, number)) * 20) / 20;
    put(held.current, inside(x), inside(y), `drag word ${held.current}`);
  }

  function press(event: KeyboardEvent, word: number): void {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!by || locked) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = words[word]!;
    put(word, x! + by[0]! * STEP, y! + by[1]! * STEP, `drag word ${word}`);
  }

  function end(): void {
    held.current = null;
    store.endGesture();
  }

  return (
    <figure class="plot plane" data-part="plane">
      <svg
        viewBox={`0 0 ${SIDE} ${SIDE}`}
        ref={plane}
        onPointerMove={move}
        onPointerUp={end}
        onPointerCancel={end}
      >
        <title>Words in the plane; the lines are what the chosen word looks at</title>
        <line class="grid" x1={0} x2={SIDE} y1={MIDDLE} y2={MIDDLE} />
        <line class="grid" x1={MIDDLE} x2={MIDDLE} y1={0} y2={SIDE} />
        {words.map((word, at) => {
          const [[fx, fy], [x, y]] = [place(words[row]!), place(word)];
          return (
            at !== row &&
            !store.isVeiled("weights") && (
              <line
                class="looks"
                key={`look-${at}`}
                data-part="looks"
                x1={fx}
                y1={fy}
                x2={x}
                y2={y}
                stroke-width={weights[row]![at]! * 9}
              />
            )
          );
        })}
        {words.map((word, at) => {
          const [x, y] = place(word);
          return (
            <g key={`word-${at}`} class="word" data-chosen={at === row}>
              <line class="arrow" x1={MIDDLE} y1={MIDDLE} x2={x} y2={y} />
              <circle
                class="handle"
                cx={x}
                cy={y}
                r={7}
                role="slider"
                tabIndex={0}
                data-part="word"
                data-word={at}
                aria-label={store.label("key", at)}
                aria-valuenow={word[0]}
                aria-valuetext={word.map(chosenText).join(", ")}
                onPointerDown={(event) => {
                  store.choose(at);
                  if (locked || event.button !== 0) return;
                  held.current = at;
                  plane.current?.setPointerCapture(event.pointerId);
                }}
                onFocus={() => store.choose(at)}
                onKeyDown={(event) => press(event, at)}
              />
              <text
                x={x + (x < SIDE - 60 ? 10 : -10)}
                y={y - 9}
                text-anchor={x < SIDE - 60 ? "start" : "end"}
              >
                {store.label("key", at)}
              </text>
            </g>
          );
        })}
        {(() => {
          if (store.isVeiled("output")) return null;
          const [x, y] = place(output[row]!);
          return <path class="mix" data-part="mix" d={`M${x - 5} ${y}h10M${x} ${y - 5}v10`} />;
        })()}
      </svg>
      <figcaption class="note">
        Lines: how much “{store.label("key", row)}” looks at each word. The cross: what it becomes.
      </figcaption>
    </figure>
  );
}
