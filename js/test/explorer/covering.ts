/** What lies over a sentence or a control, and when a view has come to rest. */
import type { Mounted } from "./mount";

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
export function covered(view: Mounted): string[] {
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
export async function still(view: Mounted): Promise<void> {
  const views = view.host.shadowRoot!.querySelector(".views")!;
  let [before, same] = ["", 0];
  while (same < 3) {
    await new Promise(requestAnimationFrame);
    const now = `${views.clientHeight} ${views.innerHTML}`;
    same = now === before ? same + 1 : 0;
    before = now;
  }
}
