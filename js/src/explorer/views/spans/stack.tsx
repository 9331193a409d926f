/** Where each query looks, from the first to the last: one band a run, stacked to what the row sums to. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { paletteOf } from "../../../attention/palette";
import { labelFont } from "../../../drawing/axes";
import { prepare, useDrawing } from "../../../drawing/canvas";
import { exact, quoted } from "../../../drawing/words";
import type { MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Store } from "../../store";
import type { Band, Bands } from "./bands";

const HEIGHT = 150;
const LEFT = 26;
const TOP = 6;
const BELOW = 18;
/** Farther than this a press is a drag. */
const DRAG = 4;

export const colourOf = ({ hue: at, name }: Band, colours: Colours): string =>
  at === null ? (name === "itself" ? colours.muted : colours.line) : paletteOf(colours.dark)[at]!;

interface Props {
  store: Store;
  map: MapFacts;
  of: Bands;
  width: number;
  /** A run of positions that was drawn over with the pointer; null while there is none. */
  onMark: (run: [start: number, stop: number] | null) => void;
}

export function Stack({ store, map, of, width, onMark }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const marked = useSignal<[number, number] | null>(null);
  const drag = useRef<{ x: number; from: number } | null>(null);
  const count = map.n_queries;
  const wide = Math.max(1, width - LEFT);
  const xOf = (query: number) => LEFT + (query / count) * wide;

  useDrawing(() => {
    if (!canvas.current) return;
    const colours = store.colours.value;
    const pen = prepare(canvas.current, width, TOP + HEIGHT + BELOW);
    pen.font = labelFont(colours, 11);
    pen.textBaseline = "middle";
    pen.fillStyle = colours.muted;
    pen.textAlign = "right";
    pen.fillText("1", LEFT - 6, TOP + 4);
    pen.fillText("0", LEFT - 6, TOP + HEIGHT - 4);
    // One line of dots stands for all queries under it.
    const ratio = window.devicePixelRatio || 1;
    const columns = Math.min(of.queries.length, Math.ceil(wide * ratio));
    for (let column = 0; column < columns; column++) {
      const first = Math.floor((column * of.queries.length) / columns);
      const end = Math.max(first + 1, Math.floor(((column + 1) * of.queries.length) / columns));
      const left = xOf(of.queries[first]!);
      const right = end < of.queries.length ? xOf(of.queries[end]!) : xOf(count);
      let y = TOP + HEIGHT;
      for (const band of of.bands) {
        let sum = 0;
        let seen = 0;
        for (let at = first; at < end; at++) {
          if (Number.isNaN(band.mass[at])) continue;
          sum += band.mass[at]!;
          seen++;
        }
        if (seen === 0) continue;
        const high = (sum / seen) * HEIGHT;
        pen.fillStyle = colourOf(band, colours);
        pen.fillRect(left, y - high, Math.max(0.5, right - left), high);
        y -= high;
      }
    }
    pen.strokeStyle = colours.line;
    pen.strokeRect(LEFT - 0.5, TOP - 0.5, wide + 1, HEIGHT + 1);
    pen.fillStyle = colours.muted;
    pen.textAlign = "left";
    pen.fillText(`query 0 ${quoted(map.queries.labels[0])}`, LEFT, TOP + HEIGHT + 10);
    pen.textAlign = "right";
    if (width > 360 && count > 1)
      pen.fillText(`${count - 1} ${quoted(map.queries.labels[count - 1])}`, width, TOP + HEIGHT + 10);
    const line = (query: number, colour: string, thick: number) => {
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      pen.strokeRect(xOf(query) - 0.5, TOP - 0.5, Math.max(2, wide / count) + 1, HEIGHT + 1);
    };
    const { query: pinned } = store.pin.value;
    const hovered = store.hover.value?.query ?? null;
    if (pinned !== null) line(pinned, colours.text, 2.5);
    if (hovered !== null && hovered !== pinned) line(hovered, colours.text, 1);
    if (marked.value) {
      const [start, stop] = marked.value;
      pen.globalAlpha = 0.25;
      pen.fillStyle = colours.text;
      pen.fillRect(xOf(start), TOP, xOf(stop) - xOf(start), HEIGHT);
      pen.globalAlpha = 1;
    }
  }, [of, width]);

  function under(event: MouseEvent): number {
    const x = event.clientX - canvas.current!.getBoundingClientRect().left - LEFT;
    return Math.min(count - 1, Math.max(0, Math.floor((x / wide) * count)));
  }

  function move(event: PointerEvent): void {
    const query = under(event);
    const from = drag.current;
    if (from && Math.abs(event.clientX - from.x) > DRAG) {
      marked.value = [Math.min(from.from, query), Math.max(from.from, query) + 1];
      store.hover.value = null;
      return;
    }
    if (store.hover.peek()?.query !== query) store.hover.value = { query, key: null, from: "spans" };
  }

  function lift(event: PointerEvent): void {
    if (!drag.current) return;
    drag.current = null;
    if (marked.peek()) onMark(marked.peek());
    else store.togglePin({ query: under(event), key: null });
  }

  function press(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const from = store.hover.peek()?.query ?? store.pin.peek().query ?? 0;
    if (by !== undefined) {
      const query = Math.min(count - 1, Math.max(0, from + by));
      store.hover.value = { query, key: null, from: "spans" };
      store.said.value = sentence(map, of, query);
    } else if (event.key === "Enter" || event.key === " ") store.togglePin({ query: from, key: null });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const told = store.hover.value?.query ?? store.pin.value.query;
  return (
    <div class="stack">
      <canvas
        ref={canvas}
        data-part="span-stack"
        tabIndex={0}
        role="application"
        aria-roledescription="bands of attention"
        aria-label={`Where each of ${count} queries looks. ${of.bands.map(({ name, mean }) => `${name} ${exact(mean)}`).join(", ")} in the mean. Arrow keys move, Enter pins.`}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          marked.value = null;
          onMark(null);
          drag.current = { x: event.clientX, from: under(event) };
          canvas.current!.setPointerCapture(event.pointerId);
        }}
        onPointerMove={move}
        onPointerUp={lift}
        onPointerCancel={() => (drag.current = null)}
        onPointerLeave={() => (store.hover.value = null)}
        onBlur={() => (store.hover.value = null)}
        onKeyDown={press}
      />
      <p class="hint told" data-part="span-told">
        {told === null ? "Point at a query; drag over queries to name them." : sentence(map, of, told)}
      </p>
    </div>
  );
}

/** What one query gives to each of them, in words. */
function sentence(map: MapFacts, { queries, bands }: Bands, query: number): string {
  let at = 0;
  // The nearest that was read, of a long text.
  while (at + 1 < queries.length && queries[at + 1]! <= query) at++;
  const position = queries[at]!;
  const parts = bands
    .filter(({ mass }) => mass[at]! >= 5e-4)
    .map(({ name, mass }) => `${name} ${exact(mass[at]!)}`);
  const who = `Query ${position} ${quoted(map.queries.labels[position])}`;
  return parts.length > 0 ? `${who}: ${parts.join(", ")}.` : `${who} has no values.`;
}
