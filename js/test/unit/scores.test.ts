import { describe, expect, it } from "vitest";
import { decodeLayer, type LayerHeader, type Projections } from "../../src/attention/projections";
import { logWeights, mapOf } from "../../src/attention/scores";
import { Temper, weightOf } from "../../src/attention/temper";
import { decodeTile, MASKED } from "../../src/attention/tile";
import written from "./vectors.json";

interface Vector {
  name: string;
  header: LayerHeader;
  buffers: string[];
  /** By head, query and key; of double precision. */
  weights: number[][][];
  missing: (number | null)[][];
  entropy: (number | null)[][];
}

/** What Python sends, and the weights that must come of it. */
const vectors = written as unknown as Vector[];
const layerOf = ({ header, buffers }: Vector) =>
  decodeLayer(
    header,
    buffers.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))),
  );
const heads = (vector: Vector) => Array.from({ length: vector.header.heads }, (_, head) => head);
const near = (value: number, wanted: number | null, within: number) =>
  wanted === null ? Number.isNaN(value) : Math.abs(value - wanted) <= within;

const named = (wanted: Vector[]) => wanted.map((vector) => [vector.name, vector] as const);
const projected = vectors.filter(({ header }) => header.form === "projections");

describe("queries and keys", () => {
  it.each(named(projected))("give the kernel's weights, to a millionth: %s", (_, vector) => {
    const layer = layerOf(vector) as Projections;
    for (const head of heads(vector)) {
      const { logs, missing, entropy } = logWeights(layer, head);
      vector.weights[head]!.forEach((row, query) => {
        row.forEach((weight, key) => {
          const made = Math.exp(logs[query * layer.nKeys + key]!);
          expect(near(made, weight, 1e-6), `${query}, ${key}: ${made} for ${weight}`).toBe(true);
        });
        expect(near(missing[query]!, vector.missing[head]![query]!, 1e-6)).toBe(true);
        expect(near(entropy[query]!, vector.entropy[head]![query]!, 1e-5)).toBe(true);
      });
    }
  });
});

describe("a layer that was sent", () => {
  it.each(named(vectors))("is drawn with the kernel's weights, to a ten-thousandth: %s", (_, vector) => {
    const layer = layerOf(vector);
    for (const head of heads(vector)) {
      const { low, step, codes, missing, entropy } = mapOf(layer, head);
      const { nQueries, nKeys } = layer;
      const header = {
        ...{ low, step, temperature: 1, scaling: 1, pooling: "max" as const, sampled: null, work: 0 },
        ...{ rows: [0, nQueries] as [number, number], columns: [0, nKeys] as [number, number] },
        ...{ stride: [1, 1] as [number, number], shape: [nQueries, nKeys] as [number, number] },
      };
      const tile = decodeTile(header, [codes, missing, entropy], nKeys, false);
      const tempered = new Temper().run(tile, 1, 1);
      vector.weights[head]!.flat().forEach((weight, cell) => {
        expect(Math.abs(weightOf(tile, tempered, cell) - weight)).toBeLessThan(1e-4);
        if (codes[cell] === MASKED) expect(weight).toBe(0);
      });
    }
  });
});
