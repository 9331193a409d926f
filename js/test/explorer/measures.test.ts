import { describe, expect, it, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import { type MapOptions, MEASURES, MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, mount, press } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const HEADS = [3, 4, 3];
const map = (options: Partial<MapOptions> = {}) =>
  new MockMap({ queries: WORDS, heads: HEADS, measured: { without: [[1, 2]] }, ...options });
const model = (choices = {}, options: Partial<MapOptions> = {}) => new MockModel([map(options)], choices);
const plain = (choices: Partial<Choices>) => new MockModel([new MockMap({ queries: WORDS })], choices);
const badges = (view: ReturnType<typeof mount>) => view.parts("badge");
const places = (view: ReturnType<typeof mount>) =>
  view.parts("thumb").map(({ dataset }) => `${dataset.layer}/${dataset.head}`);
const wanted = (host: MockModel, index: number, sign: number) =>
  HEADS.flatMap((heads, layer) => Array.from({ length: heads }, (_, head) => ({ layer, head })))
    .map((place) => ({ place, value: host.maps[0]!.measure(index, place.layer, place.head) }))
    .sort((one, other) => {
      const missing = Number(Number.isNaN(one.value)) - Number(Number.isNaN(other.value));
      return missing || sign * (one.value - other.value) || 0;
    })
    .map(({ place }) => `${place.layer}/${place.head}`);

describe("measures", () => {
  it("are asked for when one is chosen", async () => {
    const host = model({ layer: 1, head: 3 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(host.sent.at(-1)!.op).toBe("tile")); // of the neighbour: the grid is there
    expect(host.sent.map(({ op }) => op)).not.toContain("measures");
    host.fromPython({ measure: "entropy" });
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
  });

  it("are asked for before the thumbnails, the selected layer first", async () => {
    const host = model({ layer: 1, head: 3, measure: "entropy" });
    mount(host);
    await vi.waitFor(() => expect(host.sent.length).toBe(9));
    expect(host.sent.map(({ op, layer }) => [op, layer]).slice(2)).toEqual([
      ["measures", 1],
      ["measures", 0],
      ["measures", 2],
      ["thumbnails", 1],
      ["thumbnails", 0],
      ["thumbnails", 2],
      ["tile", 1],
    ]);
  });

  it("badge every head once one is chosen, in words too", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    expect(view.parts("sort")).toEqual([]);
    expect(badges(view)).toEqual([]);
    const menu = view.part<HTMLSelectElement>("measure");
    expect([...menu.options].map(({ text }) => text)).toEqual([
      "none",
      "entropy",
      "previous token",
      "first token",
    ]);
    choose(menu, "entropy");
    expect(host.get("measure")).toBe("entropy");
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    for (const thumb of view.parts("thumb")) {
      const { layer, head } = thumb.dataset;
      const value = host.maps[0]!.measure(0, Number(layer), Number(head));
      const badge = thumb.querySelector<HTMLElement>('[data-part="badge"]')!;
      if (Number.isNaN(value)) continue;
      expect(Number(badge.dataset.value)).toBeCloseTo(value, 5);
      expect(Number(badge.textContent)).toBeCloseTo(value, 1);
      expect(thumb.title).toBe(`layer ${layer} · head ${head} · entropy ${badge.textContent} nats`);
      expect(thumb.ariaLabel).toBe(`Layer ${layer}, head ${head}, entropy ${badge.textContent} nats`);
    }
    expect(view.part("about").textContent).toBe(MEASURES[0]!.about);
  });

  it("that do not exist are dashes", async () => {
    const view = mount(model({ measure: "previous_token" }));
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    const thumb = view.part("thumb", '[data-layer="1"][data-head="2"]');
    expect(thumb.textContent).toBe("–");
    expect(thumb.querySelector<HTMLElement>('[data-part="badge"]')!.dataset.value).toBe("NaN");
    expect(thumb.title).toBe("layer 1 · head 2 · previous token –");
    expect(thumb.ariaLabel).toBe("Layer 1, head 2, no previous token");
  });

  it("that have not come leave their place empty", async () => {
    const host = model({ measure: "entropy" });
    host.policy = ({ op, layer }) => (op === "measures" && layer > 0 ? "hold" : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(badges(view)).toHaveLength(3));
    const before = view.part("grid").getBoundingClientRect();
    expect(view.part("thumb", '[data-layer="2"][data-head="0"]').title).toBe("layer 2 · head 0");
    host.release();
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    expect(view.part("grid").getBoundingClientRect()).toEqual(before);
  });

  it("that fail are a fault of the grid, and can be asked for again", async () => {
    const host = model({ measure: "entropy" });
    host.policy = ({ op }) => (op === "measures" ? { error: "Out of memory." } : "answer");
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.host.shadowRoot!.querySelectorAll(".grid .fault")).toHaveLength(1));
    expect(view.host.shadowRoot!.textContent).toContain("Out of memory.");
    host.policy = () => "answer";
    view.part("retry").click();
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    expect(view.parts("retry")).toEqual([]);
  });

  it("of too few bytes are not believed", async () => {
    const host = model({ measure: "entropy" });
    host.policy = ({ op }) => (op === "measures" ? "hold" : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(host.held).toHaveLength(1));
    host.message({ id: host.held[0]!.id, ok: true, header: { layer: 0, heads: 3 } });
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("0 bytes of measures"));
  });

  it("are nowhere for a kernel that has none", async () => {
    const host = plain({ measure: "entropy", sort: "highest" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(host.sent.at(-1)!.op).toBe("tile"));
    expect([view.parts("measure"), view.parts("sort"), view.parts("findings")]).toEqual([[], [], []]);
    expect(host.sent.filter(({ op }) => op === "measures" || op === "findings")).toEqual([]);
    expect(view.part("grid").getAttribute("role")).toBe("grid");
    const thumb = view.part("thumb", '[data-layer="0"][data-head="0"]');
    const { width, height } = thumb.getBoundingClientRect();
    expect(width).toBe(height);
  });

  it("that the map does not know badge nothing", async () => {
    const view = mount(model({ measure: "unheard of" }));
    await view.ready();
    expect(view.part<HTMLSelectElement>("measure").value).toBe("");
    expect(badges(view)).toEqual([]);
  });
});

describe("a ranking", () => {
  it.each([
    ["highest", -1],
    ["lowest", 1],
  ] as const)("%s first has every head, those without a number last", async (sort, sign) => {
    const host = model({ measure: "previous_token" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    choose(view.part<HTMLSelectElement>("sort"), sort);
    expect(host.get("sort")).toBe(sort);
    await vi.waitFor(() => expect(places(view)).toEqual(wanted(host, 1, sign)));
    expect(places(view).at(-1)).toBe("1/2");
    expect(view.part("grid").getAttribute("role")).toBe("listbox");
    expect(view.part("grid").ariaLabel).toBe(`Heads by previous token, ${sort} first`);
    expect(view.parts("thumb").every((thumb) => thumb.getAttribute("role") === "option")).toBe(true);
    expect(view.part("thumb", '[data-layer="1"][data-head="2"]').textContent).toBe("L1 H2–");
    choose(view.part<HTMLSelectElement>("sort"), "model");
    await vi.waitFor(() => expect(places(view).slice(0, 4)).toEqual(["0/0", "0/1", "0/2", "1/0"]));
  });

  it("claims no order before every number is there, says how far it is, and then changes once", async () => {
    const host = model({ layer: 2, measure: "entropy", sort: "highest" });
    host.policy = ({ op }) => (op === "measures" ? "hold" : "answer");
    const view = mount(host);
    const inOrderOfTheModel = ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2", "1/3", "2/0", "2/1", "2/2"];
    for (let come = 0; come < 3; come++) {
      await vi.waitFor(() => expect(host.held).toHaveLength(1));
      await vi.waitFor(() => expect(places(view)).toEqual(inOrderOfTheModel));
      expect(view.part("measuring").textContent).toBe(`measuring, ${come} of 3 layers`);
      expect(view.part("progress").ariaLabel).toBe("Measuring the heads");
      expect(view.part("progress").getAttribute("aria-valuetext")).toBe(`${come} of 3 layers`);
      expect(view.part("grid").getAttribute("role")).toBe("grid");
      expect(view.host.shadowRoot!.querySelector(".grid h3")!.textContent).not.toContain("ranked");
      const [asked] = host.held.splice(0);
      host.answer(asked!);
    }
    await vi.waitFor(() => expect(places(view)).toEqual(wanted(host, 0, -1)));
    expect(view.parts("measuring")).toEqual([]);
    expect(view.host.shadowRoot!.querySelector(".grid h3")!.textContent).toContain("ranked");
  });

  it("claims none where a number cannot be had", async () => {
    const host = model({ measure: "entropy", sort: "lowest" });
    host.policy = ({ op, layer }) => (op === "measures" && layer === 1 ? { error: "Not that." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("Not that."));
    expect(places(view).slice(0, 4)).toEqual(["0/0", "0/1", "0/2", "1/0"]);
    await vi.waitFor(() => expect(view.part("measuring").textContent).toBe("measuring, 2 of 3 layers"));
    host.policy = () => "answer";
    view.part("retry").click();
    await vi.waitFor(() => expect(places(view)).toEqual(wanted(host, 0, 1)));
  });

  it("keeps its order while a text grows, until all new numbers are there", async () => {
    const host = model({ measure: "entropy", sort: "highest" });
    const view = mount(host);
    await vi.waitFor(() => expect(places(view)).toEqual(wanted(host, 0, -1)));
    const before = places(view);
    const other = map({ seed: 3 });
    host.maps.splice(0, 1, other);
    host.policy = ({ op, layer }) => (op === "measures" && layer === 2 ? "hold" : "answer");
    host.fromPython({ facts: { title: "", version: 2, maps: [other.facts] } });
    await vi.waitFor(() => expect(host.held).toHaveLength(1));
    expect(places(view)).toEqual(before);
    host.release();
    await vi.waitFor(() => expect(places(view)).toEqual(wanted(host, 0, -1)));
    expect(places(view)).not.toEqual(before);
  });

  it("is walked in the order seen, by lines as they wrap", async () => {
    const host = model({ layer: 2, head: 2, measure: "entropy", sort: "highest" });
    const view = mount(host, 900);
    await view.ready();
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    const thumbs = view.parts("thumb");
    const top = (thumb: HTMLElement) => thumb.getBoundingClientRect().top;
    const columns = thumbs.filter((thumb) => top(thumb) === top(thumbs[0]!)).length;
    expect(columns).toBeGreaterThan(1);
    expect(columns).toBeLessThan(10);
    const focused = () => thumbs.indexOf(view.host.shadowRoot!.activeElement as HTMLElement);
    const go = (key: string) => press(thumbs[focused()]!, key);
    expect(thumbs.filter(({ tabIndex }) => tabIndex === 0)).toHaveLength(1);
    thumbs.find(({ tabIndex }) => tabIndex === 0)!.focus();
    go("Home");
    expect(focused()).toBe(0);
    go("ArrowRight");
    expect(focused()).toBe(1);
    go("ArrowDown");
    expect(focused()).toBe(1 + columns);
    go("ArrowLeft");
    go("ArrowUp");
    expect(focused()).toBe(0);
    go("End");
    expect(focused()).toBe(9);
    thumbs[9]!.click();
    expect(`${host.get("layer")}/${host.get("head")}`).toBe(places(view)[9]);
  });

  it.each([420, 600, 900, 1400])("of 24 x 16 heads fits in %i px, without moving the map", async (width) => {
    const host = model(
      { measure: "entropy" },
      { heads: Array<number>(24).fill(16), queries: WORDS.slice(0, 6) },
    );
    const view = mount(host, width);
    await view.ready();
    await vi.waitFor(() => expect(badges(view)).toHaveLength(384), { timeout: 10_000 });
    const top = () => view.heatmap().getBoundingClientRect();
    const before = top();
    host.fromPython({ sort: "highest" });
    await vi.waitFor(() => expect(view.part("grid").getAttribute("role")).toBe("listbox"));
    if (width > 760) expect(top()).toEqual(before);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect(view.part("grid").scrollWidth).toBeLessThanOrEqual(view.part("grid").clientWidth);
  });

  it("fills the view that is a grid", async () => {
    const view = mount(model({ view: "grid", measure: "entropy", sort: "lowest" }));
    await vi.waitFor(() => expect(badges(view)).toHaveLength(10));
    expect(view.part("grid").getAttribute("role")).toBe("listbox");
    expect(view.part("measure")).toBeTruthy();
  });
});
