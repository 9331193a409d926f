/** The curve of a measure of every head, the chosen one over the others, and the step that is seen. */
import { useComputed, useSignal } from "@preact/signals";
import { scaleLinear } from "d3-scale";
import { useMemo, useRef } from "preact/hooks";
import { labelFont } from "../../drawing/axes";
import { prepare, useDrawing } from "../../drawing/canvas";
import type { Plot } from "../../drawing/geometry";
import { measured, short } from "../../drawing/words";
import type { Player } from "../play";
import { type Curve, valueAt } from "../run";
import type { Store } from "../store";
import { colourOfRun, headNumber, layerNumber } from "./names";
import { rangeOf } from "./range";

const HEIGHT = 190;
const LEFT = 44;
const RIGHT = 28;
const [TOP, BOTTOM] = [16, 22];
/** As near as the pointer must be to a curve, in pixels. */
const NEAR = 14;

interface Head {
  layer: number;
  head: number;
}

export function Curves({ store, player }: { store: Store; player: Player }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const pointed = useSignal<Head | null>(null);
  const { map, measure, layer, head } = store.traits;
  const curves = store.runs.value.map((run) => run.curve(map.value, measure.value).value);
  const range = useMemo(() => rangeOf(curves), curves);
  const given = useSignal({ curves, range });
  if (
    given.peek().curves.some((one, at) => one !== curves[at]) ||
    given.peek().curves.length !== curves.length
  )
    given.value = { curves, range };
  const plot = useComputed<Plot>(() => ({
    x: LEFT,
    y: TOP,
    width: Math.max(1, store.width.value - LEFT - RIGHT),
    height: HEIGHT - TOP - BOTTOM,
  }));
  const x = useComputed(() => {
    const stops = store.stops.value;
    const [first, last] = [stops[0] ?? 0, stops.at(-1) ?? 1];
    const { x: from, width } = plot.value;
    return scaleLinear()
      .domain(first === last ? [first - 1, last + 1] : [first, last])
      .range([from, from + width]);
  });
  const y = useComputed(() => {
    const { y: from, height } = plot.value;
    return scaleLinear()
      .domain(given.value.range as [number, number])
      .range([from + height, from]);
  });

  useDrawing(() => {
    const colours = store.colours.value;
    const context = prepare(canvas.current!, store.width.value, HEIGHT);
    const area = plot.value;
    context.font = labelFont(colours, 11);
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (const tick of y.value.ticks(4)) {
      context.strokeStyle = colours.line;
      context.globalAlpha = 0.6;
      line(context, area.x, y.value(tick), area.x + area.width, y.value(tick));
      context.globalAlpha = 1;
      context.fillStyle = colours.muted;
      context.textAlign = "right";
      context.fillText(short(tick).replace("-", "−"), area.x - 6, y.value(tick));
    }
    context.textAlign = "center";
    const labels = store.runs.value[0]?.labels.value;
    const stops = store.stops.value;
    const ticks = stops.length === 1 ? stops : x.value.ticks(Math.max(2, Math.floor(area.width / 110)));
    for (const tick of ticks) {
      if (!Number.isInteger(tick)) continue;
      const name = labels ? (labels[tick] ?? "") : tick.toLocaleString("en-US");
      context.fillText(name, x.value(tick), area.y + area.height + 12);
    }
    context.strokeStyle = colours.faint;
    context.globalAlpha = 0.7;
    for (const run of store.runs.value) {
      for (const { place, kind } of run.events.value) {
        const at = x.value(run.steps.value[place]!);
        context.strokeStyle = kind === "alert" ? colours.fault : colours.faint;
        context.setLineDash([2, 3]);
        line(context, at, area.y, at, area.y + area.height);
        context.setLineDash([]);
      }
    }
    context.strokeStyle = colours.faint;
    const [least, most] = x.value.domain() as [number, number];
    for (const [step] of store.own.value) {
      if (step < least || step > most) continue;
      context.setLineDash([2, 3]);
      line(context, x.value(step), area.y, x.value(step), area.y + area.height);
      context.setLineDash([]);
    }
    context.globalAlpha = 1;
    if (given.value.curves.length > 1) return;
    // Of several runs the chosen head alone: all heads of all runs say nothing.
    const [curve] = given.value.curves;
    if (!curve) return;
    const alpha = Math.max(0.18, Math.min(0.6, 12 / (curve.layers * curve.heads)));
    context.strokeStyle = colours.muted;
    context.globalAlpha = alpha;
    for (let down = 0; down < curve.layers; down++)
      for (let across = 0; across < curve.heads; across++) trace(context, curve, 0, down, across);
    context.globalAlpha = 1;
  });

  useDrawing(() => {
    const colours = store.colours.value;
    const context = prepare(over.current!, store.width.value, HEIGHT);
    given.value.curves.forEach((curve, run) => {
      if (!curve) return;
      const several = given.value.curves.length > 1;
      const own = several ? colourOfRun(run, colours.dark) : colours.accentText;
      context.lineWidth = 2;
      context.strokeStyle = own;
      trace(context, curve, run, layer.value, head.value);
      const other = pointed.value;
      if (other && !several) {
        context.lineWidth = 1.5;
        context.strokeStyle = colours.text;
        trace(context, curve, run, other.layer, other.head);
      }
      const place = store.runs.value[run]!.placeOf(store.step.value);
      const value = valueAt(curve, place, layer.value, head.value);
      if (Number.isNaN(value)) return;
      context.fillStyle = own;
      context.beginPath();
      context.arc(x.value(store.runs.value[run]!.steps.value[place]!), y.value(value), 3.5, 0, 7);
      context.fill();
    });
    const at = x.value(store.step.value);
    context.strokeStyle = colours.text;
    context.lineWidth = 1;
    line(context, at, plot.value.y, at, plot.value.y + plot.value.height);
  });

  function trace(
    context: CanvasRenderingContext2D,
    curve: Curve,
    run: number,
    down: number,
    across: number,
  ): void {
    const steps = store.runs.value[run]!.steps.value;
    context.beginPath();
    // A number between none is a dot.
    context.lineCap = "round";
    let open = false;
    for (let place = 0; place < curve.count; place++) {
      const value = valueAt(curve, place, down, across);
      if (Number.isNaN(value)) {
        open = false;
        continue;
      }
      const to = [x.value(steps[place]!), y.value(Math.max(-1e30, Math.min(1e30, value)))] as const;
      if (!open) context.moveTo(...to);
      context.lineTo(...to);
      open = true;
    }
    context.stroke();
  }

  /** The head whose curve is nearest to a point. */
  function under(event: MouseEvent): Head | null {
    const [curve] = given.peek().curves;
    if (!curve || given.peek().curves.length > 1) return null;
    const box = over.current!.getBoundingClientRect();
    const place = store.runs.peek()[0]!.placeOf(x.peek().invert(event.clientX - box.left));
    let best: Head | null = null;
    let nearest = NEAR;
    for (let down = 0; down < curve.layers; down++) {
      for (let across = 0; across < curve.heads; across++) {
        const away = Math.abs(y.peek()(valueAt(curve, place, down, across)) - (event.clientY - box.top));
        if (away < nearest) [best, nearest] = [{ layer: down, head: across }, away];
      }
    }
    return best;
  }

  const drag = useRef<{ x: number; moved: boolean } | null>(null);
  function down(event: PointerEvent): void {
    if (event.button !== 0) return;
    player.stop();
    drag.current = { x: event.clientX, moved: false };
    over.current!.setPointerCapture(event.pointerId);
  }
  function move(event: PointerEvent): void {
    if (!drag.current) {
      pointed.value = under(event);
      return;
    }
    if (Math.abs(event.clientX - drag.current.x) > 3) drag.current.moved = true;
    if (drag.current.moved) scrubTo(event);
  }
  function up(event: PointerEvent): void {
    if (!drag.current) return;
    const found = drag.current.moved ? null : under(event);
    drag.current = null;
    if (found) store.select(found.layer, found.head);
    else scrubTo(event);
    store.settle();
  }
  function scrubTo(event: PointerEvent): void {
    store.scrub(x.peek().invert(event.clientX - over.current!.getBoundingClientRect().left));
  }

  const told = store.map.value;
  const fact = store.told.value?.measures.find(({ name }) => name === measure.value);
  const values = curves.map((curve, at) => {
    const run = store.runs.value[at]!;
    const { value: steps } = run.steps;
    // A run that has not begun, or has ended, has no number there.
    const [first = 0, last = 0] = [steps[0], steps.at(-1)];
    const there = store.step.value >= first && store.step.value <= last;
    return there ? valueAt(curve, run.placeOf(store.step.value), layer.value, head.value) : Number.NaN;
  });
  const other = pointed.value;
  return (
    <figure class="curves">
      <figcaption>
        <b>{fact?.label ?? measure.value}</b>
        {fact?.unit && <small>{fact.unit}</small>}
        <span class="series">
          {store.runs.value.map((run, at) => (
            <span key={run.name}>
              <i
                style={{
                  background: curves.length > 1 ? colourOfRun(at, store.colours.value.dark) : "var(--accent)",
                }}
              />
              {run.name ||
                (told &&
                  `layer ${layerNumber(told, layer.value)}, head ${headNumber(told, layer.value, head.value)}`)}{" "}
              <b data-part="value">{Number.isNaN(values[at]) ? "–" : measured(values[at]!)}</b>
            </span>
          ))}
          {other && told && (
            <span class="other">
              <i style={{ background: "var(--text)" }} />
              layer {layerNumber(told, other.layer)}, head {headNumber(told, other.layer, other.head)}
            </span>
          )}
        </span>
      </figcaption>
      <div class="canvases">
        <canvas ref={canvas} data-part="curves" role="presentation" />
        <canvas
          ref={over}
          class="marks"
          data-part="curve"
          data-plot={Object.values(plot.value).join()}
          role="img"
          aria-label={`${fact?.label ?? measure.value} over the steps: ${measured(values[0] ?? Number.NaN)} at ${store.stepName(store.step.value)}.`}
          onPointerDown={down}
          onPointerMove={move}
          onPointerUp={up}
          onPointerCancel={() => (drag.current = null)}
          onPointerLeave={() => (pointed.value = null)}
        />
      </div>
    </figure>
  );
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
