/** The small picture of one head, with its number where a measure is chosen. */
import { useRef } from "preact/hooks";
import { type Thumbnails, thumbnails as thumbnailsOf } from "../../answers/thumbnails";
import { colourOf, pack } from "../../attention/colour";
import { useDrawing } from "../../drawing/canvas";
import { placeName, sharing, shortName, spokenName } from "../../drawing/naming";
import { brief } from "../../drawing/words";
import type { MapFacts, Measure } from "../../host/facts";
import type { Answers } from "../answers";
import type { Store } from "../store";

/** Thumbnails narrower than this have no room for the zero before the point. */
const SCARCE = 24;

interface Props {
  store: Store;
  answers: Answers;
  map: MapFacts;
  layer: number;
  head: number;
  /** CSS pixels of the picture. */
  size: number;
  measure: Measure | null;
  /** NaN where the number does not exist, undefined while it has not come. */
  value: number | undefined;
  /** In an order of its own each says where it belongs. */
  named: boolean;
  /** The first of a group of heads stands a little apart from the one before it. */
  apart?: boolean;
}

export function Thumb({
  store,
  answers,
  map,
  layer,
  head,
  size,
  measure,
  value,
  named,
  apart = false,
}: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const asked = thumbnailsOf(map.name, layer);
  const loaded = answers.known.get(asked) !== undefined;
  const fresh = answers.known.isFresh(asked);
  const chosen = store.layer.value === layer && store.head.value === head;

  useDrawing(() => {
    const thumbnails = answers.known.get(thumbnailsOf(store.map.value?.name ?? "", layer));
    if (!canvas.current || !thumbnails || head >= thumbnails.heads) return;
    const [height, width] = thumbnails.shape;
    const image = new ImageData(width, height);
    new Uint32Array(image.data.buffer).set(thumbPixels(store, thumbnails, head));
    canvas.current.width = width;
    canvas.current.height = height;
    canvas.current.getContext("2d")!.putImageData(image, 0, 0);
    // Cells larger than a pixel have edges; smaller ones are averaged, so that none is lost.
    canvas.current.style.imageRendering = Math.max(width, height) <= size ? "pixelated" : "auto";
  });

  const shape = thumbShape(map);
  const group = sharing(map, layer, head);
  const number = measure && value !== undefined ? { measure, value } : null;
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles can be selected
    <button
      type="button"
      role={named ? "option" : "gridcell"}
      class="thumb"
      data-part="thumb"
      data-layer={layer}
      data-head={head}
      data-loaded={loaded}
      data-stale={loaded && !fresh}
      data-group={apart}
      aria-selected={chosen}
      aria-label={`${spokenName(map, layer, head)}${group ? `, ${group}` : ""}${number ? `, ${spokenNumber(number)}` : ""}`}
      title={`${placeName(map, layer, head)}${group ? ` · ${group}` : ""}${number ? ` · ${written(number)}` : ""}`}
      tabIndex={chosen ? 0 : -1}
      onClick={() => store.select(layer, head)}
    >
      <span class="picture">
        <canvas
          ref={canvas}
          width={1}
          height={1}
          role="presentation"
          data-tall={shape < 1}
          style={{ aspectRatio: `${shape}` }}
        />
      </span>
      {(named || measure) && (
        <span class="caption">
          {named && <span class="place">{shortName(map, layer, head)}</span>}
          {number && (
            <span class="badge" data-part="badge" data-value={number.value}>
              {brief(number.value, size < SCARCE)}
            </span>
          )}
        </span>
      )}
    </button>
  );
}

/** Little-endian RGBA of a head's cells. */
export function thumbPixels(store: Store, { peak, shape, values }: Thumbnails, head: number): Uint32Array {
  const largest = store.traits.color_range.value === "shared" ? 1 : peak[head] || 1;
  const ramp = store.ramp.value;
  const scale = store.traits.color_scale.value;
  const colours = Uint32Array.from({ length: 256 }, (_, value) =>
    pack(colourOf(ramp, (value / 255) ** 2, largest, scale)),
  );
  const count = shape[0] * shape[1];
  return Uint32Array.from({ length: count }, (_, cell) => colours[values[head * count + cell]!]!);
}

/** Width of a thumbnail for each of its height: what is very long one way is shown a little less so. */
export const thumbShape = (map: MapFacts): number => Math.max(0.25, Math.min(4, map.n_keys / map.n_queries));

interface Numbered {
  measure: Measure;
  value: number;
}

function written({ measure, value }: Numbered): string {
  const unit = measure.unit && !Number.isNaN(value) ? ` ${measure.unit}` : "";
  return `${measure.label} ${brief(value)}${unit}`;
}

const spokenNumber = (number: Numbered): string =>
  Number.isNaN(number.value) ? `no ${number.measure.label}` : written(number);
