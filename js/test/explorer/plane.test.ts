import axe from "axe-core";
import { describe, expect, it, vi } from "vitest";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import { choose, type Mounted, mount, press } from "./mount";
import { saved } from "./saving";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const WIDTH = 8;
const made = { scaling: 1 / Math.sqrt(WIDTH), width: WIDTH };
const held = (options: Partial<MapOptions> = {}) =>
  new MockMap({ queries: WORDS, held: "projections", width: WIDTH, scores: made, ...options });
const shown = (map: MockMap, choices = {}) => new MockModel([map], { view: "plane", ...choices });
const picture = (view: Mounted) => view.part<HTMLCanvasElement>("plane");
const said = (view: Mounted) => view.part("lit").textContent;

async function opened(host: MockModel, width = 1000): Promise<Mounted> {
  const view = mount(host, width);
  await view.ready();
  return view;
}

/** Where a token stands on the page: the mock's plane is the first two dimensions. */
function placeOf(view: Mounted, map: MockMap, of: "queries" | "keys", token: number) {
  const vectors = map.vectors(0, 0);
  const all = [...Array(WORDS.length).keys()].flatMap((at) => [
    vectors.queries.slice(at * WIDTH, at * WIDTH + 2),
    vectors.keys.slice(at * WIDTH, at * WIDTH + 2),
  ]);
  const ends = [0, 1].map((axis) => {
    const values = all.map((one) => one[axis]!);
    return [Math.min(...values), Math.max(...values)] as const;
  });
  const side = picture(view).clientWidth;
  const scale = (side - 44) / Math.max(...ends.map(([low, high]) => high - low));
  const [x, y] = vectors[of].slice(token * WIDTH, token * WIDTH + 2);
  const middle = ends.map(([low, high]) => (low + high) / 2);
  const box = picture(view).getBoundingClientRect();
  return {
    clientX: box.left + side / 2 + (x! - middle[0]!) * scale,
    clientY: box.top + side / 2 - (y! - middle[1]!) * scale,
    bubbles: true,
    composed: true,
  };
}

const top = (row: ArrayLike<number>, count: number) =>
  [...Array(row.length).keys()].sort((one, other) => row[other]! - row[one]!).slice(0, count);

describe("queries and keys in the plane", () => {
  it("say how far distances can be read, and where they cannot", async () => {
    const host = shown(held());
    const view = await opened(host);
    expect(view.part("verdict").textContent).toBe("Nearness and score: rank correlation 0.75 over 78 pairs.");
    host.fromPython({ head: 1 });
    await vi.waitFor(() =>
      expect(view.part("verdict").textContent).toMatch("0.25 over 78 pairs: not readable."),
    );
    await view.ready();
    const { blob } = await saved(view, "save-svg");
    const text = new DOMParser().parseFromString(await blob.text(), "application/xml").documentElement
      .textContent!;
    expect(text.replace(/\s+/g, " ")).toContain(
      "Not readable: distance in this picture says little about the scores of this head.",
    );
  });

  it("light the heaviest keys of the query under the pointer, and pin it", async () => {
    const host = shown(held());
    const view = await opened(host);
    const map = host.maps[0]!;
    picture(view).dispatchEvent(new PointerEvent("pointermove", placeOf(view, map, "queries", 9)));
    await vi.waitFor(() => expect(picture(view).dataset.lit).toBe("queries 9"));
    const row = map.row(0, 0, 9);
    const heaviest = top(row, 5).filter((key) => row[key]! >= 0.04 * Math.max(...row));
    expect(picture(view).dataset.partners).toBe(heaviest.join(" "));
    expect(said(view)).toContain(`Query “gave” at 9 looks at “${WORDS[heaviest[0]!]}” at ${heaviest[0]}`);
    picture(view).dispatchEvent(new MouseEvent("click", placeOf(view, map, "queries", 9)));
    expect(host.get("query")).toBe(9);
    picture(view).dispatchEvent(new MouseEvent("click", placeOf(view, map, "keys", 4)));
    expect([host.get("query"), host.get("key")]).toEqual([9, 4]);
    press(picture(view), "Escape");
    expect(host.get("query")).toBeNull();
  });

  it("follow what is pinned elsewhere, and keys say who looks at them", async () => {
    const host = shown(held());
    const view = await opened(host);
    host.fromPython({ query: 7 });
    await vi.waitFor(() => expect(picture(view).dataset.lit).toBe("queries 7"));
    host.fromPython({ query: 7, key: 2 });
    await vi.waitFor(() => expect(picture(view).dataset.partners).toMatch(/^2 /));
    const map = host.maps[0]!;
    picture(view).dispatchEvent(new PointerEvent("pointermove", placeOf(view, map, "keys", 3)));
    await vi.waitFor(() => expect(picture(view).dataset.lit).toBe("keys 3"));
    const column = WORDS.map((_, query) => map.row(0, 0, query)[3]!);
    expect(picture(view).dataset.partners!.split(" ")[0]).toBe(String(top(column, 1)[0]));
    expect(said(view)).toMatch(/^Key “went” at 3 is looked at most by /);
  });

  it("are reached by keys alone", async () => {
    const host = shown(held());
    const view = await opened(host);
    picture(view).focus();
    press(picture(view), "ArrowRight");
    press(picture(view), "ArrowRight");
    await vi.waitFor(() => expect(picture(view).dataset.lit).toBe("queries 1"));
    press(picture(view), "ArrowDown");
    await vi.waitFor(() => expect(picture(view).dataset.lit).toBe("keys 1"));
    press(picture(view), "ArrowUp");
    press(picture(view), "Enter");
    expect(host.get("query")).toBe(1);
  });

  it("stand beside those of the other heads of the layer, which can be chosen", async () => {
    const host = shown(held({ headNumbers: [[4, 5, 6, 7]] }));
    const view = await opened(host);
    await vi.waitFor(() => expect(view.parts("plane-head")).toHaveLength(4));
    expect(view.part("plane-head", '[data-head="3"]').textContent).toBe(
      "Head 7 rank correlation 0.25, not readable",
    );
    view.part("plane-head", '[data-head="2"]').click();
    expect(host.get("head")).toBe(2);
    await vi.waitFor(() => expect(picture(view).dataset.head).toBe("2"));
  });

  it("can be coloured by position", async () => {
    const view = await opened(shown(held()));
    const before = picture(view).toDataURL();
    choose(view.part<HTMLSelectElement>("plane-colour"), "position");
    await vi.waitFor(() => expect(picture(view).toDataURL()).not.toBe(before));
  });

  it("say why there are none: of a layer that was given as weights, and of a kernel that refuses", async () => {
    const map = held();
    map.facts.scores = [made, null, made, made];
    const view = await opened(shown(map, { layer: 1 }));
    expect(view.part("plane-hint").textContent).toMatch(/this layer was given as weights/);
    const host = shown(held());
    host.policy = ({ op }) => (op === "plane" ? { error: "There is no plane today." } : "answer");
    const refused = await opened(host);
    expect(refused.host.shadowRoot!.querySelector(".fault")!.textContent).toContain(
      "There is no plane today.",
    );
  });

  it.each([600, 760, 1000, 1366, 1600])(
    "stay inside the widget, %i px, whatever the tokens are",
    async (width) => {
      const hostile = ["<img src=x onerror=alert(1)>", "x".repeat(10_000), "שלום", "", "\u200b", ...WORDS];
      const view = await opened(shown(held({ queries: hostile }), { query: 6 }), width);
      expect(view.el.scrollWidth).toBeLessThanOrEqual(view.el.clientWidth);
      expect(view.host.shadowRoot!.querySelector("img")).toBeNull();
      const right = view.el.getBoundingClientRect().right;
      for (const part of ["plane", "lit", "verdict"])
        expect(view.part(part).getBoundingClientRect().right).toBeLessThanOrEqual(right + 1);
    },
  );

  it.each(["light", "dark"] as const)("keep nobody out, %s", async (theme) => {
    const view = await opened(shown(held(), { query: 9, theme }));
    await vi.waitFor(() => expect(view.parts("plane-head")).toHaveLength(4));
    const { violations } = await axe.run(view.host, { resultTypes: ["violations"] });
    expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical")).toEqual([]);
  });
});
