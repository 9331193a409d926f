import { signal } from "@preact/signals";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { decodeTile, MASKED, type TileHeader } from "../../src/attention/tile";
import { Backed } from "../../src/host/backed";
import type { AskOptions, Reply, Source } from "../../src/host/source";
import { Stored } from "../../src/host/stored";
import { tileOf } from "../answers";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount } from "./mount";

interface Entry {
  question: Record<string, unknown>;
  header: Record<string, unknown>;
  buffers: Uint8Array[];
  coarse?: boolean;
  planes?: number[];
}

/** As Python packs answers: buffers, index, length of the index. */
function packed(entries: Entry[], version = 1, missing = ""): Uint8Array {
  const index = entries.map(({ buffers, ...entry }) => ({
    ...entry,
    sizes: buffers.map(({ byteLength }) => byteLength),
  }));
  const text = new TextEncoder().encode(JSON.stringify({ version, entries: index, missing }));
  const length = new Uint8Array(new Uint32Array([text.length]).buffer);
  const parts = [...entries.flatMap(({ buffers }) => buffers), text, length];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const N = 64;
const map = new MockMap({ queries: Array<string>(N).fill("a"), heads: [1] });
const place = { op: "tile", map: "attention", layer: 0, head: 0 };
const span = (from: number, to: number): [number, number] => [from, to];

function tile(rows: [number, number], columns: [number, number], stride: number): Entry {
  const cells = ([from, to]: [number, number]) => Math.ceil((to - from) / stride);
  const asked = { rows, columns, height: cells(rows), width: cells(columns), temperature: 1, scaling: 1 };
  const { header, buffers } = tileOf(map, 0, 0, asked);
  return {
    question: { ...place, ...asked },
    header,
    buffers: buffers.map((view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)),
  };
}

const asked = (rows: [number, number], columns: [number, number], height: number, width: number) => ({
  ...place,
  ...{ rows, columns, height, width },
});
const read = ({ header, buffers }: Reply) => decodeTile(header as unknown as TileHeader, buffers, N, true);

/** Log-weights of a cell of the map, by what a tile says. */
function logOf(from: ReturnType<typeof read>, query: number, key: number): number | null {
  const row = Math.floor((query - from.rows[0]) / from.stride[0]);
  const column = Math.floor((key - from.columns[0]) / from.stride[1]);
  const code = from.codes[row * from.shape[1] + column]!;
  return code === MASKED ? null : from.low + code * from.step;
}

describe("a long map that was stored at several zooms", () => {
  const quarters = [0, 32].flatMap((top) =>
    [0, 32].map((left) => tile(span(top, top + 32), span(left, left + 32), 2)),
  );
  const stored = new Stored(packed([tile(span(0, N), span(0, N), 4), ...quarters]));

  it("is read at the zoom that was asked for, or the next finer one there is", () => {
    expect(stored.find(asked(span(0, N), span(0, N), 16, 16))!.header.stride).toEqual([4, 4]);
    expect(stored.find(asked(span(0, N), span(0, N), 32, 32))!.header.stride).toEqual([2, 2]);
    expect(stored.find(asked(span(4, 20), span(4, 20), 16, 16))!.header.stride).toEqual([2, 2]);
    // Of two cells in one point and three the coarser is too coarse.
    expect(stored.find(asked(span(0, N), span(0, N), 22, 22))!.header.stride).toEqual([2, 2]);
  });

  it("is put together of several tiles as if it had been one", () => {
    const whole = read(stored.find(asked(span(0, N), span(0, N), 32, 32))!);
    const [one] = [tile(span(0, N), span(0, N), 2)];
    const direct = read({ header: one!.header, buffers: one!.buffers });
    expect(whole.shape).toEqual(direct.shape);
    for (let query = 0; query < N; query += 3) {
      for (let key = 0; key < N; key += 5) {
        const [found, wanted] = [logOf(whole, query, key), logOf(direct, query, key)];
        if (wanted === null) expect(found).toBeNull();
        else expect(Math.abs(found! - wanted)).toBeLessThan(whole.step + direct.step);
      }
    }
    expect([...whole.entropy]).toEqual([...direct.entropy]);
  });

  it("is not claimed where it was not stored", () => {
    expect(stored.find({ ...asked(span(0, N), span(0, N), 16, 16), head: 1 })).toBeNull();
    const half = new Stored(packed([quarters[0]!]));
    expect(half.find(asked(span(0, N), span(0, N), 16, 16))).toBeNull();
    expect(half.find(asked(span(3, 30), span(3, 30), 16, 16))).not.toBeNull();
  });
});

it("answers about spans are told apart by their kind and their head", () => {
  const place = { op: "span_rows", map: "attention", layer: 0 };
  const asked = [null, 2].flatMap((head) => ["roles", "sentences"].map((kind) => ({ ...place, head, kind })));
  const entries = asked.map((question) => ({ question, header: { ...question }, buffers: [] }));
  const stored = new Stored(packed(entries));
  for (const question of asked) expect(stored.find(question)!.header).toMatchObject(question);
  expect(stored.find({ ...place, head: 2, kind: "documents" })).toBeNull();
});

it("numbers whose bytes stand in planes are numbers again", () => {
  const values = Float32Array.from([1.5, -2.25, 1e-8, 3e7]);
  const bytes = new Uint8Array(values.buffer);
  const planes = Uint8Array.from({ length: 16 }, (_, at) => bytes[(at % 4) * 4 + Math.floor(at / 4)]!);
  const question = { op: "projections", map: "attention", layer: 0 };
  const stored = new Stored(packed([{ question, header: {}, buffers: [planes], planes: [4] }], 3));
  const { header, buffers } = stored.find(question)!;
  expect(header.version).toBe(3);
  expect([...new Float32Array((buffers[0] as Uint8Array).slice().buffer)]).toEqual([...values]);
});

describe("a kernel with something kept behind it", () => {
  const question = { op: "thumbnails", map: "attention", layer: 0 };
  const entry = (coarse: boolean) => ({
    question,
    header: { kept: true },
    buffers: [new Uint8Array(1)],
    coarse,
  });

  function kernel() {
    const waiting: { resolve(reply: Reply): void; reject(reason: Error): void }[] = [];
    const source = {
      ...{ patience: signal("calm"), link: signal("live"), cut: signal(false) },
      ...{ silence: signal(null), busy: signal(false), missing: "" },
      ask: () => new Promise<Reply>((resolve, reject) => waiting.push({ resolve, reject })),
      atOnce: () => null,
      retry() {},
      close() {},
    } as unknown as Source;
    return { source, waiting };
  }

  const backed = (source: Source | null, coarse: boolean, version = 1) =>
    new Backed(source, signal(new Stored(packed([entry(coarse)], 1, "Left out."))), signal(version));

  it("is not asked what is known as well here", async () => {
    const { source, waiting } = kernel();
    const reply = await backed(source, false).ask("thumbnails", question);
    expect(reply.header.kept).toBe(true);
    expect(waiting).toEqual([]);
  });

  it("is not waited for longer than a second, and replaces what was kept when it speaks", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { source, waiting } = kernel();
    const later = vi.fn<NonNullable<AskOptions["later"]>>();
    let got: Reply | null = null;
    const asking = backed(source, true)
      .ask("thumbnails", question, { later })
      .then((reply) => {
        got = reply;
      });
    await vi.advanceTimersByTimeAsync(900);
    expect(got).toBeNull();
    await vi.advanceTimersByTimeAsync(200);
    await asking;
    expect(got!.header.kept).toBe(true);
    waiting[0]!.resolve({ header: { kept: false }, buffers: [] });
    await vi.advanceTimersByTimeAsync(0);
    expect(later.mock.calls[0]![0].header.kept).toBe(false);
  });

  it("that is gone leaves what was kept, of these maps and no others", async () => {
    const { source, waiting } = kernel();
    const asking = backed(source, true).ask("thumbnails", question);
    waiting[0]!.reject(new Error("gone"));
    expect((await asking).header.kept).toBe(true);
    const other = backed(source, true, 2).ask("thumbnails", question);
    waiting[1]!.reject(new Error("gone"));
    await expect(other).rejects.toThrow("gone");
  });

  it("that never was is a page, which says what it lacks", async () => {
    const page = backed(null, true);
    expect(page.link.value).toBe("page");
    expect((await page.ask("thumbnails", question)).header.kept).toBe(true);
    await expect(page.ask("thumbnails", { ...question, layer: 1 })).rejects.toThrow(
      "This is not in the page. Left out.",
    );
  });
});

it("coarse points that came with a view give way to the kernel's own, however late it speaks", async () => {
  const host = new MockModel([map]);
  const version = 1;
  host.fromPython({ facts: { title: "", version, maps: [map.facts] } });
  const points = { ...tile(span(0, N), span(0, N), 4), coarse: true };
  (host as { get(name: string): unknown }).get = (
    (get) => (name: string) =>
      name === "opening" ? packed([points], version) : get.call(host, name)
  )(host.get);
  host.policy = () => "hold";
  const view = mount(host);
  await vi.waitFor(() => expect(view.part("pooled").textContent).toContain("4 × 4 cells"), {
    timeout: 5_000,
  });
  host.release();
  await vi.waitFor(() => expect(view.part("pooled").textContent).toBe(""), { timeout: 5_000 });
  await view.ready();
});
