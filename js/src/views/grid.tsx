/** Layers by heads: a thumbnail each, the selected one outlined. */
import { useEffect, useRef } from "preact/hooks";
import { colourOf, pack } from "../attention/colour";
import { type Loader, layerName } from "../host/loading";
import type { Store } from "../store";
import { useDrawing } from "./canvas";
import { Fault } from "./fault";

interface Props {
  store: Store;
  loader: Loader;
  /** CSS pixels of a thumbnail. */
  size: number;
}

export function Grid({ store, loader, size }: Props) {
  const grid = useRef<HTMLDivElement>(null);
  const map = store.map.value;
  const layer = store.layer.value;
  const head = store.head.value;
  const thumb = (at: number, of: number) =>
    grid.current?.querySelector<HTMLElement>(`[data-layer="${at}"][data-head="${of}"]`);

  // The selected head stays in view inside the grid; the page itself must not scroll.
  useEffect(() => {
    const box = grid.current;
    const chosen = thumb(layer, head);
    if (!box || !chosen) return;
    const above = chosen.offsetTop - box.scrollTop;
    if (above < 24 || above + chosen.offsetHeight > box.clientHeight)
      box.scrollTop = chosen.offsetTop - box.clientHeight / 2;
  }, [layer, head]);

  if (!map) return null;
  const widestLayer = Math.max(0, ...map.heads);
  const faults = [...loader.faults.value].filter(([name]) => name.startsWith("thumbnails/"));

  function move(event: KeyboardEvent): void {
    if (!map || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target as HTMLElement;
    const row = Number(at.dataset.layer);
    const column = Number(at.dataset.head);
    const last = (of: number) => (map.heads[of] ?? 1) - 1;
    const places: Record<string, [number, number]> = {
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      Home: [row, 0],
      End: [row, last(row)],
    };
    const place = places[event.key];
    if (!place) return;
    event.preventDefault();
    event.stopPropagation();
    const toLayer = Math.min(Math.max(0, place[0]), map.heads.length - 1);
    const toHead = Math.min(Math.max(0, place[1]), last(toLayer));
    thumb(toLayer, toHead)?.focus();
  }

  return (
    <section class="grid" style={{ "--thumb": `${size}px` }}>
      <h3>
        Layers <small>by heads</small>
      </h3>
      <div
        class="thumbs"
        data-part="grid"
        role="grid"
        aria-label="Layers by heads"
        ref={grid}
        onKeyDown={move}
      >
        <div class="line heads" role="row" aria-hidden="true">
          <span class="numeral" />
          {Array.from({ length: widestLayer }, (_, at) => (
            <span class="numeral" key={at} data-chosen={at === head}>
              {at}
            </span>
          ))}
        </div>
        {map.heads.map((heads, at) => (
          <div class="line" role="row" key={at}>
            <span
              class="numeral"
              title={map.layer_names[at] ?? ""}
              data-chosen={at === layer}
              aria-hidden="true"
            >
              {at}
            </span>
            {Array.from({ length: heads }, (_, of) => (
              <Thumb key={of} store={store} loader={loader} layer={at} head={of} size={size} />
            ))}
          </div>
        ))}
      </div>
      {faults[0] && <Fault sentence={faults[0][1]} onRetry={() => loader.retry()} />}
    </section>
  );
}

interface ThumbProps {
  store: Store;
  loader: Loader;
  layer: number;
  head: number;
  size: number;
}

function Thumb({ store, loader, layer, head, size }: ThumbProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = store.map.value;
  const loaded = loader.thumbnails.value.has(layerName(map?.name ?? "", layer));
  const chosen = store.layer.value === layer && store.head.value === head;

  useDrawing(() => {
    const thumbnails = loader.thumbnails.value.get(layerName(store.map.value?.name ?? "", layer));
    if (!canvas.current || !thumbnails || head >= thumbnails.heads) return;
    const largest = store.traits.color_range.value === "shared" ? 1 : thumbnails.peak[head] || 1;
    const ramp = store.ramp.value;
    const scale = store.traits.color_scale.value;
    const colours = Uint32Array.from({ length: 256 }, (_, value) =>
      pack(colourOf(ramp, (value / 255) ** 2, largest, scale)),
    );
    const [height, width] = thumbnails.shape;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let cell = 0; cell < pixels.length; cell++) {
      pixels[cell] = colours[thumbnails.values[head * pixels.length + cell]!]!;
    }
    canvas.current.width = width;
    canvas.current.height = height;
    canvas.current.getContext("2d")!.putImageData(image, 0, 0);
    // Cells larger than a pixel have edges; smaller ones are averaged, so that none is lost.
    canvas.current.style.imageRendering = Math.max(width, height) <= size ? "pixelated" : "auto";
  });

  const shape = map ? Math.max(0.25, Math.min(4, map.n_keys / map.n_queries)) : 1;
  return (
    <button
      type="button"
      role="gridcell"
      class="thumb"
      data-part="thumb"
      data-layer={layer}
      data-head={head}
      data-loaded={loaded}
      aria-selected={chosen}
      aria-label={`Layer ${layer}, head ${head}`}
      title={`layer ${layer} · head ${head}`}
      tabIndex={chosen ? 0 : -1}
      onClick={() => store.select(layer, head)}
    >
      <canvas
        ref={canvas}
        width={1}
        height={1}
        role="presentation"
        data-tall={shape < 1}
        style={{ aspectRatio: `${shape}` }}
      />
    </button>
  );
}
