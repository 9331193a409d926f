/** The map of the chosen head at the step that is seen; of several runs each its own, side by side. */
import { useComputed } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { colourTable, ramp } from "../../attention/colour";
import { Raster } from "../../attention/raster";
import { Temper, weightOf } from "../../attention/temper";
import type { Tile } from "../../attention/tile";
import { MASKED } from "../../attention/tile";
import { Legend } from "../../controls/legend";
import { columnLabels, labelFont, type Placing, rowLabels, widest } from "../../drawing/axes";
import { penOf, prepare, useDrawing } from "../../drawing/canvas";
import { cellAt, plotSize, type Window } from "../../drawing/geometry";
import { paint } from "../../drawing/paint";
import { exact, quoted } from "../../drawing/words";
import type { Colours } from "../../host/theme";
import type { MapTold } from "../choices";
import type { Run } from "../run";
import type { Store } from "../store";
import { colourOfRun, headNumber, layerNumber } from "./names";

/** The most that labels take of a side. */
const LABELS = 110;
const TALLEST = 420;
/** What the heads take beside the map. */
const HEADS = 0.46;
const SCALE = "sqrt";

interface Props {
  store: Store;
  room: number;
  beside: boolean;
}

export function Maps({ store, room, beside }: Props) {
  const told = store.map.value;
  const runs = store.runs.value;
  if (!told) return null;
  const kept = runs.some((run) => run.keptAt.value.some((at) => at >= 0));
  if (!told.queries || !kept)
    return (
      <p class="notes" data-part="no-maps">
        The maps of this run were not kept: an AttentionMonitor keeps them with maps=.
      </p>
    );
  const across = runs.length > 1 && room > 560 ? 2 : 1;
  const width = ((beside ? room * (1 - HEADS) : room) - 24 * (across - 1)) / across;
  return (
    <div class="maps" style={{ "--across": across }}>
      {runs.map((run, at) => (
        <OneMap key={run.name} store={store} told={told} run={run} at={at} room={width} />
      ))}
      <Key store={store} told={told} />
    </div>
  );
}

function Key({ store, told }: { store: Store; told: MapTold }) {
  const colours = store.colours.value;
  const { layer, head } = store.traits;
  const undefinedRows = store.runs.value.some((run) => {
    const reading = run.keptAt.value[run.placeOf(store.step.value)] ?? -1;
    return (run.frame(told.name, layer.value, head.value, reading)?.undefinedRows.length ?? 0) > 0;
  });
  return (
    <Legend
      ramp={ramp("ink", colours)}
      scale={SCALE}
      largest={1}
      masked={Boolean(store.map.value?.causal)}
      undefinedRows={undefinedRows}
    />
  );
}

interface OneProps {
  store: Store;
  told: MapTold;
  run: Run;
  at: number;
  room: number;
}

function OneMap({ store, told, run, at, room }: OneProps) {
  const cells = useRef<HTMLCanvasElement>(null);
  const axes = useRef<HTMLCanvasElement>(null);
  const painter = useMemo(() => new Painter(), []);
  const [rows, columns] = [told.n_queries ?? 1, told.n_keys ?? 1];
  const window = useMemo<Window>(
    () => ({ rows: { from: 0, to: rows }, columns: { from: 0, to: columns } }),
    [rows, columns],
  );
  const keys = told.keys ?? told.queries!;
  const colours = store.colours.value;
  const place = useMemo(() => {
    const pen = penOf();
    pen.font = labelFont(colours);
    const left = Math.min(LABELS, widest(pen, told.queries!) + 12);
    const top = Math.min(LABELS, widest(pen, keys) + 12);
    const size = plotSize(rows, columns, Math.max(60, room - left - 4), TALLEST);
    return { pen, top, plot: { x: left, y: top, ...size } };
  }, [told, room, colours]);
  const { plot } = place;
  const [width, height] = [plot.x + plot.width + 2, plot.y + plot.height + 2];
  const table = useComputed(() => colourTable(ramp("ink", store.colours.value), 1, SCALE));
  /** The reading whose frame is seen, or the one that was last. */
  const seen = useComputed(() => {
    const reading = run.keptAt.value[run.placeOf(store.step.value)] ?? -1;
    const { layer, head } = store.traits;
    const tile = reading < 0 ? undefined : run.frame(told.name, layer.value, head.value, reading);
    return { reading, tile, name: `${told.name}/${layer.value}/${head.value}/${reading}` };
  });

  useDrawing(() => {
    const { tile, name } = seen.value;
    if (!tile) return;
    painter.draw(cells.current!, tile, table.value, place.plot, window, store.colours.value);
    const drawn = [...store.drawn.peek()];
    drawn[at] = name;
    store.drawn.value = drawn;
    Object.assign(cells.current!.dataset, {
      step: String(run.steps.peek()[seen.value.reading]),
      layer: String(store.traits.layer.peek()),
      head: String(store.traits.head.peek()),
    });
  }, [told, place, window]);

  useDrawing(() => {
    const context = prepare(axes.current!, width, height);
    const placing: Placing = {
      pen: place.pen,
      plot,
      window,
      colours: store.colours.value,
      gutter: { left: 0, top: 0 },
      above: 0,
      numbered: { query: false, key: false },
    };
    const { font, text, line } = store.colours.value;
    const lit = (index: number | undefined) =>
      index === undefined ? [] : [{ index, colour: store.colours.peek().text }];
    const pointed = store.pointed.value;
    paint(context, font, rowLabels(placing, told.queries!, lit(pointed?.query)));
    paint(context, font, columnLabels(placing, keys, place.top, lit(pointed?.key)));
    context.strokeStyle = line;
    context.strokeRect(plot.x - 0.5, plot.y - 0.5, plot.width + 1, plot.height + 1);
    if (!pointed) return;
    const cell = { width: plot.width / columns, height: plot.height / rows };
    context.strokeStyle = text;
    context.strokeRect(
      plot.x + pointed.key * cell.width,
      plot.y + pointed.query * cell.height,
      cell.width,
      cell.height,
    );
  }, [told, place, window]);

  useEffect(() => {
    store.pointed.value = null;
  }, [told]);

  function point(event: PointerEvent): void {
    const box = axes.current!.getBoundingClientRect();
    const { row, column } = cellAt(plot, window, event.clientX - box.left, event.clientY - box.top);
    const inside = row >= 0 && row < rows && column >= 0 && column < columns;
    store.pointed.value = inside ? { query: Math.floor(row), key: Math.floor(column) } : null;
  }

  const { reading, tile } = seen.value;
  const shown = run.steps.value[reading];
  const older = shown !== undefined && shown !== store.step.value;
  const { layer, head } = store.traits;
  const name = `layer ${layerNumber(told, layer.value)}, head ${headNumber(told, layer.value, head.value)}`;
  return (
    <figure class="map">
      <figcaption>
        {run.name && (
          <b class="run">
            <i style={{ background: colourOfRun(at, colours.dark) }} />
            <bdi>{run.name}</bdi>
          </b>
        )}
        <span>{name}</span>
        {shown !== undefined && (
          <small data-part="map-step">{older ? `as at ${store.stepName(shown)}` : ""}</small>
        )}
      </figcaption>
      <div class="canvases" style={{ width: `${width}px`, height: `${height}px` }}>
        <canvas
          ref={cells}
          data-part="map-cells"
          role="img"
          aria-label={`Attention of ${name} at ${shown === undefined ? "no step" : store.stepName(shown)}: ${rows} queries by ${columns} keys.`}
          style={{ left: `${plot.x}px`, top: `${plot.y}px` }}
        />
        <canvas
          ref={axes}
          class="marks"
          role="presentation"
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={() => (store.pointed.value = null)}
        />
      </div>
      <p class="notes" data-part="pointed">
        {pointedSaid(store, told, tile)}
      </p>
    </figure>
  );
}

/** What is under the pointer, in words. */
function pointedSaid(store: Store, told: MapTold, tile: Tile | undefined): string {
  const pointed = store.pointed.value;
  if (!pointed || !tile) return "";
  const keys = told.keys ?? told.queries!;
  const [row, column] = [
    Math.floor(pointed.query / tile.stride[0]),
    Math.floor(pointed.key / tile.stride[1]),
  ];
  const cell = row * tile.shape[1] + column;
  if (tile.undefinedRows.includes(row)) return `${quoted(told.queries!.labels[pointed.query])}: NaN`;
  const masked = (tile.codes[cell] ?? MASKED) === MASKED;
  const weight = masked ? null : weightOf(tile, tempered(tile), cell);
  const pooled = tile.stride[0] * tile.stride[1] > 1 ? ", the largest here" : "";
  return `${quoted(told.queries!.labels[pointed.query])} → ${quoted(keys.labels[pointed.key])}: ${weight === null ? "masked" : `${exact(weight)}${pooled}`}`;
}

const temper = new Temper();
const tempered = (tile: Tile) => temper.run(tile, 1, 1);

/** Paints frames at the size of their cells, and lets the canvas be stretched. */
class Painter {
  readonly #raster = new Raster();
  readonly #temper = new Temper();
  readonly #cells = document.createElement("canvas");
  #image: ImageData | null = null;

  draw(
    canvas: HTMLCanvasElement,
    tile: Tile,
    table: Uint32Array,
    plot: { width: number; height: number },
    visible: Window,
    { hatch, fault }: Colours,
  ): void {
    const ratio = window.devicePixelRatio || 1;
    const device: [number, number] = [Math.round(plot.height * ratio), Math.round(plot.width * ratio)];
    const tempered = this.#temper.run(tile, 1, 1);
    const { width, height } = this.#raster.paint(tile, tempered, table, visible, device);
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#cells.width = width;
      this.#cells.height = height;
    }
    new Uint32Array(this.#image.data.buffer).set(this.#raster.pixels);
    this.#cells.getContext("2d")!.putImageData(this.#image, 0, 0);
    const context = prepare(canvas, plot.width, plot.height);
    if (tile.hasMasked) paint(context, "", [{ kind: "box", ...plot, x: 0, y: 0, hatched: hatch }]);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#cells, 0, 0, plot.width, plot.height);
    const tall = plot.height / tile.shape[0];
    paint(
      context,
      "",
      tile.undefinedRows.map((row) => ({
        ...{ kind: "box" as const, x: 0, y: row * tall, width: plot.width, height: tall },
        ...{ fill: fault, opacity: 0.18 },
      })),
    );
  }
}
