import { describe, expect, it } from "vitest";
import { bySize, lessThose, sumOf, termsOf, vectorsOf } from "../../src/attention/products";
import { decodeLayer, type LayerHeader, type Projections } from "../../src/attention/projections";
import { rowScores } from "../../src/attention/scores";
import written from "./vectors.json";

interface Vector {
  name: string;
  header: LayerHeader;
  buffers: string[];
  /** Of head 1, query 7 and key 3, in the model's order. */
  terms?: { total: number[]; content: number[] };
}

const layerOf = ({ header, buffers }: Vector) =>
  decodeLayer(
    header,
    buffers.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))),
  ) as Projections;
const projected = (written as unknown as Vector[]).filter(({ header }) => header.form === "projections");
const turned = projected.filter(({ terms }) => terms);
const named = (wanted: Vector[]) => wanted.map((vector) => [vector.name, vector] as const);

describe("the terms of a score", () => {
  it.each(named(turned))("have the kernel's content, to a millionth: %s", (_, vector) => {
    const terms = termsOf(vectorsOf(layerOf(vector), 1), 7, 3, true);
    for (const what of ["total", "content"] as const) {
      expect(terms).toHaveLength(vector.terms![what].length);
      for (const [at, wanted] of vector.terms![what].entries())
        expect(terms[at]![what]).toBeCloseTo(wanted, 6);
    }
  });

  it.each(named(projected))("sum to the product of the row: %s", (_, vector) => {
    const layer = layerOf(vector);
    const { products } = rowScores(layer, 1, 2);
    for (const paired of [true, false])
      expect(sumOf(termsOf(vectorsOf(layer, 1), 2, 6, paired), "total")).toBeCloseTo(products[6]!, 5);
  });

  it("are each dimension alone where pairs are not wanted, and have no content then", () => {
    const layer = layerOf(turned[0]!);
    const terms = termsOf(vectorsOf(layer, 0), 4, 1, false);
    expect(terms.map(({ dimensions }) => dimensions)).toEqual([[0], [1], [2], [3]]);
    expect(terms.every(({ content }) => Number.isNaN(content))).toBe(true);
  });

  it("go from what adds most to what takes away most, and what is no number comes last", () => {
    const [one] = termsOf(vectorsOf(layerOf(turned[0]!), 0), 4, 1, false);
    const terms = [0, Number.NaN, -3, 5].map((total) => ({ ...one!, total }));
    expect(bySize(terms).map(({ total }) => total)).toEqual([5, 0, -3, Number.NaN]);
    expect(lessThose(terms, [...terms].reverse()).map(({ total }) => total)).toEqual([
      -5,
      Number.NaN,
      Number.NaN,
      5,
    ]);
  });
});
