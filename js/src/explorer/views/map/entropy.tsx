/** Entropy of every visible query, one bar a row of the heatmap beside it, on a scale that all heads share. */
import type { ReadonlySignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { labelFont } from "../../../drawing/axes";
import { prepare, useDrawing } from "../../../drawing/canvas";
import { cellAt, rowY } from "../../../drawing/geometry";
import { exact, quoted } from "../../../drawing/words";
import type { MapFacts } from "../../../host/facts";
import { namesOf } from "../../comparing";
import { type Drawn, isDifference, type Shown, type Store } from "../../store";
import type { Stage } from "./stage";

/** Room at the right of the longest bar, for the number of the largest. */
const NUMBER = 34;
/** Columns this wide have room for the end of the scale beside their title. */
const ENDED = 150;

/** What a query that looks at every key alike would have: the end of the scale, so that heads can be compared. */
const mostOf = (map: MapFacts): number => Math.log(map.n_keys);

interface Props {
  store: Store;
  stage: ReadonlySignal<Stage | null>;
  of?: () => Shown | null;
}

const own = (shown: Shown | null): Drawn | null => (shown && isDifference(shown) ? shown.second : shown);

export function QueryEntropy({ store, stage, of }: Props) {
  const shown = of ?? (() => store.picture.value);
  const canvas = useRef<HTMLCanvasElement>(null);

  useDrawing(() => {
    if (canvas.current && stage.value) draw(canvas.current, store, stage.value, shown());
  });

  function point(event: PointerEvent): void {
    const plot = stage.peek()?.plot;
    const map = store.map.peek();
    if (!plot || !map || !canvas.current) return;
    const y = event.clientY - canvas.current.getBoundingClientRect().top;
    const row = Math.floor(cellAt(plot, store.window.peek(), 0, y).row);
    const inside = y >= plot.y && y < plot.y + plot.height;
    store.hover.value = inside ? { query: row, key: null, from: "entropy" } : null;
  }

  function leave(): void {
    store.hover.value = null;
  }

  function pin(): void {
    const query = store.hover.peek()?.query ?? null;
    if (query !== null) store.togglePin({ query, key: null });
  }

  const map = store.map.value;
  const drawn = own(shown());
  if (store.weighing.effect.value) return null;
  return (
    <canvas
      ref={canvas}
      class="query-entropy"
      data-part="query-entropy"
      role="img"
      aria-label={map && drawn ? summary(map, drawn) : "Entropy of each query"}
      onPointerMove={point}
      onPointerLeave={leave}
      onClick={pin}
    />
  );
}

/** The row of the tile with the largest entropy; -1 where none has one. */
function largestRow({ entropy }: Drawn): number {
  let best = -1;
  for (let row = 0; row < entropy.length; row++) {
    if (!Number.isNaN(entropy[row]!) && (best < 0 || entropy[row]! > entropy[best]!)) best = row;
  }
  return best;
}

/** What the bars are, and of two heads which lines the other's; as much of it as there is room for. */
function titled(pen: CanvasRenderingContext2D, store: Store, two: boolean, width: number): string {
  const [first, second] = store.pair.value ? namesOf(store.pair.value) : ["A", "B"];
  const room = width >= ENDED ? width - NUMBER - 24 : width;
  const pair = [`entropy: ▮ ${second} ❘ ${first}`, `▮ ${second} ❘ ${first}`];
  const texts = [...(two ? pair : []), "row entropy, nats", "row entropy", "entropy"];
  return texts.find((text) => pen.measureText(text).width <= room) ?? "";
}

function draw(
  canvas: HTMLCanvasElement,
  store: Store,
  { plot, height, entropyWidth }: Stage,
  shown: Shown | null,
): void {
  const context = prepare(canvas, entropyWidth, height);
  const drawn = own(shown);
  const colours = store.colours.value;
  const window = store.window.value;
  const hovered = store.hover.value?.query ?? null;
  const pinned = store.pin.value.query;
  context.font = labelFont(colours, 11);
  context.fillStyle = colours.muted;
  context.textBaseline = "middle";
  context.textAlign = "left";
  const first = shown && isDifference(shown) ? shown.first.entropy : null;
  context.fillText(titled(context, store, first !== null, entropyWidth), 0, plot.y - 12);
  context.strokeStyle = colours.line;
  context.beginPath();
  context.moveTo(0.5, plot.y);
  context.lineTo(0.5, plot.y + plot.height);
  context.stroke();
  const map = store.map.value;
  const pair = store.pair.value;
  if (!map || !drawn || ![map.name, pair?.first.map, pair?.second.map].includes(drawn.map)) return;

  const most = mostOf(map);
  const room = entropyWidth - NUMBER;
  const widthOf = (value: number) => (most > 0 ? Math.min(1, value / most) * room : 0);
  context.beginPath();
  context.moveTo(Math.round(room) + 1.5, plot.y);
  context.lineTo(Math.round(room) + 1.5, plot.y + plot.height);
  context.stroke();
  if (entropyWidth >= ENDED) {
    context.textAlign = "center";
    context.fillText(most.toFixed(2), room + 1, plot.y - 12);
    context.textAlign = "left";
  }
  const { tile, entropy } = drawn;
  const best = largestRow(drawn);
  canvas.dataset.maxRow = best < 0 ? "" : String(tile.rows[0] + best * tile.stride[0]);
  context.save();
  context.beginPath();
  context.rect(0, plot.y - 8, entropyWidth, plot.height + 16);
  context.clip();
  let label: { row: number; y: number; colour: string } | null = null;
  for (let row = 0; row < tile.shape[0]; row++) {
    const query = tile.rows[0] + row * tile.stride[0];
    const top = rowY(plot, window, query);
    const bottom = rowY(plot, window, query + tile.stride[0]);
    const middle = (top + bottom) / 2;
    if (bottom < plot.y || top > plot.y + plot.height || Number.isNaN(entropy[row]!)) continue;
    const covers = (other: number | null) =>
      other !== null && other >= query && other < query + tile.stride[0];
    const gap = bottom - top > 6 ? Math.min(4, (bottom - top) * 0.15) : 0;
    context.fillStyle = covers(hovered)
      ? colours.text
      : covers(pinned)
        ? colours.accentText
        : row === best
          ? colours.muted
          : colours.faint;
    context.fillRect(
      1,
      top + gap,
      Math.max(widthOf(entropy[row]!), 1),
      Math.max(bottom - top - 2 * gap, 0.5),
    );
    // Where the first of two ends.
    if (first && !Number.isNaN(first[row]!)) {
      context.fillStyle = colours.text;
      context.fillRect(widthOf(first[row]!), top + gap, 1.5, Math.max(bottom - top - 2 * gap, 1));
    }
    if (covers(hovered)) label = { row, y: middle, colour: colours.text };
    else if (row === best && !label) label = { row, y: middle, colour: colours.text };
  }
  if (label) {
    context.fillStyle = label.colour;
    context.fillText(entropy[label.row]!.toFixed(2), widthOf(entropy[label.row]!) + 5, label.y);
  }
  context.restore();
}

function summary(map: MapFacts, drawn: Drawn): string {
  const best = largestRow(drawn);
  if (best < 0) return "Entropy of each query: none can be computed";
  const query = drawn.tile.rows[0] + best * drawn.tile.stride[0];
  return `Entropy of each query, from 0 to ${exact(mostOf(map))} nats, that of a query that looks at every key alike. Largest: ${exact(drawn.entropy[best]!)} nats at query ${quoted(map.queries.labels[query])}`;
}
