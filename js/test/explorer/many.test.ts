import { afterEach, describe, expect, it, vi } from "vitest";
import { page } from "vitest/browser";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, type Mounted, mount, plotOf } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const modelOf = (layers: number, heads: number, choices = {}, options: Partial<MapOptions> = {}) =>
  new MockModel(
    [new MockMap({ queries: WORDS, heads: Array<number>(layers).fill(heads), measured: {}, ...options })],
    choices,
  );
const asked = (host: MockModel) =>
  host.sent.filter(({ op }) => op === "thumbnails").map(({ layer }) => layer);
/** How far anything reaches beyond the widget, apart from what is scrolled or cut inside it. */
function overrun(view: Mounted): number {
  const { right } = view.el.getBoundingClientRect();
  const clipped = (element: Element) => {
    for (let at = element.parentElement; at; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== "visible") return true;
    return false;
  };
  const all = [...view.host.shadowRoot!.querySelectorAll(".layout *")].filter((element) => !clipped(element));
  return Math.max(...all.map((element) => element.getBoundingClientRect().right)) - right;
}

afterEach(() => page.viewport(1100, 1200));

describe("many heads", () => {
  it.each(
    [
      [2, 64],
      [1, 128],
      [4, 32],
      [24, 16],
      [80, 64],
      [3, 12],
    ].flatMap(([layers, heads]) =>
      [600, 840, 1000, 1366, 1900].map((width) => [layers!, heads!, width] as const),
    ),
  )("%i x %i in %i px leave the map its room", async (layers, heads, width) => {
    await page.viewport(width + 20, 1200);
    const host = modelOf(layers, heads, { query: 11 });
    const view = mount(host, width);
    await view.ready();
    const plot = plotOf(view.heatmap());
    expect(plot.width).toBeGreaterThanOrEqual(355);
    expect(overrun(view)).toBeLessThanOrEqual(0.5);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    const map = view.heatmap().getBoundingClientRect();
    const grid = view.part("grid").getBoundingClientRect();
    const apart = [
      grid.right <= map.left,
      grid.left >= map.right,
      grid.bottom <= map.top + 1,
      grid.top >= map.bottom,
    ];
    expect(apart).toContain(true);
    if (width < 840) expect(map.top).toBeLessThan(grid.top);
    for (const thumb of view.parts("thumb").slice(0, heads))
      expect(thumb.getBoundingClientRect().width).toBeGreaterThanOrEqual(8);
  });

  it.each([
    [64, { keyValueHeads: [32, 32] }],
    [64, { keyValueHeads: [2, 2] }],
    [96, { findings: [] }],
  ])("of %i, %o, keep all inside too", async (heads, options) => {
    for (const width of [600, 1000, 1366]) {
      await page.viewport(width + 20, 1200);
      const view = mount(modelOf(2, heads, { measure: "entropy" }, options as Partial<MapOptions>), width);
      await view.ready();
      expect(overrun(view)).toBeLessThanOrEqual(0.5);
      expect(plotOf(view.heatmap()).width).toBeGreaterThanOrEqual(355);
      view.close();
    }
  });

  it("are scrolled with their numbers in sight, and the chosen head is", async () => {
    const view = mount(modelOf(80, 64, { layer: 70, head: 60 }), 1000);
    await view.ready();
    const grid = view.part("grid");
    const box = grid.getBoundingClientRect();
    const inside = (element: Element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return left >= box.left && right <= box.right && top >= box.top - 1 && bottom <= box.bottom + 1;
    };
    await vi.waitFor(() => expect(grid.scrollTop * grid.scrollLeft).toBeGreaterThan(0));
    expect(inside(view.part("thumb", '[data-layer="70"][data-head="60"]'))).toBe(true);
    const numerals = [...grid.querySelectorAll('.numeral[data-chosen="true"]')];
    expect(numerals.map(({ textContent }) => textContent).sort()).toEqual(["60", "70"]);
    for (const numeral of numerals) expect(inside(numeral)).toBe(true);
  });

  it("pass under the numbers of their layers as a whole", async () => {
    const view = mount(modelOf(3, 64, { layer: 1, head: 50, measure: "entropy" }), 1000);
    await view.ready();
    await vi.waitFor(() => expect(view.parts("badge")).toHaveLength(192));
    await vi.waitFor(() => expect(view.part("grid").scrollLeft).toBeGreaterThan(0));
    const { left } = view.part("grid").getBoundingClientRect();
    for (const line of view.parts("layer")) {
      const { top, bottom } = line.getBoundingClientRect();
      for (let y = top + 1; y < bottom - 1; y += 3) {
        const there = view.host.shadowRoot!.elementFromPoint(left + 10, y);
        expect(there?.closest(".numeral")).not.toBeNull();
      }
    }
  });

  it("have room for their numbers where a measure is chosen", async () => {
    const view = mount(modelOf(2, 64), 1000);
    await view.ready();
    const [map, column] = [view.heatmap(), view.part("grid")].map((part) => part.getBoundingClientRect());
    choose(view.part<HTMLSelectElement>("measure"), "entropy");
    await vi.waitFor(() => expect(view.parts("badge")).toHaveLength(128));
    for (const badge of view.parts("badge").slice(0, 64)) {
      const thumb = badge.closest("button")!.getBoundingClientRect();
      expect(badge.getBoundingClientRect().width).toBeLessThanOrEqual(thumb.width + 2);
    }
    expect(view.heatmap().getBoundingClientRect().left).toBe(map!.left);
    expect(view.part("grid").getBoundingClientRect().width).toBe(column!.width);
  });
});

describe("what is in sight", () => {
  it("alone is asked for, and the rest when it is scrolled to", async () => {
    const host = modelOf(200, 4, { layer: 1 });
    const view = mount(host, 1000);
    await view.ready();
    const done = () => vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
    await vi.waitFor(() => expect(asked(host).length).toBeGreaterThan(5));
    await done();
    const first = asked(host);
    expect(first[0]).toBe(1);
    expect(Math.max(...first)).toBeLessThan(60);
    expect(new Set(first).size).toBe(first.length);
    view.part("grid").scrollTop = 1e6;
    await vi.waitFor(() => expect(asked(host)).toContain(199));
    await done();
    expect(
      asked(host)
        .slice(first.length)
        .every((layer) => layer > 120),
    ).toBe(true);
    expect(view.part("progress").ariaLabel).toBe("Thumbnails in sight");
  });

  it("is asked for when the page is scrolled to it, and the picture before", async () => {
    const above = document.createElement("div");
    above.style.height = "3000px";
    document.body.prepend(above);
    const host = modelOf(6, 4);
    const view = mount(host, 1000);
    await view.ready();
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    expect(asked(host)).toEqual([0]);
    above.remove();
    await vi.waitFor(() => expect(asked(host)).toEqual([0, 1, 2, 3, 4, 5]));
    await vi.waitFor(() => expect(view.parts("thumb", '[data-loaded="true"]')).toHaveLength(24));
  });

  it("is drawn in a ranking too, each head in its place", async () => {
    const host = modelOf(40, 6, { measure: "entropy", sort: "highest" });
    const view = mount(host, 1000);
    await view.ready();
    await vi.waitFor(() => expect(view.part("grid").getAttribute("role")).toBe("listbox"));
    const [first] = view.parts("thumb");
    await vi.waitFor(() => expect(first!.dataset.loaded).toBe("true"));
    expect(asked(host)[0]).toBe(0);
    const canvas = first!.parentElement!.querySelector("canvas")!;
    await vi.waitFor(() => {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      expect(data.some((value) => value > 0)).toBe(true);
    });
  });

  // It was half a minute of a blocked page, and a second for every choice: a canvas a head, and all of them anew.
  it("of 80 x 64 heads is drawn a line at a time, and a choice changes little of the page", async () => {
    const host = modelOf(80, 64);
    const view = mount(host, 1366);
    await view.ready();
    await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"), { timeout: 20_000 });
    expect(view.parts("thumb")).toHaveLength(80 * 64);
    expect(view.host.shadowRoot!.querySelectorAll("canvas").length).toBeLessThan(100);
    let changes = 0;
    const watch = new MutationObserver((records) => {
      changes += records.length;
    });
    watch.observe(view.host.shadowRoot!, { subtree: true, childList: true, attributes: true });
    for (let head = 1; head <= 20; head++) {
      host.fromPython({ layer: head, head });
      await view.ready();
    }
    watch.disconnect();
    expect(changes / 20).toBeLessThan((80 * 64) / 4);
  }, 60_000);
});
