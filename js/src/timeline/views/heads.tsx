/** Every head as a small curve: which of them change, and when. */
import { useMemo, useRef } from "preact/hooks";
import { brief } from "../../drawing/words";
import type { MapTold } from "../choices";
import { type Curve, valueAt } from "../run";
import type { Store } from "../store";
import { colourOfRun, headNumber, layerNumber } from "./names";
import { rangeOf } from "./range";

/** Points of a small curve. */
const POINTS = 40;

export function Heads({ store }: { store: Store }) {
  const list = useRef<HTMLDivElement>(null);
  const told = store.map.value;
  const { map, measure, layer, head } = store.traits;
  const curves = store.runs.value.map((run) => run.curve(map.value, measure.value).value);
  const range = useMemo(() => rangeOf(curves), curves);
  if (!told) return null;
  const stops = store.stops.value;
  const share = stops.length > 1 ? (store.step.value - stops[0]!) / (stops.at(-1)! - stops[0]!) : 0;

  function press(event: KeyboardEvent): void {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const down = Math.min(Math.max(0, layer.peek() + by[0]!), told!.layers - 1);
    const across = Math.min(Math.max(0, head.peek() + by[1]!), headsOf(told!, down) - 1);
    store.select(down, across);
    list.current
      ?.querySelector<HTMLElement>(`[data-layer="${down}"][data-head="${across}"]`)
      ?.focus({ preventScroll: false });
  }

  return (
    <div
      class="heads"
      role="radiogroup"
      aria-label="Heads"
      data-part="heads"
      ref={list}
      style={{ "--columns": told.most, "--rows": told.layers, "--share": share }}
      data-many={told.most > 8}
      onKeyDown={press}
    >
      {Array.from({ length: told.layers }, (_, down) => (
        <div class="line" role="presentation" key={down}>
          <span class="layer">{layerNumber(told, down)}</span>
          {Array.from({ length: headsOf(told, down) }, (_, across) => (
            <Small
              key={across}
              store={store}
              told={told}
              curves={curves}
              range={range}
              layer={down}
              head={across}
              chosen={down === layer.value && across === head.value}
            />
          ))}
        </div>
      ))}
    </div>
  );
}

const headsOf = (told: MapTold, layer: number): number => told.heads?.[layer] ?? told.most;

interface SmallProps {
  store: Store;
  told: MapTold;
  curves: readonly (Curve | null)[];
  range: readonly [number, number];
  layer: number;
  head: number;
  chosen: boolean;
}

function Small({ store, told, curves, range, layer, head, chosen }: SmallProps) {
  const dark = store.colours.value.dark;
  const paths = useMemo(
    () =>
      curves.map((curve, run) => ({
        path: pathOf(store.runs.peek()[run]!.steps.peek(), curve, range, layer, head, store.stops.peek()),
        colour: curves.length > 1 ? colourOfRun(run, dark) : undefined,
      })),
    [...curves, ...range, layer, head, dark],
  );
  const last = curves[0] ? valueAt(curves[0], curves[0].count - 1, layer, head) : Number.NaN;
  const name = `Layer ${layerNumber(told, layer)}, head ${headNumber(told, layer, head)}`;
  return (
    <button
      type="button"
      role="radio"
      data-part="head"
      data-layer={layer}
      data-head={head}
      aria-checked={chosen}
      aria-label={`${name}: ${brief(last)} at the last`}
      title={`${name}: ${brief(last)} at the last`}
      tabIndex={chosen ? 0 : -1}
      onClick={() => store.select(layer, head)}
    >
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {paths.map(({ path, colour }, run) => (
          <path key={run} d={path} style={colour ? { stroke: colour } : {}} />
        ))}
      </svg>
    </button>
  );
}

/** A curve in a square of 100, at as many points as can be seen, broken where there is no number. */
function pathOf(
  steps: readonly number[],
  curve: Curve | null,
  [low, high]: readonly [number, number],
  layer: number,
  head: number,
  stops: readonly number[],
): string {
  if (!curve || curve.count === 0) return "";
  const [first, last] = [stops[0] ?? 0, stops.at(-1) ?? 1];
  const every = Math.max(1, (curve.count - 1) / (POINTS - 1));
  let path = "";
  let pen = "M";
  const put = (place: number, value: number) => {
    const x = last > first ? ((steps[place]! - first) / (last - first)) * 100 : 50;
    const y = 96 - ((value - low) / (high - low)) * 92;
    const to = `${x.toFixed(1)} ${y.toFixed(1)}`;
    // A line of no length is a dot: what stands between no numbers.
    path += pen === "M" ? `M${to}L${to}` : `L${to}`;
    pen = "L";
  };
  for (let bin = 0; bin * every < curve.count; bin++) {
    const [from, to] = [Math.ceil(bin * every), Math.min(curve.count, Math.ceil((bin + 1) * every))];
    let [least, most] = [-1, -1];
    for (let place = from; place < to; place++) {
      const value = valueAt(curve, place, layer, head);
      if (Number.isNaN(value)) continue;
      if (least < 0 || value < valueAt(curve, least, layer, head)) least = place;
      if (most < 0 || value > valueAt(curve, most, layer, head)) most = place;
    }
    if (least < 0) pen = "M";
    // Both ends of what is under a point, in their order: a spike stays one.
    for (const place of new Set([Math.min(least, most), Math.max(least, most)]))
      if (place >= 0) put(place, valueAt(curve, place, layer, head));
  }
  return path;
}
