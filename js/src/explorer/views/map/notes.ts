/** What has to be said beside a picture, on the screen and on paper. */
import { quoted } from "../../../drawing/words";
import type { Store } from "../../store";
import { endsInside } from "./stage";

/** What a point of the picture stands for, where it is not one cell, and what of it was read. */
export function pooled(store: Store, device: [number, number] | null): string {
  const tile = store.drawn.value?.tile;
  if (!tile || !device) return "";
  const { rows, columns } = store.window.value;
  const differs = store.compared.value === "difference";
  if (tile.stride[0] * tile.stride[1] === 1) {
    // A whole map is pooled here, to the pixels that there are.
    const [down, across] = [(rows.to - rows.from) / device[0], (columns.to - columns.from) / device[1]];
    if (Math.max(down, across) <= 1) return "";
    const what = differs ? "what changed most" : "the largest";
    return `Each point: ${what} of up to ${Math.ceil(down)} × ${Math.ceil(across)} cells.`;
  }
  const what = tile.pooling === "mean" ? "the mean of what is visible in" : "the largest of";
  const points = `Each point: ${differs ? "the difference of two points, each " : ""}${what} ${tile.stride.join(" × ")} cells.`;
  if (!tile.sampled) return points;
  const [read, of] = tile.sampled;
  return `${points} Approximate: ${read} of every ${of} rows ${read > 1 ? "are" : "is"} read; zoom in to read all.`;
}

/** Why the token that was generated last has no row, where the end of the rows is in sight. */
export function lastWord(store: Store): string | null {
  const map = store.map.value;
  if (!map?.following || !endsInside(store.window.value, map)) return null;
  return `${quoted(map.following)} was generated last and was never a query: it has no row.`;
}
