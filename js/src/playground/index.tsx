/** The Playground: attention over a handful of tokens, in numbers that can be changed. */
import { PageModel, placesIn } from "../host/page";
import { hostIn } from "../host/surface";
import type { Model } from "../host/traits";
import { keepGuesses } from "../lesson/paged";
import { mount } from "./mount";

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** What a host calls for each view of the widget. */
function render({ model, el, signal }: RenderProps): () => void {
  return mount({ model, host: hostIn(el, "playground"), signal });
}

/** Bring the places of a saved page to life; the numbers that stand there give way. */
async function openPage(page: Document): Promise<void> {
  let at = 0;
  for await (const { element, traits, still } of placesIn(page, "playground")) {
    const model = new PageModel(traits);
    keepGuesses(page, model, "playground", at++);
    mount({ model, host: hostIn(element, "playground") });
    still?.remove();
  }
}

export default { render, openPage };
