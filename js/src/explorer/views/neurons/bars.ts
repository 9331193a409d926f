/** What each dimension adds to a score as bars, and below them how the sum grows: marks, on the screen and on paper. */
import { sumOf, type Term } from "../../../attention/products";
import type { Mark, Segment } from "../../../drawing/mark";
import { measured, short } from "../../../drawing/words";
import type { Colours } from "../../../host/theme";

const LEFT = 48;
/** What the end of the sum is called stands there. */
const RIGHT = 58;
const TOP = 26;
const BARS = 190;
const BETWEEN = 46;
const SUMS = 84;
const BOTTOM = 8;
const WIDEST = 56;
const LETTERS = 11;
const DASH = 6;
/** Bars so far apart have their dimension below them. */
const NUMBERED = 19;

export const HEIGHT = TOP + BARS + BETWEEN + SUMS + BOTTOM;

/** Where the term of a number is: its left edge and its width. */
export interface Row {
  left: number;
  step: number;
  count: number;
}

export function rowOf(width: number, count: number): Row {
  return {
    left: LEFT,
    step: Math.min(WIDEST, Math.max(1, width - LEFT - RIGHT) / Math.max(1, count)),
    count,
  };
}

/** The term under a place; null beside all of them. */
export function termAt({ left, step, count }: Row, x: number): number | null {
  const at = Math.floor((x - left) / step);
  return at >= 0 && at < count ? at : null;
}

/** Numbers from the lowest to the highest, 0 among them, in a height. */
function scaleOf(values: readonly number[], top: number, height: number) {
  const sound = values.filter(Number.isFinite);
  const high = Math.max(0, ...sound);
  const low = Math.min(0, ...sound);
  const span = high - low || 1;
  return { high, low, y: (value: number) => top + ((high - value) / span) * height };
}

export function termMarks(
  colours: Colours,
  terms: readonly Term[],
  width: number,
  lit: number | null,
  what: string,
): Mark[] {
  const row = rowOf(width, terms.length);
  const right = row.left + row.step * row.count;
  const middle = (at: number) => row.left + (at + 0.5) * row.step;
  const told = terms.some(({ content }) => Number.isFinite(content));
  const thick = row.step > 3 ? row.step * 0.78 : row.step;
  const bars = scaleOf(
    terms.flatMap(({ total, content }) => [total, content]),
    TOP,
    BARS,
  );
  const running = { total: 0, content: 0 };
  const sums = terms.map(({ total, content }) => {
    running.total += total;
    running.content += content;
    return { ...running };
  });
  const below = scaleOf(
    sums.flatMap(({ total, content }) => [total, content]),
    TOP + BARS + BETWEEN,
    SUMS,
  );
  const marks: Mark[] = [];
  if (lit !== null && lit < terms.length) {
    const x = row.left + lit * row.step;
    const area = { y: TOP - 4, height: HEIGHT - TOP, width: Math.max(2, row.step) };
    marks.push({ kind: "box", x, ...area, fill: colours.hatch });
  }
  for (const { high, low, y } of [bars, below]) {
    for (const value of new Set([high, 0, low])) {
      const at = y(value);
      // Where the ends are near 0, 0 is enough.
      if (value !== 0 && Math.abs(at - y(0)) < LETTERS) continue;
      const text = short(value).replace("-", "−");
      marks.push({
        kind: "text",
        x: LEFT - 6,
        y: at,
        text,
        size: LETTERS,
        colour: colours.muted,
        anchor: "end",
      });
    }
    const line: Segment = [row.left, y(0), right, y(0)];
    marks.push({ kind: "lines", segments: [line], colour: colours.line, line: 1 });
  }
  const zero = bars.y(0);
  for (const [at, { total }] of terms.entries()) {
    if (!Number.isFinite(total)) continue;
    const y = bars.y(total);
    const area = { x: middle(at) - thick / 2, y: Math.min(y, zero), width: thick };
    const fill = total >= 0 ? colours.accentText : colours.muted;
    marks.push({ kind: "box", ...area, height: Math.max(0.5, Math.abs(y - zero)), fill });
  }
  if (told) {
    const sound = [...terms.entries()].filter(([, { content }]) => Number.isFinite(content));
    const half = Math.max(0.75, row.step * 0.45);
    const ticks = sound.map(
      ([at, { content }]) =>
        [middle(at) - half, bars.y(content), middle(at) + half, bars.y(content)] as const,
    );
    // From content to what it is with the distance.
    const moved = sound.map(
      ([at, { content, total }]) => [middle(at), bars.y(content), middle(at), bars.y(total)] as const,
    );
    marks.push({ kind: "lines", segments: moved, colour: colours.text, line: 1, opacity: 0.45 });
    marks.push({ kind: "lines", segments: ticks, colour: colours.text, line: 1.5 });
    marks.push(
      ...path(
        sums.map(({ content }, at) => [middle(at), below.y(content)]),
        colours.text,
        1,
        true,
      ),
    );
  }
  marks.push(
    ...path(
      sums.map(({ total }, at) => [middle(at), below.y(total)]),
      colours.accentText,
      1.5,
      false,
    ),
  );
  const small = { kind: "text", size: LETTERS, colour: colours.muted } as const;
  marks.push({ ...small, x: row.left, y: 9, text: `What each ${what} adds` });
  marks.push({ ...small, x: row.left, y: TOP + BARS + BETWEEN - 16, text: "The sum so far" });
  if (row.step >= NUMBERED) {
    const y = TOP + BARS + 9;
    for (const [at, { dimensions }] of terms.entries())
      marks.push({ ...small, x: middle(at), y, text: String(dimensions[0]), anchor: "middle", size: 10 });
  }
  const end = sums.at(-1);
  if (end && Number.isFinite(end.total)) {
    const text = measured(end.total);
    marks.push({ ...small, x: right + 4, y: below.y(end.total), text, colour: colours.text, weight: 600 });
    const apart = Math.abs(below.y(end.content) - below.y(end.total)) >= LETTERS + 1;
    if (Number.isFinite(end.content) && apart)
      marks.push({ ...small, x: right + 4, y: below.y(end.content), text: measured(end.content) });
  }
  return marks;
}

function path(points: [number, number][], colour: string, line: number, dashed: boolean): Mark[] {
  const segments: Segment[] = [];
  for (let at = 1; at < points.length; at++) {
    const [from, to] = [points[at - 1]!, points[at]!];
    const pieces = dashed ? Math.max(1, Math.round(Math.hypot(to[0] - from[0], to[1] - from[1]) / DASH)) : 1;
    const along = (share: number) =>
      [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share] as const;
    for (let piece = 0; piece < pieces; piece++)
      segments.push([...along(piece / pieces), ...along((piece + (dashed ? 0.6 : 1)) / pieces)]);
  }
  const sound = segments.filter((segment) => segment.every(Number.isFinite));
  return [{ kind: "lines", segments: sound, colour, line }];
}

/** How few of the terms make most of the sum, in a sentence; empty where the sum is not positive. */
export function most(terms: readonly Term[], what: string): string {
  const sum = sumOf(terms, "total");
  const sorted = terms.map(({ total }) => total).sort((one, other) => other - one);
  if (!(sum > 0) || sorted.length < 4) return "";
  let [count, so] = [0, 0];
  while (count < sorted.length && so < sum) so += sorted[count++]!;
  return `The largest ${count === 1 ? what : `${count} ${what}s`} of ${sorted.length} add as much as all together.`;
}
