import { beforeEach, describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { choose, drag, drawn, FACTS, hover, model, mount, numberIn } from "./mount";

const EVERY = FACTS.scenes.flatMap(({ name, presets }) =>
  presets.map((preset) => [name, preset.name] as const),
);

describe("every scene", () => {
  const said = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  beforeEach(() => {
    for (const spy of said) spy.mockClear();
  });

  it.each(EVERY)("%s opens with: %s", async (scene, preset) => {
    const view = mount(model(scene, { preset }));
    await view.ready();
    expect(view.root.querySelector("h2")!.textContent).toBe(
      FACTS.scenes.find(({ name }) => name === scene)!.title,
    );
    expect(view.part<HTMLSelectElement>("preset").value).toBe(preset);
    expect(view.root.textContent).not.toMatch(/undefined|Infinity|\[object/);
    for (const spy of said) expect(spy).not.toHaveBeenCalled();
  });

  it.each(FACTS.scenes)("$name says where each of its numbers comes from", async ({ name }) => {
    const view = mount(model(name));
    await view.ready();
    for (const cell of view.root.querySelectorAll<HTMLElement>("td [data-row]")) {
      hover(cell);
      await drawn();
      const why = view.part("why");
      expect(why.querySelector(".hint"), cell.outerHTML).toBeNull();
      const shown = cell.textContent!.trim();
      if (cell.dataset.part === "mask" || shown === "−∞") continue;
      // What the sum comes to is what the cell says.
      const [made] = why.textContent!.match(/−?[\d.]+$/)!;
      const difference = Number(made.replace("−", "-")) - Number(shown.replace("−", "-"));
      expect(Math.abs(difference), why.textContent!).toBeLessThan(0.0051);
    }
  });

  it("follows another without a fault, one message each", async () => {
    const host = model("lookup");
    const view = mount(host);
    await view.ready();
    for (const { name, presets } of [...FACTS.scenes, ...[...FACTS.scenes].reverse()]) {
      const before = host.saved.length;
      choose(view.part<HTMLSelectElement>("scene"), name);
      await drawn();
      expect(host.get("preset")).toBe(presets[0]!.name);
      expect(host.get("query")).toEqual(presets[0]!.state.query);
      expect(host.saved.length - before).toBeLessThanOrEqual(1);
    }
    for (const spy of said) expect(spy).not.toHaveBeenCalled();
  });

  it("forgets a number that was pointed at where there is no such number any more", async () => {
    const host = model("masking");
    const view = mount(host);
    await view.ready();
    hover(view.cell("weights", 5, 5));
    host.fromPython({
      ...FACTS.scenes.find(({ name }) => name === "scaling")!.presets[0]!.state,
      scene: "scaling",
    });
    await drawn();
    expect(view.part("why").querySelector(".hint")).not.toBeNull();
    for (const spy of said) expect(spy).not.toHaveBeenCalled();
  });
});

describe("temperature", () => {
  it("shows four stops beside the chosen one", async () => {
    const view = mount(model("temperature", { temperature: 2 }));
    await view.ready();
    const bars = (part: string) => view.parts(`${part}-bar`).map((bar) => Number(bar.dataset.value));
    const wanted = [10, 1, 0.1, 0.01, 2].map((T) => {
      const exponentials = [0.3, 0.7, 0].map((score) => Math.exp(score / T));
      return exponentials.map((one) => one / exponentials.reduce((sum, other) => sum + other));
    });
    expect(bars("stop-temperature").length).toBe(12);
    for (const [at, weight] of [...bars("stop-temperature"), ...bars("chosen-temperature")].entries())
      expect(weight).toBeCloseTo(wanted[Math.floor(at / 3)]![at % 3]!, 9);
  });

  it("says what a cold softmax is made of, though no number holds its exponentials", async () => {
    const view = mount(model("temperature", { temperature: 1e-5 }));
    await view.ready();
    hover(view.cell("weights", 0, 1));
    await drawn();
    expect(view.part("why").textContent).toContain("exp(70000 − 70000) / 1.000 = 1.000");
  });
});

it("what is near 0 does not look like it", async () => {
  const view = mount(model("temperature", { temperature: 1e-6, query: [[-0.0004, 0.7, 0]] }));
  await view.ready();
  expect(view.part("formula").textContent).toContain("/ 1e−6");
  expect(view.cell("query", 0, 0).textContent).toBe("−4e−4");
});

it("a row that sees nothing has no largest entropy", async () => {
  const view = mount(model("temperature", { mask: [[false, false, false]] }));
  await view.ready();
  expect(view.root.textContent).not.toMatch(/Infinity|∞ /);
});

it("one of a thing is called so", async () => {
  const view = mount(model("temperature"));
  await view.ready();
  expect(view.part("query-table").textContent).toContain("1 query");
  expect(view.part("key-table").textContent).toContain("3 keys");
});

describe("scaling", () => {
  it("measures the spread beside the square root, and both entropies", async () => {
    const host = model("scaling", { length: 32 });
    const view = mount(host);
    await view.ready();
    const dots = view.parts("spread-dot");
    expect(dots.map(({ dataset }) => Number(dataset.width))).toEqual([
      2, 4, 8, 16, 32, 64, 128, 256, 512, 1024,
    ]);
    for (const { dataset } of dots) {
      const ratio = Number(dataset.spread) / Math.sqrt(Number(dataset.width));
      expect(Math.abs(Math.log(ratio))).toBeLessThan(0.35);
    }
    const gauge = (name: string) => Number(view.part(name).dataset.value);
    expect(gauge("scaled-entropy")).toBeGreaterThan(2.5);
    expect(gauge("unscaled-entropy")).toBeLessThan(0.7);
    expect(gauge("scaled-slope")).toBeGreaterThan(gauge("unscaled-slope"));
    const unscaled = gauge("unscaled-entropy");
    view.part("width-stop", '[data-value="1024"]').click();
    await vi.waitFor(() => expect(gauge("unscaled-entropy")).toBeLessThan(unscaled));
    expect(host.get("width")).toBe(1024);
    view.part("draw").click();
    expect(host.get("seed")).toBe(1);
  });
});

describe("position", () => {
  it.each([
    ["Turned round", /^[1-6] of 9 scores have changed/],
    ["Turned round, no positions", /^No score has changed\.$/],
    ["All moved by five", /^No score has changed\.$/],
  ])("%s", async (preset, verdict) => {
    const view = mount(model("position", { preset }));
    await view.ready();
    expect(view.part("verdict").textContent).toMatch(verdict);
    const [before, after] = [view.numbers("scores-before"), view.numbers("scores")];
    const marked = view.parts("scores").map((cell) => cell.parentElement!.dataset.marked === "true");
    expect(before.map((number, at) => number !== after[at])).toEqual(marked);
  });

  it("words change places, and the scores move with them", async () => {
    const host = model("position", { preset: "All moved by five" });
    const view = mount(host);
    await view.ready();
    view.parts("swap")[0]!.click();
    expect(host.get("positions")).toEqual([6, 5, 7]);
    await vi.waitFor(() => expect(view.part("verdict").textContent).toContain("scores have changed"));
    view.part("rotary").click();
    await vi.waitFor(() => expect(view.part("verdict").textContent).toBe("No score has changed."));
    view.part("move-all").click();
    expect(host.get("positions")).toEqual([7, 6, 8]);
  });
});

describe("words", () => {
  it("are dragged in the plane, and every number follows", async () => {
    const host = model("words");
    const view = mount(host);
    await view.ready();
    const before = view.numbers("weights");
    drag(view.part("word", '[data-word="4"]'), { x: -60, y: 20 });
    await drawn();
    const words = host.get("query") as number[][];
    expect(words[4]![0]).toBeLessThan(1.4);
    expect(words[4]![1]).toBeLessThan(0.2);
    expect([host.get("key"), host.get("value")]).toEqual([words, words]);
    expect(view.numbers("key").slice(8)).toEqual(words[4]);
    expect(view.numbers("weights")).not.toEqual(before);
    expect(host.saved.at(-1)).toHaveProperty("value");
    view.part("undo").click();
    expect((host.get("query") as number[][])[4]).toEqual([1.5, 0.2]);
  });

  it("are moved by arrow keys", async () => {
    const host = model("words");
    const view = mount(host);
    await view.ready();
    view.part("word", '[data-word="2"]').focus();
    await userEvent.keyboard("{ArrowLeft}{ArrowUp}{ArrowUp}");
    expect((host.get("key") as number[][])[2]).toEqual([1.5, 0.7]);
    expect(host.get("row")).toBe(2);
    expect(view.part("word", '[data-word="2"]').getAttribute("aria-valuetext")).toBe("1.5, 0.7");
  });
});

describe("heads", () => {
  it("are added, removed and changed", async () => {
    const host = model("heads", { preset: "Two heads, one of them used" });
    const view = mount(host);
    await view.ready();
    view.part("heads-more").click();
    expect(host.get("heads")).toEqual(["previous", "content", "same"]);
    expect(host.get("mixing")).toEqual([]);
    await drawn();
    expect(view.part("head-count").textContent).toBe("3 heads");
    expect(view.numbers("concatenated").length).toBe(5 * 6);
    choose(view.part<HTMLSelectElement>("kind-2"), "first");
    await drawn();
    const [first] = [view.numbers("head-2")];
    expect([0, 5, 10, 15, 20].map((at) => first[at])).toEqual([
      1,
      ...first.filter((_, at) => [5, 10, 15, 20].includes(at)),
    ]);
    for (const _ of [0, 1, 2]) {
      view.part("heads-less").click();
      await drawn();
    }
    expect(host.get("heads")).toEqual(["previous"]);
    for (let times = 0; times < 9; times++) {
      view.part("heads-more").click();
      await drawn();
    }
    expect((host.get("heads") as string[]).length).toBe(8);
  });

  it("go into the output as the projection says", async () => {
    const host = model("heads", { preset: "Two heads, one of them used" });
    const view = mount(host);
    await view.ready();
    const side = view.numbers("concatenated");
    expect(view.numbers("mixed")).toEqual(side.filter((_, at) => at % 4 < 2));
    drag(view.cell("mixing", 0, 0), { x: 40 });
    await drawn();
    expect((host.get("mixing") as number[][])[0]).toEqual([2, 0]);
    expect(numberIn(view.cell("mixed", 4, 0))).toBeCloseTo(2 * side[16]!, 1);
  });

  it("light what a number was made of, up to the output", async () => {
    const view = mount(model("heads"));
    await view.ready();
    const lit = (name: string) => view.parts(name, '[data-lit="true"]').length;
    hover(view.cell("mixed", 1, 0));
    await drawn();
    expect([lit("concatenated"), lit("mixing"), lit("value")]).toEqual([8, 8, 0]);
    hover(view.cell("concatenated", 1, 3));
    await drawn();
    expect([lit("head-0"), lit("head-1"), lit("value")]).toEqual([0, 5, 5]);
  });
});
