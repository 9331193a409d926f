/** Which colour is which weight. */
import { type Scale, stopsOf, ticks, tickText } from "../drawing/legend";
import { short } from "../drawing/words";

export function Legend({ ramp, scale, largest, end, masked, undefinedRows }: Scale) {
  return (
    <figure
      class="legend"
      data-part="legend"
      aria-label={`Colours from weight 0 to ${short(largest)}, ${scale} scale${end ? `, ${end}` : ""}`}
    >
      <div class="scale">
        <div class="ramp" style={{ background: `linear-gradient(to right, ${stopsOf(ramp).join()})` }} />
        {ticks(largest, scale).map((tick) => (
          <span class="tick" key={tick.weight} style={{ left: `${tick.place * 100}%` }}>
            {tickText(scale, tick)}
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
