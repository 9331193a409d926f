import { describe, expect, it } from "vitest";
import { placeName, shortName, spokenName, withArticle } from "../../src/drawing/naming";
import { brief } from "../../src/drawing/words";
import { inModelOrder, ranked, stepped } from "../../src/explorer/views/grid/ranking";
import type { MapFacts } from "../../src/host/facts";

const names = (places: { layer: number; head: number }[]) =>
  places.map(({ layer, head }) => `${layer}/${head}`).join(" ");

describe("a ranking", () => {
  const numbers: Record<string, number> = {
    "0/0": 0.5,
    "0/1": Number.NaN,
    "0/2": 2,
    "1/0": 0.5,
    "2/0": -1,
    "2/1": 0.5,
  };
  const of = (layer: number, head: number) => numbers[`${layer}/${head}`] ?? Number.NaN;

  it("has numbers first, then heads without one", () => {
    expect(names(ranked([3, 2, 2], of, "highest"))).toBe("0/2 0/0 1/0 2/1 2/0 0/1 1/1");
    expect(names(ranked([3, 2, 2], of, "lowest"))).toBe("2/0 0/0 1/0 2/1 0/2 0/1 1/1");
  });
  it("leaves the order of the model alone", () => {
    expect(names(ranked([3, 0, 2], of, "model"))).toBe("0/0 0/1 0/2 2/0 2/1");
    expect(names(ranked([2, 2], () => Number.NaN, "highest"))).toBe("0/0 0/1 1/0 1/1");
    expect(inModelOrder([])).toEqual([]);
  });
  it("knows infinite numbers", () => {
    const values = [0, Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY];
    expect(names(ranked([4], (_, head) => values[head]!, "highest"))).toBe("0/3 0/0 0/1 0/2");
  });
  it("of 24 x 16 heads takes no time", () => {
    const places = ranked(
      Array<number>(24).fill(16),
      (layer, head) => Math.sin(layer * 16 + head),
      "highest",
    );
    expect(places).toHaveLength(384);
    const values = places.map(({ layer, head }) => Math.sin(layer * 16 + head));
    expect(values).toEqual([...values].sort((one, other) => other - one));
  });
});

describe("a walk through lines of four", () => {
  it.each([
    ["ArrowRight", 3, 4],
    ["ArrowLeft", 4, 3],
    ["ArrowLeft", 0, 0],
    ["ArrowRight", 9, 9],
    ["ArrowDown", 1, 5],
    ["ArrowDown", 7, 9],
    ["ArrowDown", 8, 8],
    ["ArrowUp", 5, 1],
    ["ArrowUp", 2, 2],
    ["Home", 7, 0],
    ["End", 1, 9],
  ])("%s leads from %i to %i", (key, from, to) => {
    expect(stepped(key, from, 10, 4)).toBe(to);
  });
  it("ignores other keys", () => expect(stepped("Enter", 3, 10, 4)).toBeNull());
});

describe("a badge", () => {
  it.each([
    [0.834, "0.83"],
    [2.14, "2.1"],
    [14.3, "14"],
    [0.996, "1.0"],
    [9.96, "10"],
    [0, "0"],
    [1, "1.0"],
    [-0.25, "−0.25"],
    [-0.001, "0.00"],
    [123.4, "123"],
    [45_600, "46k"],
    [Number.NaN, "–"],
    [Number.POSITIVE_INFINITY, "∞"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ])("of %d reads %s", (value, text) => expect(brief(value)).toBe(text));
  it("drops the zero where room is scarce", () => {
    expect([0.834, -0.25, 2.14, 0].map((value) => brief(value, true))).toEqual([".83", "−.25", "2.1", "0"]);
  });
});

describe("names", () => {
  const map = (heads: number[], derived?: string) => ({ heads, ...(derived && { derived }) }) as MapFacts;
  it("of heads say layer and head", () => {
    expect(placeName(map([4, 4]), 1, 2)).toBe("layer 1 · head 2");
    expect(spokenName(map([4, 4]), 1, 2)).toBe("Layer 1, head 2");
    expect(shortName(map([4, 4]), 1, 2)).toBe("L1 H2");
    expect(shortName(map([4, 4]), 1, null)).toBe("L1");
  });
  it("of derived maps say what they are", () => {
    expect(placeName(map([1, 1], "rollout"), 1, 0)).toBe("layer 1 · rollout");
    expect(spokenName(map([1, 1], "rollout"), 1, 0)).toBe("Layer 1, rollout");
    expect(shortName(map([1, 1], "rollout"), 1, 0)).toBe("L1");
    expect(placeName(map([1], "flow"), 0, 0)).toBe("flow");
    expect(spokenName(map([1], "flow"), 0, 0)).toBe("Flow");
    expect(placeName(map([2], "flow"), 0, 1)).toBe("flow 1");
  });
  it("have their article", () => {
    expect([withArticle("rollout"), withArticle("attention flow")]).toEqual([
      "a rollout",
      "an attention flow",
    ]);
  });
});
