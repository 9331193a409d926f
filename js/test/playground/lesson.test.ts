import { describe, expect, it, vi } from "vitest";
import type { LessonFacts, Prediction } from "../../src/lesson/facts";
import { shelf } from "../../src/lesson/handing";
import { drawn, model, mount } from "./mount";

const SEES_NOTHING = { preset: "A row that sees nothing" };

/** A Playground with a question, as Python tells it. */
async function asked(scene: string, predict: Prediction, changed = {}, more: Partial<LessonFacts> = {}) {
  const host = model(scene, changed);
  const facts = { prompt: "?", what: "?", answer: null, locked: [], reveal: "", tolerance: 0.05, ...more };
  host.fromPython({ facts: { ...(host.get("facts") as object), lesson: { ...facts, predict } } } as never);
  const view = mount(host);
  await view.ready();
  const guesses = () => (host.get("guesses") ?? []) as { right: unknown; answer: unknown }[];
  const said = () => vi.waitFor(() => view.part("answer").textContent!);
  return { host, view, guesses, said };
}

function guess(view: ReturnType<typeof mount>, text: string) {
  view.part<HTMLInputElement>("guess").value = text;
  view.part("reveal").click();
}

describe("what does not exist", () => {
  it.each<[string, Prediction]>([
    ["a number", { kind: "number", step: "weights", row: 2, column: 0 }],
    ["bars", { kind: "bars", step: "weights", row: 2 }],
    ["a cell", { kind: "cell", step: "weights", row: 2 }],
  ])("is not compared with a guess: %s of a row that sees nothing", async (_, predict) => {
    const { view, guesses, said } = await asked("masking", predict, SEES_NOTHING);
    if (predict.kind === "cell") view.part("weights", '[data-row="2"][data-column="0"]').click();
    await drawn();
    if (predict.kind === "number") guess(view, "0.5");
    else view.part("reveal").click();
    expect(await said()).toContain("There is nothing to compare it with.");
    expect(await said()).not.toMatch(/undefined|NaN|→/);
    expect(guesses()[0]).toMatchObject({ answer: null, right: null });
  });

  it("is not compared with bars of tokens that were removed meanwhile", async () => {
    const { view, guesses, said } = await asked("masking", { kind: "bars", step: "weights", row: 5 });
    view.part("tokens-less").click();
    await drawn();
    view.part("reveal").click();
    expect(await said()).toContain("There is nothing to compare it with.");
    expect(guesses()[0]).toMatchObject({ answer: null, right: null });
  });

  it.each(["scaling", "heads"])("is not asked of the scene %s, which has no single table", async (scene) => {
    const { host, view, guesses, said } = await asked("lookup", { kind: "bars", step: "weights", row: 0 });
    const state = model(scene);
    host.fromPython({ scene, heads: state.get("heads"), query: state.get("query") } as never);
    await drawn();
    view.part("reveal").click();
    await said();
    expect(guesses()[0]).toMatchObject({ answer: null, right: null });
  });
});

describe("before the guess", () => {
  it("no caption tells the entropy", async () => {
    const { view, said } = await asked("masking", { kind: "number", step: "entropy", row: 0 });
    expect(view.part("weights-table").textContent).not.toContain("nats");
    guess(view, "0");
    await said();
    expect(view.part("weights-table").textContent).toContain("nats");
  });

  it("no curve tells a score", async () => {
    const { view, said } = await asked("position", { kind: "number", step: "scores", row: 0, column: 1 });
    for (const part of ["distance", "verdict"]) expect(view.parts(part)).toEqual([]);
    expect(view.root.querySelector('[data-marked="true"]')).toBeNull();
    guess(view, "0");
    await said();
    view.part("distance");
  });

  it("no line tells a weight", async () => {
    const { view, said } = await asked("words", { kind: "cell", step: "weights", row: 0 });
    for (const part of ["looks", "mix"]) expect(view.parts(part)).toEqual([]);
    view.part("weights", '[data-row="0"][data-column="1"]').click();
    await drawn();
    view.part("reveal").click();
    await said();
    expect(view.parts("looks").length).toBe(4);
  });
});

describe("what is locked", () => {
  const prompt = { kind: "number", step: "weights", row: 0, column: 0 } as const;

  it("are the dials of random numbers, by their names", async () => {
    const { host, view } = await asked("scaling", prompt, {}, { predict: null, locked: ["width", "seed"] });
    view.part("draw").click();
    expect(host.get("seed")).toBe(0);
    expect(view.part("draw").ariaDisabled).toBe("true");
  });

  it.each(["query", "key", "value"])("are words by any of their names: %s", async (name) => {
    const { view } = await asked("words", prompt, {}, { locked: [name] });
    expect(view.cell("key", 0, 0).ariaReadOnly).toBe("true");
  });

  it("are menus of heads", async () => {
    const { view } = await asked("heads", prompt, {}, { locked: ["heads"] });
    expect(view.part<HTMLSelectElement>("kind-0").disabled).toBe(true);
  });
});

it.each(["null", "{}", "[null, 3]", "no JSON"])("a shelf with %s on it is empty", (kept) => {
  localStorage.setItem("strange", kept);
  expect(shelf.read("strange")).toEqual([]);
});
