/** One number for each key, along the map: its colours, its place, its numbers, its words. */
import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import type { Strip } from "../../src/host/facts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { covered, still } from "./covering";
import { type Mounted, mount, plotOf, point, windowOf } from "./mount";
import { runs, WORDS } from "./pairs";
import { open, saved } from "./saving";

const VALUES = [0.5, 0, 1.25, 4, 0, 0, 2, 0.0001, 0, 0, 0, 1];
const STRIP: Strip = { name: "gradient x input on 'Ben'", values: VALUES, signed: false };
const SIGNED: Strip = {
  ...STRIP,
  values: VALUES.map((value, key) => (key % 2 ? -value : value)),
  signed: true,
};

function shown(strip: Strip | undefined, choices: Partial<Choices> = {}, width?: number) {
  const host = new MockModel([new MockMap({ queries: WORDS, causal: false })], choices);
  if (strip) host.maps[0]!.facts.strip = strip;
  return { host, view: mount(host, width) };
}

const marks = (view: Mounted) => view.host.shadowRoot!.querySelector<HTMLCanvasElement>(".heatmap .marks")!;
const along = (view: Mounted) => view.part("strip").getBoundingClientRect();

/** The colour under the middle of a column. */
function colourAt(view: Mounted, key: number): string {
  const canvas = marks(view);
  const [plot, [, , from, to]] = [plotOf(view.heatmap()), windowOf(view.heatmap())];
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / canvas.clientWidth;
  const x = plot.x + ((key + 0.5 - from) / (to - from)) * plot.width;
  const y = along(view).top - box.top + along(view).height / 2;
  const { data } = canvas.getContext("2d")!.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1);
  return data.slice(0, 3).join();
}

/** How far apart two colours are. */
const apart = (one: string, other: string): number => {
  const [a, b] = [one, other].map((text) => text.split(",").map(Number)) as [number[], number[]];
  return Math.hypot(...a.map((value, channel) => value - b[channel]!));
};

function hover(view: Mounted, key: number): void {
  const [plot, [, , from, to]] = [plotOf(view.heatmap()), windowOf(view.heatmap())];
  const clientX =
    view.heatmap().getBoundingClientRect().left + plot.x + ((key + 0.5 - from) / (to - from)) * plot.width;
  const clientY = along(view).top + along(view).height / 2;
  view
    .heatmap()
    .dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true, composed: true }));
}

describe("its colours", () => {
  it("grow with the numbers, the largest in full", async () => {
    const { view } = shown(STRIP);
    await view.ready();
    const nothing = colourAt(view, 1);
    for (const key of [4, 5, 8]) expect(colourAt(view, key)).toBe(nothing);
    const far = [0, 11, 2, 6, 3].map((key) => apart(colourAt(view, key), nothing));
    expect([...far].sort((one, other) => one - other)).toEqual(far);
    expect(far[0]).toBeGreaterThan(0);
  });

  it("have two hues where there is a sign", async () => {
    const { view } = shown({ ...SIGNED, values: [4, -4, 0, ...Array(9).fill(2)] });
    await view.ready();
    const [more, less, nothing] = [0, 1, 2].map((key) => colourAt(view, key)) as [string, string, string];
    expect(apart(more, less)).toBeGreaterThan(100);
    expect(apart(more, nothing)).toBeGreaterThan(100);
    expect(apart(less, nothing)).toBeGreaterThan(100);
  });

  it("are those of nothing where all numbers are 0", async () => {
    const { view } = shown({ ...STRIP, values: Array(12).fill(0) });
    await view.ready();
    expect(colourAt(view, 3)).toBe(colourAt(view, 9));
    expect(view.part("strip").ariaLabel).toContain("Largest: key “Lily”, 0.0000");
  });
});

describe("its place", () => {
  it.each([360, 420, 1000, 1600])("is below the columns, %i px", async (width) => {
    const { view } = shown(STRIP, {}, width);
    await view.ready();
    const [plot, box] = [plotOf(view.heatmap()), view.heatmap().getBoundingClientRect()];
    expect(along(view).left).toBeCloseTo(box.left + plot.x, 1);
    expect(along(view).width).toBeCloseTo(plot.width, 1);
    expect(along(view).top).toBeGreaterThan(box.top + plot.y + plot.height);
    expect(along(view).bottom).toBeLessThan(box.bottom);
    await still(view);
    expect(covered(view)).toEqual([]);
  });

  it.each([360, 1600])("is below both of two that stand side by side, %i px", async (width) => {
    const host = runs({ compared: "beside" });
    for (const { facts } of host.maps) facts.strip = SIGNED;
    const view = mount(host, width);
    await vi.waitFor(() => expect(view.parts("strip")).toHaveLength(2));
    await view.ready();
    await still(view);
    expect(covered(view)).toEqual([]);
  });

  it("moves with the map", async () => {
    const { view } = shown({ ...STRIP, values: [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0] });
    await view.ready();
    const [full, nothing] = [colourAt(view, 3), colourAt(view, 4)];
    point(view.heatmap(), "wheel", 3, 3, { ctrlKey: true });
    await vi.waitFor(() => expect(windowOf(view.heatmap())[3]).toBeLessThan(12));
    await vi.waitFor(() => expect([colourAt(view, 3), colourAt(view, 4)]).toEqual([full, nothing]));
    expect(colourAt(view, 2)).toBe(nothing);
  });

  it("shows the largest of keys that share a pixel", async () => {
    const words = Array.from({ length: 1000 }, (_, at) => `w${at}`);
    const host = new MockModel([new MockMap({ queries: words, heads: [1] })]);
    host.maps[0]!.facts.strip = { ...STRIP, values: words.map((_, at) => (at === 501 ? 1 : 0)) };
    const view = mount(host, 420);
    await view.ready();
    expect(apart(colourAt(view, 501), colourAt(view, 700))).toBeGreaterThan(100);
  });

  it("is nowhere where nothing stands along the keys", async () => {
    const { host, view } = shown(undefined);
    await view.ready();
    expect(view.parts("strip")).toEqual([]);
    const before = view.heatmap().clientHeight - plotOf(view.heatmap()).height;
    const facts = { title: "", maps: [{ ...host.maps[0]!.facts, strip: STRIP }] };
    host.fromPython({ facts } as never);
    await vi.waitFor(() => expect(view.parts("strip")).toHaveLength(1));
    expect(view.heatmap().clientHeight - plotOf(view.heatmap()).height).toBeGreaterThan(before);
  });
});

describe("its numbers", () => {
  it("are read under the pointer, below a column and in it", async () => {
    const { view } = shown(SIGNED);
    await view.ready();
    hover(view, 3);
    await vi.waitFor(() =>
      expect(view.part("tooltip").textContent).toBe(`“went”  key 3−4.0000${STRIP.name}`),
    );
    point(view.heatmap(), "pointermove", 5, 2);
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“the” → “Ben”"));
    expect(view.part("tooltip").textContent).toContain(`${STRIP.name}: +1.2500`);
  });

  it.each([360, 1600])("stay inside the widget under the pointer, %i px", async (width) => {
    const { view } = shown({ ...STRIP, name: "a long name ".repeat(8) }, {}, width);
    await view.ready();
    for (const key of [0, 4, 7, 11]) {
      hover(view, key);
      await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain(`key ${key}`));
      const [tip, all] = [view.part("tooltip"), view.el].map((one) => one.getBoundingClientRect()) as [
        DOMRect,
        DOMRect,
      ];
      expect(tip.left).toBeGreaterThanOrEqual(all.left);
      expect(tip.right).toBeLessThanOrEqual(all.right);
    }
  });

  it("are in the table", async () => {
    const { view } = shown(SIGNED);
    await view.ready();
    await open(view);
    view.part("show-table").click();
    await vi.waitFor(() => expect(view.parts("strip-numbers")).toHaveLength(1));
    const cells = [...view.part("strip-numbers").children].map((cell) => cell.textContent);
    expect(cells).toHaveLength(13);
    expect(cells[4]).toBe("−4.0000");
    expect(view.part("strip-numbers").querySelector("th")!.title).toBe(STRIP.name);
  });

  it("are on paper, with their name", async () => {
    const { view } = shown(STRIP);
    await view.ready();
    const text = await (await saved(view, "save-svg")).blob.text();
    const page = new DOMParser().parseFromString(text, "image/svg+xml");
    expect(page.documentElement.textContent).toContain(`${STRIP.name}, 0 to 4.0000`);
  });

  it.each(["light", "dark"] as const)(
    "are in a sentence, and no checker finds a fault, %s",
    async (theme) => {
      const { view } = shown(STRIP, { theme });
      await view.ready();
      const { ariaLabel, role } = view.part("strip");
      expect(role).toBe("img");
      expect(ariaLabel).toBe(`${STRIP.name}, a number for each of 12 keys. Largest: key “went”, 4.0000.`);
      const found = await axe.run(view.host, { rules: { region: { enabled: false } } });
      expect(found.violations).toEqual([]);
    },
  );
});
