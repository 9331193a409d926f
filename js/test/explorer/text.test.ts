import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { entropyOf, MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, press } from "./mount";
import { saved } from "./saving";

const WORDS = "Lily and Ben went to the park . Lily gave".split(" ");
const model = (choices = {}, options = {}) =>
  new MockModel([new MockMap({ queries: WORDS, ...options })], { view: "text", ...choices });
const word = (view: Mounted, index: number) =>
  view.part("text").querySelector<HTMLElement>(`[data-index="${index}"]`)!;
const weights = (view: Mounted, count: number) =>
  Array.from({ length: count }, (_, index) => word(view, index).dataset.weight).map((weight) =>
    weight === "" ? null : Number(weight),
  );
const pinned = (view: Mounted) =>
  [...view.part("text").querySelectorAll<HTMLElement>('[data-pinned="true"]')].map((one) =>
    Number(one.dataset.index),
  );
const click = (target: HTMLElement, more: MouseEventInit = {}) =>
  target.dispatchEvent(new MouseEvent("click", { bubbles: true, composed: true, ...more }));

async function opened(host: MockModel, width = 1000): Promise<Mounted> {
  const view = mount(host, width);
  await view.ready();
  await vi.waitFor(() => view.part("text"));
  return view;
}

describe("several words", () => {
  it("are pinned with Shift or Ctrl, and what is shown is the mean of their rows", async () => {
    const host = model({ query: 4 });
    const view = await opened(host);
    click(word(view, 7), { shiftKey: true });
    click(word(view, 9), { ctrlKey: true });
    expect([host.get("query"), host.get("also")]).toEqual([4, [7, 9]]);
    await vi.waitFor(() => expect(pinned(view)).toEqual([4, 7, 9]));
    const rows = [4, 7, 9].map((query) => host.maps[0]!.row(0, 0, query));
    const mean = [...rows[0]!.keys()].map((key) => rows.reduce((sum, row) => sum + row[key]!, 0) / 3);
    for (const [key, weight] of weights(view, 10).entries()) expect(weight).toBeCloseTo(mean[key]!, 3);
    const row = view.part("row");
    expect(row.querySelector("h3")!.textContent).toContain("Mean of 3 queries");
    expect(Number(row.dataset.entropyAfter)).toBeCloseTo(entropyOf(mean), 2);
    expect(view.part("read").textContent).toBe("3 queries");
  });

  it("are added up where that is chosen, and follow the temperature", async () => {
    const host = model({ query: 4, also: [9], temperature: 2 });
    const view = await opened(host);
    view.part("joined-sum").click();
    expect(host.get("joined")).toBe("sum");
    const rows = [4, 9].map((query) => host.maps[0]!.row(0, 0, query, 2));
    await vi.waitFor(() => expect(weights(view, 1)[0]).toBeCloseTo(rows[0]![0]! + rows[1]![0]!, 3));
  });

  it("go one by one, the first too, and all together when another is clicked", async () => {
    const host = model({ query: 4, also: [7, 9] });
    const view = await opened(host);
    click(word(view, 7), { metaKey: true });
    expect(host.get("also")).toEqual([9]);
    click(word(view, 4), { shiftKey: true });
    expect([host.get("query"), host.get("also")]).toEqual([9, []]);
    host.fromPython({ query: 4, also: [7, 9] });
    click(word(view, 2));
    expect([host.get("query"), host.get("also")]).toEqual([2, []]);
    word(view, 5).focus();
    await userEvent.keyboard("{Shift>}{Enter}{/Shift}");
    expect(host.get("also")).toEqual([5]);
    press(word(view, 5), "Escape");
    expect([host.get("query"), host.get("also")]).toEqual([null, []]);
  });

  it("are what the code opens again", async () => {
    const view = await opened(model({ query: 4, also: [7] }));
    const copied = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    view.part("save").click();
    await vi.waitFor(() => view.part("copy-code"));
    view.part("copy-code").click();
    await vi.waitFor(() => expect(copied).toHaveBeenCalled());
    expect(copied.mock.calls[0]![0]).toBe('aw.explore(run, query=4, also=[7], view="text")');
    copied.mockRestore();
  });

  it("of a long map come as exact rows", async () => {
    const queries = Array.from({ length: 1100 }, (_, at) => `w${at}`);
    const host = model({ query: 3, also: [900] }, { queries, heads: [1] });
    const view = mount(host);
    await vi.waitFor(() => expect(view.part("read").textContent).toBe("2 queries"), { timeout: 20_000 });
    const rows = [3, 900].map((query) => host.maps[0]!.row(0, 0, query));
    await vi.waitFor(() => expect(weights(view, 1)[0]).toBeCloseTo((rows[0]![0]! + rows[1]![0]!) / 2, 3));
  }, 60_000);
});

describe("what looks at a word", () => {
  it("shades the text by its column, and masked words are not shaded", async () => {
    const host = model({ query: 3 });
    const view = await opened(host);
    view.part("reading-column").click();
    expect(host.get("reading")).toBe("column");
    const column = WORDS.map((_, query) => (query < 3 ? null : host.maps[0]!.row(0, 0, query)[3]!));
    await vi.waitFor(() => expect(weights(view, 10)[9]).toBeCloseTo(column[9]!, 3));
    for (const [query, weight] of weights(view, 10).entries()) {
      if (query < 3) expect(weight).toBeNull();
      else expect(weight).toBeCloseTo(column[query]!, 3);
    }
    click(word(view, 5));
    expect([host.get("query"), host.get("key")]).toEqual([null, 5]);
    await vi.waitFor(() => expect(pinned(view)).toEqual([5]));
    view.part("reading-row").click();
    expect([host.get("query"), host.get("key")]).toEqual([5, null]);
  });

  it("in cross-attention shades the queries by what they give to a key", async () => {
    const map = new MockMap({ queries: ["eins", "zwei"], keys: WORDS, causal: false });
    const host = new MockModel([map], { view: "text", reading: "column", key: 4 });
    const view = await opened(host);
    const [queries] = view.part("text").querySelectorAll(".words");
    await vi.waitFor(() => {
      for (const [query, one] of [...queries!.querySelectorAll<HTMLElement>(".word")].entries())
        expect(Number(one.dataset.weight)).toBeCloseTo(map.row(0, 0, query)[4]!, 3);
    });
  });

  it("of a long map is asked for, and it is said what was read", async () => {
    const queries = Array.from({ length: 4100 }, (_, at) => `w${at}`);
    const map = new MockMap({ queries: ["a"], keys: queries, heads: [1], causal: false });
    const long = new MockMap({ name: "long", queries, keys: ["x", "y"], heads: [1], causal: false });
    const host = new MockModel([long, map], { view: "text", reading: "column", key: 1 });
    const view = mount(host);
    await vi.waitFor(
      () =>
        expect(view.part("reading-note").textContent).toBe(
          "1,025 of 4,100 queries were read; the others have no shade.",
        ),
      { timeout: 20_000 },
    );
    await vi.waitFor(() => expect(weights(view, 1)[0]).toBeCloseTo(long.row(0, 0, 0)[1]!, 5));
    expect(weights(view, 2)[1]).toBeNull();
    host.fromPython({ temperature: 2 });
    await vi.waitFor(() => expect(weights(view, 1)[0]).toBeCloseTo(long.row(0, 0, 0, 2)[1]!, 5));
  }, 60_000);

  it("says what to do while nothing is pinned", async () => {
    const view = await opened(model({ reading: "column" }));
    expect(view.part("reading-note").textContent).toBe("Click a word.");
  });
});

describe("a text", () => {
  it("keeps its lines and paragraphs, each running its own way", async () => {
    const queries = ["The", "end", ".\n\n", "שלום", "עולם", "Ben", "\n", "See", "שלום", "עולם"];
    const view = await opened(model({}, { queries, causal: false }));
    const lines = [...view.part("text").querySelectorAll<HTMLElement>(".words p")];
    expect(lines.map(({ dir }) => dir)).toEqual(["ltr", "rtl", "ltr"]);
    const left = (index: number) => word(view, index).getBoundingClientRect().left;
    expect(left(3)).toBeGreaterThan(left(4));
    // Words that run to the left stand so among words that run to the right.
    expect(left(7)).toBeLessThan(left(9));
    expect(left(9)).toBeLessThan(left(8));
    expect(word(view, 3).getBoundingClientRect().top).toBeGreaterThan(
      word(view, 2).getBoundingClientRect().bottom,
    );
  });

  it("that has no spaces gets none", async () => {
    const view = await opened(model({}, { queries: ["我们", "在", "公园", "。", "Ben"], causal: false }));
    const gap = (index: number) =>
      word(view, index + 1).getBoundingClientRect().left - word(view, index).getBoundingClientRect().right;
    for (const index of [0, 1, 2]) expect(Math.abs(gap(index))).toBeLessThan(1);
    expect(gap(3)).toBeGreaterThan(1);
  });

  it("cannot be turned around by a token", async () => {
    const queries = ["a", "\u202eb", "c", "d"];
    const view = await opened(model({}, { queries, causal: false }));
    const lefts = queries.map((_, index) => word(view, index).getBoundingClientRect().left);
    expect(lefts).toEqual([...lefts].sort((one, other) => one - other));
  });

  it("of thousands of words is there in half a second, and as few elements", async () => {
    const keys = Array.from({ length: 8192 }, (_, at) => (at % 23 === 22 ? "." : `word${at}`));
    const host = new MockModel([new MockMap({ queries: ["a"], keys, heads: [1], causal: false })], {
      query: 0,
    });
    const view = mount(host);
    await view.ready();
    const start = performance.now();
    host.fromPython({ view: "text" });
    await vi.waitFor(() => expect(view.part("text").querySelectorAll(".word").length).toBeGreaterThan(100));
    expect(performance.now() - start).toBeLessThan(500);
    expect(view.host.shadowRoot!.querySelectorAll("*").length).toBeLessThan(4000);
    host.fromPython({ key: 6000 });
    await vi.waitFor(() => {
      const box = word(view, 6000).getBoundingClientRect();
      const [frame] = [...view.part("text").querySelectorAll('[data-long="true"]')];
      const outer = frame!.getBoundingClientRect();
      expect(box.top >= outer.top && box.bottom <= outer.bottom).toBe(true);
    });
  }, 60_000);

  it.each(["light", "dark"] as const)("can be read by everybody, %s", async (theme) => {
    const view = await opened(model({ query: 4, also: [7], theme }));
    await vi.waitFor(() => expect(pinned(view)).toEqual([4, 7]));
    const { violations } = await axe.run(view.host.shadowRoot!.querySelector<HTMLElement>(".map")!);
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(grave.map(({ id, nodes }) => [id, nodes[0]!.html])).toEqual([]);
  });

  it("leaves as a picture that says whose weights it shows", async () => {
    const view = await opened(model({ query: 4, also: [7, 9] }));
    await vi.waitFor(() => expect(pinned(view)).toHaveLength(3));
    const { blob } = await saved(view, "save-svg");
    const root = new DOMParser().parseFromString(await blob.text(), "image/svg+xml");
    const texts = [...root.querySelectorAll("text")].map((one) => one.textContent);
    expect(texts).toContain("Weights of mean of 3 queries 4, 7, 9");
  });
});
