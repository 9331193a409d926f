/** Replies above a few MB come in pieces: all buffers one after another, cut wherever a piece is full. */
import { type Bytes, bytesOf } from "../attention/tile";
import type { Reply } from "./source";

export interface Piece {
  /** Absent where the reply is one message. */
  piece?: number;
  pieces?: number;
  header?: Record<string, unknown>;
  /** Bytes of each buffer, with the first piece. */
  sizes?: number[];
}

export class Pieces {
  #came: (Bytes | undefined)[] = [];
  #first: Piece = {};

  /** The reply, once all of it is here; pieces come in any order, and some of them twice where it was asked for twice. */
  add(content: Piece, buffers: Bytes[]): Reply | null {
    const { piece, pieces = 1, header } = content;
    if (piece === undefined) return header ? { header, buffers } : null;
    if (header) this.#first = content;
    this.#came[piece] = buffers[0];
    const came = this.#came.filter((buffer) => buffer !== undefined);
    if (came.length < pieces) return null;
    const together = new Uint8Array(came.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const buffer of came) {
      together.set(bytesOf(buffer), at);
      at += buffer.byteLength;
    }
    let start = 0;
    const cut = this.#first.sizes!.map((size) => {
      start += size;
      return together.subarray(start - size, start);
    });
    return { header: this.#first.header!, buffers: cut };
  }
}
