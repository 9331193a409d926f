import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Facts } from "../../src/host/facts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, point, windowOf } from "./mount";

const TEXT = "Lily and Ben went to the park . Lily gave the ball to Ben and they walked home".split(" ");
const grown = (n: number, options = {}) =>
  new MockMap({ queries: TEXT.slice(0, n), heads: [3, 3], measured: {}, ...options });
const loaded = (view: ReturnType<typeof mount>) => view.parts("thumb", '[data-loaded="true"]').length;

let version = 0;
function show(host: MockModel, map: MockMap, choices = {}): void {
  host.maps.splice(0, 1, map);
  version += 1;
  host.fromPython({ facts: { title: "", version, maps: [map.facts] }, ...choices });
}

const rows = (view: ReturnType<typeof mount>) => windowOf(view.heatmap())[1];

describe("a text that grows", () => {
  it("gets its row when that has come, and not before", async () => {
    const host = new MockModel([grown(6)]);
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(loaded(view)).toBe(6));
    host.policy = () => "hold";
    show(host, grown(7));
    await vi.waitFor(() => expect(host.held.length).toBe(1));
    await vi.waitFor(() => expect(view.state()).toBe("loading"));
    // The picture that was there still is, with its own labels and its heads.
    expect(rows(view)).toBe(6);
    expect(view.heatmap().dataset.head).toBe("0");
    expect(loaded(view)).toBe(6);
    point(view.heatmap(), "pointermove", 5, 2);
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“the” → “Ben”"));
    host.release();
    await view.ready();
    expect(windowOf(view.heatmap())).toEqual([0, 7, 0, 7]);
    expect(host.sent.filter(({ op }) => op === "tile").at(-1)!.rows).toEqual([0, 7]);
    await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
  });

  it("asks for the newest alone, however fast it grows", async () => {
    const host = new MockModel([grown(2)]);
    const view = mount(host);
    await view.ready();
    const before = host.sent.length;
    host.policy = () => "hold";
    for (let n = 3; n <= 16; n++) show(host, grown(n));
    expect(host.held.map(({ rows }) => rows)).toEqual([[0, 3]]);
    host.release();
    await view.ready();
    expect(rows(view)).toBe(16);
    expect(host.sent.slice(before).filter(({ op }) => op === "tile").length).toBe(2);
  });

  it("is seen growing, though every answer comes after the next token", async () => {
    const host = new MockModel([grown(2)], { temperature: 0.5 });
    const view = mount(host);
    await view.ready();
    host.policy = () => "hold";
    show(host, grown(3));
    for (let n = 4; n <= 10; n++) {
      await vi.waitFor(() => expect(host.held.length).toBe(1));
      const [asked] = host.held.splice(0);
      // The kernel answers of what it has; the token that comes meanwhile must not make that worthless.
      host.answer(asked!);
      show(host, grown(n));
      await vi.waitFor(() => expect(windowOf(view.heatmap())).toEqual([0, n - 1, 0, n - 1]));
      expect(view.heatmap().dataset.temperature).toBe("0.5");
      expect(view.state()).not.toBe("ready");
    }
    host.release();
    await view.ready();
    expect(rows(view)).toBe(10);
  });

  it("leaves small pictures and numbers for when it stands still", async () => {
    const host = new MockModel([grown(4)], { measure: "entropy" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect([loaded(view), view.parts("badge").length]).toEqual([6, 6]));
    const before = host.sent.length;
    // However slow the machine is: it stands still when these timers say so.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    for (let n = 5; n <= 9; n++) {
      show(host, grown(n));
      while (rows(view) !== n) await new Promise(requestAnimationFrame);
      expect([loaded(view), view.parts("badge").length]).toEqual([6, 6]);
    }
    expect(host.sent.slice(before).map(({ op }) => op)).toEqual(Array(5).fill("tile"));
    await vi.advanceTimersByTimeAsync(300);
    vi.useRealTimers();
    await vi.waitFor(() => expect(view.parts("thumb", '[data-stale="true"]')).toEqual([]));
    await vi.waitFor(() =>
      expect(Number(view.parts("badge")[0]!.dataset.value)).toBeCloseTo(host.maps[0]!.measure(0, 0, 0), 4),
    );
  });

  it("keeps the pin and the temperature", async () => {
    const host = new MockModel([grown(6)], { query: 4, temperature: 0.5 });
    const view = mount(host);
    await view.ready();
    show(host, grown(7));
    await vi.waitFor(() => expect(rows(view)).toBe(7));
    expect(view.part("row").dataset.query).toBe("4");
    expect(view.heatmap().dataset.temperature).toBe("0.5");
    expect(host.saved).toEqual([]);
  });

  it("stays in sight as a whole, and a part of it stays that part", async () => {
    const host = new MockModel([grown(12)]);
    const view = mount(host);
    await view.ready();
    view.part("zoom-in").click();
    const zoomed = windowOf(view.heatmap());
    show(host, grown(13));
    await view.ready();
    expect(windowOf(view.heatmap())).toEqual(zoomed);
    view.part("zoom-out").click();
    view.part("zoom-out").click();
    show(host, grown(14));
    await vi.waitFor(() => expect(windowOf(view.heatmap())).toEqual([0, 14, 0, 14]));
  });

  it("reads its pinned row again where the map is pooled", async () => {
    const long = (n: number) =>
      new MockMap({ queries: Array.from({ length: n }, (_, at) => TEXT[at % 18]!), heads: [1] });
    const host = new MockModel([long(1100)], { query: 700 });
    host.policy = ({ op }) => (op === "tile" ? "answer" : "hold");
    const view = mount(host);
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("700"), { timeout: 20_000 });
    await view.ready();
    const seen: string[] = [];
    const observer = new MutationObserver(() => seen.push(view.part("row").dataset.query ?? ""));
    observer.observe(view.part("row").parentElement!, { childList: true, subtree: true, attributes: true });
    show(host, long(1101));
    await vi.waitFor(() => expect(rows(view)).toBe(1101), { timeout: 20_000 });
    await view.ready();
    observer.disconnect();
    expect(seen.filter((query) => query !== "700")).toEqual([]);
  }, 60_000);
});

describe("other maps", () => {
  it("come with their choices at once", async () => {
    const host = new MockModel([grown(12)], { layer: 1, head: 2, query: 11 });
    const view = mount(host);
    await view.ready();
    const other = new MockMap({ queries: ["one", "two"], heads: [1] });
    show(host, other, { layer: 0, head: 0, query: null });
    await vi.waitFor(() => expect(windowOf(view.heatmap())).toEqual([0, 2, 0, 2]));
    await vi.waitFor(() => expect(view.parts("thumb")).toEqual([]));
    expect(host.sent.filter(({ op, layer }) => op === "tile" && layer === 0).at(-1)!.rows).toEqual([0, 2]);
    expect(host.saved).toEqual([]);
  });

  it("of which nothing can be had say so, and show nothing old", async () => {
    const host = new MockModel([grown(6)]);
    const view = mount(host);
    await view.ready();
    host.policy = ({ op }) => (op === "tile" ? { error: "Out of memory." } : "answer");
    show(host, grown(7));
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    expect(view.host.shadowRoot!.textContent).toContain("Out of memory.");
    host.policy = () => "answer";
    view.part("retry").click();
    await vi.waitFor(() => expect(rows(view)).toBe(7));
    await view.ready();
  });

  it("of the same tokens are asked for too", async () => {
    const host = new MockModel([grown(6)]);
    const view = mount(host);
    await view.ready();
    const cell = () =>
      view.heatmap().getAttribute("aria-label") && host.sent.filter(({ op }) => op === "tile").length;
    const before = cell() as number;
    show(host, grown(6, { seed: 3 }));
    await vi.waitFor(() => expect(cell()).toBeGreaterThan(before));
    await view.ready();
    point(view.heatmap(), "pointermove", 4, 2);
    const weight = host.maps[0]!.row(0, 0, 4)[2]!;
    await vi.waitFor(() =>
      expect(Number(view.part("tooltip").children[1]!.textContent)).toBeCloseTo(weight, 3),
    );
  });

  it("that are told again, as when a cut line has come back, are the ones that are there", async () => {
    const host = new MockModel([grown(6)]);
    const view = mount(host);
    show(host, grown(7));
    await view.ready();
    await vi.waitFor(() => expect(loaded(view)).toBe(6));
    host.policy = () => "hold";
    host.fromPython({ head: 2 });
    const again = () => host.fromPython({ facts: structuredClone(host.get("facts")) as Facts });
    again();
    await vi.waitFor(() => expect(host.held.length).toBe(1));
    const [asked] = host.held.splice(0);
    again();
    host.policy = () => "answer";
    host.answer(asked!);
    await view.ready();
    expect(view.heatmap().dataset.head).toBe("2");
    const before = host.sent.length;
    again();
    await view.ready();
    expect(loaded(view)).toBe(6);
    expect(host.sent.length).toBe(before);
  });
});
