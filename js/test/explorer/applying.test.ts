/** Apply to the model: what the browser shows of it, and what it asks for. */
import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import type { Outcome } from "../../src/explorer/applying";
import type { Choices } from "../../src/explorer/choices";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, plotOf, point, press } from "./mount";
import { difference, runs, WORDS } from "./pairs";

const DONE: Outcome = {
  state: "done",
  candidates: [
    ["Ben", 0.75, 0.25],
    ["<b>Lily</b>", 0.125, 0.5],
    ["Adam", 0.0001, 0.0002],
  ],
  kl: 0.321,
  loss: [2, 2.5],
  ms: 23,
};

function shown(choices: Partial<Choices> = {}, outcome: Outcome | null = { state: "idle" }, options = {}) {
  const host = new MockModel([new MockMap({ queries: WORDS, ...options })], choices);
  tell(host, outcome);
  return { host, view: mount(host) };
}

/** Python sends it as text. */
const tell = (host: MockModel, outcome: Outcome | null) =>
  host.fromPython({ outcome: outcome && JSON.stringify(outcome) } as never);
const changes = (view: Mounted) => view.parts("change").map((one) => one.firstChild!.textContent);
const applied = (view: Mounted) => view.part<HTMLInputElement>("applied");
const thumb = (view: Mounted, layer: number, head: number) =>
  view.part("thumb", `[data-layer="${layer}"][data-head="${head}"]`);
const said = (view: Mounted) => view.host.shadowRoot!.querySelector(".spoken[role=status]")!.textContent;

describe("the switch", () => {
  it("is quiet until it is on, and asks for nothing by itself", async () => {
    const { host, view } = shown();
    await view.ready();
    expect([applied(view).checked, applied(view).disabled, changes(view)]).toEqual([false, false, []]);
    expect(view.parts("candidates")).toEqual([]);
    applied(view).click();
    await vi.waitFor(() => expect(view.part("unchanged").textContent).toContain("Nothing is changed yet"));
    expect(host.saved).toEqual([{ applied: true }]);
  });

  it("is not there where the kernel knows nothing of it, and in a lesson that locks it", async () => {
    const { host, view } = shown({}, null);
    await view.ready();
    expect(view.parts("apply")).toEqual([]);
    tell(host, { state: "idle" });
    await vi.waitFor(() => expect(view.parts("apply")).toHaveLength(1));
    const lesson = {
      ...{ prompt: "Look.", predict: null, what: "", answer: null, reveal: "", tolerance: 0 },
      locked: ["applied"],
    };
    host.fromPython({ facts: { title: "", maps: [host.maps[0]!.facts], lesson } } as never);
    await vi.waitFor(() => expect(view.parts("apply")).toEqual([]));
    press(view.heatmap(), "x");
    expect(host.get("off")).toBeUndefined();
  });

  it("says what it needs, and no key changes anything", async () => {
    const needs = "Applying runs the model again, and these maps came without one: explore(text, model=...).";
    const { host, view } = shown({ query: 5, key: 2 }, { state: "idle", needs });
    await view.ready();
    expect([applied(view).disabled, view.part("apply-said").textContent]).toEqual([true, needs]);
    expect(applied(view).getAttribute("aria-describedby")).toBe(view.part("apply-said").id);
    press(thumb(view, 0, 0), "x");
    await vi.waitFor(() => expect(said(view)).toBe(needs));
    press(view.heatmap(), "c");
    expect([host.get("off"), host.get("cuts"), host.get("applied")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("needs the kernel, and what was applied stays to be seen", async () => {
    const { host, view } = shown({ applied: true, off: [[1, 2]], temperature: 3 }, DONE);
    await view.ready();
    host.disconnect();
    await vi.waitFor(() => expect(view.part("apply-said").textContent).toContain("needs the kernel"));
    expect([applied(view).disabled, changes(view)]).toEqual([true, ["layer 1 head 2 off"]]);
    expect([view.parts("take-back"), view.parts("candidate").length]).toEqual([[], 3]);
    expect(view.part<HTMLInputElement>("temperature").disabled).toBe(true);
    expect(view.part("sharpness").textContent).toContain("in these weights as the model was run with them");
  });
});

describe("what came of it", () => {
  it("stands as two bars a token, numbers and one line", async () => {
    const { host, view } = shown({ applied: true, off: [[1, 2]] }, DONE);
    await view.ready();
    const rows = view.parts("candidate");
    expect(rows.map((row) => row.querySelector("th")!.textContent)).toEqual(["Ben", "<b>Lily</b>", "Adam"]);
    expect(rows.map((row) => [...row.querySelectorAll("td")].slice(1).map((one) => one.textContent))).toEqual(
      [
        ["0.7500", "0.2500"],
        ["0.1250", "0.5000"],
        ["1.00e−4", "2.00e−4"],
      ],
    );
    const [was, now] = [...rows[0]!.querySelectorAll<HTMLElement>(".thin i")];
    const full = was!.parentElement!.clientWidth;
    expect(was!.offsetWidth / full).toBeCloseTo(0.75, 1);
    expect(now!.offsetWidth / full).toBeCloseTo(0.25, 1);
    expect(view.part("sums").textContent).toContain("KL 0.3210 nats");
    expect(view.part("sums").textContent).toContain("loss 2.0000 → 2.5000 nats (+0.5000)");
    tell(host, { ...DONE, state: "running" });
    await vi.waitFor(() => expect(view.part("apply").dataset.run).toBe("running"));
    expect(view.parts("candidate")).toHaveLength(3);
    tell(host, { state: "error", why: "RuntimeError: out of memory" });
    await vi.waitFor(() => expect(view.part("apply-failed").textContent).toContain("out of memory"));
    expect(view.parts("candidates")).toEqual([]);
  });

  it("is said where the model predicts no next token", async () => {
    const { view } = shown({ applied: true }, { state: "done", candidates: [], kl: null, loss: null, ms: 9 });
    await view.ready();
    expect(view.part("no-next").textContent).toContain("predicts no next token");
    expect(view.part("sums").textContent).toBe("9 ms");
  });

  it("has no fault that a checker finds, in light and dark", async () => {
    for (const theme of ["light", "dark"] as const) {
      const { view } = shown({ applied: true, off: [[1, 2]], theme }, DONE);
      await view.ready();
      const { violations } = await axe.run(view.part("apply"));
      expect(violations.map(({ id, nodes }) => [id, nodes[0]!.html])).toEqual([]);
      view.close();
    }
  });

  it("is in the weights already: no temperature acts on them here", async () => {
    const host = runs({ layer: 1, head: 2, temperature: 0.5, applied: true, tempered: [[1, 2, 0.5, 1]] });
    tell(host, DONE);
    const view = mount(host);
    await view.ready();
    expect(view.heatmap().dataset.temperature).toBe("1");
    const cell = difference(host, [0, 1, 2], [1, 1, 2])(9, 3);
    point(view.heatmap(), "pointermove", 9, 3);
    const number = cell.toFixed(4).replace("-", "−");
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain(number));
    expect(view.part<HTMLInputElement>("temperature-field").value).toBe("0.5");
  });
});

describe("what is changed", () => {
  it("is listed as the model numbers it, and each is taken back by itself", async () => {
    const { host, view } = shown(
      {
        ...{
          applied: true,
          off: [[0, 1]],
          tempered: [
            [1, 0, 2, 1],
            [1, 1, 1, 0.5],
          ],
        },
        cuts: [
          [0, 0, [5, 9], [1, 5]],
          [0, 0, [3, 4], [2, 3]],
        ],
      },
      DONE,
      {
        heads: [2, 2],
        layerNumbers: [4, 6],
        headNumbers: [
          [0, 1],
          [0, 3],
        ],
      },
    );
    await view.ready();
    expect(changes(view)).toEqual([
      "layer 4 head 1 off",
      "layer 4 head 0: rows 5–8 × keys 1–4 cut",
      "layer 4 head 0: row 3 × key 2 cut",
      "temperature 2 in layer 6 head 0",
      "scaling 0.5 in layer 6 head 3",
    ]);
    for (const at of [4, 2, 0]) {
      view.parts("take-back")[at]!.click();
      await vi.waitFor(() => expect(view.parts("change").length).toBe(at === 4 ? 4 : at === 2 ? 3 : 2));
    }
    expect([host.get("off"), host.get("tempered"), host.get("cuts")]).toEqual([
      [],
      [[1, 0, 2, 1]],
      [[0, 0, [5, 9], [1, 5]]],
    ]);
  });

  it("by x: the focused head goes off, struck through, and on again", async () => {
    const { host, view } = shown({}, { state: "idle" });
    await view.ready();
    thumb(view, 2, 1).click();
    press(thumb(view, 2, 1), "x");
    expect([host.get("applied"), host.get("off")]).toEqual([true, [[2, 1]]]);
    await vi.waitFor(() => expect(thumb(view, 2, 1).dataset.off).toBe("true"));
    expect(thumb(view, 2, 1).ariaLabel).toContain("switched off");
    expect(getComputedStyle(thumb(view, 2, 1), "::after").backgroundImage).toContain("linear-gradient");
    press(thumb(view, 2, 1), "x");
    expect(host.get("off")).toEqual([]);
    await vi.waitFor(() => expect(thumb(view, 2, 1).dataset.off).toBe("false"));
  });

  it("by no hover", async () => {
    const { host, view } = shown({ applied: true }, DONE);
    await view.ready();
    const before = host.saved.length;
    for (const key of [1, 2, 3]) point(view.heatmap(), "pointermove", 9, key);
    thumb(view, 1, 1).dispatchEvent(new PointerEvent("pointerover", { bubbles: true, composed: true }));
    await new Promise(requestAnimationFrame);
    expect(host.saved.length).toBe(before);
  });

  it("of maps that were made of heads can be nothing", async () => {
    const { host, view } = shown({}, { state: "idle" }, { derived: "mean of heads", heads: [1, 1] });
    await view.ready();
    press(view.heatmap(), "x");
    await vi.waitFor(() => expect(said(view)).toContain("choose one head"));
    expect(host.get("off")).toBeUndefined();
  });
});

describe("cells", () => {
  function drag(view: Mounted, from: [number, number], to: [number, number], more: MouseEventInit = {}) {
    const canvas = view.heatmap();
    canvas.setPointerCapture = () => {};
    point(canvas, "pointerdown", ...from, more);
    point(canvas, "pointermove", ...to, more);
    point(canvas, "pointerup", ...to, more);
    point(canvas, "click", ...to, more);
  }

  it("are marked by Shift and a drag, and cut by the button beside them", async () => {
    const { host, view } = shown({ layer: 1, head: 2 });
    await view.ready();
    drag(view, [8, 4], [5, 1], { shiftKey: true });
    await vi.waitFor(() => expect(view.part("cut").textContent).toContain("Cut rows 5–8 × keys 1–4"));
    expect([host.get("query"), host.get("key"), host.get("applied")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    view.part("cut").click();
    expect([host.get("applied"), host.get("cuts")]).toEqual([true, [[1, 2, [5, 9], [1, 5]]]]);
    await vi.waitFor(() => expect(view.parts("cutting")).toEqual([]));
    expect(changes(view)).toEqual(["layer 1 head 2: rows 5–8 × keys 1–4 cut"]);
  });

  it("are marked by Shift and arrows, and cut by c; Escape lets them go", async () => {
    const { host, view } = shown({ query: 6, key: 2 });
    await view.ready();
    const arrow = (key: string) =>
      view
        .heatmap()
        .dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: true, bubbles: true, composed: true }));
    for (const key of ["ArrowDown", "ArrowRight", "ArrowRight"]) arrow(key);
    await vi.waitFor(() => expect(said(view)).toBe("Marked rows 6–7 × keys 2–4"));
    press(view.heatmap(), "Escape");
    await vi.waitFor(() => expect(view.parts("cutting")).toEqual([]));
    expect(host.get("query")).toBe(6);
    arrow("ArrowUp");
    press(view.heatmap(), "c");
    expect(host.get("cuts")).toEqual([[0, 0, [5, 7], [2, 3]]]);
  });

  it("that are pinned are cut by c", async () => {
    const { host, view } = shown({ query: 9, key: 3 });
    await view.ready();
    press(view.heatmap(), "c");
    expect(host.get("cuts")).toEqual([[0, 0, [9, 10], [3, 4]]]);
  });

  it("that are cut are outlined in their head", async () => {
    const { view } = shown({ applied: true, cuts: [[0, 0, [6, 9], [1, 4]]] }, DONE);
    await view.ready();
    const marks = view.host.shadowRoot!.querySelector<HTMLCanvasElement>(".heatmap .marks")!;
    const { x, y, width } = plotOf(view.heatmap());
    const ratio = marks.width / marks.clientWidth;
    const cell = width / WORDS.length;
    const ink = () => {
      const at = [x + cell * 1 - 1, y + cell * 7.5, 2, 1].map((one) => Math.round(one * ratio));
      return marks
        .getContext("2d")!
        .getImageData(at[0]!, at[1]!, at[2]!, 1)
        .data.some((one) => one > 0);
    };
    await vi.waitFor(() => expect(ink()).toBe(true));
    press(view.heatmap(), "]");
    await vi.waitFor(() => expect(ink()).toBe(false));
  });

  it("of a text with words merged cannot be cut, and it is said why", async () => {
    const host = new MockModel([new MockMap({ queries: WORDS })]);
    host.maps[0]!.facts.lens = [{ kind: "words" }];
    tell(host, { state: "idle" });
    const view = mount(host);
    await view.ready();
    drag(view, [8, 4], [5, 1], { shiftKey: true });
    await vi.waitFor(() => expect(view.part("cutting").textContent).toContain("take off what was done"));
    expect(view.parts("cut")).toEqual([]);
  });

  it("are panned over and pinned without Shift, as before", async () => {
    const { host, view } = shown();
    await view.ready();
    drag(view, [8, 4], [8, 4]);
    expect([host.get("query"), host.get("key")]).toEqual([8, 4]);
    expect(view.parts("cutting")).toEqual([]);
  });
});

describe.each([360, 620, 1000, 1600])("at %i px", (width) => {
  it("nothing of it is wider than its place or lies over something else", async () => {
    const host = runs({
      ...{
        applied: true,
        off: [
          [1, 2],
          [2, 1],
        ],
        cuts: [[0, 0, [5, 9], [1, 5]]],
      },
      ...{ tempered: [[1, 0, 2, 0.5]], query: 9, key: 3 },
    });
    tell(host, DONE);
    const view = mount(host, width);
    await view.ready();
    const panel = view.part("apply");
    const around = view.part("sharpness").getBoundingClientRect();
    const boxes = [...panel.querySelectorAll<HTMLElement>("label, li, tr, .sums span")]
      .filter((one) => !one.closest(".spoken"))
      .map((one) => one.getBoundingClientRect());
    for (const box of boxes) expect(box.right).toBeLessThanOrEqual(around.right + 1);
    for (const [at, one] of boxes.entries()) {
      for (const other of boxes.slice(at + 1)) {
        const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
        const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
        expect(Math.min(wide, high)).toBeLessThanOrEqual(1);
      }
    }
  });
});
