import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import type { NamedSpan } from "../../src/host/facts";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, enter, type Mounted, mount, press } from "./mount";

const WORDS = "You are kind . Hello there friend . Hello to you too !".split(" ");
const ROLES: NamedSpan[] = [
  ["system", 0, 4],
  ["user", 4, 8],
  ["assistant", 8, 13],
];
const SENTENCES: NamedSpan[] = [
  ["sentence 1", 0, 4],
  ["sentence 2", 4, 8],
];
const model = (choices = {}, options: Partial<MapOptions> = {}) =>
  new MockModel(
    [
      new MockMap({
        queries: WORDS,
        heads: [3, 3],
        found: { roles: ROLES, sentences: SENTENCES },
        ...options,
      }),
    ],
    { view: "spans", ...choices },
  );
const cells = (view: Mounted) => view.parts("span-cell").map(({ dataset }) => Number(dataset.mass));

function massBy(map: MockMap, spans: NamedSpan[], layer: number, head: number, temperature = 1): number[] {
  return spans.flatMap(([, start, stop]) =>
    spans.map(([, from, to]) => {
      let sum = 0;
      for (let query = start; query < stop; query++)
        sum += map
          .row(layer, head, query, temperature)
          .subarray(from, to)
          .reduce((a, b) => a + b, 0);
      return sum / (stop - start);
    }),
  );
}

describe("spans of a text", () => {
  it("give to each other what the rows say, in every head and at every temperature", async () => {
    const host = model();
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    const expected = (layer: number, head: number, temperature = 1) =>
      massBy(host.maps[0]!, ROLES, layer, head, temperature);
    for (const [at, value] of expected(0, 0).entries()) expect(cells(view)[at]).toBeCloseTo(value, 3);
    host.fromPython({ layer: 1, head: 2, temperature: 2 });
    await vi.waitFor(() => expect(cells(view)[3]).toBeCloseTo(expected(1, 2, 2)[3]!, 3));
    for (const [at, value] of expected(1, 2, 2).entries()) expect(cells(view)[at]).toBeCloseTo(value, 3);
    // They cover all keys.
    for (const row of [0, 1, 2])
      expect(
        cells(view)
          .slice(3 * row, 3 * row + 3)
          .reduce((a, b) => a + b, 0),
      ).toBeCloseTo(1, 3);
  });

  it("are of the kind that is chosen", async () => {
    const host = model();
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    choose(view.part<HTMLSelectElement>("span-kind"), "sentences");
    await vi.waitFor(() => expect(cells(view)).toHaveLength(4));
    expect(host.get("span_kind")).toBe("sentences");
  });

  it("tell where a query looks, itself apart", async () => {
    const host = model({ query: 9 });
    const view = mount(host);
    await vi.waitFor(() => expect(view.parts("span-told")).toHaveLength(1));
    const row = host.maps[0]!.row(0, 0, 9);
    const own = row[9]!;
    expect(view.part("span-told").textContent).toContain(`itself ${own.toFixed(4)}`);
    expect(view.parts("band").map(({ dataset }) => dataset.name)).toEqual([
      "system",
      "user",
      "assistant",
      "itself",
    ]);
    press(view.part("span-stack"), "ArrowLeft");
    await vi.waitFor(() => expect(view.part("span-told").textContent).toContain("Query 8"));
    press(view.part("span-stack"), "Enter");
    await vi.waitFor(() => expect(host.get("query")).toBe(8));
  });

  it("open as a part of the map", async () => {
    const host = model();
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    view.parts("span-cell")[5]!.click();
    await vi.waitFor(() => expect(host.get("view")).toBe("heatmap"));
    await vi.waitFor(() => expect(view.heatmap().dataset.window).toBe("4,8,8,13"));
  });

  it("of a long text are asked of the kernel", async () => {
    const long = Array.from({ length: 1100 }, (_, at) => WORDS[at % WORDS.length]!);
    const spans: NamedSpan[] = [
      ["one", 0, 500],
      ["two", 500, 1100],
    ];
    const host = model({}, { queries: long, heads: [1], found: { parts: spans } });
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(4), { timeout: 20_000 });
    for (const [at, value] of massBy(host.maps[0]!, spans, 0, 0).entries())
      expect(cells(view)[at]).toBeCloseTo(value, 3);
  }, 60_000);

  it("that are many are cells, with the strongest in words", async () => {
    const many = Array.from({ length: 40 }, (_, at): NamedSpan => [`s${at}`, 2 * at, 2 * at + 2]);
    const queries = Array.from({ length: 80 }, (_, at) => WORDS[at % WORDS.length]!);
    const view = mount(model({}, { queries, found: { sentences: many } }));
    await vi.waitFor(() => expect(view.part("span-map").tagName).toBe("CANVAS"));
    expect(view.part("span-map").ariaLabel).toMatch(/^40 by 40 spans\. s\d+ gives/);
  });
});

describe("a span of one's own", () => {
  it("is named by positions, and is then looked at", async () => {
    const host = model();
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    const add = (from: string, to: string, name: string) => {
      enter(view.part<HTMLInputElement>("span-from"), from);
      enter(view.part<HTMLInputElement>("span-to"), to);
      enter(view.part<HTMLInputElement>("span-name"), name);
      view.part("span-add").click();
    };
    add("0", "2", "start");
    await vi.waitFor(() => expect(host.get("spans")).toEqual([["start", 0, 3]]));
    await vi.waitFor(() => expect(cells(view)).toHaveLength(1));
    add("2", "5", "over");
    await vi.waitFor(() =>
      expect(view.part("span-refused").textContent).toContain("overlap “start”, tokens 0 to 2"),
    );
    add("3", "99", "far");
    await vi.waitFor(() => expect(view.part("span-refused").textContent).toContain("There are 13 tokens."));
    add("3", "", "");
    await vi.waitFor(() => expect(view.part("span-refused").textContent).toContain("Give it a name."));
    expect(host.get("spans")).toEqual([["start", 0, 3]]);
    view.part("own-span").querySelector("button")!.click();
    await vi.waitFor(() => expect(host.get("spans")).toEqual([]));
  });

  it("is drawn over with the pointer", async () => {
    const view = mount(model());
    const stack = await vi.waitFor(() => view.part("span-stack"));
    await vi.waitFor(() => expect(stack.getBoundingClientRect().width).toBeGreaterThan(300));
    const box = stack.getBoundingClientRect();
    const at = (query: number) => box.left + 26 + ((query + 0.5) / WORDS.length) * (box.width - 26);
    const send = (type: string, query: number) =>
      stack.dispatchEvent(
        new PointerEvent(type, { clientX: at(query), clientY: box.top + 40, pointerId: 1, bubbles: true }),
      );
    stack.setPointerCapture = () => {};
    send("pointerdown", 4);
    send("pointermove", 7);
    send("pointerup", 7);
    await vi.waitFor(() => expect(view.part<HTMLInputElement>("span-from").value).toBe("4"));
    expect(view.part<HTMLInputElement>("span-to").value).toBe("7");
  });

  it("stands where a lens has put it", async () => {
    const host = model({ spans: [["end", 8, 13]] });
    host.maps[0]!.facts.queries.origins = WORDS.map((_, at) => at + 4);
    const view = mount(host);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(1));
    expect(cells(view)[0]).toBeCloseTo(massBy(host.maps[0]!, [["end", 4, 9]], 0, 0)[0]!, 3);
  });
});

describe("where there are none", () => {
  it("says so, and offers to name some", async () => {
    const view = mount(model({}, { found: {} }));
    await vi.waitFor(() => expect(view.parts("no-spans")).toHaveLength(1));
    expect(view.parts("naming")).toHaveLength(1);
  });
});

describe("for everybody", () => {
  it.each(["light", "dark"])("axe finds nothing serious, %s", async (theme) => {
    const view = mount(model({ theme, query: 9 }));
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    const { violations } = await axe.run(view.host, { resultTypes: ["violations"] });
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(grave.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  });

  it.each([600, 760, 1366])("all is inside %i px", async (width) => {
    const names = ROLES.map(([name, ...run]): NamedSpan => [`${name} ${"x".repeat(200)}`, ...run]);
    const view = mount(model({}, { found: { roles: names } }), width);
    await vi.waitFor(() => expect(cells(view)).toHaveLength(9));
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    expect(view.part("span-stack").getBoundingClientRect().right).toBeLessThanOrEqual(
      view.el.getBoundingClientRect().right,
    );
  });
});
