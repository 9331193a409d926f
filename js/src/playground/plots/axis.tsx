/** A plane of two axes, in SVG: lines, dots, and what is written at them. */
import { ticks } from "d3-array";
import type { ComponentChildren } from "preact";

export interface Scale {
  (value: number): number;
  ticks: number[];
}

export function linear(
  domain: readonly [number, number],
  range: readonly [number, number],
  count = 5,
): Scale {
  const [from, to] = domain[0] === domain[1] ? [domain[0] - 1, domain[1] + 1] : domain;
  const scale = (value: number) => range[0] + ((value - from) / (to - from)) * (range[1] - range[0]);
  return Object.assign(scale, { ticks: ticks(from, to, count) });
}

/** Powers of two at equal distances. */
export function doubling(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const inner = linear([Math.log2(domain[0]), Math.log2(domain[1])], range);
  const scale = (value: number) => inner(Math.log2(value));
  const first = Math.ceil(Math.log2(domain[0]));
  const count = Math.floor(Math.log2(domain[1])) - first + 1;
  return Object.assign(scale, { ticks: Array.from({ length: count }, (_, at) => 2 ** (first + at)) });
}

export const WIDTH = 320;
export const HEIGHT = 190;
const MARGIN = { left: 44, right: 10, top: 12, bottom: 34 };
export const ACROSS = [MARGIN.left, WIDTH - MARGIN.right] as const;
export const DOWN = [HEIGHT - MARGIN.bottom, MARGIN.top] as const;

interface Props {
  title: string;
  part: string;
  x: Scale;
  y: Scale;
  xLabel: string;
  yLabel: string;
  /** Which line is which. */
  lines?: readonly { label: string; colour: string }[];
  children: ComponentChildren;
}

const written = (tick: number) => String(Number(tick.toPrecision(6))).replace("-", "−");

export function Plane({ title, part, x, y, xLabel, yLabel, lines, children }: Props) {
  return (
    <figure class="plot" data-part={part}>
      <figcaption>
        <b>{title}</b>
        {lines && (
          <div class="legend-of-lines">
            {lines.map(({ label, colour }) => (
              <span key={label} style={{ "--line-colour": colour }}>
                {label}
              </span>
            ))}
          </div>
        )}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={title}>
        {y.ticks.map((tick) => (
          <g key={tick}>
            <line class="grid" x1={ACROSS[0]} x2={ACROSS[1]} y1={y(tick)} y2={y(tick)} />
            <text class="tick" x={ACROSS[0] - 5} y={y(tick) + 3.5} text-anchor="end">
              {written(tick)}
            </text>
          </g>
        ))}
        {x.ticks.map((tick) => (
          <text class="tick" key={tick} x={x(tick)} y={DOWN[0] + 14} text-anchor="middle">
            {written(tick)}
          </text>
        ))}
        <text class="axis" x={(ACROSS[0] + ACROSS[1]) / 2} y={HEIGHT - 4} text-anchor="middle">
          {xLabel}
        </text>
        <text
          class="axis"
          transform={`translate(10 ${(DOWN[0] + DOWN[1]) / 2}) rotate(-90)`}
          text-anchor="middle"
        >
          {yLabel}
        </text>
        {children}
      </svg>
    </figure>
  );
}

export const path = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
