import { describe, expect, it, vi } from "vitest";
import type { Question } from "../answers";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { behind, choose, type Mounted, mount, pixelOf, point, windowOf } from "./mount";

const N = 1100;
const long = (count: number) => Array.from({ length: count }, (_, at) => `w${at}`);
const modelOf = (choices = {}, options = {}) => {
  const model = new MockModel([new MockMap({ queries: long(N), heads: [2], ...options })], choices);
  // What looks at all heads takes the mock a while, and the thumbnails are enough.
  model.policy = ({ op }: Question) =>
    op === "tile" || op === "thumbnails" ? "answer" : { error: "Not now." };
  return model;
};
const end = (view: Mounted) => Number(view.heatmap().dataset.max);
const largestOf = (map: MockMap, head: number, temperature = 1) => {
  let largest = 0;
  for (let query = 1; query < N; query++)
    for (const weight of map.row(0, head, query, temperature)) largest = Math.max(largest, weight);
  return largest;
};
const pictured = (view: Mounted) =>
  vi.waitFor(() => expect(view.parts("thumb", '[data-loaded="true"]')).toHaveLength(2), { timeout: 20_000 });

async function zoomTo(view: Mounted, query: number, key: number): Promise<void> {
  for (let times = 0; times < 6; times++) point(view.heatmap(), "wheel", query, key, { ctrlKey: true });
  await view.ready();
  const [from, to] = windowOf(view.heatmap());
  expect(to - from).toBeLessThan(N / 6);
}

async function pan(view: Mounted, rows: number): Promise<void> {
  const canvas = view.heatmap();
  canvas.setPointerCapture = () => {};
  const [from, to, left, right] = windowOf(canvas);
  const [query, key] = [(from + to) / 2, (left + right) / 2];
  point(canvas, "pointerdown", query, key);
  point(canvas, "pointermove", query - rows, key);
  point(canvas, "pointerup", query - rows, key);
  point(canvas, "click", query - rows, key);
  await view.ready();
}

describe("the range of each map", () => {
  it.each([
    ["max", 0],
    ["max", 1],
  ] as const)(
    "ends at the map's own largest weight at every zoom: %s, head %i",
    async (pooling, head) => {
      const host = modelOf({ head, pooling });
      const view = mount(host);
      await view.ready();
      await pictured(view);
      const largest = largestOf(host.maps[0]!, head);
      expect(end(view)).toBeCloseTo(largest, 3);
      const fixed = end(view);
      await zoomTo(view, 700, 60);
      expect(end(view)).toBe(fixed);
      for (const rows of [-60, -60, 90, 40]) {
        await pan(view, rows);
        expect(end(view)).toBe(fixed);
      }
      expect(view.part("legend").ariaLabel).not.toContain("seen");
      view.part("zoom-fit").click();
      await view.ready();
      expect(end(view)).toBe(fixed);
    },
    60_000,
  );

  it("keeps the colour of a cell while one pans", async () => {
    const view = mount(modelOf());
    await view.ready();
    await pictured(view);
    for (let times = 0; times < 20; times++) point(view.heatmap(), "wheel", 700, 690, { ctrlKey: true });
    await view.ready();
    const [from, , left] = windowOf(view.heatmap());
    const [query, key] = [Math.floor(from) + 2, Math.floor(left) + 2];
    const colour = pixelOf(view.heatmap(), query, key);
    await pan(view, 1);
    expect(pixelOf(view.heatmap(), query, key)).toEqual(colour);
  }, 60_000);

  it.each([true, false])(
    "is what was seen under a temperature, and only grows, causal %s",
    async (causal) => {
      const host = modelOf({}, { causal });
      const view = mount(host);
      await view.ready();
      await pictured(view);
      await zoomTo(view, 700, 60);
      host.fromPython({ temperature: 0.5 });
      await vi.waitFor(() => expect(view.heatmap().dataset.temperature).toBe("0.5"), { timeout: 10_000 });
      await view.ready();
      expect(view.part("legend").textContent).toContain("up to the largest seen so far");
      let before = end(view);
      for (const rows of [-60, 90, 90, -60]) {
        await pan(view, rows);
        expect(end(view)).toBeGreaterThanOrEqual(before);
        before = end(view);
      }
      view.part("zoom-fit").click();
      await vi.waitFor(() => expect(windowOf(view.heatmap())).toEqual([0, N, 0, N]));
      await view.ready();
      // A causal map's first point holds the row that sees one key, and with it others: what these have is not known.
      expect(view.part("legend").textContent!.includes("seen")).toBe(causal);
      const own = end(view);
      expect(own).toBeGreaterThanOrEqual(before);
      if (!causal) expect(own).toBeCloseTo(largestOf(host.maps[0]!, 0, 0.5), 2);
      await zoomTo(view, 500, 300);
      expect(end(view)).toBe(own);
    },
    60_000,
  );

  it("of means says so", async () => {
    const view = mount(modelOf());
    await view.ready();
    await pictured(view);
    const largest = end(view);
    choose(await behind<HTMLSelectElement>(view, "colours", "pooling"), "mean");
    await vi.waitFor(() => expect(view.part("legend").textContent).toContain("largest mean"), {
      timeout: 10_000,
    });
    await view.ready();
    expect(end(view)).toBeLessThan(largest);
    expect(view.part("legend").ariaLabel).toContain("largest mean seen at this zoom");
    choose(await behind<HTMLSelectElement>(view, "colours", "color-range"), "shared");
    await vi.waitFor(() => expect(end(view)).toBe(1));
    expect(view.part("legend").textContent).not.toContain("largest mean");
  }, 60_000);

  it("follows the head and new maps", async () => {
    const host = modelOf();
    const view = mount(host);
    await view.ready();
    await pictured(view);
    await zoomTo(view, 700, 60);
    host.fromPython({ head: 1 });
    await view.ready();
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("1"));
    expect(end(view)).toBeCloseTo(largestOf(host.maps[0]!, 1), 3);
    const other = new MockMap({ queries: long(N), heads: [2], seed: 5 });
    host.maps.splice(0, 1, other);
    host.fromPython({ facts: { title: "", version: 2, maps: [other.facts] } });
    await view.ready();
    await vi.waitFor(() => expect(end(view)).toBeCloseTo(largestOf(other, 1), 3), { timeout: 20_000 });
  }, 60_000);

  it("of one text's map is nothing to the next one's", async () => {
    const paler = (missing: number, version: number) => {
      const map = new MockMap({ queries: long(30), heads: [2], missing });
      return { map, facts: { title: "", version, maps: [map.facts] } };
    };
    const host = new MockModel([paler(0, 1).map]);
    const view = mount(host);
    await view.ready();
    await pictured(view);
    const first = end(view);
    for (const [version, missing] of [0.5, 0.8, 0.2].entries()) {
      const { map, facts } = paler(missing, version + 2);
      host.maps.splice(0, 1, map);
      host.fromPython({ facts });
      await vi.waitFor(() => expect(end(view) / first).toBeCloseTo(1 - missing, 2));
      await view.ready();
      expect(end(view) / first).toBeCloseTo(1 - missing, 2);
    }
  });
});
