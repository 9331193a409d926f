/** Which colour is which weight. */
import { endsInWords, type Scale, stopsOf, ticksOf } from "../drawing/legend";
import { short } from "../drawing/words";

export function Legend(key: Scale) {
  const { ramp, scale, largest, end, ends, masked, undefinedRows } = key;
  return (
    <figure
      class="legend"
      data-part="legend"
      aria-label={`Colours from ${ends ? `−${short(largest)}, ${ends.lower}, to ${short(largest)}${ends.unit ? ` ${ends.unit}` : ""}, ${ends.upper}` : `weight 0 to ${short(largest)}`}, ${scale} scale${end ? `, ${end}` : ""}`}
    >
      <div class="scale">
        <div class="ramp" style={{ background: `linear-gradient(to right, ${stopsOf(ramp).join()})` }} />
        {ticksOf(key).map(({ text, place }) => (
          <span class="tick" key={place} style={{ left: `${place * 100}%` }}>
            {text}
          </span>
        ))}
      </div>
      {ends && (
        <figcaption data-part="ends">
          <bdi>{endsInWords(ends)}</bdi>
        </figcaption>
      )}
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
