/** The button over the small picture of one head, with its number where a measure is chosen. */
import { placeName, sharing, shortName, spokenName } from "../../drawing/naming";
import { brief } from "../../drawing/words";
import type { MapFacts, Measure } from "../../host/facts";

/** Thumbnails narrower than this have no room for the zero before the point. */
const SCARCE = 24;

interface Props {
  map: MapFacts;
  layer: number;
  head: number;
  /** CSS pixels from the head before, and of the picture. */
  before: number;
  size: number;
  measure: Measure | null;
  /** NaN where the number does not exist, undefined while it has not come. */
  value: number | undefined;
  /** In an order of its own each says where it belongs. */
  named: boolean;
  chosen: boolean;
  loaded: boolean;
  fresh: boolean;
  onChoose: (layer: number, head: number) => void;
}

export function Thumb({ map, layer, head, before, size, measure, value, named, ...state }: Props) {
  const { chosen, loaded, fresh, onChoose } = state;
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
      aria-selected={chosen}
      aria-label={`${spokenName(map, layer, head)}${group ? `, ${group}` : ""}${number ? `, ${spokenNumber(number)}` : ""}`}
      title={`${placeName(map, layer, head)}${group ? ` · ${group}` : ""}${number ? ` · ${written(number)}` : ""}`}
      tabIndex={chosen ? 0 : -1}
      style={{ "--before": `${before}px` }}
      onClick={() => onChoose(layer, head)}
    >
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
