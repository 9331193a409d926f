/** Colours that stand for things, not for numbers: few, told apart by those who see some colours alike, on light and on dark. */

/** In the order in which they are given out; neighbours differ in lightness too. */
const ON_LIGHT = ["#1f66c1", "#c2570c", "#0b7a5a", "#8e3c93", "#8a6d00", "#0e8aa8", "#b8325f", "#4d5661"];
const ON_DARK = ["#6db3f8", "#f5a25d", "#4fd1a5", "#d9a3e8", "#e3cb5f", "#6fd6ea", "#f593b3", "#aeb6bf"];

export const HUES = ON_LIGHT.length;

/** The colour of the n-th thing; beyond the last one, that of the last. */
export const hue = (at: number, dark: boolean): string =>
  (dark ? ON_DARK : ON_LIGHT)[Math.min(at, HUES - 1)]!;
