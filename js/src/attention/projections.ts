/** A layer as its queries and keys, the way the kernel sends it, or as the codes of all its heads where these are smaller. */
import { type Bytes, numbers } from "./tile";

/** Which keys a query may see: a rule, or bits where it is none. */
export type MaskRule = { causal: boolean; offset: number; window: number | null };
export type MaskBits = { heads: number; bits: Uint8Array };

/** Two dimensions turn together by an angle for each token: i and i + pairs, or 2 i and 2 i + 1, from `start` on. */
export interface RotaryHeader {
  pairing: "halves" | "neighbours";
  start: number;
  pairs: number;
}

/** Angles in radians, [tokens, pairs]; NaN where one is not known. */
export interface Rotary extends RotaryHeader {
  queryAngles: Float32Array;
  keyAngles: Float32Array;
}

export interface Projections {
  form: "projections";
  heads: number;
  keyValueHeads: number;
  nQueries: number;
  nKeys: number;
  width: number;
  scaling: number;
  softcap: number | null;
  /** [heads, queries, width] and [key-value heads, keys, width], row by row. */
  q: Float32Array;
  k: Float32Array;
  /** Learned logits that compete with the keys, one a head. */
  sinks: Float32Array | null;
  mask: MaskRule | MaskBits;
  /** How queries and keys were turned for their positions, where that is known. */
  rotary: Rotary | null;
  bytes: number;
}

export interface Codes {
  form: "codes";
  heads: number;
  nQueries: number;
  nKeys: number;
  low: number[];
  step: number[];
  /** Whether only keys up to the query's own are there, row by row. */
  triangle: boolean;
  codes: Uint16Array;
  missing: Float32Array;
  entropy: Float32Array;
  bytes: number;
}

export type HeldLayer = Projections | Codes;

/** What the kernel says beside the bytes. */
export interface LayerHeader {
  form: "projections" | "codes";
  heads: number;
  n_queries: number;
  n_keys: number;
  /** The names of the buffers, in their order. */
  buffers: string[];
  key_value_heads?: number;
  width?: number;
  dtype?: "float32" | "float16" | "bfloat16";
  scaling?: number;
  softcap?: number | null;
  mask?: { causal: boolean; offset: number; window: number | null };
  mask_heads?: number;
  rotary?: RotaryHeader | null;
  low?: number[];
  step?: number[];
  triangle?: boolean;
}

export function decodeLayer(header: LayerHeader, buffers: readonly Bytes[]): HeldLayer {
  const named = (name: string) => buffers[header.buffers.indexOf(name)];
  const { heads, n_queries: nQueries, n_keys: nKeys } = header;
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
  if (header.form === "codes") {
    const triangle = header.triangle ?? false;
    const cells = triangle ? (nQueries * (nQueries + 1)) / 2 : nQueries * nKeys;
    return {
      form: "codes",
      heads,
      nQueries,
      nKeys,
      low: header.low!,
      step: header.step!,
      triangle,
      codes: numbers(Uint16Array, named("codes"), heads * cells, "codes"),
      missing: numbers(Float32Array, named("missing"), heads * nQueries, "missing mass"),
      entropy: numbers(Float32Array, named("entropy"), heads * nQueries, "entropy"),
      bytes,
    };
  }
  const { key_value_heads: keyValueHeads = heads, width = 0, dtype = "float32" } = header;
  const sinks = header.buffers.includes("sinks");
  const maskHeads = header.mask_heads ?? 1;
  const packed = header.buffers.includes("mask");
  const size = Math.ceil((nQueries * nKeys) / 8) * maskHeads;
  const { rotary } = header;
  const angles = (name: string, tokens: number) =>
    numbers(Float32Array, named(name), tokens * rotary!.pairs, "angles");
  const queryAngles = rotary ? angles("query_angles", nQueries) : null;
  const keyAngles = header.buffers.includes("key_angles") ? angles("key_angles", nKeys) : queryAngles;
  return {
    form: "projections",
    heads,
    keyValueHeads,
    nQueries,
    nKeys,
    width,
    scaling: header.scaling ?? 1,
    softcap: header.softcap ?? null,
    q: floats(named("q"), heads * nQueries * width, dtype, "queries"),
    k: floats(named("k"), keyValueHeads * nKeys * width, dtype, "keys"),
    sinks: sinks ? numbers(Float32Array, named("sinks"), heads, "sinks") : null,
    mask: packed
      ? { heads: maskHeads, bits: numbers(Uint8Array, named("mask"), size, "mask") }
      : (header.mask ?? { causal: false, offset: 0, window: null }),
    rotary: rotary && queryAngles && keyAngles ? { ...rotary, queryAngles, keyAngles } : null,
    bytes,
  };
}

/** Numbers in 16 bits as float32, which holds each of them exactly. */
function floats(
  bytes: Bytes | undefined,
  length: number,
  dtype: NonNullable<LayerHeader["dtype"]>,
  what: string,
): Float32Array {
  if (dtype === "float32") return numbers(Float32Array, bytes, length, what);
  const halves = numbers(Uint16Array, bytes, length, what);
  if (dtype === "bfloat16") {
    const bits = new Uint32Array(length);
    for (let at = 0; at < length; at++) bits[at] = halves[at]! << 16;
    return new Float32Array(bits.buffer);
  }
  return Float32Array.from(halves, half);
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
