import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, pixelOf, windowOf } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const model = (choices: Partial<Choices> = {}) => new MockModel([new MockMap({ queries: WORDS })], choices);

/** All that is on the canvases, as text. */
const pictures = (view: Mounted) =>
  [...view.host.shadowRoot!.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL());
const loaded = (view: Mounted) =>
  vi.waitFor(() => expect(view.parts("thumb", '[data-loaded="false"]')).toEqual([]));
const twoFrames = async () => {
  for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
};

function changeHead(): void {
  const sheet = document.createElement("style");
  document.head.append(sheet);
  onTestFinished(() => sheet.remove());
}

describe("a widget that is taken out of the page", () => {
  it.each(["light", "dark"] as const)("comes back as it was, %s", async (theme) => {
    const view = mount(model({ theme, query: 9 }));
    await view.ready();
    await loaded(view);
    const before = pictures(view);
    view.el.remove();
    changeHead();
    await twoFrames();
    document.body.append(view.el);
    await vi.waitFor(() => expect(pictures(view)).toEqual(before));
    await twoFrames();
    expect(pictures(view)).toEqual(before);
  });

  it("keeps its zoom and what was opened", async () => {
    const view = mount(model());
    await view.ready();
    view.part("zoom-in").click();
    await vi.waitFor(() => expect(windowOf(view.heatmap())[1]).toBeLessThan(12));
    const [canvas, window] = [view.heatmap(), windowOf(view.heatmap())];
    view.el.style.display = "none";
    await twoFrames();
    view.el.style.display = "";
    await twoFrames();
    view.el.remove();
    await twoFrames();
    document.body.append(view.el);
    await twoFrames();
    expect(view.heatmap()).toBe(canvas);
    expect(windowOf(canvas)).toEqual(window);
  });

  it("takes the theme that came meanwhile", async () => {
    const view = mount(model());
    onTestFinished(() => void delete document.body.dataset.jpThemeLight);
    await view.ready();
    const light = pixelOf(view.heatmap(), 11, 3);
    view.el.remove();
    document.body.dataset.jpThemeLight = "false";
    await twoFrames();
    document.body.append(view.el);
    await vi.waitFor(() => expect(pixelOf(view.heatmap(), 11, 3)).not.toEqual(light));
    expect(view.host.shadowRoot!.querySelector<HTMLElement>(".widget")!.dataset.scheme).toBe("dark");
  });

  it("may be made outside of it", async () => {
    const inside = mount(model());
    await inside.ready();
    const wanted = inside.heatmap().toDataURL();
    const append = document.body.append.bind(document.body);
    let held: Node | null = null;
    vi.spyOn(document.body, "append").mockImplementationOnce((node) => {
      held = node as Node;
    });
    const view = mount(model());
    changeHead();
    await twoFrames();
    append(held!);
    await view.ready();
    expect(view.heatmap().dataset.plot).toBe(inside.heatmap().dataset.plot);
    expect(view.heatmap().toDataURL()).toBe(wanted);
  });
});

describe("on paper", () => {
  const scheme = (view: Mounted) =>
    view.host.shadowRoot!.querySelector<HTMLElement>(".widget")!.dataset.scheme;

  it("a dark widget is light, canvases too, and dark again afterwards", async () => {
    const [light, view] = [mount(model({ theme: "light" })), mount(model({ theme: "dark" }))];
    await Promise.all([light.ready(), view.ready()]);
    await Promise.all([loaded(light), loaded(view)]);
    const [wanted, before] = [pictures(light), pictures(view)];
    expect(before).not.toEqual(wanted);
    window.dispatchEvent(new Event("beforeprint"));
    // The page is printed once the listeners have returned.
    await Promise.resolve();
    expect(scheme(view)).toBe("light");
    expect(pictures(view)).toEqual(wanted);
    window.dispatchEvent(new Event("afterprint"));
    expect(scheme(view)).toBe("dark");
    expect(pictures(view)).toEqual(before);
  });

  it("has no dark lines of heads that were scrolled out of sight", async () => {
    const many = (theme: "light" | "dark") => {
      const map = new MockMap({ queries: WORDS.slice(0, 5), heads: Array<number>(90).fill(4) });
      return mount(new MockModel([map], { theme, layer: 0 }));
    };
    const [light, dark] = [many("light"), many("dark")];
    const first = (view: Mounted) =>
      view.part("thumb", '[data-layer="3"]').parentElement!.querySelector("canvas")!;
    for (const view of [light, dark]) {
      await view.ready();
      view.el.scrollIntoView();
      await vi.waitFor(() => expect(first(view).width).toBeGreaterThan(1));
      await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"));
    }
    const wanted = first(light).toDataURL();
    dark.part("grid").scrollTop = 1e6;
    await twoFrames();
    await twoFrames();
    window.dispatchEvent(new Event("beforeprint"));
    onTestFinished(() => void window.dispatchEvent(new Event("afterprint")));
    expect(first(dark).toDataURL()).toBe(wanted);
  });

  it("is light where the host says so by the medium alone, and on a dark page", async () => {
    // Some print without a word beforehand, as the browser's own developers' tools do.
    const paper = Object.assign(new EventTarget(), { matches: false }) as unknown as MediaQueryList;
    const real = window.matchMedia.bind(window);
    const ask = vi
      .spyOn(window, "matchMedia")
      .mockImplementation((query) => (query === "print" ? paper : real(query)));
    onTestFinished(() => ask.mockRestore());
    document.body.dataset.jpThemeLight = "false";
    onTestFinished(() => void delete document.body.dataset.jpThemeLight);
    const view = mount(model());
    await view.ready();
    const dark = pixelOf(view.heatmap(), 11, 3);
    paper.dispatchEvent(Object.assign(new Event("change"), { matches: true }));
    expect(scheme(view)).toBe("light");
    expect(pixelOf(view.heatmap(), 11, 3)).not.toEqual(dark);
  });

  it("has its bars, shades and swatches", async () => {
    const view = mount(model({ query: 9 }));
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("9"));
    for (const selector of [".bar", ".swatch", ".ramp", ".pair .bar.after"]) {
      const found = view.host.shadowRoot!.querySelector(selector)!;
      expect(getComputedStyle(found).printColorAdjust).toBe("exact");
    }
  });
});
