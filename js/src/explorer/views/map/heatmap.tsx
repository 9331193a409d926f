/** The map of the selected head: cells, tokens on both axes, and above them what is hovered and pinned. */
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { meanOf } from "../../../attention/temper";
import { MASKED } from "../../../attention/tile";
import { prepare, useDrawing } from "../../../drawing/canvas";
import { columnX, rowY } from "../../../drawing/geometry";
import { bracketed, placeName, sharing, spokenName } from "../../../drawing/naming";
import { paint } from "../../../drawing/paint";
import { exact, quoted } from "../../../drawing/words";
import {
  type Axis,
  headNumber,
  keysOf,
  layerNumber,
  type MapFacts,
  type Strip as StripFacts,
} from "../../../host/facts";
import { differenceName } from "../../comparing";
import { type Drawn, type DrawnDifference, isDifference, type Shown, type Store } from "../../store";
import { effectName } from "../../weighing";
import { cellMarks } from "./cells";
import { Inked } from "./inked";
import { drawMarks } from "./marks";
import { pointing } from "./pointing";
import type { Stage } from "./stage";
import { stripPlace, stripSummary } from "./strip";

interface Props {
  store: Store;
  stage: ReadonlySignal<Stage | null>;
  describedBy: string;
  /** What is drawn, where that is not the picture; one of two side by side has a name of its own. */
  of?: () => Shown | null;
  part?: string;
}

export function Heatmap({ store, stage, describedBy, of, part = "heatmap" }: Props) {
  const shown = of ?? (() => store.picture.value);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Painter>(null);
  painter.current ??= new Painter();

  useEffect(() => pointing(canvas.current!, store, stage), [store, stage]);

  useDrawing(() => {
    const { value } = stage;
    if (!value || !canvas.current) return;
    const ratio = window.devicePixelRatio || 1;
    const pixels: [number, number] = [
      Math.round(value.plot.height * ratio),
      Math.round(value.plot.width * ratio),
    ];
    if (String(store.device.peek()) !== String(pixels)) store.device.value = pixels;
    painter.current!.draw(canvas.current, store, value, shown());
    store.onScreen.value = store.picture.value;
  });

  useDrawing(() => {
    const map = store.map.value;
    if (stage.value && map && marks.current) drawMarks(marks.current, store, stage.value, map);
  });

  const map = store.map.value;
  const drawn = shown();
  return (
    <div class="heatmap">
      <canvas
        ref={canvas}
        data-part={part}
        tabIndex={0}
        role="application"
        aria-roledescription="attention map"
        aria-label={map ? label(map, store) : "attention map"}
        aria-describedby={describedBy}
      >
        {map && drawn ? summary(store, map, drawn) : null}
      </canvas>
      <canvas ref={marks} class="marks" role="presentation" />
      {map?.strip && stage.value && <Strip map={map} strip={map.strip} stage={stage.value} />}
    </div>
  );
}

/** What is said of the strip where it is drawn; the pointer is the map's. */
function Strip({ map, strip, stage }: { map: MapFacts; strip: StripFacts; stage: Stage }) {
  const { x, y, width, height } = stripPlace(stage);
  const place = { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` };
  return (
    <div class="under-map" data-part="strip" role="img" aria-label={stripSummary(map, strip)} style={place} />
  );
}

class Painter {
  readonly #inked = new Inked();
  readonly #cells = document.createElement("canvas");
  #image: ImageData | null = null;

  draw(canvas: HTMLCanvasElement, store: Store, { plot, width, height }: Stage, drawn: Shown | null): void {
    const map = store.map.value;
    const colours = store.colours.value;
    const visible = store.window.value;
    const { largest } = store.paint.value;
    const context = prepare(canvas, width, height);
    if (!map) return;
    const ratio = window.devicePixelRatio || 1;
    const pair = store.pair.value;
    const own = drawn && (isDifference(drawn) ? drawn.second : drawn);
    const maps = [map.name, pair?.first.map, pair?.second.map];
    if (drawn && maps.includes(own!.map)) {
      context.save();
      context.beginPath();
      context.rect(plot.x, plot.y, plot.width, plot.height);
      context.clip();
      if (isDifference(drawn) ? drawn.hasMasked : drawn.tile.hasMasked)
        paint(context, colours.font, [{ kind: "box", ...plot, hatched: colours.hatch }]);
      const device: [number, number] = [Math.round(plot.height * ratio), Math.round(plot.width * ratio)];
      const picture = this.#inked.paint(store, drawn, visible, device);
      this.#put(picture.width, picture.height);
      const x = columnX(plot, visible, picture.columns.from);
      const y = rowY(plot, visible, picture.rows.from);
      const right = columnX(plot, visible, picture.columns.to);
      const bottom = rowY(plot, visible, picture.rows.to);
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#cells, x, y, right - x, bottom - y);
      paint(context, colours.font, cellMarks(store, drawn, plot));
      context.restore();
    }
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.strokeRect(plot.x - 0.5, plot.y - 0.5, plot.width + 1, plot.height + 1);

    const { rows, columns } = visible;
    Object.assign(canvas.dataset, {
      plot: [plot.x, plot.y, plot.width, plot.height].join(),
      window: [rows.from, rows.to, columns.from, columns.to].map((edge) => Number(edge.toFixed(3))).join(),
      max: String(largest),
    });
    if (!drawn || !own) {
      for (const name of ["map", "layer", "head", "temperature", "scaling", "against"])
        delete canvas.dataset[name];
      return;
    }
    Object.assign(canvas.dataset, {
      map: own.map,
      layer: String(own.layer),
      head: String(own.head),
      temperature: String(own.temperature),
      scaling: String(own.scaling),
    });
    const first = isDifference(drawn) ? drawn.first : null;
    if (first) canvas.dataset.against = `${first.map}/${first.layer}/${first.head}`;
    else delete canvas.dataset.against;
  }

  #put(width: number, height: number): void {
    const { pixels } = this.#inked;
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#cells.width = width;
      this.#cells.height = height;
    }
    new Uint32Array(this.#image.data.buffer).set(pixels);
    this.#cells.getContext("2d")!.putImageData(this.#image, 0, 0);
  }
}

function label(map: MapFacts, store: Store): string {
  const [at, head] = [store.layer.value, store.head.value];
  const layer = map.layer_names[at] ?? `layer ${layerNumber(map, at)}`;
  const name = map.derived ? placeName(map, at, head) : `${layer}, head ${headNumber(map, at, head)}`;
  const group = sharing(map, at, head);
  const runs = (axis: Axis) =>
    (axis.spans ?? []).map(([run, start, stop]) => `${run} ${start} to ${stop - 1}`);
  const named = runs(map.queries).length > 0 ? ` Queries: ${runs(map.queries).join(", ")}.` : "";
  const effect = store.weighing.effect.value;
  return `${effect ? effectName(effect) : map.name}, ${name}${group ? `, ${group}` : ""}: ${map.n_queries} queries by ${map.n_keys} keys.${named} Arrow keys move, Enter pins, Escape unpins, plus and minus zoom.`;
}

function summary(store: Store, map: MapFacts, shown: Shown): string {
  return isDifference(shown) ? differenceSummary(store, map, shown) : ownSummary(map, shown);
}

/** What changed most, in a sentence. */
function differenceSummary(
  store: Store,
  map: MapFacts,
  { tile, values, strongest }: DrawnDifference,
): string {
  const pair = store.pair.value;
  const [row, column] = [Math.floor(strongest / tile.shape[1]), strongest % tile.shape[1]];
  const [query, key] = [tile.rows[0] + row * tile.stride[0], tile.columns[0] + column * tile.stride[1]];
  const names = `query ${quoted(map.queries.labels[query])}, key ${quoted(keysOf(map).labels[key])}`;
  const number = store.weighing.said(values[strongest] ?? Number.NaN, true);
  const effect = store.weighing.effect.value;
  if (effect)
    return `${effectName(effect).replace(/^./, (first) => first.toUpperCase())}. Largest: ${names}, ${number}.`;
  return `${pair ? differenceName(pair) : "Difference"}. Farthest apart: ${names}, ${number}.`;
}

/** The picture in a sentence: its strongest cell, and how spread its rows are. */
function ownSummary(map: MapFacts, drawn: Drawn): string {
  const { tile, strongestRow, layer, head } = drawn;
  const width = tile.shape[1];
  const codes = tile.codes.subarray(strongestRow * width, (strongestRow + 1) * width);
  const column = codes.indexOf(tile.largest[strongestRow] ?? MASKED);
  const query = tile.rows[0] + strongestRow * tile.stride[0];
  const key = tile.columns[0] + column * tile.stride[1];
  const weight = exact(drawn.shares[strongestRow] ?? 0);
  const keys = keysOf(map);
  const names = `query ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}, key ${quoted(keys.labels[key])}${bracketed(keys, key)}`;
  return `${spokenName(map, layer, head)}. Strongest cell: ${names}, ${weight}. Mean entropy ${exact(meanOf(drawn.entropy))} nats.`;
}
