import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, type Mounted, mount, press } from "./mount";
import { saved } from "./saving";

const WORDS = "Lily and Ben went to the park".split(" ");
const model = (choices = {}, options = {}) =>
  new MockModel([new MockMap({ queries: WORDS, ...options })], { view: "lines", ...choices });
const base = (view: Mounted) => view.part<HTMLCanvasElement>("lines-all-drawn");
const over = (view: Mounted) => view.part<HTMLCanvasElement>("lines-lit");
const word = (view: Mounted, side: "query" | "key", index: number) =>
  view.part(`lines-${side}`, `[data-index="${index}"]`);
const told = (view: Mounted) => view.part("lines-told").textContent ?? "";
/** The largest weight that is told. */
const most = (view: Mounted) => Number(/” (0\.\d+|1\.0+)/.exec(told(view))?.[1]);
const count = (view: Mounted) => view.part("lines-count").textContent ?? "";

async function opened(host: MockModel, width = 1000): Promise<Mounted> {
  const view = mount(host, width);
  await view.ready();
  return view;
}

function hover(view: Mounted, side: "query" | "key", index: number): void {
  const box = word(view, side, index).getBoundingClientRect();
  const place = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  word(view, side, index).dispatchEvent(
    new PointerEvent("pointermove", { ...place, bubbles: true, composed: true, pointerType: "mouse" }),
  );
}

/** How dark the canvas is along the line from a query to a key, near its beginning: 0 where nothing is drawn. */
function inkAt(view: Mounted, canvas: HTMLCanvasElement, query: number, key: number, share: number): number {
  const box = canvas.getBoundingClientRect();
  const [from, to] = [word(view, "query", query), word(view, "key", key)].map((one) =>
    one.getBoundingClientRect(),
  );
  const left = from!.right + 6 - box.left;
  const right = to!.left - 6 - box.left;
  const middle = (one: DOMRect) => one.top + one.height / 2 - box.top;
  const [x, y] = [left + (right - left) * share, middle(from!) + (middle(to!) - middle(from!)) * share];
  const ratio = canvas.width / canvas.clientWidth;
  const { data } = canvas
    .getContext("2d")!
    .getImageData(Math.floor(x * ratio), Math.floor(y * ratio) - 1, 1, 3);
  return Math.max(data[3]!, data[7]!, data[11]!);
}

describe("lines", () => {
  it("go from each query to the keys that it sees, the stronger the darker", async () => {
    const host = model();
    const view = await opened(host);
    expect(base(view).dataset.lines).toBe("28");
    expect(count(view)).toBe("28 lines.");
    const row = host.maps[0]!.row(0, 0, 6);
    hover(view, "query", 6);
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("7"));
    expect(getComputedStyle(base(view)).visibility).toBe("hidden");
    const inks = [...row.keys()].map((key) => inkAt(view, over(view), 6, key, 0.8));
    const strongest = row.indexOf(Math.max(...row));
    expect(inks[strongest]).toBe(Math.max(...inks));
    expect(Math.min(...inks)).toBeGreaterThan(0);
    await vi.waitFor(() => expect(told(view)).toContain(`“park” looks at “${WORDS[strongest]}” `));
    expect(most(view)).toBeCloseTo(row[strongest]!, 3);
    expect(host.saved).toEqual([]);
  });

  it("of a key are what looks at it", async () => {
    const host = model();
    const view = await opened(host);
    hover(view, "key", 4);
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("3"));
    const weights = [4, 5, 6].map((query) => host.maps[0]!.row(0, 0, query)[4]!);
    const first = 4 + weights.indexOf(Math.max(...weights));
    await vi.waitFor(() => expect(told(view)).toContain(`“to” is looked at by “${WORDS[first]}” `));
    expect(most(view)).toBeCloseTo(Math.max(...weights), 3);
  });

  it("stay alone while a word is pinned, follow every pin, and are all back when nothing is", async () => {
    const host = model();
    const view = await opened(host);
    word(view, "query", 3).click();
    expect([host.get("query"), host.get("key") ?? null]).toEqual([3, null]);
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("4"));
    expect(word(view, "query", 3).getAttribute("aria-selected")).toBe("true");
    word(view, "query", 5).dispatchEvent(
      new MouseEvent("click", {
        ...{ bubbles: true, composed: true, shiftKey: true },
        clientX: word(view, "query", 5).getBoundingClientRect().x + 4,
        clientY: word(view, "query", 5).getBoundingClientRect().y + 4,
      }),
    );
    expect(host.get("also")).toEqual([5]);
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("10"));
    host.fromPython({ query: null, also: [], key: 2 });
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("5"));
    press(word(view, "key", 2), "Escape");
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("0"));
    expect(getComputedStyle(base(view)).visibility).toBe("visible");
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
  });

  it("leave out what is below the threshold, and say how much that is", async () => {
    const host = model({ threshold: 0.2 });
    const view = await opened(host);
    const rows = WORDS.map((_, query) => [...host.maps[0]!.row(0, 0, query)]);
    const kept = rows.flat().filter((weight) => weight >= 0.2);
    expect(base(view).dataset.lines).toBe(String(kept.length));
    const share = kept.reduce((a, b) => a + b, 0) / 7;
    expect(count(view)).toBe(`${kept.length} of 28 lines, with ${share.toFixed(2)} of the weight.`);
  });

  it("follow the temperature, the head and the layer", async () => {
    const host = model({ query: 6 });
    const view = await opened(host);
    const largest = (layer: number, temperature: number) =>
      Math.max(...host.maps[0]!.row(layer, 0, 6, temperature));
    await vi.waitFor(() => expect(most(view)).toBeCloseTo(largest(0, 1), 3));
    host.fromPython({ temperature: 3 });
    await vi.waitFor(() => expect(most(view)).toBeCloseTo(largest(0, 3), 3));
    press(word(view, "query", 6), "}");
    expect(host.get("layer")).toBe(1);
    await vi.waitFor(() => expect(most(view)).toBeCloseTo(largest(1, 3), 3));
  });
});

describe("several heads", () => {
  const head = (view: Mounted, at: number) => view.part("lines-head", `[data-head="${at}"]`);

  it("are switched on and off in the legend, each with a colour", async () => {
    const host = model({ layer: 1, head: 2 });
    const view = await opened(host);
    expect(base(view).dataset.heads).toBe("2");
    head(view, 0).click();
    expect(host.get("heads")).toEqual([2, 0]);
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("2,0"));
    expect(base(view).dataset.lines).toBe("56");
    expect(head(view, 0).getAttribute("aria-pressed")).toBe("true");
    const colours = [0, 2].map(
      (at) => getComputedStyle(head(view, at).querySelector(".swatch")!).backgroundColor,
    );
    expect(new Set(colours).size).toBe(2);
    head(view, 2).click();
    head(view, 0).click();
    expect(host.get("heads")).toEqual([0]);
  });

  it("say their numbers of the pointed word, as the model counts them", async () => {
    const host = model({ heads: [0, 1] }, { heads: [2], headNumbers: [[4, 9]] });
    const view = await opened(host);
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("0,1"));
    hover(view, "query", 2);
    await vi.waitFor(() => expect(told(view)).toMatch(/\(head 4\)/));
    expect(told(view)).toMatch(/\(head 9\)/);
    expect(view.parts("lines-head").map((one) => one.textContent)).toEqual(["4", "9"]);
  });

  it("are chosen alone by a double click, and by the keyboard", async () => {
    const host = model({ heads: [0, 1, 3] });
    const view = await opened(host);
    head(view, 3).dispatchEvent(new MouseEvent("dblclick", { bubbles: true, composed: true }));
    expect([host.get("heads"), host.get("head")]).toEqual([[], 3]);
    view.part("lines-all").click();
    expect(host.get("heads")).toEqual([0, 1, 2, 3]);
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("0,1,2,3"));
    head(view, 1).focus();
    await userEvent.keyboard("{Shift>}{Enter}{/Shift}");
    expect([host.get("heads"), host.get("head")]).toEqual([[], 1]);
  });

  it("come from a layer that is in the browser without a question each", async () => {
    const host = model({ heads: [0, 1, 2, 3] }, { held: "projections" });
    const view = await opened(host);
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("0,1,2,3"), { timeout: 5000 });
    const row = host.maps[0]!.row(0, 3, 5);
    hover(view, "query", 5);
    await vi.waitFor(() => expect(told(view)).toContain("“the” looks at"));
    expect(row.length).toBe(7);
  });

  it("share colours above eight, and it is said so", async () => {
    const view = await opened(model({ heads: [...Array(12).keys()] }, { heads: [12] }));
    await vi.waitFor(() => expect(base(view).dataset.heads!.split(",")).toHaveLength(12));
    expect(view.host.shadowRoot!.textContent).toContain("More than 8 heads: colours repeat.");
  });
});

describe("two texts", () => {
  const PAIR = ["[CLS]", "a", "b", "[SEP]", "c", "[SEP]"];
  it("have a choice of from and to", async () => {
    const host = new MockModel([new MockMap({ queries: PAIR, special: [0, 3, 5], causal: false })], {
      view: "lines",
    });
    const view = await opened(host);
    expect(count(view)).toBe("36 lines.");
    choose(view.part<HTMLSelectElement>("lines-from"), "0");
    choose(view.part<HTMLSelectElement>("lines-to"), "1");
    await vi.waitFor(() => expect(base(view).dataset.lines).toBe("8"));
    choose(view.part<HTMLSelectElement>("lines-from"), "-1");
    await vi.waitFor(() => expect(base(view).dataset.lines).toBe("12"));
  });
  it("alone have it", async () => {
    const view = await opened(model());
    expect(view.parts("lines-from")).toEqual([]);
  });
});

describe("a long text", () => {
  const long = (n: number) => Array.from({ length: n }, (_, at) => `w${at}`);
  it("of 200 words is there as a whole", async () => {
    const view = await opened(model({}, { queries: long(200), heads: [1] }));
    expect(view.parts("lines-query")).toHaveLength(200);
    expect(count(view)).toMatch(/^3,000 of 20,100 lines, with 0\.\d\d of the weight\.$/);
  }, 60_000);

  it("of more has a window, and says what lies beyond it of a pinned word", async () => {
    const host = model({ query: 250 }, { queries: long(300), heads: [1] });
    const view = await opened(host);
    await vi.waitFor(() => expect(view.parts("lines-query", '[data-index="250"]')).toHaveLength(1));
    expect(view.parts("lines-query").length).toBeLessThan(60);
    const [first] = view.parts("lines-key").map((one) => Number(one.dataset.index));
    const row = [...host.maps[0]!.row(0, 0, 250)].slice(0, first);
    const far = row.filter((weight) => weight >= 0.005);
    await vi.waitFor(() => expect(view.part("more-above").textContent).toContain(`${far.length} more key`));
    const frame = view.part("lines");
    frame.scrollTop = 0;
    frame.dispatchEvent(new Event("scroll"));
    await vi.waitFor(() => expect(view.parts("lines-query", '[data-index="0"]')).toHaveLength(1));
    word(view, "query", 5).focus();
    press(word(view, "query", 5), "End");
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement!.textContent).toBe("w299"));
  }, 60_000);

  it("that is not here as a whole is asked for around what is in sight", async () => {
    const map = new MockMap({ queries: long(1300), heads: [2], causal: true });
    const host = new MockModel([map], { view: "lines" });
    host.policy = ({ op }) => (op === "tile" ? "answer" : { error: "Not now." });
    const view = await opened(host);
    await vi.waitFor(() => expect(Number(base(view).dataset.lines)).toBeGreaterThan(100), {
      timeout: 10_000,
    });
    expect(view.host.shadowRoot!.textContent).toContain("the chosen head is drawn alone");
    hover(view, "query", 3);
    await vi.waitFor(() => expect(most(view)).toBeCloseTo(Math.max(...map.row(0, 0, 3)), 3));
  }, 60_000);
});

describe("words", () => {
  it("are walked by arrows, up and down, from side to side", async () => {
    const host = model();
    const view = await opened(host);
    const at = () => (view.host.shadowRoot!.activeElement as HTMLElement).getAttribute("aria-label");
    word(view, "query", 0).focus();
    await userEvent.keyboard("{ArrowDown}{ArrowDown}");
    expect(at()).toBe("“Ben”, query 2");
    await vi.waitFor(() => expect(over(view).dataset.lines).toBe("3"));
    await userEvent.keyboard("{ArrowRight}");
    expect(at()).toBe("“Ben”, key 2");
    await userEvent.keyboard("{ArrowUp}{Enter}");
    expect(host.get("key")).toBe(1);
  });

  it("of any kind stay text", async () => {
    const queries = ["</b><img src=x>", "", " ", "👩🏽‍🚀", "שלום", "x".repeat(10_000), "\u202eabc", "a"];
    const view = await opened(model({ query: 7 }, { queries, causal: false }), 600);
    expect(word(view, "query", 0).textContent).toBe("</b><img src=x>");
    expect(word(view, "key", 1).textContent).toBe("∅");
    expect(view.host.shadowRoot!.querySelectorAll("img")).toHaveLength(0);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
  });

  it.each([600, 760, 1366])("of a cross map fit in %i px", async (width) => {
    const host = new MockModel([new MockMap({ queries: ["eins", "zwei"], keys: WORDS, causal: false })], {
      view: "lines",
    });
    const view = await opened(host, width);
    expect(base(view).dataset.lines).toBe("14");
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect(view.part("lines").getBoundingClientRect().right).toBeLessThanOrEqual(
      view.el.getBoundingClientRect().right,
    );
  });

  it("of one token, one head are one line", async () => {
    const view = await opened(model({}, { queries: ["a"], heads: [1] }));
    expect(count(view)).toBe("1 lines.".replace("lines", "line"));
    expect(view.parts("lines-head")).toEqual([]);
  });

  it.each(["light", "dark"] as const)("can be read by everybody, %s", async (theme) => {
    const view = await opened(model({ heads: [0, 1], query: 4, theme }));
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("0,1"));
    const { violations } = await axe.run(view.host.shadowRoot!.querySelector<HTMLElement>(".map")!);
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(grave.map(({ id, nodes }) => [id, nodes[0]!.html])).toEqual([]);
  });
});

describe("on paper", () => {
  it("the lines are lines, and the words words", async () => {
    const view = await opened(model({ heads: [0, 3] }));
    await vi.waitFor(() => expect(base(view).dataset.heads).toBe("0,3"));
    const { name, blob } = await saved(view, "save-svg");
    expect(name).toBe("attention-layer-0-head-0-lines.svg");
    const root = new DOMParser().parseFromString(await blob.text(), "image/svg+xml");
    const texts = [...root.querySelectorAll("text")].map((one) => one.textContent);
    for (const one of WORDS) expect(texts.filter((text) => text === one)).toHaveLength(2);
    expect(texts).toContain("56 lines.");
    const drawn = [...root.querySelectorAll("path[stroke]")].map(
      (path) => path.getAttribute("d")!.match(/M/g)!.length,
    );
    expect(drawn.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(56);
  });
});
