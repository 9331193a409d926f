/** Which bars of a row or of a column are drawn. */

const ALL = 40;
const MOST = 24;

/** All places, or those of the largest weights where they are too many to be read, in the order of the text. */
export function heaviest(places: number[], weight: (place: number) => number): number[] {
  if (places.length <= ALL) return places;
  return [...places]
    .sort((a, b) => weight(b) - weight(a))
    .slice(0, MOST)
    .sort((a, b) => a - b);
}
