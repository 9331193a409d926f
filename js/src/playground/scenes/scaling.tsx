/** Random queries and keys of a chosen width: what dividing by its square root does to scores, weights and gradients. */
import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { seeded } from "../../attention/seeded";
import { products, type Steps, slopesOf, spreadOf, steps, visibility } from "../../attention/steps";
import { Dial } from "../../controls/dial";
import { cellText, chosenText } from "../numbers";
import { ACROSS, DOWN, doubling, linear, Plane, path } from "../plots/axis";
import { NumberMap } from "../plots/map";
import { Temperature } from "../sharpness";
import type { Store } from "../store";
import type { SceneProps } from "./table";

const WIDTHS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** All that the scene shows, made once for each width, length and seed. */
function model(store: Store) {
  const { width, length, seed, temperature } = store.traits;
  const drawn = computed(() => seeded(seed.value, length.value, width.value));
  const given = computed(() => ({
    ...drawn.value,
    value: drawn.value.query.map(() => []),
    temperature: temperature.value,
    visible: visibility("none", length.value, length.value),
    positions: null,
  }));
  const both = computed(() => ({
    unscaled: steps({ ...given.value, scaling: 1 }),
    scaled: steps({ ...given.value, scaling: null }),
  }));
  /** Of every width: how far unscaled scores spread. */
  const spreads = computed(() =>
    WIDTHS.map((one) => {
      const { query, key } = seeded(seed.value, length.value, one);
      return { width: one, spread: spreadOf(products(query, key)) };
    }),
  );
  return { both, spreads };
}

export function Scaling({ store }: SceneProps) {
  const { width, length, seed } = store.traits;
  const { both, spreads } = useMemo(() => model(store), [store]);
  const { unscaled, scaled } = both.value;
  const limits = store.traits.facts.value!.limits;
  const T = store.traits.temperature.value;
  const cooled = T === 1 ? "" : ` / ${chosenText(T)}`;
  const isLocked = (name: string) => store.isLocked(name) || store.isLocked("size");
  return (
    <>
      <div class="controls">
        <Dial
          label="Width d"
          part="width"
          value={width.value}
          from={2}
          to={limits.widest}
          stops={[2, 8, 64, 1024].map((value) => ({ value, label: String(value) }))}
          disabled={isLocked("width")}
          onChange={(value) =>
            store.change({ width: Math.min(limits.widest, Math.max(2, Math.round(value))) }, "width")
          }
          onEnd={() => store.endGesture()}
        />
        <Dial
          label="Tokens"
          part="length"
          value={length.value}
          from={2}
          to={limits.longest}
          stops={[2, 8, 16, 64].map((value) => ({ value, label: String(value) }))}
          disabled={isLocked("length")}
          onChange={(value) =>
            store.change({ length: Math.min(limits.longest, Math.max(2, Math.round(value))) }, "length")
          }
          onEnd={() => store.endGesture()}
        />
        <Temperature store={store} />
        <button
          type="button"
          class="quiet"
          data-part="draw"
          aria-disabled={isLocked("seed")}
          onClick={() => !isLocked("seed") && store.change({ seed: (seed.value + 1) % 2 ** 32 })}
        >
          Other numbers
        </button>
      </div>
      <div class="pairs-of-maps">
        <Line
          store={store}
          name="unscaled"
          title={`q·k${cooled}${cooled ? "" : " as it is"}`}
          made={unscaled}
        />
        <Line store={store} name="scaled" title={`q·k / √${width.value}${cooled}`} made={scaled} />
      </div>
      <div class="plots">
        <Spread spreads={spreads.value} width={width.value} />
        <Slope spreads={spreads.value} width={width.value} length={length.value} seed={seed.value} />
      </div>
    </>
  );
}

interface LineProps {
  store: Store;
  name: "unscaled" | "scaled";
  title: string;
  made: Steps;
}

/** Scores, weights and two numbers of one of the two. */
function Line({ store, name, title, made }: LineProps) {
  const most = Math.log(made.weights.length);
  const entropy = mean(made.entropy);
  const slope = mean(slopesOf(made.weights));
  // One colour range for both lines: what is pale in one is small beside the other.
  const largest = 3 * Math.sqrt(store.traits.width.value);
  return (
    <section class="map-line" data-part={name}>
      <h3>{title}</h3>
      <NumberMap
        store={store}
        title={`scores, spread ${cellText(spreadOf(made.scaled))}`}
        part={`${name}-scores`}
        rows={made.scaled}
        scale="signed"
        largest={largest}
        side={132}
      />
      <NumberMap
        store={store}
        title="weights"
        part={`${name}-weights`}
        rows={made.weights}
        scale="weight"
        largest={1}
        side={132}
      />
      <div class="gauges">
        <Gauge part={`${name}-entropy`} label="mean entropy" value={entropy} most={most} unit="nats" />
        <Gauge part={`${name}-slope`} label="gradient through the softmax" value={slope} most={1} unit="" />
      </div>
    </section>
  );
}

interface GaugeProps {
  part: string;
  label: string;
  value: number;
  most: number;
  unit: string;
}

/** A number against the most that it can be. */
function Gauge({ part, label, value, most, unit }: GaugeProps) {
  return (
    <div class="gauge" data-part={part} data-value={value}>
      <span>{label}</span>
      <div class="track">
        <i class="bar" style={{ inlineSize: `${Math.min(1, value / most) * 100}%` }} />
      </div>
      <span>
        <b>{cellText(value)}</b> of {cellText(most)} {unit}
      </span>
    </div>
  );
}

type Spreads = readonly { width: number; spread: number }[];

/** Measured spreads beside the square root. */
function Spread({ spreads, width }: { spreads: Spreads; width: number }) {
  const x = doubling([2, 1024], ACROSS);
  const y = linear([0, 36], DOWN);
  const line = path(
    Array.from({ length: 65 }, (_, at) => 2 * 512 ** (at / 64)).map((d) => [x(d), y(Math.sqrt(d))]),
  );
  return (
    <Plane
      title="How far unscaled scores spread: measured, and √d"
      part="spread"
      x={x}
      y={y}
      xLabel="width d"
      yLabel="standard deviation"
    >
      <path class="line" d={line} />
      {spreads.map(({ width: d, spread }) => (
        <circle
          class="dot"
          key={d}
          data-part="spread-dot"
          data-width={d}
          data-spread={spread}
          cx={x(d)}
          cy={y(Math.min(36, spread))}
          r={3}
        />
      ))}
      <line class="here" x1={x(width)} x2={x(width)} y1={DOWN[0]} y2={DOWN[1]} />
    </Plane>
  );
}

interface SlopeProps {
  spreads: Spreads;
  width: number;
  length: number;
  seed: number;
}

/** How much gradient still goes through, with and without the division. */
function Slope({ width, length, seed }: SlopeProps) {
  const curves = useMemo(
    () =>
      WIDTHS.map((one) => {
        const given = {
          ...seeded(seed, length, one),
          value: Array.from({ length }, () => []),
          temperature: 1,
          visible: visibility("none", length, length),
          positions: null,
        };
        const slope = (scaling: number | null) => mean(slopesOf(steps({ ...given, scaling }).weights));
        return { width: one, unscaled: slope(1), scaled: slope(null) };
      }),
    [length, seed],
  );
  const x = doubling([2, 1024], ACROSS);
  const y = linear([0, 1], DOWN);
  return (
    <Plane
      title="How much gradient still goes through the softmax"
      part="slope"
      x={x}
      y={y}
      xLabel="width d"
      yLabel="share of an even row's"
      lines={[
        { label: "q·k / √d", colour: "var(--accent)" },
        { label: "q·k as it is", colour: "var(--negative)" },
      ]}
    >
      <path class="line" d={path(curves.map((one) => [x(one.width), y(one.scaled)]))} />
      <path class="line negative" d={path(curves.map((one) => [x(one.width), y(one.unscaled)]))} />
      <line class="here" x1={x(width)} x2={x(width)} y1={DOWN[0]} y2={DOWN[1]} />
    </Plane>
  );
}
