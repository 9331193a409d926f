import { describe, expect, it, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount, plotOf, showView } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const HEADS = [3, 4, 3];
const model = (choices = {}) =>
  new MockModel([new MockMap({ queries: WORDS, heads: HEADS, measured: { without: [[1, 2]] } })], choices);
const focused = (view: Mounted) => view.host.shadowRoot!.activeElement as HTMLElement | null;
const isInside = (view: Mounted) => document.activeElement === view.host && focused(view) !== null;
const clickAt = (element: HTMLElement, x: number, y: number) =>
  userEvent.click(element, { position: { x, y }, force: true });

describe("a click keeps the keys inside", () => {
  it.each([
    ["an entropy bar", "query-entropy"],
    ["the text of the row", "row"],
    ["a legend", "legend"],
    ["what has nothing to do", "zoom-fit"],
    ["a heading", "profile"],
  ])("on %s", async (_, name) => {
    const view = mount(model({ query: 5 }));
    await view.ready();
    await vi.waitFor(() => expect(view.part("row").dataset.query).toBe("5"));
    const box = view.part(name).getBoundingClientRect();
    await clickAt(
      view.part(name),
      Math.min(8, box.width / 2),
      Math.min(name === "profile" ? 6 : 60, box.height / 2),
    );
    expect(isInside(view)).toBe(true);
  });

  it("on a bar of the pinned row, an empty place, and the pinned key that is then gone", async () => {
    const host = model({ query: 5 });
    const view = mount(host);
    await view.ready();
    const pair = await vi.waitFor(() => view.part("row").querySelector<HTMLElement>('[data-key="2"]')!);
    await userEvent.click(pair);
    expect([host.get("key"), isInside(view)]).toEqual([2, true]);
    (document.activeElement as HTMLElement).blur();
    const root = view.host.shadowRoot!.querySelector<HTMLElement>(".widget")!;
    await clickAt(root, root.clientWidth - 3, root.clientHeight - 3);
    expect(isInside(view)).toBe(true);
    await userEvent.keyboard("{Escape}");
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
  });

  it("though what was clicked goes away", async () => {
    const host = model();
    host.policy = ({ op }) => (op === "tile" ? { error: "Not now." } : "answer");
    const view = mount(host);
    const retry = await vi.waitFor(() => view.part("retry"));
    host.policy = () => "answer";
    await userEvent.click(retry);
    await vi.waitFor(() => expect(view.parts("retry")).toEqual([]));
    await vi.waitFor(() => expect(isInside(view)).toBe(true));
  });

  it("and takes them from nobody else", async () => {
    const view = mount(model({ sort: "highest", measure: "entropy" }));
    const field = document.createElement("input");
    view.el.append(field);
    await view.ready();
    view.part("reset").focus();
    field.focus();
    showView(view, "grid");
    await vi.waitFor(() => expect(view.parts("heatmap")).toEqual([]));
    expect(document.activeElement).toBe(field);
  });
});

describe("a button that ends", () => {
  it("keeps the focus: Reset", async () => {
    const host = model({ temperature: 2 });
    const view = mount(host);
    await view.ready();
    view.part("reset").focus();
    await userEvent.keyboard("{Enter}");
    await vi.waitFor(() => expect(view.part("reset").ariaDisabled).toBe("true"));
    expect([host.get("temperature"), focused(view)]).toEqual([1, view.part("reset")]);
    await userEvent.keyboard("{Enter}");
    expect(host.saved).toHaveLength(1);
  });

  it.each(["zoom-fit", "zoom-out", "zoom-in"])("keeps the focus: %s", async (name) => {
    const view = mount(model());
    await view.ready();
    if (name !== "zoom-in") view.part("zoom-in").click();
    await vi.waitFor(() => expect(view.part(name).ariaDisabled).toBe("false"));
    view.part(name).focus();
    for (let times = 0; times < 8; times++) await userEvent.keyboard("{Enter}");
    await vi.waitFor(() => expect(view.part(name).ariaDisabled).toBe("true"));
    expect(focused(view)).toBe(view.part(name));
  });
});

describe("arrows", () => {
  it("choose in the grid, into layers of other widths", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    view.part("thumb", '[data-layer="0"][data-head="0"]').focus();
    const at = () => `${host.get("layer") ?? 0}/${host.get("head") ?? 0}`;
    await userEvent.keyboard("{ArrowRight}{ArrowRight}");
    expect(at()).toBe("0/2");
    await userEvent.keyboard("{ArrowDown}{End}");
    expect(at()).toBe("1/3");
    await userEvent.keyboard("{ArrowDown}");
    expect(at()).toBe("2/2");
    await vi.waitFor(() => expect(view.heatmap().dataset.layer).toBe("2"));
    expect(focused(view)).toBe(view.part("thumb", '[aria-selected="true"]'));
  });

  it("choose in the ranking, in the order seen", async () => {
    const host = model({ measure: "entropy", sort: "highest" });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.part("grid").getAttribute("role")).toBe("listbox"));
    const order = view.parts("thumb").map(({ dataset }) => [Number(dataset.layer), Number(dataset.head)]);
    view.part("thumb", '[tabindex="0"]').focus();
    await userEvent.keyboard("{Home}");
    expect([host.get("layer") ?? 0, host.get("head") ?? 0]).toEqual(order[0]);
    await userEvent.keyboard("{ArrowRight}{ArrowRight}");
    expect([host.get("layer") ?? 0, host.get("head") ?? 0]).toEqual(order[2]);
    await userEvent.keyboard("{End}");
    expect([host.get("layer") ?? 0, host.get("head") ?? 0]).toEqual(order[9]);
  });
});

describe("Escape", () => {
  it.each(["colours", "tokens", "measure", "view"])("on %s unpins nothing", async (name) => {
    const host = model({ query: 3, key: 1 });
    const view = mount(host);
    await view.ready();
    view.part(name).focus();
    await userEvent.keyboard("{Escape}");
    expect([host.get("query"), host.get("key")]).toEqual([3, 1]);
  });

  it.each(["heatmap", "reset", "head-bar"])("in the views unpins: %s", async (name) => {
    const host = model({ query: 3, key: 1 });
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => view.part(name));
    view.part(name).focus();
    await userEvent.keyboard("{Escape}");
    expect([host.get("query"), host.get("key")]).toEqual([null, null]);
  });

  it("unpins after a click on a bar of the entropy", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const { y, height } = plotOf(view.heatmap());
    await clickAt(view.part("query-entropy"), 10, y + height / 2 + 2);
    expect(host.get("query")).toBe(6);
    await userEvent.keyboard("{Escape}");
    expect(host.get("query")).toBeNull();
  });
});
