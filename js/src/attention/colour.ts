/** Colour of a weight: a ramp of 256 colours, a scale that places weights on it, a table that joins the two. */
import {
  interpolateCividis,
  interpolateGreys,
  interpolateMagma,
  interpolateViridis,
} from "d3-scale-chromatic";
import { type Lab, mix, type Rgb, toLab, toRgb } from "./oklab";

export type { Rgb };

export const COLOUR_MAPS = ["ink", "viridis", "cividis", "magma", "greys"] as const;
export const COLOUR_SCALES = ["linear", "sqrt", "log"] as const;
export type ColourMap = (typeof COLOUR_MAPS)[number];
export type ColourScale = (typeof COLOUR_SCALES)[number];

/** How far below the largest weight the logarithmic scale reaches, in powers of ten. */
export const DECADES = 4;
const LEVELS = 256;

export interface Palette {
  dark: boolean;
  surface: Rgb;
  accent: Rgb;
}

const INTERPOLATORS = {
  viridis: interpolateViridis,
  cividis: interpolateCividis,
  magma: interpolateMagma,
  greys: interpolateGreys,
};

/** d3 writes some ramps as #rrggbb and some as rgb(r, g, b). */
function parse(css: string): Rgb {
  const [red, green, blue] = css.startsWith("#")
    ? [1, 3, 5].map((at) => Number.parseInt(css.slice(at, at + 2), 16))
    : (css.match(/\d+/g) ?? []).map(Number);
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** The accent, taken far enough from the surface to use the whole range of lightness. */
function ink({ accent, dark }: Palette): Lab {
  const [lightness, a, b] = toLab(accent);
  const target = dark ? Math.max(lightness, 0.86) : Math.min(lightness, 0.36);
  const fade = dark ? 0.75 : 1;
  return [target, a * fade, b * fade];
}

export function ramp(name: ColourMap, palette: Palette): Rgb[] {
  const steps = Array.from({ length: LEVELS }, (_, level) => level / (LEVELS - 1));
  if (name === "ink") {
    const from = toLab(palette.surface);
    const to = ink(palette);
    return steps.map((step) => toRgb(mix(from, to, step)));
  }
  // Greys run from paper to ink, so in the dark they run the other way.
  const reversed = name === "greys" && palette.dark;
  return steps.map((step) => parse(INTERPOLATORS[name](reversed ? 1 - step : step)));
}

/** Colours away from 0 in both directions, each from the surface on: blue for more, orange for less. */
export interface Diverging {
  negative: Rgb[];
  positive: Rgb[];
}

/** Tables of both directions, for sizes without their sign. */
export interface SignedTable {
  negative: Uint32Array;
  positive: Uint32Array;
}

/** Hues that colour-blind readers tell apart, in equal steps of lightness and colour. */
const HUES = { negative: 0.95, positive: 4.45 };

export function diverging({ surface, dark }: Palette): Diverging {
  const from = toLab(surface);
  const [lightness, chroma] = dark ? [0.8, 0.125] : [0.45, 0.13];
  const arm = (hue: number) =>
    Array.from({ length: LEVELS }, (_, level) =>
      toRgb(mix(from, [lightness, chroma * Math.cos(hue), chroma * Math.sin(hue)], level / (LEVELS - 1))),
    );
  return { negative: arm(HUES.negative), positive: arm(HUES.positive) };
}

export const signedColourOf = (
  { negative, positive }: Diverging,
  value: number,
  largest: number,
  scale: ColourScale,
): Rgb => colourOf(value < 0 ? negative : positive, Math.abs(value), largest, scale);

/** All colours of both directions in one row, from the least to the most. */
export const bothWays = ({ negative, positive }: Diverging): Rgb[] => [
  ...[...negative].reverse(),
  ...positive,
];

/** Where a weight falls between the two ends of the legend, 0 to 1. */
export function position(weight: number, largest: number, scale: ColourScale): number {
  const share = Math.min(1, Math.max(0, weight / largest));
  if (scale === "linear") return share;
  if (scale === "sqrt") return Math.sqrt(share);
  return share === 0 ? 0 : Math.max(0, 1 + Math.log10(share) / DECADES);
}

export function colourOf(colours: readonly Rgb[], weight: number, largest: number, scale: ColourScale): Rgb {
  return colours[Math.round(position(weight, largest, scale) * (LEVELS - 1))]!;
}

/** Little-endian RGBA, as ImageData holds it. */
export function pack([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * Colours indexed by the upper bits of a float32 (exponent and 8 bits of mantissa), so that a cell's colour is one
 * look-up on any scale. 32,513 entries reach from 0 to 1.
 */
export const INDEX_SHIFT = 15;
const ENTRIES = (0x3f800000 >>> INDEX_SHIFT) + 1;

export function colourTable(
  colours: readonly Rgb[],
  largest: number,
  scale: ColourScale,
  threshold = 0,
  into: Uint32Array = new Uint32Array(ENTRIES),
): Uint32Array {
  const packed = Uint32Array.from(colours, pack);
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  const half = 1 << (INDEX_SHIFT - 1);
  for (let entry = 0; entry < ENTRIES; entry++) {
    bits[0] = entry === 0 ? 0 : (entry << INDEX_SHIFT) + half;
    const weight = value[0]! < threshold ? 0 : value[0]!;
    into[entry] = packed[Math.round(position(weight, largest, scale) * (LEVELS - 1))]!;
  }
  return into;
}

/** Relative luminance as WCAG defines it; text takes the side that contrasts more. */
export function luminance([red, green, blue]: Rgb): number {
  const [r, g, b] = [red, green, blue].map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function inkOn(background: Rgb): "#000" | "#fff" {
  return luminance(background) > 0.179 ? "#000" : "#fff";
}

export const css = ([red, green, blue]: Rgb): string => `rgb(${red}, ${green}, ${blue})`;
