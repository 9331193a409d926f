import { describe, expect, it, vi } from "vitest";
import { type Mounted, mount, pixelOf } from "./mount";
import { model, saved, WORDS } from "./saving";

const HOSTILE = [
  "<script>alert('1')</script>",
  "]]>",
  "&amp;\"'",
  "\u0000\u001b\u0085",
  "\ud800x\udc00",
  "x".repeat(10_000),
  "שלום עולם",
  "👩🏽‍🚀",
  " the",
  "a\nb",
];
/** Any reader of XML takes it, not browsers alone, which mend what they read. */
async function svg(view: Mounted): Promise<{ root: Element; name: string; text: string }> {
  const { name, blob } = await saved(view, "save-svg");
  expect(blob.type).toBe("image/svg+xml");
  const text = await blob.text();
  const document = new DOMParser().parseFromString(text, "application/xml");
  expect(document.querySelector("parsererror")?.textContent).toBeUndefined();
  return { root: document.documentElement, name, text };
}

const texts = (root: Element) => [...root.querySelectorAll("text")].map((one) => one.textContent);
const rgb = (fill: string) => fill.match(/\d+/g)!.map(Number);

/** The rectangle that is drawn for a cell, by the middle of the labels that name it. */
function cellsOf(root: Element): Element[] {
  return [...root.querySelectorAll('g[shape-rendering="crispEdges"] > rect')];
}

describe("a map as SVG", () => {
  it("has its name, its labels as text, and its cells in the colours of the screen", async () => {
    const view = mount(model({ layer: 1, temperature: 0.5, query: 9 }));
    await view.ready();
    const { root, name } = await svg(view);
    expect(name).toBe("attention-layer-1-head-0.svg");
    const said = texts(root);
    expect(said).toContain("layer 1 · head 0");
    expect(said).toContain("temperature 0.5");
    expect(said).toContain("masked");
    for (const word of WORDS) expect(said.filter((text) => text === word).length).toBeGreaterThanOrEqual(2);
    const cells = cellsOf(root);
    expect(cells).toHaveLength((12 * 13) / 2);
    let at = 0;
    for (let query = 0; query < 12; query++) {
      for (let key = 0; key <= query; key++) {
        const fill = rgb(cells[at++]!.getAttribute("fill")!);
        // Not beside the lines of what is pinned.
        if (query < 8 || query > 10) expect(fill).toEqual(pixelOf(view.heatmap(), query, key));
      }
    }
    expect(root.querySelectorAll("image")).toHaveLength(0);
  });

  it("shows the part that is shown", async () => {
    const view = mount(model());
    await view.ready();
    view.part("zoom-in").click();
    await vi.waitFor(() => expect(Number(view.heatmap().dataset.window!.split(",")[1])).toBeLessThan(12));
    const { root } = await svg(view);
    const cells = cellsOf(root);
    expect(cells.length).toBeLessThan(78);
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) =>
      cells.map((cell) => Number(cell.getAttribute(name))),
    );
    const frame = [...root.querySelectorAll("rect[stroke]")].find(
      (one) => Number(one.getAttribute("width")) > 300,
    )!;
    const edge = (side: string) => Number(frame.getAttribute(side));
    expect(Math.min(...x!)).toBeGreaterThanOrEqual(edge("x"));
    expect(Math.max(...x!.map((at, cell) => at + width![cell]!))).toBeLessThanOrEqual(
      edge("x") + edge("width"),
    );
    expect(Math.max(...y!.map((at, cell) => at + height![cell]!))).toBeLessThanOrEqual(
      edge("y") + edge("height"),
    );
  });

  it.each([64, 65])(
    "draws cells one by one up to 64 a side, and beyond as one picture: %i",
    async (tokens) => {
      const queries = Array.from({ length: tokens }, (_, at) => `t${at}`);
      const view = mount(model({}, { queries, heads: [1] }));
      await view.ready();
      const { root } = await svg(view);
      const images = [...root.querySelectorAll("image")];
      expect([cellsOf(root).length, images.length]).toEqual(tokens > 64 ? [0, 1] : [(64 * 65) / 2, 0]);
      for (const image of images) {
        expect(image.getAttribute("style")).toContain("pixelated");
        const source = image.getAttributeNS("http://www.w3.org/1999/xlink", "href")!;
        expect(source).toMatch(/^data:image\/png;base64,/);
        const picture = new Image();
        picture.src = source;
        await picture.decode();
        expect([picture.naturalWidth, picture.naturalHeight]).toEqual([65, 65]);
      }
    },
  );

  it("is XML whatever the tokens are", async () => {
    const view = mount(model({ query: 9, view: "heatmap" }, { queries: HOSTILE }));
    await view.ready();
    const { root, text } = await svg(view);
    expect(root.querySelectorAll("script")).toHaveLength(0);
    const said = texts(root);
    expect(said).toContain("שלום עולם");
    expect(said).toContain("👩🏽‍🚀");
    expect(said).toContain(" the");
    expect(said).toContain("]]>");
    expect(text.length).toBeLessThan(60_000);
    expect(text).not.toMatch(/\p{Cs}/u);
  });
});

describe("the other views as SVG", () => {
  it("text: words in lines, with their shades", async () => {
    const queries = Array.from({ length: 60 }, (_, at) => `${WORDS[at % 12]}`);
    const view = mount(model({ view: "text", query: 40 }, { queries }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("40"));
    const { root, name } = await svg(view);
    expect(name).toBe("attention-layer-0-head-0-query-40-text.svg");
    const words = [...root.querySelectorAll('text[font-size="16"]')];
    expect(words.map((word) => word.textContent)).toEqual(queries);
    const lines = new Set(words.map((word) => word.getAttribute("y")));
    expect(lines.size).toBeGreaterThan(3);
    for (const word of words)
      expect(Number(word.getAttribute("x"))).toBeLessThan(Number(root.getAttribute("width")));
    const shades = [...root.querySelectorAll('rect[rx][fill^="rgb"]')].map((one) =>
      rgb(one.getAttribute("fill")!),
    );
    const screen = view.host.shadowRoot!.querySelectorAll<HTMLElement>(
      ".word[data-weight]:not([data-weight=''])",
    );
    expect(shades).toEqual([...screen].map((word) => rgb(word.style.background)));
  });

  it("text that is hostile, and runs from right to left", async () => {
    const view = mount(model({ view: "text", query: 3 }, { queries: ["שלום", "עולם", ...HOSTILE] }));
    await view.ready();
    const { root } = await svg(view);
    const place = (word: string) =>
      Number([...root.querySelectorAll("text")].find((one) => one.textContent === word)!.getAttribute("x"));
    expect(place("שלום")).toBeGreaterThan(place("עולם"));
    const longest = texts(root).find((text) => text?.startsWith("xxx"));
    expect(longest).toMatch(/^x+…$/);
  });

  it("grid: every head, with its number", async () => {
    const view = mount(model({ view: "grid", measure: "entropy" }, { measured: {} }));
    await view.ready();
    await vi.waitFor(() => expect(view.parts("badge")).toHaveLength(16), { timeout: 5000 });
    await vi.waitFor(() => expect(view.parts("thumb", '[data-loaded="false"]')).toEqual([]), {
      timeout: 5000,
    });
    const { root, name } = await svg(view);
    expect(name).toBe("attention-grid-entropy.svg");
    expect(root.querySelectorAll("image")).toHaveLength(16);
    const said = texts(root);
    for (const badge of view.parts("badge")) expect(said).toContain(badge.textContent);
    expect(said).toContain("Numbers: entropy in nats");
  });

  it("image: the picture, and over it the weights", async () => {
    const image = { start: 1, rows: 4, columns: 6, picture: true, digest: 1 };
    const queries = ["[CLS]", ...Array.from({ length: 24 }, (_, at) => `${Math.floor(at / 6)},${at % 6}`)];
    const view = mount(model({ view: "image", query: 8 }, { queries, image, causal: false }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("image").dataset.picture).toBe("true"), { timeout: 5000 });
    const { root, name } = await svg(view);
    expect(name).toBe("attention-layer-0-head-0-query-8-image.svg");
    expect(root.querySelectorAll("image")).toHaveLength(1);
    expect(cellsOf(root)).toHaveLength(24);
    expect(root.querySelector('g[shape-rendering="crispEdges"]')!.getAttribute("opacity")).toBe("0.7");
  });
});

describe("a picture of dots", () => {
  it("has twice the screen's, and its colours", async () => {
    const view = mount(model({ layer: 1, theme: "dark" }));
    await view.ready();
    const { root } = await svg(view);
    const { name, blob } = await saved(view, "save-png");
    expect(name).toBe("attention-layer-1-head-0.png");
    const bitmap = await createImageBitmap(blob);
    const dots = 2 * window.devicePixelRatio;
    expect(bitmap.width).toBe(Math.floor(Number(root.getAttribute("width")) * dots));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    const context = canvas.getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    const at = (x: number, y: number) => [...context.getImageData(x, y, 1, 1).data.slice(0, 3)];
    expect(at(1, 1)).toEqual(rgb(root.querySelector("rect")!.getAttribute("fill")!));
    const cells = cellsOf(root);
    for (const cell of [cells[0]!, cells[20]!, cells.at(-1)!]) {
      const [x, y] = ["x", "y"].map((side) => Math.round((Number(cell.getAttribute(side)) + 3) * dots));
      expect(at(x!, y!)).toEqual(rgb(cell.getAttribute("fill")!));
    }
  });
});
