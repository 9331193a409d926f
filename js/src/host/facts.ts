/** What Python says about the maps once, before anything is asked for. */

export interface Axis {
  labels: string[];
  /** Indices of special tokens. */
  special: number[];
  /** Indices of tokens that go on with the word before them. */
  continues: number[];
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

export interface MapFacts {
  name: string;
  /** Heads of each layer; layers may differ. */
  heads: number[];
  layer_names: string[];
  key_value_heads: number[];
  n_queries: number;
  n_keys: number;
  queries: Axis;
  /** null where keys are the queries' own tokens. */
  keys: Axis | null;
  causal: boolean;
  notes: string[];
  /** Absent where the kernel measures nothing. */
  measures?: Measure[];
  /** Whether the kernel can look through the map for what is unusual. */
  diagnosed?: boolean;
  /** What the map was made into, as "rollout"; absent or empty where heads are the model's own. */
  derived?: string;
}

export interface Facts {
  title: string;
  maps: MapFacts[];
}

export const keysOf = (map: MapFacts): Axis => map.keys ?? map.queries;

/** Whether whole maps are asked for; larger ones are asked for at the resolution of the screen. */
export const WHOLE = 1024;
export const isWhole = (map: MapFacts): boolean => map.n_queries <= WHOLE && map.n_keys <= WHOLE;

/** The key-value head that a query head reads, where heads share them. */
export function keyValueHead(map: MapFacts, layer: number, head: number): number | null {
  const heads = map.heads[layer];
  const shared = map.key_value_heads[layer];
  if (!heads || !shared || shared >= heads) return null;
  return Math.floor(head / (heads / shared));
}
