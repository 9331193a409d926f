/** The map of the selected head: cells, tokens on both axes, and above them what is hovered and pinned. */
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Raster } from "../../attention/raster";
import { meanEntropy } from "../../attention/temper";
import { MASKED } from "../../attention/tile";
import { prepare, useDrawing } from "../../drawing/canvas";
import { columnX, rowY } from "../../drawing/geometry";
import { bracketed, placeName, sharing, spokenName } from "../../drawing/naming";
import { paint } from "../../drawing/paint";
import { exact, quoted } from "../../drawing/words";
import { type Axis, headNumber, keysOf, layerNumber, type MapFacts } from "../../host/facts";
import { rowwise } from "../range";
import type { Drawn, Store } from "../store";
import { cellMarks } from "./cells";
import { drawMarks } from "./marks";
import { pointing } from "./pointing";
import type { Stage } from "./stage";

interface Props {
  store: Store;
  stage: ReadonlySignal<Stage | null>;
  describedBy: string;
}

export function Heatmap({ store, stage, describedBy }: Props) {
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
    painter.current!.draw(canvas.current, store, value);
    store.onScreen.value = store.drawn.value;
  });

  useDrawing(() => {
    const map = store.map.value;
    if (stage.value && map && marks.current) drawMarks(marks.current, store, stage.value, map);
  });

  const map = store.map.value;
  const drawn = store.drawn.value;
  return (
    <div class="heatmap">
      <canvas
        ref={canvas}
        data-part="heatmap"
        tabIndex={0}
        role="application"
        aria-roledescription="attention map"
        aria-label={map ? label(map, store) : "attention map"}
        aria-describedby={describedBy}
      >
        {map && drawn ? summary(map, drawn) : null}
      </canvas>
      <canvas ref={marks} class="marks" role="presentation" />
    </div>
  );
}

class Painter {
  readonly #raster = new Raster();
  readonly #cells = document.createElement("canvas");
  #image: ImageData | null = null;

  draw(canvas: HTMLCanvasElement, store: Store, { plot, width, height }: Stage): void {
    const map = store.map.value;
    const drawn = store.drawn.value;
    const colours = store.colours.value;
    const visible = store.window.value;
    const { table, largest, of } = store.paint.value;
    const context = prepare(canvas, width, height);
    if (!map) return;
    const ratio = window.devicePixelRatio || 1;
    if (drawn && drawn.map === map.name) {
      context.save();
      context.beginPath();
      context.rect(plot.x, plot.y, plot.width, plot.height);
      context.clip();
      if (drawn.tile.hasMasked)
        paint(context, colours.font, [{ kind: "box", ...plot, hatched: colours.hatch }]);
      const device: [number, number] = [Math.round(plot.height * ratio), Math.round(plot.width * ratio)];
      const picture = this.#raster.paint(
        drawn.tile,
        of === "rows" ? rowwise(drawn) : drawn,
        table,
        visible,
        device,
      );
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
    if (!drawn) {
      for (const name of ["map", "layer", "head", "temperature", "scaling"]) delete canvas.dataset[name];
      return;
    }
    Object.assign(canvas.dataset, {
      map: drawn.map,
      layer: String(drawn.layer),
      head: String(drawn.head),
      temperature: String(drawn.temperature),
      scaling: String(drawn.scaling),
    });
  }

  #put(width: number, height: number): void {
    const { pixels } = this.#raster;
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
  return `${map.name}, ${name}${group ? `, ${group}` : ""}: ${map.n_queries} queries by ${map.n_keys} keys.${named} Arrow keys move, Enter pins, Escape unpins, plus and minus zoom.`;
}

/** The picture in a sentence: its strongest cell, and how spread its rows are. */
function summary(map: MapFacts, drawn: Drawn): string {
  const { tile, strongestRow, layer, head } = drawn;
  const width = tile.shape[1];
  const codes = tile.codes.subarray(strongestRow * width, (strongestRow + 1) * width);
  const column = codes.indexOf(tile.largest[strongestRow] ?? MASKED);
  const query = tile.rows[0] + strongestRow * tile.stride[0];
  const key = tile.columns[0] + column * tile.stride[1];
  const weight = exact(drawn.shares[strongestRow] ?? 0);
  const keys = keysOf(map);
  const names = `query ${quoted(map.queries.labels[query])}${bracketed(map.queries, query)}, key ${quoted(keys.labels[key])}${bracketed(keys, key)}`;
  return `${spokenName(map, layer, head)}. Strongest cell: ${names}, ${weight}. Mean entropy ${exact(meanEntropy(drawn.entropy))} nats.`;
}
