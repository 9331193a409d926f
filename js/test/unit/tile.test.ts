import { describe, expect, it } from "vitest";
import { decodeTile, MASKED, numbers, type TileHeader } from "../../src/attention/tile";
import { unaligned } from "../answers";
import { randomRows, tileFrom } from "./reference";

const header: TileHeader = {
  rows: [0, 2],
  columns: [0, 3],
  stride: [1, 1],
  shape: [2, 3],
  low: -6,
  step: 6 / 65534,
  temperature: 1,
  scaling: 1,
  pooling: "max",
  sampled: null,
  work: 6,
};
const codes = Uint16Array.of(65534, MASKED, MASKED, 10, 20, 30);
const rest = () => [unaligned(new Float32Array(2)), unaligned(new Float32Array(2))];

describe("buffers", () => {
  it("are read from wherever they start", () => {
    const bytes = new Uint8Array(codes.byteLength + 7);
    for (const offset of [0, 1, 2, 3, 7]) {
      bytes.fill(0).set(new Uint8Array(codes.buffer), offset);
      const view = new DataView(bytes.buffer, offset, codes.byteLength);
      expect(numbers(Uint16Array, view, codes.length, "codes")).toEqual(codes);
    }
  });

  it("may be an ArrayBuffer, a DataView or a typed array", () => {
    for (const bytes of [codes.buffer, new DataView(codes.buffer), new Uint8Array(codes.buffer)]) {
      expect(numbers(Uint16Array, bytes, codes.length, "codes")).toEqual(codes);
    }
  });

  it("of the wrong size are refused with both sizes", () => {
    expect(() => decodeTile(header, [unaligned(codes.subarray(1)), ...rest()], 3, true)).toThrow(
      "The kernel sent 10 bytes of codes; 12 were expected.",
    );
    expect(() => decodeTile(header, [], 3, true)).toThrow("0 bytes of codes");
  });
});

describe("a tile", () => {
  it("knows each row's largest code and whether the row had a choice", () => {
    const tile = decodeTile(header, [unaligned(codes), ...rest()], 3, true);
    expect([...tile.largest]).toEqual([65534, 30]);
    expect([...tile.informative]).toEqual([0, 1]);
    expect(tile.hasMasked).toBe(true);
  });

  it("without masked cells says so", () => {
    const open = Uint16Array.of(1, 2, 3, 4, 5, 6);
    expect(decodeTile(header, [unaligned(open), ...rest()], 3, false).hasMasked).toBe(false);
  });

  it("tells rows of NaN from masked rows", () => {
    const nothing = Uint16Array.of(MASKED, MASKED, MASKED, 10, 20, 30);
    const missing = unaligned(Float32Array.of(Number.NaN, 0));
    const tile = decodeTile(header, [unaligned(nothing), missing, unaligned(new Float32Array(2))], 3, false);
    expect(tile.undefinedRows).toEqual([0]);
    expect(tile.hasMasked).toBe(false);
  });

  it("is exact only with every key, one a cell, untempered", () => {
    const decode = (changes: Partial<TileHeader>, keys = 3) =>
      decodeTile({ ...header, ...changes }, [unaligned(codes), ...rest()], keys, true).exact;
    expect(decode({})).toBe(true);
    expect(decode({}, 4)).toBe(false);
    expect(decode({ stride: [2, 1] })).toBe(false);
    expect(decode({ temperature: 2 })).toBe(false);
  });

  it("keeps log weights to half a step", () => {
    for (let seed = 0; seed < 20; seed++) {
      const rows = randomRows(seed, 9, 9);
      const tile = tileFrom(rows);
      rows.forEach(({ logs }, row) => {
        logs.forEach((log, column) => {
          const code = tile.codes[row * 9 + column]!;
          if (Number.isFinite(log))
            expect(Math.abs(tile.low + code * tile.step - log)).toBeLessThanOrEqual(tile.step / 2 + 1e-12);
          else expect(code).toBe(MASKED);
        });
      });
    }
  });
});

describe("a tile in the cache", () => {
  it("counts every byte that it holds", () => {
    const tile = tileFrom(randomRows(3, 20, 30));
    const held = Object.values(tile).filter(ArrayBuffer.isView);
    expect(held.length).toBeGreaterThan(3);
    expect(tile.bytes).toBe(held.reduce((sum, { byteLength }) => sum + byteLength, 0));
  });
});
