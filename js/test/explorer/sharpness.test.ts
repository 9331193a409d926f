import { describe, expect, it, vi } from "vitest";
import type { Facts, ScoreFacts } from "../../src/host/facts";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { enter, mount, point, press, slide } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const WIDTH = 8;
const ROOT = Math.sqrt(WIDTH);
const MADE: ScoreFacts = { scaling: 1 / ROOT, width: WIDTH };

const held: MapOptions = { queries: WORDS, held: "projections", scores: MADE };

function shown(options: Partial<MapOptions> = {}, choices = {}) {
  const map = new MockMap({ ...held, ...options });
  const host = new MockModel([map], choices);
  return { map, host, view: mount(host) };
}

type View = ReturnType<typeof mount>;
const input = (view: View, part: string) => view.part<HTMLInputElement>(part);
const stop = (view: View, part: string, label: string) =>
  view.parts(`${part}-stop`).find(({ textContent }) => textContent === label)!;
const labels = (view: View, part: string) => view.parts(`${part}-stop`).map(({ textContent }) => textContent);
const rule = (view: View) => view.part("rule").textContent;
const steps = (view: View) =>
  Object.fromEntries(
    [...view.part("steps").children].map((step) => {
      const { step: name, value } = (step as HTMLElement).dataset;
      return [
        name,
        {
          said: step.querySelector("dt")!.textContent,
          text: step.querySelector("dd")!.textContent,
          value: Number(value),
        },
      ];
    }),
  );

describe("a dial", () => {
  it("is dragged, and drawn to its stops", async () => {
    const { host, view } = shown();
    await view.ready();
    slide(input(view, "temperature"), -1.5);
    expect(host.get("temperature")).toBe(0.0316);
    slide(input(view, "temperature"), 0.31);
    expect(host.get("temperature")).toBe(2);
    expect(input(view, "temperature").valueAsNumber).toBeCloseTo(Math.log10(2), 12);
    slide(input(view, "scaling"), -2.2);
    expect(host.get("scaling")).toBe(0);
    await vi.waitFor(() => expect(input(view, "scaling-field").value).toBe("0"));
    const uniform = 1 / 10;
    await vi.waitFor(() => expect(view.heatmap().dataset.scaling).toBe("0"));
    point(view.heatmap(), "pointermove", 9, 3);
    await vi.waitFor(() => expect(steps(view).weight!.value).toBeCloseTo(uniform, 12));
  });

  it("takes any number that is typed, by Enter and by going on", async () => {
    const { host, view } = shown();
    await view.ready();
    enter(input(view, "temperature-field"), "0,123");
    expect(host.get("temperature")).not.toBe(0.123);
    press(input(view, "temperature-field"), "Enter");
    expect(host.get("temperature")).toBe(0.123);
    enter(input(view, "scaling-field"), "250");
    input(view, "scaling-field").blur();
    expect(host.get("scaling")).toBe(250);
    await vi.waitFor(() => expect(input(view, "scaling").getAttribute("aria-valuetext")).toBe("250"));
  });

  it.each([
    ["temperature", "0", "0: expected more than 0; 2 stays."],
    ["temperature", "-1", "-1: expected more than 0; 2 stays."],
    ["temperature", "warm", "“warm” is no number; 2 stays."],
    ["temperature", "", "“” is no number; 2 stays."],
    ["temperature", "1e300", "1e300 is too large: at most 1,000,000; 2 stays."],
    ["temperature", "1e-300", "1e-300 is too small: at least 0.000001; 2 stays."],
    ["temperature", "Infinity", "Infinity is too large: at most 1,000,000; 2 stays."],
    ["scaling", "-0.5", "-0.5: expected 0 or more; 2 stays."],
  ])("refuses %s %s, says why, and keeps the last number", async (part, text, why) => {
    const { host, view } = shown({}, { temperature: 2, scaling: 2 });
    await view.ready();
    enter(input(view, `${part}-field`), text);
    press(input(view, `${part}-field`), "Enter");
    await vi.waitFor(() => expect(view.part(`${part}-refused`).textContent).toBe(why));
    expect(view.part(`${part}-refused`).getAttribute("role")).toBe("alert");
    expect([host.get(part), input(view, `${part}-field`).value]).toEqual([2, "2"]);
    expect(host.saved).toEqual([]);
    host.fromPython({ [part]: 3 });
    await vi.waitFor(() => expect(view.parts(`${part}-refused`)).toEqual([]));
  });

  it("forgets with Escape what was typed, and keeps what was pinned", async () => {
    const { host, view } = shown({}, { query: 5, key: 2 });
    await view.ready();
    const field = input(view, "temperature-field");
    enter(field, "7");
    press(field, "Escape");
    await vi.waitFor(() => expect(field.value).toBe("1"));
    field.blur();
    expect([host.get("temperature"), host.get("query")]).toEqual([undefined, 5]);
  });

  it("has its usual stops", async () => {
    const { host, view } = shown();
    await view.ready();
    expect(labels(view, "temperature")).toEqual(["0.1", "0.5", "1", "2", "10"]);
    expect(labels(view, "scaling")).toEqual(["0", "model", "× √8"]);
    stop(view, "temperature", "10").click();
    stop(view, "scaling", "× √8").click();
    expect([host.get("temperature"), host.get("scaling")]).toEqual([10, ROOT]);
    await vi.waitFor(() => expect(stop(view, "scaling", "× √8").ariaPressed).toBe("true"));
    expect(stop(view, "scaling", "model").ariaPressed).toBe("false");
    stop(view, "scaling", "model").click();
    expect(host.get("scaling")).toBe(1);
  });

  it("is turned by keys, from stop to stop too, and the notebook hears none", async () => {
    const { host, view } = shown();
    await view.ready();
    const heard = vi.fn();
    view.el.addEventListener("keydown", heard);
    const track = input(view, "scaling");
    const turned = async (key: string, value: number) => {
      press(track, key);
      expect(host.get("scaling"), key).toBeCloseTo(value, 12);
      await vi.waitFor(() => expect(track.valueAsNumber).toBeCloseTo(Math.log10(value || 10 ** -2.2), 6));
    };
    await turned("ArrowRight", 1.02);
    await turned("ArrowLeft", 1);
    await turned("PageUp", ROOT);
    await turned("End", 100);
    await turned("PageDown", ROOT);
    await turned("Home", 0);
    await turned("ArrowUp", 0.01);
    await turned("ArrowDown", 0);
    for (const part of ["scaling-field", "temperature-stop"]) press(view.parts(part)[0]!, "x");
    expect(heard).not.toHaveBeenCalled();
  });

  it.each([440, 600, 900, 1500])("fits with all its stops in %i px", async (width) => {
    const map = new MockMap({ queries: WORDS, scores: { scaling: 1 / Math.sqrt(64), width: 64 } });
    const view = mount(new MockModel([map], { query: 9, key: 3 }), width);
    await view.ready();
    const section = view.part("sharpness").getBoundingClientRect();
    expect(section.right).toBeLessThanOrEqual(view.el.getBoundingClientRect().right + 0.5);
    for (const part of ["temperature-stop", "scaling-stop"]) {
      const boxes = view.parts(part).map((one) => one.getBoundingClientRect());
      expect(Math.max(...boxes.map(({ right }) => right))).toBeLessThanOrEqual(section.right + 0.5);
      for (const [at, box] of boxes.slice(1).entries())
        expect(box.left).toBeGreaterThanOrEqual(boxes[at]!.right - 4);
    }
  });
});

describe("in a lesson", () => {
  it("what is locked cannot be moved, and Reset leaves it", async () => {
    const { map, host, view } = shown({}, { temperature: 2, scaling: 3 });
    await view.ready();
    const lesson = {
      ...{ prompt: "Look.", predict: null, what: "", answer: null, reveal: "", tolerance: 0 },
      locked: ["scaling"],
    };
    host.fromPython({ facts: { title: "", maps: [map.facts], lesson } as Facts });
    await vi.waitFor(() => expect(input(view, "scaling").disabled).toBe(true));
    expect([input(view, "scaling-field").disabled, input(view, "temperature").disabled]).toEqual([
      true,
      false,
    ]);
    expect(view.parts("unscaled")).toEqual([]);
    view.part("reset").click();
    expect([host.get("temperature"), host.get("scaling")]).toEqual([1, 3]);
    await vi.waitFor(() => expect(view.part("reset").ariaDisabled).toBe("true"));
  });
});

describe("as if not scaled", () => {
  it("is one press, and one back", async () => {
    const { map, host, view } = shown({}, { query: 9, key: 3 });
    await view.ready();
    view.part("unscaled").click();
    expect(host.get("scaling")).toBe(ROOT);
    await vi.waitFor(() => expect(rule(view)).toBe("softmax(q·k / √8 × √8)"));
    expect(view.part("unscaled").ariaPressed).toBe("true");
    await vi.waitFor(() => expect(steps(view).turned!.value).toBeCloseTo(map.score(0, 0)(9, 3) * ROOT, 4));
    expect(steps(view).turned!.text).toBe(steps(view).product!.text);
    view.part("unscaled").click();
    expect(host.get("scaling")).toBe(1);
  });

  it.each([
    ["nothing is known of the scores", null, ["0", "model"]],
    ["the model has no factor", { scaling: 1, width: 8 }, ["0", "model"]],
    ["the scores have a bias too", { ...MADE, bias: true }, ["0", "model", "× √8"]],
    ["the scores are capped", { ...MADE, softcap: 50 }, ["0", "model", "× √8"]],
    ["a sink takes part", { ...MADE, sinks: true }, ["0", "model", "× √8"]],
  ])("is not there where %s", async (_, scores, stops) => {
    const { view } = shown({ scores });
    await view.ready();
    expect(view.parts("unscaled")).toEqual([]);
    expect(labels(view, "scaling")).toEqual(stops);
  });
});

describe("the formula", () => {
  it("has the model's own factor in it, and only what was moved", async () => {
    const { host, view } = shown();
    await view.ready();
    expect(rule(view)).toBe("softmax(q·k / √8)");
    host.fromPython({ scaling: 2, temperature: 0.5 });
    await vi.waitFor(() => expect(rule(view)).toBe("softmax(q·k / √8 × 2 / 0.5)"));
    host.fromPython({ scaling: 1 });
    await vi.waitFor(() => expect(rule(view)).toBe("softmax(q·k / √8 / 0.5)"));
    expect(view.part("sharpness").textContent).toContain(
      "Scaling × 2 does what temperature / 2 does: both act on the scores, before the softmax.",
    );
  });

  it("has the numbers of the pinned cell, and of the one that is pointed at", async () => {
    const { map, view } = shown({}, { query: 9, key: 3, scaling: 2, temperature: 0.5 });
    await view.ready();
    const score = map.score(0, 0);
    await vi.waitFor(() => expect(steps(view).product!.value).toBeCloseTo(score(9, 3) * ROOT, 4));
    const { product, score: scaled, turned, exp, weight } = steps(view);
    expect([scaled!.said, scaled!.value]).toEqual(["/ √8", expect.closeTo(score(9, 3), 5)]);
    expect([turned!.said, turned!.value]).toEqual(["× 2 / 0.5", expect.closeTo(4 * score(9, 3), 4)]);
    expect(exp!.value / Math.exp(4 * score(9, 3))).toBeCloseTo(1, 4);
    const wanted = map.row(0, 0, 9, 0.5, 2)[3]!;
    expect(weight!.value).toBeCloseTo(wanted, 6);
    // What is written is what the numbers are, to its last digit.
    expect(product!.text!.replace("−", "-")).toBe((score(9, 3) * ROOT).toPrecision(4));
    const sum = Number(weight!.said!.replace("/ sum ", ""));
    expect((exp!.value / sum / wanted).toFixed(3)).toBe("1.000");

    point(view.heatmap(), "pointermove", 7, 2);
    await vi.waitFor(() => expect(view.part("steps").dataset.query).toBe("7"));
    expect(steps(view).score!.value).toBeCloseTo(score(7, 2), 5);
    point(view.heatmap(), "pointermove", 2, 7);
    await vi.waitFor(() => expect(view.part("formula").textContent).toContain("“Ben” → “.”: masked"));
    expect(view.parts("steps")).toEqual([]);
  });

  it("asks for what is not here, a row once", async () => {
    const { map, host, view } = shown({ held: "codes" }, { query: 9, key: 3 });
    await view.ready();
    await vi.waitFor(() => expect(steps(view).product!.value).toBeCloseTo(map.score(0, 0)(9, 3) * ROOT, 4));
    expect(steps(view).weight!.value).toBeCloseTo(map.row(0, 0, 9)[3]!, 6);
    point(view.heatmap(), "pointermove", 9, 5);
    await vi.waitFor(() => expect(steps(view).score!.value).toBeCloseTo(map.score(0, 0)(9, 5), 5));
    const asked = host.sent.filter(({ op }) => op === "scores");
    expect(asked).toMatchObject([{ map: "attention", layer: 0, head: 0, query: 9 }]);
  });

  it("begins with the weight where the kernel does not say more", async () => {
    const host = new MockModel([new MockMap({ queries: WORDS, held: "codes", scores: MADE })], {
      query: 9,
      key: 3,
    });
    host.policy = ({ op }) => (op === "scores" ? { error: "gone" } : "answer");
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() =>
      expect(steps(view).log!.value).toBeCloseTo(Math.log(host.maps[0]!.row(0, 0, 9)[3]!), 3),
    );
    expect(view.part("unknown").textContent).toContain("The scores of this row are not here");
    expect(view.parts("fault")).toEqual([]);
  });

  it("of given weights speaks of scores, and begins with the logarithm of the weight", async () => {
    const map = new MockMap({ queries: WORDS });
    const host = new MockModel([map], { query: 9, key: 3, scaling: 3, temperature: 2 });
    const view = mount(host);
    await view.ready();
    expect(rule(view)).toBe("softmax(scores × 3 / 2)");
    await vi.waitFor(() => expect(steps(view).weight!.value).toBeCloseTo(map.row(0, 0, 9, 2, 3)[3]!, 4));
    const { log, turned, exp, weight } = steps(view);
    expect(log!.value).toBeCloseTo(Math.log(map.row(0, 0, 9)[3]!), 3);
    expect(turned!.value).toBeCloseTo(1.5 * log!.value, 12);
    const sum = Number(weight!.said!.replace("/ sum ", ""));
    expect(exp!.value / sum / weight!.value).toBeCloseTo(1, 3);
    expect(view.part("unknown").textContent).toContain("Weights were given");
    expect(host.sent.filter(({ op }) => op === "scores")).toEqual([]);
    view.part("reset").click();
    await vi.waitFor(() => expect(Object.keys(steps(view))).toEqual(["log", "weight"]));
    expect(rule(view)).toBe("softmax(scores)");
  });

  it("says whose keys they are, and what else takes part", async () => {
    const { view } = shown({ keyValueHeads: [2, 2, 2, 2], held: "codes", scores: { ...MADE, sinks: true } });
    await view.ready();
    const said = view.part("formula").textContent;
    expect(said).toContain("k is that of key-value head 0, shared by heads 0 and 1.");
    expect(said).toContain("A sink, which is no key, takes part in the sum.");
  });
});
