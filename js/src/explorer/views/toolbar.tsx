/** The line of menus above everything. */

import { useSignal } from "@preact/signals";

import { useRef } from "preact/hooks";
import type { ColourMap, ColourScale } from "../../attention/colour";
import { Handed } from "../../controls/handed";
import { Menu, Segments } from "../../controls/menu";
import { isWhole } from "../../host/facts";

import type { Source } from "../../host/source";

import type { Answers } from "../answers";
import type { Choices } from "../choices";
import { type Kept, Save } from "../saving/save";
import type { Store } from "../store";
import { Alarms } from "./alarms";
import { viewsOf } from "./table";

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
const RANGES: [Choices["color_range"], string][] = [
  ["map", "Its largest"],
  ["shared", "0 to 1"],
];

const POOLINGS: [Choices["pooling"], string][] = [
  ["max", "Largest"],
  ["mean", "Mean"],
];

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
}

export function Toolbar({ store, answers, source }: Props) {
  const { traits, lesson } = store;
  const kept = useSignal<Kept | null>(null);
  const here = useRef<HTMLElement>(null);
  const facts = store.facts.value;
  const maps = facts?.maps ?? [];
  const long = store.map.value !== null && !isWhole(store.map.value);
  const named = (derived: boolean) =>
    maps.filter((map) => Boolean(map.derived) === derived).map(({ name }) => [name, name] as const);

  function close(): void {
    here.current?.querySelector<HTMLElement>('[data-part="save"]')?.focus({ preventScroll: true });
    kept.value = null;
  }

  return (
    <header class="toolbar" ref={here}>
      <div class="head" data-titled={Boolean(facts?.title)}>
        {facts?.title && <h1 title={facts.title}>{facts.title}</h1>}
        <Alarms store={store} answers={answers} around={here} />
      </div>
      <div class="tools">
        <div class="menus">
          {maps.length > 1 && !lesson.isLocked("map") && (
            <Menu
              label="Map"
              part="map"
              value={store.map.value?.name ?? ""}
              options={named(false)}
              more={{ label: "Derived", options: named(true) }}
              onChange={(name) => store.chooseMap(name)}
            />
          )}
          {!lesson.isLocked("view") && (
            <Segments
              label="View"
              value={store.view.value}
              options={viewsOf(store.map.value).map(({ name, label }) => [name, label] as const)}
              onChange={(view) => (traits.view.value = view)}
            />
          )}
          {!lesson.isLocked("color_map") && (
            <Menu
              label="Colours"
              part="color-map"
              value={traits.color_map.value}
              options={MAPS}
              onChange={(name) => (traits.color_map.value = name)}
            />
          )}
          {!lesson.isLocked("color_scale") && (
            <Menu
              label="Scale"
              part="color-scale"
              value={traits.color_scale.value}
              options={SCALES}
              onChange={(scale) => (traits.color_scale.value = scale)}
            />
          )}
          {!lesson.isLocked("color_range") && (
            <Menu
              label="Range"
              part="color-range"
              value={traits.color_range.value}
              options={RANGES}
              onChange={(range) => (traits.color_range.value = range)}
            />
          )}
          {long && traits.view.value === "heatmap" && !lesson.isLocked("pooling") && (
            <Menu
              label="Points"
              title="What a point shows where it stands for many cells"
              part="pooling"
              value={traits.pooling.value}
              options={POOLINGS}
              onChange={(pooling) => (traits.pooling.value = pooling)}
            />
          )}
        </div>
        <Save store={store} answers={answers} source={source} kept={kept} />
      </div>
      {kept.value && <Handed {...kept.value} onClose={close} />}
    </header>
  );
}
