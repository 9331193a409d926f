import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, point, press } from "./mount";
import { copied, model, open, saved, WORDS } from "./saving";

const LOOKS = ["show-table", "full-screen", "show-keys"];
const items = (view: Mounted) =>
  [...view.part("save-menu").querySelectorAll('[role="menuitem"]')].map((item) =>
    item.getAttribute("data-part"),
  );

describe("the menu", () => {
  it("is worked by keyboard, and hands the focus back", async () => {
    const view = mount(model({ query: 9, key: 3 }));
    await view.ready();
    const button = view.part("save");
    const active = () => view.host.shadowRoot!.activeElement;
    expect([button.getAttribute("aria-haspopup"), button.getAttribute("aria-expanded")]).toEqual([
      "menu",
      "false",
    ]);
    button.focus();
    press(button, "ArrowDown");
    await vi.waitFor(() => expect(active()).toBe(view.part("copy-value")));
    expect(button.getAttribute("aria-expanded")).toBe("true");
    expect(view.part("save-menu").getAttribute("role")).toBe("menu");
    press(view.part("copy-value"), "ArrowDown");
    expect(active()).toBe(view.part("copy-row"));
    press(view.part("copy-row"), "End");
    expect(active()).toBe(view.part("show-keys"));
    press(view.part("show-keys"), "ArrowDown");
    expect(active()).toBe(view.part("copy-value"));
    press(view.part("copy-value"), "ArrowUp");
    expect(active()).toBe(view.part("show-keys"));
    press(view.part("show-keys"), "Escape");
    await vi.waitFor(() => expect(view.parts("save-menu")).toEqual([]));
    expect(active()).toBe(button);
    // Escape closed the menu, and nothing else.
    expect(view.heatmap().ownerDocument.contains(view.host)).toBe(true);
    expect(view.part("row").dataset.query).toBe("9");
  });

  it("closes where the focus goes elsewhere", async () => {
    const view = mount(model());
    await view.ready();
    await open(view);
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement).toBe(view.part("copy-code")));
    view.heatmap().focus();
    await vi.waitFor(() => expect(view.parts("save-menu")).toEqual([]));
    expect(view.host.shadowRoot!.activeElement).toBe(view.heatmap());
  });

  it("offers what can be done, and nothing else", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    await open(view);
    expect(items(view)).toEqual(["copy-code", "save-png", "save-svg", "save-csv", "save-page", ...LOOKS]);
    press(view.part("copy-code"), "Escape");
    host.fromPython({ query: 3, key: 9 });
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("3"));
    await open(view);
    // Key 9 is masked for query 3.
    expect(items(view)).toEqual([
      "copy-row",
      "copy-code",
      "save-png",
      "save-svg",
      "save-csv",
      "save-page",
      ...LOOKS,
    ]);
    press(view.part("copy-row"), "Escape");
    host.disconnect();
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    await open(view);
    expect(items(view)).toEqual(["copy-row", "copy-code", "save-png", "save-svg", "save-csv", ...LOOKS]);
    press(view.part("copy-row"), "Escape");
    await vi.waitFor(() => expect(view.parts("save-menu")).toEqual([]));
    for (const part of ["save-png", "save-svg", "save-csv"])
      expect((await saved(view, part)).blob.size).toBeGreaterThan(500);
  });
});

describe("the clipboard", () => {
  it("gets the value of the pinned cell, as far as it is known", async () => {
    const host = model({ query: 9, key: 3, layer: 1, temperature: 0.5 });
    const view = mount(host);
    await view.ready();
    const text = await copied(view, "copy-value");
    const weight = host.maps[0]!.row(1, 0, 9, 0.5)[3]!;
    expect(Math.abs(Number(text) - weight) / weight).toBeLessThan(1e-3);
    expect(text.replace(/^0\.0*/, "").length).toBeGreaterThan(3);
  });

  it("gets the weight under the cursor by the keys for copying", async () => {
    const view = mount(model({ query: 9, key: 3 }));
    await view.ready();
    point(view.heatmap(), "pointermove", 7, 0);
    const data = new DataTransfer();
    const event = new ClipboardEvent("copy", {
      clipboardData: data,
      bubbles: true,
      composed: true,
      cancelable: true,
    });
    view.heatmap().dispatchEvent(event);
    expect(event.defaultPrevented).toBe(true);
    const host = new MockMap({ queries: WORDS });
    expect(Number(data.getData("text/plain"))).toBeCloseTo(host.row(0, 0, 7)[0]!, 3);
  });

  it("gets the row of the pinned query, without a kernel", async () => {
    const host = model({ query: 4 });
    const view = mount(host);
    await view.ready();
    const asked = host.sent.length;
    host.policy = () => "hold";
    const lines = (await copied(view, "copy-row")).trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t")[0])).toEqual(WORDS.slice(0, 5));
    const weights = host.maps[0]!.row(0, 0, 4);
    for (const [key, line] of lines.entries())
      expect(Number(line.split("\t")[1])).toBeCloseTo(weights[key]!, 3);
    expect(host.sent.slice(asked).filter(({ op }) => op === "tile" || op === "page")).toEqual([]);
  });

  it("gets the code that opens this view, with what differs from the defaults", async () => {
    const view = mount(model({ layer: 3, query: 11, temperature: 0.5, view: "text" }));
    await view.ready();
    expect(await copied(view, "copy-code")).toBe(
      'aw.explore(run, layer=3, query=11, temperature=0.5, view="text")',
    );
  });

  it("names heads that are chosen together", async () => {
    const selected: [number, number][] = [
      [0, 1],
      [2, 3],
    ];
    const view = mount(model({ selected }));
    await view.ready();
    expect(await copied(view, "copy-code")).toBe("aw.explore(run, selected=[[0, 1], [2, 3]])");
  });

  it("names the map where there are several, and quotes it", async () => {
    const maps = ["plain", 'cross "attention"\n'].map((name) => new MockMap({ name, queries: WORDS }));
    const view = mount(new MockModel(maps, { map: 'cross "attention"\n', head: 2 }));
    await view.ready();
    expect(await copied(view, "copy-code")).toBe('aw.explore(run, map="cross \\"attention\\"\\n", head=2)');
  });

  it.each(["missing", "refused"])("that is %s leaves the text to be taken by hand", async (how) => {
    const view = mount(model({ layer: 3 }));
    await view.ready();
    if (how === "missing") {
      Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true });
      onTestFinished(() => void Reflect.deleteProperty(navigator, "clipboard"));
    } else vi.spyOn(navigator.clipboard, "writeText").mockRejectedValueOnce(new Error("no"));
    await open(view);
    view.part("copy-code").click();
    await vi.waitFor(() => expect(view.parts("handed")).toHaveLength(1));
    expect(view.part("handed").textContent).toContain("This page may not use the clipboard");
    const box = view.part<HTMLTextAreaElement>("handed-text");
    expect(box.value).toBe("aw.explore(run, layer=3)");
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement).toBe(box));
    expect([box.selectionStart, box.selectionEnd]).toEqual([0, box.value.length]);
    press(box, "Escape");
    await vi.waitFor(() => expect(view.parts("handed")).toEqual([]));
    expect(view.host.shadowRoot!.activeElement).toBe(view.part("save"));
  });
});

/** RFC 4180, read by the letter. */
function table(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === "\r\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

async function csv(view: Mounted): Promise<{ name: string; rows: string[][] }> {
  const { name, blob } = await saved(view, "save-csv");
  const bytes = new Uint8Array(await blob.arrayBuffer());
  expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  return { name, rows: table(new TextDecoder().decode(bytes)) };
}

describe("a map as a table", () => {
  it("has the weights of the screen, as tempered, and nothing where masked", async () => {
    const host = model({ layer: 2, head: 1, temperature: 0.7, scaling: 1.5 });
    const view = mount(host);
    await view.ready();
    const { name, rows } = await csv(view);
    expect(name).toBe("attention-layer-2-head-1.csv");
    expect(rows[0]).toEqual(["query", ...WORDS]);
    expect(rows.slice(1).map(([word]) => word)).toEqual(WORDS);
    for (let query = 0; query < 12; query++) {
      const weights = host.maps[0]!.row(2, 1, query, 0.7, 1.5);
      const line = rows[query + 1]!.slice(1);
      expect(line.slice(query + 1)).toEqual(Array(11 - query).fill(""));
      for (let key = 0; key <= query; key++) {
        // Weights travel as logarithms in steps of some 1e-4.
        expect(Math.abs(Number(line[key]) - weights[key]!)).toBeLessThan(1e-6 + 4e-4 * weights[key]!);
      }
      const sum = line.reduce((total, text) => total + Number(text), 0);
      expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
    }
  });

  it("keeps labels whatever they are, and makes none of them a formula", async () => {
    const queries = ['say "hi", Ben', "a\r\nb", "=1+1", "-", "@x", "é注", ""];
    const view = mount(model({}, { queries }));
    await view.ready();
    const { rows } = await csv(view);
    const wanted = ['say "hi", Ben', "a\r\nb", "'=1+1", "'-", "'@x", "é注", ""];
    expect(rows[0]!.slice(1)).toEqual(wanted);
    expect(rows.slice(1).map(([word]) => word)).toEqual(wanted);
  });

  it("says what a cell is where it is many", async () => {
    const queries = Array.from({ length: 1500 }, (_, at) => `t${at}`);
    const host = model({ pooling: "mean" }, { queries, keys: ["a", "b", "c"], heads: [1], causal: false });
    const view = mount(host);
    await view.ready();
    const { name, rows } = await csv(view);
    const stride = Math.ceil(1500 / (rows.length - 1));
    expect(stride).toBeGreaterThan(1);
    expect(name).toBe(`attention-layer-0-head-0-mean-of-${stride}x1.csv`);
    expect(rows[0]).toEqual([`mean of ${stride} x 1 cells`, "a", "b", "c"]);
    expect(rows[1]![0]).toBe(`0-${stride - 1}`);
    expect(rows.at(-1)![0]).toMatch(/1499$/);
    const mean = (key: number) =>
      Array.from({ length: stride }, (_, query) => host.maps[0]!.row(0, 0, query)[key]!).reduce(
        (a, b) => a + b,
      ) / stride;
    expect(Number(rows[1]![2])).toBeCloseTo(mean(1), 3);
  });

  it("says NaN where a row is", async () => {
    const host = model();
    const answer = host.replyTo.bind(host);
    host.replyTo = (question) => {
      const reply = answer(question);
      if (question.op === "tile") {
        const [codes, missing] = reply.buffers;
        missing!.setFloat32(4 * 5, Number.NaN, true);
        for (let key = 0; key < 12; key++) codes!.setUint16(2 * (5 * 12 + key), 65535, true);
      }
      return reply;
    };
    const view = mount(host);
    await view.ready();
    const { rows } = await csv(view);
    expect(rows[6]!.slice(1)).toEqual(Array(12).fill("NaN"));
    expect(rows[5]!.slice(6)).toEqual(Array(7).fill(""));
  });
});

describe("a page", () => {
  it("is asked of the kernel, and saved as it comes", async () => {
    const host = model({ layer: 1, head: 2, query: 9 });
    const view = mount(host);
    await view.ready();
    const { name, blob } = await saved(view, "save-page");
    const asked = host.sent.find(({ op }) => op === "page");
    expect(asked).toMatchObject({ op: "page", map: "attention", layer: 1, head: 2, query: 9 });
    expect(name).toBe("attention-layer-1-head-2.html");
    expect(blob.type).toBe("text/html");
    expect(await blob.text()).toBe("<!doctype html><p>query 9 “é”</p>");
  });

  it("that the kernel refuses is said so", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    host.policy = ({ op }) => (op === "page" ? { error: "The page would have 900 MB." } : "answer");
    await open(view);
    view.part("save-page").click();
    await vi.waitFor(() => expect(view.part("handed").textContent).toContain("The page would have 900 MB."));
    view.part("handed-close").click();
    await vi.waitFor(() => expect(view.parts("handed")).toEqual([]));
  });
});

describe("a file that is refused", () => {
  const refuse = () => {
    const make = vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
      throw new DOMException("no", "SecurityError");
    });
    onTestFinished(() => make.mockRestore());
  };
  it("is shown as text", async () => {
    const view = mount(model());
    await view.ready();
    refuse();
    await open(view);
    view.part("save-csv").click();
    await vi.waitFor(() => expect(view.parts("handed-text")).toHaveLength(1));
    expect(view.part("handed").textContent).toContain("This page may not save files");
    expect(view.part<HTMLTextAreaElement>("handed-text").value).toContain("query,Lily,and,Ben");
  });
  it("is shown as a picture", async () => {
    const view = mount(model());
    await view.ready();
    refuse();
    await open(view);
    view.part("save-png").click();
    await vi.waitFor(() => expect(view.parts("handed-image")).toHaveLength(1));
    expect(view.part<HTMLImageElement>("handed-image").src).toMatch(/^data:image\/png/);
  });
  it("may have come in a frame that is not told, and is shown there too", async () => {
    const view = mount(model());
    await view.ready();
    vi.stubGlobal("origin", "null");
    onTestFinished(() => void vi.unstubAllGlobals());
    await saved(view, "save-csv");
    await vi.waitFor(() => expect(view.parts("handed-text")).toHaveLength(1));
    expect(view.part("handed").textContent).toContain("If no file came");
  });
});
