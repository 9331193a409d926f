/** A bar for each of a few numbers, up from 0 or down. */
import type { ComponentChildren } from "preact";
import { cellText } from "../numbers";

interface Props {
  title: ComponentChildren;
  part: string;
  values: readonly number[];
  labels: readonly string[];
  /** The ends of the axis; 0 is always on it. */
  low?: number;
  high?: number;
  digits?: number;
  /** Lines across all bars. */
  lines?: readonly { at: number; label: string; dashed?: boolean }[];
  /** Bars of another meaning: drawn lighter. */
  quiet?: boolean;
  children?: ComponentChildren;
}

export function Bars({
  title,
  part,
  values,
  labels,
  digits = 2,
  lines = [],
  quiet,
  children,
  ...ends
}: Props) {
  const finite = values.filter(Number.isFinite);
  const low = Math.min(0, ends.low ?? Math.min(...finite));
  const high = Math.max(0, ends.high ?? Math.max(...finite), low === 0 ? 1e-9 : 0);
  const span = high - low || 1;
  const share = (value: number) => `${((value - low) / span) * 100}%`;
  return (
    <figure class="plot" data-part={part}>
      <figcaption>{title}</figcaption>
      <div class="columns" data-quiet={quiet ?? false}>
        {values.map((value, at) => (
          <div class="column" key={at}>
            <div class="track" style={{ "--zero": share(0) }}>
              {Number.isFinite(value) && (
                <i
                  class="bar"
                  data-part={`${part}-bar`}
                  data-value={value}
                  data-negative={value < 0}
                  style={{
                    insetBlockEnd: share(Math.min(0, value)),
                    blockSize: `${(Math.abs(value) / span) * 100}%`,
                  }}
                />
              )}
              <b style={{ insetBlockEnd: Number.isFinite(value) ? share(Math.max(0, value)) : "0" }}>
                {cellText(value, digits)}
              </b>
            </div>
            <bdi class="name">{labels[at] ?? at}</bdi>
          </div>
        ))}
        {lines
          .filter(({ at }) => Number.isFinite(at))
          .map(({ at, label, dashed }) => (
            <div class="rule" key={label} data-dashed={dashed ?? false} style={{ "--at": (at - low) / span }}>
              <span>{label}</span>
            </div>
          ))}
      </div>
      {children}
    </figure>
  );
}
