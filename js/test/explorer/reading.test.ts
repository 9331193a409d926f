import { describe, expect, it, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, plotOf, point, press, showView, slide, windowOf } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const map = () => new MockMap({ queries: WORDS });
const model = (choices = {}) => new MockModel([map()], choices);
const shadowText = (view: ReturnType<typeof mount>) => view.host.shadowRoot!.textContent;
const spoken = (view: ReturnType<typeof mount>) =>
  view.host.shadowRoot!.querySelector(".spoken")!.textContent;

describe("hover", () => {
  it("says the exact weight and does not reach Python", async () => {
    const host = model({ query: 3, key: 1 });
    const view = mount(host);
    await view.ready();
    point(view.heatmap(), "pointermove", 9, 8);
    const weight = host.maps[0]!.row(0, 0, 9)[8]!;
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“gave” → “Lily”"));
    expect(view.part("tooltip").textContent).toContain(weight.toFixed(4).slice(0, 5));
    expect([host.get("query"), host.get("key")]).toEqual([3, 1]);
    expect(host.saved).toEqual([]);
    view.heatmap().dispatchEvent(new PointerEvent("pointerleave"));
    await vi.waitFor(() => expect(view.parts("tooltip")).toEqual([]));
    expect(view.part("row").dataset.query).toBe("3");
  });

  it("says masked where a query may not look", async () => {
    const view = mount(model());
    await view.ready();
    point(view.heatmap(), "pointermove", 2, 9);
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("masked"));
  });

  it("lights the same key in the pinned row", async () => {
    const view = mount(model({ query: 9 }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("9"));
    point(view.heatmap(), "pointermove", 5, 4);
    await vi.waitFor(() =>
      expect(view.part("row").querySelector('[data-key="4"]')!.getAttribute("data-lit")).toBe("true"),
    );
  });
});

describe("the pin", () => {
  it("is set by a click, kept through hover, and taken away by a second click", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    expect(shadowText(view)).toContain("Click a row to pin a query");
    point(view.heatmap(), "click", 9, 8);
    await vi.waitFor(() => expect(host.saved).toEqual([{ query: 9, key: 8 }]));
    point(view.heatmap(), "pointermove", 2, 1);
    expect([host.get("query"), host.get("key")]).toEqual([9, 8]);
    point(view.heatmap(), "click", 9, 8);
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
  });

  it("is the query alone when its label is clicked", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    point(view.heatmap(), "click", 6, -0.9);
    expect([host.get("query"), host.get("key") ?? null]).toEqual([6, null]);
  });

  it("goes with Escape", async () => {
    const host = model({ query: 3, key: 2 });
    const view = mount(host);
    await view.ready();
    press(view.part("reset"), "Escape");
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
  });

  it("comes from Python too", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    host.fromPython({ query: 7 });
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("7"));
  });

  it("survives a double click, which zooms", async () => {
    const host = model({ query: 3, key: 2 });
    const view = mount(host);
    await view.ready();
    const canvas = view.heatmap();
    point(canvas, "click", 9, 8);
    point(canvas, "click", 9, 8, { detail: 2 });
    point(canvas, "dblclick", 9, 8, { detail: 2 });
    expect([host.get("query"), host.get("key")]).toEqual([3, 2]);
    const [r0, r1] = windowOf(canvas);
    expect(r1 - r0).toBe(6);
  });
});

describe("temperature and scaling", () => {
  it("change the entropy to what the definition says", async () => {
    const host = model({ query: 11 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("11"));
    slide(view.part<HTMLInputElement>("temperature"), -0.4);
    slide(view.part<HTMLInputElement>("scaling"), 0.2);
    expect([host.get("temperature"), host.get("scaling")]).toEqual([0.398, 1.58]);
    await vi.waitFor(() => {
      const { entropyBefore, entropyAfter } = view.part("row").dataset;
      expect(Number(entropyBefore)).toBeCloseTo(host.maps[0]!.entropy(0, 0, 11), 5);
      expect(Number(entropyAfter)).toBeCloseTo(host.maps[0]!.entropy(0, 0, 11, 0.398, 1.58), 3);
    });
    view.part("reset").click();
    expect([host.get("temperature"), host.get("scaling")]).toEqual([1, 1]);
    await vi.waitFor(() => {
      const { entropyBefore, entropyAfter } = view.part("row").dataset;
      expect(entropyAfter).toBe(entropyBefore);
    });
  });

  it("stand beside the largest entropy that the row could have, before and after", async () => {
    const host = model({ query: 7, temperature: 3 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("7"));
    const most = Math.log(8);
    expect(Number(view.part("entropy-most").dataset.value)).toBeCloseTo(most, 12);
    expect(view.part("entropy-most").textContent).toBe("at most log 8 = 2.0794: all 8 keys alike");
    const meter = view.part("row").querySelector(".meter")!.clientWidth;
    for (const [when, temperature] of [
      ["before", 1],
      ["after", 3],
    ] as const) {
      const bar = view.part(`entropy-${when}`).getBoundingClientRect().width;
      expect(Math.abs(bar - (meter * host.maps[0]!.entropy(0, 0, 7, temperature)) / most)).toBeLessThan(1);
    }
    view.part("reset").click();
    await vi.waitFor(() => expect(view.parts("entropy-before")).toEqual([]));
    expect(view.part("row").querySelectorAll(".bar.before")).toHaveLength(0);
    expect(view.part("row").textContent).not.toMatch(/before|→/);
  });

  it("move the bar of the selected head alone", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const bars = () => view.parts("head-bar").map((bar) => Number(bar.dataset.entropy));
    await vi.waitFor(() => expect(bars().every(Number.isFinite)).toBe(true));
    const before = bars();
    host.fromPython({ temperature: 0.2 });
    await vi.waitFor(() => expect(bars()[0]).toBeLessThan(before[0]!));
    expect(bars().slice(1)).toEqual(before.slice(1));
    // The mark of what was measured stands where the other bars' tops would be for that entropy.
    const [first, second] = view.parts("head-bar");
    const floor = first!.querySelector(".bar")!.getBoundingClientRect().bottom;
    const scale = second!.querySelector(".bar")!.getBoundingClientRect().height / before[1]!;
    const mark = first!.querySelector(".ghost")!.getBoundingClientRect().bottom;
    expect(Math.abs(floor - mark - before[0]! * scale)).toBeLessThan(1.5);
    const largest = view.parts("head-bar", '[data-max="true"]').map((bar) => Number(bar.dataset.entropy));
    expect(largest).toEqual([Math.max(...bars())]);
  });

  it("take any temperature from Python", async () => {
    const host = model({ temperature: 250 });
    const view = mount(host);
    await view.ready();
    expect(view.heatmap().dataset.temperature).toBe("250");
    expect(view.part<HTMLInputElement>("temperature").getAttribute("aria-valuetext")).toBe("250");
    expect(host.saved).toEqual([]);
  });
});

describe("zoom", () => {
  it("needs a key held, so that the notebook still scrolls", async () => {
    const view = mount(model());
    await view.ready();
    const canvas = view.heatmap();
    point(canvas, "wheel", 5, 5);
    expect(windowOf(canvas)).toEqual([0, 12, 0, 12]);
    point(canvas, "wheel", 5, 5, { ctrlKey: true });
    const [r0, r1] = windowOf(canvas);
    expect(r1 - r0).toBeLessThan(12);
  });

  it("is followed by drag, and by the entropy beside it", async () => {
    const view = mount(model());
    await view.ready();
    const canvas = view.heatmap();
    view.part("zoom-in").click();
    await vi.waitFor(() => expect(view.part("zoom-fit").ariaDisabled).toBe("false"));
    const [before] = windowOf(canvas);
    // A synthetic pointer cannot be captured.
    canvas.setPointerCapture = () => {};
    point(canvas, "pointerdown", 6, 6);
    point(canvas, "pointermove", 5, 6);
    point(canvas, "pointerup", 5, 6);
    point(canvas, "click", 5, 6);
    expect(windowOf(canvas)[0]).toBeCloseTo(before + 1, 1);
    expect(view.part("row").dataset.query).toBeUndefined();
    view.part("zoom-fit").click();
    await vi.waitFor(() => expect(windowOf(canvas)).toEqual([0, 12, 0, 12]));
    expect(view.part("query-entropy").getBoundingClientRect().top).toBe(canvas.getBoundingClientRect().top);
  });
});

describe("by keyboard", () => {
  it("the map is walked, read out, pinned and zoomed", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const canvas = view.heatmap();
    canvas.focus();
    expect(view.host.shadowRoot!.activeElement).toBe(canvas);
    press(canvas, "ArrowDown");
    press(canvas, "ArrowDown");
    press(canvas, "ArrowDown");
    press(canvas, "ArrowRight");
    const weight = host.maps[0]!.row(0, 0, 2)[1]!;
    await vi.waitFor(() => expect(spoken(view)).toMatch(/^query “Ben” → key “and”: 0\.\d{4}$/));
    expect(Number(spoken(view)!.split(": ")[1])).toBeCloseTo(weight, 3);
    press(canvas, "Enter");
    expect([host.get("query"), host.get("key")]).toEqual([2, 1]);
    press(canvas, "+");
    expect(windowOf(canvas)[1] - windowOf(canvas)[0]).toBeLessThan(12);
    press(canvas, "0");
    expect(windowOf(canvas)).toEqual([0, 12, 0, 12]);
    press(canvas, "Escape");
    expect(host.get("query")).toBeNull();
  });

  it("keys do not reach the notebook around", async () => {
    const view = mount(model());
    await view.ready();
    const heard = vi.fn();
    view.el.addEventListener("keydown", heard);
    press(view.heatmap(), "ArrowDown");
    press(view.part("temperature"), "ArrowLeft");
    expect(heard).not.toHaveBeenCalled();
    expect(view.host.dataset.lmSuppressShortcuts).toBe("true");
  });

  it("the grid is one stop, walked by arrows", async () => {
    const host = model({ layer: 1, head: 1 });
    const view = mount(host);
    await view.ready();
    const stops = view.parts("thumb").filter((thumb) => thumb.tabIndex === 0);
    expect(stops).toEqual([view.part("thumb", '[data-layer="1"][data-head="1"]')]);
    stops[0]!.focus();
    press(stops[0]!, "ArrowRight");
    press(view.host.shadowRoot!.activeElement as HTMLElement, "ArrowDown");
    press(view.host.shadowRoot!.activeElement as HTMLElement, "End");
    const focused = view.host.shadowRoot!.activeElement as HTMLElement;
    expect([focused.dataset.layer, focused.dataset.head]).toEqual(["2", "3"]);
    focused.click();
    expect([host.get("layer"), host.get("head")]).toEqual([2, 3]);
  });

  it("the heads are radio buttons", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    press(view.part("head-bar", '[data-head="0"]'), "ArrowRight");
    await vi.waitFor(() => expect(host.get("head")).toBe(1));
    expect(view.part("head-bar", '[aria-checked="true"]').dataset.head).toBe("1");
  });
});

describe("text", () => {
  it("of any kind stays text", async () => {
    const host = new MockModel(
      [
        new MockMap({
          queries: ["</script><b>", "", "\n", "👩🏽‍🚀", "שלום", "<img src=x onerror=alert(1)>"],
        }),
      ],
      { view: "text", query: 5 },
    );
    const view = mount(host);
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("5"));
    const words = [...view.part("text").querySelectorAll("[data-index]")].map((word) => word.textContent);
    expect(words).toEqual(["</script><b>", "∅", "⏎", "👩🏽‍🚀", "שלום", "<img src=x onerror=alert(1)>"]);
    expect(view.host.shadowRoot!.querySelectorAll("b, img, script").length).toBe(
      view.part("path").querySelectorAll("b").length +
        view.part("row").querySelectorAll(".spread b").length +
        view.part("profile").querySelectorAll("b").length,
    );
  });

  it("is shaded by the pinned query, and pins", async () => {
    const host = model({ view: "text" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.parts("text")).toHaveLength(1));
    const word = (index: number) => view.part("text").querySelector<HTMLElement>(`[data-index="${index}"]`)!;
    word(9).click();
    expect(host.get("query")).toBe(9);
    const weights = host.maps[0]!.row(0, 0, 9);
    await vi.waitFor(() => expect(word(8).dataset.weight).not.toBe(""));
    for (let index = 0; index <= 9; index++)
      expect(Number(word(index).dataset.weight)).toBeCloseTo(weights[index]!, 3);
    expect(word(10).dataset.masked).toBe("true");
    expect(word(8).style.background).toMatch(/^rgb/);
  });
});

describe("views", () => {
  it("change from the browser and from Python", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    showView(view, "grid");
    await vi.waitFor(() => expect(view.parts("heatmap")).toEqual([]));
    expect(host.get("view")).toBe("grid");
    host.fromPython({ view: "heatmap" });
    await vi.waitFor(() => expect(view.parts("heatmap")).toHaveLength(1));
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("0"));
  });

  it.each([420, 600, 1000, 1600])("fit in %i px", async (width) => {
    const view = mount(
      new MockModel([new MockMap({ queries: WORDS, heads: Array<number>(12).fill(12) })], { query: 11 }),
      width,
    );
    await view.ready();
    const { scrollWidth, clientWidth } = view.el;
    expect(scrollWidth).toBeLessThanOrEqual(clientWidth);
    const plot = plotOf(view.heatmap());
    expect(plot.width).toBe(plot.height);
    const entropy = view.part("query-entropy").getBoundingClientRect();
    expect(entropy.right).toBeLessThanOrEqual(view.el.getBoundingClientRect().right + 0.5);
  });
});
