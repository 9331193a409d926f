/** What a lesson holds fixed cannot be moved in the view that has it. */
import { describe, expect, it, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import type { Facts, NamedSpan } from "../../src/host/facts";
import { mount } from "./mount";
import { runs } from "./pairs";

const found = { sentences: [["sentence 1", 0, 8] as NamedSpan, ["sentence 2", 8, 12] as NamedSpan] };

const LOCKS: [control: keyof Choices, view: string, part: string, choices?: Partial<Choices>][] = [
  ["flow_heads", "flow", "flow-heads"],
  ["flow_threshold", "flow", "flow-threshold"],
  ["joined", "text", "joined-sum", { query: 4, also: [2] }],
  ["reading", "text", "reading-column", { query: 4 }],
  ["span_kind", "spans", "span-kind"],
  ["spans", "spans", "naming"],
  ["heads", "lines", "lines-all", { against: null }],
];

function shown(control: string, choices: Partial<Choices>, locked: boolean) {
  const host = runs(choices, { found });
  const lesson = {
    ...{ prompt: "Look.", predict: null, what: "", answer: null, reveal: "", tolerance: 0 },
    locked: locked ? [control] : [],
  };
  host.fromPython({ facts: { title: "", maps: host.maps.map(({ facts }) => facts), lesson } as Facts });
  return { host, view: mount(host) };
}

describe("a lesson that locks", () => {
  it.each(LOCKS)("%s has no control for it in %s", async (control, name, part, choices = {}) => {
    for (const locked of [false, true]) {
      const { view } = shown(control, { view: name, ...choices }, locked);
      await vi.waitFor(() => expect(view.parts("path")).toHaveLength(1));
      await vi.waitFor(() => expect(view.parts(part)).toHaveLength(locked ? 0 : 1));
    }
  });

  it("heads keeps the legend of lines, which does nothing", async () => {
    const { host, view } = shown("heads", { view: "lines", against: null, heads: [0, 1] }, true);
    await vi.waitFor(() => expect(view.parts("lines-head").length).toBeGreaterThan(2));
    view.part("lines-head", '[data-head="2"]').click();
    expect(host.get("heads")).toEqual([0, 1]);
    expect(view.part("lines-head", '[data-head="1"]').ariaPressed).toBe("true");
  });

  it("compared keeps what is shown of two", async () => {
    const { host, view } = shown("compared", { compared: "difference" }, true);
    await vi.waitFor(() => expect(view.parts("show-second")).toHaveLength(1));
    view.part("show-second").click();
    expect(host.get("compared")).toBe("difference");
    expect(view.part("show-second").ariaDisabled).toBe("true");
  });
});
