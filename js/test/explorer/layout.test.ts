import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, plotOf, point, press, windowOf } from "./mount";
import { open } from "./saving";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const model = (choices = {}, options: Partial<MapOptions> = {}) =>
  new MockModel([new MockMap({ queries: WORDS, measured: {}, ...options })], choices);
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `w${at}`);
const do_ = async (view: Mounted, part: string) => {
  await open(view);
  view.part(part).click();
};

describe("parts", () => {
  it("are shown alone where they are named", async () => {
    const host = model({ parts: ["map"] });
    const view = mount(host);
    await view.ready();
    for (const part of ["tokens", "grid", "profile", "sharpness", "row"])
      expect(view.parts(part)).toEqual([]);
    host.fromPython({ parts: ["map", "row"] });
    await vi.waitFor(() => expect(view.parts("row")).toHaveLength(1));
    host.fromPython({ parts: [] });
    await vi.waitFor(() => expect(view.parts("grid")).toHaveLength(1));
  });

  it("leave the map its room in a box", async () => {
    const view = mount(model({ parts: ["map"] }), 420);
    await view.ready();
    expect(view.el.getBoundingClientRect().height).toBeLessThan(520);
    expect(plotOf(view.heatmap()).width).toBeGreaterThan(250);
  });
});

describe("a height", () => {
  it.each([160, 300, 640])("of %i px is obeyed by the map with its labels", async (height) => {
    const view = mount(model({ height }));
    await view.ready();
    expect(view.heatmap().getBoundingClientRect().height).toBeLessThanOrEqual(height);
    expect(plotOf(view.heatmap()).height).toBeGreaterThan(height - 120);
  });
});

describe("the map first", () => {
  it("where there is no room beside it, and reached first by keyboard", async () => {
    const view = mount(model(), 640);
    await view.ready();
    expect(view.heatmap().getBoundingClientRect().top).toBeLessThan(
      view.part("grid").getBoundingClientRect().top,
    );
    const after = view.heatmap().compareDocumentPosition(view.part("grid"));
    expect(after & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
  });
});

describe("where one is", () => {
  it("is drawn once a part is seen, and told in words", async () => {
    const view = mount(model({}, { queries: numbered(60) }));
    await view.ready();
    expect(view.parts("locator")).toEqual([]);
    for (let times = 0; times < 4; times++) point(view.heatmap(), "wheel", 30, 30, { ctrlKey: true });
    await vi.waitFor(() => expect(view.parts("locator")).toHaveLength(1));
    const [top, bottom] = windowOf(view.heatmap());
    expect(view.part("locator").getAttribute("aria-label")).toContain(
      `queries ${Math.floor(top)} to ${Math.ceil(bottom) - 1}`,
    );
    view.part("zoom-fit").click();
    await vi.waitFor(() => expect(view.parts("locator")).toEqual([]));
  });
});

describe("the map as a table", () => {
  it("has the numbers of the map, with its tokens as headers", async () => {
    const host = model({ query: 5 });
    const view = mount(host);
    await view.ready();
    await do_(view, "show-table");
    await vi.waitFor(() => expect(view.parts("numbers")).toHaveLength(1));
    const cell = (query: number, key: number) =>
      view.part("numbers").querySelector(`[data-query="${query}"][data-key="${key}"]`)!.textContent;
    const row = host.maps[0]!.row(0, 0, 7);
    for (const key of [0, 3, 7]) expect(Number(cell(7, key))).toBeCloseTo(row[key]!, 3);
    expect(cell(7, 9)).toBe("–");
    expect([...view.part("numbers").querySelectorAll("tbody th")].map((th) => th.textContent)).toEqual(WORDS);
    expect(view.part("numbers").querySelector('[aria-current="true"] th')!.textContent).toBe("the");
  });

  it("of a long text is the part around what is pinned", async () => {
    const view = mount(model({ query: 80 }, { queries: numbered(100) }));
    await view.ready();
    await do_(view, "show-table");
    await vi.waitFor(() => expect(view.parts("numbers")).toHaveLength(1));
    expect(view.part("numbers").querySelectorAll("td").length).toBe(32 * 32);
    expect(view.part("numbers").querySelector("caption")!.textContent).toContain("queries 64 to 95 of 100");
  });
});

describe("the whole screen", () => {
  it("is asked for, and left by the same way", async () => {
    const view = mount(model());
    await view.ready();
    const ask = vi.spyOn(view.host, "requestFullscreen").mockResolvedValue();
    await do_(view, "full-screen");
    expect(ask).toHaveBeenCalledOnce();
  });

  it("that is refused is said so", async () => {
    const view = mount(model());
    await view.ready();
    vi.spyOn(view.host, "requestFullscreen").mockRejectedValue(new TypeError("no"));
    await do_(view, "full-screen");
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.textContent).toContain("may not use the whole screen"),
    );
  });
});

describe("a grid", () => {
  it.each(["dblclick", "Enter"])("of heads opens the map of one by %s", async (how) => {
    const host = model({ view: "grid" });
    const view = mount(host);
    await view.ready();
    const thumb = await vi.waitFor(() => view.part("thumb", '[data-layer="2"][data-head="1"]'));
    thumb.click();
    if (how === "Enter") press(thumb, "Enter");
    else thumb.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
    await vi.waitFor(() => expect(host.get("view")).toBe("heatmap"));
    expect([host.get("layer"), host.get("head")]).toEqual([2, 1]);
  });
});
