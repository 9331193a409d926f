/** The Timeline: every head over the steps of a training. */
import { PageModel, placesIn } from "../host/page";
import { hostIn } from "../host/surface";
import type { Model } from "../host/traits";
import { mount } from "./mount";

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** What a host calls for each view of the widget. */
function render({ model, el, signal }: RenderProps): () => void {
  return mount({ model, host: hostIn(el, "timeline"), signal });
}

/** Bring the places of a saved page to life; the picture that stands there gives way. */
async function openPage(page: Document): Promise<void> {
  for await (const { element, traits, answers, still } of placesIn(page, "timeline")) {
    mount({ model: new PageModel(traits), host: hostIn(element, "timeline"), alone: answers! });
    still?.remove();
  }
}

export default { render, openPage };
