import { describe, expect, it } from "vitest";
import {
  COLOUR_MAPS,
  COLOUR_SCALES,
  colourOf,
  colourTable,
  INDEX_SHIFT,
  inkOn,
  luminance,
  type Palette,
  pack,
  position,
  ramp,
} from "../../src/attention/colour";
import { toLab, toRgb } from "../../src/attention/oklab";
import { random } from "../maps";

const LIGHT: Palette = { dark: false, surface: [255, 255, 255], accent: [31, 102, 193] };
const DARK: Palette = { dark: true, surface: [21, 24, 28], accent: [109, 179, 248] };

describe("OKLab", () => {
  it("goes there and back", () => {
    const draw = random(1);
    for (let at = 0; at < 200; at++) {
      const colour = [draw(), draw(), draw()].map((channel) => Math.round(channel * 255)) as [
        number,
        number,
        number,
      ];
      expect(toRgb(toLab(colour))).toEqual(colour);
    }
  });
});

describe("ink", () => {
  it.each([
    ["light", LIGHT],
    ["dark", DARK],
  ] as const)("starts at the surface and gets steadily farther from it, %s", (_, palette) => {
    const colours = ramp("ink", palette);
    expect(colours[0]).toEqual(palette.surface);
    const away = palette.dark ? 1 : -1;
    const lightness = colours.map((colour) => toLab(colour)[0]);
    const steps = lightness.slice(1).map((value, at) => away * (value - lightness[at]!));
    // Channels are whole numbers, so that a single step can be lost or doubled, and no more.
    expect(Math.min(...steps)).toBeGreaterThan(-0.004);
    const even = (lightness[255]! - lightness[0]!) / 255;
    lightness.forEach((value, level) => {
      expect(Math.abs(value - lightness[0]! - even * level)).toBeLessThan(0.01);
    });
  });
});

describe("every ramp", () => {
  it.each(COLOUR_MAPS)("%s has 256 colours that run from one lightness to another", (name) => {
    const colours = ramp(name, LIGHT);
    expect(colours).toHaveLength(256);
    expect(Math.abs(luminance(colours[255]!) - luminance(colours[0]!))).toBeGreaterThan(0.5);
  });

  it("greys turn round in the dark", () => {
    expect(luminance(ramp("greys", LIGHT)[0]!)).toBeGreaterThan(0.9);
    expect(luminance(ramp("greys", DARK)[0]!)).toBeLessThan(0.1);
  });
});

describe("scales", () => {
  it("place a quarter of the largest weight where their names say", () => {
    expect(position(0.25, 1, "linear")).toBe(0.25);
    expect(position(0.25, 1, "sqrt")).toBe(0.5);
    expect(position(0.01, 1, "log")).toBe(0.5);
  });

  it.each(COLOUR_SCALES)("%s rises from 0 to 1", (scale) => {
    expect(position(0, 0.4, scale)).toBe(0);
    expect(position(0.4, 0.4, scale)).toBe(1);
    expect(position(0.9, 0.4, scale)).toBe(1);
    const places = [0.0001, 0.001, 0.01, 0.2, 0.39].map((weight) => position(weight, 0.4, scale));
    expect(places).toEqual([...places].sort((one, other) => one - other));
  });

  it.each(COLOUR_SCALES)("the table agrees with the definition to a level, %s", (scale) => {
    const colours = Array.from({ length: 256 }, (_, level) => [level, 0, 0] as const);
    const levels = new Map(colours.map((colour, level) => [pack(colour), level]));
    const draw = random(5);
    for (const largest of [1, 0.3, 0.004]) {
      const table = colourTable(colours, largest, scale);
      const weights = Float32Array.from({ length: 2000 }, (_, at) => (at < 2 ? at : largest * draw() ** 4));
      const bits = new Uint32Array(weights.buffer);
      weights.forEach((weight, at) => {
        const level = levels.get(table[bits[at]! >>> INDEX_SHIFT]!)!;
        const wanted = levels.get(pack(colourOf(colours, weight, largest, scale)))!;
        expect(Math.abs(level - wanted)).toBeLessThanOrEqual(1);
      });
    }
  });
});

describe("numbers in cells", () => {
  it.each(COLOUR_MAPS)("contrast with every colour of %s by 4.5 to 1", (name) => {
    for (const palette of [LIGHT, DARK]) {
      for (const colour of ramp(name, palette)) {
        const text = inkOn(colour) === "#000" ? 0 : 1;
        const [light, dark] = [luminance(colour), text].sort((a, b) => b - a) as [number, number];
        expect((light + 0.05) / (dark + 0.05)).toBeGreaterThan(4.5);
      }
    }
  });
});
