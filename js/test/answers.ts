/** What a kernel would answer about such maps. */
import type { ImageGrid, NamedSpan } from "../src/host/facts";
import { entropyOf, HEALTHY, MEASURES, type MockMap, mean } from "./maps";

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
export function unaligned(values: Uint8Array | Uint16Array | Int32Array | Float32Array): DataView {
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

function rowsOf(map: MockMap, layer: number, query: number): Answer {
  const heads = map.facts.heads[layer]!;
  const { n_keys } = map.facts;
  const stride = Math.ceil(n_keys / 1024);
  const cells = Math.ceil(n_keys / stride);
  const values = new Uint16Array(heads * cells);
  const peak = Array.from({ length: heads }, (_, head) => {
    const weights = map.row(layer, head, query);
    for (let key = 0; key < n_keys; key++) {
      const cell = head * cells + Math.floor(key / stride);
      values[cell] = Math.max(values[cell]!, Math.round(65535 * Math.sqrt(weights[key]!)));
    }
    return weights.reduce((one, other) => Math.max(one, other));
  });
  return {
    header: { layer, query, heads, stride, shape: [heads, cells], peak },
    buffers: [unaligned(values)],
  };
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
  const turned = map.angles(n_queries);
  return {
    header: {
      ...common,
      buffers: turned ? ["q", "k", "query_angles"] : ["q", "k"],
      rotary: turned && { pairing: "halves", start: 0, pairs: turned.pairs },
      dtype: "float32",
      key_value_heads: heads.length,
      width,
      scaling: 1 / Math.sqrt(width),
      softcap: null,
      mask: { causal, offset: 0, window: null },
    },
    buffers: [
      unaligned(Float32Array.from(q)),
      unaligned(Float32Array.from(k)),
      ...(turned ? [unaligned(turned.angles)] : []),
    ],
  };
}

function productsOf(map: MockMap, { layer, head, query, key }: Question): Answer {
  const { width, queries, keys, sharp } = map.vectors(layer, head);
  const cut = (values: Float32Array, at: number | null | undefined) =>
    at === null || at === undefined ? values : values.slice(at * width, (at + 1) * width);
  const q = cut(queries, query).map((value) => value * sharp);
  const k = cut(keys, key);
  return {
    header: { queries: q.length / width, keys: k.length / width, width, rotary: null },
    buffers: [unaligned(q), unaligned(k)],
  };
}

/** The first two dimensions are the plane; every other head can be read. */
function planeOf(map: MockMap, { layer, head }: Question): Answer {
  const heads = head === undefined ? [...Array(map.facts.heads[layer]!).keys()] : [head];
  const { n_queries, n_keys } = map.facts;
  const flat = (values: Float32Array, width: number) => values.filter((_, at) => at % width < 2);
  const all = heads.map((one) => map.vectors(layer, one));
  const places = (n: number) => unaligned(Int32Array.from({ length: n }, (_, at) => at));
  return {
    header: {
      first: heads[0]!,
      heads: heads.length,
      queries: n_queries,
      keys: n_keys,
      pairs: heads.map(() => (n_queries * (n_keys + 1)) / 2),
      sampled: false,
    },
    buffers: [
      unaligned(Float32Array.from(all.flatMap(({ queries, width }) => [...flat(queries, width)]))),
      unaligned(Float32Array.from(all.flatMap(({ keys, width }) => [...flat(keys, width)]))),
      unaligned(Float32Array.from(heads, (one) => (one % 2 === 0 ? 0.75 : 0.25))),
      places(n_queries),
      places(n_keys),
    ],
  };
}

function scoresOf(map: MockMap, { layer, head, query }: Question): Answer {
  const score = map.score(layer, head);
  const keys = Array.from({ length: map.facts.n_keys }, (_, key) => key);
  const { scaling } = map.facts.scores![layer]!;
  const products = keys.map((key) => score(query!, key) / scaling);
  const scores = keys.map((key) => (map.masked(query!, key) ? Number.NEGATIVE_INFINITY : score(query!, key)));
  const buffers = [products, scores, [Number.NEGATIVE_INFINITY]];
  return { header: {}, buffers: buffers.map((values) => unaligned(Float32Array.from(values))) };
}

interface SpansAsked {
  layer: number;
  head?: number;
  kind?: string;
  spans?: NamedSpan[];
  temperature: number;
  scaling: number;
}

const spansAsked = (map: MockMap, { kind, spans }: SpansAsked): NamedSpan[] => spans ?? map.found[kind!]!;
const massIn = (row: Float64Array, [, start, stop]: NamedSpan) =>
  row.subarray(start, stop).reduce((a, b) => a + b, 0);

/** Of every row: longer maps read a spread of them, and say so. */
function spanMassOf(map: MockMap, asked: SpansAsked): Answer {
  const spans = spansAsked(map, asked);
  const heads = map.facts.heads[asked.layer]!;
  const mass: number[] = [];
  const chance: number[] = [];
  for (let head = 0; head < heads; head++) {
    for (const [, start, stop] of spans) {
      for (const to of spans) {
        let sum = 0;
        let even = 0;
        for (let query = start; query < stop; query++) {
          sum += massIn(map.row(asked.layer, head, query, asked.temperature, asked.scaling), to);
          const seen = map.facts.causal ? query + 1 : map.facts.n_keys;
          even += Math.max(0, Math.min(seen, to[2]) - to[1]) / seen;
        }
        mass.push(sum / (stop - start));
        if (head === 0) chance.push(even / (stop - start));
      }
    }
  }
  const header = { layer: asked.layer, heads, spans, key_spans: spans, sampled: null };
  return { header, buffers: [unaligned(Float32Array.from(mass)), unaligned(Float32Array.from(chance))] };
}

function spanRowsOf(map: MockMap, asked: SpansAsked): Answer {
  const spans = spansAsked(map, asked);
  const mass: number[] = [];
  const queries = new Uint32Array(map.facts.n_queries).map((_, query) => query);
  for (const query of queries) {
    const row = map.row(asked.layer, asked.head!, query, asked.temperature, asked.scaling);
    const own = row[query]!;
    row[query] = 0;
    const inside = spans.map((span) => massIn(row, span));
    mass.push(...inside, own, row.reduce((a, b) => a + b, 0) - inside.reduce((a, b) => a + b, 0));
  }
  const header = { layer: asked.layer, head: asked.head, spans, sampled: null };
  return { header, buffers: [unaligned(Float32Array.from(mass)), unaligned(new Uint8Array(queries.buffer))] };
}

/** As the kernel sends them, for maps small enough to be walked cell by cell. */
export function pathsOf(map: MockMap, query: number, heads: string, threshold = 0.002): Answer {
  const { n_queries: n, heads: counts } = map.facts;
  const edges: { edge: number[]; share: number; weight: number }[] = [];
  let flow = Array.from({ length: n }, (_, token) => Number(token === query));
  const levels = [flow];
  for (let layer = counts.length - 1; layer >= 0; layer--) {
    const below = new Array<number>(n).fill(0);
    const found: typeof edges = [];
    for (let from = 0; from < n; from++) {
      if (flow[from] === 0) continue;
      const rows = Array.from({ length: counts[layer]! }, (_, head) => map.row(layer, head, from));
      for (let to = 0; to < n; to++) {
        const parts = rows.map((row, head) => ({ head, weight: row[to]! / 2 / rows.length }));
        parts.push({ head: -1, weight: from === to ? 0.5 : 0 });
        const sum = parts.reduce((all, { weight }) => all + weight, 0);
        below[to]! += flow[from]! * sum;
        for (const { head, weight } of heads === "each" ? parts : [{ head: -1, weight: sum }]) {
          const share = flow[from]! * weight;
          if (share > 0 && share >= threshold) found.push({ edge: [layer, from, to, head], share, weight });
        }
      }
    }
    edges.push(...found.sort((one, other) => other.share - one.share));
    flow = below;
    levels.unshift(flow);
  }
  const nodes = new Map([[`${counts.length}/${query}`, [counts.length, query]]]);
  for (const { edge } of edges) {
    const [layer, from, to] = edge as [number, number, number];
    nodes.set(`${layer + 1}/${from}`, [layer + 1, from]);
    nodes.set(`${layer}/${to}`, [layer, to]);
  }
  const touched = [...nodes.values()] as [number, number][];
  const numbers = [...edges.map(({ share }) => share), ...edges.map(({ weight }) => weight)];
  return {
    header: { threshold, left_out: 0, known: 0 },
    buffers: [
      unaligned(Int32Array.from(edges.flatMap(({ edge }) => edge))),
      unaligned(Float32Array.from(numbers)),
      unaligned(Int32Array.from(touched.flat())),
      unaligned(Float32Array.from(touched.map(([level, token]) => levels[level]![token]!))),
    ],
  };
}

/** As for long maps, of which every so many rows are read. */
function columnOf(map: MockMap, { layer, head, key, temperature, scaling }: Question): Answer {
  const { n_queries } = map.facts;
  const every = n_queries > 4096 ? 4 : 1;
  const weights = Float32Array.from({ length: n_queries }, (_, query) =>
    query % every || map.masked(query, key!)
      ? Number.NaN
      : map.row(layer, head, query, temperature, scaling)[key!]!,
  );
  return { header: { read: Math.ceil(n_queries / every) }, buffers: [unaligned(weights)] };
}

const findingsOf = (map: MockMap): Answer => ({
  header: { findings: map.findings, healthy: HEALTHY },
  buffers: [],
});

export interface Question extends TileRequest {
  id: string;
  op: keyof typeof OPERATIONS;
  map: string;
  layer: number;
  head: number;
  axis: string;
  query: number | null;
  number?: number;
  heads?: string;
  key?: number | null;
}

export const OPERATIONS = {
  scores: (map: MockMap, asked: Question) => scoresOf(map, asked),
  paths: (map: MockMap, { query, heads }: Question) => pathsOf(map, query!, heads!),
  products: (map: MockMap, asked: Question) => productsOf(map, asked),
  plane: (map: MockMap, asked: Question) => planeOf(map, asked),
  column: (map: MockMap, asked: Question) => columnOf(map, asked),
  projections: (map: MockMap, { layer }: Question) => layerOf(map, layer),
  tile: (map: MockMap, asked: Question) => tileOf(map, asked.layer, asked.head, asked),
  profile: (map: MockMap, asked: Question) => profileOf(map, asked.layer),
  thumbnails: (map: MockMap, asked: Question) => thumbnailsOf(map, asked.layer),
  measures: (map: MockMap, asked: Question) => measuresOf(map, asked.layer),
  vitals: (_map: MockMap, { layer }: Question): Answer => ({ header: { layer }, buffers: [] }),
  spans: (map: MockMap): Answer => ({ header: { queries: map.found, keys: null }, buffers: [] }),
  span_mass: spanMassOf,
  span_rows: spanRowsOf,
  findings: findingsOf,
  standouts: (map: MockMap): Answer => ({ header: { ...map.standouts }, buffers: [] }),
  page: (_: MockMap, asked: Question): Answer => ({
    header: {},
    buffers: [unaligned(new TextEncoder().encode(`<!doctype html><p>query ${asked.query} “é”</p>`))],
  }),
  picture: (map: MockMap, { number = 0 }: Question) =>
    pictureOf((map.facts.keys ?? map.facts.queries).images![number]!),
  rows: (map: MockMap, { layer, query }: Question) => rowsOf(map, layer, query!),
};

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
