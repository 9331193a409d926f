import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, point } from "./mount";

const LONG = `begin${"x".repeat(190)}end!!`;
const EMOJI = "👩🏽‍🚀".repeat(60);
const HEBREW = "הילד נתן את הכדור לאחותו בגן".split(" ");
const model = (queries: string[], choices = {}, options = {}) =>
  new MockModel([new MockMap({ queries, causal: false, ...options })], choices);
const opened = async (view: Mounted) => {
  await view.ready();
  await vi.waitFor(() => view.part("text"));
};
const word = (view: Mounted, index: number) =>
  view.part("text").querySelector<HTMLElement>(`[data-index="${index}"]`)!;

describe("a token of 200 characters", () => {
  it.each([600, 1000, 1400])("stays in its tooltip and heading, %i px", async (width) => {
    const view = mount(model(["a", LONG, "b", "c"], { query: 1 }), width);
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("1"));
    point(view.heatmap(), "pointermove", 1, 1);
    const tooltip = await vi.waitFor(() => view.part("tooltip"));
    expect(tooltip.textContent).toMatch(/“beginx+…x+end!!” → “beginx+…x+end!!”/);
    expect(tooltip.scrollWidth).toBeLessThanOrEqual(tooltip.clientWidth);
    const heading = view.part("row").querySelector("h3")!;
    expect(heading.textContent).toMatch(/“beginx+…x+end!!”/);
    expect(heading.scrollWidth).toBeLessThanOrEqual(heading.clientWidth);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    for (const title of view.host.shadowRoot!.querySelectorAll<HTMLElement>("[title]"))
      expect(title.title.length).toBeLessThan(150);
  });

  it.each([600, 1400])("is all there in the text, broken, %i px", async (width) => {
    const view = mount(model(["a", LONG, "b", LONG + LONG, "c"], { view: "text", query: 1 }), width);
    await opened(view);
    expect(word(view, 1).textContent).toBe(LONG);
    const { right } = view.part("text").getBoundingClientRect();
    for (let index = 0; index < 5; index++)
      for (const box of word(view, index).getClientRects()) expect(box.right).toBeLessThanOrEqual(right + 1);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
  });

  it("is cut between what a person sees as characters", async () => {
    const view = mount(model(["a", EMOJI], { query: 1 }));
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("1"));
    const [, name] = /“(.*?)”/.exec(view.part("row").querySelector("h3")!.textContent!)!;
    expect(name!.replaceAll("👩🏽‍🚀", "")).toBe("…");
  });

  it("may be the name of a run", async () => {
    const view = mount(model(["a", "b", "c"], { query: 1 }, { spans: [[LONG, 0, 3]] }), 600);
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("1"));
    expect(view.part("row").querySelector("h3")!.textContent!.length).toBeLessThan(120);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
  });
});

describe("a text that runs from right to left", () => {
  it.each([
    ["Hebrew", HEBREW, []],
    ["Arabic after a special token", ["[CLS]", "ذهب", "الولد", "إلى"], [0]],
    ["Hebrew after a number", ["12", ...HEBREW], []],
  ])("is set so: %s", async (_, words, special) => {
    const host = model(words, { view: "text" }, { special });
    const view = mount(host);
    await opened(view);
    const lefts = words.map((_, index) => word(view, index).getBoundingClientRect().left);
    expect(lefts).toEqual([...lefts].sort((one, other) => other - one));
    word(view, 1).focus();
    await userEvent.keyboard("{ArrowLeft}");
    expect(view.host.shadowRoot!.activeElement).toBe(word(view, 2));
  });

  it("is not where the first word runs to the right", async () => {
    const view = mount(model(["See", ...HEBREW], { view: "text" }));
    await opened(view);
    expect(word(view, 0).getBoundingClientRect().left).toBeLessThan(
      word(view, 1).getBoundingClientRect().left,
    );
  });

  it("leaves query and key of the tooltip in their order", async () => {
    const view = mount(model(HEBREW));
    await view.ready();
    point(view.heatmap(), "pointermove", 1, 3);
    const line = await vi.waitFor(() => view.part("tooltip").firstElementChild!.firstChild!);
    const place = (of: string) => {
      const range = document.createRange();
      const at = line.textContent!.indexOf(of);
      range.setStart(line, at);
      range.setEnd(line, at + of.length);
      return range.getBoundingClientRect().left;
    };
    expect(place(HEBREW[1]!)).toBeLessThan(place("→"));
    expect(place("→")).toBeLessThan(place(HEBREW[3]!));
  });

  it("has its labels at the bars of the pinned row, as every text", async () => {
    const words = [...HEBREW, ...HEBREW, "Lily", "to", ...HEBREW, ...HEBREW, "ball"];
    const view = mount(model(words, { query: 1 }), 600);
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("1"));
    expect(view.part("row").querySelector('[data-upright="false"]')).not.toBeNull();
    const tops = [...view.part("row").querySelectorAll(".pair bdi")].map((label) => {
      const range = document.createRange();
      range.selectNodeContents(label);
      return range.getBoundingClientRect().top - label.parentElement!.getBoundingClientRect().top;
    });
    expect(Math.max(...tops) - Math.min(...tops)).toBeLessThan(2);
  });
});
