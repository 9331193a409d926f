/** Nothing lies over a sentence or a control, in any view at any width. */
import { describe, expect, it, vi } from "vitest";
import { VIEWS } from "../../src/explorer/views/table";
import type { NamedSpan } from "../../src/host/facts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { covered, still } from "./covering";
import { mount } from "./mount";
import { runs } from "./pairs";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const found = { sentences: [["sentence 1", 0, 8] as NamedSpan, ["sentence 2", 8, 12] as NamedSpan] };

it.each([360, 420, 620, 1000, 1600])("what is applied to the model, %i px", async (width) => {
  const host = runs({
    ...{ applied: true, off: [[1, 2]], cuts: [[0, 0, [5, 9], [1, 5]]], tempered: [[1, 0, 2, 0.5]] },
    ...{ query: 9, key: 3 },
  });
  const candidates = ["Ben", "a much longer token", "<b>"].map((token) => [token, 0.00002, 0.4]);
  const outcome = { state: "done", candidates, kl: 0.1, loss: [2, 2.5], ms: 123 };
  host.fromPython({ outcome: JSON.stringify(outcome) } as never);
  const view = mount(host, width);
  await view.ready();
  expect(view.parts("candidate")).toHaveLength(3);
  await still(view);
  expect(covered(view)).toEqual([]);
});

describe.each([420, 620, 1000, 1500])("%i px", (width) => {
  it.each(VIEWS.filter(({ name }) => name !== "image").map(({ name }) => name))("%s", async (name) => {
    const map = new MockMap({
      ...{ queries: WORDS, heads: Array(8).fill(4), found, measured: {}, held: "projections" },
    });
    const view = mount(new MockModel([map], { view: name, query: 9, key: 3 }), width);
    await vi.waitFor(() => expect(view.host.shadowRoot!.querySelector(".views h3")).not.toBeNull());
    await view.ready();
    await vi.waitFor(() => expect(view.part("progress").dataset.done).toBe("true"), { timeout: 10_000 });
    await still(view);
    expect(covered(view)).toEqual([]);
  });
});
