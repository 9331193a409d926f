import { describe, expect, it } from "vitest";
import { Known } from "../../src/answers/known";
import { rows, weightIn } from "../../src/answers/rows";
import { decodeLayer, type LayerHeader } from "../../src/attention/projections";
import { rowsOf } from "../../src/attention/rows";
import { OPERATIONS, type Question } from "../answers";
import { MockMap } from "../maps";

const words = Array.from({ length: 9 }, (_, at) => `w${at}`);

describe("the row of a query in every head", () => {
  it.each(["projections", "codes"] as const)("made of a layer held as %s is the kernel's", (held) => {
    const map = new MockMap({ queries: words, held });
    const whole = OPERATIONS.projections(map, { layer: 1 } as Question);
    const layer = decodeLayer(whole.header as unknown as LayerHeader, whole.buffers);
    const [made, wanted] = [rowsOf(layer, 6), OPERATIONS.rows(map, { layer: 1, query: 6 } as Question)].map(
      (reply) => rows("attention", 1, 6).read({ header: reply.header, buffers: reply.buffers }),
    );
    expect([made!.shape, made!.stride]).toEqual([wanted!.shape, wanted!.stride]);
    for (let head = 0; head < 4; head++) {
      expect(made!.peak[head]).toBeCloseTo(wanted!.peak[head]!, 3);
      for (let key = 0; key < 9; key++) {
        expect(weightIn(made!, head, key)).toBeCloseTo(map.row(1, head, 6)[key]!, 3);
        expect(weightIn(wanted!, head, key)).toBeCloseTo(map.row(1, head, 6)[key]!, 4);
      }
    }
  });

  it("is forgotten where many have come since", () => {
    const known = new Known();
    const most = rows("a", 0, 0).most!;
    const row = {
      heads: 1,
      stride: 1,
      shape: [1, 1] as [number, number],
      peak: [1],
      values: new Uint16Array(1),
    };
    for (let query = 0; query < most + 2; query++) known.keep(rows("a", 0, query), row);
    expect([known.get(rows("a", 0, 1)), known.isFresh(rows("a", 0, 1))]).toEqual([undefined, false]);
    expect(known.get(rows("a", 0, 2))).toBe(row);
    expect(known.get(rows("a", 0, most + 1))).toBe(row);
  });
});
