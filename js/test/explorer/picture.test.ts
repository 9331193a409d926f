import { describe, expect, it, vi } from "vitest";
import { type ColourMap, type ColourScale, colourOf, type Palette, ramp } from "../../src/attention/colour";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { behind, choose, mount, pixelOf, windowOf } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const LIGHT: Palette = { dark: false, surface: [255, 255, 255], accent: [31, 102, 193] };

function expectPixels(canvas: HTMLCanvasElement, map: MockMap, name: ColourMap, scale: ColourScale): void {
  const layer = Number(canvas.dataset.layer);
  const head = Number(canvas.dataset.head);
  const largest = Number(canvas.dataset.max);
  const colours = ramp(name, LIGHT);
  for (let query = 0; query < map.facts.n_queries; query++) {
    const weights = map.row(
      layer,
      head,
      query,
      Number(canvas.dataset.temperature),
      Number(canvas.dataset.scaling),
    );
    for (let key = 0; key < map.facts.n_keys; key++) {
      if (map.masked(query, key)) continue;
      const wanted = colourOf(colours, weights[key]!, largest, scale);
      pixelOf(canvas, query, key).forEach((channel, at) => {
        expect(Math.abs(channel - wanted[at]!)).toBeLessThanOrEqual(4);
      });
    }
  }
}

describe("pixels agree with the numbers", () => {
  it.each([
    ["ink", "linear"],
    ["viridis", "sqrt"],
    ["magma", "log"],
    ["cividis", "linear"],
    ["greys", "log"],
  ] as const)("%s, %s", async (name, scale) => {
    const map = new MockMap({ queries: WORDS });
    const view = mount(
      new MockModel([map], { layer: 1, head: 2, color_map: name, color_scale: scale, theme: "light" }),
    );
    await view.ready();
    expectPixels(view.heatmap(), map, name, scale);
  });

  it("after the temperature changes", async () => {
    const map = new MockMap({ queries: WORDS, missing: 0.2 });
    const model = new MockModel([map], { color_map: "viridis", theme: "light" });
    const view = mount(model);
    await view.ready();
    model.fromPython({ temperature: 0.4, scaling: 1.5 });
    await vi.waitFor(() => expect(view.heatmap().dataset.temperature).toBe("0.4"));
    expectPixels(view.heatmap(), map, "viridis", "linear");
  });

  it("of a rectangular map with keys of its own", async () => {
    const map = new MockMap({ queries: WORDS, keys: ["Li", "##ly", "and", "Ben"], causal: false });
    const view = mount(new MockModel([map], { color_map: "viridis", theme: "light" }));
    await view.ready();
    expectPixels(view.heatmap(), map, "viridis", "linear");
  });

  it("at the range that is shared", async () => {
    const model = new MockModel([new MockMap({ queries: WORDS })], { color_range: "shared" });
    const view = mount(model);
    await view.ready();
    expect(view.heatmap().dataset.max).toBe("1");
    choose(await behind<HTMLSelectElement>(view, "colours", "color-range"), "map");
    await vi.waitFor(() => expect(Number(view.heatmap().dataset.max)).toBeLessThan(1));
    expect(model.get("color_range")).toBe("map");
  });
});

describe("themes", () => {
  const background = (view: ReturnType<typeof mount>) =>
    getComputedStyle(view.host.shadowRoot!.querySelector(".widget")!).backgroundColor;

  it("follow the trait", async () => {
    const model = new MockModel([new MockMap({ queries: WORDS })], { theme: "dark" });
    const view = mount(model);
    await view.ready();
    expect(background(view)).toBe("rgb(21, 24, 28)");
    model.fromPython({ theme: "light" });
    expect(background(view)).toBe("rgb(255, 255, 255)");
  });

  it("follow JupyterLab while it changes", async () => {
    const { body } = document;
    const view = mount(new MockModel([new MockMap({ queries: WORDS })]));
    await view.ready();
    try {
      body.dataset.jpThemeLight = "false";
      body.style.setProperty("--jp-layout-color0", "rgb(17, 17, 17)");
      await vi.waitFor(() => expect(background(view)).toBe("rgb(17, 17, 17)"));
      body.dataset.jpThemeLight = "true";
      body.style.setProperty("--jp-layout-color0", "rgb(250, 250, 250)");
      await vi.waitFor(() => expect(background(view)).toBe("rgb(250, 250, 250)"));
    } finally {
      delete body.dataset.jpThemeLight;
      body.removeAttribute("style");
    }
  });
});

describe("shapes", () => {
  it("one token, one head", async () => {
    const view = mount(new MockModel([new MockMap({ queries: ["Lily"], heads: [1] })]));
    await view.ready();
    expect(view.parts("grid")).toEqual([]);
    expect(view.heatmap().dataset.max).toBe("1");
    expect(windowOf(view.heatmap())).toEqual([0, 1, 0, 1]);
  });

  it("layers with different numbers of heads", async () => {
    const model = new MockModel([new MockMap({ queries: WORDS, heads: [2, 5, 1] })], { layer: 1, head: 4 });
    const view = mount(model);
    await view.ready();
    const heads = [0, 1, 2].map((layer) => view.parts("thumb", `[data-layer="${layer}"]`).length);
    expect(heads).toEqual([2, 5, 1]);
    model.fromPython({ layer: 2 });
    await vi.waitFor(() => expect(view.heatmap().dataset.layer).toBe("2"));
    expect(view.heatmap().dataset.head).toBe("0");
  });

  it("grouped-query heads name their key-value head", async () => {
    const map = new MockMap({ queries: WORDS, heads: [8], keyValueHeads: [2] });
    const view = mount(new MockModel([map], { head: 5 }));
    await view.ready();
    expect(view.host.shadowRoot!.textContent).toContain("key-value head 1");
  });

  it("an empty text says so", async () => {
    const view = mount(new MockModel([new MockMap({ queries: [] })]));
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    expect(view.part("status").textContent).toBe("There is no attention to show.");
  });

  it("no map at all says so", async () => {
    const view = mount(new MockModel([]));
    expect(view.state()).toBe("error");
    expect(view.part("status").textContent).toBe("There is no attention to show.");
  });

  it("a map of 3,000 tokens is asked for at the size of the screen", async () => {
    const long = Array.from({ length: 3000 }, (_, at) => WORDS[at % WORDS.length]!);
    const model = new MockModel([new MockMap({ queries: long, heads: [1] })], { query: 2500 });
    model.policy = ({ op }) => (op === "tile" ? "answer" : "hold");
    const view = mount(model);
    await view.ready();
    const tile = model.sent.find(({ op, rows }) => op === "tile" && rows[1] - rows[0] === 3000)!;
    expect(Math.max(tile.height, tile.width)).toBeLessThanOrEqual(1024);
    const row = model.sent.find(({ rows }) => rows?.[0] === 2500)!;
    expect([row.rows, row.columns, row.width]).toEqual([[2500, 2501], [0, 3000], 3000]);
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("2500"));
    expect(Number(view.part("row").dataset.entropyBefore)).toBeCloseTo(model.maps[0]!.entropy(0, 0, 2500), 4);

    const before = model.sent.length;
    view.part("zoom-in").click();
    await vi.waitFor(() => expect(model.sent.length).toBeGreaterThan(before));
    await view.ready();
    const zoomed = model.sent.filter(({ op }) => op === "tile").at(-1)!;
    expect(zoomed.rows[1] - zoomed.rows[0]).toBeLessThan(3000);

    const asked = model.sent.length;
    model.fromPython({ temperature: 0.5 });
    await vi.waitFor(() => expect(view.heatmap().dataset.temperature).toBe("0.5"), { timeout: 10_000 });
    expect(model.sent.slice(asked).map(({ temperature }) => temperature)).toContain(0.5);
  }, 60_000);

  it("a long text can be read without its heatmap", async () => {
    const long = Array.from({ length: 1500 }, (_, at) => WORDS[at % WORDS.length]!);
    const model = new MockModel([new MockMap({ queries: long, heads: [1] })], { view: "text", query: 1200 });
    model.policy = ({ op, rows }) =>
      op !== "tile" ? "hold" : rows[0] === 1200 ? { error: "Too long." } : "answer";
    const view = mount(model);
    await view.ready();
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("Too long."));
    model.policy = ({ op }) => (op === "tile" ? "answer" : "hold");
    view.part("retry").click();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("1200"));
    await vi.waitFor(() =>
      expect(view.part("text").querySelector('[data-index="1199"]')!.getAttribute("data-weight")).not.toBe(
        "",
      ),
    );
  }, 60_000);
});
