import { describe, expect, it, vi } from "vitest";
import { thumbnails } from "../../src/answers/thumbnails";
import { HOSTILE, noSeriousFinding } from "../looking";
import { MEASURES, MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, press, viewsOffered } from "./mount";
import { saved } from "./saving";

const TEXT = ["Lily", "gave", "the", "ball", "to", "Ben"];
const small = (more = {}) => new MockMap({ queries: TEXT, heads: [3, 3, 3, 3], ...more });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "layers", ...choices });
type View = ReturnType<typeof mount>;

const loaded = (view: View) =>
  vi.waitFor(
    () => {
      expect(view.parts("multiple").length).toBeGreaterThan(0);
      expect(view.parts("multiple", '[data-loaded="false"]')).toEqual([]);
    },
    { timeout: 5000 },
  );
const settled = async (view: View) => {
  await loaded(view);
  await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
};
const seen = (view: View) => Number(view.part("layers-frame").dataset.layer);

/** The colour in the middle of a cell of a layer's small map. */
function colourAt(view: View, layer: number, query: number, key: number): number[] {
  const canvas = view.part<HTMLCanvasElement>("multiples");
  const box = canvas.getBoundingClientRect();
  const area = view.part("multiple", `[data-layer="${layer}"]`).getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const x = (area.left - box.left + ((key + 0.5) / TEXT.length) * area.width) * ratio;
  const y = (area.top - box.top + ((query + 0.5) / TEXT.length) * area.height) * ratio;
  return [...canvas.getContext("2d")!.getImageData(Math.floor(x), Math.floor(y), 1, 1).data.slice(0, 3)];
}

describe("one head through the layers", () => {
  it("shows the weights of the chosen head in every layer", async () => {
    const host = shown(small(), { head: 2, color_map: "greys" });
    const view = mount(host);
    await settled(view);
    for (const layer of [0, 1, 2, 3]) {
      const rows = TEXT.map((_, query) => host.maps[0]!.row(layer, 2, query));
      const peak = Math.max(...rows.slice(1).flatMap((row) => [...row]));
      // The darker, the more: in the order of the weights, and white where there are none.
      const cells = [3, 4, 5].flatMap((query) =>
        TEXT.map((_, key) => ({ query, key, weight: rows[query]![key]! })),
      );
      const sorted = cells.sort((one, other) => one.weight - other.weight);
      const greys = sorted.map(({ query, key }) => colourAt(view, layer, query, key)[0]!);
      for (const [at, grey] of greys.entries())
        if (at > 0) expect(grey).toBeLessThanOrEqual(greys[at - 1]! + 2);
      expect(greys[0]).toBeGreaterThan(250);
      expect(sorted.at(-1)!.weight > 0.9 * peak ? greys.at(-1)! : 0).toBeLessThan(60);
    }
  });

  it("plays without asking anybody, and stays where it is stopped", async () => {
    const host = shown(small());
    const view = mount(host);
    await settled(view);
    const unnumbered = () =>
      view.parts("multiple").filter((one) => !one.getAttribute("aria-label")!.includes(" nats"));
    await vi.waitFor(() => expect(unnumbered()).toEqual([]));
    const asked = host.sent.length;
    view.part("play").click();
    await vi.waitFor(() => expect(seen(view)).toBe(2), { timeout: 5000 });
    expect(host.get("layer") ?? 0).toBe(0);
    // What makes the chosen head's own neighbours ready may still come; of the layers that are played nothing is asked.
    expect(host.sent.slice(asked).filter(({ layer }) => layer !== 0)).toEqual([]);
    press(view.part("layers"), " ");
    expect(host.get("layer")).toBe(2);
    await vi.waitFor(() => expect(view.part("layers").dataset.playing).toBe("false"));
    expect(view.part("multiple", '[aria-checked="true"]').dataset.layer).toBe("2");
  });

  it("goes to a layer at a click, by key, and with whoever chooses one", async () => {
    const host = shown(small());
    const view = mount(host);
    await settled(view);
    view.part("multiple", '[data-layer="3"]').click();
    expect(host.get("layer")).toBe(3);
    press(view.part("multiple", '[data-layer="3"]'), "ArrowLeft");
    expect(host.get("layer")).toBe(2);
    view.part("play").click();
    host.fromPython({ layer: 1 });
    await vi.waitFor(() => expect([seen(view), view.part("layers").dataset.playing]).toEqual([1, "false"]));
  });

  it("has the entropy of the heads along the depth, and goes to the layer that is clicked", async () => {
    const host = shown(small(), { head: 1 });
    const view = mount(host);
    await settled(view);
    const canvas = view.part("depth");
    const [x, y, width] = canvas.dataset.plot!.split(",").map(Number) as [number, number, number];
    const box = canvas.getBoundingClientRect();
    const place = { clientX: box.left + x + (2.5 / 4) * width, clientY: box.top + y + 20, bubbles: true };
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
    const map = host.maps[0]!;
    const entropies = [0, 1, 2].map((head) => MEASURES[0]!.of(map, 2, head));
    await vi.waitFor(() => expect(view.part("depth-said").textContent).toContain("layer 2"));
    const numbers = view
      .part("depth-said")
      .textContent!.match(/\d+\.\d+/g)!
      .map(Number);
    const mean = entropies.reduce((sum, one) => sum + one, 0) / 3;
    for (const [at, expected] of [
      entropies[1]!,
      mean,
      Math.min(...entropies),
      Math.max(...entropies),
    ].entries())
      expect(Math.abs(numbers[at]! - expected)).toBeLessThan(0.051);
    canvas.dispatchEvent(new MouseEvent("click", place));
    expect(host.get("layer")).toBe(2);
  });

  it("follows the measure of the grid, and says where there is no number", async () => {
    const host = shown(small({ measured: { without: [[1, 0]] } }), { measure: "first_token" });
    const view = mount(host);
    await settled(view);
    const named = view.part("multiple", '[data-layer="1"]').getAttribute("aria-label");
    expect(named).toMatch(
      /^Layer 1: first token of head 0: –; mean of heads 0\.\d\d, from 0\.\d\d to 0\.\d\d$/,
    );
    const own = MEASURES[2]!.of(host.maps[0]!, 2, 0);
    await vi.waitFor(() =>
      expect(view.part("multiple", '[data-layer="2"]').getAttribute("aria-label")).toContain(
        `head 0: ${own.toFixed(2)}`,
      ),
    );
  });

  it("lights the same cell in every layer, and in the other views", async () => {
    const view = mount(shown(small()));
    await settled(view);
    const marks = view.host.shadowRoot!.querySelector<HTMLCanvasElement>(".layer-maps .marks")!;
    const inked = () =>
      marks.getContext("2d")!.getImageData(0, 0, marks.width, marks.height).data.some(Boolean);
    expect(inked()).toBe(false);
    const area = view.part("multiple", '[data-layer="2"]').getBoundingClientRect();
    const place = {
      clientX: area.left + area.width / 4,
      clientY: area.top + area.height * 0.9,
      bubbles: true,
    };
    view.part("multiple", '[data-layer="2"]').dispatchEvent(new PointerEvent("pointermove", place));
    await vi.waitFor(() => expect(inked()).toBe(true));
    expect(view.host.shadowRoot!.querySelector("figcaption")!.textContent).toContain("“Ben” → “gave”");
  });

  it("shows maps of one head a layer, and layers without the chosen head", async () => {
    const derived = mount(shown(small({ heads: [1, 1], derived: "mean of heads", name: "mean of heads" })));
    await settled(derived);
    expect(derived.part("multiple", '[data-layer="1"]').getAttribute("aria-label")).toMatch(
      /^Layer 1: mean row entropy of mean of heads: \d\.\d+ nats$/,
    );
    const uneven = mount(shown(new MockMap({ queries: TEXT, heads: [4, 2] }), { head: 3 }));
    await settled(uneven);
    expect(uneven.part("multiple", '[data-layer="1"]').getAttribute("aria-label")).toContain("head 3: –");
  });

  it("is not there for one layer", async () => {
    const view = mount(new MockModel([small({ heads: [3] })]));
    await view.ready();
    expect(viewsOffered(view)).not.toContain("layers");
  });

  it.each([420, 600, 760, 1000, 1366, 1600])("fits in %i px, whatever the tokens are", async (width) => {
    const view = mount(shown(new MockMap({ queries: HOSTILE, heads: Array(12).fill(2) })), width);
    await loaded(view);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect((window as { hurt?: boolean }).hurt).toBeUndefined();
  });

  it("leaves as a picture that says what it is", async () => {
    const view = mount(shown(small()));
    await settled(view);
    await view.ready();
    const { blob } = await saved(view, "save-svg");
    const root = new DOMParser().parseFromString(await blob.text(), "application/xml").documentElement;
    const said = [...root.querySelectorAll("text")].map(({ textContent }) => textContent).join(" ");
    expect(said).toContain("head 0 through the layers");
    expect(root.querySelectorAll("image")).toHaveLength(4);
    expect(said).toContain("mean row entropy, nats");
  });

  it.each(["light", "dark"] as const)("has no serious finding of axe, %s", async (theme) => {
    const view = mount(shown(small(), { theme }));
    await settled(view);
    await noSeriousFinding(view);
  });

  it("asks for the small maps of a layer once", async () => {
    const host = shown(small());
    const view = mount(host);
    await settled(view);
    const asked = host.sent
      .filter(({ op }) => op === "thumbnails")
      .map(({ map, layer }) => thumbnails(map, layer).name);
    expect(new Set(asked).size).toBe(asked.length);
  });
});
