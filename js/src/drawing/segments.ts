/** The texts that a line of tokens is made of: what stands between separators, or what has a name. */
import type { Axis, NamedSpan } from "../host/facts";

const SEPARATORS = new Set(["[SEP]", "</s>", "<sep>", "<|endoftext|>", "<|im_end|>", "<|eot_id|>"]);

/** Runs between special separators, each with the separator that ends it, named A, B ...; or else the axis's own runs. */
export function segmentsOf(axis: Axis): readonly NamedSpan[] {
  const special = new Set(axis.special);
  const parts: [from: number, to: number][] = [];
  let from = 0;
  for (let index = 0; index < axis.labels.length; index++) {
    if (!special.has(index) || !SEPARATORS.has(axis.labels[index]!)) continue;
    // Some models put two separators between two texts.
    if (index > from) parts.push([from, index + 1]);
    else if (parts.length > 0) parts.at(-1)![1] = index + 1;
    from = index + 1;
  }
  if (from < axis.labels.length && parts.length > 0) parts.push([from, axis.labels.length]);
  if (parts.length > 1) return parts.map(([start, stop], at) => [letter(at), start, stop]);
  return axis.spans && axis.spans.length > 1 ? axis.spans : [];
}

const letter = (at: number): string => (at < 26 ? String.fromCharCode(65 + at) : String(at + 1));
