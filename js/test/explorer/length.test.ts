import { describe, expect, it, vi } from "vitest";
import type { Question } from "../answers";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { behind, choose, type Mounted, mount, pixelOf, point, press, windowOf } from "./mount";

const long = (n: number) => Array.from({ length: n }, (_, at) => `w${at}`);
const N = 1100;

function modelOf(cost = 1, heads = [2], choices = {}): MockModel {
  const model = new MockModel([new MockMap({ queries: long(N), heads, cost })], choices);
  // What looks at all heads takes the mock too long.
  model.policy = ({ op }) => (op === "tile" ? "answer" : { error: "Not now." });
  return model;
}

const tiles = (model: MockModel): (Question & { cells?: number })[] =>
  model.sent.filter(({ op, rows }) => op === "tile" && rows[1] - rows[0] > 1);
const words = (view: Mounted) => view.part("pooled").textContent ?? "";
const holdMore = (model: MockModel) => {
  const { policy } = model;
  model.policy = (question) => (question.cells === 2 ** 26 ? "hold" : policy(question));
};

describe("a map that is longer than the screen", () => {
  it("says what a point is, and shows the mean where that is chosen", async () => {
    const model = modelOf();
    const view = mount(model);
    await view.ready();
    expect(words(view)).toMatch(/^Each point: the largest of [23] × [23] cells\.$/);
    const largest = Number(view.heatmap().dataset.max);
    choose(await behind<HTMLSelectElement>(view, "colours", "pooling"), "mean");
    await vi.waitFor(() => expect(words(view)).toMatch(/^Each point: the mean of what is visible in/), {
      timeout: 10_000,
    });
    expect(model.get("pooling")).toBe("mean");
    expect(tiles(model).at(-1)!.pooling).toBe("mean");
    expect(Number(view.heatmap().dataset.max)).toBeLessThan(largest);
    model.fromPython({ pooling: "max" });
    await vi.waitFor(() => expect(words(view)).toMatch(/largest/), { timeout: 10_000 });
  }, 60_000);

  it("alone has that choice", async () => {
    const view = mount(new MockModel([new MockMap({ queries: long(40) })]));
    await view.ready();
    await behind(view, "colours", "color-range");
    expect(view.parts("pooling")).toEqual([]);
    expect(words(view)).toBe("");
  });

  it("that is sampled says so, and is read whole when nothing moves", async () => {
    const model = modelOf(60);
    holdMore(model);
    const view = mount(model);
    await view.ready();
    expect(words(view)).toMatch(/Approximate: 1 of every [23] rows is read; zoom in to read all\.$/);
    await vi.waitFor(() => expect(model.held.length).toBe(1));
    // The picture is there, and the finer one is no reason to wait.
    expect(view.state()).toBe("ready");
    model.release();
    await vi.waitFor(() => expect(words(view)).not.toContain("Approximate"), { timeout: 10_000 });
  }, 60_000);

  it("keeps what was asked for last when the finer picture of another window comes late", async () => {
    const model = modelOf(60);
    holdMore(model);
    const view = mount(model);
    await view.ready();
    await vi.waitFor(() => expect(model.held.length).toBe(1));
    view.part("zoom-in").click();
    view.part("zoom-in").click();
    await view.ready();
    const zoomed = tiles(model).at(-1)!;
    const stale = model.held.splice(0);
    for (const question of stale) model.answer(question);
    await vi.waitFor(() => expect(view.state()).toBe("ready"));
    expect(stale[0]!.rows).not.toEqual(zoomed.rows);
    const [from, to] = windowOf(view.heatmap());
    expect(to - from).toBeLessThan(N / 2);
    expect(words(view)).not.toContain("Approximate");
  }, 60_000);

  it("that is too long to be read stays sampled until single cells are there, with their numbers", async () => {
    const model = modelOf(5000, [1]);
    const view = mount(model);
    await view.ready();
    expect(words(view)).toContain("Approximate");
    for (let times = 0; times < 4; times++) press(view.heatmap(), "ArrowDown");
    const [stride] = words(view).match(/\d+/)!.map(Number);
    // Arrows move by what can be seen.
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain(`query ${3 * stride!}, key 0`));
    for (let times = 0; times < 16; times++) press(view.heatmap(), "+");
    await view.ready();
    expect(words(view)).toBe("");
    const [from, to, left, right] = windowOf(view.heatmap());
    expect([to - from, right - left].map(Math.round)).toEqual([4, 4]);
    expect(from).toBeLessThanOrEqual(3 * stride!);
    expect(to).toBeGreaterThan(3 * stride!);
    expect(tiles(model).every(({ cells }) => cells !== 2 ** 26)).toBe(true);
  }, 60_000);

  it("has its neighbours fetched at the same window, and draws them at once", async () => {
    const model = modelOf(1, [3], { head: 1 });
    const view = mount(model);
    await view.ready();
    await vi.waitFor(() => expect(tiles(model).map(({ head }) => head)).toEqual([1, 2, 0]), {
      timeout: 20_000,
    });
    expect(tiles(model)[2]!.height).toBe(tiles(model)[0]!.height);
    await vi.waitFor(() => expect(view.state()).toBe("ready"));
    model.policy = () => "hold";
    model.fromPython({ head: 2 });
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("2"));
  }, 60_000);

  it("is drawn stretched while the next window is on its way", async () => {
    const model = modelOf();
    const view = mount(model);
    await view.ready();
    model.policy = () => "hold";
    point(view.heatmap(), "wheel", 600, 3, { ctrlKey: true });
    await vi.waitFor(() => expect(windowOf(view.heatmap())[1]).toBeLessThan(N));
    expect(view.state()).toBe("loading");
    expect(pixelOf(view.heatmap(), 600, 3)).not.toEqual([0, 0, 0]);
  }, 60_000);

  it("asks for one window at a time, and then for the newest, however often it moves", async () => {
    const model = modelOf(1, [1]);
    const view = mount(model);
    await view.ready();
    model.policy = () => "hold";
    const before = tiles(model).length;
    for (let times = 0; times < 5; times++) {
      point(view.heatmap(), "wheel", 600, 300, { ctrlKey: true });
    }
    expect(tiles(model).length).toBe(before + 1);
    model.release();
    await view.ready();
    expect(tiles(model).length).toBe(before + 2);
  }, 60_000);

  it("pools the same cells together wherever it is moved", async () => {
    const model = modelOf();
    const view = mount(model);
    await view.ready();
    point(view.heatmap(), "wheel", 600, 300, { ctrlKey: true, deltaY: -20 } as MouseEventInit);
    await view.ready();
    const { rows, height } = tiles(model).at(-1)!;
    const stride = Math.ceil((rows[1] - rows[0]) / height);
    expect(stride).toBeGreaterThan(1);
    expect(rows[0] % stride).toBe(0);
  }, 60_000);
});

describe("a map that is long one way", () => {
  it.each([
    [1, 4000],
    [4000, 1],
    [2, 3000],
  ])(
    "%i x %i is drawn, and zooms to single cells",
    async (queries, keys) => {
      const map = new MockMap({ queries: long(queries), keys: long(keys), heads: [1], causal: false });
      const model = new MockModel([map]);
      const view = mount(model);
      await view.ready();
      expect(words(view)).toContain("Each point");
      for (let times = 0; times < 20; times++) press(view.heatmap(), "+");
      await view.ready();
      expect(words(view)).toBe("");
      const [from, to, left, right] = windowOf(view.heatmap());
      expect([to - from, right - left]).toEqual([Math.min(4, queries), Math.min(4, keys)]);
    },
    60_000,
  );
});

describe("a text of 32,768 tokens", () => {
  it("is shown around the pinned word, and not as 32,768 elements", async () => {
    const map = new MockMap({ queries: ["a"], keys: long(32768), heads: [1], causal: false });
    const view = mount(new MockModel([map], { view: "text", query: 0, key: 20000 }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("0"));
    const shadow = view.host.shadowRoot!;
    expect(view.part("text").querySelector('[data-index="20000"]')!.textContent).toBe("w20000");
    expect(shadow.querySelectorAll("*").length).toBeLessThan(15_000);
  }, 60_000);
});
