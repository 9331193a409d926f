/** The button over the small picture of one head, with its number where a measure is chosen. */
import type { Severity } from "../../../answers/findings";

import { placeName, sharing, shortName, spokenName } from "../../../drawing/naming";
import type { MapFacts, Measure } from "../../../host/facts";
import type { Told } from "../head/alarms";
import { MARKS } from "../mark";
import { badge } from "./badge";

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
  /** What the findings say of it. */
  told: Told | undefined;
  chosen: boolean;
  /** Whether it is switched off in the model. */
  off: boolean;
  /** Whether others are compared with it. */
  reference: boolean;
  loaded: boolean;
  fresh: boolean;
  onChoose: (layer: number, head: number) => void;
}

export function Thumb({ map, layer, head, before, size, measure, value, named, ...state }: Props) {
  const { told, chosen, off, reference, loaded, fresh, onChoose } = state;
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
      data-off={off}
      data-loaded={loaded}
      data-stale={loaded && !fresh}
      aria-selected={chosen}
      aria-label={[
        // What is seen is said first.
        named &&
          [shortName(map, layer, head), number && badge(number.measure, number.value, size < SCARCE)]
            .filter(Boolean)
            .join(" "),
        spokenName(map, layer, head),
        off && "switched off",
        reference && "compared with: A",
        group,
        number && spokenNumber(number),
        told?.words,
      ]
        .filter(Boolean)
        .join(", ")}
      title={[
        placeName(map, layer, head),
        off && "off",
        reference && "A",
        group,
        number && written(number),
        told?.words,
      ]
        .filter(Boolean)
        .join(" · ")}
      tabIndex={chosen ? 0 : -1}
      style={{ "--before": `${before}px` }}
      onClick={() => onChoose(layer, head)}
    >
      {told && <Flag severity={told.severity} />}
      {reference && (
        <i class="reference" data-part="reference" aria-hidden="true">
          A
        </i>
      )}
      {(named || measure) && (
        <span class="caption">
          {named && <span class="place">{shortName(map, layer, head)}</span>}
          {number && (
            <span class="badge" data-part="badge" data-value={number.value}>
              {badge(number.measure, number.value, size < SCARCE)}
            </span>
          )}
        </span>
      )}
    </button>
  );
}

/** What it means is in the name of what it stands at. */
export function Flag({ severity }: { severity: Severity }) {
  return (
    <i class="flag" data-part="flag" data-severity={severity} aria-hidden="true">
      {MARKS[severity]}
    </i>
  );
}

interface Numbered {
  measure: Measure;
  value: number;
}

function written({ measure, value }: Numbered): string {
  const unit = measure.unit && !Number.isNaN(value) ? ` ${measure.unit}` : "";
  return `${measure.label} ${badge(measure, value)}${unit}`;
}

const spokenNumber = (number: Numbered): string =>
  Number.isNaN(number.value) ? `no ${number.measure.label}` : written(number);
