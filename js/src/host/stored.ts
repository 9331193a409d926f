/**
 * What was stored: answers in one run of bytes, as Python packs them.
 *
 * The buffers of all answers stand one after another; then the index, which says of each answer which question it
 * answers, its header, and the sizes of its buffers; and last, in four bytes, how long the index is.
 */
import { decodeLayer, type HeldLayer, type LayerHeader } from "../attention/projections";
import { rowsOf } from "../attention/rows";
import { MASKED, type TileAsked, type TileHeader } from "../attention/tile";
import type { Reply } from "./source";

/** A column is of one key at one temperature; a tile is stored at the one that was chosen. */
interface OfColumn {
  key?: number;
  temperature?: number;
  scaling?: number;
}

interface Entry {
  question: {
    op: string;
    map: string;
    layer?: number;
    head?: number | null;
    query?: number;
    axis?: string;
    kind?: string;
    number?: number;
    heads?: string;
    /** Of a Timeline. */
    run?: number;
    measure?: string;
  } & OfColumn;
  header: Record<string, unknown>;
  sizes: number[];
  /** Bytes of a number, where those of the same place stand together, which packs better; 1 where they do not. */
  planes?: number[];
  /** Less than the kernel would answer, and replaced where there is one. */
  coarse?: boolean;
}

interface Index {
  /** Of the facts that the answers are about. */
  version: number;
  /** The day on which it was stored. */
  made?: string;
  entries: Entry[];
  /** What was left out, why, and how it is had. */
  missing: string;
}

interface Held extends Entry {
  at: number;
}

/** The part of a tile's header that says where it lies. */
type Place = Pick<TileHeader, "rows" | "columns" | "stride" | "shape" | "low" | "step">;

function nameOf(question: Entry["question"]): string {
  const { op, map, layer, head, query, axis, kind, number, heads, key, temperature, scaling } = question;
  const ofColumn = op === "column" ? [key, temperature, scaling] : [];
  return [op, question.run, question.measure, map, layer, head, query, axis, kind, number, heads, ...ofColumn]
    .filter((part) => part !== undefined)
    .join("/");
}

export class Stored {
  readonly version: number;
  readonly made: string;
  readonly missing: string;
  readonly #bytes: Uint8Array;
  readonly #entries = new Map<string, Held[]>();
  /** Layers of which rows were asked for. */
  readonly #layers = new Map<string, HeldLayer>();

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = bytes.length - 4;
    const start = end - view.getUint32(end, true);
    const index: Index = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
    this.#bytes = bytes;
    this.version = index.version;
    this.made = index.made ?? "";
    this.missing = index.missing;
    let at = 0;
    for (const entry of index.entries) {
      const name = nameOf(entry.question);
      this.#entries.set(name, [...(this.#entries.get(name) ?? []), { ...entry, at }]);
      at += entry.sizes.reduce((sum, size) => sum + size, 0);
    }
  }

  /** The answer to a question; null where there is none, or none that is exact where that is asked for. */
  find(body: object, exact = false): Reply | null {
    const question = body as Entry["question"] & Partial<TileAsked>;
    const held = this.#entries.get(nameOf(question));
    if (!held) return question.op === "rows" ? this.#rows(question) : null;
    if (question.op === "tile") return exact ? null : this.#tile(held, question as TileAsked);
    const [entry] = held;
    return entry && !(exact && entry.coarse) ? this.#reply(entry) : null;
  }

  /** A row of every head, made of the layer where that was stored whole. */
  #rows({ map, layer, query }: Entry["question"]): Reply | null {
    if (layer === undefined || query === undefined) return null;
    const name = nameOf({ op: "projections", map, layer });
    const [entry] = this.#entries.get(name) ?? [];
    if (!entry) return null;
    const { header, buffers } = this.#reply(entry);
    const held = this.#layers.get(name) ?? decodeLayer(header as unknown as LayerHeader, buffers);
    this.#layers.set(name, held);
    return rowsOf(held, query);
  }

  /** The finest tiles that are not finer than was asked for, or of those that are coarser the finest. */
  #tile(held: Held[], asked: TileAsked): Reply | null {
    const levels = new Map<string, Held[]>();
    for (const entry of held) {
      const { stride, rows } = entry.header as unknown as Place;
      const row = rows[1] - rows[0] === 1;
      if (row !== (asked.whole === "row")) continue;
      const level = String(stride);
      levels.set(level, [...(levels.get(level) ?? []), entry]);
    }
    const wanted = Math.max(
      1,
      Math.ceil((asked.rows[1] - asked.rows[0]) / asked.height),
      Math.ceil((asked.columns[1] - asked.columns[0]) / asked.width),
    );
    const covering = [...levels.values()]
      .map((tiles) => tiles.filter((tile) => overlaps(placeOf(tile), asked)))
      .filter((tiles) => covers(tiles.map(placeOf), asked))
      .sort((one, other) => Math.max(...placeOf(one[0]!).stride) - Math.max(...placeOf(other[0]!).stride));
    const fine = covering.filter(([tile]) => Math.max(...placeOf(tile!).stride) <= wanted);
    const tiles = fine.at(-1) ?? covering[0];
    if (!tiles) return null;
    return tiles.length === 1 ? this.#reply(tiles[0]!) : mosaic(tiles.map((tile) => this.#reply(tile)));
  }

  #reply({ header, sizes, planes, at }: Held): Reply {
    let start = at;
    const buffers = sizes.map((size, buffer) => {
      start += size;
      const bytes = this.#bytes.subarray(start - size, start);
      const width = planes?.[buffer] ?? 1;
      return width === 1 ? bytes : interleaved(bytes, width);
    });
    return { header: { ...header, version: this.version }, buffers };
  }
}

const placeOf = ({ header }: Entry) => header as unknown as Place;

const overlaps = ({ rows, columns }: Place, asked: TileAsked): boolean =>
  rows[0] < asked.rows[1] &&
  rows[1] > asked.rows[0] &&
  columns[0] < asked.columns[1] &&
  columns[1] > asked.columns[0];

/** Tiles of one level do not overlap, so that their cells are counted. */
function covers(tiles: Place[], { rows, columns }: TileAsked): boolean {
  const inside = ([from, to]: [number, number], [low, high]: [number, number]) =>
    Math.max(0, Math.min(to, high) - Math.max(from, low));
  const covered = tiles.reduce(
    (sum, tile) => sum + inside(tile.rows, rows) * inside(tile.columns, columns),
    0,
  );
  return tiles.length > 0 && covered === (rows[1] - rows[0]) * (columns[1] - columns[0]);
}

/** Bytes of numbers whose first bytes came first, then their second, and so on. */
function interleaved(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width;
  const numbers = new Uint8Array(bytes.length);
  for (let plane = 0; plane < width; plane++) {
    for (let at = 0; at < count; at++) numbers[at * width + plane] = bytes[plane * count + at]!;
  }
  return numbers;
}

/** Several tiles of one stride as one; their codes are brought to one scale. */
function mosaic(replies: Reply[]): Reply {
  const places = replies.map(({ header }) => header as unknown as Place);
  const span = (axis: "rows" | "columns"): [number, number] => [
    Math.min(...places.map((place) => place[axis][0])),
    Math.max(...places.map((place) => place[axis][1])),
  ];
  const [rows, columns] = [span("rows"), span("columns")];
  const { stride } = places[0]!;
  const shape: [number, number] = [
    Math.ceil((rows[1] - rows[0]) / stride[0]),
    Math.ceil((columns[1] - columns[0]) / stride[1]),
  ];
  const low = Math.min(...places.map((place) => place.low));
  const high = Math.max(...places.map((place) => place.low + place.step * (MASKED - 1)));
  const step = (high - low) / (MASKED - 1);
  const codes = new Uint16Array(shape[0] * shape[1]).fill(MASKED);
  const missing = new Float32Array(shape[0]);
  const entropy = new Float32Array(shape[0]);
  replies.forEach(({ buffers }, at) => {
    const place = places[at]!;
    const [top, left] = [
      Math.floor((place.rows[0] - rows[0]) / stride[0]),
      Math.floor((place.columns[0] - columns[0]) / stride[1]),
    ];
    const [height, width] = place.shape;
    const [of, lacks, spread] = buffers.map((buffer) => aligned(buffer as Uint8Array));
    const tile = new Uint16Array(of!);
    const factor = step === 0 ? 0 : place.step / step;
    const shift = step === 0 ? 0 : (place.low - low) / step;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const code = tile[row * width + column]!;
        if (code !== MASKED)
          codes[(top + row) * shape[1] + left + column] = Math.min(
            MASKED - 1,
            Math.round(code * factor + shift),
          );
      }
    }
    missing.set(new Float32Array(lacks!), top);
    entropy.set(new Float32Array(spread!), top);
  });
  const header = { ...replies[0]!.header, rows, columns, shape, low, step };
  return { header, buffers: [codes, missing, entropy] };
}

const aligned = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer;
