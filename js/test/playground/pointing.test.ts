import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { drag, drawn, FACTS, hover, model, mount, numberIn } from "./mount";

async function opened(scene: string, changed = {}) {
  const host = model(scene, changed);
  const view = mount(host);
  await view.ready();
  return { host, view };
}

describe("a mask", () => {
  const hidden = (host: ReturnType<typeof model>) =>
    (host.get("mask") as boolean[][]).flatMap((row, r) => row.flatMap((sees, c) => (sees ? [] : [[r, c]])));

  it("is drawn by a pointer that goes over its cells, in one step", async () => {
    const { host, view } = await opened("masking", { preset: "No mask" });
    const over = (type: string, row: number, column: number) =>
      view.cell("mask", row, column).dispatchEvent(
        new PointerEvent(type, {
          bubbles: true,
          composed: true,
          cancelable: true,
          pointerId: 1,
          buttons: 1,
        }),
      );
    over("pointerdown", 1, 0);
    await drawn();
    over("pointerover", 2, 0);
    await drawn();
    over("pointerover", 2, 1);
    over("pointerup", 2, 1);
    await drawn();
    expect(hidden(host)).toEqual([
      [1, 0],
      [2, 0],
      [2, 1],
    ]);
    expect(view.cell("weights", 2, 1).textContent).toBe("0.000");
    expect(numberIn(view.cell("weights", 1, 0))).toBe(0);
    expect(view.part("formula").textContent).toContain("+ mask");
    view.part("undo").click();
    expect(host.get("mask")).toBe("none");
  });

  it("that has become smaller is still reached by Tab", async () => {
    const view = mount(model("masking"));
    await view.ready();
    view.part("mask", '[data-row="5"][data-column="5"]').focus();
    await drawn();
    view.part("tokens-less").click();
    await vi.waitFor(() => expect(view.part("mask", '[tabindex="0"]').dataset).toMatchObject({ row: "4" }));
  });

  it("is clicked and switched by keys", async () => {
    const { host, view } = await opened("masking");
    await userEvent.click(view.cell("mask", 0, 5));
    expect(hidden(host)).not.toContainEqual([0, 5]);
    await userEvent.keyboard("{ArrowLeft}{Enter}{ArrowDown} ");
    expect(hidden(host)).not.toContainEqual([0, 4]);
    expect(hidden(host)).not.toContainEqual([1, 4]);
    await userEvent.keyboard(" ");
    expect(hidden(host)).toContainEqual([1, 4]);
    expect(view.parts("mask", '[tabindex="0"]').length).toBe(1);
  });

  it("that hides a whole row says what programs make of it, and no other row changes", async () => {
    const { view } = await opened("masking", { preset: "A row that sees nothing" });
    expect(view.part("nothing").textContent).toMatch(/“sat” sees nothing.*NaN.*0\.00.*0\.17/s);
    expect(view.numbers("weights").map(Number.isNaN).filter(Boolean).length).toBe(6);
    expect(view.numbers("output").slice(4, 6)).toEqual([Number.NaN, Number.NaN]);
    view.part("mask-none").click();
    await vi.waitFor(() => expect(view.parts("nothing")).toEqual([]));
  });
});

describe("a step of the formula", () => {
  const STEPS = ["query", "key", "value", "scores", "scaled", "mask", "weights", "output"];

  it.each(STEPS)("lights its table: %s", async (step) => {
    const { view } = await opened("masking");
    hover(view.part(`formula-${step}`));
    await drawn();
    const lit = [...view.root.querySelectorAll<HTMLElement>('[data-step][data-lit="true"]')];
    expect(lit.map(({ dataset }) => dataset.part)).toEqual([`formula-${step}`, `${step}-table`]);
    view.part("formula").dispatchEvent(new PointerEvent("pointerleave"));
    await drawn();
    expect(view.root.querySelectorAll('[data-lit="true"]').length).toBe(0);
  });

  it.each(STEPS)("is lit by a number of its table: %s", async (step) => {
    const { view } = await opened("masking");
    hover(view.cell(step, 0, 0));
    await drawn();
    expect(view.part(`formula-${step}`).dataset.lit).toBe("true");
  });

  it("says what scores are divided by", async () => {
    const { view } = await opened("masking", { temperature: 0.5 });
    expect(view.part("formula").textContent!.replace(/\s+/g, " ")).toBe(
      "output = softmax( QKT / √2 / 0.5 + mask ) V",
    );
    view.part("not-scaled").click();
    view.part("mask-none").click();
    await vi.waitFor(() =>
      expect(view.part("formula").textContent!.replace(/\s+/g, " ")).toBe("output = softmax( QKT / 0.5 ) V"),
    );
  });
});

describe("a number that is pointed at", () => {
  const lit = (view: ReturnType<typeof mount>, name: string) =>
    view.parts(name, '[data-lit="true"]').map(({ dataset }) => [Number(dataset.row), Number(dataset.column)]);

  it("shows the products of an output, and lights its weights and values", async () => {
    const { view } = await opened("temperature");
    hover(view.cell("output", 0, 0));
    await drawn();
    expect(view.part("why").textContent).toBe(
      "number 0 of the output of “query” 0.309 · 1 + 0.461 · 2 + 0.229 · 3 = 1.920",
    );
    expect(lit(view, "weights")).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
    expect(lit(view, "value")).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    expect(lit(view, "key")).toEqual([]);
  });

  it("shows the terms of a score, and lights its query and key", async () => {
    const { view } = await opened("masking");
    hover(view.cell("scores", 1, 2));
    await drawn();
    expect(view.part("why").textContent).toBe("score of “cat” with “sat” 1.00 · 0.3 − 0.40 · 1.1 = −0.140");
    expect([lit(view, "query"), lit(view, "key")]).toEqual([
      [
        [1, 0],
        [1, 1],
      ],
      [
        [2, 0],
        [2, 1],
      ],
    ]);
  });

  it("lights words where they are queries, keys and values at once", async () => {
    const { view } = await opened("words");
    hover(view.cell("scores", 0, 3));
    await drawn();
    expect(lit(view, "key").map(([row]) => row)).toEqual([0, 0, 3, 3]);
    hover(view.cell("output", 0, 1));
    await drawn();
    expect(lit(view, "key").map(([, column]) => column)).toEqual([1, 1, 1, 1, 1]);
  });

  it("is reached by keys", async () => {
    const { view } = await opened("temperature");
    view.cell("query", 0, 1).focus();
    await vi.waitFor(() => expect(view.part("why").textContent).toBe("number 1 of the query “query” 0.7"));
  });
});

describe("Python", () => {
  it("changes what is shown, and nothing goes back", async () => {
    const { host, view } = await opened("temperature");
    host.fromPython({ temperature: 0.1, query: [[0, 0, 1]] });
    await vi.waitFor(() => expect(view.numbers("weights")).toEqual([0, 0, 1]));
    expect(view.part<HTMLInputElement>("temperature-field").value).toBe("0.1");
    expect(host.saved).toEqual([]);
    const { state } = FACTS.scenes.find(({ name }) => name === "values")!.presets[1]!;
    host.fromPython({ ...state, scene: "values", preset: "Two that cancel" });
    await vi.waitFor(() => expect(view.part<HTMLSelectElement>("preset").value).toBe("Two that cancel"));
    expect(view.parts("effect-bar").length).toBe(3);
    expect(host.saved).toEqual([]);
  });

  it("hears one message of one change, with all that changed and no more", async () => {
    const { host, view } = await opened("words");
    drag(view.cell("key", 0, 0), { x: 4 }, 1);
    await drawn();
    expect(host.saved.map((saved) => Object.keys(saved).sort())).toEqual([["key", "query", "value"]]);
    view.part("temperature-stop", '[data-value="0.1"]').click();
    await drawn();
    expect(host.saved.at(-1)).toEqual({ temperature: 0.1 });
    expect(host.saved.length).toBe(2);
  });

  it("is left without listeners when the view closes", async () => {
    const { host, view } = await opened("lookup");
    expect(host.listeners).toBeGreaterThan(0);
    view.close();
    expect(host.listeners).toBe(0);
  });
});
