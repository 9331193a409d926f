import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Facts } from "../../src/host/facts";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, pixelOf, point } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball to Ben".split(" ");
const long = (n: number) => Array.from({ length: n }, (_, at) => WORDS[at % WORDS.length]!);
const model = (options: Partial<MapOptions> = {}, choices = {}) =>
  new MockModel(
    [new MockMap({ queries: WORDS, heads: [3, 3, 3, 3], held: "projections", ...options })],
    choices,
  );
const asked = (host: MockModel, op: string) =>
  host.sent.filter((question) => question.op === op).map(({ layer }) => layer);
const came = (host: MockModel, op: string, count: number) =>
  vi.waitFor(() => expect(asked(host, op).length).toBe(count), { timeout: 10_000 });

/** The weight that the tooltip says. */
async function said(view: ReturnType<typeof mount>, query: number, key: number): Promise<string> {
  point(view.heatmap(), "pointermove", query, key);
  const words = `query ${query}, key ${key}`;
  await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain(words));
  return view.part("tooltip").children[1]!.textContent!;
}

describe.each(["projections", "codes"] as const)("a layer that came as %s", (held) => {
  it("is asked for behind the chosen head, and the layers beside it when nothing moves", async () => {
    const host = model({ held }, { layer: 1 });
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 3);
    expect(host.sent.slice(0, 3).map(({ op, layer }) => [op, layer])).toEqual([
      ["tile", 1],
      ["profile", 1],
      ["projections", 1],
    ]);
    expect(asked(host, "projections")).toEqual([1, 2, 0]);
  });

  it("gives all its heads without a question, with the kernel's own weights", async () => {
    const host = model({ held });
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 2);
    host.policy = () => "hold";
    for (const head of [2, 1]) {
      host.fromPython({ layer: 1, head });
      await view.ready();
      expect([view.heatmap().dataset.layer, view.heatmap().dataset.head]).toEqual(["1", String(head)]);
      for (const [query, key] of [
        [12, 3],
        [5, 5],
        [9, 0],
      ] as const) {
        const weight = host.maps[0]!.row(1, head, query)[key]!;
        expect(Math.abs(Number(await said(view, query, key)) - weight)).toBeLessThan(1e-4);
      }
      expect(await said(view, 2, 7)).toBe("masked");
    }
    expect(asked(host, "tile").length).toBe(1);
  });

  it("still gives them when the kernel is gone, tempered and pinned", async () => {
    const host = model({ held });
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 2);
    await came(host, "thumbnails", 4);
    host.disconnect();
    host.fromPython({ head: 2, temperature: 0.5, query: 6 });
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("2"));
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("6"));
    const weight = host.maps[0]!.row(0, 2, 6, 0.5)[4]!;
    expect(Number(await said(view, 6, 4))).toBeCloseTo(weight, 3);
    host.fromPython({ layer: 3 });
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.textContent).toContain(
        "This had not come, and there is no kernel to ask for it.",
      ),
    );
  });

  it("is forgotten with its text", async () => {
    const host = model({ held });
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 2);
    const other = new MockMap({ queries: WORDS, heads: [3, 3, 3, 3], held, seed: 3 });
    host.maps.splice(0, 1, other);
    host.fromPython({ facts: { title: "", version: 2, maps: [other.facts] } as Facts, head: 1 });
    await view.ready();
    expect(Number(await said(view, 8, 2))).toBeCloseTo(other.row(0, 1, 8)[2]!, 3);
    await came(host, "projections", 4);
  });

  it("may come in pieces, in another order and some of them twice", async () => {
    const host = model({ held });
    host.policy = ({ op }) => (op === "projections" ? "hold" : "answer");
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 1);
    const [question] = host.held.splice(0);
    const { header, buffers } = host.replyTo(question!);
    const sizes = buffers.map(({ byteLength }) => byteLength);
    const together = new Uint8Array(await new Blob(buffers as BlobPart[]).arrayBuffer());
    const pieces = [0, 1, 2].map((piece) => {
      const part = together.slice(piece * 1001, piece === 2 ? undefined : (piece + 1) * 1001);
      const first = piece === 0 ? { header, sizes } : {};
      return [
        { id: question!.id, ok: true, piece, pieces: 3, ...first },
        [new DataView(part.buffer)],
      ] as const;
    });
    for (const at of [2, 0, 2, 1]) host.message(pieces[at]![0], [...pieces[at]![1]]);
    await came(host, "thumbnails", 4);
    host.fromPython({ head: 2 });
    await view.ready();
    const weight = host.maps[0]!.row(0, 2, 11)[4]!;
    expect(Math.abs(Number(await said(view, 11, 4)) - weight)).toBeLessThan(1e-4);
    expect(asked(host, "tile").length).toBe(1);
  });

  it("that cannot be had leaves the heads to be asked for one by one", async () => {
    const host = model({ held });
    host.policy = ({ op }) => (op === "projections" ? { error: "Out of memory." } : "answer");
    const view = mount(host);
    await view.ready();
    await came(host, "projections", 1);
    host.fromPython({ head: 2 });
    await view.ready();
    expect(view.heatmap().dataset.head).toBe("2");
    expect(view.state()).toBe("ready");
    expect(asked(host, "projections")).toEqual([0]);
  });
});

describe("a large layer", () => {
  const large = () => model({ queries: long(256), width: 64, causal: false, heads: [8, 8] });

  async function drawn(host: MockModel) {
    const view = mount(host);
    await view.ready();
    // Those of the chosen layer come behind it, wherever on the page the view stands.
    await vi.waitFor(() => expect(asked(host, "thumbnails").length).toBeGreaterThan(0), { timeout: 10_000 });
    host.fromPython({ head: 5 });
    await view.ready();
    const cells = [0, 80, 255].flatMap((query) => [3, 128, 250].map((key) => [query, key] as const));
    return cells.map(([query, key]) => pixelOf(view.heatmap(), query, key));
  }

  function replaceWorker(other: unknown): void {
    const Real = window.Worker;
    window.Worker = other as typeof Worker;
    onTestFinished(() => {
      window.Worker = Real;
    });
  }

  it("is drawn alike by the kernel, by a worker, and where no worker may be had", async () => {
    const alone = large();
    alone.policy = ({ op }) => (op === "projections" ? { error: "no" } : "answer");
    const byKernel = await drawn(alone);

    const started: string[] = [];
    const Real = window.Worker;
    replaceWorker(
      class extends Real {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          started.push(String(url));
        }
      },
    );
    const helped = large();
    expect(await drawn(helped)).toEqual(byKernel);
    expect(started.length).toBe(1);
    expect(asked(helped, "tile").length).toBe(1);

    // A policy that forbids workers lets them be made, and fires an event.
    replaceWorker(
      class {
        onerror: ((event: Event) => void) | null = null;
        constructor() {
          queueMicrotask(() => this.onerror?.(new Event("error", { cancelable: true })));
        }
        postMessage() {}
        terminate() {}
      },
    );
    expect(await drawn(large())).toEqual(byKernel);

    replaceWorker(
      class {
        constructor() {
          throw new Error("no workers here");
        }
      },
    );
    expect(await drawn(large())).toEqual(byKernel);
  }, 60_000);
});
