/** Nothing lies over a sentence or a control, in any view at any width. */
import { describe, expect, it, vi } from "vitest";
import { VIEWS } from "../../src/explorer/views/table";
import type { NamedSpan } from "../../src/host/facts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount } from "./mount";
import { runs } from "./pairs";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const found = { sentences: [["sentence 1", 0, 8] as NamedSpan, ["sentence 2", 8, 12] as NamedSpan] };
const SAID = "h2, h3, p, li, th, label, select, summary, button";
const DRAWN = "canvas, button, select, input, h3";

interface Placed {
  one: HTMLElement;
  box: DOMRect;
}

function placedIn(view: Mounted, wanted: string): Placed[] {
  const all = [...view.host.shadowRoot!.querySelectorAll<HTMLElement>(wanted)];
  return all
    .filter((one) => !one.closest(".spoken, .marks, [role='presentation'] [aria-hidden]"))
    .map((one) => ({ one, box: seenOf(one) }))
    .filter(({ box }) => box.width > 1 && box.height > 1);
}

/** Where something is, less what a part that scrolls by itself hides of it. */
function seenOf(one: HTMLElement): DOMRect {
  let { left, right, top, bottom } = one.getBoundingClientRect();
  for (let around = one.parentElement; around; around = around.parentElement) {
    if (getComputedStyle(around).overflow === "visible") continue;
    const box = around.getBoundingClientRect();
    [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
    [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
  }
  return new DOMRect(left, top, Math.max(0, right - left), Math.max(0, bottom - top));
}

const named = ({ one }: Placed): string =>
  `${one.tagName} ${one.dataset.part ?? one.className} “${one.textContent?.slice(0, 30)}”`;

/** Sentences and controls that share more than an edge with what is drawn elsewhere: both in words. */
function covered(view: Mounted): string[] {
  const drawn = placedIn(view, DRAWN);
  return placedIn(view, SAID).flatMap((said) =>
    drawn
      .filter(({ one, box }) => {
        // What stands in the same picture is placed on it: labels, thumbnails, handles.
        const picture = one.offsetParent ?? one;
        if (picture.contains(said.one) || (said.one.offsetParent ?? said.one).contains(one)) {
          if (picture !== view.el && picture !== document.body) return false;
        }
        if (one.contains(said.one) || said.one.contains(one)) return false;
        const wide = Math.min(box.right, said.box.right) - Math.max(box.left, said.box.left);
        const high = Math.min(box.bottom, said.box.bottom) - Math.max(box.top, said.box.top);
        return wide > 2 && high > 2;
      })
      .map((over) => `${named(said)} and ${named(over)}`),
  );
}

/** Once nothing of it changes from frame to frame. */
async function still(view: Mounted): Promise<void> {
  const views = view.host.shadowRoot!.querySelector(".views")!;
  let [before, same] = ["", 0];
  while (same < 3) {
    await new Promise(requestAnimationFrame);
    const now = `${views.clientHeight} ${views.innerHTML}`;
    same = now === before ? same + 1 : 0;
    before = now;
  }
}

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
