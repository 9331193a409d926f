/** What Python says about the maps once, before anything is asked for. */

export interface Axis {
  labels: string[];
  /** Indices of special tokens. */
  special: number[];
  /** Indices of tokens that go on with the word before them. */
  continues: number[];
  /** Named runs of tokens, half-open; absent or empty where none has a name. */
  spans?: NamedSpan[];
  /** Which tokens are the patches of which pictures; absent or empty where none are. */
  images?: ImageGrid[];
  /** How many runs of each kind the kernel found by itself. */
  found?: { [kind: string]: number };
  /** Position of each token in the text as it came, the first where several were merged; absent where it is its own. */
  origins?: number[];
}

export type NamedSpan = [name: string, start: number, stop: number];

/** Patches row by row, from the top left of the picture. */
export interface ImageGrid {
  /** Which of several: "picture 1", "overview", "tile 1, 2", "frame 3"; empty or absent where there is one. */
  name?: string;
  /** Position of the first patch. */
  start: number;
  rows: number;
  columns: number;
  /** Position of each patch, -1 where no token stands for it; absent or null where they follow each other. */
  places?: number[] | null;
  /** Whether the kernel has the picture itself. */
  picture: boolean;
  /** Tells one picture from another; absent where there is none. */
  digest?: number | null;
}

/** One number a head, by which the grid can be badged and sorted. */
export interface Measure {
  name: string;
  label: string;
  /** Empty where the number has none. */
  unit: string;
  /** What it says of a head, in a sentence. */
  about: string;
}

/** What the scores of a layer are made of: q·k × scaling, and what is done to that before the softmax. */
export interface ScoreFacts {
  scaling: number;
  /** Of queries and keys. */
  width: number;
  /** Whether something is added to them. */
  bias?: boolean;
  /** They become softcap × tanh(scores / softcap). */
  softcap?: number;
  /** Whether a score that belongs to no key takes part in the softmax. */
  sinks?: boolean;
  /** Whether it is known how queries and keys were turned for their positions. */
  rotary?: boolean;
}

/** One thing that was done to the tokens of a map. */
export interface Lensed {
  kind: "words" | "special" | "sinks" | "tokens" | "only";
  /** How many tokens it hid or kept. */
  count?: number;
  /** Whether learned sinks went, which are no tokens. */
  learned?: boolean;
  /** Names of the spans that it kept. */
  names?: string[];
}

/** One number for each key, as an attribution. */
export interface Strip {
  name: string;
  values: number[];
  signed: boolean;
}

export interface MapFacts {
  name: string;
  /** Heads of each layer; layers may differ. */
  heads: number[];
  layer_names: string[];
  /** What layers and heads are called in the model; absent where that is their place here. */
  layer_numbers?: number[];
  head_numbers?: number[][];
  key_value_heads: number[];
  /** How each layer can be sent as a whole, for heads to be made of it here; null or absent where it cannot. */
  held?: ("projections" | "codes" | null)[];
  /** By layer; null where it was given as weights, null or absent where all were. */
  scores?: (ScoreFacts | null)[] | null;
  n_queries: number;
  n_keys: number;
  queries: Axis;
  /** null where keys are the queries' own tokens. */
  keys: Axis | null;
  /** The token after the last query: generated last, and never a query itself. */
  following?: string | null;
  causal: boolean;
  notes: string[];
  /** What stands along the keys; absent where nothing does. */
  strip?: Strip;
  /** Absent where the kernel measures nothing. */
  measures?: Measure[];
  /** Whether the kernel can look through the map for what is unusual. */
  diagnosed?: boolean;
  /** Whether the kernel can say which heads are worth a look. */
  standouts?: boolean;
  /** What was done to its tokens; absent or empty where nothing was. */
  lens?: Lensed[];
  /** False where temperature and scaling cannot act, as on sums of weights. */
  tempers?: boolean;
  /** Of two runs that are compared, which one it is of, and which of its maps; the other has the same part. */
  run?: string;
  part?: string;
  /** What the map was made into, as "rollout"; absent or empty where heads are the model's own. */
  derived?: string;
}

export interface Facts {
  title: string;
  /** Counts how often the maps were replaced. */
  version?: number;
  maps: MapFacts[];
  /** Where they are the two sides of an effect, what 1 stands for in them, in logits; absent where they are shares. */
  unit?: number;
}

export const keysOf = (map: MapFacts): Axis => map.keys ?? map.queries;

/** Whether temperature and scaling act on it: they do on one head's scores. */
export const isTempered = (map: MapFacts): boolean => !map.derived && map.tempers !== false;

/** The runs that a token is in. */
export const spansAt = (axis: Axis, index: number): string[] =>
  (axis.spans ?? []).filter(([, start, stop]) => index >= start && index < stop).map(([name]) => name);

export const axisOf = (map: MapFacts, axis: "keys" | "queries"): Axis =>
  axis === "keys" ? keysOf(map) : map.queries;

export const imagesOf = (axis: Axis): ImageGrid[] => axis.images ?? [];

/** The axis that pictures are shown for: the keys, which are what is looked at, before the queries. */
export function imageAxis(map: MapFacts): "keys" | "queries" | null {
  if (imagesOf(keysOf(map)).length > 0) return "keys";
  return imagesOf(map.queries).length > 0 ? "queries" : null;
}

/** Whether its tokens are the patches of pictures, and special ones beside them: there is no text to read. */
export function isAllPicture(map: MapFacts): boolean {
  const special = new Set(map.queries.special);
  const patches = imagesOf(map.queries).reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  return map.keys === null && patches > 0 && patches + special.size >= map.n_queries;
}

export const layerNumber = (map: MapFacts, layer: number): number => map.layer_numbers?.[layer] ?? layer;
export const headNumber = (map: MapFacts, layer: number, head: number): number =>
  map.head_numbers?.[layer]?.[head] ?? head;

/** Whether whole maps are asked for; larger ones are asked for at the resolution of the screen. */
export const WHOLE = 1024;
export const isWhole = (map: MapFacts): boolean => map.n_queries <= WHOLE && map.n_keys <= WHOLE;

/** How many query heads of a layer read one key-value head; 1 where each has its own. */
export function groupSize(map: MapFacts, layer: number): number {
  const heads = map.heads[layer];
  const shared = map.key_value_heads[layer];
  return heads && shared && shared < heads ? heads / shared : 1;
}

/** The key-value head that a query head reads, where heads share them. */
export function keyValueHead(map: MapFacts, layer: number, head: number): number | null {
  const size = groupSize(map, layer);
  return size > 1 ? Math.floor(head / size) : null;
}

/** Whether queries are the keys themselves, so that what one layer gives out for a token is what the next takes in. */
export const isSelfAttention = ({ keys, n_queries, n_keys }: MapFacts): boolean =>
  keys === null && n_queries === n_keys;
