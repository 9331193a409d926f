import { describe, expect, it, onTestFinished, vi } from "vitest";
import { HOSTILE, noSeriousFinding } from "../looking";
import { mount, number, rising, TimelineModel } from "./mount";

type View = ReturnType<typeof mount>;

async function shown(model: TimelineModel, width?: number): Promise<View> {
  const view = mount(model, width);
  await view.ready();
  return view;
}

function scrub(view: View, step: number): void {
  const slider = view.part<HTMLInputElement>("scrubber");
  slider.value = String(step);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}

const settle = (view: View) => view.part("scrubber").dispatchEvent(new Event("change", { bubbles: true }));

const press = (view: View, part: string, key: string) =>
  view.part(part).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));

/** How dark a cell of a map is. */
function ink(view: View, row: number, column: number): number {
  const canvas = view.part<HTMLCanvasElement>("map-cells");
  const [x, y] = [((column + 0.5) / 4) * canvas.width, ((row + 0.5) / 4) * canvas.height];
  const [red] = canvas.getContext("2d")!.getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
  return 255 - red!;
}

describe("the step", () => {
  it("is the newest until somebody chooses one", async () => {
    const view = await shown(new TimelineModel([rising(5)]));
    expect(view.host.dataset.step).toBe("400");
    expect(view.part("step").textContent).toBe("step 400");
    expect(view.part("map-cells").dataset.step).toBe("400");
  });

  it("that is on its way does not bring back what is kept beside the widget", async () => {
    const model = new TimelineModel([rising(40)], { step: 0 });
    model.fromPython({ kept: "k" } as never);
    const kept = document.createElement("div");
    kept.dataset.attnwidgetKept = "k";
    document.body.append(kept);
    onTestFinished(() => kept.remove());
    const view = await shown(model);
    await vi.waitFor(() => expect(getComputedStyle(kept).display).toBe("none"));
    model.policy = () => "hold";
    view.part("head", '[data-layer="1"][data-head="1"]').click();
    await vi.waitFor(() => expect(view.host.dataset.state).not.toBe("ready"));
    expect(getComputedStyle(kept).display).toBe("none");
  });

  it("that is scrubbed to shows its own map, and its own number", async () => {
    const model = new TimelineModel([rising(5)], { layer: 1, head: 2 });
    const view = await shown(model);
    for (const at of [0, 3, 1]) {
      scrub(view, at * 100 + 20);
      await view.ready();
      expect(view.part("map-cells").dataset.step).toBe(String(at * 100));
      for (const key of [0, 1, 2, 3]) {
        if (key === at) expect(ink(view, 3, key)).toBeGreaterThan(150);
        else expect(ink(view, 3, key)).toBeLessThan(60);
      }
      expect(Number(view.part("value").textContent)).toBeCloseTo(number(0, at, 1, 2), 3);
    }
  });

  it("is told to Python when the hand lets go, and not on the way", async () => {
    const model = new TimelineModel([rising(5)]);
    const view = await shown(model);
    scrub(view, 100);
    scrub(view, 200);
    await view.ready();
    expect(model.saved).toEqual([]);
    settle(view);
    await vi.waitFor(() => expect(model.saved).toEqual([{ step: 200 }]));
  });

  it("moves by keys, to both ends and by tenths", async () => {
    const model = new TimelineModel([rising(30)]);
    const view = await shown(model);
    const after = (key: string) => {
      press(view, "scrubber", key);
      return view.host.dataset.step;
    };
    expect(after("ArrowLeft")).toBe("2800");
    expect(after("Home")).toBe("0");
    expect(after("ArrowRight")).toBe("100");
    expect(after("PageUp")).toBe("400");
    expect(after("End")).toBe("2900");
  });

  it("is what Python sets", async () => {
    const model = new TimelineModel([rising(5)]);
    const view = await shown(model);
    model.fromPython({ step: 100 });
    await view.ready();
    expect(view.part("map-cells").dataset.step).toBe("100");
  });

  it("whose map was not kept shows the last before it, and says so", async () => {
    const run = { ...rising(4), kept: [true, false, false, true] };
    const view = await shown(new TimelineModel([run]));
    scrub(view, 200);
    await view.ready();
    expect(view.part("map-cells").dataset.step).toBe("0");
    expect(view.part("map-step").textContent).toBe("as at step 0");
  });

  it("plays from the beginning, and stays at the end", async () => {
    const model = new TimelineModel([rising(8)], { step: 0 });
    const view = await shown(model);
    const seen: string[] = [];
    const watch = new MutationObserver(() => seen.push(view.host.dataset.step!));
    watch.observe(view.host, { attributeFilter: ["data-step"] });
    view.part("play").click();
    await vi.waitFor(() => expect(view.part("play").getAttribute("aria-pressed")).toBe("true"));
    await vi.waitFor(() => expect(view.part("play").getAttribute("aria-pressed")).toBe("false"), 8_000);
    watch.disconnect();
    expect(view.host.dataset.step).toBe("700");
    expect(seen.map(Number)).toEqual([...seen.map(Number)].sort((one, other) => one - other));
    expect(model.get("step")).toBe(700);
  });

  it("that has a name is called so", async () => {
    const view = await shown(new TimelineModel([{ ...rising(3), labels: ["Lily", "and", "Ben"] }]));
    expect(view.part("step").textContent).toBe("Ben");
  });
});

describe("heads", () => {
  it("are chosen by a click, and by keys", async () => {
    const model = new TimelineModel([rising(3)]);
    const view = await shown(model);
    view.part("head", '[data-layer="1"][data-head="2"]').click();
    await view.ready();
    expect([model.get("layer"), model.get("head")]).toEqual([1, 2]);
    expect(view.part("map-cells").dataset.layer).toBe("1");
    press(view, "heads", "ArrowLeft");
    await view.ready();
    expect([model.get("layer"), model.get("head")]).toEqual([1, 1]);
    press(view, "heads", "ArrowDown");
    expect(model.get("layer")).toBe(1);
  });

  it("are chosen by their curves", async () => {
    const model = new TimelineModel([rising(3)]);
    const view = await shown(model);
    const canvas = view.part<HTMLCanvasElement>("curve");
    const [x, y, width, height] = canvas.dataset.plot!.split(",").map(Number) as [
      number,
      number,
      number,
      number,
    ];
    const box = canvas.getBoundingClientRect();
    // The largest number of all, at the last step: layer 1, head 2.
    const at = {
      clientX: box.left + x + width,
      clientY: box.top + y + height * 0.04,
      pointerId: 1,
      button: 0,
    };
    vi.spyOn(canvas, "setPointerCapture").mockImplementation(() => {});
    canvas.dispatchEvent(new PointerEvent("pointerdown", { ...at, bubbles: true }));
    canvas.dispatchEvent(new PointerEvent("pointerup", { ...at, bubbles: true }));
    expect([model.get("layer"), model.get("head")]).toEqual([1, 2]);
  });
});

describe("what is asked", () => {
  it("is each frame once, the one that is seen first", async () => {
    const model = new TimelineModel([rising(40)], { step: 2000 });
    const view = await shown(model);
    const frames = () => model.sent.filter(({ op }) => op === "frames").flatMap(({ at }) => at!);
    await vi.waitFor(() => expect(frames().length).toBe(40));
    expect(frames()[0]).toBe(20);
    expect(new Set(frames()).size).toBe(40);
    scrub(view, 0);
    await view.ready();
    expect(frames().length).toBe(40);
  });

  it("is no more than what came, of a run that grows", async () => {
    const model = new TimelineModel([rising(2)], {}, { growing: true });
    const view = await shown(model);
    Object.assign(model.runs[0]!, rising(3));
    await vi.waitFor(() => expect(view.host.dataset.step).toBe("200"), { timeout: 5_000 });
    await view.ready();
    expect(view.part("map-cells").dataset.step).toBe("200");
    const asked = model.sent.filter(({ op }) => op === "curves").map(({ after }) => after);
    expect(asked).toEqual([0, 2]);
  });

  it("stays where somebody looks while more comes", async () => {
    const model = new TimelineModel([rising(3)], { step: 100 }, { growing: true });
    const view = await shown(model);
    Object.assign(model.runs[0]!, rising(5));
    await vi.waitFor(() => expect(view.part<HTMLInputElement>("scrubber").max).toBe("400"), {
      timeout: 5_000,
    });
    expect(view.host.dataset.step).toBe("100");
  });

  it("waits for a training that has not begun", async () => {
    const model = new TimelineModel([{ name: "", steps: [] }], {}, { growing: true });
    const view = await shown(model);
    expect(view.part("empty").textContent).toContain("the first reading shows by itself");
    Object.assign(model.runs[0]!, rising(1));
    await vi.waitFor(() => expect(view.host.dataset.step).toBe("0"), { timeout: 5_000 });
    await vi.waitFor(() => view.part("map-cells"), { timeout: 5_000 });
  });

  it("is asked once where a map is gone, and that of the step before is shown", async () => {
    const model = new TimelineModel([{ ...rising(6), gone: [3, 5] }]);
    const view = await shown(model);
    expect(view.part("map-cells").dataset.step).toBe("400");
    expect(view.part("map-step").textContent).toBe("as at step 400");
    scrub(view, 300);
    await view.ready();
    expect(view.part("map-cells").dataset.step).toBe("200");
    const asked = model.sent.filter(({ op }) => op === "frames").flatMap(({ at }) => at!);
    expect(asked.filter((at) => at === 3 || at === 5).length).toBe(2);
  });

  it("begins again where the file was begun anew", async () => {
    const model = new TimelineModel([rising(5)], {}, { growing: true });
    const view = await shown(model);
    Object.assign(model.runs[0]!, { ...rising(3), generation: 1 });
    await vi.waitFor(() => expect(view.host.dataset.step).toBe("200"), { timeout: 5_000 });
    await view.ready();
    expect(view.part<HTMLInputElement>("scrubber").max).toBe("200");
  });

  it("lets go of maps that are thinned", async () => {
    const model = new TimelineModel([rising(4)], { step: 100 }, { growing: true });
    const view = await shown(model);
    Object.assign(model.runs[0]!, { ...rising(5), kept: [true, false, false, false, true] });
    await vi.waitFor(() => expect(view.part("map-cells").dataset.step).toBe("0"), { timeout: 5_000 });
    expect(view.part("map-step").textContent).toBe("as at step 0");
  });

  it("and refused stands where it is missed, and can be asked again", async () => {
    const model = new TimelineModel([rising(3)]);
    model.policy = ({ op }) => (op === "frames" ? "The disk is gone." : true);
    const view = mount(model);
    await vi.waitFor(() => expect(view.host.dataset.state).toBe("error"));
    expect(view.host.shadowRoot!.querySelector('[role="alert"]')!.textContent).toContain("The disk is gone.");
    model.policy = () => true;
    view.part("retry").click();
    await view.ready();
    expect(view.part("map-cells").dataset.step).toBe("200");
  });
});

describe("several runs", () => {
  it("have a map and a number each, at the same step", async () => {
    const [one, other] = [rising(5, "slow"), { name: "fast", steps: [0, 150, 300] }];
    const view = await shown(new TimelineModel([one, other]));
    scrub(view, 200);
    await view.ready();
    expect(view.parts("map-cells").map(({ dataset }) => dataset.step)).toEqual(["200", "150"]);
    expect(view.parts("value").map(({ textContent }) => Number(textContent))).toEqual([
      Number(number(0, 2, 0, 0).toPrecision(4)),
      Number(number(1, 1, 0, 0).toPrecision(4)),
    ]);
    scrub(view, 400);
    await view.ready();
    // One has ended before.
    expect(view.parts("value").map(({ textContent }) => textContent)).toEqual(["0.4000", "–"]);
  });
});

describe("events", () => {
  it("lead to their steps", async () => {
    const run = {
      ...rising(5),
      events: [
        [1, "finding", "sink"],
        [3, "alert", "nan: all"],
      ] as [number, string, string][],
    };
    const model = new TimelineModel([run]);
    const view = await shown(model);
    expect(view.parts("event").map(({ textContent }) => textContent)).toEqual([
      "+Found: step 100 sink",
      "!Alert: step 300 nan: all",
    ]);
    view.parts("event")[1]!.click();
    await view.ready();
    expect(model.get("step")).toBe(300);
  });

  it("of one's own stand at their steps, read or not, and in a training once these have come", async () => {
    const own: [number, string][] = [
      [120, "halved"],
      [900, "the end"],
    ];
    const past = await shown(new TimelineModel([rising(5)], {}, { own }));
    expect(past.parts("event").map(({ textContent }) => textContent)).toEqual([
      "•Note: step 120 halved",
      "•Note: step 900 the end",
    ]);
    past.parts("event")[0]!.click();
    await past.ready();
    expect(past.host.dataset.step).toBe("100");
    const live = await shown(new TimelineModel([rising(5)], {}, { own, growing: true }));
    expect(live.parts("event").length).toBe(1);
  });
});

describe("anybody", () => {
  it("reads what was logged, and a run whose maps were not kept says so", async () => {
    const run = { ...rising(3), logged: { loss: [3, null, 1.5] }, kept: [false, false, false] };
    const view = await shown(new TimelineModel([run]));
    expect(view.part("step").textContent).toBe("step 200loss 1.500");
    expect(view.part("no-maps").textContent).toContain("were not kept");
    expect(view.parts("map-cells")).toEqual([]);
  });

  it.each(["light", "dark"] as const)("finds nothing serious against it (%s)", async (theme) => {
    const run = { ...rising(5), events: [[1, "finding", "sink"]] as [number, string, string][] };
    const view = await shown(new TimelineModel([run], { theme }, { title: "A training" }));
    await noSeriousFinding(view);
  });

  it.each([320, 620, 1400])("sees nothing run out of a width of %s", async (width) => {
    const view = await shown(new TimelineModel([rising(5), { ...rising(4), name: "other" }]), width);
    const root = view.host.shadowRoot!.querySelector(".widget")!;
    expect(root.scrollWidth).toBeLessThanOrEqual(width);
  });

  it("can name tokens, runs and events as badly as there is", async () => {
    const hostile = {
      ...rising(2, HOSTILE[2]),
      events: HOSTILE.map((text) => [0, "finding", text]) as never,
    };
    const view = await shown(
      new TimelineModel([hostile, rising(2, HOSTILE[1])], {}, { title: HOSTILE[0]! }, HOSTILE),
    );
    expect((window as { hurt?: boolean }).hurt).toBeUndefined();
    expect(view.host.shadowRoot!.querySelector("img, script, .head b")).toBeNull();
    const root = view.host.shadowRoot!.querySelector(".widget")!;
    expect(root.scrollWidth).toBeLessThanOrEqual(1000);
  });

  it("sees a spike in the small curves, however long the run", async () => {
    const model = new TimelineModel([rising(1000)]);
    const view = await shown(model);
    const path = view.part("head", '[data-layer="0"][data-head="0"]').querySelector("path")!;
    const heights = [...path.getAttribute("d")!.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, y]) => Number(y));
    expect(heights.length).toBeGreaterThan(40);
    expect(heights.length).toBeLessThan(120);
  });

  it("finds a run without readings empty, and ready", async () => {
    const view = await shown(new TimelineModel([{ name: "", steps: [] }], {}, { measures: [] }));
    expect(view.part("empty").textContent).toBe("There is nothing to show.");
    expect(view.parts("measure")).toEqual([]);
  });

  it("closes it, and nothing stays", async () => {
    const model = new TimelineModel([rising(3)], {}, { growing: true });
    const view = await shown(model);
    view.close();
    expect(model.listeners).toBe(0);
    expect(view.host.isConnected).toBe(false);
  });
});
