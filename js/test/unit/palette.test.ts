import { describe, expect, it } from "vitest";
import { luminance, type Rgb } from "../../src/attention/colour";
import { toLab } from "../../src/attention/oklab";
import { coloursOf, DISTINCT, paletteOf } from "../../src/attention/palette";

/** What is seen without one kind of cones, after Machado and others (2009). */
const VISION: Record<string, number[][]> = {
  all: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};
const rgbOf = (hex: string): Rgb =>
  [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
const linear = (value: number) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const encoded = (value: number) => (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);

function seen(hex: string, matrix: number[][]) {
  const cones = rgbOf(hex).map((channel) => linear(channel / 255));
  const mixed = matrix.map((line) => line.reduce((sum, factor, at) => sum + factor * cones[at]!, 0));
  return toLab(mixed.map((value) => 255 * encoded(Math.min(1, Math.max(0, value)))) as unknown as Rgb);
}

describe("colours of heads", () => {
  for (const dark of [false, true]) {
    it.each(Object.keys(VISION))(`are told apart on ${dark ? "dark" : "light"}, %s`, (vision) => {
      const labs = paletteOf(dark).map((hex) => seen(hex, VISION[vision]!));
      labs.forEach((one, at) => {
        for (const other of labs.slice(at + 1))
          expect(Math.hypot(...one.map((value, axis) => value - other[axis]!))).toBeGreaterThan(0.1);
      });
    });
    it(`stand out from ${dark ? "dark" : "light"}`, () => {
      const surface = luminance(dark ? [21, 24, 28] : [255, 255, 255]);
      for (const hex of paletteOf(dark)) {
        const own = luminance(rgbOf(hex));
        expect((Math.max(own, surface) + 0.05) / (Math.min(own, surface) + 0.05)).toBeGreaterThan(3);
      }
    });
  }

  it("stay with a head while others come and go, and are shared only where there are too many", () => {
    expect(coloursOf([0, 3])).toEqual([0, 3]);
    expect(coloursOf([3])).toEqual([3]);
    expect(coloursOf([0, 8])).toEqual([0, 1]);
    const many = coloursOf(Array.from({ length: 12 }, (_, head) => head));
    expect(new Set(many.slice(0, DISTINCT)).size).toBe(DISTINCT);
    expect(many.slice(DISTINCT)).toEqual([0, 1, 2, 3]);
  });
});
