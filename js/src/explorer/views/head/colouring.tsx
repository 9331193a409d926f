/** How weights are coloured: one button that shows the ramp itself, and all choices of colour behind it. */
import { bothWays, type ColourMap, type ColourScale } from "../../../attention/colour";
import { Menu } from "../../../controls/menu";
import { Panel } from "../../../controls/panel";
import { Slider } from "../../../controls/slider";
import { stopsOf } from "../../../drawing/legend";
import { short } from "../../../drawing/words";
import { isWhole } from "../../../host/facts";
import type { Choices, ColourRange } from "../../choices";
import type { Store } from "../../store";

const MAPS: [ColourMap, string][] = [
  ["ink", "Ink"],
  ["viridis", "Viridis"],
  ["cividis", "Cividis"],
  ["magma", "Magma"],
  ["greys", "Greys"],
];
const SCALES: [ColourScale, string][] = [
  ["linear", "Linear"],
  ["sqrt", "Square root"],
  ["log", "Log"],
];
const RANGES: [ColourRange, string][] = [
  ["row", "Each row's largest"],
  ["map", "This map's largest"],
];
const POOLINGS: [Choices["pooling"], string][] = [
  ["max", "Largest"],
  ["mean", "Mean"],
];
/** Higher than this little would be left to see. */
const HIGHEST_THRESHOLD = 0.5;

export function Colouring({ store }: { store: Store }) {
  const { traits, lesson } = store;
  const long = store.map.value !== null && !isWhole(store.map.value);
  const free = (name: string) => !lesson.isLocked(name);
  const threshold = traits.threshold.value;
  // Less and more have colours of their own.
  const signed = store.compared.value === "difference";
  const ramp = signed ? bothWays(store.diverging.value) : store.ramp.value;
  if (!["color_map", "color_scale", "color_range"].some(free)) return null;
  return (
    <Panel
      part="colours"
      title="Colours"
      value={traits.color_map.value}
      face={<i class="face" style={{ background: `linear-gradient(to right, ${stopsOf(ramp).join()})` }} />}
    >
      {() => (
        <div class="choices">
          {free("color_map") && !signed && (
            <Menu
              label="Colours"
              part="color-map"
              value={traits.color_map.value}
              options={MAPS}
              onChange={(name) => (traits.color_map.value = name)}
            />
          )}
          {free("color_scale") && (
            <Menu
              label="Scale"
              part="color-scale"
              value={traits.color_scale.value}
              options={SCALES}
              onChange={(scale) => (traits.color_scale.value = scale)}
            />
          )}
          {free("color_range") && (
            <Menu
              label="Darkest is"
              part="color-range"
              value={traits.color_range.value}
              options={rangesOf(store)}
              onChange={(range) => (traits.color_range.value = range)}
            />
          )}
          {long && traits.view.value === "heatmap" && free("pooling") && (
            <Menu
              label="Points show"
              title="What a point shows where it stands for many cells"
              part="pooling"
              value={traits.pooling.value}
              options={POOLINGS}
              onChange={(pooling) => (traits.pooling.value = pooling)}
            />
          )}
          {free("threshold") && (
            <Slider
              label="Hide below"
              part="threshold"
              value={Math.min(HIGHEST_THRESHOLD, threshold)}
              text={threshold === 0 ? "nothing" : hidden(store, threshold)}
              min={0}
              max={HIGHEST_THRESHOLD}
              step={0.005}
              onInput={(value) => (traits.threshold.value = value)}
            />
          )}
        </div>
      )}
    </Panel>
  );
}

const rangesOf = ({ weighing }: Store): [ColourRange, string][] => [
  ...RANGES,
  ["shared", `${weighing.one}, in every map`],
];

/** Of each row's largest it is a share. */
function hidden({ traits, weighing }: Store, threshold: number): string {
  const logits = weighing.effect.value !== null && traits.color_range.value !== "row";
  return logits ? `${short(weighing.scaled(threshold))} logits` : short(threshold);
}
