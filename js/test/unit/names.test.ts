import { describe, expect, it } from "vitest";
import type { Tile } from "../../src/attention/tile";
import { dotsOf, type Sheet } from "../../src/drawing/sheet";
import { element, escaped } from "../../src/drawing/svg";
import { field } from "../../src/explorer/saving/csv";
import { fileName, headParts } from "../../src/explorer/saving/names";
import { known } from "../../src/explorer/saving/weights";
import type { MapFacts } from "../../src/host/facts";
import { literal } from "../../src/host/python";

describe("names of files", () => {
  it("say map, layer and head as the model numbers them", () => {
    const map = {
      name: "attention",
      heads: [2, 2],
      layer_numbers: [3, 9],
      head_numbers: [
        [0, 5],
        [1, 7],
      ],
    };
    expect(fileName(headParts(map as unknown as MapFacts, 1, 1), "svg")).toBe("attention-layer-9-head-7.svg");
    const rollout = { name: "rollout", heads: [1, 1], derived: "rollout" };
    expect(fileName(headParts(rollout as unknown as MapFacts, 1, 0), "csv")).toBe("rollout-layer-1.csv");
    expect(fileName(headParts({ ...rollout, heads: [1] } as unknown as MapFacts, 0, 0), "csv")).toBe(
      "rollout.csv",
    );
  });
  it.each([
    ["../../etc/passwd", "etc-passwd-layer-0.svg"],
    ['a\\b:c*d?e"f<g>h|i', "a-b-c-d-e-f-g-h-i-layer-0.svg"],
    ["cross attention\n\u0000", "cross-attention-layer-0.svg"],
    ["gpj.\u202eexe", "gpj.-exe-layer-0.svg"],
    ["\ud800", "attention-layer-0.svg"],
    ["", "attention-layer-0.svg"],
    ["...", "attention-layer-0.svg"],
    ["внимание 注意", "внимание-注意-layer-0.svg"],
  ])("hold nothing that file systems refuse: %j", (name, wanted) => {
    expect(fileName([name, "layer 0"], "svg")).toBe(wanted);
  });
  it("are no longer than 100 characters, and cut none in half", () => {
    const name = fileName(["😀".repeat(400), "layer 10", "head 11", "largest of 16x16", "q 0-9999"], "csv");
    expect(name.length).toBeLessThanOrEqual(100);
    expect(name).toMatch(/^(😀)+-layer-10-head-11-largest-of-16x16.*\.csv$/u);
  });
});

describe("what Python reads", () => {
  it.each([
    [null, "None"],
    [true, "True"],
    [0.5, "0.5"],
    [1e-7, "1e-7"],
    [Number.POSITIVE_INFINITY, 'float("inf")'],
    ['a "b" \\ \n', '"a \\"b\\" \\\\ \\n"'],
    ["\ud800é\u202e", '"\\ud800é\\u202e"'],
  ])("%j", (value, wanted) => expect(literal(value)).toBe(wanted));
});

describe("fields of a table", () => {
  it.each([
    ["the", "the"],
    ["", ""],
    [" the", '" the"'],
    ['say "hi", Ben', '"say ""hi"", Ben"'],
    ["a\r\nb", '"a\r\nb"'],
    ["=1+1", "'=1+1"],
    ["+", "'+"],
    ["-", "'-"],
    ["@sum", "'@sum"],
    ["\tx", "'\tx"],
    ["\r", `"'\r"`],
    ["=a,b", `"'=a,b"`],
  ])("%j", (label, wanted) => expect(field(label)).toBe(wanted));
});

describe("the digits of a weight", () => {
  const at = (step: number, sharp = 1) =>
    ({ tile: { step, exact: true } as Tile, temperature: 1 / sharp, scaling: 1 }) as Parameters<
      typeof known
    >[1];
  it("are those that are known", () => {
    expect(known(0.123456789, at(2e-4))).toBe("0.12346");
    expect(known(0.123456789, at(2e-4, 100))).toBe("0.123");
    expect(known(1 / 3, at(0))).toBe("0.3333333");
    expect(known(0.5, at(2e-4))).toBe("0.5");
  });
});

describe("XML", () => {
  it("holds text whatever it is", () => {
    expect(escaped(`<a href="x">&'`)).toBe("&lt;a href=&quot;x&quot;&gt;&amp;&apos;");
    expect(escaped("]]>")).toBe("]]&gt;");
    expect(escaped("\u0000\u001b\ud800a\udc00\ufffe")).toBe("\ufffd\ufffd\ufffda\ufffd\ufffd");
    expect(escaped("👩🏽‍🚀 שלום")).toBe("👩🏽‍🚀 שלום");
  });
  it("has attributes where there is something to say", () => {
    expect(element("rect", { x: 1 / 3, fill: '"', rx: undefined })).toBe('<rect x="0.33" fill="&quot;"/>');
  });
});

describe("the dots of a picture", () => {
  const sheet = (width: number, height: number) => ({ width, height }) as Sheet;
  it("are twice the screen's, where a canvas holds so many", () => {
    expect(dotsOf(sheet(600, 800), 1)).toBe(2);
    expect(dotsOf(sheet(600, 800), 2)).toBe(4);
    const long = dotsOf(sheet(700, 20_000), 2);
    expect(long * 20_000).toBeLessThanOrEqual(16_384);
  });
});
