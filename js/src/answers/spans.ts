/** Runs of tokens: how much each gives to each, and where each query looks. */
import { numbers } from "../attention/tile";
import type { NamedSpan } from "../host/facts";
import type { Question } from "./question";

/** A kind of spans that the kernel found, or spans that a person named. */
export type Asked = { kind: string } | { spans: readonly NamedSpan[] };

interface Sharpness {
  temperature: number;
  scaling: number;
}

export interface SpanMass {
  spans: NamedSpan[];
  keySpans: NamedSpan[];
  heads: number;
  /** [heads, spans, key spans]; NaN where no query of a span has values. */
  mass: Float32Array;
  /** [spans, key spans]: of a head that looks everywhere alike. */
  chance: Float32Array;
  /** Rows read, and rows that the spans have; null where all were read. */
  sampled: [read: number, of: number] | null;
}

export interface SpanRows {
  spans: NamedSpan[];
  /** Positions of the queries. */
  queries: Uint32Array;
  /** [queries, spans + 2]: behind the spans what a query gives to itself, and to what is in no span. */
  mass: Float32Array;
  sampled: [read: number, of: number] | null;
}

const named = (asked: object) => JSON.stringify(asked);

export function spanMass(map: string, layer: number, asked: Asked, sharpness: Sharpness): Question<SpanMass> {
  const body = { op: "span_mass", map, layer, ...asked, ...sharpness };
  return {
    name: named(body),
    body,
    worth: () => "none",
    read({ header, buffers }) {
      const spans = header.spans as NamedSpan[];
      const keySpans = header.key_spans as NamedSpan[];
      const heads = Number(header.heads);
      const cells = spans.length * keySpans.length;
      return {
        spans,
        keySpans,
        heads,
        mass: numbers(Float32Array, buffers[0], heads * cells, "mass of spans"),
        chance: numbers(Float32Array, buffers[1], cells, "chances of spans"),
        sampled: (header.sampled as SpanMass["sampled"]) ?? null,
      };
    },
  };
}

/** `head` is null for the mean of the heads. */
export function spanRows(
  map: string,
  layer: number,
  head: number | null,
  asked: Asked,
  sharpness: Sharpness,
): Question<SpanRows> {
  const body = { op: "span_rows", map, layer, head, ...asked, ...sharpness };
  return {
    name: named(body),
    body,
    worth: () => "none",
    read({ header, buffers }) {
      const spans = header.spans as NamedSpan[];
      const rows = (buffers[1]?.byteLength ?? 0) / 4;
      return {
        spans,
        queries: numbers(Uint32Array, buffers[1], rows, "queries"),
        mass: numbers(Float32Array, buffers[0], rows * (spans.length + 2), "mass of rows"),
        sampled: (header.sampled as SpanRows["sampled"]) ?? null,
      };
    },
  };
}

/** The spans that the kernel found, by kind, on each axis. */
export interface FoundSpans {
  queries: Record<string, NamedSpan[]>;
  /** Null where keys are the queries' own tokens. */
  keys: Record<string, NamedSpan[]> | null;
}

export const foundSpans = (map: string): Question<FoundSpans> => ({
  name: `spans/${map}`,
  body: { op: "spans", map },
  worth: () => "none",
  read: ({ header }) => header as unknown as FoundSpans,
});
