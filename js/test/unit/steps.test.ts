import { describe, expect, it } from "vitest";
import { seeded } from "../../src/attention/seeded";
import {
  type HeadKind,
  headSteps,
  type MaskRule,
  mixed,
  type Rows,
  rangesOf,
  rotated,
  type Steps,
  slopesOf,
  spreadOf,
  steps,
  visibility,
} from "../../src/attention/steps";
import scenes from "../playground/scenes.json";
import vectors from "./steps.json";

/** What Python made; null is NaN. */
interface Made {
  scores: number[][];
  scaled: number[][];
  visible: boolean[][];
  weights: (number | null)[][];
  output: (number | null)[][];
  entropy: (number | null)[];
  ranges: (number | null)[];
  slopes: (number | null)[];
}

const EXACT = 1e-12;

/** Numbers that agree, however deep they lie; large ones by their share. */
function agree(found: unknown, wanted: unknown, where: string): void {
  if (Array.isArray(wanted)) {
    expect(Array.isArray(found) && found.length, where).toBe(wanted.length);
    for (const [at, one] of wanted.entries()) agree((found as unknown[])[at], one, `${where}[${at}]`);
  } else if (wanted === null) expect(found, where).toBeNaN();
  else if (typeof wanted === "number")
    expect(Math.abs((found as number) - wanted) / Math.max(1, Math.abs(wanted)), where).toBeLessThan(EXACT);
  else expect(found, where).toBe(wanted);
}

function agreeInAll(found: Steps, wanted: Made): void {
  const made = { ...found, ranges: rangesOf(found.visible), slopes: slopesOf(found.weights) };
  for (const name of Object.keys(wanted) as (keyof Made)[]) agree(made[name], wanted[name], name);
}

const stateOf = (scene: string, preset: string) =>
  scenes.scenes.find(({ name }) => name === scene)!.presets.find(({ name }) => name === preset)!.state;

describe("the steps of a preset are Python's", () => {
  it.each(vectors.presets)("$scene: $preset", (wanted) => {
    const state = stateOf(wanted.scene, wanted.preset);
    const mask = state.mask as MaskRule;
    const labels = state.key_labels;
    let made: Steps[];
    if (wanted.scene === "scaling") {
      const { query, key } = seeded(state.seed, state.length, state.width);
      const visible = visibility("none", state.length, state.length);
      const value = query.map(() => []);
      made = [steps({ ...state, query, key, value, visible, positions: null })];
    } else if (wanted.scene === "heads") {
      made = state.heads.map((kind) => headSteps(kind as HeadKind, state, labels, state.temperature));
    } else {
      const visible = visibility(mask, state.query.length, state.key.length);
      const places = state.positions.length > 0 ? state.positions : state.key.map((_, at) => at);
      made = [steps({ ...state, visible, positions: state.rotary ? places : null })];
    }
    expect(made.length).toBe(wanted.made.length);
    for (const [at, one] of made.entries()) agreeInAll(one, wanted.made[at] as Made);
    if (wanted.scene !== "heads") return;
    const { concatenated, output } = mixed(made, state.mixing);
    agree(concatenated, wanted.concatenated, "concatenated");
    agree(output, wanted.output, "output");
  });
});

describe("the steps are Python's", () => {
  it.each(vectors.tables)("$name", ({ given, made }) => {
    const { query, key, value, scaling, temperature, positions } = given;
    const visible = visibility(given.mask as MaskRule, query.length, key.length);
    const found = steps({ query, key, value, scaling, temperature, positions, visible });
    agreeInAll(found, made as Made);
  });

  it.each(vectors.rotated)("rotated by $positions", ({ vectors: given, positions, rotated: wanted }) => {
    agree(rotated(given, positions), wanted, "rotated");
  });

  it.each(vectors.heads)("heads at $temperature", (wanted) => {
    const { given, kinds, temperature, mixing } = wanted;
    const made = kinds.map((kind) => headSteps(kind as HeadKind, given, given.labels, temperature));
    for (const [at, one] of made.entries()) agreeInAll(one, wanted.made[at] as Made);
    const { concatenated, output } = mixed(made, mixing as Rows);
    agree(concatenated, wanted.concatenated, "concatenated");
    agree(output, wanted.output, "output");
  });
});

describe("random numbers are Python's", () => {
  it.each(vectors.seeded)("seed $seed, $length x $width", ({ seed, length, width, ...wanted }) => {
    const drawn = seeded(seed, length, width);
    for (const name of ["query", "key"] as const) {
      const numbers = drawn[name].flat();
      expect(numbers.length).toBe(length * width);
      const [first, last] = wanted[name] as [number[], number[]];
      agree(numbers.slice(0, first.length), first, `first of ${name}`);
      agree(numbers.slice(-last.length), last, `last of ${name}`);
    }
    const visible = visibility("none", length, length);
    const value = drawn.query.map(() => []);
    const { scores } = steps({ ...drawn, value, scaling: 1, temperature: 1, visible, positions: null });
    agree(spreadOf(scores), wanted.spread, "spread");
  });
});
