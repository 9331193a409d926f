import { describe, expect, it } from "vitest";
import { passagesOf, touch } from "../../src/drawing/flowing";
import { segmentsOf } from "../../src/drawing/segments";
import type { Axis } from "../../src/host/facts";

const axis = (labels: string[], more: Partial<Axis> = {}): Axis => ({
  labels,
  special: [],
  continues: [],
  ...more,
});
const paragraphs = (labels: string[]) => passagesOf(axis(labels)).flatMap((one) => one.paragraphs);

describe("a text in paragraphs", () => {
  it("ends where a token holds a line break, and runs as its own letters do", () => {
    const found = paragraphs(["The", "end", ".\n\n", "שלום", "Ben", "\n", "12", "\n"]);
    expect(found.map(({ from, to }) => [from, to])).toEqual([
      [0, 3],
      [3, 6],
      [6, 8],
    ]);
    expect(found.map(({ direction }) => direction)).toEqual(["ltr", "rtl", "ltr"]);
    expect(found.map(({ ends }) => ends)).toEqual([true, false, false]);
  });

  it("without line breaks is parted after sentences, and nothing is lost or doubled", () => {
    const labels = Array.from({ length: 5000 }, (_, at) => (at % 37 === 36 ? "." : `w${at}`));
    const parts = passagesOf(axis(labels));
    expect(parts.length).toBeGreaterThan(10);
    let at = 0;
    for (const { from, to, paragraphs } of parts) {
      expect(from).toBe(at);
      for (const paragraph of paragraphs) {
        expect(paragraph.from).toBe(at);
        at = paragraph.to;
        if (at < labels.length) expect(labels[at - 1]).toBe(".");
      }
      expect(at).toBe(to);
    }
    expect(at).toBe(5000);
  });

  it("of one token, or of none, is that", () => {
    expect(paragraphs(["a"])).toMatchObject([{ from: 0, to: 1 }]);
    expect(paragraphs([])).toEqual([]);
  });
});

describe("words stand without a space", () => {
  it.each([
    ["我们", "在", true],
    ["公园", "。", true],
    ["สวัสดี", "ครับ", true],
    ["a", "b", false],
    ["公园", "Ben", false],
    ["", "在", false],
  ])("%s %s: %s", (before, after, close) => expect(touch(before, after)).toBe(close));
});

describe("the texts of a line of tokens", () => {
  const pair = ["[CLS]", "a", "b", "[SEP]", "c", "[SEP]"];
  it("are what stands between separators", () => {
    expect(segmentsOf(axis(pair, { special: [0, 3, 5] }))).toEqual([
      ["A", 0, 4],
      ["B", 4, 6],
    ]);
  });
  it("take two separators in a row as one, and a word that looks like one as a word", () => {
    const twice = ["<s>", "a", "</s>", "</s>", "b", "</s>"];
    expect(segmentsOf(axis(twice, { special: [0, 2, 3, 5] }))).toEqual([
      ["A", 0, 4],
      ["B", 4, 6],
    ]);
    expect(segmentsOf(axis(pair))).toEqual([]);
  });
  it("or have names of their own", () => {
    const spans: Axis["spans"] = [
      ["prompt", 0, 2],
      ["generated", 2, 3],
    ];
    expect(segmentsOf(axis(["a", "b", "c"], { spans }))).toBe(spans);
    expect(segmentsOf(axis(["a"], { spans: [["all", 0, 1]] }))).toEqual([]);
  });
});
