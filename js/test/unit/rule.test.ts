import { describe, expect, it } from "vitest";
import { cellNumbers } from "../../src/attention/cell";
import { decodeLayer, type LayerHeader, type Projections } from "../../src/attention/projections";
import { rowScores } from "../../src/attention/scores";
import { measured, powered, written } from "../../src/drawing/words";
import { notesOf, rootOf, ruleOf, stepsOf, unscaled } from "../../src/explorer/views/rule";
import sent from "./vectors.json";

const AS_IS = { temperature: 1, scaling: 1 };
const TURNED = { temperature: 0.5, scaling: 2 };
const ROOT = { scaling: 1 / Math.sqrt(32), width: 32 };

describe("the rule of a layer", () => {
  it.each([
    [null, "softmax(scores)", "softmax(scores × 2 / 0.5)"],
    [ROOT, "softmax(q·k / √32)", "softmax(q·k / √32 × 2 / 0.5)"],
    [{ scaling: 1 / 8, width: 64 }, "softmax(q·k / √64)", "softmax(q·k / √64 × 2 / 0.5)"],
    [{ scaling: 1 / 12, width: 128 }, "softmax(q·k / 12)", "softmax(q·k / 12 × 2 / 0.5)"],
    [{ scaling: 0.3, width: 4 }, "softmax(q·k × 0.3)", "softmax(q·k × 0.3 × 2 / 0.5)"],
    [{ scaling: 1, width: 64 }, "softmax(q·k)", "softmax(q·k × 2 / 0.5)"],
    [{ ...ROOT, bias: true }, "softmax(q·k / √32 + bias)", "softmax((q·k / √32 + bias) × 2 / 0.5)"],
    [
      { ...ROOT, softcap: 50 },
      "softmax(50 tanh(q·k / √32 / 50))",
      "softmax(50 tanh(q·k / √32 / 50) × 2 / 0.5)",
    ],
    [{ ...ROOT, softcap: 50, bias: true }, "softmax(scores)", "softmax(scores × 2 / 0.5)"],
  ])("%j is %s", (made, plain, turned) => {
    expect([ruleOf(made, AS_IS), ruleOf(made, TURNED)]).toEqual([plain, turned]);
  });

  it("names what undoes its own factor, where that undoes all of it", () => {
    expect(ruleOf(ROOT, { temperature: 1, scaling: Math.sqrt(32) })).toBe("softmax(q·k / √32 × √32)");
    expect(unscaled(ROOT)).toBe(Math.sqrt(32));
    // As measured in single precision.
    expect(unscaled({ scaling: Math.fround(1 / Math.sqrt(32)) * (1 + 1e-6), width: 32 })).toBe(Math.sqrt(32));
    expect(unscaled({ scaling: 1 / 12, width: 128 })).toBeCloseTo(12, 12);
    expect(rootOf({ scaling: 1 / 12, width: 128 })).toBeNull();
    for (const more of [{ bias: true }, { softcap: 5 }, { sinks: true }, { scaling: 1 }])
      expect(unscaled({ ...ROOT, ...more })).toBeNull();
  });

  it("has notes on what it does not say", () => {
    expect(notesOf(null, null)).toEqual([]);
    expect(notesOf(ROOT, null)).toEqual([]);
    expect(notesOf({ scaling: 1, width: 64 }, null)[0]).toContain("scales its queries itself, or not at all");
    expect(notesOf({ ...ROOT, softcap: 50, bias: true }, null)[0]).toBe(
      "The scores are q·k / √32 with a bias added, capped at 50.",
    );
  });
});

describe("the numbers of a cell", () => {
  const projected = sent.filter(({ header }) => header.form === "projections");

  it.each(projected.map((vector) => [vector.name, vector] as const))(
    "come of queries and keys, and end in the kernel's weight: %s",
    (_, vector) => {
      const layer = decodeLayer(
        vector.header as unknown as LayerHeader,
        vector.buffers.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))),
      ) as Projections;
      const group = layer.heads / layer.keyValueHeads;
      let seen = 0;
      vector.weights.forEach((rows, head) => {
        rows.forEach((weights, query) => {
          const row = rowScores(layer, head, query);
          weights.forEach((weight, key) => {
            const numbers = cellNumbers(row, key, 1);
            if (!numbers) {
              expect(weight).toBe(0);
              return;
            }
            seen++;
            expect(numbers.weight).toBeCloseTo(weight!, 6);
            let dot = 0;
            for (let at = 0; at < layer.width; at++) {
              const one = layer.q[(head * layer.nQueries + query) * layer.width + at]!;
              dot += one * layer.k[(Math.floor(head / group) * layer.nKeys + key) * layer.width + at]!;
            }
            expect(numbers.product).toBeCloseTo(dot, 12);
            const scaled = dot * layer.scaling;
            const { softcap } = layer;
            expect(numbers.score).toBeCloseTo(
              softcap === null ? scaled : softcap * Math.tanh(scaled / softcap),
              10,
            );
          });
        });
      });
      expect(seen).toBeGreaterThanOrEqual(2 * layer.heads * layer.nQueries);
    },
  );

  const row = { products: [4, 8, -2, 1], scores: [1, 2, -0.5, Number.NEGATIVE_INFINITY], sink: 0.5 };

  it("are those of the definition under every factor, the sink among them", () => {
    for (const factor of [0, 0.3, 1, 4]) {
      const exps = [1, 2, -0.5, 0.5].map((score) => Math.exp(score * factor));
      const sum = exps.reduce((a, b) => a + b);
      const numbers = cellNumbers(row, 1, factor)!;
      expect(numbers.turned).toBe(2 * factor);
      expect(Math.exp(numbers.logSum)).toBeCloseTo(sum, 10);
      expect(numbers.weight).toBeCloseTo(exps[1]! / sum, 12);
    }
    expect(cellNumbers(row, 3, 1)).toBeNull();
  });

  it("stay finite where exponentials do not", () => {
    const numbers = cellNumbers(row, 1, 1000)!;
    expect(numbers.weight).toBe(1);
    const made = { scaling: 1 / 4, width: 16 };
    const said = stepsOf(numbers, made, { temperature: 0.001, scaling: 1 }).map(({ operation, text }) => [
      operation,
      text,
    ]);
    expect(said).toEqual([
      ["q·k", "8.000"],
      ["/ √16", "2.000"],
      ["/ 0.001", "2000"],
      ["exp", "3.88e868"],
      ["/ sum 3.88e868", "1.00"],
    ]);
  });

  it("are NaN where a score is", () => {
    expect(cellNumbers({ ...row, scores: [1, Number.NaN, 0, 0] }, 0, 1)!.weight).toBeNaN();
  });

  it("say that a bias and a cap were between", () => {
    const numbers = cellNumbers(row, 0, 1)!;
    const names = (made: object) =>
      stepsOf(numbers, { ...ROOT, ...made }, AS_IS).map(({ operation }) => operation);
    expect(names({ bias: true }).slice(0, 3)).toEqual(["q·k", "/ √32", "+ bias"]);
    expect(names({ softcap: 30 }).slice(0, 3)).toEqual(["q·k", "/ √32", "cap 30"]);
    expect(names({ bias: true, softcap: 30 }).slice(0, 3)).toEqual(["q·k", "/ √32", "+ bias, cap 30"]);
  });
});

describe("numbers in words", () => {
  it("that are typed have no digit that nobody asked for", () => {
    expect([1, 0, 0.501, Math.sqrt(32), 1e9, 1e-6, 250].map(written)).toEqual([
      ...["1", "0", "0.501", "5.6569", "1e9", "1e-6", "250"],
    ]);
  });

  it("that are looked at have four", () => {
    expect(
      [3.21, -0.5674, 72_801, 123_456_789, 0.00012, 0, Number.NaN].map((value) => measured(value)),
    ).toEqual([...["3.210", "−0.5674", "72800", "1.23e8", "1.20e−4", "0", "NaN"]]);
  });

  it("that are powers of e have no end", () => {
    expect([0, Math.log(7.58), -20, 800, -2000].map(powered)).toEqual([
      ...["1.000", "7.580", "2.06e−9", "2.73e347", "2.58e−869"],
    ]);
    expect(powered(Math.log(9.9999) + 10 * Math.LN10)).toBe("1.00e11");
  });
});
