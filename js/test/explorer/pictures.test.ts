import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, press, slide, viewsOffered } from "./mount";

type Grid = { name: string; start: number; rows: number; columns: number; places?: number[] };
const grid = ({ name, start, rows, columns, places }: Grid) => ({
  ...{ name, start, rows, columns, picture: true, digest: start },
  ...(places && { places }),
});
const labelsOf = (name: string, rows: number, columns: number) =>
  Array.from({ length: rows * columns }, (_, at) => `${name}: ${Math.floor(at / columns)},${at % columns}`);

/** Two pictures among words: a wide one, and a square one whose patches stand in another order, one of them missing. */
const chat = (more: Partial<MapOptions> = {}) =>
  new MockMap({
    queries: [
      "see",
      ...labelsOf("picture 1", 2, 4),
      "and",
      ...labelsOf("picture 2", 1, 3),
      "which",
      "one",
      "?",
    ],
    image: [
      grid({ name: "picture 1", start: 1, rows: 2, columns: 4 }),
      grid({ name: "picture 2", start: 10, rows: 2, columns: 2, places: [12, 10, -1, 11] }),
    ],
    causal: false,
    ...more,
  });
const film = (frames: number) =>
  new MockMap({
    queries: ["look", ...Array.from({ length: frames }, (_, at) => labelsOf(`frame ${at + 1}`, 2, 2)).flat()],
    image: Array.from({ length: frames }, (_, at) =>
      grid({ name: `frame ${at + 1}`, start: 1 + 4 * at, rows: 2, columns: 2 }),
    ),
    heads: [2],
    causal: false,
  });
const tiled = (rows: number, columns: number) => {
  const count = rows * columns;
  const tiles = Array.from({ length: count }, (_, at) => {
    const name = `tile ${Math.floor(at / columns) + 1}, ${(at % columns) + 1}`;
    return grid({ name, start: at, rows: 1, columns: 1 });
  });
  return new MockMap({
    queries: Array.from({ length: count + 4 }, (_, at) => `${at}`),
    image: [...tiles, grid({ name: "overview", start: count, rows: 2, columns: 2 })],
    heads: [2],
    causal: false,
  });
};
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "image", ...choices });
type View = ReturnType<typeof mount>;
const large = (view: View) => view.part<HTMLCanvasElement>("image");
const small = (view: View) => view.parts("picture");
const pictured = (view: View) =>
  vi.waitFor(() => expect(large(view).dataset.picture).toBe("true"), { timeout: 5000 });
const sum = (weights: ArrayLike<number>, keys: number[]) => keys.reduce((all, key) => all + weights[key]!, 0);

function colourIn(canvas: HTMLCanvasElement, x: number, y: number): number[] {
  const ratio = canvas.width / canvas.clientWidth;
  const { data } = canvas.getContext("2d")!.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1);
  return [...data.slice(0, 3)];
}

describe("several pictures in one text", () => {
  it("are all there, each with what the query gives to it", async () => {
    const host = shown(chat(), { query: 15 });
    const view = mount(host);
    await view.ready();
    await pictured(view);
    const row = host.maps[0]!.row(0, 0, 15);
    const shares = small(view).map(({ dataset }) => Number(dataset.share));
    expect(shares[0]).toBeCloseTo(sum(row, [1, 2, 3, 4, 5, 6, 7, 8]), 3);
    expect(shares[1]).toBeCloseTo(sum(row, [10, 11, 12]), 3);
    expect(Number(large(view).dataset.mass)).toBeCloseTo(shares[0]! + shares[1]!, 3);
    expect(view.part("image-query").textContent).toMatch(
      /^Query “\?”: 0\.\d{4} on the patches of all pictures/,
    );
    expect(small(view).map((one) => one.getAttribute("aria-selected"))).toEqual(["true", "false"]);
  });

  it("are large by a click or a key, and their patches point at their own tokens", async () => {
    const host = shown(chat(), { query: 15 });
    const view = mount(host);
    await view.ready();
    small(view)[0]!.focus();
    press(small(view)[0]!, "ArrowRight");
    await vi.waitFor(() => expect(large(view).dataset.number).toBe("1"));
    const canvas = large(view);
    const box = canvas.getBoundingClientRect();
    const at = (across: number, down: number) => ({
      clientX: box.left + across * box.width,
      clientY: box.top + down * box.height,
      bubbles: true,
      composed: true,
    });
    canvas.dispatchEvent(new PointerEvent("pointermove", at(0.75, 0.75)));
    await vi.waitFor(() => expect(view.part("tooltip").textContent).toContain("“picture 2: 0,1”"));
    expect(view.part("tooltip").textContent).toContain("row 1, column 1 of picture 2");
    expect(view.part("tooltip").textContent).toContain(
      host.maps[0]!.row(0, 0, 15)[11]!.toFixed(3).slice(0, 4),
    );
    canvas.dispatchEvent(new MouseEvent("click", at(0.25, 0.75)));
    expect(host.get("query")).toBe(15); // no token stands for this patch
    canvas.dispatchEvent(new MouseEvent("click", at(0.25, 0.25)));
    expect(host.get("query")).toBe(12);
  });

  it("are asked by the words around them", async () => {
    const host = shown(chat());
    const view = mount(host);
    await view.ready();
    const words = [...view.part("askers").querySelectorAll<HTMLElement>(".word")];
    expect(words.map((word) => word.textContent)).toEqual(["see", "and", "which", "one", "?"]);
    words[2]!.click();
    expect(host.get("query")).toBe(13);
  });
});

describe("what lies over a picture", () => {
  it("is nothing where the weight is near zero, and most where it is largest", async () => {
    const host = shown(chat(), { query: 15, theme: "light" });
    const view = mount(host);
    await view.ready();
    await pictured(view);
    const row = host.maps[0]!.row(0, 0, 15);
    const canvas = large(view);
    const cell = (at: number) => {
      const [wide, high] = [canvas.clientWidth / 4, canvas.clientHeight / 2];
      return colourIn(canvas, ((at % 4) + 0.3) * wide, (Math.floor(at / 4) + 0.3) * high);
    };
    slide(view.part<HTMLInputElement>("overlay"), 0);
    await vi.waitFor(() => expect(cell(7)[2]).toBeGreaterThan(80));
    const bare = Array.from({ length: 8 }, (_, at) => cell(at));
    slide(view.part<HTMLInputElement>("overlay"), 1);
    const end = Math.max(...Array.from(row.slice(1, 9)), ...Array.from(row.slice(10, 13)));
    await vi.waitFor(() => {
      const moved = bare.map((before, at) =>
        before.reduce((all, channel, of) => all + Math.abs(channel - cell(at)[of]!), 0),
      );
      for (let at = 0; at < 8; at++) {
        // White and the accent blue are no farther from any colour of the picture than this.
        expect(moved[at]).toBeLessThanOrEqual((row[1 + at]! / end) * 3 * 255 + 6);
        if (row[1 + at]! > 0.5 * end) expect(moved[at]).toBeGreaterThan(20);
      }
    });
  });
});

describe("frames of a video", () => {
  it("are a strip of which only what is in sight is drawn, however long it is", async () => {
    const view = mount(shown(film(200)), 900);
    await view.ready();
    expect(small(view)).toHaveLength(200);
    const strip = view.part("pictures");
    const canvas = strip.querySelector("canvas")!;
    expect(canvas.clientWidth).toBeLessThanOrEqual(strip.clientWidth);
    expect(strip.scrollWidth).toBeGreaterThan(10_000);
    strip.scrollLeft = strip.scrollWidth;
    await vi.waitFor(() => {
      const last = small(view)[199]!.getBoundingClientRect();
      const on = canvas.getBoundingClientRect();
      expect(last.right).toBeLessThanOrEqual(on.right + 1);
      const [red, green] = colourIn(canvas, last.left - on.left + last.width / 2 - 10, 20);
      expect(red! + green!).toBeGreaterThan(0);
    });
    small(view)[199]!.click();
    await vi.waitFor(() => expect(large(view).getAttribute("aria-label")).toContain("of frame 200"));
  }, 30_000);
});

describe("tiles", () => {
  it("lie as they lie in the picture, with the overview large", async () => {
    const view = mount(shown(tiled(3, 4)));
    await view.ready();
    expect(large(view).dataset.number).toBe("12");
    const boxes = small(view).map((one) => one.getBoundingClientRect());
    expect([boxes[1]!.left > boxes[0]!.left, boxes[1]!.top === boxes[0]!.top]).toEqual([true, true]);
    expect([boxes[4]!.left === boxes[0]!.left, boxes[4]!.top > boxes[0]!.top]).toEqual([true, true]);
    expect(boxes[12]!.top).toBeGreaterThan(boxes[11]!.top);
  });

  it("fit in the room there is, a hundred and forty-four of them too", async () => {
    const view = mount(shown(tiled(12, 12)), 600);
    await view.ready();
    expect(small(view)).toHaveLength(145);
    const strip = view.part("pictures");
    expect(strip.scrollWidth).toBeLessThanOrEqual(strip.clientWidth);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
  });
});

describe("heads over a picture", () => {
  const loaded = (view: View, count: number) =>
    vi.waitFor(() => {
      expect(view.parts("multiple")).toHaveLength(count);
      expect(view.parts("multiple").every(({ dataset }) => dataset.loaded === "true")).toBe(true);
    });

  it("are those of the layer, or one of all layers, each with its mass there", async () => {
    const host = shown(chat({ heads: [3, 3, 2] }), { query: 15, layer: 1, head: 2 });
    const view = mount(host);
    await view.ready();
    await loaded(view, 3);
    const keys = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const [head, one] of view.parts("multiple").entries())
      expect(Number(one.dataset.mass)).toBeCloseTo(sum(host.maps[0]!.row(1, head, 15), keys), 3);
    view.part("across-layers").click();
    await loaded(view, 2); // the last layer has no such head
    expect(view.parts("multiple").map(({ dataset }) => dataset.layer)).toEqual(["0", "1"]);
    view.parts("multiple")[0]!.click();
    expect([host.get("layer"), host.get("head")]).toEqual([0, 2]);
  });

  it("are walked by arrows", async () => {
    const host = shown(chat({ heads: [3] }));
    const view = mount(host);
    await view.ready();
    await loaded(view, 3);
    press(view.parts("multiple")[0]!, "ArrowRight");
    expect(host.get("head")).toBe(1);
  });

  it("are small in the grid as well: the largest patch of each in its darkest colour", async () => {
    const host = shown(chat({ heads: [1, 1] }), { query: 15, theme: "light" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => {
      for (const layer of [0, 1]) {
        const row = host.maps[0]!.row(layer, 0, 15).slice(1, 9);
        const strongest = row.indexOf(Math.max(...row));
        const thumb = view.part("thumb", `[data-layer="${layer}"]`);
        const canvas = thumb.parentElement!.querySelector("canvas")!;
        // Four columns and two rows of patches, in the middle of a square.
        const size = canvas.clientHeight;
        const x = ((strongest % 4) + 0.5) * (size / 4);
        const y = size / 4 + (Math.floor(strongest / 4) + 0.5) * (size / 4);
        expect(colourIn(canvas, x, y)[0]).toBeLessThan(40);
      }
    });
  });

  it("say why, where rows cannot be had", async () => {
    const host = shown(chat({ heads: [2] }));
    host.policy = ({ op }) => (op === "rows" ? { error: "The rows are gone." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(view.part("multiples-fault").textContent).toBe("The rows are gone."));
  });
});

describe("maps that are all picture", () => {
  it("have no text to read, and one head no grid", async () => {
    const queries = ["[CLS]", ...labelsOf("", 2, 2)];
    const image = grid({ name: "", start: 1, rows: 2, columns: 2 });
    const view = mount(shown(new MockMap({ queries, special: [0], image, causal: false, heads: [1] })));
    await view.ready();
    expect(viewsOffered(view).filter((name) => ["text", "grid"].includes(name))).toEqual([]);
    expect(view.parts("askers")).toEqual([]);
    expect(view.parts("multiple")).toEqual([]);
  });

  it.each([600, 1300])("fit in %i px with all that is around them", async (width) => {
    const view = mount(shown(chat(), { query: 15 }), width);
    await view.ready();
    await pictured(view);
    expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
    for (const one of [...view.parts("multiple"), ...small(view)])
      expect(one.getBoundingClientRect().right).toBeLessThanOrEqual(
        view.el.getBoundingClientRect().right + 1,
      );
  });
});
