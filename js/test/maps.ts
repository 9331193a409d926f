/** Maps without a kernel: attention made of random queries and keys. */
import type { Finding } from "../src/answers/findings";
import type { Standout, Standouts } from "../src/answers/standouts";
import type { Axis, ImageGrid, MapFacts, Measure, NamedSpan, ScoreFacts } from "../src/host/facts";

/** Small, seeded and good enough for pictures (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export interface MapOptions {
  name?: string;
  heads?: number[];
  keyValueHeads?: number[];
  queries: string[];
  keys?: string[];
  special?: number[];
  continues?: number[];
  causal?: boolean;
  notes?: string[];
  /** Mass that every row loses to a sink. */
  missing?: number;
  seed?: number;
  /** Heads of which no measure exists; without the option the kernel measures nothing. */
  measured?: { without?: [layer: number, head: number][] };
  /** How layers can be sent as a whole; heads are then nothing but their queries and keys. */
  held?: "projections" | "codes";
  /** Without the option the kernel does not look. */
  findings?: Finding[];
  derived?: string;
  /** Heads that the kernel finds worth a look; without the option it does not look. */
  standouts?: Standout[];
  /** What the kernel says of the scores of every layer; it answers about them where `held` says how. */
  scores?: ScoreFacts | null;
  /** Of queries and keys. */
  width?: number;
  /** Whether halves of the vectors turn with position, by 1, 1/4, 1/16 ... a token. */
  rotary?: boolean;
  /** How much more the kernel computes for a cell than it would: small maps that are as slow as long ones. */
  cost?: number;
  /** What layers and heads are called in the model. */
  layerNumbers?: number[];
  headNumbers?: number[][];
  following?: string;
  /** Of which of two runs, and which of its maps. */
  run?: string;
  part?: string;
  spans?: NamedSpan[];
  keySpans?: NamedSpan[];
  /** Runs that the kernel found in the queries, by kind. */
  found?: { [kind: string]: NamedSpan[] };
  /** Patches among the queries, which are the keys too, or among the keys of other queries. */
  image?: ImageGrid | ImageGrid[];
}

export const MEASURES: readonly (Measure & { of(map: MockMap, layer: number, head: number): number })[] = [
  {
    name: "entropy",
    label: "entropy",
    unit: "nats",
    about: "How spread the head looks.",
    of: (map, layer, head) => mean(map, (query) => map.entropy(layer, head, query)),
  },
  {
    name: "previous_token",
    label: "previous token",
    unit: "",
    about: "The mean weight on the token before.",
    of: (map, layer, head) => mean(map, (query) => map.row(layer, head, query)[query - 1] ?? 0),
  },
  {
    name: "first_token",
    label: "first token",
    unit: "",
    about: "The mean weight on the first token.",
    of: (map, layer, head) => mean(map, (query) => map.row(layer, head, query)[0]!),
  },
];

/** As kernels send them, and absent as in those of old. */
const marks = (spans?: NamedSpan[], image?: ImageGrid | ImageGrid[]): Partial<Axis> => ({
  ...(spans && { spans }),
  ...(image && { images: [image].flat() }),
});

export function mean(map: MockMap, of: (query: number) => number): number {
  let sum = 0;
  for (let query = 0; query < map.facts.n_queries; query++) sum += of(query);
  return sum / map.facts.n_queries;
}

export const HEALTHY = "Nothing unusual found in 16 heads.";

export class MockMap {
  readonly facts: MapFacts;
  readonly #options: MapOptions;
  readonly #layers = new Map<string, (query: number, key: number) => number>();

  constructor(options: MapOptions) {
    const heads = options.heads ?? [4, 4, 4, 4];
    this.#options = options;
    this.facts = {
      name: options.name ?? "attention",
      heads,
      layer_names: heads.map((_, layer) => `model.layers.${layer}.self_attn`),
      key_value_heads: options.keyValueHeads ?? heads,
      n_queries: options.queries.length,
      n_keys: (options.keys ?? options.queries).length,
      queries: {
        labels: options.queries,
        special: options.special ?? [],
        continues: options.continues ?? [],
        ...marks(options.spans, options.keys ? undefined : options.image),
        ...(options.found && {
          found: Object.fromEntries(
            Object.entries(options.found).map(([kind, spans]) => [kind, spans.length]),
          ),
        }),
      },
      keys: options.keys
        ? { labels: options.keys, special: [], continues: [], ...marks(options.keySpans, options.image) }
        : null,
      ...(options.layerNumbers && { layer_numbers: options.layerNumbers }),
      ...(options.headNumbers && { head_numbers: options.headNumbers }),
      ...(options.following && { following: options.following }),
      causal: options.causal ?? true,
      notes: options.notes ?? [],
      ...(options.measured && { measures: MEASURES.map(({ of: _, ...measure }) => measure) }),
      ...(options.held && { held: heads.map(() => options.held!) }),
      ...(options.scores && { scores: heads.map(() => options.scores!) }),
      ...(options.findings && { diagnosed: true }),
      ...(options.derived && { derived: options.derived }),
      ...(options.standouts && { standouts: true }),
      ...(options.run && { run: options.run, part: options.part ?? "attention" }),
    };
  }

  get cost(): number {
    return this.#options.cost ?? 1;
  }

  get findings(): Finding[] {
    return this.#options.findings ?? [];
  }

  get found(): { [kind: string]: NamedSpan[] } {
    return this.#options.found ?? {};
  }

  get standouts(): Standouts {
    return { heads: this.#options.standouts ?? [], looked: ["strongest induction", "previous token"] };
  }

  /** Angles [tokens, pairs] of tokens that are turned. */
  angles(tokens: number): { pairs: number; angles: Float32Array } | null {
    if (!this.#options.rotary) return null;
    const pairs = (this.#options.width ?? 8) / 2;
    const angles = Float32Array.from(
      { length: tokens * pairs },
      (_, at) => Math.floor(at / pairs) / 4 ** (at % pairs),
    );
    return { pairs, angles };
  }

  measure(index: number, layer: number, head: number): number {
    const without = this.#options.measured?.without ?? [];
    if (without.some(([other, of]) => other === layer && of === head)) return Number.NaN;
    return MEASURES[index]!.of(this, layer, head);
  }

  masked(query: number, key: number): boolean {
    return this.facts.causal && key > query;
  }

  /** Random vectors, and how much their products count. */
  vectors(layer: number, head: number) {
    const { n_queries, n_keys } = this.facts;
    const width = this.#options.width ?? 8;
    const draw = random((this.#options.seed ?? 7) * 7919 + layer * 131 + head);
    const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
    const queries = Float32Array.from({ length: n_queries * width }, normal);
    const keys = Float32Array.from({ length: n_keys * width }, normal);
    const sharp = 0.4 + 1.6 * draw();
    // Queries and keys alone know no habits.
    const habit = this.#options.held ? 3 : Math.floor(draw() * 4);
    return { width, queries, keys, sharp, habit };
  }

  /** Score of a head: noise from random vectors, and one of four habits. */
  score(layer: number, head: number): (query: number, key: number) => number {
    const known = this.#layers.get(`${layer}/${head}`);
    if (known) return known;
    const { width, queries, keys, sharp, habit } = this.vectors(layer, head);
    const habits = [
      (query: number, key: number) => (key === query - 1 ? 5 : 0),
      (_: number, key: number) => (key === 0 ? 3.5 : 0),
      (query: number, key: number) => -Math.abs(query - key) * 0.5,
      () => 0,
    ];
    const score = (query: number, key: number) => {
      let dot = 0;
      for (let at = 0; at < width; at++) dot += queries[query * width + at]! * keys[key * width + at]!;
      return (dot / Math.sqrt(width)) * sharp + habits[habit]!(query, key);
    };
    this.#layers.set(`${layer}/${head}`, score);
    return score;
  }

  /** Weights of one query, the sink's share taken off; 0 where masked. */
  row(layer: number, head: number, query: number, temperature = 1, scaling = 1): Float64Array {
    const score = this.score(layer, head);
    const { n_keys } = this.facts;
    const missing = this.#options.missing ?? 0;
    const logits = Float64Array.from({ length: n_keys }, (_, key) =>
      this.masked(query, key) ? Number.NEGATIVE_INFINITY : score(query, key),
    );
    const plain = softmax(logits).map((weight) => weight * (1 - missing));
    if (temperature === 1 && scaling === 1) return plain;
    const logs = Float64Array.from(
      [...plain, missing],
      (weight) => (Math.log(weight) * scaling) / temperature,
    );
    for (let key = 0; key < n_keys; key++) if (this.masked(query, key)) logs[key] = Number.NEGATIVE_INFINITY;
    if (missing === 0) logs[n_keys] = Number.NEGATIVE_INFINITY;
    return softmax(logs).subarray(0, n_keys);
  }

  entropy(layer: number, head: number, query: number, temperature = 1, scaling = 1): number {
    return entropyOf(this.row(layer, head, query, temperature, scaling));
  }
}

function softmax(logits: Float64Array): Float64Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exps = logits.map((logit) => Math.exp(logit - top));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((value) => value / sum);
}

/** In nats, of the weights rescaled to sum to one. */
export function entropyOf(weights: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < weights.length; at++) sum += weights[at]!;
  let entropy = 0;
  for (let at = 0; at < weights.length; at++) {
    const share = weights[at]! / sum;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return entropy;
}
