import { describe, expect, it, onTestFinished, vi } from "vitest";
import { drag, drawn, model, mount } from "./mount";

/** What a copy puts into the clipboard. */
async function taken(view: ReturnType<typeof mount>, what: string): Promise<string> {
  const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  onTestFinished(() => write.mockRestore());
  view.part("take").click();
  (await vi.waitFor(() => view.part(`copy-${what}`))).click();
  await vi.waitFor(() => expect(write).toHaveBeenCalled());
  return write.mock.lastCall![0];
}

async function opened(scene: string, changed = {}) {
  const host = model(scene, changed);
  const view = mount(host);
  await view.ready();
  return { host, view };
}

describe("the code", () => {
  it.each([
    ["lookup", {}, 'aw.Playground("lookup")'],
    ["masking", { preset: "No mask" }, 'aw.Playground("masking", preset="No mask")'],
    [
      "temperature",
      { temperature: 0.5, scaling: null },
      'aw.Playground("temperature", temperature=0.5, scaling=None)',
    ],
    [
      "position",
      { rotary: false, positions: [1, 0, 2] },
      'aw.Playground("position", rotary=False, positions=[1, 0, 2])',
    ],
  ])("opens %s as it is", async (scene, changed, code) => {
    const { view } = await opened(scene, changed);
    expect(await taken(view, "code")).toBe(code);
  });

  it("says words once", async () => {
    const { view } = await opened("words");
    drag(view.cell("key", 3, 0), { x: 4 });
    await drawn();
    const code = await taken(view, "code");
    expect(code).toBe(
      'aw.Playground("words", query=[[-0.8, 0.4], [-0.2, 1.3], [1.6, 0.5], [-0.2, -0.4], [1.5, 0.2]])',
    );
  });
});

describe("the weights", () => {
  it("are a table with names", async () => {
    const { view } = await opened("temperature", { temperature: 1 });
    const [names, row] = (await taken(view, "weights")).split("\n").map((line) => line.split("\t"));
    expect(names).toEqual(["", "first", "second", "third"]);
    expect(
      row!
        .slice(1)
        .map(Number)
        .reduce((sum, one) => sum + one),
    ).toBeCloseTo(1, 12);
  });

  it("keep their columns whatever a token is called, and are no formulas", async () => {
    const { view } = await opened("temperature", { key_labels: ["a\tb", "=1+1", "c\nd"] });
    const text = await taken(view, "weights");
    expect(text.split("\t").length).toBe(7);
    expect(text).toContain("\t'=1+1\t");
    expect(text).toContain('\t"c\nd"\n');
  });

  it("of several heads say whose they are", async () => {
    const { view } = await opened("heads", { preset: "Two heads, one of them used" });
    const lines = (await taken(view, "weights")).split("\n").map((line) => line.split("\t"));
    expect(lines.slice(1).map(([head]) => head)).toEqual([..."0000011111"]);
    expect(Number(lines[2]![2])).toBeGreaterThan(0.9);
  });

  it("are not offered where none are drawn", async () => {
    const { view } = await opened("scaling");
    view.part("take").click();
    await vi.waitFor(() => view.part("copy-code"));
    expect(view.parts("copy-weights")).toEqual([]);
  });
});
