import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, type Mounted, mount, press, viewsOffered } from "./mount";
import { saved } from "./saving";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const WIDTH = 8;
const made = { scaling: 1 / Math.sqrt(WIDTH), width: WIDTH };
const held = (options: Partial<MapOptions> = {}) =>
  new MockMap({ queries: WORDS, held: "projections", width: WIDTH, scores: made, ...options });
const turned = () => held({ rotary: true, scores: { ...made, rotary: true } });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "neurons", ...choices });
const bars = (view: Mounted) => view.part<HTMLCanvasElement>("neurons");

async function opened(host: MockModel, width = 1000): Promise<Mounted> {
  const view = mount(host, width);
  await view.ready();
  return view;
}

function vectors(map: MockMap, query: number, key: number, head = 0): [q: number[], k: number[]] {
  const { queries, keys, sharp } = map.vectors(0, head);
  const cut = (values: Float32Array, at: number) => [...values.slice(at * WIDTH, (at + 1) * WIDTH)];
  return [cut(queries, query).map((value) => Math.fround(value * sharp)), cut(keys, key)];
}

const dot = ([q, k]: [number[], number[]]) => q.reduce((sum, value, at) => sum + value * k[at]!, 0);
const heaviest = (row: ArrayLike<number>) => Array.from(row).indexOf(Math.max(...Array.from(row)));
const moveTo = (canvas: HTMLCanvasElement, share: number) => {
  const box = canvas.getBoundingClientRect();
  const place = { clientX: box.left + 48 + share * (box.width - 106), clientY: box.top + 60 };
  canvas.dispatchEvent(new PointerEvent("pointermove", { ...place, bubbles: true, composed: true }));
};

describe("the products behind a score", () => {
  it("sum to q·k of the pinned cell, and lead to its weight", async () => {
    const host = shown(held(), { query: 7, key: 3 });
    const view = await opened(host);
    const map = host.maps[0]!;
    expect(Number(bars(view).dataset.sum)).toBeCloseTo(dot(vectors(map, 7, 3)), 4);
    expect(bars(view).dataset.terms).toBe("8");
    const weight = map.row(0, 0, 7)[3]!;
    expect(view.part("way").textContent).toContain(
      `weight ${weight.toFixed(4)} = softmax(q·k / √8) among 8 keys.`,
    );
    expect(view.part("behind").textContent).toContain("“.” → “went” query 7, key 3.");
  });

  it("are those of the heaviest key where a query is pinned alone, and of the strongest cell where nothing is", async () => {
    const host = shown(held(), { query: 9 });
    const view = await opened(host);
    const best = heaviest(host.maps[0]!.row(0, 0, 9));
    expect(bars(view).dataset).toMatchObject({ query: "9", key: String(best), how: "heaviest" });
    expect(view.part("behind").textContent).toContain("The key is the heaviest of this query.");
    host.fromPython({ query: null });
    await vi.waitFor(() => expect(bars(view).dataset.how).toBe("strongest"));
    expect(view.part("behind").textContent).toContain("Nothing is pinned, so this is the strongest cell.");
    const rows = WORDS.map((_, query) => Math.max(...(query > 0 ? host.maps[0]!.row(0, 0, query) : [0])));
    expect(Number(bars(view).dataset.query)).toBe(heaviest(rows));
  });

  it("stand from the largest to the least, or as in the model, and each can be read", async () => {
    const host = shown(held(), { query: 7, key: 3 });
    const view = await opened(host);
    const [q, k] = vectors(host.maps[0]!, 7, 3);
    const products = q.map((value, at) => value * k[at]!);
    const first = products.indexOf(Math.max(...products));
    moveTo(bars(view), 0.01);
    await vi.waitFor(() => expect(view.part("term").textContent).toMatch(`Dimension ${first}: q `));
    choose(view.part<HTMLSelectElement>("neurons-order"), "model");
    await vi.waitFor(() => expect(view.part("term").textContent).toMatch("Dimension 0: q "));
    bars(view).focus();
    press(bars(view), "End");
    await vi.waitFor(() => expect(view.part("term").textContent).toMatch("Dimension 7: q "));
    expect(view.host.shadowRoot!.querySelector(".spoken")!.textContent).toContain("Dimension 7: q ");
  });

  it("are told apart into content and distance where pairs turn with position", async () => {
    const host = shown(turned(), { query: 9, key: 2 });
    const view = await opened(host);
    const [q, k] = vectors(host.maps[0]!, 9, 2);
    const content = [0, 1, 2, 3].map((pair) => {
      // Turned back by the angle of its own position, each by itself.
      const back = (vector: number[], position: number) => {
        const angle = -position / 4 ** pair;
        const [one, two] = [vector[pair]!, vector[pair + 4]!];
        return [
          one * Math.cos(angle) - two * Math.sin(angle),
          one * Math.sin(angle) + two * Math.cos(angle),
        ] as const;
      };
      const [a, b] = [back(q, 9), back(k, 2)];
      return a[0] * b[0] + a[1] * b[1];
    });
    expect(bars(view).dataset.terms).toBe("4");
    expect(Number(bars(view).dataset.sum)).toBeCloseTo(dot([q, k]), 4);
    expect(Number(bars(view).dataset.content)).toBeCloseTo(
      content.reduce((one, other) => one + other, 0),
      4,
    );
    expect(view.part("term").textContent).toMatch(/^q·k \S+ = content \S+ \+ distance \S+\./);
    choose(view.part<HTMLSelectElement>("neurons-by"), "dimension");
    await vi.waitFor(() => expect(bars(view).dataset.terms).toBe("8"));
    expect(Number(bars(view).dataset.sum)).toBeCloseTo(dot([q, k]), 4);
  });

  it("say what speaks for a key against the next", async () => {
    const host = shown(held(), { query: 9 });
    const view = await opened(host);
    const row = Array.from(host.maps[0]!.row(0, 0, 9));
    const best = heaviest(row);
    const next = heaviest(row.map((weight, key) => (key === best ? -1 : weight)));
    view.part("neurons-against").click();
    const apart = dot(vectors(host.maps[0]!, 9, best)) - dot(vectors(host.maps[0]!, 9, next));
    await vi.waitFor(() => expect(Number(bars(view).dataset.sum)).toBeCloseTo(apart, 4));
  });

  it("follow what is pinned and pointed at elsewhere, and pin themselves", async () => {
    const host = shown(held(), { query: 9 });
    const view = await opened(host);
    const other = view.parts("neurons-key")[2]!;
    const key = Number(other.dataset.key);
    other.dispatchEvent(new PointerEvent("pointerenter"));
    await vi.waitFor(() => expect(bars(view).dataset).toMatchObject({ key: String(key), how: "pointed" }));
    other.click();
    expect([host.get("query"), host.get("key")]).toEqual([9, key]);
    other.parentElement!.dispatchEvent(new PointerEvent("pointerleave"));
    await vi.waitFor(() => expect(bars(view).dataset.how).toBe("pinned"));
    press(bars(view), "Escape");
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
    await vi.waitFor(() => expect(bars(view).dataset.how).toBe("strongest"));
    press(bars(view), "Enter");
    expect(host.get("query")).toBe(Number(bars(view).dataset.query));
    host.fromPython({ query: 11, key: 4, head: 2 });
    await vi.waitFor(() => expect(bars(view).dataset).toMatchObject({ query: "11", key: "4" }));
    await vi.waitFor(() =>
      expect(Number(bars(view).dataset.sum)).toBeCloseTo(dot(vectors(host.maps[0]!, 11, 4, 2)), 4),
    );
  });

  it("are asked for where the layer came as codes, and for a pinned cell of a long map", async () => {
    const codes = shown(held({ held: "codes" }), { query: 7, key: 3 });
    const view = await opened(codes);
    expect(Number(bars(view).dataset.sum)).toBeCloseTo(dot(vectors(codes.maps[0]!, 7, 3)), 4);
    expect(codes.sent.filter(({ op }) => op === "products").map(({ key }) => key)).toEqual([undefined]);

    const words = Array.from({ length: 1100 }, (_, at) => `w${at}`);
    const long = shown(new MockMap({ queries: words, heads: [1], width: WIDTH, scores: made, causal: true }));
    const far = await opened(long);
    expect(far.part("neurons-hint").textContent).toBe(
      "This map is long: pin a query in the map or the text to see its products.",
    );
    long.fromPython({ query: 1000, key: 17 });
    await vi.waitFor(() => expect(bars(far).dataset).toMatchObject({ query: "1000", key: "17" }), {
      timeout: 5000,
    });
    expect(Number(bars(far).dataset.sum)).toBeCloseTo(dot(vectors(long.maps[0]!, 1000, 17)), 4);
  });

  it("are not offered where weights were given, and say so of a layer that was", async () => {
    const plain = mount(new MockModel([new MockMap({ queries: WORDS })]));
    await plain.ready();
    expect(viewsOffered(plain)).not.toContain("neurons");
    const map = held();
    map.facts.scores = [made, null, made, made];
    const view = await opened(shown(map, { layer: 1 }));
    expect(view.part("neurons-hint").textContent).toMatch(
      /^The products are not known: this layer was given/,
    );
  });

  it("say of a key that the query may not see that it is masked", async () => {
    const view = await opened(shown(held(), { query: 2, key: 9 }));
    expect(view.part("way").textContent).toMatch(/^q·k = \S+, masked: this query may not see the key\.$/);
  });

  it("draw the largest product in the accent, and leave as SVG with their words", async () => {
    const host = shown(held(), { query: 7, key: 3 });
    const view = await opened(host);
    const canvas = bars(view);
    const ratio = canvas.width / canvas.clientWidth;
    const step = Math.min(56, (canvas.clientWidth - 106) / 8);
    const { data } = canvas
      .getContext("2d")!
      .getImageData(Math.round((48 + step / 2) * ratio), Math.round(40 * ratio), 1, 1);
    const style = getComputedStyle(view.host.shadowRoot!.querySelector(".widget")!);
    const pen = document.createElement("canvas").getContext("2d")!;
    pen.fillStyle = style.getPropertyValue("--accent");
    pen.fillRect(0, 0, 1, 1);
    expect([...data]).toEqual([...pen.getImageData(0, 0, 1, 1).data]);
    const { blob } = await saved(view, "save-svg");
    const text = await blob.text();
    expect(text).toContain("query 7 “.” → key 3 “went”");
    expect(text).toContain("What each dimension adds");
  });

  it.each([600, 760, 1000, 1366, 1600])(
    "stay inside the widget, %i px, whatever the tokens are",
    async (width) => {
      const hostile = [
        "<img src=x onerror=alert(1)>",
        "x".repeat(10_000),
        "שלום",
        "",
        "\u200b",
        "👩🏽‍🚀",
        ...WORDS,
      ];
      const view = await opened(shown(turnedOf(hostile), { query: 4, key: 1 }), width);
      expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
      expect(view.host.shadowRoot!.querySelector("img")).toBeNull();
      const right = view.el.getBoundingClientRect().right;
      for (const part of ["neurons", "behind", "term"])
        expect(view.part(part).getBoundingClientRect().right).toBeLessThanOrEqual(right + 1);
    },
  );

  it.each(["light", "dark"] as const)("keep nobody out, %s", async (theme) => {
    const view = await opened(shown(turned(), { query: 9, theme }));
    const { violations } = await axe.run(view.host, { resultTypes: ["violations"] });
    expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical")).toEqual([]);
  });

  it("show one token and one head", async () => {
    const map = held({ queries: ["alone"], heads: [1] });
    const view = await opened(shown(map));
    expect(view.part("behind").textContent).toContain("“alone” → “alone”");
  });
});

const turnedOf = (queries: string[]) => held({ queries, rotary: true, scores: { ...made, rotary: true } });
