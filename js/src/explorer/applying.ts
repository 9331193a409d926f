/** What is changed in the model itself: heads that are off, cells that are cut, temperatures; and what came of it. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { written } from "../drawing/words";
import { headNumber, layerNumber, type MapFacts } from "../host/facts";
import type { Link } from "../host/source";
import type { Traits } from "./choices";

type HeadPlace = readonly [layer: number, head: number];
/** Half-open, by places in the text as it came. */
type Range = readonly [start: number, stop: number];
export type Cut = readonly [layer: number, head: number, queries: Range, keys: Range];
export type Tempered = readonly [layer: number, head: number, temperature: number, scaling: number];

/** What Python tells of the newest run. */
export interface Outcome {
  state: "idle" | "running" | "done" | "error";
  /** What must be there before anything can be applied. */
  needs?: string;
  /** Why it failed. */
  why?: string;
  candidates?: readonly (readonly [token: string, before: number, after: number])[];
  /** Of both distributions, in nats; null where the model predicts no next token. */
  kl?: number | null;
  loss?: readonly [before: number, after: number] | null;
  ms?: number;
}

/** A block of cells of the map, half-open. */
export interface Block {
  queries: Range;
  keys: Range;
}

/** One thing that is changed, in words, and how it is taken back. */
export interface Changed {
  words: string;
  remove: () => void;
}

const KERNEL = "Applying runs the model, which needs the kernel: run the cell again.";

const run = ([start, stop]: Range, noun: string): string =>
  stop - start === 1 ? `${noun} ${start}` : `${noun}s ${start}–${stop - 1}`;

export const blockName = ({ queries, keys }: Block): string => `${run(queries, "row")} × ${run(keys, "key")}`;

export class Applying {
  /** Cells that are marked, to be cut. */
  readonly marked: Signal<Block | null> = signal(null);
  /** Who has the maps. */
  readonly link: Signal<Link> = signal("live");
  readonly outcome: ReadonlySignal<Outcome | null>;
  /** Why nothing can be applied; null where it can. */
  readonly needs: ReadonlySignal<string | null>;
  readonly #traits: Traits;

  constructor(traits: Traits) {
    this.#traits = traits;
    this.outcome = traits.outcome;
    this.needs = computed(() => (this.link.value === "live" ? (this.outcome.value?.needs ?? null) : KERNEL));
  }

  /** Whether a head is switched off in the model that is shown. */
  isOff(layer: number, head: number): boolean {
    return this.#traits.applied.value && this.#traits.off.value.some((one) => isAt(one, layer, head));
  }

  /** Switch a head off, or on again; says what came of it. */
  toggleOff(map: MapFacts, layer: number, head: number): string {
    const why = this.refusal(map);
    if (why) return why;
    const gone = this.isOff(layer, head);
    this.#apply(() => {
      const others = this.#traits.off.peek().filter((one) => !isAt(one, layer, head));
      this.#traits.off.value = gone ? others : [...others, [layer, head]];
    });
    return `${nameOf(map, layer, head)} is ${gone ? "on again" : "off"}`;
  }

  /** Cut the cells of a block in a head; says what came of it. */
  cut(map: MapFacts, layer: number, head: number, block: Block): string {
    const why = this.refusalToCut(map);
    if (why) return why;
    this.#apply(() => {
      this.#traits.cuts.value = [...this.#traits.cuts.peek(), [layer, head, block.queries, block.keys]];
      this.marked.value = null;
    });
    return `Cut: ${blockName(block)} of ${nameOf(map, layer, head)}`;
  }

  /** Why no head of a map can be changed. */
  refusal(map: MapFacts): string | null {
    if (!this.outcome.value) return KERNEL;
    if (this.needs.value !== null) return this.needs.value;
    return map.derived ? "The model has heads, and this map was made of them: choose one head." : null;
  }

  refusalToCut(map: MapFacts): string | null {
    if (map.lens?.length)
      return "Cells are cut in the text as it came: take off what was done to its tokens.";
    return this.refusal(map);
  }

  /** Cells of a head that are cut, as long as the map has the text as it came. */
  cutsIn(map: MapFacts, layer: number, head: number): readonly Cut[] {
    if (!this.#traits.applied.value || map.derived || map.lens?.length) return [];
    return this.#traits.cuts.value.filter((one) => isAt(one, layer, head));
  }

  /** Everything that is changed, each to be taken back by itself. */
  changes(map: MapFacts): Changed[] {
    const { off, cuts, tempered } = this.#traits;
    const without = <T>(trait: Signal<readonly T[]>, one: T) => {
      return () => (trait.value = trait.peek().filter((other) => other !== one));
    };
    return [
      ...off.value.map((one) => ({ words: `${nameOf(map, ...one)} off`, remove: without(off, one) })),
      ...cuts.value.map((one) => ({
        words: `${nameOf(map, one[0], one[1])}: ${blockName({ queries: one[2], keys: one[3] })} cut`,
        remove: without(cuts, one),
      })),
      ...tempered.value.map((one) => ({
        words: `${sharpness(one)} in ${nameOf(map, one[0], one[1])}`,
        remove: without(tempered, one),
      })),
    ];
  }

  /** What is changed by hand is meant for the model. */
  #apply(change: () => void): void {
    batch(() => {
      change();
      this.#traits.applied.value = true;
    });
  }
}

const isAt = (one: HeadPlace | Cut, layer: number, head: number): boolean =>
  one[0] === layer && one[1] === head;

const nameOf = (map: MapFacts, layer: number, head: number): string =>
  `layer ${layerNumber(map, layer)} head ${headNumber(map, layer, head)}`;

const sharpness = ([, , temperature, scaling]: Tempered): string =>
  [temperature !== 1 && `temperature ${written(temperature)}`, scaling !== 1 && `scaling ${written(scaling)}`]
    .filter(Boolean)
    .join(", ");
