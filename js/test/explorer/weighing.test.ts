/** What cells say: the switch, the tokens of an effect, and its numbers. */
import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import { csvOf } from "../../src/explorer/saving/csv";
import type { Weighed } from "../../src/explorer/weighing";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { covered, still } from "./covering";
import { enter, type Mounted, mount, pixelOf, point, press, showView } from "./mount";
import { difference, runs, WORDS } from "./pairs";
import { copied, saved } from "./saving";

const IDLE: Weighed = { state: "idle", needs: { value: null, effect: null } };
const UNIT = 10;
const DONE: Weighed = {
  ...IDLE,
  state: "done",
  target: "Ben",
  versus: "Lily",
  position: 9,
  logit: 9.6193,
  candidates: [
    ["Ben", 0.75],
    ["<b>Lily</b>", 0.125],
  ],
  caveat: "The direct effect alone.",
  promoted: {
    layer: 1,
    head: 2,
    more: [
      ["<img src=x onerror=alert(1)>", 4.62],
      ["him", 1.1],
    ],
    less: [["Donaudampfschifffahrt", -5.02]],
  },
};

/** Python sends it as text. */
const tell = (host: MockModel, weighed: Weighed) =>
  host.fromPython({ weighed: JSON.stringify(weighed) } as never);

function shown(choices: Partial<Choices> = {}, weighed: Weighed = IDLE, width?: number) {
  const host = new MockModel([new MockMap({ queries: WORDS, held: "codes" })], choices);
  tell(host, weighed);
  return { host, view: mount(host, width) };
}

/** The two sides of an effect, as Python shows them. */
function effects(choices: Partial<Choices> = {}, weighed: Weighed = DONE, width?: number) {
  const host = runs({ layer: 1, head: 2, query: 9, weighing: "effect", ...choices });
  const facts = host.get("facts") as object;
  host.fromPython({ facts: { ...facts, unit: UNIT } } as never);
  tell(host, weighed);
  const cell = difference(host, [0, 1, 2], [1, 1, 2]);
  return { host, view: mount(host, width), cell: (query: number, key: number) => UNIT * cell(query, key) };
}

const radio = (view: Mounted, what: string) => view.part<HTMLButtonElement>(`weigh-${what}`);
const said = (view: Mounted) => view.host.shadowRoot!.querySelector(".spoken[role=status]")!.textContent;
const logits = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

describe("the switch", () => {
  it("says what cells are to say", async () => {
    const { host, view } = shown();
    await view.ready();
    expect(radio(view, "weight").ariaChecked).toBe("true");
    radio(view, "value").click();
    await vi.waitFor(() => expect(radio(view, "value").ariaChecked).toBe("true"));
    expect(host.saved).toEqual([{ weighing: "value" }]);
    expect(view.parts("effect")).toEqual([]);
    press(radio(view, "value"), "ArrowRight");
    await vi.waitFor(() => expect(host.get("weighing")).toBe("effect"));
    expect(view.host.shadowRoot!.activeElement).toBe(radio(view, "effect"));
    expect([radio(view, "weight").tabIndex, radio(view, "effect").tabIndex]).toEqual([-1, 0]);
    tell(host, { ...IDLE, state: "running" });
    await vi.waitFor(() => expect(view.part("effect-place").textContent).toContain("running"));
    expect(view.part("weighing").dataset.run).toBe("running");
  });

  it("is not there where the kernel knows nothing of it, and in a lesson that locks it", async () => {
    const host = new MockModel([new MockMap({ queries: WORDS })]);
    const view = mount(host);
    await view.ready();
    expect(view.parts("weighing")).toEqual([]);
    tell(host, IDLE);
    await vi.waitFor(() => expect(view.parts("weighing")).toHaveLength(1));
    const lesson = {
      ...{ prompt: "Look.", predict: null, what: "", answer: null, reveal: "", tolerance: 0 },
      locked: ["weighing"],
    };
    host.fromPython({ facts: { title: "", maps: [host.maps[0]!.facts], lesson } } as never);
    await vi.waitFor(() => expect(view.parts("weighing")).toEqual([]));
  });

  it("says what is missing", async () => {
    const needs = {
      value: "These maps came without values.",
      effect: "An effect on a token needs the model.",
    };
    const { host, view } = shown({}, { ...IDLE, needs });
    await view.ready();
    expect([radio(view, "value").ariaDisabled, radio(view, "value").title]).toEqual(["true", needs.value]);
    expect(radio(view, "effect").getAttribute("aria-description")).toBe(needs.effect);
    radio(view, "effect").click();
    await vi.waitFor(() => expect(view.part("weighing-refused").textContent).toBe(needs.effect));
    expect(said(view)).toBe(needs.effect);
    expect(host.get("weighing")).toBeUndefined();
    radio(view, "weight").click();
    await vi.waitFor(() => expect(view.parts("weighing-refused")).toEqual([]));
  });

  it("needs weights while changes are applied, and the kernel", async () => {
    const { host, view } = shown({ applied: true });
    await view.ready();
    for (const what of ["value", "effect"]) expect(radio(view, what).title).toContain("turn that off first");
    host.fromPython({ applied: false } as never);
    await vi.waitFor(() => expect(radio(view, "effect").ariaDisabled).toBe("false"));
    host.disconnect();
    await vi.waitFor(() => expect(radio(view, "effect").title).toContain("needs the kernel"));
    expect(radio(view, "weight").ariaDisabled).toBe("false");
  });

  it("says why it failed", async () => {
    const { view } = shown(
      { weighing: "effect", target: "Ben and" },
      { ...IDLE, state: "error", why: "No token." },
    );
    await view.ready();
    expect(view.part("weighing-failed").textContent).toBe("No token.");
  });
});

describe("the token of an effect", () => {
  it("is typed, and holds once Enter is pressed or the field is left", async () => {
    const { host, view } = effects();
    await view.ready();
    expect(view.part("effect-place").textContent).toBe("at position 9, logit +9.62");
    const field = view.part<HTMLInputElement>("target");
    expect([field.value, field.placeholder]).toEqual(["", "Ben"]);
    enter(field, "Tom");
    expect(host.get("target")).toBeUndefined();
    press(field, "Enter");
    expect(host.get("target")).toBe("Tom");
    enter(view.part("versus"), "Ada");
    view.part("versus").blur();
    expect(host.get("versus")).toBe("Ada");
  });

  it("is none where the field is emptied", async () => {
    const { host, view } = effects({ versus: "Ada" });
    await view.ready();
    expect(view.part<HTMLInputElement>("versus").value).toBe("Ada");
    enter(view.part("versus"), "");
    press(view.part("versus"), "Enter");
    expect(host.get("versus")).toBe("");
  });

  it("is chosen among the model's own", async () => {
    const { host, view } = effects();
    await view.ready();
    const field = view.part<HTMLInputElement>("target");
    field.focus();
    await vi.waitFor(() => expect(view.parts("target-option")).toHaveLength(2));
    expect(view.parts("target-option").map((one) => one.textContent)).toEqual([
      "Ben 0.75",
      "<b>Lily</b> 0.125",
    ]);
    press(field, "ArrowDown");
    press(field, "ArrowDown");
    await vi.waitFor(() => expect(field.value).toBe("<b>Lily</b>"));
    expect(field.getAttribute("aria-activedescendant")).toBe(view.parts("target-option")[1]!.id);
    press(field, "Escape");
    await vi.waitFor(() => expect([field.value, view.parts("target-option")]).toEqual(["", []]));
    expect(host.get("target")).toBeUndefined();
    view.part("versus").focus();
    await vi.waitFor(() => expect(view.parts("versus-option")).toHaveLength(1));
    view.part("versus-option").click();
    expect(host.get("versus")).toBe("<b>Lily</b>");
  });

  it("has no fault that a checker finds, in light and dark", async () => {
    for (const theme of ["light", "dark"] as const) {
      const { view } = effects({ theme });
      await view.ready();
      view.part("target").focus();
      await vi.waitFor(() => expect(view.parts("target-option")).toHaveLength(2));
      const { violations } = await axe.run(
        view.host.shadowRoot!.querySelector<HTMLElement>(".map > header")!,
      );
      expect(violations.map(({ id, nodes }) => [id, nodes[0]!.html])).toEqual([]);
      view.close();
    }
  });
});

describe("an effect", () => {
  it("is told in logits wherever its numbers are", async () => {
    const { view, cell } = effects();
    await view.ready();
    point(view.heatmap(), "pointermove", 9, 3);
    await vi.waitFor(() =>
      expect(view.part("tooltip").textContent).toContain(`${logits(cell(9, 3))} logits`),
    );
    expect(view.part("tooltip").textContent).not.toContain("before");
    const largest = Number(view.heatmap().dataset.max) * UNIT;
    expect(view.part("legend").textContent).toContain(`+${Number(largest.toPrecision(3))}`);
    expect(view.part("ends").textContent).toBe("logits: ← for “Lily” · for “Ben” →");
    expect(view.part("legend").ariaLabel).toContain("logits, for “Ben”");
    expect(view.heatmap().textContent).toMatch(/^Effect on “Ben” against “Lily”\. Largest: .* logits\.$/);
    const all = Array.from({ length: WORDS.length }, (_, key) => cell(9, key));
    const sum = all.reduce((one, other) => one + other, 0);
    expect(Number(view.part("row-sum").textContent!.replaceAll("−", "-").replace(" logits", ""))).toBeCloseTo(
      sum,
      3,
    );
    const bar = view.part("row").querySelector<HTMLElement>('[data-key="3"]')!;
    expect(bar.title).toBe(`“${WORDS[3]}” ${logits(cell(9, 3))} logits`);
    expect(view.part("row").textContent).toContain("for “Lily”");
  });

  it("has no colours, names and controls of what it is not", async () => {
    const { view } = effects();
    await view.ready();
    for (const part of ["compared", "compare", "query-entropy", "entropy-most", "profile", "minus"])
      expect([part, view.parts(part).length]).toEqual([part, 0]);
    expect(view.part("path").textContent).not.toContain("after");
    expect(view.part("sharpness").textContent).toContain("Temperature");
    const [red, , blue] = pixelOf(view.heatmap(), 9, 9);
    expect(red).not.toBe(blue);
  });

  it("against nothing speaks against the token", async () => {
    const { view } = effects({}, { ...DONE, versus: "" });
    await view.ready();
    expect(view.part("ends").textContent).toBe("logits: ← against “Ben” · for “Ben” →");
  });

  it.each(["text", "lines", "spans", "rows", "layers"])("is told in logits in the view %s", async (name) => {
    const { view } = effects();
    await view.ready();
    showView(view, name);
    await vi.waitFor(() => expect(view.host.dataset.view).toBe(name));
    if (name === "spans") {
      await vi.waitFor(() => expect(view.part("no-spans")).toBeTruthy());
      return;
    }
    await vi.waitFor(() => expect(view.part("ends").textContent).toContain("logits"));
    if (name === "lines")
      expect(view.part("lines-told").textContent).toMatch(/^At “gave”, through .* logits/);
  });

  it("is said where a lesson locks what cells say", async () => {
    const { host, view } = effects();
    const lesson = {
      ...{ prompt: "Look.", predict: null, what: "", answer: null, reveal: "", tolerance: 0 },
      locked: ["weighing"],
    };
    host.fromPython({ facts: { ...(host.get("facts") as object), lesson } } as never);
    await view.ready();
    expect(view.part("effect").textContent).toBe("effect on “Ben” against “Lily” at position 9, logit +9.62");
    expect([view.parts("weighing"), view.parts("target")]).toEqual([[], []]);
  });

  it("is no flow", async () => {
    const { view } = effects({ view: "flow" });
    await view.ready();
    expect(view.host.dataset.view).toBe("heatmap");
  });

  it("leaves as it is told", async () => {
    const { view, cell } = effects();
    await view.ready();
    point(view.heatmap(), "pointermove", 9, 3);
    expect(Number(await copied(view, "copy-value"))).toBeCloseTo(cell(9, 3), 2);
    expect(await copied(view, "copy-code")).toMatch(/^aw\.explore\(text, model=model, .*weighing="effect"/);
  });
});

describe("on paper", () => {
  it("an effect has its token, its numbers and its file's name", async () => {
    const { view, cell } = effects();
    await view.ready();
    const { name, blob } = await saved(view, "save-svg");
    expect(name).toBe("effect-on-Ben-against-Lily-layer-1-head-2.svg");
    const root = new DOMParser().parseFromString(await blob.text(), "image/svg+xml");
    const texts = [...root.querySelectorAll("text")].map((one) => one.textContent);
    expect(texts[0]).toBe("layer 1 · head 2");
    expect(texts).toContain("Effect on “Ben” against “Lily” at position 9, logit +9.62");
    expect(texts).toContain("logits: ← for “Lily” · for “Ben” →");
    const written = Math.abs(cell(9, 3)).toFixed(2).replace(/^0\./, ".");
    expect(texts).toContain(`${cell(9, 3) < 0 ? "−" : "+"}${written}`);
    expect(texts.join(" ")).not.toMatch(/before|after/);
  });
});

it("goes into a table in logits", () => {
  const map = new MockMap({ queries: ["a", "b"] }).facts;
  const tile = {
    rows: [0, 2],
    columns: [0, 2],
    stride: [1, 1],
    shape: [2, 2],
    pooling: "max",
    sampled: null,
  };
  const shown = { tile, values: Float32Array.of(0.5, Number.NaN, -0.25, 0.125), undefinedRows: [] };
  const text = csvOf(map, shown as never, { unit: UNIT, target: "Ben", versus: "" });
  expect(text.slice(1).split("\r\n")).toEqual([
    "effect on “Ben”, logits, query,a,b".replace(/^.*query/, '"$&"'),
    "a,5,",
    "b,-2.5,1.25",
    "",
  ]);
});

describe("words that the head promotes", () => {
  it("are text, cut where they are long, and those of the chosen head", async () => {
    const { host, view } = effects();
    await view.ready();
    expect(view.parts("promoted-word").map((one) => one.textContent)).toEqual([
      "<img sr…rt(1)> +4.6",
      "him +1.1",
      "Donauda…ffahrt −5.0",
    ]);
    expect(view.part("promoted").querySelector("img")).toBeNull();
    host.fromPython({ head: 3 });
    await vi.waitFor(() => expect(view.part("promoted").dataset.stale).toBe("true"));
    tell(host, { ...DONE, promoted: null });
    await vi.waitFor(() => expect(view.parts("promoted")).toEqual([]));
  });
});

describe("values", () => {
  it("are told as shares of the row", async () => {
    const { view } = shown({ weighing: "value" }, { ...IDLE, state: "done" });
    await view.ready();
    expect(view.part("legend").textContent).toContain("weight × size of value, of each row");
    point(view.heatmap(), "pointermove", 9, 3);
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("of the row"));
  });
});

describe.each([360, 620, 900, 1500])("at %i px", (width) => {
  it("nothing of it lies over anything else", async () => {
    const { view } = effects({}, DONE, width);
    await view.ready();
    await still(view);
    expect(covered(view)).toEqual([]);
    const edge = view.host.getBoundingClientRect().right + 1;
    for (const part of ["weighing", "effect", "promoted"])
      expect(view.part(part).getBoundingClientRect().right).toBeLessThan(edge);
  });
});
