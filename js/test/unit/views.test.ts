import { describe, expect, it } from "vitest";
import {
  cellAt,
  columnX,
  including,
  isFitted,
  panned,
  plotSize,
  rowY,
  zoomed,
} from "../../src/drawing/geometry";
import { ticks } from "../../src/drawing/legend";
import { exact, quoted, readable, short } from "../../src/drawing/words";
import { keysToShow } from "../../src/explorer/views/row";

describe("tokens", () => {
  it("show what cannot be seen", () => {
    expect(["", " ", "  ", "\n", "\t", "a\nb", " the", "\u0007"].map(readable)).toEqual([
      "∅",
      "␣",
      "␣␣",
      "⏎",
      "⇥",
      "a⏎b",
      " the",
      "␇",
    ]);
  });
  it("that nobody sees have names, and join what they join", () => {
    const labels = [
      "\u200b",
      "\u202eevil\u202c",
      "\u200d",
      "\u00a0",
      "\u3000",
      "a\u00adb",
      "می\u200cخواهم",
      "👩\u200d👧",
    ];
    expect(labels.map(readable)).toEqual([
      ...[
        "<ZWSP>",
        "<RLO>evil<PDF>",
        "<ZWJ>",
        "<NBSP>",
        "<U+3000>",
        "a<SHY>b",
        "می\u200cخواهم",
        "👩\u200d👧",
      ],
    ]);
  });
  it("stay text", () => {
    expect(quoted("</script><b>")).toBe("“</script><b>”");
    expect(readable("👩🏽‍🚀")).toBe("👩🏽‍🚀");
  });
});

describe("numbers", () => {
  it("have four decimals until these hide them", () => {
    expect([0.42134, 0, 1, 0.0009, 1.5e-7, Number.NaN].map(exact)).toEqual([
      "0.4213",
      "0.0000",
      "1.0000",
      "9.00e−4",
      "1.50e−7",
      "–",
    ]);
    expect([0.5, 1, 0.7943, 2.5e-5].map(short)).toEqual(["0.5", "1", "0.794", "3e−5"]);
  });
});

describe("the plot", () => {
  it("has square cells for square maps, and a limit to their size", () => {
    expect(plotSize(12, 12, 600, 640)).toEqual({ width: 600, height: 600 });
    expect(plotSize(1, 1, 600, 640)).toEqual({ width: 56, height: 56 });
    expect(plotSize(60, 30, 900, 640)).toEqual({ width: 320, height: 640 });
  });
  it("does not become a thread", () => {
    expect(plotSize(3000, 10, 600, 640).width).toBe(180);
    expect(plotSize(1, 200, 600, 640).height).toBe(18);
  });
});

describe("the window", () => {
  const shape = { queries: 100, keys: 100 };
  const fit = { rows: { from: 0, to: 100 }, columns: { from: 0, to: 100 } };
  const plot = { x: 40, y: 30, width: 500, height: 500 };

  it("keeps the cell under the pointer where it is", () => {
    const at = cellAt(plot, fit, 40 + 300, 30 + 100);
    const near = zoomed(fit, shape, 2.5, at);
    expect(columnX(plot, near, at.column)).toBeCloseTo(340, 6);
    expect(rowY(plot, near, at.row)).toBeCloseTo(130, 6);
    expect(near.rows.to - near.rows.from).toBeCloseTo(40, 6);
  });
  it("never leaves the map", () => {
    const near = zoomed(fit, shape, 4, { row: 0, column: 99 });
    expect(panned(near, shape, -1000, 1000)).toEqual({
      rows: { from: 0, to: 25 },
      columns: { from: 75, to: 100 },
    });
    expect(isFitted(zoomed(near, shape, 0.01, { row: 50, column: 50 }), shape)).toBe(true);
  });
  it("stops at a few cells", () => {
    const near = zoomed(fit, shape, 1e6, { row: 50, column: 50 });
    expect(near.rows.to - near.rows.from).toBe(4);
  });
  it("follows the cursor", () => {
    const near = { rows: { from: 10, to: 20 }, columns: { from: 10, to: 20 } };
    expect(including(near, shape, 20, 9)).toEqual({
      rows: { from: 11, to: 21 },
      columns: { from: 9, to: 19 },
    });
  });
});

describe("the legend", () => {
  it.each(["linear", "sqrt", "log"] as const)("has both ends and no crowd, %s", (scale) => {
    for (const largest of [1, 0.639, 0.0123]) {
      const marks = ticks(largest, scale);
      expect(marks[0]!.place).toBe(0);
      expect(marks.at(-1)!.weight).toBe(largest);
      const gaps = marks.slice(1).map(({ place }, at) => place - marks[at]!.place);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0.15);
    }
  });
});

describe("the pinned row", () => {
  const row = (weights: number[], hidden = new Set<number>()) => ({
    query: 0,
    before: Float32Array.from(weights),
    after: Float32Array.from(weights),
    shown: Float32Array.from(weights),
    signed: false,
    masked: (key: number) => hidden.has(key),
    entropyBefore: 0,
    entropyAfter: 0,
  });
  it("shows all keys of a short text, without those it may not see", () => {
    expect(keysToShow(row([0.2, 0.3, 0.5], new Set([1])))).toEqual([0, 2]);
  });
  it("shows the heaviest of a long one, in the order of the text", () => {
    const keys = keysToShow(row(Array.from({ length: 100 }, (_, key) => (key % 4 === 1 ? 0.04 : 0))));
    expect(keys).toEqual(Array.from({ length: 24 }, (_, at) => at * 4 + 1));
  });
});
