import { describe, expect, it, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, plotOf, point, windowOf } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");

/** Length of the bar of a row in CSS pixels, read from the picture. */
function barOf(view: Mounted, query: number): number {
  const canvas = view.part<HTMLCanvasElement>("query-entropy");
  const plot = plotOf(view.heatmap());
  const [from, to] = windowOf(view.heatmap());
  const ratio = canvas.width / canvas.clientWidth;
  // Above the middle, where numbers are written.
  const y = plot.y + ((query + 0.25 - from) / (to - from)) * plot.height;
  const { data } = canvas.getContext("2d")!.getImageData(2 * ratio, Math.floor(y * ratio), canvas.width, 1);
  let length = 0;
  while (data[4 * length + 3]! > 0) length++;
  return length / ratio + 2;
}

describe("the entropy of the rows", () => {
  it.each([420, 1000, 1400])("is drawn to one scale in every head, %i px", async (width) => {
    const host = new MockModel([new MockMap({ queries: WORDS, causal: false })]);
    const view = mount(host, width);
    await view.ready();
    const scales: number[] = [];
    for (const [layer, head] of [
      [0, 0],
      [1, 2],
      [3, 3],
    ] as const) {
      host.fromPython({ layer, head });
      await vi.waitFor(() => {
        const { layer: shown, head: of } = view.heatmap().dataset;
        expect([shown, of]).toEqual([String(layer), String(head)]);
      });
      await view.ready();
      for (const query of [2, 7, 10])
        scales.push(host.maps[0]!.entropy(layer, head, query) / barOf(view, query));
    }
    const mean = scales.reduce((sum, scale) => sum + scale) / scales.length;
    for (const scale of scales) expect(Math.abs(scale / mean - 1)).toBeLessThan(0.08);
  });

  it("ends at that of a query that looks everywhere alike, in words too", async () => {
    const view = mount(new MockModel([new MockMap({ queries: WORDS })]));
    await view.ready();
    expect(view.part("query-entropy").ariaLabel).toContain(`from 0 to ${Math.log(12).toFixed(4)} nats`);
    const before = barOf(view, 10);
    point(view.heatmap(), "wheel", 10, 5, { ctrlKey: true });
    await vi.waitFor(() => expect(windowOf(view.heatmap())[0]).toBeGreaterThan(0));
    // A zoom changes no length.
    expect(Math.abs(barOf(view, 10) - before)).toBeLessThan(1.5);
  });

  it("of a single key is nothing, and breaks nothing", async () => {
    const view = mount(new MockModel([new MockMap({ queries: WORDS, keys: ["a"], causal: false })]));
    await view.ready();
    expect(barOf(view, 5)).toBeLessThan(4);
  });
});
