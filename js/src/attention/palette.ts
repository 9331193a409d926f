/** Colours that tell heads apart: as far from each other as can be, for every kind of colour vision, on light and on dark. */

/** The first is the Explorer's own blue; the others are in the order in which they are told apart best. */
const LIGHT = [
  "#3b51d3",
  "#f25914",
  "#901308",
  "#5590f3",
  "#31079a",
  "#a18b95",
  "#510840",
  "#7d5279",
] as const;
const DARK = [
  "#8d90ff",
  "#ddc52b",
  "#c92516",
  "#59d6fa",
  "#5e56de",
  "#cff9c6",
  "#df8071",
  "#895d85",
] as const;

export const DISTINCT = LIGHT.length;

export const paletteOf = (dark: boolean): readonly string[] => (dark ? DARK : LIGHT);

/** Which of the colours each of some heads has: its own as far as that is free, and the same however many others there are. */
export function coloursOf(heads: readonly number[]): number[] {
  const taken = new Set<number>();
  return heads.map((head) => {
    const own = head % DISTINCT;
    const free = taken.has(own)
      ? Array.from({ length: DISTINCT }, (_, at) => at).find((at) => !taken.has(at))
      : own;
    taken.add(free ?? own);
    return free ?? own;
  });
}
