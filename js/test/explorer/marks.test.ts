import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, pixelOf, point, pointOf, press, viewsOffered } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const told = (options: Partial<MapOptions> = {}) =>
  new MockMap({
    queries: WORDS,
    causal: false,
    spans: [
      ["prompt", 0, 7],
      ["generated", 7, 12],
    ],
    following: "to",
    ...options,
  });
const shadowText = (view: ReturnType<typeof mount>) =>
  view.host.shadowRoot!.querySelector(".widget")!.textContent!;
const marksOf = (view: ReturnType<typeof mount>) =>
  view.host.shadowRoot!.querySelector<HTMLCanvasElement>("canvas.marks")!;

/** How much ink the marks have along the edge above a row, or left of a column. */
function inkAt(view: ReturnType<typeof mount>, query: number, key: number): number {
  const canvas = marksOf(view);
  const box = canvas.getBoundingClientRect();
  const { clientX, clientY } = pointOf(view.heatmap(), query, key);
  const ratio = canvas.width / canvas.clientWidth;
  const [x, y] = [(clientX - box.left) * ratio, (clientY - box.top) * ratio];
  const { data } = canvas.getContext("2d")!.getImageData(Math.floor(x), Math.floor(y), 1, 1);
  return data[3]!;
}

describe("prompt and generated part", () => {
  it.each([
    [600, "light"],
    [1400, "dark"],
  ] as const)("are parted by lines through the map, %i px, %s", async (width, theme) => {
    const view = mount(new MockModel([told()], { theme }), width);
    await view.ready();
    expect(inkAt(view, 6.5, 3)).toBeGreaterThan(0);
    expect(inkAt(view, 3, 6.5)).toBeGreaterThan(0);
    expect(inkAt(view, 3.5, 3)).toBe(0);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
  });

  it("have lines where they are when the map is zoomed", async () => {
    const view = mount(new MockModel([told()]));
    await view.ready();
    point(view.heatmap(), "wheel", 7, 7, { ctrlKey: true });
    expect(inkAt(view, 6.5, 7)).toBeGreaterThan(0);
    expect(inkAt(view, 5.5, 7)).toBe(0);
  });

  it("are named where somebody points, by mouse and by keyboard", async () => {
    const view = mount(new MockModel([told()]));
    await view.ready();
    point(view.heatmap(), "pointermove", 9, 2);
    await vi.waitFor(() =>
      expect(view.part("tooltip").textContent).toContain("query 9 (generated), key 2 (prompt)"),
    );
    press(view.heatmap(), "ArrowDown");
    await vi.waitFor(() =>
      expect(shadowText(view)).toContain("query “the” (generated) → key “Ben” (prompt)"),
    );
    expect(view.heatmap().getAttribute("aria-label")).toContain("Queries: prompt 0 to 6, generated 7 to 11.");
  });

  it("begin with their name in the text", async () => {
    const view = mount(new MockModel([told({ spans: [["prefix", 0, 3]] })], { view: "text", query: 2 }));
    await view.ready();
    await vi.waitFor(() => expect(view.parts("span")).toHaveLength(1));
    const first = view.parts("span").map((span) => span.textContent);
    expect(first).toEqual(["prefix"]);
    expect(view.part("span").nextElementSibling!.textContent).toBe("Lily");
    // Where it ends nothing has a name, and a line stands alone.
    const ended = view.part("text").querySelectorAll(".span")[1]!;
    expect([ended.textContent, ended.nextElementSibling!.textContent]).toEqual(["", "went"]);
    expect(view.part("row").textContent).toContain("Query 2 “Ben” (prefix)");
  });
});

describe("the token after the last query", () => {
  it("is said to have no row, where the last row is in sight", async () => {
    const view = mount(new MockModel([told()]));
    await view.ready();
    const words = "“to” was generated last and was never a query: it has no row.";
    expect(shadowText(view)).toContain(words);
    const canvas = marksOf(view);
    const box = view.heatmap().dataset.plot!.split(",").map(Number) as [number, number, number, number];
    const ratio = canvas.width / canvas.clientWidth;
    const below = Math.ceil((box[1] + box[3] + 3) * ratio);
    const ink = canvas.getContext("2d")!.getImageData(0, below, box[0] * ratio, 16 * ratio).data;
    expect(ink.some((value) => value > 0)).toBe(true);
    point(view.heatmap(), "wheel", 0, 0, { ctrlKey: true });
    await vi.waitFor(() => expect(shadowText(view)).not.toContain(words));
  });

  it("stands at the end of the text, and is no query there", async () => {
    const view = mount(new MockModel([told()], { view: "text" }));
    await view.ready();
    await vi.waitFor(() => expect(view.parts("text")).toHaveLength(1));
    expect(view.part("text").textContent!.trim()).toMatch(/ball\s*to$/);
    expect(view.part("text").querySelectorAll("[data-index]")).toHaveLength(12);
  });
});

describe("layers and heads that were chosen from a model", () => {
  it("keep their numbers everywhere", async () => {
    const map = new MockMap({
      queries: WORDS,
      heads: [2, 2],
      layerNumbers: [5, 9],
      headNumbers: [
        [3, 8],
        [4, 6],
      ],
      findings: [
        {
          name: "alike",
          title: "Two heads alike",
          severity: "note",
          sentence: "",
          evidence: [],
          causes: [],
          remedies: [],
          places: [
            [1, 1],
            [0, null],
          ],
        },
      ],
    });
    const host = new MockModel([map], { layer: 1, head: 0 });
    const view = mount(host);
    await view.ready();
    expect(view.part("path").dataset.place).toBe("layer 9 · head 4");
    expect(shadowText(view)).toContain("Heads of layer 9");
    await vi.waitFor(() => expect(view.parts("finding-place")).toHaveLength(2));
    expect(view.parts("finding-place").map((place) => place.textContent)).toEqual(["L9 H6", "L5"]);
    expect(view.part("thumb", '[data-layer="0"][data-head="1"]').getAttribute("aria-label")).toBe(
      "Layer 5, head 8",
    );
    expect(view.parts("head-bar").map((bar) => bar.querySelector(".name")!.textContent)).toEqual(["4", "6"]);
    expect(view.part("head-bar", '[data-head="1"]').getAttribute("aria-label")).toMatch(/^Head 6:/);
    const numerals = [...view.part("grid").querySelectorAll(".line:not(.columns) .numeral")];
    expect(numerals.map((numeral) => numeral.textContent)).toEqual(["5", "9"]);
    expect(view.heatmap().getAttribute("aria-label")).toContain("head 4");
    // Choices are places in what is held.
    view.part("finding-place", '[data-layer="1"][data-head="1"]').click();
    expect([host.get("layer"), host.get("head")]).toEqual([1, 1]);
  });
});

describe("heads that share keys and values", () => {
  const grouped = (heads: number, shared: number) =>
    new MockMap({ queries: WORDS, heads: [heads, heads], keyValueHeads: [shared, shared] });

  it("stand together under the number of what they share", async () => {
    const view = mount(new MockModel([grouped(8, 2)], { head: 5 }));
    await view.ready();
    const brackets = [...view.part("groups").querySelectorAll<HTMLElement>(".bracket")];
    expect(brackets.map((bracket) => bracket.textContent)).toEqual(["0", "1"]);
    const left = (head: number) =>
      view.part("thumb", `[data-layer="0"][data-head="${head}"]`).getBoundingClientRect().left;
    expect(left(4) - left(3)).toBeGreaterThan(left(3) - left(2) + 3);
    expect(brackets[1]!.getBoundingClientRect().left).toBeCloseTo(left(4), 0);
    expect(shadowText(view)).toContain("key-value head 1, shared by heads 4–7");
    expect(view.part("thumb", '[data-layer="0"][data-head="2"]').getAttribute("aria-label")).toBe(
      "Layer 0, head 2, key-value head 0, shared by heads 0–3",
    );
  });

  it("have no brackets where each has its own", async () => {
    const view = mount(new MockModel([grouped(4, 4)]));
    await view.ready();
    expect(view.parts("groups")).toEqual([]);
    expect(shadowText(view)).not.toContain("key-value");
  });

  it.each([420, 600, 1000, 1600])("fit in %i px", async (width) => {
    const view = mount(new MockModel([grouped(32, 8)]), width);
    await view.ready();
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    const named = view.parts("head-bar").filter((bar) => bar.querySelector(".name")!.textContent !== "");
    const texts = named.map((bar) => {
      const range = document.createRange();
      range.selectNodeContents(bar.querySelector(".name")!);
      return range.getBoundingClientRect();
    });
    for (const [at, text] of texts.slice(1).entries())
      expect(text.left).toBeGreaterThanOrEqual(texts[at]!.right);
  });
});

it("facts of old kernels are enough", async () => {
  const view = mount(new MockModel([new MockMap({ queries: WORDS })]));
  await view.ready();
  expect(view.part("path").dataset.place).toBe("layer 0 · head 0");
  expect(viewsOffered(view)).not.toContain("image");
  expect(pixelOf(view.heatmap(), 3, 3)).toHaveLength(3);
});

describe("what is pointed at", () => {
  const long = (count: number) => Array.from({ length: count }, (_, at) => WORDS[at % 12]!);
  /** Ink of the marks over every cell of a row or a column, apart from those around the cell itself. */
  const covered = (view: ReturnType<typeof mount>, n: number, query: number, key: number) => {
    const far = (at: number, from: number) => Math.abs(at - from) > n / 20 + 1;
    const cells = Array.from({ length: n }, (_, at) => at);
    return [
      ...cells.filter((at) => far(at, key)).map((at) => [query, at] as const),
      ...cells.filter((at) => far(at, query)).map((at) => [at, key] as const),
    ].filter((cell) => inkAt(view, ...cell) > 0);
  };

  it.each([
    [40, 1000],
    [400, 1000],
    [700, 700],
    [1000, 1600],
  ])(
    "is not covered: %i tokens, %i px",
    async (n, width) => {
      const view = mount(new MockModel([new MockMap({ queries: long(n), heads: [1] })]), width);
      await view.ready();
      const [query, key] = [Math.floor(n * 0.7), Math.floor(n * 0.3)];
      point(view.heatmap(), "pointermove", query, key);
      await vi.waitFor(() =>
        expect(view.part("tooltip").textContent).toContain(`query ${query}, key ${key}`),
      );
      expect(covered(view, n, query, key)).toEqual([]);
      // And still there is a line along it.
      const beside = Array.from({ length: 25 }, (_, at) =>
        inkAt(view, query + ((at - 12) * n) / 600, key / 2),
      );
      expect(Math.max(...beside)).toBeGreaterThan(0);
    },
    60_000,
  );

  it("is not covered where it is pinned, or a row alone", async () => {
    const view = mount(
      new MockModel([new MockMap({ queries: long(400), heads: [1] })], { query: 300, key: 100 }),
    );
    await view.ready();
    const alone = () => {
      // The mouse of other tests may rest where the map has come to stand: a cross of its own runs over the row.
      view.heatmap().dispatchEvent(new PointerEvent("pointerleave"));
      expect(covered(view, 400, 300, 100)).toEqual([]);
    };
    await vi.waitFor(alone, { timeout: 10_000 });
  }, 60_000);
});
