/** A tile: a rectangle of one map, as log-weights in 16 bits, the way the kernel sends it. */

/** The code of a cell that its query may not see. */
export const MASKED = 65535;

export type Pooling = "max" | "mean";

/** The part of a question for a tile that says which: a rectangle of queries and keys, and in how many cells at most. */
export interface TileAsked {
  rows: [number, number];
  columns: [number, number];
  height: number;
  width: number;
  /** Of a text that grows the kernel may know more than this side: of the whole map, or row, it sends all there is. */
  whole?: "map" | "row";
}

export interface TileHeader {
  /** Half-open spans of queries and keys. */
  rows: [number, number];
  columns: [number, number];
  /** Queries and keys pooled into one cell. */
  stride: [number, number];
  shape: [number, number];
  /** log weight = low + code * step. */
  low: number;
  step: number;
  /** What the kernel has applied already. */
  temperature: number;
  scaling: number;
  pooling: Pooling;
  /** Rows read of each pooled cell, and rows that it has; null where all were read. */
  sampled: [read: number, of: number] | null;
  /** Cells of the map that the kernel computes to read all rows. */
  work: number;
}

export interface Tile extends TileHeader {
  codes: Uint16Array;
  /** Mass of each row that went to no key of the map: a learned sink. */
  missing: Float32Array;
  /** In nats, NaN where it cannot be computed. */
  entropy: Float32Array;
  /** Each row's largest code; MASKED where the row sees nothing. */
  largest: Uint16Array;
  /** 1 for rows that could have looked elsewhere: a row with one key says nothing about the head. */
  informative: Uint8Array;
  hasMasked: boolean;
  /** Rows of the tile that hold NaN: they have no values, and are not the same as masked. */
  undefinedRows: number[];
  /** True where every key is here, one a cell, untempered: such a tile is re-tempered in the browser. */
  exact: boolean;
  bytes: number;
}

export type Bytes = DataView | ArrayBuffer | ArrayBufferView;

/** Whatever the host wrapped bytes in. */
export const bytesOf = (bytes: Bytes): Uint8Array =>
  ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);

interface TypedArray<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** Read a buffer as numbers, whatever the host wrapped it in and wherever in memory it starts. */
export function numbers<T>(Type: TypedArray<T>, bytes: Bytes | undefined, length: number, what: string): T {
  const size = bytes?.byteLength ?? 0;
  if (bytes === undefined || size !== length * Type.BYTES_PER_ELEMENT) {
    throw new Error(
      `The kernel sent ${size} bytes of ${what}; ${length * Type.BYTES_PER_ELEMENT} were expected.`,
    );
  }
  const [buffer, offset] = ArrayBuffer.isView(bytes) ? [bytes.buffer, bytes.byteOffset] : [bytes, 0];
  if (offset % Type.BYTES_PER_ELEMENT === 0) return new Type(buffer, offset, length);
  return new Type(buffer.slice(offset, offset + size), 0, length);
}

export function decodeTile(
  header: TileHeader,
  buffers: readonly Bytes[],
  keys: number,
  causal: boolean,
): Tile {
  const [height, width] = header.shape;
  const codes = numbers(Uint16Array, buffers[0], height * width, "codes");
  const missing = numbers(Float32Array, buffers[1], height, "missing mass");
  const entropy = numbers(Float32Array, buffers[2], height, "entropy");
  const whole = header.columns[0] === 0 && header.columns[1] === keys;
  const single = header.stride[0] === 1 && header.stride[1] === 1;
  const exact = whole && single && header.temperature === 1 && header.scaling === 1;

  const largest = new Uint16Array(height).fill(MASKED);
  const informative = new Uint8Array(height);
  let hasMasked = false;
  for (let row = 0; row < height; row++) {
    let best = -1;
    let seen = 0;
    for (let at = row * width; at < (row + 1) * width; at++) {
      const code = codes[at]!;
      if (code === MASKED) continue;
      seen++;
      if (code > best) best = code;
    }
    if (best >= 0) largest[row] = best;
    if (seen < width && !Number.isNaN(missing[row])) hasMasked = true;
    const lonely = exact ? seen < 2 : causal && header.rows[0] === 0 && row === 0;
    informative[row] = seen > 0 && !lonely ? 1 : 0;
  }
  const undefinedRows = [...missing.keys()].filter((row) => Number.isNaN(missing[row]));
  const derived = largest.byteLength + informative.byteLength + 8 * undefinedRows.length;
  const bytes = codes.byteLength + missing.byteLength + entropy.byteLength + derived;
  return { ...header, codes, missing, entropy, largest, informative, hasMasked, undefinedRows, exact, bytes };
}
