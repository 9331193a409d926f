import { describe, expect, it } from "vitest";
import { findings } from "../../src/answers/findings";
import { Known } from "../../src/answers/known";
import { picture } from "../../src/answers/picture";
import type { Question } from "../../src/answers/question";
import { thumbnails } from "../../src/answers/thumbnails";
import { bracketed, placeName, sharing, shortName, spokenName } from "../../src/drawing/naming";
import { edgesOf, gutterOf, laned } from "../../src/drawing/spans";
import { massOf, patchOf } from "../../src/explorer/views/image/patches";
import type { Axis, Facts, ImageGrid, MapFacts } from "../../src/host/facts";

const axis = (spans: Axis["spans"], n = 10): Axis => ({
  labels: Array<string>(n).fill("a"),
  special: [],
  continues: [],
  ...(spans && { spans }),
});

describe("runs of tokens", () => {
  it("stand on one line side by side, and on two where one is inside the other", () => {
    const prompt = axis([
      ["prompt", 0, 6],
      ["generated", 6, 10],
    ]);
    expect(laned(prompt.spans!).map(({ lane }) => lane)).toEqual([0, 0]);
    const soft = axis([
      ["prefix", 0, 3],
      ["prompt", 0, 6],
      ["anchor", 3, 5],
    ]);
    expect(laned(soft.spans!).map(({ span, lane }) => [span[0], lane])).toEqual([
      ["prompt", 0],
      ["prefix", 1],
      ["anchor", 1],
    ]);
    expect(gutterOf(soft)).toBe(2 * gutterOf(prompt));
    expect(gutterOf(axis(undefined))).toBe(0);
  });
  it("have edges inside the map alone", () => {
    expect(
      edgesOf(
        axis([
          ["prompt", 0, 6],
          ["generated", 6, 10],
        ]),
      ),
    ).toEqual([6]);
  });
  it("are named after a token", () => {
    const both = axis([
      ["prompt", 0, 6],
      ["anchor", 3, 5],
    ]);
    expect([1, 4, 8].map((at) => bracketed(both, at))).toEqual([" (prompt)", " (prompt, anchor)", ""]);
    expect(bracketed(axis(undefined), 0)).toBe("");
  });
});

describe("places", () => {
  const map = {
    heads: [4, 2],
    key_value_heads: [2, 1],
    layer_numbers: [5, 9],
    head_numbers: [
      [0, 1, 2, 3],
      [6, 7],
    ],
  };
  const some = map as unknown as MapFacts;
  it("are called as in the model", () => {
    expect(placeName(some, 1, 0)).toBe("layer 9 · head 6");
    expect(spokenName(some, 0, 3)).toBe("Layer 5, head 3");
    expect(shortName(some, 1, 1)).toBe("L9 H7");
    expect(shortName(some, 1, null)).toBe("L9");
  });
  it("are counted where nothing else is known", () => {
    expect(placeName({ heads: [4], key_value_heads: [4] } as unknown as MapFacts, 0, 3)).toBe(
      "layer 0 · head 3",
    );
  });
  it("say who shares their keys", () => {
    expect(sharing(some, 0, 2)).toBe("key-value head 1, shared by heads 2 and 3");
    const many = { heads: [8], key_value_heads: [2] } as unknown as MapFacts;
    expect(sharing(many, 0, 5)).toBe("key-value head 1, shared by heads 4–7");
    expect(sharing({ heads: [8], key_value_heads: [8] } as unknown as MapFacts, 0, 5)).toBeNull();
  });
});

describe("the mass of a row over a picture", () => {
  const image: ImageGrid = { start: 1, rows: 2, columns: 2, picture: true };
  const other: ImageGrid = { start: 0, rows: 1, columns: 2, picture: true, places: [6, -1] };
  const keys = { ...axis(undefined, 7), images: [image] };
  const both = { ...keys, images: [image, other] };
  const row = (weights: number[], hidden: number[] = []) => ({
    query: 0,
    before: Float32Array.from(weights),
    after: Float32Array.from(weights),
    shown: Float32Array.from(weights),
    signed: false,
    masked: (key: number) => hidden.includes(key),
    entropyBefore: 0,
    entropyAfter: 0,
  });
  it("is all accounted for", () => {
    const mass = massOf(row([0.25, 0.125, 0.0625, 0.25, 0.0625, 0.125, 0]), keys);
    expect(mass).toEqual({
      patches: 0.5,
      each: [0.5],
      strongest: { image: 0, at: 2 },
      largest: 0.25,
      others: [0, 5, 6],
      unlisted: 0,
      rest: 0,
      beside: 0.375,
      outside: 0.125,
    });
  });
  it("leaves masked tokens out", () => {
    expect(massOf(row([0.5, 0.5, 0, 0, 0, 0, 0], [5, 6]), keys).others).toEqual([0]);
  });
  it("lists the heaviest of many tokens and sums the rest", () => {
    const words = Array.from({ length: 100 }, (_, at) => (at % 10 === 0 ? 1 / 16 : 1 / 512));
    const mass = massOf(row([0, 0, 0, 0, 0, ...words]), keys);
    expect(mass.others.length).toBe(24);
    expect(mass.others).toContain(5);
    expect(mass.unlisted).toBe(77);
    expect(mass.patches + mass.beside + mass.outside).toBe(1);
  });
  it("knows which positions are patches", () => {
    const patches = [0, 1, 4, 5, null].map((at) => patchOf(keys, at)?.at ?? null);
    expect(patches).toEqual([null, 0, 3, null, null]);
  });
  it("is told apart by pictures, whose patches may stand anywhere or be missing", () => {
    const mass = massOf(row([0.25, 0.125, 0.0625, 0, 0, 0.0625, 0.5]), both);
    expect([mass.patches, mass.each, mass.strongest, mass.others]).toEqual([
      0.6875,
      [0.1875, 0.5],
      { image: 1, at: 0 },
      [0, 5],
    ]);
    expect(patchOf(both, 6)).toEqual({ image: 1, at: 0 });
  });
});

describe("stand-ins", () => {
  const facts = (heads: number[], digest: number) => ({
    title: "",
    maps: [
      { name: "a/b", heads, queries: { ...axis([]), images: [{ start: 0, rows: 1, columns: 1, digest }] } },
    ] as unknown as MapFacts[],
  });
  const kept = (question: Question<unknown>, before: Facts, after: Facts | null) => {
    const known = new Known();
    known.keep(question, 1);
    known.age();
    known.turn(before, after);
    return [known.get(question), known.isFresh(question)];
  };
  it("stay where the heads are the same, and are asked for all the same", () => {
    expect(kept(thumbnails("a/b", 0), facts([2], 1), facts([2], 2))).toEqual([1, false]);
    expect(kept(thumbnails("a/b", 0), facts([2], 1), facts([3], 1))).toEqual([undefined, false]);
    expect(kept(thumbnails("a/b", 0), facts([2], 1), null)).toEqual([undefined, false]);
  });
  it("of a picture are that picture", () => {
    expect(kept(picture("a/b", "keys"), facts([2], 7), facts([2], 7))).toEqual([1, true]);
    expect(kept(picture("a/b", "keys"), facts([2], 7), facts([2], 8))).toEqual([undefined, false]);
  });
  it("which are findings are about nothing else", () => {
    expect(kept(findings("a/b"), facts([2], 7), facts([2], 7))).toEqual([undefined, false]);
  });
});
