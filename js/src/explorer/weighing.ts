/** Weighing: what cells say instead of weights: these times the size of values, or effects on a token; and in which words. */
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { exact, quoted, short, signed } from "../drawing/words";
import type { Facts } from "../host/facts";
import type { Link } from "../host/source";
import type { Traits } from "./choices";

export type Weighs = "weight" | "value" | "effect";

/** A word, and what is added to its logit. */
export type Promoted = readonly [word: string, logits: number];

/** What Python tells of the newest weighing. */
export interface Weighed {
  state: "idle" | "running" | "done" | "error";
  /** Why it failed. */
  why?: string;
  /** What must be there before cells can say it; null where nothing is missing. */
  needs: { value: string | null; effect: string | null };
  /** Of an effect: the token, and the one that it is held against; empty for none. */
  target?: string;
  versus?: string;
  /** Whose next token it is, by its place in the text. */
  position?: number;
  logit?: number;
  candidates?: readonly (readonly [token: string, probability: number])[];
  caveat?: string;
  /** Words that the chosen head makes likelier and less likely; null where it has none. */
  promoted?: {
    layer: number;
    head: number;
    more: readonly Promoted[];
    less: readonly Promoted[];
  } | null;
}

/** What is shown, where it is an effect. */
export interface Effect {
  /** Logits that 1 stands for. */
  unit: number;
  target: string;
  versus: string;
}

const KERNEL = "This is made of the model, which needs the kernel: run the cell again.";
const APPLIED = "Weights are shown while changes are applied to the model: turn that off first.";

export const effectName = ({ target, versus }: Effect): string =>
  `effect on ${quoted(target)}${versus ? ` against ${quoted(versus)}` : ""}`;

/** Whose next token an effect is on, and what the model says of it. */
export const effectPlace = ({ position, logit }: Weighed): string =>
  [position !== undefined && `at position ${position}`, logit !== undefined && `logit ${signed(logit, 2)}`]
    .filter(Boolean)
    .join(", ");

export class Weighing {
  readonly weighed: ReadonlySignal<Weighed | null>;
  /** Null where cells are no effects. */
  readonly effect: ReadonlySignal<Effect | null>;
  /** Whether cells are weights times the size of values. */
  readonly valued: ReadonlySignal<boolean>;
  /** Why something that was asked for cannot be shown; empty where nothing is to be said. */
  readonly refused: Signal<string> = signal("");
  readonly #traits: Traits;
  readonly #link: ReadonlySignal<Link>;

  constructor(traits: Traits, facts: ReadonlySignal<Facts | null>, link: ReadonlySignal<Link>) {
    this.#traits = traits;
    this.#link = link;
    this.weighed = traits.weighed;
    this.effect = computed(() => {
      const unit = facts.value?.unit;
      const { target = "", versus = "" } = traits.weighed.value ?? {};
      return unit === undefined ? null : { unit, target, versus };
    });
    this.valued = computed(
      () => traits.weighing.value === "value" && traits.weighed.value?.state === "done" && !this.effect.value,
    );
  }

  /** Whether anything can be asked of the model. */
  get isLive(): boolean {
    return this.#link.value === "live";
  }

  /** Why cells cannot say it; null where they can, or do. */
  refusal(what: Weighs): string | null {
    if (what === this.#traits.weighing.value) return null;
    if (!this.isLive) return KERNEL;
    if (what === "weight") return null;
    return this.#traits.applied.value ? APPLIED : (this.weighed.value?.needs[what] ?? null);
  }

  /** Have cells say something else, or say why they cannot. */
  choose(what: Weighs): void {
    this.refused.value = this.refusal(what) ?? "";
    if (!this.refused.value) this.#traits.weighing.value = what;
  }

  /** A number of a cell, or of a sum of cells; of a difference with its sign. */
  number(value: number, differs = false): string {
    const effect = this.effect.value;
    return effect ? signed(value * effect.unit) : (differs ? signed : exact)(value);
  }

  /** The same with its unit, where it has one. */
  said(value: number, differs = false): string {
    return `${this.number(value, differs)}${this.effect.value ? " logits" : ""}`;
  }

  /** What 1 is in every map. */
  get one(): string {
    const effect = this.effect.value;
    return effect ? `${short(effect.unit)} logits` : "1";
  }

  /** The number itself, as it is said: of an effect in logits. */
  scaled(value: number): number {
    return value * (this.effect.value?.unit ?? 1);
  }
}
