import { describe, expect, it, vi } from "vitest";
import type { Standout } from "../../src/answers/standouts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount } from "./mount";

const WORDS = "Lily and Ben went to the park .".split(" ");
const HEADS: Standout[] = [
  {
    layer: 2,
    head: 1,
    reasons: [
      ["induction", 0.91, "strongest induction"],
      ["duplicate", 0.5, "copies"],
    ],
  },
  { layer: 0, head: 3, reasons: [["previous", 0.99, "previous token"]] },
];
const model = (standouts: Standout[], choices = {}) =>
  new MockModel([new MockMap({ queries: WORDS, measured: {}, standouts })], choices);

describe("heads worth a look", () => {
  it("are named with their reasons, and a click away", async () => {
    const host = model(HEADS);
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.parts("standout")).toHaveLength(2));
    const [first, second] = view.parts("standout") as [HTMLElement, HTMLElement];
    expect(first.textContent).toContain("L2 H1 strongest induction");
    expect(first.ariaLabel).toBe(
      "L2 H1 strongest induction +1: Layer 2, head 1, strongest induction 0.91, copies 0.50",
    );
    second.click();
    await vi.waitFor(() => expect([host.get("layer") ?? 0, host.get("head")]).toEqual([0, 3]));
    await vi.waitFor(() => expect(second.getAttribute("aria-pressed")).toBe("true"));
  });

  it("that are none are said so, with what was looked for", async () => {
    const view = mount(model([]));
    await view.ready();
    await vi.waitFor(() => expect(view.part("worth").dataset.there).toBe("true"));
    expect(view.part("worth").textContent).toContain(
      "No head stands out. Looked for: strongest induction, previous token.",
    );
  });

  it("move nothing when they come", async () => {
    const host = model(HEADS);
    const held = host.policy;
    host.policy = (question) => (question.op === "standouts" ? "hold" : held(question));
    const view = mount(host);
    await view.ready();
    const before = view.heatmap().getBoundingClientRect().top;
    host.policy = held;
    host.release();
    await vi.waitFor(() => expect(view.parts("standout")).toHaveLength(2));
    expect(view.heatmap().getBoundingClientRect().top).toBe(before);
  });

  it("are not told where a lesson asks for one", async () => {
    const host = model(HEADS);
    const facts = JSON.parse(JSON.stringify(host.get("facts")));
    facts.lesson = {
      prompt: "Which?",
      predict: { kind: "head", measure: "induction" },
      what: "",
      answer: null,
      locked: [],
      reveal: "",
      tolerance: 0,
    };
    host.fromPython({ facts: { ...facts, version: 9 } });
    const view = mount(host);
    await view.ready();
    expect(view.parts("worth")).toEqual([]);
  });
});
