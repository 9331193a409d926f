/** How tokens run as a text: where paragraphs end, which way each runs, and which tokens touch. */
import type { Axis } from "../host/facts";
import { directionOf } from "./words";

export type Direction = "ltr" | "rtl";

/** Tokens of one line of the text as it came, half-open. */
export interface Paragraph {
  from: number;
  to: number;
  direction: Direction;
  /** Whether an empty line follows. */
  ends: boolean;
}

/** Paragraphs that are laid out together, so that a long text is laid out in parts. */
export interface Passage {
  from: number;
  to: number;
  paragraphs: readonly Paragraph[];
}

/** So many tokens are laid out together at most; a longer paragraph is parted after a sentence. */
const LONGEST = 384;

/** Scripts that put no spaces between words, and their punctuation. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\u3000-\u303f\u30fc\uff00-\uffef]/u;
const SENTENCE = /[.!?。！？…]["”’)\]]?$/;
const lastOf = (label: string): string => Array.from(label.slice(-2)).at(-1) ?? "";
const firstOf = (label: string): string => Array.from(label.slice(0, 2))[0] ?? "";

/** Whether two tokens in a row stand without a space between them, though they are words of their own. */
export const touch = (before: string, after: string): boolean =>
  UNSPACED.test(lastOf(before)) && UNSPACED.test(firstOf(after));

/** How the words run; special tokens are in nobody's language. */
export function directionOfAxis({ labels, special }: Axis): Direction {
  const apart = new Set(special);
  return directionOf(labels.filter((_, index) => !apart.has(index)));
}

const known = new WeakMap<Axis, Passage[]>();

/** The whole of an axis in passages; worked out once. */
export function passagesOf(axis: Axis): readonly Passage[] {
  const made = known.get(axis) ?? [...grouped([...paragraphsOf(axis)])];
  known.set(axis, made);
  return made;
}

function* paragraphsOf(axis: Axis): Generator<Paragraph> {
  const { labels } = axis;
  const special = new Set(axis.special);
  const whole = directionOfAxis(axis);
  let from = 0;
  let sentence = 0;
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]!;
    const breaks = label.includes("\n");
    if (SENTENCE.test(label)) sentence = index + 1;
    const full = index + 1 - from >= LONGEST;
    if (!breaks && !full && index + 1 < labels.length) continue;
    const to = breaks || !full ? index + 1 : sentence > from ? sentence : index + 1;
    const words = labels.slice(from, to).filter((_, at) => !special.has(from + at));
    const direction = words.some((word) => /\p{L}/u.test(word)) ? directionOf(words) : whole;
    yield { from, to, direction, ends: label.split("\n").length > 2 };
    from = to;
  }
  if (from < labels.length) yield { from, to: labels.length, direction: whole, ends: false };
}

function* grouped(paragraphs: readonly Paragraph[]): Generator<Passage> {
  let group: Paragraph[] = [];
  for (const paragraph of paragraphs) {
    if (group.length > 0 && paragraph.to - group[0]!.from > LONGEST) {
      yield { from: group[0]!.from, to: group.at(-1)!.to, paragraphs: group };
      group = [];
    }
    group.push(paragraph);
  }
  if (group.length > 0) yield { from: group[0]!.from, to: group.at(-1)!.to, paragraphs: group };
}
