/** A Timeline on the page, and runs of our own behind it. */
import type { Choices, Told } from "../../src/timeline/choices";
import { mount as mountTimeline } from "../../src/timeline/mount";
import { placed } from "../mounted";
import { MockTraits } from "../traits";

export const WORDS = ["<s>", "Lily", "and", "Ben"];

export interface MockRun {
  name: string;
  steps: number[];
  labels?: string[];
  events?: [number, string, string][];
  logged?: Record<string, (number | null)[]>;
  kept?: boolean[];
  generation?: number;
  /** Readings whose maps are gone since it was said that they are there. */
  gone?: number[];
}

interface Asked {
  id: string;
  op: string;
  run: number;
  after?: number;
  generation?: number;
  measure?: string;
  layer?: number;
  head?: number;
  at?: number[];
}

const MASKED = 65535;

/** The number of a head at a reading, different for each. */
export const number = (run: number, at: number, layer: number, head: number): number =>
  run + at / 10 + layer / 100 + head / 1000;

export class TimelineModel extends MockTraits<Choices, Told> {
  readonly runs: MockRun[];
  readonly sent: Asked[] = [];
  readonly layers: number;
  readonly heads: number;
  /** Whether a question is answered, or refused with a sentence. */
  policy: (asked: Asked) => true | string | "hold" = () => true;
  widget_manager = { kernel: { connectionStatus: "connected" } };

  constructor(runs: MockRun[], choices: Partial<Choices> = {}, told: Partial<Told> = {}, words = WORDS) {
    const axis = { labels: words, special: [], continues: [] };
    const measures = ["entropy", "induction"].map((name) => ({ name, label: name, unit: "", about: "" }));
    const map = {
      ...{ name: "attention", layers: 2, most: 3, heads: [3, 3], n_queries: words.length },
      ...{ n_keys: words.length, queries: axis, keys: null, causal: true },
    };
    const facts: Told = {
      ...{ version: 1, title: "", runs: runs.map(({ name }) => name), maps: [map], measures, growing: false },
      ...told,
    };
    super(facts, { map: "attention", layer: 0, head: 0, measure: "entropy", step: null, ...choices });
    this.runs = runs;
    [this.layers, this.heads] = [facts.maps[0]!.layers, facts.maps[0]!.most];
  }

  override send(content: unknown): void {
    const asked = content as Asked;
    this.sent.push(asked);
    const decided = this.policy(asked);
    if (decided === "hold") return;
    queueMicrotask(() => {
      if (decided !== true) return this.emit("msg:custom", { id: asked.id, ok: false, error: decided });
      const { header, buffers } = this.#answer(asked);
      this.emit("msg:custom", { id: asked.id, ok: true, header }, buffers);
    });
  }

  #answer(asked: Asked): { header: object; buffers: ArrayBufferView[] } {
    const run = this.runs[asked.run]!;
    const anew = asked.op === "readings" && (run.generation ?? 0) !== asked.generation;
    const after = anew ? 0 : (asked.after ?? 0);
    if (asked.op === "readings") {
      const kept = run.kept ?? run.steps.map(() => true);
      const header = {
        generation: run.generation ?? 0,
        ...{ after, steps: run.steps.slice(after), labels: run.labels?.slice(after) ?? null },
        events: (run.events ?? []).filter(([place]) => place >= after),
        logged: Object.fromEntries(
          Object.entries(run.logged ?? {}).map(([name, values]) => [name, values.slice(after)]),
        ),
        kept: kept.map(Number).join(""),
      };
      return { header, buffers: [] };
    }
    if (asked.op === "curves") {
      const values = run.steps
        .slice(after)
        .flatMap((_, at) =>
          Array.from({ length: this.layers * this.heads }, (_, place) =>
            number(asked.run, after + at, Math.floor(place / this.heads), place % this.heads),
          ),
        );
      const shape = [run.steps.length - after, this.layers, this.heads];
      return { header: { after, shape }, buffers: [Float32Array.from(values)] };
    }
    const { gone = [] } = run;
    const frames = asked.at!.map((at) =>
      gone.includes(at) ? { header: { at, missing: true }, buffers: [] } : this.#frame(at),
    );
    return {
      header: { frames: frames.map(({ header }) => header) },
      buffers: frames.flatMap(({ buffers }) => buffers),
    };
  }

  /** Each query looks at one key, another one at each reading. */
  #frame(at: number) {
    const size = (this.get("facts") as Told).maps[0]!.n_queries!;
    const codes = new Uint16Array(size * size).fill(MASKED);
    for (let row = 0; row < size; row++)
      for (let key = 0; key <= row; key++) codes[row * size + key] = key === at % (row + 1) ? 60_000 : 0;
    const header = {
      ...{ at, rows: [0, size], columns: [0, size], stride: [1, 1], shape: [size, size] },
      ...{ low: -12, step: 12 / 60_000, temperature: 1, scaling: 1, pooling: "max", sampled: null, work: 1 },
    };
    return { header, buffers: [codes, new Float32Array(size), new Float32Array(size)] };
  }
}

export const rising = (count: number, name = ""): MockRun => ({
  name,
  steps: Array.from({ length: count }, (_, at) => at * 100),
});

export function mount(model: TimelineModel, width = 1000) {
  return placed("timeline", (host) => mountTimeline({ model, host }), { width });
}
