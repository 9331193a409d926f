import { describe, expect, it, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, press, showView, slide, viewsOffered } from "./mount";

const GRID = { start: 1, rows: 4, columns: 6, picture: true, digest: 1 };
const PATCHES = ["[CLS]", ...Array.from({ length: 24 }, (_, at) => `${Math.floor(at / 6)},${at % 6}`)];
const vit = (picture = true) =>
  new MockMap({ queries: PATCHES, causal: false, special: [0], image: { ...GRID, picture } });
const caption = () =>
  new MockMap({ queries: ["a", "red", "barn"], keys: PATCHES, causal: false, image: GRID });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "image", ...choices });
type View = ReturnType<typeof mount>;
const picture = (view: View) => view.part<HTMLCanvasElement>("image");

function at(view: View, row: number, column: number) {
  const box = picture(view).getBoundingClientRect();
  return {
    clientX: box.left + ((column + 0.5) / 6) * box.width,
    clientY: box.top + ((row + 0.5) / 4) * box.height,
    bubbles: true,
    composed: true,
  };
}

function colourAt(view: View, row: number, column: number): number[] {
  const canvas = picture(view);
  const context = canvas.getContext("2d")!;
  const x = Math.floor(((column + 0.5) / 6) * canvas.width);
  const y = Math.floor(((row + 0.5) / 4) * canvas.height);
  return [...context.getImageData(x, y, 1, 1).data.slice(0, 3)];
}

const pictured = (view: View) =>
  vi.waitFor(() => expect(picture(view).dataset.picture).toBe("true"), { timeout: 5000 });

describe("the image view", () => {
  it("is offered where there are patches, and only there", async () => {
    const host = new MockModel([vit(), new MockMap({ name: "text", queries: ["a", "b"] })]);
    const view = mount(host);
    await view.ready();
    showView(view, "image");
    expect(host.get("view")).toBe("image");
    await view.ready();
    host.fromPython({ map: "text" });
    await vi.waitFor(() => expect(view.parts("heatmap")).toHaveLength(1));
    expect(viewsOffered(view)).not.toContain("image");
    await view.ready();
  });

  it("lays the weights over the picture, and hides nothing of the row", async () => {
    const host = shown(vit());
    const view = mount(host);
    await view.ready();
    await pictured(view);
    const weights = host.maps[0]!.row(0, 0, 0);
    const patches = weights.slice(1).reduce((sum, weight) => sum + weight, 0);
    expect(Number(picture(view).dataset.mass)).toBeCloseTo(patches, 3);
    expect(Number(view.part("image-token", '[data-key="0"]').dataset.weight)).toBeCloseTo(weights[0]!, 3);
    expect(view.part("image-query").textContent).toMatch(
      /^Nothing is pinned, so this is query “\[CLS\]”: 0\.\d{4} on the patches, 0\.\d{4} on other tokens\.$/,
    );
    const strongest = weights.slice(1).indexOf(Math.max(...weights.slice(1)));
    const place = `row ${Math.floor(strongest / 6)}, column ${strongest % 6}`;
    expect(picture(view).getAttribute("aria-label")).toContain(
      `Attention of query “[CLS]” over 4 by 6 patches. Strongest patch: ${place}, 0.`,
    );
  });

  it("shows the picture itself without the overlay, and the colours of the legend in full", async () => {
    const view = mount(shown(vit()));
    await view.ready();
    await pictured(view);
    slide(view.part<HTMLInputElement>("overlay"), 0);
    await vi.waitFor(() => {
      const [red, green, blue] = colourAt(view, 3, 0);
      expect([red! > 170, green! < 60, Math.abs(blue! - 90) < 4]).toEqual([true, true, true]);
    });
    slide(view.part<HTMLInputElement>("overlay"), 1);
    const strongest = Number(picture(view).dataset.strongest);
    await vi.waitFor(() => {
      // The end of the ink ramp is the accent at its darkest.
      const [red, green, blue] = colourAt(view, Math.floor(strongest / 6), strongest % 6);
      expect([red! < 40, green! < 80, blue! > 100]).toEqual([true, true, true]);
    });
  });

  it("follows a click on a patch, on a token beside, and the temperature", async () => {
    const host = shown(vit());
    const view = mount(host);
    await view.ready();
    picture(view).dispatchEvent(new MouseEvent("click", at(view, 2, 3)));
    expect(host.get("query")).toBe(1 + 2 * 6 + 3);
    await vi.waitFor(() => expect(picture(view).dataset.query).toBe("16"));
    expect(view.part("image-query").textContent).toMatch(/^Query “2,3”: 0\./);
    expect(view.parts("patch-query")).toHaveLength(1);
    host.fromPython({ temperature: 0.5 });
    const cooled = host.maps[0]!.row(0, 0, 16, 0.5);
    await vi.waitFor(() => expect(Number(picture(view).dataset.mass)).toBeCloseTo(1 - cooled[0]!, 2));
    view.part("image-token", '[data-key="0"]').click();
    expect(host.get("query")).toBe(0);
    press(picture(view), "Escape");
    expect(host.get("query")).toBeNull();
  });

  it("says the weight of a patch under the pointer", async () => {
    const host = shown(vit());
    const view = mount(host);
    await view.ready();
    picture(view).dispatchEvent(new PointerEvent("pointermove", at(view, 1, 4)));
    const weight = host.maps[0]!.row(0, 0, 0)[1 + 6 + 4]!;
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“1,4”"));
    expect(view.part("tooltip").textContent).toContain("patch in row 1, column 4");
    expect(view.part("tooltip").textContent).toContain(weight.toFixed(4).slice(0, 5));
    expect(host.saved).toEqual([]);
  });

  it("is walked by arrows and pinned by Enter", async () => {
    const host = shown(vit());
    const view = mount(host);
    await view.ready();
    const canvas = picture(view);
    canvas.focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"])
      press(canvas, key);
    await vi.waitFor(() =>
      expect(view.host.shadowRoot!.querySelector(".spoken[role=status]")!.textContent).toMatch(
        /^row 0, column 0: 0\./,
      ),
    );
    press(canvas, "ArrowDown");
    press(canvas, "Enter");
    expect(host.get("query")).toBe(7);
  });

  it("is a grid of patches where the picture did not come", async () => {
    const host = shown(vit(false));
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
    expect(picture(view).dataset.picture).toBe("false");
    expect(host.sent.some(({ op }) => op === "picture")).toBe(false);
    expect(view.parts("overlay")).toEqual([]);
  });

  it("says why where the picture cannot be had, and can be tried again", async () => {
    const host = shown(vit());
    host.policy = ({ op }) => (op === "picture" ? { error: "The picture is gone." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("The picture is gone."));
    host.policy = () => "answer";
    view.part("retry").click();
    await pictured(view);
  });

  it("takes words for queries where the picture is what they look at", async () => {
    const host = shown(caption());
    const view = mount(host);
    await view.ready();
    const words = () => [...view.host.shadowRoot!.querySelectorAll<HTMLElement>(".word")];
    expect(words().map((word) => word.textContent)).toEqual(["a", "red", "barn"]);
    words()[2]!.click();
    expect(host.get("query")).toBe(2);
    await vi.waitFor(() => expect(picture(view).dataset.query).toBe("2"));
    picture(view).dispatchEvent(new MouseEvent("click", at(view, 3, 5)));
    expect([host.get("query"), host.get("key")]).toEqual([2, 24]);
    await vi.waitFor(() => expect(view.parts("patch-key")).toHaveLength(1));
  });

  it("reads one exact row of a map that is pooled", async () => {
    const grid = { start: 0, rows: 36, columns: 36, picture: false };
    const many = Array.from({ length: 36 * 36 }, (_, at) => `${Math.floor(at / 36)},${at % 36}`);
    const host = shown(new MockMap({ queries: many, heads: [1], causal: false, image: grid }));
    host.policy = ({ op, rows }) =>
      op === "tile" && rows[1] - rows[0] === 1 ? "answer" : op === "tile" ? "answer" : "hold";
    const view = mount(host);
    await vi.waitFor(() => expect(Number(picture(view).dataset.mass)).toBeCloseTo(1, 3), { timeout: 20_000 });
    expect(picture(view).dataset.query).toBe("0");
  }, 60_000);

  it.each([420, 600, 1000, 1400])("fits in %i px", async (width) => {
    const view = mount(shown(vit()), width);
    await view.ready();
    await pictured(view);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    const box = picture(view).getBoundingClientRect();
    expect(box.right).toBeLessThanOrEqual(view.el.getBoundingClientRect().right);
    expect(box.width / box.height).toBeCloseTo(6 / 4, 1);
  });
});
