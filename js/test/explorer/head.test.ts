import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { colourOf, ramp } from "../../src/attention/colour";
import { positionsOf } from "../../src/explorer/finding";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { behind, choose, enter, type Mounted, mount, pixelOf, press, slide } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const model = (choices = {}, options: Partial<MapOptions> = {}) =>
  new MockModel([new MockMap({ queries: WORDS, heads: [3, 4, 3], ...options })], choices);
const place = (view: Mounted) => view.part("path").dataset.place;

describe("the next head and the next layer", () => {
  it("are a step away in the title", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    view.part("next-head").click();
    view.part("next-layer").click();
    await vi.waitFor(() => expect(place(view)).toBe("layer 1 · head 1"));
    view.part("previous-layer").click();
    view.part("previous-head").click();
    await vi.waitFor(() => expect(place(view)).toBe("layer 0 · head 0"));
    expect(view.part("previous-head").ariaDisabled).toBe("true");
    view.part("previous-head").click();
    expect([host.get("layer"), host.get("head")]).toEqual([0, 0]);
  });

  it.each(["heatmap", "head-bar", "save", "next-head", "thumb"])(
    "are a key away from the %s",
    async (part) => {
      const host = model();
      const view = mount(host);
      await view.ready();
      await vi.waitFor(() => view.part(part));
      view.parts(part)[0]!.focus();
      for (const key of ["]", "]", "}", "["]) press(view.parts(part)[0]!, key);
      await vi.waitFor(() => expect([host.get("layer"), host.get("head")]).toEqual([1, 1]));
    },
  );

  it("with fewer heads is the last of them", async () => {
    const host = model({ layer: 1, head: 3 });
    const view = mount(host);
    await view.ready();
    press(view.heatmap(), "}");
    await vi.waitFor(() => expect([host.get("layer"), host.get("head")]).toEqual([2, 2]));
  });

  it("are letters where somebody types", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const field = await behind<HTMLInputElement>(view, "tokens", "find");
    field.focus();
    await userEvent.keyboard("]");
    expect(field.value).toBe("]");
    expect(host.get("head") ?? 0).toBe(0);
  });
});

describe("a panel of the head line", () => {
  it("opens, takes the focus, and hands it back", async () => {
    const view = mount(model());
    await view.ready();
    const active = () => view.host.shadowRoot!.activeElement;
    view.part("colours").click();
    await vi.waitFor(() => expect(active()).toBe(view.part("color-map")));
    press(view.part("color-map"), "Escape");
    await vi.waitFor(() => expect(view.parts("colours-panel")).toEqual([]));
    expect(active()).toBe(view.part("colours"));
  });

  it("closes when something else is pressed", async () => {
    const view = mount(model());
    await view.ready();
    await behind(view, "colours", "color-map");
    view.heatmap().dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, composed: true }));
    await vi.waitFor(() => expect(view.parts("colours-panel")).toEqual([]));
  });
});

describe("the keys", () => {
  it("are listed at the press of one, and put away again", async () => {
    const view = mount(model());
    await view.ready();
    press(view.heatmap(), "?");
    await vi.waitFor(() => expect(view.part("keys").textContent).toContain("previous and next head"));
    expect(view.host.shadowRoot!.activeElement).toBe(view.part("close-keys"));
    press(view.part("close-keys"), "Escape");
    await vi.waitFor(() => expect(view.parts("keys")).toEqual([]));
  });
});

describe("colours", () => {
  it("end at each row's largest weight where that is chosen", async () => {
    const map = new MockMap({ queries: WORDS, heads: [3] });
    const view = mount(new MockModel([map], { color_map: "viridis", theme: "light" }));
    await view.ready();
    choose(await behind<HTMLSelectElement>(view, "colours", "color-range"), "row");
    const colours = ramp("viridis", { dark: false, surface: [255, 255, 255], accent: [0, 0, 0] });
    for (const query of [3, 7, 11]) {
      const row = map.row(0, 0, query);
      const largest = Math.max(...row);
      for (const key of [0, query - 1]) {
        const wanted = colourOf(colours, row[key]! / largest, 1, "linear");
        await vi.waitFor(() =>
          pixelOf(view.heatmap(), query, key).forEach((channel, at) => {
            expect(Math.abs(channel - wanted[at]!)).toBeLessThanOrEqual(3);
          }),
        );
      }
    }
    expect(view.part("legend").textContent).toContain("of each row's largest weight");
  });

  it("leave out what is below a threshold", async () => {
    const map = new MockMap({ queries: WORDS, heads: [3] });
    const host = new MockModel([map], { theme: "light", color_map: "viridis" });
    const view = mount(host);
    await view.ready();
    const row = map.row(0, 0, 11);
    const least = Array.from(row.keys()).reduce((a, b) => (row[b]! < row[a]! ? b : a));
    const most = Array.from(row.keys()).reduce((a, b) => (row[b]! > row[a]! ? b : a));
    const before = pixelOf(view.heatmap(), 11, most);
    slide(await behind<HTMLInputElement>(view, "colours", "threshold"), (row[least]! + row[most]!) / 2);
    const nothing = colourOf(
      ramp("viridis", { dark: false, surface: [255, 255, 255], accent: [0, 0, 0] }),
      0,
      1,
      "linear",
    );
    await vi.waitFor(() => expect(pixelOf(view.heatmap(), 11, least)).toEqual([...nothing]));
    expect(pixelOf(view.heatmap(), 11, most)).toEqual(before);
    expect(host.get("threshold")).toBeGreaterThan(0);
  });
});

describe("a token", () => {
  const axis = (labels: string[], continues: number[] = []) => ({ labels, special: [], continues });

  it("is found by its text, over several pieces, and by its position", () => {
    expect(positionsOf(axis(WORDS), "lily")).toEqual([0, 8]);
    expect(positionsOf(axis(WORDS), "to the park")).toEqual([4]);
    expect(positionsOf(axis(["un", "believ", "able", "!"], [1, 2]), "unbelievable")).toEqual([0]);
    expect(positionsOf(axis(WORDS), "#7")).toEqual([7]);
    expect(positionsOf(axis(WORDS), "#99")).toEqual([]);
    expect(positionsOf(axis(WORDS), "  ")).toEqual([]);
  });

  it("is pinned, and brought into sight, one after the other", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    press(view.heatmap(), "/");
    await vi.waitFor(() => expect(view.parts("find")).toHaveLength(1));
    const field = view.part<HTMLInputElement>("find");
    expect(view.host.shadowRoot!.activeElement).toBe(field);
    enter(field, "lily");
    await vi.waitFor(() => expect(view.part("found").textContent).toBe("2"));
    await userEvent.keyboard("{Enter}");
    await vi.waitFor(() => expect(host.get("query")).toBe(0));
    await userEvent.keyboard("{Enter}");
    await vi.waitFor(() => expect(host.get("query")).toBe(8));
    expect(view.part("found").textContent).toBe("2 of 2");
    enter(field, "nobody");
    await vi.waitFor(() => expect(view.part("found").textContent).toBe("not there"));
  });
});

describe("what was done to the tokens", () => {
  const lens = [{ kind: "words" as const }, { kind: "special" as const, count: 2 }];

  it("stands as chips that can be taken off", async () => {
    const map = new MockMap({ queries: WORDS });
    map.facts.lens = lens;
    const host = new MockModel([map], { words: true, hide: ["special", 3] });
    const view = mount(host);
    await view.ready();
    expect(view.parts("chip").map((chip) => chip.firstChild!.textContent)).toEqual([
      "Whole words",
      "2 special tokens hidden",
    ]);
    view.part("chip", '[data-kind="special"]').querySelector("button")!.click();
    await vi.waitFor(() => expect(host.get("hide")).toEqual([3]));
    view.part("chip", '[data-kind="words"]').querySelector("button")!.click();
    await vi.waitFor(() => expect(host.get("words")).toBe(false));
  });

  it("is chosen in the panel, where there is something to do it to", async () => {
    const host = model({}, { special: [0], continues: [2] });
    const view = mount(host);
    await view.ready();
    (await behind(view, "tokens", "words")).click();
    view.part("hide-special").click();
    await vi.waitFor(() => expect([host.get("words"), host.get("hide")]).toEqual([true, ["special"]]));
    const plain = mount(model());
    await plain.ready();
    await behind(plain, "tokens", "hide-sinks");
    expect([plain.parts("words"), plain.parts("hide-special")]).toEqual([[], []]);
  });

  it("has no sliders where weights were summed", async () => {
    const map = new MockMap({ queries: WORDS });
    map.facts.tempers = false;
    const view = mount(new MockModel([map], { temperature: 3 }));
    await view.ready();
    expect(view.parts("temperature")).toEqual([]);
    expect(view.heatmap().dataset.temperature).toBe("1");
  });
});

describe("every width", () => {
  it.each([600, 760, 1000, 1366, 1600])("%i px holds the head line", async (width) => {
    const view = mount(model({}, { special: [0] }), width);
    await view.ready();
    const edge = view.el.getBoundingClientRect().right;
    for (const part of ["tokens", "colours", "save", "path"]) {
      expect(view.part(part).getBoundingClientRect().right).toBeLessThanOrEqual(edge);
    }
    for (const panel of ["tokens", "colours"]) {
      view.part(panel).click();
      await vi.waitFor(() => expect(view.parts(`${panel}-panel`)).toHaveLength(1));
      const box = view.part(`${panel}-panel`).getBoundingClientRect();
      const around = view.el.getBoundingClientRect();
      expect(box.left).toBeGreaterThanOrEqual(around.left - 1);
      expect(box.right).toBeLessThanOrEqual(around.right + 1);
    }
  });
});
