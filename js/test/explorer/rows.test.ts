import { describe, expect, it, vi } from "vitest";
import { HOSTILE, noSeriousFinding } from "../looking";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, press, viewsOffered } from "./mount";
import { saved } from "./saving";

const TEXT = ["Lily", "gave", "the", "ball", "to", "Ben"];
const small = (more = {}) => new MockMap({ queries: TEXT, heads: [3, 2, 3], ...more });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "rows", ...choices });
type View = ReturnType<typeof mount>;

const strips = (view: View) => view.part<HTMLCanvasElement>("strips");
const drawn = async (view: View) => {
  await vi.waitFor(() => expect(view.parts("strips")).toHaveLength(1), { timeout: 5000 });
  await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"), { timeout: 5000 });
};

/** In CSS pixels from the corner of the canvas; two pixels above the first layer, six between two. */
function placeOf(view: View, heads: readonly number[], layer: number, head: number, key: number) {
  const [left, wide, line] = strips(view).dataset.plot!.split(",").map(Number) as [number, number, number];
  const above = heads.slice(0, layer).reduce((sum, count) => sum + count * line + 6, 2);
  return { x: left + (key + 0.5) * wide, y: above + (head + 0.5) * line };
}

function at(view: View, layer: number, head: number, key: number) {
  const box = strips(view).getBoundingClientRect();
  const { x, y } = placeOf(view, [3, 2, 3], layer, head, key);
  return { clientX: box.left + x, clientY: box.top + y, bubbles: true, composed: true };
}

function greyAt(view: View, layer: number, head: number, key: number): number {
  const canvas = strips(view);
  const ratio = canvas.width / canvas.clientWidth;
  const { x, y } = placeOf(view, [3, 2, 3], layer, head, key);
  return canvas.getContext("2d")!.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data[0]!;
}

describe("where every head looks from one query", () => {
  it("has a strip for each head, dark where its weights are", async () => {
    const host = shown(small(), { query: 5, color_map: "greys" });
    const view = mount(host);
    await drawn(view);
    expect(view.part("rows-query").textContent).toBe(
      "Where every head looks from “Ben” at 5: a line for each head, a column for each key.",
    );
    for (const [layer, heads] of [3, 2, 3].entries()) {
      for (let head = 0; head < heads; head++) {
        const row = host.maps[0]!.row(layer, head, 5);
        const order = [...row.keys()].sort((one, other) => row[one]! - row[other]!);
        const greys = order.map((key) => greyAt(view, layer, head, key));
        for (const [place, grey] of greys.entries())
          if (place > 0) expect(grey).toBeLessThanOrEqual(greys[place - 1]! + 2);
        expect(greys.at(-1)).toBeLessThan(40);
      }
    }
  });

  it("says the weight under the pointer, and chooses the head that is clicked", async () => {
    const host = shown(small(), { query: 5 });
    const view = mount(host);
    await drawn(view);
    strips(view).dispatchEvent(new PointerEvent("pointermove", at(view, 2, 1, 3)));
    const weight = host.maps[0]!.row(2, 1, 5)[3]!;
    await vi.waitFor(() =>
      expect(view.part("rows-said").textContent).toContain("layer 2 · head 1 → “ball” at 3"),
    );
    expect(Number(view.part("rows-said").textContent!.match(/(\d\.\d{4})$/)![1])).toBeCloseTo(weight, 3);
    strips(view).dispatchEvent(new MouseEvent("click", at(view, 2, 1, 3)));
    expect([host.get("layer"), host.get("head")]).toEqual([2, 1]);
    expect(host.get("key") ?? null).toBeNull();
  });

  it("asks for each layer once for a query, and shows the last where none is pinned", async () => {
    const host = shown(small());
    const view = mount(host);
    await drawn(view);
    expect(view.part("rows-query").textContent).toContain("“Ben” at 5, the last as none is pinned");
    host.fromPython({ query: 2 });
    await vi.waitFor(() => expect(strips(view).dataset.query).toBe("2"));
    await drawn(view);
    const asked = host.sent.filter(({ op }) => op === "rows").map(({ layer, query }) => `${layer}/${query}`);
    expect(asked.sort()).toEqual(["0/2", "0/5", "1/2", "1/5", "2/2", "2/5"]);
  });

  it("is walked by keys over the edge of a layer, and Enter pins the key", async () => {
    const host = shown(small(), { query: 5, layer: 0, head: 2 });
    const view = mount(host);
    await drawn(view);
    const canvas = strips(view);
    canvas.focus();
    press(canvas, "ArrowDown");
    expect([host.get("layer"), host.get("head")]).toEqual([1, 0]);
    press(canvas, "ArrowRight");
    press(canvas, "ArrowRight");
    press(canvas, "Enter");
    expect([host.get("query"), host.get("key")]).toEqual([5, 1]);
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.querySelector(".spoken[role=status]")!.textContent).toContain(
        "layer 1 · head 0 → “gave” at 1",
      ),
    );
  });

  it("draws no more than what is in sight of a thousand heads", async () => {
    const view = mount(shown(new MockMap({ queries: TEXT, heads: Array(64).fill(16) }), { layer: 60 }));
    await drawn(view);
    expect(strips(view).clientHeight).toBeLessThanOrEqual(600);
    const scroll = view.host.shadowRoot!.querySelector<HTMLElement>(".scroll")!;
    expect(scroll.scrollHeight).toBeGreaterThan(4000);
    await vi.waitFor(() => expect(scroll.scrollTop).toBeGreaterThan(3000));
  });

  it("is not there for one head, nor for what was made of all", async () => {
    for (const map of [small({ heads: [1] }), small({ heads: [1, 1], derived: "rollout" })]) {
      const view = mount(new MockModel([map]));
      await view.ready();
      expect(viewsOffered(view)).not.toContain("rows");
    }
  });

  it("has other keys than queries", async () => {
    const host = shown(
      new MockMap({ queries: TEXT, keys: ["der", "Ball"], causal: false, heads: [3, 2, 3] }),
    );
    const view = mount(host);
    await drawn(view);
    strips(view).dispatchEvent(new PointerEvent("pointermove", at(view, 0, 0, 1)));
    await vi.waitFor(() => expect(view.part("rows-said").textContent).toContain("“Ball” at 1"));
  });

  it("says why where rows cannot be had", async () => {
    const host = shown(small());
    host.policy = ({ op }) => (op === "rows" ? { error: "These rows are gone." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("These rows are gone."));
  });

  it.each([420, 600, 760, 1000, 1366, 1600])("fits in %i px, whatever the tokens are", async (width) => {
    const view = mount(shown(new MockMap({ queries: HOSTILE, heads: Array(12).fill(12) })), width);
    await drawn(view);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect((window as { hurt?: boolean }).hurt).toBeUndefined();
  });

  it("leaves as a picture that says what it is", async () => {
    const view = mount(shown(small()));
    await drawn(view);
    await view.ready();
    const { blob } = await saved(view, "save-svg");
    const root = new DOMParser().parseFromString(await blob.text(), "application/xml").documentElement;
    const said = [...root.querySelectorAll("text")].map(({ textContent }) => textContent).join(" ");
    expect(said).toContain("Where every head looks");
    expect(root.querySelectorAll("image")).toHaveLength(3);
    for (const word of TEXT) expect(said).toContain(word);
  });

  it.each(["light", "dark"] as const)("has no serious finding of axe, %s", async (theme) => {
    const view = mount(shown(small(), { theme }));
    await drawn(view);
    await noSeriousFinding(view);
  });
});
