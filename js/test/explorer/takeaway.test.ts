import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import { type MapOptions, MockMap, MockModel } from "../mock";
import { type Mounted, mount, pixelOf, point, press } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
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
const model = (choices: Partial<Choices> = {}, options: Partial<MapOptions> = {}) =>
  new MockModel([new MockMap({ queries: WORDS, ...options })], choices, "Lily and Ben");

const items = (view: Mounted) =>
  [...view.part("save-menu").querySelectorAll('[role="menuitem"]')].map((item) =>
    item.getAttribute("data-part"),
  );

async function open(view: Mounted): Promise<void> {
  view.part("save").click();
  await vi.waitFor(() => expect(view.parts("save-menu")).toHaveLength(1));
}

/** What a choice of the menu hands to the browser. */
async function saved(view: Mounted, part: string): Promise<{ name: string; blob: Blob }> {
  const files: { name: string; address: string }[] = [];
  const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    files.push({ name: this.download, address: this.href });
  });
  await open(view);
  view.part(part).click();
  await vi.waitFor(() => expect(files).toHaveLength(1), { timeout: 5000 });
  click.mockRestore();
  const { name, address } = files[0]!;
  return { name, blob: await (await fetch(address)).blob() };
}

async function copied(view: Mounted, part: string): Promise<string> {
  const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await open(view);
  view.part(part).click();
  await vi.waitFor(() => expect(view.part("save-note").textContent).toBe("Copied"));
  const text = write.mock.calls[0]![0];
  write.mockRestore();
  return text;
}

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

describe("the menu", () => {
  it("is worked by keyboard, and hands the focus back", async () => {
    const view = mount(model({ query: 9, key: 3 }));
    await view.ready();
    const button = view.part("save");
    const active = () => view.host.shadowRoot!.activeElement;
    expect([button.getAttribute("aria-haspopup"), button.getAttribute("aria-expanded")]).toEqual([
      "menu",
      "false",
    ]);
    button.focus();
    press(button, "ArrowDown");
    await vi.waitFor(() => expect(active()).toBe(view.part("copy-value")));
    expect(button.getAttribute("aria-expanded")).toBe("true");
    expect(view.part("save-menu").getAttribute("role")).toBe("menu");
    press(view.part("copy-value"), "ArrowDown");
    expect(active()).toBe(view.part("copy-row"));
    press(view.part("copy-row"), "End");
    expect(active()).toBe(view.part("save-page"));
    press(view.part("save-page"), "ArrowDown");
    expect(active()).toBe(view.part("copy-value"));
    press(view.part("copy-value"), "ArrowUp");
    expect(active()).toBe(view.part("save-page"));
    press(view.part("save-page"), "Escape");
    await vi.waitFor(() => expect(view.parts("save-menu")).toEqual([]));
    expect(active()).toBe(button);
    // Escape closed the menu, and nothing else.
    expect(view.heatmap().ownerDocument.contains(view.host)).toBe(true);
    expect(view.part("row").dataset.query).toBe("9");
  });

  it("closes where the focus goes elsewhere", async () => {
    const view = mount(model());
    await view.ready();
    await open(view);
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement).toBe(view.part("copy-code")));
    view.heatmap().focus();
    await vi.waitFor(() => expect(view.parts("save-menu")).toEqual([]));
    expect(view.host.shadowRoot!.activeElement).toBe(view.heatmap());
  });

  it("offers what can be done, and nothing else", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    await open(view);
    expect(items(view)).toEqual(["copy-code", "save-png", "save-svg", "save-csv", "save-page"]);
    press(view.part("copy-code"), "Escape");
    host.fromPython({ query: 3, key: 9 });
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("3"));
    await open(view);
    // Key 9 is masked for query 3.
    expect(items(view)).toEqual(["copy-row", "copy-code", "save-png", "save-svg", "save-csv", "save-page"]);
    press(view.part("copy-row"), "Escape");
    host.disconnect();
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    await open(view);
    expect(items(view)).toEqual(["copy-row", "copy-code", "save-png", "save-svg", "save-csv"]);
  });
});

describe("the clipboard", () => {
  it("gets the value of the pinned cell, as far as it is known", async () => {
    const host = model({ query: 9, key: 3, layer: 1, temperature: 0.5 });
    const view = mount(host);
    await view.ready();
    const text = await copied(view, "copy-value");
    const weight = host.maps[0]!.row(1, 0, 9, 0.5)[3]!;
    expect(Math.abs(Number(text) - weight) / weight).toBeLessThan(1e-3);
    expect(text.replace(/^0\.0*/, "").length).toBeGreaterThan(3);
  });

  it("gets the weight under the cursor by the keys for copying", async () => {
    const view = mount(model({ query: 9, key: 3 }));
    await view.ready();
    point(view.heatmap(), "pointermove", 7, 0);
    const data = new DataTransfer();
    const event = new ClipboardEvent("copy", {
      clipboardData: data,
      bubbles: true,
      composed: true,
      cancelable: true,
    });
    view.heatmap().dispatchEvent(event);
    expect(event.defaultPrevented).toBe(true);
    const host = new MockMap({ queries: WORDS });
    expect(Number(data.getData("text/plain"))).toBeCloseTo(host.row(0, 0, 7)[0]!, 3);
  });

  it("gets the row of the pinned query, without a kernel", async () => {
    const host = model({ query: 4 });
    const view = mount(host);
    await view.ready();
    const asked = host.sent.length;
    host.policy = () => "hold";
    const lines = (await copied(view, "copy-row")).trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t")[0])).toEqual(WORDS.slice(0, 5));
    const weights = host.maps[0]!.row(0, 0, 4);
    for (const [key, line] of lines.entries())
      expect(Number(line.split("\t")[1])).toBeCloseTo(weights[key]!, 3);
    expect(host.sent.slice(asked).filter(({ op }) => op === "tile" || op === "page")).toEqual([]);
  });

  it("gets the code that opens this view, with what differs from the defaults", async () => {
    const view = mount(model({ layer: 3, query: 11, temperature: 0.5, view: "text" }));
    await view.ready();
    expect(await copied(view, "copy-code")).toBe(
      'aw.explore(run, layer=3, query=11, temperature=0.5, view="text")',
    );
  });

  it("names the map where there are several, and quotes it", async () => {
    const maps = ["plain", 'cross "attention"\n'].map((name) => new MockMap({ name, queries: WORDS }));
    const view = mount(new MockModel(maps, { map: 'cross "attention"\n', head: 2 }));
    await view.ready();
    expect(await copied(view, "copy-code")).toBe('aw.explore(run, map="cross \\"attention\\"\\n", head=2)');
  });

  it.each(["missing", "refused"])("that is %s leaves the text to be taken by hand", async (how) => {
    const view = mount(model({ layer: 3 }));
    await view.ready();
    if (how === "missing") {
      Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true });
      onTestFinished(() => void Reflect.deleteProperty(navigator, "clipboard"));
    } else vi.spyOn(navigator.clipboard, "writeText").mockRejectedValueOnce(new Error("no"));
    await open(view);
    view.part("copy-code").click();
    await vi.waitFor(() => expect(view.parts("handed")).toHaveLength(1));
    expect(view.part("handed").textContent).toContain("This page may not use the clipboard");
    const box = view.part<HTMLTextAreaElement>("handed-text");
    expect(box.value).toBe("aw.explore(run, layer=3)");
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement).toBe(box));
    expect([box.selectionStart, box.selectionEnd]).toEqual([0, box.value.length]);
    press(box, "Escape");
    await vi.waitFor(() => expect(view.parts("handed")).toEqual([]));
    expect(view.host.shadowRoot!.activeElement).toBe(view.part("save"));
  });
});

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

/** RFC 4180, read by the letter. */
function table(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === "\r\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

async function csv(view: Mounted): Promise<{ name: string; rows: string[][] }> {
  const { name, blob } = await saved(view, "save-csv");
  const bytes = new Uint8Array(await blob.arrayBuffer());
  expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  return { name, rows: table(new TextDecoder().decode(bytes)) };
}

describe("a map as a table", () => {
  it("has the weights of the screen, as tempered, and nothing where masked", async () => {
    const host = model({ layer: 2, head: 1, temperature: 0.7, scaling: 1.5 });
    const view = mount(host);
    await view.ready();
    const { name, rows } = await csv(view);
    expect(name).toBe("attention-layer-2-head-1.csv");
    expect(rows[0]).toEqual(["query", ...WORDS]);
    expect(rows.slice(1).map(([word]) => word)).toEqual(WORDS);
    for (let query = 0; query < 12; query++) {
      const weights = host.maps[0]!.row(2, 1, query, 0.7, 1.5);
      const line = rows[query + 1]!.slice(1);
      expect(line.slice(query + 1)).toEqual(Array(11 - query).fill(""));
      for (let key = 0; key <= query; key++) {
        // Weights travel as logarithms in steps of some 1e-4.
        expect(Math.abs(Number(line[key]) - weights[key]!)).toBeLessThan(1e-6 + 4e-4 * weights[key]!);
      }
      const sum = line.reduce((total, text) => total + Number(text), 0);
      expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
    }
  });

  it("keeps labels whatever they are, and makes none of them a formula", async () => {
    const queries = ['say "hi", Ben', "a\r\nb", "=1+1", "-", "@x", "é注", ""];
    const view = mount(model({}, { queries }));
    await view.ready();
    const { rows } = await csv(view);
    const wanted = ['say "hi", Ben', "a\r\nb", "'=1+1", "'-", "'@x", "é注", ""];
    expect(rows[0]!.slice(1)).toEqual(wanted);
    expect(rows.slice(1).map(([word]) => word)).toEqual(wanted);
  });

  it("says what a cell is where it is many", async () => {
    const queries = Array.from({ length: 1500 }, (_, at) => `t${at}`);
    const host = model({ pooling: "mean" }, { queries, keys: ["a", "b", "c"], heads: [1], causal: false });
    const view = mount(host);
    await view.ready();
    const { name, rows } = await csv(view);
    const stride = Math.ceil(1500 / (rows.length - 1));
    expect(stride).toBeGreaterThan(1);
    expect(name).toBe(`attention-layer-0-head-0-mean-of-${stride}x1.csv`);
    expect(rows[0]).toEqual([`mean of ${stride} x 1 cells`, "a", "b", "c"]);
    expect(rows[1]![0]).toBe(`0-${stride - 1}`);
    expect(rows.at(-1)![0]).toMatch(/1499$/);
    const mean = (key: number) =>
      Array.from({ length: stride }, (_, query) => host.maps[0]!.row(0, 0, query)[key]!).reduce(
        (a, b) => a + b,
      ) / stride;
    expect(Number(rows[1]![2])).toBeCloseTo(mean(1), 3);
  });

  it("says NaN where a row is", async () => {
    const host = model();
    const answer = host.replyTo.bind(host);
    host.replyTo = (question) => {
      const reply = answer(question);
      if (question.op === "tile") {
        const [codes, missing] = reply.buffers;
        missing!.setFloat32(4 * 5, Number.NaN, true);
        for (let key = 0; key < 12; key++) codes!.setUint16(2 * (5 * 12 + key), 65535, true);
      }
      return reply;
    };
    const view = mount(host);
    await view.ready();
    const { rows } = await csv(view);
    expect(rows[6]!.slice(1)).toEqual(Array(12).fill("NaN"));
    expect(rows[5]!.slice(6)).toEqual(Array(7).fill(""));
  });
});

describe("a page", () => {
  it("is asked of the kernel, and saved as it comes", async () => {
    const host = model({ layer: 1, head: 2, query: 9 });
    const view = mount(host);
    await view.ready();
    const { name, blob } = await saved(view, "save-page");
    const asked = host.sent.find(({ op }) => op === "page");
    expect(asked).toMatchObject({ op: "page", map: "attention", layer: 1, head: 2, query: 9 });
    expect(name).toBe("attention-1-2.html");
    expect(blob.type).toBe("text/html");
    expect(await blob.text()).toBe("<!doctype html><p>query 9 “é”</p>");
  });

  it("that the kernel refuses is said so", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    host.policy = ({ op }) => (op === "page" ? { error: "The page would have 900 MB." } : "answer");
    await open(view);
    view.part("save-page").click();
    await vi.waitFor(() => expect(view.part("handed").textContent).toContain("The page would have 900 MB."));
    view.part("handed-close").click();
    await vi.waitFor(() => expect(view.parts("handed")).toEqual([]));
  });
});

describe("a file that is refused", () => {
  const refuse = () => {
    const make = vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
      throw new DOMException("no", "SecurityError");
    });
    onTestFinished(() => make.mockRestore());
  };
  it("is shown as text", async () => {
    const view = mount(model());
    await view.ready();
    refuse();
    await open(view);
    view.part("save-csv").click();
    await vi.waitFor(() => expect(view.parts("handed-text")).toHaveLength(1));
    expect(view.part("handed").textContent).toContain("This page may not save files");
    expect(view.part<HTMLTextAreaElement>("handed-text").value).toContain("query,Lily,and,Ben");
  });
  it("is shown as a picture", async () => {
    const view = mount(model());
    await view.ready();
    refuse();
    await open(view);
    view.part("save-png").click();
    await vi.waitFor(() => expect(view.parts("handed-image")).toHaveLength(1));
    expect(view.part<HTMLImageElement>("handed-image").src).toMatch(/^data:image\/png/);
  });
});
