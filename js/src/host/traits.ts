/** The host's model as signals: reading follows Python, writing is sent to it, and neither echoes. */
import { batch, effect, type Signal, signal } from "@preact/signals";
import type { ColourMap, ColourScale } from "../attention/colour";
import type { Pooling } from "../attention/tile";
import type { Facts } from "./facts";

export interface Choices {
  map: string;
  layer: number;
  head: number;
  query: number | null;
  key: number | null;
  temperature: number;
  scaling: number;
  view: "heatmap" | "text" | "grid" | "image";
  color_map: ColourMap;
  color_scale: ColourScale;
  color_range: "map" | "shared";
  /** What a point of a long map shows of the cells under it. */
  pooling: Pooling;
  theme: "auto" | "light" | "dark";
  /** Name of the measure that badges the grid; empty for none. */
  measure: string;
  sort: "model" | "highest" | "lowest";
}

/** The part of the widget protocol that is used here. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  // biome-ignore lint/suspicious/noExplicitAny: hosts call back with whatever the event carries
  on(event: string, callback: (...args: any[]) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  off(event: string, callback: (...args: any[]) => void): void;
  send(content: unknown): void;
  /** Only some hosts say these. */
  comm_live?: boolean | undefined;
  widget_manager?: { kernel?: { connectionStatus?: string } | null };
}

export type Traits = { [Name in keyof Choices]: Signal<Choices[Name]> } & { facts: Signal<Facts | null> };

const DEFAULTS: Choices = {
  map: "",
  layer: 0,
  head: 0,
  query: null,
  key: null,
  temperature: 1,
  scaling: 1,
  view: "heatmap",
  color_map: "ink",
  color_scale: "linear",
  color_range: "map",
  pooling: "max",
  theme: "auto",
  measure: "",
  sort: "model",
};

export function connectTraits(model: Model): { traits: Traits; disconnect: () => void } {
  const releases: (() => void)[] = [];
  let saving = false;
  let sending = false;

  // Choices made together (a query and its key) travel in one message.
  function save(): void {
    if (saving) return;
    saving = true;
    queueMicrotask(() => {
      saving = false;
      model.save_changes();
    });
  }

  // Python may set several traits at once, and a head must not be read with the layer that it replaces.
  const reads: (() => void)[] = [];
  function readAll(): void {
    // What is being sent is newer here than in the model.
    if (sending) return;
    batch(() => {
      for (const read of reads) read();
    });
  }

  function follow<T>(name: string, fallback: T, of: (told: T) => T = (told) => told): Signal<T> {
    const read = () => of((model.get(name) ?? fallback) as T);
    const trait = signal(read());
    reads.push(() => {
      trait.value = read();
    });
    model.on(`change:${name}`, readAll);
    releases.push(() => model.off(`change:${name}`, readAll));
    return trait;
  }

  function sync<T>(name: string, fallback: T): Signal<T> {
    const trait = follow(name, fallback);
    const stop = effect(() => {
      const { value } = trait;
      if (Object.is(value, model.get(name) ?? fallback)) return;
      sending = true;
      model.set(name, value);
      sending = false;
      save();
    });
    releases.push(stop);
    return trait;
  }

  const choices = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, fallback]) => [name, sync(name, fallback)]),
  );
  // A host whose line was cut hands over everything again; facts of the version that is here are no new ones.
  let known: Facts | null = null;
  const newest = (told: Facts | null) => {
    const same = told?.version !== undefined && told.version === known?.version;
    if (!same) known = told;
    return known;
  };
  const traits = { ...choices, facts: follow<Facts | null>("facts", null, newest) } as unknown as Traits;
  return {
    traits,
    disconnect: () => {
      for (const release of releases) release();
    },
  };
}
