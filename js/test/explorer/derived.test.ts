import { describe, expect, it, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, mount } from "./mount";

const WORDS = "Lily and Ben went to the park .".split(" ");
const maps = () => [
  new MockMap({ queries: WORDS, heads: [3, 3] }),
  new MockMap({ name: "rollout", queries: WORDS, heads: [1, 1], derived: "rollout", seed: 2 }),
  new MockMap({ name: "flow", queries: WORDS, heads: [1], derived: "flow", seed: 3 }),
];
const title = (view: ReturnType<typeof mount>) => view.part("path").dataset.place;
const controls = (view: ReturnType<typeof mount>) =>
  ["temperature", "temperature-field", "scaling", "scaling-field", "reset", "formula"].flatMap((part) =>
    view.parts(part),
  );

describe("a derived map", () => {
  it("goes by its own name", async () => {
    const view = mount(new MockModel(maps(), { map: "rollout", layer: 1 }));
    await view.ready();
    expect(title(view)).toBe("layer 1 · rollout");
    const thumb = view.part("thumb", '[data-layer="1"]');
    expect([thumb.title, thumb.ariaLabel]).toEqual(["layer 1 · rollout", "Layer 1, rollout"]);
    expect(view.heatmap().ariaLabel).toContain("rollout, layer 1 · rollout: 8 queries");
    expect(view.heatmap().textContent).toContain("Layer 1, rollout. Strongest cell");
    expect(view.parts("head-bar")).toEqual([]);
    expect(view.host.shadowRoot!.textContent).not.toMatch(/head \d/);
  });

  it("of one layer has the name alone", async () => {
    const view = mount(new MockModel(maps(), { map: "flow" }));
    await view.ready();
    expect(title(view)).toBe("flow");
  });

  it("has no temperature, and says why", async () => {
    const host = new MockModel(maps(), { map: "rollout", temperature: 0.3, scaling: 2 });
    const view = mount(host);
    await view.ready();
    expect([view.heatmap().dataset.temperature, view.heatmap().dataset.scaling]).toEqual(["1", "1"]);
    expect(controls(view)).toEqual([]);
    expect(view.host.shadowRoot!.textContent).toContain(
      "Temperature and scaling act on one head's scores; this map is a rollout.",
    );
    host.fromPython({ map: "attention" });
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("attention"));
    await vi.waitFor(() => expect(view.heatmap().dataset.temperature).toBe("0.3"));
    expect(controls(view)).toHaveLength(6);
    expect(view.part<HTMLInputElement>("temperature").disabled).toBe(false);
    expect([host.get("temperature"), host.get("scaling")]).toEqual([0.3, 2]);
  });

  it("has no before and after", async () => {
    const view = mount(new MockModel(maps(), { map: "rollout", query: 3 }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("3"));
    expect(view.part("row").querySelectorAll(".bar.before")).toHaveLength(0);
    expect(view.part("row").querySelectorAll(".bar.after").length).toBeGreaterThan(0);
    expect(view.part("row").textContent).not.toMatch(/before|→/);
  });

  it("larger than the screen is asked for untempered", async () => {
    const long = Array.from({ length: 1100 }, (_, at) => WORDS[at % WORDS.length]!);
    const map = new MockMap({ queries: long, heads: [1], derived: "mean of heads" });
    const host = new MockModel([map], { temperature: 0.5 });
    host.policy = () => "hold";
    const view = mount(host);
    await vi.waitFor(() => expect(host.held).toHaveLength(1));
    expect(host.held[0]).toMatchObject({ op: "tile", temperature: 1, scaling: 1 });
    expect(view.host.shadowRoot!.textContent).toContain("this map is a mean of heads.");
  });

  it("stands apart in the menu of maps", async () => {
    const view = mount(new MockModel(maps()));
    await view.ready();
    const menu = view.part<HTMLSelectElement>("map");
    const group = menu.querySelector("optgroup")!;
    expect(group.label).toBe("Made of all heads");
    expect([...group.children].map((option) => option.textContent)).toEqual(["rollout", "flow"]);
    expect([...menu.children].map(({ tagName }) => tagName)).toEqual(["OPTION", "OPTGROUP"]);
  });
});

describe("the menu of maps", () => {
  const named = () => {
    const all = { queries: WORDS, seed: 4 };
    return [
      new MockMap({ queries: WORDS, heads: [3, 3, 3] }),
      new MockMap({ ...all, name: "encoder", heads: [2, 2] }),
      new MockMap({ ...all, name: "mean", heads: [1, 1, 1], derived: "mean of heads" }),
      new MockMap({ ...all, name: "rollout", heads: [1, 1, 1], derived: "rollout" }),
      new MockMap({ ...all, name: "flow", heads: [1], derived: "flow" }),
    ];
  };
  const places = (host: MockModel) => [host.get("map"), host.get("layer"), host.get("head")];

  it("opens a rollout at the last layer, and gives the chosen head back afterwards", async () => {
    const host = new MockModel(named(), { map: "attention", layer: 1, head: 2 });
    const view = mount(host);
    await view.ready();
    const go = (name: string) => choose(view.part<HTMLSelectElement>("map"), name);
    go("rollout");
    expect(places(host)).toEqual(["rollout", 2, 0]);
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("rollout"));
    expect(host.saved).toEqual([{ map: "rollout", layer: 2, head: 0 }]);
    go("flow");
    expect(places(host)).toEqual(["flow", 0, 0]);
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("flow"));
    go("attention");
    expect(places(host)).toEqual(["attention", 1, 2]);
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("2"));
  });

  it("keeps the layer where a map has it for itself", async () => {
    const host = new MockModel(named(), { map: "attention", layer: 2, head: 2 });
    const view = mount(host);
    await view.ready();
    choose(view.part<HTMLSelectElement>("map"), "mean");
    expect(places(host)).toEqual(["mean", 2, 0]);
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("mean"));
    choose(view.part<HTMLSelectElement>("map"), "encoder");
    expect(places(host).slice(0, 2)).toEqual(["encoder", 1]);
  });

  it("leaves the layer to Python where Python chooses the map", async () => {
    const host = new MockModel(named(), { map: "attention", layer: 1 });
    const view = mount(host);
    await view.ready();
    host.fromPython({ map: "rollout" });
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("rollout"));
    expect(host.get("layer")).toBe(1);
  });
});
