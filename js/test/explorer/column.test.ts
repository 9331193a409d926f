import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, plotOf, press } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const model = (choices = {}, options: Partial<MapOptions> = {}) =>
  new MockModel([new MockMap({ queries: WORDS, ...options })], choices);
const bars = (view: Mounted) => [...view.part("column").querySelectorAll<HTMLElement>("[data-query]")];
const numbers = (view: Mounted) =>
  bars(view).map((bar) => [
    Number(bar.dataset.query),
    Number(bar.ariaLabel!.split("” ")[1]!.replace("−", "-")),
  ]);

describe("a pinned key", () => {
  it("shows what every query gives to it", async () => {
    const host = model({ key: 2 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.parts("column")).toHaveLength(1));
    // A query before the key does not see it.
    expect(numbers(view).map(([query]) => query)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for (const [query, weight] of numbers(view))
      expect(weight).toBeCloseTo(host.maps[0]!.row(0, 0, query!)[2]!, 3);
    host.fromPython({ temperature: 2, layer: 1 });
    const expected = () => host.maps[0]!.row(1, 0, 9, 2)[2]!;
    await vi.waitFor(() => expect(numbers(view)[7]![1]).toBeCloseTo(expected(), 3));
  });

  it("is chosen by its label, and let go the same way", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const canvas = view.heatmap();
    const { x, y, width } = plotOf(canvas);
    const box = canvas.getBoundingClientRect();
    const at = {
      clientX: box.left + x + (5.5 / 12) * width,
      clientY: box.top + y - 8,
      bubbles: true,
      detail: 1,
    };
    canvas.dispatchEvent(new MouseEvent("click", at));
    await vi.waitFor(() => expect([host.get("query") ?? null, host.get("key")]).toEqual([null, 5]));
    await vi.waitFor(() => expect(view.part("column").dataset.key).toBe("5"));
    press(canvas, "Escape");
    await vi.waitFor(() => expect(host.get("key")).toBeNull());
    await vi.waitFor(() => expect(view.parts("column")).toEqual([]));
  });

  it("of a long text is asked of the kernel, the heaviest queries in the order of the text", async () => {
    const queries = Array.from({ length: 1100 }, (_, at) => WORDS[at % WORDS.length]!);
    const host = model({ key: 40 }, { queries, heads: [1] });
    const view = mount(host);
    await vi.waitFor(() => expect(view.part("column").dataset.key).toBe("40"), { timeout: 20_000 });
    const shown = numbers(view);
    expect(shown).toHaveLength(24);
    const least = Math.min(...shown.map(([, weight]) => weight!));
    const all = Array.from({ length: 1060 }, (_, at) => host.maps[0]!.row(0, 0, at + 40)[40]!);
    expect(all.filter((weight) => weight > least + 1e-3).length).toBeLessThanOrEqual(24);
    expect(shown.map(([query]) => query)).toEqual([...shown.map(([query]) => query!)].sort((a, b) => a - b));
  }, 60_000);

  it("with a query stands beside its row, and covers nothing", async () => {
    for (const width of [640, 1000, 1500]) {
      const view = mount(model({ key: 2, query: 7 }), width);
      await view.ready();
      await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("7"));
      const [row, column] = [view.part("row"), view.part("column")].map((part) =>
        part.getBoundingClientRect(),
      );
      expect(column!.top).toBeGreaterThanOrEqual(row!.bottom - 1);
      view.close();
    }
  });
});
