import { describe, expect, it } from "vitest";
import {
  bothWays,
  colourTable,
  diverging,
  luminance,
  pack,
  signedColourOf,
} from "../../src/attention/colour";
import { areAlike, differenceOf, rowwiseOf } from "../../src/attention/difference";
import { toLab } from "../../src/attention/oklab";
import { SignedRaster } from "../../src/attention/signed";
import { Temper } from "../../src/attention/temper";
import { decodeTile, MASKED, type TileHeader } from "../../src/attention/tile";

const LIGHT = { dark: false, surface: [255, 255, 255], accent: [31, 102, 193] } as const;
const DARK = { dark: true, surface: [21, 24, 28], accent: [120, 180, 255] } as const;

/** A map of weights; null where masked, and rows of NaN. */
function drawn(rows: (number | null)[][], missing: number[] = rows.map(() => 0)) {
  const [low, step] = [-10, 10 / 65534];
  const codes = rows
    .flat()
    .map((weight) =>
      weight === null || Number.isNaN(weight) ? MASKED : Math.round((Math.log(weight) - low) / step),
    );
  const width = rows[0]!.length;
  const header: TileHeader = {
    rows: [0, rows.length],
    columns: [0, width],
    stride: [1, 1],
    shape: [rows.length, width],
    ...{ low, step, temperature: 1, scaling: 1, pooling: "max", sampled: null, work: 1 },
  };
  const floats = (values: number[]) => Float32Array.from(values);
  const tile = decodeTile(header, [Uint16Array.from(codes), floats(missing), floats(missing)], width, false);
  return { tile, ...new Temper().run(tile, 1, 1) };
}

describe("the difference of two maps", () => {
  const first = drawn([
    [0.9, 0.1],
    [0.25, 0.75],
  ]);
  const second = drawn([
    [0.2, 0.8],
    [0.5, 0.5],
  ]);

  it("is what the second gives more, cell by cell", () => {
    const difference = differenceOf(first, second);
    for (const [cell, value] of [-0.7, 0.7, 0.25, -0.25].entries())
      expect(difference.values[cell]).toBeCloseTo(value, 3);
    expect(difference.largest).toBeCloseTo(0.7, 3);
    expect([...difference.ofRows].map((value) => value.toFixed(2))).toEqual(["0.70", "0.25"]);
    expect(Math.abs(rowwiseOf(difference)[2]!)).toBe(1);
  });

  it("of a key that neither sees is masked, and of one that one sees is what that one gives", () => {
    const blind = drawn([
      [1, null, null],
      [0.5, 0.5, null],
    ]);
    const seeing = drawn([
      [0.25, 0.75, null],
      [0.5, 0.5, null],
    ]);
    const { values, hasMasked } = differenceOf(blind, seeing);
    expect(values[1]).toBeCloseTo(0.75, 3);
    expect(values[2]).toBeNaN();
    expect(hasMasked).toBe(true);
  });

  it("of a row that is NaN in either is NaN, and not masked", () => {
    const broken = drawn(
      [
        [Number.NaN, Number.NaN],
        [0.5, 0.5],
      ],
      [Number.NaN, 0],
    );
    const { values, undefinedRows, hasMasked } = differenceOf(broken, second);
    expect([values[0], values[1]]).toEqual([Number.NaN, Number.NaN]);
    expect([undefinedRows, hasMasked]).toEqual([[0], false]);
  });

  it("is of maps that were read alike alone", () => {
    expect(areAlike(first.tile, second.tile)).toBe(true);
    expect(areAlike(first.tile, { ...second.tile, pooling: "mean" })).toBe(false);
    expect(areAlike(first.tile, { ...second.tile, stride: [2, 2] })).toBe(false);
  });

  it("shows what changed most of the cells under a pixel", () => {
    const { negative, positive } = diverging(LIGHT);
    const tables = {
      negative: colourTable(negative, 1, "linear"),
      positive: colourTable(positive, 1, "linear"),
    };
    const raster = new SignedRaster();
    const { tile, values } = differenceOf(first, second);
    const window = { rows: { from: 0, to: 2 }, columns: { from: 0, to: 2 } };
    raster.paint(tile, Float32Array.from([0.1, -0.6, 0.3, 0.2]), tables, window, [1, 1]);
    const expected = pack(signedColourOf({ negative, positive }, -0.6, 1, "linear"));
    const near = (one: number, other: number) =>
      [0, 8, 16].every((shift) => Math.abs(((one >> shift) & 255) - ((other >> shift) & 255)) <= 1);
    expect(near(raster.pixels[0]!, expected)).toBe(true);
    raster.paint(
      tile,
      values.map(() => Number.NaN),
      tables,
      window,
      [2, 2],
    );
    expect([...raster.pixels]).toEqual([0, 0, 0, 0]);
  });
});

describe.each([
  ["light", LIGHT],
  ["dark", DARK],
] as const)("the colours of more and less in the %s", (_, palette) => {
  const ways = diverging(palette);

  it("meet in the surface", () => {
    expect(ways.negative[0]).toEqual(palette.surface);
    expect(ways.positive[0]).toEqual(palette.surface);
    expect(bothWays(ways)).toHaveLength(512);
  });

  it("are as light as each other at every step, so that neither looks like more", () => {
    ways.negative.forEach((colour, level) => {
      expect(Math.abs(toLab(colour)[0] - toLab(ways.positive[level]!)[0])).toBeLessThan(0.02);
    });
  });

  it("are blue and orange: told apart by those who do not see red from green", () => {
    const [less, more] = [toLab(ways.negative[255]!), toLab(ways.positive[255]!)];
    expect(less[2]).toBeGreaterThan(0.06);
    expect(more[2]).toBeLessThan(-0.06);
  });

  it("stand out from the surface", () => {
    const contrast = (one: number, other: number) =>
      (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    for (const end of [ways.negative[255]!, ways.positive[255]!])
      expect(contrast(luminance(end), luminance(palette.surface))).toBeGreaterThan(4.5);
  });
});
