/** The host's model as signals: reading follows Python, writing is sent to it, and neither echoes. */
import { batch, effect, type Signal, signal } from "@preact/signals";
import type { Bytes } from "../attention/tile";
import { Cuts } from "./cuts";
import type { Facts } from "./facts";

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
  widget_manager?: { kernel?: HostKernel | null };
}

interface HostKernel {
  connectionStatus?: string;
  status?: string;
  connectionStatusChanged?: {
    connect(slot: (kernel: unknown, status: string) => void): unknown;
    disconnect(slot: (kernel: unknown, status: string) => void): unknown;
  };
}

/** What a person chooses, and the facts about what there is to choose from. */
export type Traits<Choices, Told = Facts> = { [Name in keyof Choices]: Signal<Choices[Name]> } & {
  facts: Signal<Told | null>;
  /** Answers that came with the widget itself. */
  opening: Signal<Bytes | null>;
  /** Tells what this widget's outputs keep of it from what others keep; empty where nothing is kept. */
  kept: Signal<string>;
};

export function connectTraits<Choices extends object, Told extends { version?: number } = Facts>(
  model: Model,
  defaults: Choices,
  /** Names of what else Python tells. */
  told: readonly string[] = [],
): { traits: Traits<Choices, Told>; disconnect: () => void } {
  const cuts = new Cuts(model);
  const releases: (() => void)[] = [() => cuts.close()];
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

  function write<T>(name: string, value: T): T {
    sending = true;
    model.set(name, value);
    sending = false;
    return value;
  }

  function sync<T>(name: string, fallback: T): Signal<T> {
    const newest = (told: T) => (cuts.isOlder(name, told) ? write(name, trait.peek()) : told);
    const trait: Signal<T> = follow(name, fallback, newest);
    const stop = effect(() => {
      const { value } = trait;
      const held = model.get(name) ?? fallback;
      if (Object.is(value, held)) return;
      cuts.chose(name, value, held);
      write(name, value);
      save();
    });
    releases.push(stop);
    return trait;
  }

  const choices = Object.fromEntries(
    Object.entries(defaults).map(([name, fallback]) => [name, sync(name, fallback)]),
  );
  // A host whose line was cut hands over everything again; facts of the version that is here are no new ones.
  let known: Told | null = null;
  let heard: unknown = null;
  const newest = (sent: Told | string | null) => {
    if (sent === heard) return known;
    heard = sent;
    // Python sends them as text, which no page around can take for its own.
    const told = typeof sent === "string" ? (JSON.parse(sent) as Told) : sent;
    const same = told?.version !== undefined && told.version === known?.version;
    if (!same) known = told;
    return known;
  };
  const others = Object.fromEntries(told.map((name) => [name, follow<unknown>(name, null, readOnce())]));
  return {
    traits: {
      ...choices,
      ...others,
      facts: follow<Told | null>("facts", null, newest),
      opening: follow<Bytes | null>("opening", null),
      kept: follow("kept", ""),
    } as unknown as Traits<Choices, Told>,
    disconnect: () => {
      for (const release of releases) release();
    },
  };
}

/** What was told as text, read once as long as it is the same. */
function readOnce(): (sent: unknown) => unknown {
  let [heard, known]: unknown[] = [null, null];
  return (sent) => {
    if (sent !== heard) [heard, known] = [sent, typeof sent === "string" ? JSON.parse(sent) : sent];
    return known;
  };
}
