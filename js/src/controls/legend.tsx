/** Which colour is which weight. */
import { scaleLinear, scalePow } from "d3-scale";
import { type ColourScale, css, DECADES, position, type Rgb } from "../attention/colour";
import { short } from "../drawing/words";

/** Share of the scale that a number takes. */
const CLEAR = 0.15;

/** Round weights along the scale, each with its place from 0 to 1. */
export function ticks(largest: number, scale: ColourScale): { weight: number; place: number }[] {
  const lowest = largest * 10 ** -DECADES;
  const powers = (from: number) => Array.from({ length: DECADES }, (_, power) => 10 ** (from + power + 1));
  const weights =
    scale === "log"
      ? [
          lowest,
          ...powers(Math.floor(Math.log10(lowest))).filter((weight) => weight > lowest && weight < largest),
        ]
      : (scale === "sqrt" ? scalePow().exponent(0.5) : scaleLinear())
          .domain([0, largest])
          .ticks(scale === "sqrt" ? 6 : 4);
  if (weights.at(-1) !== largest) weights.push(largest);
  const placed = weights.map((weight) => ({ weight, place: position(weight, largest, scale) }));
  // The two ends are always there; what would run into the upper end or its neighbour is not.
  let last = Number.NEGATIVE_INFINITY;
  return placed.filter(({ place }, at) => {
    const end = at === placed.length - 1;
    const room = place - last >= CLEAR && (end || at === 0 || 1 - place >= CLEAR);
    // The lower end of the logarithmic scale is the widest: it says "or less".
    if (room) last = at === 0 && scale === "log" ? place + CLEAR : place;
    return room || end;
  });
}

interface Props {
  /** Levels from the least weight to the largest. */
  ramp: readonly Rgb[];
  scale: ColourScale;
  /** The weight at the upper end. */
  largest: number;
  /** What the upper end is, where that is not plain. */
  end?: string | undefined;
  /** Whether some cells are masked, and whether some rows are NaN. */
  masked: boolean;
  undefinedRows: boolean;
}

export function Legend({ ramp, scale, largest, end, masked, undefinedRows }: Props) {
  const stops = ramp.filter((_, level) => level % 15 === 0).map(css);
  return (
    <figure
      class="legend"
      data-part="legend"
      aria-label={`Colours from weight 0 to ${short(largest)}, ${scale} scale${end ? `, ${end}` : ""}`}
    >
      <div class="scale">
        <div class="ramp" style={{ background: `linear-gradient(to right, ${stops.join()})` }} />
        {ticks(largest, scale).map(({ weight, place }) => (
          <span class="tick" key={weight} style={{ left: `${place * 100}%` }}>
            {scale === "log" && place === 0 ? "≤ " : ""}
            {short(weight)}
          </span>
        ))}
      </div>
      {end && <figcaption>{end}</figcaption>}
      {masked && (
        <figcaption>
          <i class="swatch masked" /> masked
        </figcaption>
      )}
      {undefinedRows && (
        <figcaption>
          <i class="swatch undefined" /> NaN
        </figcaption>
      )}
    </figure>
  );
}
