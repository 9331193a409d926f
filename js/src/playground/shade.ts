/** The colour behind a number: as much of it as the number is large, so little that text can be read on it. */

const MOST = 52;

export function shade(share: number, scale: "weight" | "signed"): Record<string, string> {
  if (!Number.isFinite(share) || share === 0) return {};
  const part = Math.round(Math.min(1, Math.abs(share)) * MOST * 10) / 10;
  const colour = scale === "weight" || share > 0 ? "--accent" : "--negative";
  return { background: `color-mix(in srgb, var(${colour}) ${part}%, transparent)` };
}
