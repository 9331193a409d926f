/** A host without a kernel: a model with traits and messages, and attention made of random queries and keys. */

import type { Finding } from "../src/answers/findings";
import type { Choices } from "../src/explorer/choices";
import type { Axis, Facts, ImageGrid, MapFacts, Measure, NamedSpan } from "../src/host/facts";
import type { Model } from "../src/host/traits";

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
  /** Of queries and keys. */
  width?: number;
  /** How much more the kernel computes for a cell than it would: small maps that are as slow as long ones. */
  cost?: number;
  /** What layers and heads are called in the model. */
  layerNumbers?: number[];
  headNumbers?: number[][];
  following?: string;
  spans?: NamedSpan[];
  keySpans?: NamedSpan[];
  /** Patches among the queries, which are the keys too, or among the keys of other queries. */
  image?: ImageGrid;
}

/** A picture of 2 x 2 pixels a patch: red grows downwards, green to the right. */
export function pictureOf({ rows, columns }: ImageGrid): Answer {
  const [height, width] = [rows * 2, columns * 2];
  const pixels = new Uint8Array(height * width * 3);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const level = [Math.round((255 * row) / height), Math.round((255 * column) / width), 90];
      pixels.set(level, (row * width + column) * 3);
    }
  }
  return { header: { height, width }, buffers: [unaligned(pixels)] };
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
const marks = (spans?: NamedSpan[], image?: ImageGrid): Partial<Axis> => ({
  ...(spans && { spans }),
  ...(image && { image }),
});

function mean(map: MockMap, of: (query: number) => number): number {
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
      ...(options.findings && { diagnosed: true }),
      ...(options.derived && { derived: options.derived }),
    };
  }

  get cost(): number {
    return this.#options.cost ?? 1;
  }

  get findings(): Finding[] {
    return this.#options.findings ?? [];
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
  #scores(layer: number, head: number): (query: number, key: number) => number {
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
    const score = this.#scores(layer, head);
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

interface TileRequest {
  rows: [number, number];
  columns: [number, number];
  height: number;
  width: number;
  temperature: number;
  scaling: number;
  pooling?: "max" | "mean";
  cells?: number;
  whole?: "map" | "row";
}

export interface Answer {
  header: Record<string, unknown>;
  buffers: DataView[];
}

export function tileOf(map: MockMap, layer: number, head: number, asked: TileRequest): Answer {
  const [r0, r1] = asked.whole === "map" ? [0, map.facts.n_queries] : asked.rows;
  const [c0, c1] = asked.whole ? [0, map.facts.n_keys] : asked.columns;
  const most = [asked.whole === "map" ? r1 : asked.height, asked.whole ? c1 : asked.width] as const;
  const stride = [Math.ceil((r1 - r0) / most[0]), Math.ceil((c1 - c0) / most[1])] as const;
  const height = Math.ceil((r1 - r0) / stride[0]);
  const width = Math.ceil((c1 - c0) / stride[1]);
  const whole = c0 === 0 && c1 === map.facts.n_keys && stride[0] === 1 && stride[1] === 1;
  const [temperature, scaling] = whole ? [1, 1] : [asked.temperature, asked.scaling];
  const pooling = asked.pooling ?? "max";
  const keys = map.facts.causal ? (r0 + 1 + r1) / 2 : map.facts.n_keys;
  const work = (r1 - r0) * keys * map.cost;
  const read = Math.max(1, Math.min(stride[0], Math.floor((stride[0] * (asked.cells ?? work)) / work)));
  const logs = new Float64Array(height * width).fill(Number.NaN);
  const sums = new Float64Array(height * width);
  const counts = new Float64Array(height * width);
  const entropy = new Float32Array(height);
  const missing = new Float32Array(height);
  for (let row = r0; row < r1; row++) {
    const line = Math.floor((row - r0) / stride[0]);
    const size = Math.min(stride[0], r1 - r0 - line * stride[0]);
    const pooled = Math.min(read, size);
    const at = row - r0 - line * stride[0];
    // An even spread of the rows of a cell.
    if (Math.floor(((at + 1) * pooled) / size) === Math.floor((at * pooled) / size)) continue;
    const weights = map.row(layer, head, row, temperature, scaling);
    entropy[line]! += entropyOf(weights) / pooled;
    missing[line]! += (1 - weights.reduce((a, b) => a + b, 0)) / pooled;
    for (let column = c0; column < c1; column++) {
      if (map.masked(row, column)) continue;
      const cell = line * width + Math.floor((column - c0) / stride[1]);
      const log = Math.log(weights[column]!);
      if (!(logs[cell]! >= log)) logs[cell] = log;
      sums[cell]! += weights[column]!;
      counts[cell]! += 1;
    }
  }
  for (let cell = 0; pooling === "mean" && cell < logs.length; cell++) {
    logs[cell] = Math.log(sums[cell]! / counts[cell]!);
  }
  for (let line = 0; line < height; line++) if (missing[line]! < 1e-9) missing[line] = 0;
  let low = 0;
  for (const log of logs) if (Number.isFinite(log)) low = Math.min(low, log);
  const step = low === 0 ? 0 : -low / 65534;
  const codes = Uint16Array.from(logs, (log) => {
    if (Number.isNaN(log)) return 65535;
    return step === 0 ? 0 : Math.max(0, Math.min(65534, Math.round((log - low) / step)));
  });
  const header = {
    rows: [r0, r1],
    columns: [c0, c1],
    stride,
    shape: [height, width],
    low,
    step,
    temperature,
    scaling,
    pooling,
    sampled: read < stride[0] ? [read, stride[0]] : null,
    work,
  };
  return { header, buffers: [unaligned(codes), unaligned(missing), unaligned(entropy)] };
}

/** Hosts slice buffers out of one message: they start anywhere. */
export function unaligned(values: Uint8Array | Uint16Array | Float32Array): DataView {
  const bytes = new Uint8Array(values.byteLength + 3);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 3);
  return new DataView(bytes.buffer, 3);
}

function profileOf(map: MockMap, layer: number): Answer {
  const { n_keys } = map.facts;
  const heads = map.facts.heads[layer]!;
  const entropy = Float32Array.from({ length: heads }, (_, head) =>
    mean(map, (query) => map.entropy(layer, head, query)),
  );
  const uniform = mean(map, (query) => Math.log(map.facts.causal ? query + 1 : n_keys));
  return { header: { heads, uniform }, buffers: [unaligned(entropy)] };
}

function thumbnailsOf(map: MockMap, layer: number): Answer {
  const { n_queries, n_keys } = map.facts;
  const heads = map.facts.heads[layer]!;
  const height = Math.min(64, n_queries);
  const width = Math.min(64, n_keys);
  const peak: number[] = [];
  const values = new Uint8Array(heads * height * width);
  for (let head = 0; head < heads; head++) {
    peak[head] = 0;
    for (let query = 0; query < n_queries; query++) {
      const weights = map.row(layer, head, query);
      for (let key = 0; key < n_keys; key++) {
        const line = Math.floor((query * height) / n_queries);
        const cell = (head * height + line) * width + Math.floor((key * width) / n_keys);
        values[cell] = Math.max(values[cell]!, Math.round(255 * Math.sqrt(weights[key]!)));
        if (query > 0) peak[head] = Math.max(peak[head]!, weights[key]!);
      }
    }
    peak[head] ||= 1;
  }
  return { header: { layer, heads, shape: [height, width], peak }, buffers: [unaligned(values)] };
}

function measuresOf(map: MockMap, layer: number): Answer {
  const heads = map.facts.heads[layer]!;
  const values = MEASURES.flatMap((_, index) =>
    Array.from({ length: heads }, (_, head) => map.measure(index, layer, head)),
  );
  return { header: { layer, heads }, buffers: [unaligned(Float32Array.from(values))] };
}

function layerOf(map: MockMap, layer: number): Answer {
  const { n_queries, n_keys, causal, held } = map.facts;
  const heads = Array.from({ length: map.facts.heads[layer]! }, (_, head) => head);
  const common = { form: held![layer], layer, heads: heads.length, n_queries, n_keys };
  if (common.form === "codes") {
    const whole = { rows: [0, n_queries], columns: [0, n_keys], height: n_queries, width: n_keys };
    const tiles = heads.map((head) =>
      tileOf(map, layer, head, { ...whole, temperature: 1, scaling: 1 } as TileRequest),
    );
    const triangle = causal && n_queries === n_keys;
    const codes = tiles.flatMap(({ buffers }) =>
      Array.from({ length: n_queries }, (_, row) =>
        Array.from({ length: triangle ? row + 1 : n_keys }, (_, key) =>
          buffers[0]!.getUint16(2 * (row * n_keys + key), true),
        ),
      ).flat(),
    );
    const rows = (at: number) =>
      tiles.flatMap(({ buffers }) =>
        Array.from({ length: n_queries }, (_, row) => buffers[at]!.getFloat32(4 * row, true)),
      );
    return {
      header: {
        ...common,
        triangle,
        buffers: ["codes", "missing", "entropy"],
        low: tiles.map(({ header }) => header.low),
        step: tiles.map(({ header }) => header.step),
      },
      buffers: [
        unaligned(Uint16Array.from(codes)),
        unaligned(Float32Array.from(rows(1))),
        unaligned(Float32Array.from(rows(2))),
      ],
    };
  }
  const all = heads.map((head) => map.vectors(layer, head));
  const { width } = all[0]!;
  const q = all.flatMap(({ queries, sharp }) => Array.from(queries, (value) => value * sharp));
  const k = all.flatMap(({ keys }) => Array.from(keys));
  return {
    header: {
      ...common,
      buffers: ["q", "k"],
      dtype: "float32",
      key_value_heads: heads.length,
      width,
      scaling: 1 / Math.sqrt(width),
      softcap: null,
      mask: { causal, offset: 0, window: null },
    },
    buffers: [unaligned(Float32Array.from(q)), unaligned(Float32Array.from(k))],
  };
}

const findingsOf = (map: MockMap): Answer => ({
  header: { findings: map.findings, healthy: HEALTHY },
  buffers: [],
});

const OPERATIONS = {
  projections: (map: MockMap, { layer }: Question) => layerOf(map, layer),
  tile: (map: MockMap, asked: Question) => tileOf(map, asked.layer, asked.head, asked),
  profile: (map: MockMap, asked: Question) => profileOf(map, asked.layer),
  thumbnails: (map: MockMap, asked: Question) => thumbnailsOf(map, asked.layer),
  measures: (map: MockMap, asked: Question) => measuresOf(map, asked.layer),
  vitals: (_map: MockMap, { layer }: Question): Answer => ({ header: { layer }, buffers: [] }),
  findings: findingsOf,
  page: (map: MockMap, asked: Question): Answer => ({
    header: { name: `${map.facts.name} ${asked.layer}/${asked.head}.html` },
    buffers: [unaligned(new TextEncoder().encode(`<!doctype html><p>query ${asked.query} “é”</p>`))],
  }),
  picture: (map: MockMap) => pictureOf((map.facts.keys ?? map.facts.queries).image!),
};

export interface Question extends TileRequest {
  id: string;
  op: keyof typeof OPERATIONS;
  map: string;
  layer: number;
  head: number;
  axis: string;
  query: number | null;
}

type Listener = (...args: unknown[]) => void;

export class MockModel implements Model {
  readonly maps: MockMap[];
  readonly sent: Question[] = [];
  readonly saved: Partial<Choices>[] = [];
  comm_live: boolean | undefined = true;
  widget_manager: NonNullable<Model["widget_manager"]> = { kernel: { connectionStatus: "connected" } };
  /** Decides on each question: answer now, hold it back, or refuse with a sentence. */
  policy: (question: Question) => "answer" | "hold" | { error: string } = () => "answer";
  readonly held: Question[] = [];
  readonly #traits = new Map<string, unknown>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #unsaved: Partial<Choices> = {};

  constructor(maps: MockMap[], choices: Partial<Choices> = {}, title = "") {
    this.maps = maps;
    const facts: Facts = { title, maps: maps.map(({ facts }) => facts) };
    for (const [name, value] of Object.entries({ facts, ...choices })) this.#traits.set(name, value);
  }

  get(name: string): unknown {
    return this.#traits.get(name);
  }

  set(name: string, value: unknown): void {
    if (Object.is(this.#traits.get(name), value)) return;
    this.#traits.set(name, value);
    Object.assign(this.#unsaved, { [name]: value });
    this.#emit(`change:${name}`);
  }

  save_changes(): void {
    this.saved.push(this.#unsaved);
    this.#unsaved = {};
  }

  on(event: string, callback: Listener): void {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event)!.add(callback);
  }

  off(event: string, callback: Listener): void {
    this.#listeners.get(event)?.delete(callback);
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** What Python does when it sets a trait. */
  fromPython(choices: Partial<Choices> & { facts?: Facts }): void {
    for (const [name, value] of Object.entries(choices)) this.#traits.set(name, value);
    for (const name of Object.keys(choices)) this.#emit(`change:${name}`);
  }

  send(content: unknown): void {
    const question = content as Question;
    this.sent.push(question);
    const decision = this.policy(question);
    if (decision === "hold") this.held.push(question);
    else queueMicrotask(() => this.answer(question, decision === "answer" ? undefined : decision.error));
  }

  answer(question: Question, error?: string): void {
    if (error !== undefined) {
      this.message({ id: question.id, ok: false, error });
      return;
    }
    const { header, buffers } = this.replyTo(question);
    this.message({ id: question.id, ok: true, header }, buffers);
  }

  replyTo(question: Question): Answer {
    const map = this.maps.find(({ facts }) => facts.name === question.map)!;
    const { header, buffers } = OPERATIONS[question.op](map, question);
    const { version } = this.get("facts") as Facts;
    const versioned = question.op === "tile" || question.op === "projections";
    const told = versioned && version !== undefined ? { ...header, version } : header;
    return { header: told, buffers };
  }

  /** Answer everything that was held back. */
  release(): void {
    this.policy = () => "answer";
    for (const question of this.held.splice(0)) this.answer(question);
  }

  /** What JupyterLab does with every widget of a kernel that is restarted; anywidget does not pass on comm_live. */
  disconnect(): void {
    this.comm_live = undefined;
    this.send = () => {
      throw new Error("Cannot send");
    };
    this.#emit("comm_live_update");
  }

  message(content: unknown, buffers: DataView[] = []): void {
    this.#emit("msg:custom", content, buffers);
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...args);
  }
}
