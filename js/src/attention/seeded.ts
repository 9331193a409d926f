/** Random queries and keys that are the same here as in Python (attnwidget/teaching/steps.py). */

/** Numbers from 0 to below 1 in steps of 2^-32: a counter with mixed bits (mulberry32, in the public domain). */
function* uniforms(seed: number): Generator<number> {
  let state = Math.imul(seed, 0x9e3779b9);
  while (true) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

/** Standard normal numbers, two of each pair of uniform ones (Box & Muller 1958). */
function* normals(seed: number): Generator<number> {
  const uniform = uniforms(seed);
  const next = () => uniform.next().value as number;
  while (true) {
    const radius = Math.sqrt(-2 * Math.log(next() + 2 ** -33));
    const angle = 2 * Math.PI * next();
    yield radius * Math.cos(angle);
    yield radius * Math.sin(angle);
  }
}

export interface Drawn {
  query: number[][];
  key: number[][];
}

export function seeded(seed: number, length: number, width: number): Drawn {
  const normal = normals(seed);
  const rows = () =>
    Array.from({ length }, () => Array.from({ length: width }, () => normal.next().value as number));
  return { query: rows(), key: rows() };
}
