import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { diverging, signedColourOf } from "../../src/attention/colour";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, type Mounted, mount, pixelOf, point, press, slide, windowOf } from "./mount";
import { difference, heads, runs, WORDS } from "./pairs";
import { copied, saved } from "./saving";

const N = WORDS.length;
const PALETTE = { dark: false, surface: [255, 255, 255], accent: [0, 0, 0] } as const;

/** Every cell of the map is in the colour of its difference, and what is masked in none. */
function expectPixels(view: Mounted, of: (query: number, key: number) => number): void {
  const canvas = view.heatmap();
  const largest = Number(canvas.dataset.max);
  const ways = diverging(PALETTE);
  let most = 0;
  for (let query = 0; query < N; query++) {
    for (let key = 0; key <= query; key++) {
      const value = of(query, key);
      most = Math.max(most, Math.abs(value));
      const expected = signedColourOf(ways, value, largest, "linear");
      const seen = pixelOf(canvas, query, key);
      for (const channel of [0, 1, 2])
        expect(Math.abs(seen[channel]! - expected[channel]!), `${query} ${key}`).toBeLessThanOrEqual(2);
    }
  }
  expect(largest).toBeCloseTo(most, 3);
}

const shown = (view: Mounted) =>
  view.parts("compared")[0]?.querySelector('[aria-pressed="true"]')?.textContent;

describe("two runs", () => {
  it("are shown as the second less the first, at the place that is chosen", async () => {
    const host = runs({ layer: 1, head: 2 });
    const view = mount(host);
    await view.ready();
    expectPixels(view, difference(host, [0, 1, 2], [1, 1, 2]));
    expect(view.heatmap().dataset.against).toBe("before/1/2");
    expect(shown(view)).toBe("after − before");
    expect(view.heatmap().textContent).toMatch(
      /^after − before\. Farthest apart: query “.+”, key “.+”, [+−]0\.\d{4}\.$/,
    );
    expect(view.part("ends").textContent).toBe("← before gives more · after gives more →");
    press(view.heatmap(), "]");
    await vi.waitFor(() => expect(view.heatmap().dataset.against).toBe("before/1/3"));
    await view.ready();
    expectPixels(view, difference(host, [0, 1, 3], [1, 1, 3]));
  });

  it("change together with the temperature", async () => {
    const host = runs({ layer: 2, head: 1, temperature: 0.5 });
    const view = mount(host);
    await view.ready();
    expectPixels(view, difference(host, [0, 2, 1], [1, 2, 1], 0.5));
    slide(view.part<HTMLInputElement>("temperature"), 0.5);
    await vi.waitFor(() => expect(host.get("temperature")).not.toBe(0.5));
    const temperature = host.get("temperature") as number;
    await vi.waitFor(() => expect(view.heatmap().dataset.temperature).toBe(String(temperature)));
    expectPixels(view, difference(host, [0, 2, 1], [1, 2, 1], temperature));
  });

  it("are each shown alone on demand, in one window", async () => {
    const host = runs({ layer: 1, head: 0 });
    const view = mount(host);
    await view.ready();
    view.part("zoom-in").click();
    await vi.waitFor(() => expect(windowOf(view.heatmap())[1]).toBeLessThan(N));
    const window = String(windowOf(view.heatmap()));
    for (const [way, name] of [
      ["first", "before"],
      ["second", "after"],
    ] as const) {
      view.part(`show-${way}`).click();
      await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe(name));
      await view.ready();
      expect(host.get("compared")).toBe(way);
      expect(view.heatmap().dataset.against).toBeUndefined();
      expect(String(windowOf(view.heatmap()))).toBe(window);
    }
    view.part("show-difference").click();
    await vi.waitFor(() => expect(view.heatmap().dataset.against).toBe("before/1/0"));
  });

  it("stand side by side with one hover, one pin, one window and one range of colours", async () => {
    const host = runs({ layer: 1, head: 1, compared: "beside" });
    const view = mount(host, 1366);
    await view.ready();
    const [first, second] = ["first", "second"].map((side) =>
      view.part<HTMLCanvasElement>(`heatmap-${side}`),
    );
    expect([first!.dataset.map, second!.dataset.map]).toEqual(["before", "after"]);
    expect(first!.dataset.max).toBe(second!.dataset.max);
    const largest = Math.max(
      ...[0, 1].flatMap((map) =>
        Array.from({ length: N - 1 }, (_, query) => Math.max(...host.maps[map]!.row(1, 1, query + 1))),
      ),
    );
    expect(Number(first!.dataset.max)).toBeCloseTo(largest, 3);
    point(first!, "pointermove", 5, 3);
    await vi.waitFor(() => expect(view.parts("tooltip")).toHaveLength(2));
    for (const [at, tooltip] of view.parts("tooltip").entries())
      expect(Number(tooltip.children[1]!.textContent)).toBeCloseTo(host.maps[1 - at]!.row(1, 1, 5)[3]!, 3);
    point(second!, "click", 7, 2);
    await vi.waitFor(() => expect([host.get("query"), host.get("key")]).toEqual([7, 2]));
    point(second!, "dblclick", 7, 2);
    await vi.waitFor(() => expect(windowOf(first!)).toEqual(windowOf(second!)));
    expect(windowOf(first!)[1] - windowOf(first!)[0]).toBeLessThan(N);
  });

  it.each([600, 760, 1000, 1366, 1600])(
    "fit into %i pixels, side by side and as a difference",
    async (width) => {
      for (const compared of ["beside", "difference"] as const) {
        const view = mount(runs({ compared, query: 5 }), width);
        await view.ready();
        const box = view.host.getBoundingClientRect();
        for (const element of view.host.shadowRoot!.querySelectorAll(".map *, .toolbar *")) {
          const { right, width: wide } = element.getBoundingClientRect();
          if (wide > 0) expect(right, element.className).toBeLessThanOrEqual(box.right + 1);
        }
        view.close();
      }
    },
  );

  it("are compared in what was made of all heads too", async () => {
    const host = runs({ layer: 1 });
    const view = mount(host);
    await view.ready();
    const menu = view.part<HTMLSelectElement>("map");
    expect([...menu.querySelectorAll("option")].map(({ textContent }) => textContent)).toEqual([
      "attention",
      "mean of heads",
    ]);
    choose(menu, "after: mean of heads");
    await vi.waitFor(() => expect(view.heatmap().dataset.against).toMatch(/^before: mean of heads/));
    await view.ready();
    const [, layer] = view.heatmap().dataset.against!.split("/").map(Number);
    expectPixels(view, difference(host, [2, layer!, 0], [3, layer!, 0]));
  });

  it("have thumbnails of what is more and less", async () => {
    const host = runs({ measure: "entropy", sort: "highest" });
    const view = mount(host);
    await view.ready();
    const counted = () => {
      const found = { orange: 0, blue: 0 };
      for (const canvas of view.host.shadowRoot!.querySelectorAll<HTMLCanvasElement>(".heads canvas")) {
        if (canvas.width < 2) continue;
        const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4) {
          if (data[at + 3]! < 255) continue;
          if (data[at]! > data[at + 2]! + 40) found.orange++;
          if (data[at + 2]! > data[at]! + 40) found.blue++;
        }
      }
      return found;
    };
    await vi.waitFor(() => expect(Math.min(...Object.values(counted()))).toBeGreaterThan(50));
    expect(view.part("minus").textContent).toBe("after − before");
    view.part("show-second").click();
    await vi.waitFor(() => expect(counted().orange).toBe(0));
  });

  it("give both rows of the pinned query", async () => {
    const host = runs({ layer: 2, head: 3, query: 6 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("6"));
    const pair = view.part("row").querySelector('[data-key="4"]')!;
    const [before, after] = [1, 0].map((map) => host.maps[map]!.row(2, 3, 6)[4]!.toFixed(4));
    expect(pair.ariaLabel).toBe(`“${WORDS[4]}”: ${before} before, ${after} after`);
    expect(Number(view.part("row").dataset.entropyBefore)).toBeCloseTo(host.maps[1]!.entropy(2, 3, 6), 3);
    expect(Number(view.part("row").dataset.entropyAfter)).toBeCloseTo(host.maps[0]!.entropy(2, 3, 6), 3);
  });

  it("shade words by what is more and less", async () => {
    const host = runs({ layer: 1, head: 2, query: 8, view: "text" });
    const view = mount(host);
    await view.ready();
    const of = difference(host, [0, 1, 2], [1, 1, 2]);
    await vi.waitFor(() => expect(view.part("text").querySelector('[data-index="3"]')).not.toBeNull());
    await vi.waitFor(() => {
      for (let key = 0; key <= 8; key++) {
        const word = view.part("text").querySelector<HTMLElement>(`[data-index="${key}"]`)!;
        expect(Number(word.dataset.weight)).toBeCloseTo(of(8, key), 3);
      }
    });
    expect(view.parts("show-beside")).toHaveLength(0);
  });

  it("leave as code, as a picture and as numbers", async () => {
    const host = runs({ layer: 1, head: 2, measure: "changed", sort: "highest" });
    const view = mount(host);
    await view.ready();
    expect(await copied(view, "copy-code")).toBe("aw.compare(before, after, layer=1, head=2)");
    const { name, blob } = await saved(view, "save-csv");
    expect(name).toBe("after-layer-1-head-2-minus-before.csv");
    const lines = (await blob.text()).trim().split("\r\n");
    const of = difference(host, [0, 1, 2], [1, 1, 2]);
    expect(Number(lines[6]!.split(",")[3])).toBeCloseTo(of(5, 2), 3);
    const svg = await saved(view, "save-svg");
    const root = new DOMParser().parseFromString(await svg.blob.text(), "application/xml");
    const texts = [...root.querySelectorAll("text")].map(({ textContent }) => textContent);
    expect(texts).toContain("layer 1 · head 2: after − before");
    expect(texts).toContain("← before gives more · after gives more →");
    const cells = [...root.querySelectorAll('g[shape-rendering="crispEdges"] > rect')];
    expect(cells).toHaveLength((N * (N + 1)) / 2);
    expect(cells[1]!.getAttribute("fill")!.match(/\d+/g)!.map(Number)).toEqual(pixelOf(view.heatmap(), 1, 0));
  });

  it("are shown one at a time where a view has no colours for more and less", async () => {
    const host = runs({ view: "flow", layer: 1 });
    const view = mount(host);
    await vi.waitFor(() => expect(shown(view)).toBe("after"));
    expect(view.parts("show-difference")).toHaveLength(0);
    view.part("show-first").click();
    await vi.waitFor(() => expect(shown(view)).toBe("before"));
    host.fromPython({ view: "heatmap", compared: "difference" });
    await view.ready();
    expectPixels(view, difference(host, [0, 1, 0], [1, 1, 0]));
  });

  it("longer than the screen are compared point by point, and say so", async () => {
    const long = Array.from({ length: 1100 }, (_, at) => WORDS[at % N]!);
    const of = (run: string, seed: number) =>
      new MockMap({ queries: long, heads: [1], name: run, run, seed });
    const host = new MockModel([of("after", 8), of("before", 7)], {
      against: { map: "before", layer: null, head: null },
      query: 900,
    });
    const view = mount(host);
    await view.ready();
    expect(view.part("pooled").textContent).toMatch(
      /^Each point: the difference of two points, each the largest of/,
    );
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("900"));
    expect(Number(view.part("row").dataset.entropyBefore)).toBeCloseTo(host.maps[1]!.entropy(0, 0, 900), 3);
  });
});

describe("a head that is held against others", () => {
  it("is the one that is shown when somebody presses Compare, until it is pressed again", async () => {
    const host = heads({ layer: 1, head: 1 });
    const view = mount(host);
    await view.ready();
    expect(view.parts("compared")).toHaveLength(0);
    view.part("compare").click();
    await vi.waitFor(() => expect(host.get("against")).toEqual({ map: "attention", layer: 1, head: 1 }));
    await vi.waitFor(() =>
      expect(view.part("thumb", '[data-layer="2"][data-head="3"]').dataset.loaded).toBe("true"),
    );
    view.part("thumb", '[data-layer="2"][data-head="3"]').click();
    await vi.waitFor(() =>
      expect([view.heatmap().dataset.layer, view.heatmap().dataset.head]).toEqual(["2", "3"]),
    );
    await view.ready();
    expectPixels(view, difference(host, [0, 2, 3], [0, 1, 1]));
    expect(view.part("against").textContent).toBe("A layer 1 · head 1");
    expect(await copied(view, "copy-code")).toBe(
      'aw.explore(run, map="attention", layer=2, head=3, against={"map": "attention", "layer": 1, "head": 1})',
    );
    view.part("save").click();
    const marked = view.parts("reference").map((mark) => (mark.closest(".thumb") as HTMLElement).dataset);
    expect(marked.map(({ layer, head }) => [layer, head])).toEqual([["1", "1"]]);
    press(view.part("compare"), "Escape");
    await vi.waitFor(() => expect(view.parts("compared")).toHaveLength(0));
    expect(host.get("against")).toBeNull();
    expect(view.heatmap().dataset.against).toBeUndefined();
  });

  it("can be seen by itself, and a step leads on from the other", async () => {
    const host = heads({
      layer: 2,
      head: 0,
      against: { map: "attention", layer: 0, head: 3 },
      compared: "first",
    });
    const view = mount(host);
    await view.ready();
    expect([view.heatmap().dataset.layer, view.heatmap().dataset.head]).toEqual(["0", "3"]);
    expect(view.part("path").dataset.place).toBe("layer 2 · head 0");
    view.part("next-head").click();
    await vi.waitFor(() => expect(host.get("head")).toBe(1));
    await vi.waitFor(() => expect(view.heatmap().dataset.against).toBe("attention/0/3"));
    await view.ready();
    expectPixels(view, difference(host, [0, 2, 1], [0, 0, 3]));
  });

  it("can be held against what was made of all heads", async () => {
    const host = heads({ map: "mean of heads", layer: 1, against: { map: "attention", layer: 3, head: 2 } });
    const view = mount(host);
    await view.ready();
    expectPixels(view, difference(host, [1, 1, 0], [0, 3, 2]));
    expect(view.part("against").textContent).toBe("A attention · layer 3 · head 2");
  });

  it("of other tokens says why it cannot be", async () => {
    const other = new MockMap({ name: "cross", queries: WORDS, keys: ["a", "b"], causal: false });
    const host = new MockModel([new MockMap({ queries: WORDS }), other], {
      against: { map: "cross", layer: 0, head: 0 },
    });
    const view = mount(host);
    await view.ready();
    expect(view.part("incomparable").textContent).toContain("stand on other tokens");
    expect(view.heatmap().dataset.against).toBeUndefined();
  });

  it("that the kernel cannot give is a sentence at its place, and asked for again on demand", async () => {
    const host = runs();
    host.policy = (question) =>
      question.map === "before" && question.op === "tile" ? { error: "There is no such head." } : "answer";
    const view = mount(host);
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("There is no such head."));
    host.policy = () => "answer";
    [...view.host.shadowRoot!.querySelectorAll("button")]
      .find(({ textContent }) => textContent === "Try again")!
      .click();
    await view.ready();
    expectPixels(view, difference(host, [0, 0, 0], [1, 0, 0]));
  });

  it("follows new maps", async () => {
    const host = runs();
    const view = mount(host);
    await view.ready();
    const words = [...WORDS, "to", "Ben"];
    const of = (run: string, seed: number) => new MockMap({ queries: words, name: run, run, seed });
    host.maps.splice(0, 4, of("after", 5), of("before", 6));
    host.fromPython({ facts: { title: "", version: 2, maps: host.maps.map(({ facts }) => facts) } });
    await vi.waitFor(() => expect(windowOf(view.heatmap())[1]).toBe(14));
    await view.ready();
    expectPixels(view, difference(host, [0, 0, 0], [1, 0, 0]));
  });

  it.each(["light", "dark"] as const)("is for everybody in the %s", async (theme) => {
    for (const compared of ["difference", "beside"] as const) {
      const view = mount(runs({ compared, theme, query: 4 }));
      await view.ready();
      const { violations } = await axe.run(view.host.shadowRoot!.querySelector(".layout") as HTMLElement, {
        resultTypes: ["violations"],
      });
      const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      expect(grave.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
      view.close();
    }
  });
});

describe("two widgets of one page", () => {
  it("that show the same tokens point together, and pin each for itself", async () => {
    const [one, other] = [heads(), heads({ layer: 2 })];
    const views = [mount(one), mount(other)] as const;
    await Promise.all(views.map((view) => view.ready()));
    point(views[0].heatmap(), "pointermove", 5, 3);
    const marks = (view: Mounted) => {
      const canvas = view.host.shadowRoot!.querySelector<HTMLCanvasElement>(".marks")!;
      return canvas.toDataURL();
    };
    const blank = marks(views[1]);
    point(views[0].heatmap(), "pointermove", 6, 2);
    await vi.waitFor(() => expect(marks(views[1])).not.toBe(blank));
    point(views[0].heatmap(), "click", 6, 2);
    await vi.waitFor(() => expect(one.get("query")).toBe(6));
    expect(other.get("query") ?? null).toBeNull();
    expect(views[1].parts("tooltip")).toHaveLength(0);
  });

  it("with other tokens do not", async () => {
    const other = new MockModel([new MockMap({ queries: [...WORDS].reverse() })]);
    const views = [mount(heads()), mount(other)] as const;
    await Promise.all(views.map((view) => view.ready()));
    const canvas = views[1].host.shadowRoot!.querySelector<HTMLCanvasElement>(".marks")!;
    const before = canvas.toDataURL();
    point(views[0].heatmap(), "pointermove", 6, 2);
    await vi.waitFor(() => expect(views[0].parts("tooltip")).toHaveLength(1));
    expect(canvas.toDataURL()).toBe(before);
  });
});
