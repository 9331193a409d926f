/** Nothing lies over a sentence or a control, in any view at any width. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { VIEWS } from "../../src/explorer/views/table";
import type { NamedSpan } from "../../src/host/facts";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount } from "./mount";

const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
const found = { sentences: [["sentence 1", 0, 8] as NamedSpan, ["sentence 2", 8, 12] as NamedSpan] };
const SAID = "h2, h3, p, li, th, label, button, select, summary";

/** What is covered by something that is not its own: both in words. */
async function covered(view: Mounted): Promise<string[]> {
  const root = view.host.shadowRoot!;
  const lost: string[] = [];
  for (const one of root.querySelectorAll<HTMLElement>(SAID)) {
    if (one.closest(".spoken, [aria-hidden='true']") || !one.textContent?.trim()) continue;
    one.scrollIntoView({ block: "center", inline: "center" });
    // The first line of what is said: a paragraph may be wider than its words.
    const words = document.createRange();
    words.selectNodeContents(one);
    const box = words.getClientRects()[0];
    if (!box || box.width === 0 || box.height === 0) continue;
    const on = root.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!on || on.contains(one) || one.contains(on)) continue;
    lost.push(`${one.tagName} “${one.textContent.slice(0, 40)}” under ${on.tagName}.${on.className}`);
  }
  return lost;
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

afterEach(() => window.scrollTo(0, 0));

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
    expect(await covered(view)).toEqual([]);
  });
});
