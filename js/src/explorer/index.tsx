/** The Explorer: attention of one text, every layer and head of it, in linked views. */
import { PageModel, placesIn } from "../host/page";
import { hostIn } from "../host/surface";
import type { Model } from "../host/traits";
import { inTurn } from "../host/turns";
import { keepGuesses } from "../lesson/paged";
import { mount } from "./mount";

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

const ROOM = "320px";

/** What a host calls for each view of the widget. */
function render({ model, el, signal }: RenderProps): () => void {
  const host = hostIn(el, "explorer");
  // Many that are yet to come must not all be in sight.
  host.style.minHeight = ROOM;
  let close = () => host.remove();
  const leave = inTurn(host, () => {
    host.style.minHeight = "";
    close = mount({ model, host, signal });
  });
  function end(): void {
    leave();
    close();
  }
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

/** Bring the places of a saved page to life; a picture that stands there gives way to the first that is drawn. */
async function openPage(page: Document): Promise<void> {
  let at = 0;
  for await (const { element, traits, answers, still } of placesIn(page, "explorer")) {
    const host = hostIn(element, "explorer");
    const model = new PageModel(traits);
    keepGuesses(page, model, "explorer", at++);
    mount({ model, host, alone: answers! });
    const shown = new MutationObserver(() => {
      if (host.dataset.state !== "ready") return;
      shown.disconnect();
      still?.remove();
    });
    shown.observe(host, { attributes: true, attributeFilter: ["data-state"] });
  }
}

export default { render, openPage };
