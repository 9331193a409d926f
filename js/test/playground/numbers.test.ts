import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { choose, drag, drawn, model, mount, numberIn, paste } from "./mount";

const query = (host: ReturnType<typeof model>) => host.get("query") as number[][];
const press = (target: HTMLElement, key: string, more: KeyboardEventInit = {}) =>
  target.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true, ...more }),
  );

async function opened(scene = "temperature", changed = {}) {
  const host = model(scene, changed);
  const view = mount(host);
  await view.ready();
  return { host, view };
}

describe("a drag on a number", () => {
  it("changes all that follows, in the order of the formula", async () => {
    const { host, view } = await opened("masking", { preset: "No mask" });
    const order = ["query", "key", "value", "scores", "scaled", "mask", "weights", "output"];
    const shown = view.parts("formula").length && [
      ...view.root.querySelectorAll<HTMLElement>("figure[data-step]"),
    ];
    expect((shown as HTMLElement[]).map(({ dataset }) => dataset.step)).toEqual(order);
    const before = Object.fromEntries(order.map((step) => [step, view.numbers(step)]));
    drag(view.cell("query", 1, 0), { x: 40 });
    await drawn();
    expect(query(host)[1]).toEqual([2, -0.4]);
    const changed = order.filter((step) =>
      view.numbers(step).some((number, at) => number !== before[step]![at]),
    );
    expect(changed).toEqual(["query", "scores", "scaled", "weights", "output"]);
    const rows = (step: string) =>
      view.numbers(step).flatMap((number, at) => (number === before[step]![at] ? [] : [Math.floor(at / 6)]));
    expect(new Set(rows("weights"))).toEqual(new Set([1]));
  });

  it("goes up to the right and upwards, down the other way, and is one step back", async () => {
    const { host, view } = await opened();
    const cell = view.cell("query", 0, 0);
    drag(cell, { x: 8, y: -8 }, 8);
    expect(query(host)[0]![0]).toBeCloseTo(0.7, 9);
    await drawn();
    drag(cell, { y: 20 }, 5);
    expect(query(host)[0]![0]).toBeCloseTo(0.2, 9);
    view.part("undo").click();
    expect(query(host)[0]![0]).toBeCloseTo(0.7, 9);
    await vi.waitFor(() => expect(view.part("redo").ariaDisabled).toBe("false"));
    view.part("undo").click();
    expect(query(host)[0]![0]).toBe(0.3);
    await vi.waitFor(() => expect(view.part("undo").ariaDisabled).toBe("true"));
    view.part("redo").click();
    await drawn();
    view.part("redo").click();
    expect(query(host)[0]![0]).toBeCloseTo(0.2, 9);
  });

  it("of a few pixels changes nothing", async () => {
    const { host, view } = await opened();
    drag(view.cell("query", 0, 0), { x: 3 });
    await drawn();
    expect([query(host), host.saved]).toEqual([[[0.3, 0.7, 0]], []]);
  });

  it("stays within what can be shown", async () => {
    const { host, view } = await opened("temperature", { query: [[999_999.9, 0, 0]] });
    drag(view.cell("query", 0, 0), { x: 400 });
    expect(query(host)[0]![0]).toBe(1e6);
  });
});

describe("keys on a number", () => {
  it("turn it by a tenth, by one with Shift, by a hundredth with Alt", async () => {
    const { host, view } = await opened();
    view.cell("query", 0, 1).focus();
    await userEvent.keyboard("{ArrowUp}{ArrowUp}{ArrowDown}");
    expect(query(host)[0]![1]).toBe(0.8);
    await userEvent.keyboard("{Shift>}{ArrowUp}{/Shift}{Alt>}{ArrowDown}{/Alt}");
    expect(query(host)[0]![1]).toBe(1.79);
  });

  it("go from number to number, through the rows, and end at the ends", async () => {
    const { view } = await opened();
    const at = () => {
      const { dataset } = view.host.shadowRoot!.activeElement as HTMLElement;
      return [dataset.part, Number(dataset.row), Number(dataset.column)];
    };
    view.cell("key", 0, 2).focus();
    await userEvent.keyboard("{ArrowRight}");
    expect(at()).toEqual(["key", 1, 0]);
    await userEvent.keyboard("{PageDown}{PageDown}{ArrowLeft}{ArrowLeft}");
    expect(at()).toEqual(["key", 1, 1]);
    await userEvent.keyboard("{PageUp}{PageUp}{ArrowLeft}{ArrowLeft}");
    expect(at()).toEqual(["key", 0, 0]);
    expect(view.parts("key", '[tabindex="0"]').length).toBe(1);
  });

  it.each([
    ["1,5{Enter}", 1.5],
    ["-2.25{Enter}", -2.25],
    [",5{Enter}", 0.5],
    ["4{Tab}", 4],
    ["1e3{Enter}", 1000],
  ])("type it: %s", async (keys, wanted) => {
    const { host, view } = await opened();
    view.cell("query", 0, 0).focus();
    await userEvent.keyboard(keys);
    await vi.waitFor(() => expect(query(host)[0]![0]).toBe(wanted));
    expect(host.saved.length).toBe(1);
    await vi.waitFor(() => expect(view.parts("typed")).toEqual([]));
  });

  it("type a minus sign of print as well", async () => {
    const { host, view } = await opened();
    press(view.cell("query", 0, 0), "−");
    await vi.waitFor(() => view.part("typed"));
    await userEvent.keyboard("3{Enter}");
    await vi.waitFor(() => expect(query(host)[0]![0]).toBe(-3));
  });

  it("write over it from Enter, F2 or a double click, and leave it with Escape", async () => {
    const { host, view } = await opened();
    const cell = () => view.cell("query", 0, 0);
    cell().focus();
    await userEvent.keyboard("{Enter}9{Escape}");
    expect([query(host)[0]![0], host.saved.length]).toEqual([0.3, 0]);
    await vi.waitFor(() => expect(view.host.shadowRoot!.activeElement).toBe(cell()));
    await userEvent.keyboard("{F2}8{Enter}");
    expect(query(host)[0]![0]).toBe(8);
    await userEvent.dblClick(cell());
    await userEvent.keyboard("7{Enter}");
    expect(query(host)[0]![0]).toBe(7);
  });

  it("keep the digits that are not shown of what was only looked at", async () => {
    const { host, view } = await opened("temperature", { query: [[0.123456, 0.7, 0]] });
    view.cell("query", 0, 0).focus();
    await userEvent.keyboard("{Enter}{Enter}{F2}{Tab}");
    expect([query(host)[0]![0], host.saved.length]).toEqual([0.123456, 0]);
  });

  it.each([
    ["1.2.3{Enter}", "“1.2.3” is no number. 0.3 stays."],
    ["-{Enter}", "“-” is no number. 0.3 stays."],
    ["1e9{Enter}", "1e9 is too large; up to 1,000,000 can be shown. 0.3 stays."],
    ["1{Backspace}{Enter}", "That is empty; a number is expected. 0.3 stays."],
  ])("are refused beside the table: %s", async (keys, sentence) => {
    const { host, view } = await opened();
    const weights = view.numbers("weights");
    view.cell("query", 0, 0).focus();
    await userEvent.keyboard(keys);
    await vi.waitFor(() => expect(view.part("query-refused").textContent).toBe(sentence));
    expect(view.part("query-refused").closest("figure")).toBe(view.part("query-table"));
    expect(view.part("query-refused").getAttribute("role")).toBe("alert");
    expect([query(host)[0]![0], host.saved.length, view.numbers("weights")]).toEqual([0.3, 0, weights]);
    await userEvent.keyboard("2{Enter}");
    await vi.waitFor(() => expect(view.parts("query-refused")).toEqual([]));
  });
});

describe("a block is pasted", () => {
  const SIX = [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
    [9, 10],
    [11, 12],
  ];
  const text = (between: string, end = "\n") => SIX.map((row) => row.join(between)).join(end);
  it.each([
    ["from a spreadsheet", `${text("\t", "\r\n")}\r\n`],
    ["from a file", text(",")],
    ["from a file with semicolons", text(" ; ")],
    ["as numpy prints it", "[[ 1.  2.]\n [ 3.  4.]\n [ 5.  6.]\n [ 7.  8.]\n [ 9. 10.]\n [11. 12.]]"],
    ["as numpy shows it", `array([${SIX.map((row) => `[${row}]`).join(",\n       ")}], dtype=float32)`],
    ["as torch shows it", `tensor([${SIX.map((row) => `[${row.join(".0000, ")}]`).join(",\n        ")}])`],
    ["as Python writes it", JSON.stringify(SIX)],
  ])("%s", async (_, block) => {
    const { host, view } = await opened("masking");
    paste(view.cell("query", 3, 1), block);
    expect(query(host)).toEqual(SIX);
    await drawn();
    view.part("undo").click();
    expect(query(host)[0]).toEqual([0.6, 0.2]);
  });

  it("from the cell on where it is smaller, a single number too", async () => {
    const { host, view } = await opened("masking");
    paste(view.cell("query", 4, 1), "8");
    expect(query(host)[4]).toEqual([0.6, 8]);
    paste(view.cell("query", 4, 0), "1,5\t2,5\n3\t4");
    expect(query(host).slice(3)).toEqual([
      [-0.3, 0.9],
      [1.5, 2.5],
      [3, 4],
    ]);
  });

  it.each([
    [`${text("\t")}\n1\t2`, "7 x 2 numbers do not fit into 6 x 2 from row 5, column 1 on."],
    ["1\t2", "1 x 2 numbers do not fit into 6 x 2 from row 5, column 1 on."],
    ["1\tx", "“x” is no number. Everything stays as it was."],
    ["1\tnan", "“nan” is no number."],
    ["1 2\n3", "The rows are of different lengths: 2 and 1 numbers."],
    ["", "Nothing was pasted."],
  ])("and refused where it does not fit: %j", async (block, sentence) => {
    const { host, view } = await opened("masking");
    const before = query(host);
    paste(view.cell("query", 5, 1), block);
    await vi.waitFor(() => expect(view.part("query-refused").textContent).toContain(sentence));
    expect([query(host), host.saved.length]).toEqual([before, 0]);
  });
});

describe("undo, redo and reset", () => {
  it("go back by keys from a number, and leave a field its own", async () => {
    const { host, view } = await opened();
    view.cell("query", 0, 0).focus();
    await userEvent.keyboard("5{Enter}");
    await vi.waitFor(() => expect(query(host)[0]![0]).toBe(5));
    await userEvent.keyboard("{Control>}z{/Control}");
    expect(query(host)[0]![0]).toBe(0.3);
    await userEvent.keyboard("{Control>}{Shift>}z{/Shift}{/Control}");
    expect(query(host)[0]![0]).toBe(5);
    await userEvent.click(view.part("temperature-stop", '[data-value="0.1"]'));
    expect(host.get("temperature")).toBe(0.1);
    await userEvent.keyboard("{Control>}z{/Control}");
    expect(host.get("temperature")).toBe(1);
    const field = view.part("temperature-field");
    field.focus();
    press(field, "z", { ctrlKey: true });
    expect(query(host)[0]![0]).toBe(5);
  });

  it("take a turn of the dial as one step, and the next turn as another", async () => {
    const { host, view } = await opened();
    const track = view.part<HTMLInputElement>("temperature");
    const turn = (...places: number[]) => {
      for (const place of places) {
        track.value = String(place);
        track.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      }
      track.dispatchEvent(new Event("change", { bubbles: true, composed: true }));
    };
    turn(0.3, 0.4, 0.5);
    await drawn();
    turn(-0.4, -0.5);
    await drawn();
    view.part("temperature-stop", '[data-value="0.01"]').click();
    await drawn();
    const seen = [host.get("temperature")];
    for (let times = 0; times < 3; times++) {
      view.part("undo").click();
      await drawn();
      seen.push(host.get("temperature"));
    }
    expect(seen).toEqual([0.01, 0.316, 3.16, 1]);
  });

  it("reach back over scenes, and reset to the preset", async () => {
    const { host, view } = await opened();
    drag(view.cell("key", 0, 0), { x: 20 });
    choose(view.part<HTMLSelectElement>("scene"), "values");
    await drawn();
    drag(view.cell("value", 0, 0), { x: 20 });
    await drawn();
    view.part("reset").click();
    expect(host.get("value")).toEqual([
      [0.05, 0.02],
      [2, -1],
      [-1, 3],
      [1.5, 1],
    ]);
    for (let times = 0; times < 3; times++) {
      await vi.waitFor(() => expect(view.part("undo").ariaDisabled).toBe("false"));
      view.part("undo").click();
      await drawn();
    }
    expect([host.get("scene"), (host.get("key") as number[][])[0]![0]]).toEqual(["temperature", 1.5]);
    expect(view.part<HTMLSelectElement>("scene").value).toBe("temperature");
    await drawn();
    view.part("undo").click();
    await vi.waitFor(() => expect(view.part("reset").ariaDisabled).toBe("true"));
    expect((host.get("key") as number[][])[0]![0]).toBe(1);
  });

  it("know no step that changes nothing", async () => {
    const { host, view } = await opened("masking");
    view.part("mask-causal").click();
    view.part("scaled-by-width").click();
    await drawn();
    expect([view.part("undo").ariaDisabled, host.saved]).toEqual(["true", []]);
  });
});

describe("tokens and widths", () => {
  it("grow to their limits and shrink to one", async () => {
    const { host, view } = await opened("masking", { preset: "By hand" });
    const size = () => [
      query(host).length,
      query(host)[0]!.length,
      (host.get("value") as number[][])[0]!.length,
    ];
    const press = async (name: string, times: number) => {
      for (let time = 0; time < times; time++) {
        view.part(name).click();
        await drawn();
      }
    };
    await press("tokens-more", 8);
    await press("width-more", 8);
    await press("values-more", 8);
    expect(size()).toEqual([12, 8, 8]);
    expect(view.part("tokens-more").ariaDisabled).toBe("true");
    expect((host.get("mask") as boolean[][]).map((row) => row.length)).toEqual(Array(12).fill(12));
    expect((host.get("mask") as boolean[][])[0]!.slice(0, 7)).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
      true,
    ]);
    expect(view.numbers("weights").length).toBe(144);
    await press("tokens-less", 13);
    await press("width-less", 9);
    await press("values-less", 9);
    expect(size()).toEqual([1, 1, 1]);
    expect(view.numbers("weights")).toEqual([1]);
    expect(host.get("query_labels")).toEqual(["the"]);
  });

  it("of queries and keys are their own where nothing pairs them", async () => {
    const { host, view } = await opened("lookup");
    view.part("queries-more").click();
    await drawn();
    view.part("keys-less").click();
    await drawn();
    expect([query(host).length, (host.get("key") as []).length, (host.get("value") as []).length]).toEqual([
      3, 4, 4,
    ]);
    expect(numberIn(view.cell("weights", 2, 3))).toBe(0.25);
  });
});
