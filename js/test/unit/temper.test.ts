import { describe, expect, it } from "vitest";
import { meanOf, Temper, weightOf } from "../../src/attention/temper";
import type { Tile } from "../../src/attention/tile";
import { entropy, type Row, randomRows, tempered, tileFrom } from "./reference";

const temper = new Temper();

function apply(tile: Tile, temperature: number, scaling: number) {
  const { entropy, largest } = temper.run(tile, temperature, scaling);
  return { entropy, largest, weights: Array.from(tile.codes, (_, cell) => weightOf(tile, temper, cell)) };
}

const run = (rows: Row[], temperature: number, scaling: number) =>
  apply(tileFrom(rows), temperature, scaling);

const NONE = Number.NEGATIVE_INFINITY;
const logs = (...weights: number[]): Row => ({
  logs: weights.map((weight) => (weight > 0 ? Math.log(weight) : NONE)),
  missing: 0,
});

describe("tempered weights", () => {
  it.each([0.1, 0.5, 1, 3, 10])("agree with the definition at temperature %f", (temperature) => {
    for (let seed = 0; seed < 30; seed++) {
      const rows = randomRows(seed, 8, 8 + (seed % 5));
      const tile = tileFrom(rows);
      for (const scaling of [0, 0.7, 1, 4]) {
        const after = apply(tile, temperature, scaling);
        // Half a step in log p, times the sharpness, bounds the relative error of a weight (twice: numerator and sum).
        const bound = Math.expm1((tile.step * scaling) / temperature) + 1e-6;
        rows.forEach((row, at) => {
          const width = row.logs.length;
          const wanted = tempered(row, temperature, scaling);
          wanted.forEach((weight, column) => {
            expect(Math.abs(after.weights[at * width + column]! - weight)).toBeLessThanOrEqual(
              bound * weight + 1e-7,
            );
          });
          expect(after.entropy[at]).toBeCloseTo(entropy(wanted), 2);
        });
      }
    }
  });

  it("keep entropy to four decimals at the sharpness of everyday use", () => {
    for (let seed = 0; seed < 30; seed++) {
      const rows = randomRows(seed, 12, 12);
      const after = run(rows, 0.8, 1);
      rows.forEach((row, at) => {
        expect(Math.abs(after.entropy[at]! - entropy(tempered(row, 0.8, 1)))).toBeLessThan(1e-3);
      });
    }
  });

  it("of a row that was given with more than 1 are shown as they are, and tempered as a distribution", () => {
    const weights = [0.9, 0.6, 0.2];
    const row = { logs: weights.map(Math.log), missing: 1 - 1.7 };
    run([row], 1, 1).weights.forEach((weight, at) => {
      expect(weight).toBeCloseTo(weights[at]!, 3);
    });
    const after = run([row], 2, 1);
    expect(after.weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 3);
  });

  it("sum to one with what the sink takes", () => {
    const row = { logs: [0.3, 0.2, 0.1].map(Math.log), missing: 0.4 };
    const after = run([row], 2, 1);
    const sum = after.weights.reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(
      1 - Math.sqrt(0.4) / [0.3, 0.2, 0.1, 0.4].reduce((a, p) => a + Math.sqrt(p), 0),
      4,
    );
  });

  it("vanish where the sink wins everything", () => {
    const after = run([{ logs: [0.1, 0.05].map(Math.log), missing: 0.85 }], 1e-9, 1);
    expect([...after.weights]).toEqual([0, 0]);
  });
});

describe("limits", () => {
  it("no scaling gives every key the same", () => {
    const after = run([logs(0.7, 0.2, 0.1, 0)], 1, 0);
    expect([...after.weights].map((weight) => weight.toFixed(6))).toEqual([
      "0.333333",
      "0.333333",
      "0.333333",
      "0.000000",
    ]);
    expect(after.entropy[0]).toBeCloseTo(Math.log(3), 12);
  });

  it("a tiny temperature gives the largest key everything", () => {
    for (const temperature of [1e-3, 1e-300, Number.MIN_VALUE]) {
      const after = run([logs(0.2, 0.5, 0.3)], temperature, 1);
      expect([...after.weights]).toEqual([0, 1, 0]);
      expect(Object.is(after.entropy[0], 0)).toBe(true);
    }
  });

  it("a one-hot row has an entropy of exactly 0", () => {
    const after = run([logs(0, 1, 0), logs(0.5, 0.25, 0.25)], 0.5, 2);
    expect(Object.is(after.entropy[0], 0)).toBe(true);
  });

  it("a row that sees nothing has weights 0 and no entropy", () => {
    const after = run([logs(0, 0, 0), logs(0.5, 0.5, 0)], 0.7, 1);
    expect([...after.weights.slice(0, 3)]).toEqual([0, 0, 0]);
    expect(after.entropy[0]).toBeNaN();
    expect(meanOf(after.entropy)).toBeCloseTo(Math.log(2), 12);
  });

  it("masked cells stay 0 at every temperature", () => {
    for (const temperature of [0.01, 1, 1e6])
      expect(run([logs(0.9, 0.1, 0)], temperature, 1).weights[2]).toBe(0);
  });
});

describe("the colour range of a map", () => {
  it("leaves out rows with one key", () => {
    expect(run([logs(1, 0, 0), logs(0.6, 0.4, 0), logs(0.2, 0.5, 0.3)], 1, 1).largest).toBeCloseTo(0.6, 4);
  });

  it("is 1 where no row has a choice", () => {
    expect(run([logs(1)], 1, 1).largest).toBe(1);
  });
});

describe("a step", () => {
  it("reuses its memory", () => {
    const tile = tileFrom(randomRows(3, 20, 20));
    const before = { ...temper.run(tile, 1, 1) };
    temper.run(tile, 2, 1);
    expect(temper.table).toBe(before.table);
    expect(temper.shares).toBe(before.shares);
    expect(temper.entropy).toBe(before.entropy);
  });

  it("shows the kernel's own entropy where nothing is changed", () => {
    const tile = tileFrom(randomRows(4, 6, 6));
    expect([...apply(tile, 1, 1).entropy]).toEqual([...tile.entropy]);
  });

  it("leaves a pooled tile at what the kernel applied", () => {
    const tile = { ...tileFrom(randomRows(5, 6, 6)), exact: false, temperature: 0.5, scaling: 2 };
    const { weights } = apply(tile, 3, 1);
    expect([temper.temperature, temper.scaling]).toEqual([0.5, 2]);
    expect(weights[0]).toBeCloseTo(Math.exp(tile.low + tile.codes[0]! * tile.step), 6);
  });
});
