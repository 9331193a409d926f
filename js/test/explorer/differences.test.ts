/** Views beside the map that show what one of two gives more than the other. */
import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { diverging, signedColourOf } from "../../src/attention/colour";
import type { NamedSpan } from "../../src/host/facts";
import { type Mounted, mount } from "./mount";
import { difference, heads, runs, WORDS } from "./pairs";
import { saved } from "./saving";

const N = WORDS.length;
const PALETTE = { dark: false, surface: [255, 255, 255], accent: [0, 0, 0] } as const;
const ways = (view: Mounted) =>
  view.parts("compared")[0] ? [...view.part("compared").children].map((one) => one.textContent) : [];

/** The colour of a place of a canvas, in CSS pixels. */
function colourAt(canvas: HTMLCanvasElement, x: number, y: number): number[] {
  const ratio = canvas.width / canvas.clientWidth;
  const data = canvas.getContext("2d")!.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data;
  return [...data.slice(0, 3)];
}

function expectColour(seen: readonly number[], value: number, largest: number, about: string): void {
  const expected = signedColourOf(diverging(PALETTE), value, largest, "linear");
  // Weights of all heads come as roots in 8 or 16 bits.
  for (const channel of [0, 1, 2])
    expect(Math.abs(seen[channel]! - expected[channel]!), about).toBeLessThanOrEqual(9);
}

describe("lines of two heads", () => {
  const lit = (view: Mounted) => view.part<HTMLCanvasElement>("lines-lit");

  function hover(view: Mounted, index: number): void {
    const word = view.part("lines-query", `[data-index="${index}"]`);
    const box = word.getBoundingClientRect();
    const place = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
    word.dispatchEvent(
      new PointerEvent("pointermove", { ...place, bubbles: true, composed: true, pointerType: "mouse" }),
    );
  }

  it.each([
    ["runs", () => runs({ view: "lines", layer: 1, head: 2 }), difference, [0, 1, 2], [1, 1, 2]],
    [
      "heads of one run",
      () => heads({ view: "lines", layer: 1, head: 2, against: { map: "attention", layer: 0, head: 1 } }),
      difference,
      [0, 1, 2],
      [0, 0, 1],
    ],
  ] as const)("are what the second gives more or less: %s", async (_, make, less, second, first) => {
    const host = make();
    const view = mount(host);
    await view.ready();
    const of = less(host, [...second], [...first]);
    // All but the first query, which has nothing to choose between.
    await vi.waitFor(() =>
      expect(Number(view.part("lines-all-drawn").dataset.lines)).toBeGreaterThanOrEqual(
        (N * (N + 1)) / 2 - 1,
      ),
    );
    const query = 7;
    hover(view, query);
    const row = Array.from({ length: query + 1 }, (_, key) => of(query, key));
    const far = row.reduce((most, value, at) => (Math.abs(value) > Math.abs(row[most]!) ? at : most), 0);
    await vi.waitFor(() => expect(lit(view).dataset.lines).toBe(String(query + 1)));
    const told = view.part("lines-told");
    await vi.waitFor(() => expect(told.textContent).toContain("looks at"));
    const said = told.textContent!;
    const [, name, number] = /looks at “(.+?)” ([+−]0\.\d{4})/.exec(said)!;
    expect(name).toBe(WORDS[far]);
    expect(Number(number!.replace("−", "-"))).toBeCloseTo(row[far]!, 3);
    expect(view.part("ends").textContent).toContain("gives more →");
  });

  it("leave as a picture in which what is less is broken", async () => {
    const view = mount(runs({ view: "lines", layer: 1, head: 2 }));
    await view.ready();
    const { blob } = await saved(view, "save-svg");
    expect(await blob.text()).toContain("stroke-dasharray");
  });

  it("are those of several heads where one of the two is shown", async () => {
    const host = runs({ view: "lines", layer: 1, head: 2, heads: [0, 2] });
    const view = mount(host);
    await view.ready();
    expect(view.part("lines-all-drawn").dataset.heads).toBe("2");
    view.part("show-second").click();
    await vi.waitFor(() => expect(view.part("lines-all-drawn").dataset.heads).toBe("0,2"));
  });
});

describe("all layers of two runs", () => {
  it("are each the difference of that layer", async () => {
    const host = runs({ view: "layers", layer: 1, head: 2 });
    const view = mount(host);
    await vi.waitFor(() =>
      expect(view.parts("multiple").filter((one) => one.dataset.loaded === "true").length).toBe(4),
    );
    await view.ready();
    const canvas = view.part<HTMLCanvasElement>("multiples");
    await vi.waitFor(() => expect(canvas.clientWidth).toBeGreaterThan(0));
    const corner = canvas.getBoundingClientRect();
    const cells = Array.from({ length: N * N }, (_, at) => [Math.floor(at / N), at % N] as const).filter(
      ([query, key]) => key <= query,
    );
    const ofLayer = (layer: number) => difference(host, [0, layer, 2], [1, layer, 2]);
    // All layers have one scale.
    const ends = [0, 1, 2, 3].map((layer) =>
      Math.max(...cells.map(([query, key]) => Math.abs(ofLayer(layer)(query, key)))),
    );
    const largest = Math.max(...ends);
    for (const layer of [0, 3]) {
      const of = ofLayer(layer);
      const box = view.part("multiple", `[data-layer="${layer}"]`).getBoundingClientRect();
      for (const [query, key] of cells) {
        const x = box.x - corner.x + ((key + 0.5) / N) * box.width;
        const y = box.y - corner.y + ((query + 0.5) / N) * box.height;
        expectColour(colourAt(canvas, x, y), of(query, key), largest, `${layer}: ${query} ${key}`);
      }
    }
    expect(ways(view)[0]).toBe("after − before");
  });
});

describe("all heads of two runs, from one query", () => {
  it("are each the difference of that row, and said with its sign", async () => {
    const host = runs({ view: "rows", layer: 1, head: 2, query: 9 });
    const view = mount(host);
    await vi.waitFor(() => {
      const of = difference(host, [0, 1, 2], [1, 1, 2]);
      const row = Array.from({ length: 10 }, (_, key) => of(9, key));
      const far = row.reduce((most, value, at) => (Math.abs(value) > Math.abs(row[most]!) ? at : most), 0);
      const label = view.part("strips").getAttribute("aria-label")!;
      expect(label).toContain(`layer 1 · head 2 → “${WORDS[far]}” at ${far}: most of all, `);
      const number = /most of all, ([+−]\d\.\d+)/.exec(label)![1]!.replace("−", "-");
      expect(Number(number)).toBeCloseTo(row[far]!, 3);
    });
    const { violations } = await axe.run(view.host);
    expect(violations.map(({ id }) => id)).toEqual([]);
  });
});

describe("spans of two runs", () => {
  const found = {
    sentences: [
      ["sentence 1", 0, 8],
      ["sentence 2", 8, 12],
    ] as NamedSpan[],
  };

  it.each([
    ["whole", {}],
    ["long", { n: 1100 }],
  ] as const)("are what the mass of the second is more or less: %s", async (_, { n }: { n?: number }) => {
    const words = n ? { queries: Array.from({ length: n }, (_, at) => WORDS[at % N]!) } : {};
    const host = runs({ view: "spans", layer: 1, head: 2 }, { found, ...words });
    const view = mount(host);
    await vi.waitFor(() => expect(view.parts("span-cell")).toHaveLength(4), { timeout: 10_000 });
    const massOf = (map: number, [, start, stop]: NamedSpan, [, from, to]: NamedSpan) => {
      let sum = 0;
      for (let query = start; query < stop; query++)
        for (const weight of host.maps[map]!.row(1, 2, query).subarray(from, to)) sum += weight;
      return sum / (stop - start);
    };
    const expected = found.sentences.flatMap((query) =>
      found.sentences.map((key) => massOf(0, query, key) - massOf(1, query, key)),
    );
    await vi.waitFor(() => {
      for (const [at, cell] of view.parts("span-cell").entries()) {
        expect(Number(cell.dataset.mass)).toBeCloseTo(expected[at]!, 3);
        const size = Math.abs(expected[at]!);
        if (size >= 0.006) expect(cell.textContent![0]).toBe(expected[at]! < 0 ? "−" : "+");
      }
    });
    expect(view.part("ends").textContent).toContain("after gives more →");
  });
});

describe("two heads of one run", () => {
  it.each(["rows", "layers"])("are one at a time where all heads are shown: %s", async (name) => {
    const view = mount(
      heads({ view: name, layer: 1, head: 2, query: 5, against: { map: "attention", layer: 0, head: 1 } }),
    );
    await vi.waitFor(() => expect(ways(view)).toEqual(["A", "B"]));
    expect(view.part("show-second").getAttribute("aria-pressed")).toBe("true");
  });
});
