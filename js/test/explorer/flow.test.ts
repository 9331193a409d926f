import { describe, expect, it, vi } from "vitest";
import { HOSTILE, noSeriousFinding } from "../looking";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, mount, press, slide, viewsOffered } from "./mount";
import { saved } from "./saving";

const TEXT = ["Lily", "gave", "the", "ball", "to"];
const small = (heads = [2, 2, 2]) => new MockMap({ queries: TEXT, heads });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "flow", ...choices });
type View = ReturnType<typeof mount>;

const diagram = (view: View) => view.part<HTMLCanvasElement>("flow-diagram");
const carriedOf = (view: View) => Number(view.part("flow-carried").dataset.carried);
const drawn = (view: View) =>
  vi.waitFor(() => expect(view.parts("flow-diagram")).toHaveLength(1), { timeout: 5000 });

/** Of the edges between two layers, head by head, what a token's share is multiplied by; the last is the residual path. */
function edgesOf(map: MockMap, layer: number, from: number, to: number, each: boolean): number[] {
  const heads = map.facts.heads[layer]!;
  const parts = Array.from({ length: heads }, (_, head) => map.row(layer, head, from)[to]! / 2 / heads);
  parts.push(from === to ? 0.5 : 0);
  return each ? parts : [parts.reduce((sum, part) => sum + part, 0)];
}

/** All paths one by one: the share of every edge, and what those of heavy edges alone carry. */
function byHand(map: MockMap, query: number, threshold: number, each: boolean) {
  let paths: { at: number; weight: number; edges: string[] }[] = [{ at: query, weight: 1, edges: [] }];
  for (let layer = map.facts.heads.length - 1; layer >= 0; layer--) {
    paths = paths.flatMap(({ at, weight, edges }) =>
      TEXT.flatMap((_, to) =>
        edgesOf(map, layer, at, to, each).map((part, head) => ({
          at: to,
          weight: weight * part,
          edges: [...edges, `${layer}/${at}/${to}/${head}`],
        })),
      ),
    );
  }
  const shares = new Map<string, number>();
  for (const { weight, edges } of paths)
    for (const edge of edges) shares.set(edge, (shares.get(edge) ?? 0) + weight);
  const heavy = new Set(
    [...shares].filter(([, share]) => share > 0 && share >= threshold).map(([edge]) => edge),
  );
  const whole = paths.filter(({ edges }) => edges.every((edge) => heavy.has(edge)));
  const lines = new Set([...heavy].map((edge) => edge.split("/").slice(0, 3).join("/")));
  return { carried: whole.reduce((sum, { weight }) => sum + weight, 0), lines: lines.size };
}

/** Where a token of a level is on the page. */
function placeOf(view: View, token: number, level: number) {
  const canvas = diagram(view);
  const [x, y, width, height] = canvas.dataset.plot!.split(",").map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const levels = 3;
  const box = canvas.getBoundingClientRect();
  return {
    clientX: box.left + x + ((token + 0.5) / TEXT.length) * width,
    clientY: box.top + y + (1 - level / levels) * height,
    bubbles: true,
    composed: true,
  };
}

describe("the flow", () => {
  it.each(["mean", "each"] as const)("draws the edges and says what they carry, %s", async (heads) => {
    const host = shown(small(), { flow_heads: heads, flow_threshold: 0.03 });
    const view = mount(host);
    await drawn(view);
    const expected = byHand(host.maps[0]!, 4, 0.03, heads === "each");
    expect(carriedOf(view)).toBeCloseTo(expected.carried, 5);
    expect(Number(diagram(view).dataset.edges)).toBe(expected.lines);
    expect(view.part("flow-carried").textContent).toBe(
      `Nothing is pinned, so this is the last token, “to” at 4, back through 3 layers. The drawn paths carry ${expected.carried.toFixed(4)} of what reaches the input.`,
    );
  });

  it("moves its threshold without asking anybody", async () => {
    const host = shown(small());
    const view = mount(host);
    await drawn(view);
    await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
    const asked = host.sent.length;
    for (const threshold of [0.1, 0.03]) {
      slide(view.part<HTMLInputElement>("flow-threshold"), Math.log10(threshold));
      const expected = byHand(host.maps[0]!, 4, threshold, false);
      await vi.waitFor(() => expect(carriedOf(view)).toBeCloseTo(expected.carried, 5));
      expect(host.get("flow_threshold")).toBe(threshold);
    }
    expect(host.sent.length).toBe(asked);
  });

  it("follows another token at a click, and names the heads of a line", async () => {
    const host = shown(small(), { flow_threshold: 0.002 });
    const view = mount(host);
    await drawn(view);
    diagram(view).dispatchEvent(new MouseEvent("click", placeOf(view, 2, 0)));
    expect(host.get("query")).toBe(2);
    await vi.waitFor(() => expect(diagram(view).dataset.query).toBe("2"));
    choose(view.part<HTMLSelectElement>("flow-heads"), "each");
    expect(host.get("flow_heads")).toBe("each");
    await vi.waitFor(() =>
      expect(host.sent.some(({ op, heads }) => op === "paths" && heads === "each")).toBe(true),
    );
    await drawn(view);
    const [one, other] = [placeOf(view, 2, 3), placeOf(view, 0, 2)];
    const between = {
      clientX: one.clientX + 0.6 * (other.clientX - one.clientX),
      clientY: one.clientY + 0.6 * (other.clientY - one.clientY),
      bubbles: true,
    };
    diagram(view).dispatchEvent(new PointerEvent("pointermove", between));
    await vi.waitFor(() => expect(view.parts("tooltip")).toHaveLength(1));
    expect(view.part("tooltip").textContent).toMatch(
      /“the” ← “Lily”0\.\d{4} of the flowlayer 2: head [01] 0\.\d{3}/,
    );
    expect(host.get("key") ?? null).toBeNull();
  });

  it("lights what another view points at, and tells them what it points at", async () => {
    const host = shown(small());
    const view = mount(host);
    await drawn(view);
    diagram(view).dispatchEvent(new PointerEvent("pointermove", placeOf(view, 4, 3)));
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“to”1.0000 of the flow"));
    diagram(view).dispatchEvent(new PointerEvent("pointerleave"));
    await vi.waitFor(() => expect(view.parts("tooltip")).toEqual([]));
  });

  it("is walked by arrows, and followed by Enter", async () => {
    const host = shown(small(), { flow_threshold: 0.002 });
    const view = mount(host);
    await drawn(view);
    const canvas = diagram(view);
    canvas.focus();
    press(canvas, "ArrowDown");
    press(canvas, "ArrowDown");
    press(canvas, "ArrowLeft");
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.querySelector(".spoken[role=status]")!.textContent).toMatch(
        /^“ball”, after layer 1: 0\.\d{4}, most of it from “/,
      ),
    );
    press(canvas, "Enter");
    expect(host.get("query")).toBe(3);
    press(canvas, "Escape");
    expect(host.get("query")).toBeNull();
  });

  it("is for self-attention of several layers alone", async () => {
    const views = async (map: MockMap) => {
      const view = mount(new MockModel([map]));
      await view.ready();
      return Number(viewsOffered(view).includes("flow"));
    };
    expect(await views(small())).toBe(1);
    expect(await views(small([2]))).toBe(0);
    expect(await views(new MockMap({ queries: TEXT, keys: ["a", "b"], causal: false }))).toBe(0);
    expect(await views(new MockMap({ queries: TEXT, heads: [1, 1], derived: "rollout" }))).toBe(0);
  });

  it("says why where it cannot be had, and asks again", async () => {
    const host = shown(small());
    host.policy = ({ op }) => (op === "paths" ? { error: "2.0 billion weights would be read." } : "answer");
    const view = mount(host);
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.textContent).toContain("2.0 billion weights would be read."),
    );
    host.policy = () => "answer";
    view.part("retry").click();
    await drawn(view);
  });

  it("gives columns to what it goes through where a text is long", async () => {
    const words = Array.from({ length: 300 }, (_, at) => `word${at}`);
    const view = mount(shown(new MockMap({ queries: words, heads: [1, 1] })));
    await drawn(view);
    const columns = Number(diagram(view).dataset.columns);
    expect(columns).toBeLessThan(100);
    expect(view.part("flow").textContent).toContain(
      `Of 300 tokens the ${columns} that it goes through have columns.`,
    );
  });

  it.each([420, 600, 760, 1000, 1366, 1600])("fits in %i px, whatever the tokens are", async (width) => {
    const view = mount(shown(new MockMap({ queries: HOSTILE, heads: [2, 2, 2], causal: false })), width);
    await drawn(view);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect(diagram(view).getBoundingClientRect().right).toBeLessThanOrEqual(
      view.el.getBoundingClientRect().right,
    );
    expect((window as { hurt?: boolean }).hurt).toBeUndefined();
  });

  it("leaves as a picture with a line for each edge, and what they carry", async () => {
    const view = mount(shown(small(), { flow_threshold: 0.05, temperature: 0.5 }));
    await drawn(view);
    await view.ready();
    const { blob } = await saved(view, "save-svg");
    const root = new DOMParser().parseFromString(await blob.text(), "application/xml").documentElement;
    const expected = byHand(small(), 4, 0.05, false);
    // And one for each level.
    expect(root.querySelectorAll("path")).toHaveLength(expected.lines + 4);
    const said = [...root.querySelectorAll("text")].map(({ textContent }) => textContent).join(" ");
    expect(said).toContain(`The drawn paths carry ${expected.carried.toFixed(4)} of what reaches the input.`);
    expect(said).toContain("Flow through the layers");
    expect(said).not.toContain("temperature 0.5");
  });

  it.each(["flow", "layers", "rows"])("and what is beside it show a text of one token, %s", async (name) => {
    const view = mount(new MockModel([new MockMap({ queries: ["alone"], heads: [2, 2] })], { view: name }));
    await view.ready();
    const part = { flow: "flow-diagram", layers: "depth", rows: "strips" }[name]!;
    await vi.waitFor(() => expect(view.parts(part)).toHaveLength(1));
    if (name === "flow") expect(carriedOf(view)).toBe(1);
  });

  it.each(["light", "dark"] as const)("has no serious finding of axe, %s", async (theme) => {
    const view = mount(shown(small(), { theme }));
    await drawn(view);
    await noSeriousFinding(view);
  });
});
