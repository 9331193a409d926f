import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import type { Finding } from "../../src/answers/findings";
import { HEALTHY, MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount } from "./mount";

const WORDS = "Lily and Ben went to the park .".split(" ");
const COLLAPSE: Finding = {
  name: "collapse",
  title: "Attention collapses on <b>the first</b> token",
  severity: "alarm",
  sentence: "Three heads look at nothing else.",
  evidence: [["weight on the first token", "0.97", "below 0.60"]],
  causes: ["No warm-up."],
  remedies: ["Lower the learning rate."],
  places: Array.from({ length: 8 }, (_, at) => [Math.floor(at / 4), at % 4]),
};
const ALIKE: Finding = {
  name: "uniform",
  title: "A layer that looks everywhere alike",
  severity: "note",
  sentence: "Its entropy is that of a uniform head.",
  evidence: [],
  causes: [],
  remedies: [],
  places: [[3, null]],
};

const model = (findings: Finding[], choices = {}, heads = [4, 4, 4, 2]) =>
  new MockModel([new MockMap({ queries: WORDS, heads, findings, measured: {} })], choices);
const text = (view: ReturnType<typeof mount>) => view.part("findings").textContent;
const place = (view: ReturnType<typeof mount>, layer: number, head: number | "") =>
  view.part("finding-place", `[data-layer="${layer}"][data-head="${head}"]`);

describe("findings", () => {
  it("are looked for after the thumbnails, a layer at a time, and awaited quietly", async () => {
    const host = model([COLLAPSE, ALIKE]);
    host.policy = ({ op }) => (op === "findings" ? "hold" : "answer");
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(host.held).toHaveLength(1));
    expect(host.sent.at(-1)).toMatchObject({ op: "findings", map: "attention" });
    const before = host.sent.map(({ op }) => op);
    expect(before.filter((op) => op === "thumbnails" || op === "vitals")).toHaveLength(8);
    expect(text(view)).toBe("Findingslooking …");
    expect(view.state()).toBe("ready");
    const below = () =>
      [view.part("profile"), view.heatmap()].map((part) => part.getBoundingClientRect().top);
    const tops = below();
    host.release();
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(2));
    expect(below()).toEqual(tops);
  });

  it("have severities that are seen without colour and read out", async () => {
    const view = mount(model([COLLAPSE, ALIKE]));
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(2));
    const [first, second] = view.parts("finding");
    expect([first!.dataset.name, first!.dataset.severity]).toEqual(["collapse", "alarm"]);
    const marks = [first!, second!].map((item) => item.querySelector('[role="img"]')!);
    expect(marks.map((mark) => mark.ariaLabel)).toEqual(["alarm", "note"]);
    expect(marks[0]!.textContent).not.toBe(marks[1]!.textContent);
    const counts = [...view.part("findings").querySelectorAll('h3 [role="img"]')];
    expect(counts.map((mark) => mark.ariaLabel)).toEqual(["1 alarm", "1 note"]);
    expect(first!.textContent).toContain("<b>the first</b>");
  });

  it("lead to their heads, and show more of them when asked", async () => {
    const host = model([COLLAPSE, ALIKE], { layer: 2, head: 3 });
    const view = mount(host);
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(2));
    expect(view.parts("finding-place")).toHaveLength(6);
    place(view, 0, 1).click();
    expect([host.get("layer"), host.get("head")]).toEqual([0, 1]);
    await vi.waitFor(() => expect(place(view, 0, 1).getAttribute("aria-current")).toBe("true"));
    expect(place(view, 0, 1).ariaLabel).toBe("Layer 0, head 1");
    view.part("finding").querySelector<HTMLElement>(".more")!.click();
    await vi.waitFor(() => expect(view.parts("finding-place")).toHaveLength(9));
    place(view, 1, 3).click();
    expect([host.get("layer"), host.get("head")]).toEqual([1, 3]);
    // A whole layer keeps the head as far as it has one.
    place(view, 3, "").click();
    expect([host.get("layer"), host.get("head")]).toEqual([3, 1]);
  });

  it("open to what they rest on", async () => {
    const view = mount(model([COLLAPSE]));
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(1));
    const button = view.part("finding").querySelector<HTMLElement>("[aria-expanded]")!;
    expect(button.ariaExpanded).toBe("false");
    expect(text(view)).not.toContain(COLLAPSE.sentence);
    button.click();
    await vi.waitFor(() => expect(button.ariaExpanded).toBe("true"));
    for (const part of [COLLAPSE.sentence, "0.97", "below 0.60", "No warm-up.", "Lower the learning rate."])
      expect(text(view)).toContain(part);
    // With the height that it needs: nothing in it is scrolled.
    for (const box of view.part("findings").querySelectorAll("*")) {
      expect(getComputedStyle(box).overflowY).toBe("visible");
    }
    const { bottom } = view.part("findings").getBoundingClientRect();
    expect(view.part("finding").getBoundingClientRect().bottom).toBeLessThanOrEqual(bottom);
  });

  it("that are none are one quiet line", async () => {
    const view = mount(model([]));
    await vi.waitFor(() => expect(text(view)).toBe(`Findings${HEALTHY}`));
    expect(view.parts("finding")).toEqual([]);
  });

  it("fold away, and are folded where they would push the map", async () => {
    const wide = mount(model([COLLAPSE]));
    await vi.waitFor(() => expect(wide.parts("finding")).toHaveLength(1));
    wide.part("findings").querySelector<HTMLElement>("h3 button")!.click();
    await vi.waitFor(() => expect(wide.parts("finding")).toEqual([]));
    const narrow = mount(model([COLLAPSE]), 600);
    await vi.waitFor(() => expect(text(narrow)).toBe("Findings▲1"));
    narrow.part("findings").querySelector<HTMLElement>("h3 button")!.click();
    await vi.waitFor(() => expect(narrow.parts("finding")).toHaveLength(1));
  });

  it("that fail say so, and can be asked for again", async () => {
    const host = model([COLLAPSE]);
    host.policy = ({ op }) => (op === "findings" ? { error: "Too long a text." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(text(view)).toContain("Too long a text."));
    expect(view.state()).not.toBe("error");
    host.policy = () => "answer";
    view.part("retry").click();
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(1));
  });

  it("of a single head stand below", async () => {
    const view = mount(model([{ ...COLLAPSE, places: [[0, 0]] }], {}, [1]));
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(1));
    expect(view.parts("grid")).toEqual([]);
  });
});

describe("what is wrong", () => {
  const UNIFORM: Finding = {
    ...ALIKE,
    name: "flat",
    title: "Flat",
    severity: "warning",
    places: [
      [0, 1],
      [2, null],
    ],
  };
  const flags = (view: ReturnType<typeof mount>) =>
    view.parts("flag").map((flag) => {
      const { layer, head } = flag.closest<HTMLElement>('[data-part="thumb"]')?.dataset ?? {};
      return [flag.dataset.severity, flag.textContent, layer === undefined ? "layer" : `${layer}/${head}`];
    });

  it.each([
    [1000, "heatmap"],
    [1440, "heatmap"],
    [600, "heatmap"],
    [1000, "grid"],
  ])("is a badge beside the title that opens the findings, %i px, %s", async (width, view_) => {
    const host = new MockModel(
      [
        new MockMap({
          queries: WORDS,
          heads: [4, 4, 4, 2],
          findings: [COLLAPSE, UNIFORM, ALIKE],
          measured: {},
        }),
      ],
      { view: view_ as "grid" },
      "A model that broke",
    );
    const view = mount(host, width);
    const badge = await vi.waitFor(() => view.part("alarms"));
    expect(badge.ariaLabel).toBe("1 alarm, 1 warning about this model: show the findings");
    expect(badge.textContent).toBe("▲1◆1");
    const title = view.host.shadowRoot!.querySelector("h1")!.getBoundingClientRect();
    const box = badge.getBoundingClientRect();
    expect(box.left).toBeGreaterThanOrEqual(title.right);
    expect(Math.abs((box.top + box.bottom - title.top - title.bottom) / 2)).toBeLessThan(6);
    const disclosure = view.part("findings").querySelector<HTMLElement>("h3 button")!;
    if (disclosure.ariaExpanded === "true") disclosure.click();
    await vi.waitFor(() => expect(view.parts("finding")).toEqual([]));
    badge.focus();
    await userEvent.keyboard("{Enter}");
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(3));
    expect(view.host.shadowRoot!.activeElement).toBe(disclosure);
  });

  it("is nowhere where nothing is, or notes alone", async () => {
    const view = mount(model([ALIKE]));
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(1));
    expect([view.parts("alarms"), view.parts("flag")]).toEqual([[], []]);
  });

  it.each(["model", "highest"] as const)("is marked at its heads, in shape and words: %s", async (sort) => {
    const view = mount(model([COLLAPSE, UNIFORM, ALIKE], { measure: "entropy", sort }));
    await vi.waitFor(() => expect(view.parts("finding")).toHaveLength(3));
    await vi.waitFor(() => expect(view.part("grid").role).toBe(sort === "model" ? "grid" : "listbox"));
    const marked = COLLAPSE.places.map(([layer, head]) => ["alarm", "▲", `${layer}/${head}`]);
    if (sort === "model") marked.push(["warning", "◆", "layer"]);
    expect(flags(view).sort()).toEqual(marked.sort());
    const thumb = view.part("thumb", '[data-layer="0"][data-head="1"]');
    expect(thumb.ariaLabel).toContain("alarm: Attention collapses on <b>the first</b> token; warning: Flat");
    expect(thumb.title).toContain("alarm: Attention collapses on <b>the first</b> token; warning: Flat");
    expect(view.part("thumb", '[data-layer="3"][data-head="1"]').ariaLabel).not.toMatch(/alarm|warning|note/);
    if (sort === "model") {
      expect(view.parts("layer").map(({ ariaLabel }) => ariaLabel)).toEqual([
        "Layer 0",
        "Layer 1",
        "Layer 2, warning: Flat",
        "Layer 3",
      ]);
    }
  });

  it("goes when the maps are replaced by sound ones", async () => {
    const host = model([COLLAPSE]);
    const view = mount(host);
    await vi.waitFor(() => expect(view.parts("flag")).toHaveLength(8));
    const sound = new MockMap({ queries: WORDS, heads: [4, 4, 4, 2], findings: [], measured: {}, seed: 2 });
    host.maps.splice(0, 1, sound);
    host.fromPython({ facts: { title: "", version: 2, maps: [sound.facts] } });
    await vi.waitFor(() => expect([view.parts("alarms"), view.parts("flag")]).toEqual([[], []]));
  });
});
