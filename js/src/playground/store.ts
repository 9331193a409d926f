/** What a Playground shows: its numbers, all that follows from them, what is pointed at, and the way back. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import {
  factorOf,
  headSteps,
  meanOfHeads,
  mixed,
  products,
  type Rows,
  rotated,
  type Steps,
  steps,
  type Visible,
  visibility,
  widthOf,
} from "../attention/steps";
import type { Colours } from "../host/theme";
import type { Said } from "../lesson/facts";
import { Lesson } from "../lesson/lesson";
import {
  type Choices,
  NUMBERS,
  type Numbers,
  type PresetFacts,
  type SceneFacts,
  type Traits,
} from "./choices";

/** A step of the formula; scores in the first order of the words; and what several heads make. */
export type Step =
  | ("query" | "key" | "scores" | "scaled" | "mask" | "weights" | "value" | "output")
  | "first scores"
  | ("concatenated" | "mixing" | "mixed");

export interface Cell {
  step: Step;
  row: number;
  column: number;
  /** Which head it is of, in a scene of several. */
  head?: number | undefined;
}

type Snapshot = Numbers & Pick<Choices, "scene" | "preset">;
const NAMES = Object.keys(NUMBERS) as (keyof Numbers)[];
const MOST_UNDONE = 200;
const VECTORS: readonly string[] = ["query", "key", "value"];
/** Of the formula: a step tells all that is before it. */
const ORDER: readonly (Step | "entropy")[] = [
  "scores",
  "first scores",
  "scaled",
  "mask",
  "weights",
  "entropy",
  "output",
];

export class Store {
  readonly traits: Traits;
  readonly colours: Signal<Colours>;
  /** What is pointed at, in the formula or in a table. */
  readonly lit: Signal<Step | null> = signal(null);
  readonly cell: Signal<Cell | null> = signal(null);
  /** Why the last change was refused, and beside which field. */
  readonly fault: Signal<{ place: string; sentence: string } | null> = signal(null);
  readonly said: Signal<string> = signal("");
  readonly lesson: Lesson;
  /** The cell that was clicked as a guess. */
  readonly picked: Signal<Said | null> = signal(null);
  readonly #past: Signal<Snapshot[]> = signal([]);
  readonly #future: Signal<Snapshot[]> = signal([]);
  #merging = "";

  constructor(traits: Traits, colours: Signal<Colours>) {
    this.traits = traits;
    this.colours = colours;
    this.lesson = new Lesson(
      computed(() => traits.facts.value?.lesson ?? null),
      traits.guesses,
    );
  }

  readonly scene: ReadonlySignal<SceneFacts | null> = computed(
    () => this.traits.facts.value?.scenes.find(({ name }) => name === this.traits.scene.value) ?? null,
  );

  readonly preset: ReadonlySignal<PresetFacts | null> = computed(() => {
    const scene = this.scene.value;
    return scene?.presets.find(({ name }) => name === this.traits.preset.value) ?? scene?.presets[0] ?? null;
  });

  readonly visible: ReadonlySignal<Visible> = computed(() =>
    visibility(this.traits.mask.value, this.traits.query.value.length, this.traits.key.value.length),
  );

  /** Where the tokens stand; null where positions do not act. */
  readonly positions: ReadonlySignal<readonly number[] | null> = computed(() => {
    const { rotary, positions, key } = this.traits;
    if (!rotary.value) return null;
    return positions.value.length > 0 ? positions.value : key.value.map((_, at) => at);
  });

  /** Scores of the words where they stood at first. */
  readonly firstScores: ReadonlySignal<number[][]> = computed(() => {
    const { query, key, rotary } = this.traits;
    const places = key.value.map((_, at) => at);
    const turn = (rows: Rows) => (rotary.value ? rotated(rows, places) : rows);
    return products(turn(query.value), turn(key.value));
  });

  readonly steps: ReadonlySignal<Steps> = computed(() => {
    const { query, key, value, scaling, temperature } = this.traits;
    return steps({
      query: query.value,
      key: key.value,
      value: value.value,
      scaling: scaling.value,
      temperature: temperature.value,
      visible: this.visible.value,
      positions: this.positions.value,
    });
  });

  readonly heads: ReadonlySignal<Steps[]> = computed(() => {
    const { query, key, value, key_labels, temperature, heads } = this.traits;
    const tables = { query: query.value, key: key.value, value: value.value };
    return heads.value.map((kind) => headSteps(kind, tables, key_labels.value, temperature.value));
  });

  readonly mixing: ReadonlySignal<Rows> = computed(() => {
    const { mixing, heads, value } = this.traits;
    return mixing.value.length > 0 ? mixing.value : meanOfHeads(heads.value.length, widthOf(value.value));
  });

  readonly mixed = computed(() => mixed(this.heads.value, this.mixing.value));

  readonly factor: ReadonlySignal<number> = computed(() =>
    factorOf(this.traits.scaling.value, widthOf(this.traits.query.value)),
  );

  readonly numbers: ReadonlySignal<Numbers> = computed(
    () => Object.fromEntries(NAMES.map((name) => [name, this.traits[name].value])) as unknown as Numbers,
  );

  readonly row: ReadonlySignal<number> = computed(() =>
    Math.max(0, Math.min(this.traits.row.value, this.traits.query.value.length - 1)),
  );

  readonly canUndo = computed(() => this.#past.value.length > 0);
  readonly canRedo = computed(() => this.#future.value.length > 0);
  readonly isChanged = computed(() => {
    const preset = this.preset.value;
    if (!preset) return false;
    return NAMES.some(
      (name) =>
        name !== "row" && JSON.stringify(this.traits[name].value) !== JSON.stringify(preset.state[name]),
    );
  });

  isLocked(control: string): boolean {
    const tied = this.scene.value?.tied && VECTORS.includes(control);
    return (tied ? VECTORS : [control]).some((one) => this.lesson.isLocked(one));
  }

  /** Whether a step would give the answer of the lesson away, which is still to be guessed. */
  isVeiled(step: Step | "entropy"): boolean {
    const asked = this.lesson.facts.value?.predict?.step;
    if (!asked || !this.lesson.hidden.value) return false;
    return ORDER.indexOf(step) >= ORDER.indexOf(asked);
  }

  /** Whether a click on a cell of this row is a guess. */
  canPick(step: Step, row: number): boolean {
    const asked = this.lesson.facts.value?.predict;
    return asked?.kind === "cell" && asked.step === step && asked.row === row && this.lesson.hidden.value;
  }

  label(axis: "query" | "key", at: number): string {
    const labels = this.traits[axis === "query" ? "query_labels" : "key_labels"].value;
    return labels[at] || String(at);
  }

  /** Change numbers together; changes of one gesture are one step back. */
  change(patch: Partial<Snapshot>, gesture = ""): void {
    const before = this.#snapshot();
    this.fault.value = null;
    if (Object.entries(patch).every(([name, value]) => Object.is(before[name as keyof Snapshot], value)))
      return;
    batch(() => {
      this.#take(patch);
      if (gesture === "" || gesture !== this.#merging) {
        this.#past.value = [...this.#past.value.slice(-MOST_UNDONE), before];
        this.#future.value = [];
      }
    });
    this.#merging = gesture;
  }

  /** The next change is another step back, though of the same kind. */
  endGesture(): void {
    this.#merging = "";
  }

  /** One of the three tables; where they are tied, all of them. */
  setTable(name: "query" | "key" | "value" | "mixing", rows: Rows, gesture = ""): void {
    const tied = name !== "mixing" && this.scene.value?.tied;
    this.change(tied ? { query: rows, key: rows, value: rows } : { [name]: rows }, gesture);
  }

  /** Which query is drawn: where one looks is nothing to undo. */
  choose(row: number): void {
    if (row !== this.traits.row.value) this.traits.row.value = row;
  }

  /** Open a scene, or other numbers of it. */
  open(scene: SceneFacts, preset: PresetFacts = scene.presets[0]!): void {
    this.change({ ...preset.state, scene: scene.name, preset: preset.name });
    this.said.value = `${scene.title} ${preset.look || scene.look}`;
  }

  reset(): void {
    const [scene, preset] = [this.scene.value, this.preset.value];
    if (scene && preset) this.open(scene, preset);
  }

  undo(): void {
    this.#travel(this.#past, this.#future);
  }

  redo(): void {
    this.#travel(this.#future, this.#past);
  }

  refuse(place: string, sentence: string): void {
    this.fault.value = { place, sentence };
  }

  #travel(from: Signal<Snapshot[]>, to: Signal<Snapshot[]>): void {
    const snapshot = from.value.at(-1);
    if (!snapshot) return;
    batch(() => {
      to.value = [...to.value, this.#snapshot()];
      from.value = from.value.slice(0, -1);
      this.#take(snapshot);
      this.fault.value = null;
    });
    this.#merging = "";
  }

  #snapshot(): Snapshot {
    const { traits } = this;
    const numbers = Object.fromEntries(
      NAMES.map((name) => [name, traits[name].peek()]),
    ) as unknown as Numbers;
    return { ...numbers, scene: traits.scene.peek(), preset: traits.preset.peek() };
  }

  #take(patch: Partial<Snapshot>): void {
    for (const [name, value] of Object.entries(patch)) {
      (this.traits[name as keyof Snapshot] as Signal<unknown>).value = value;
    }
  }
}
