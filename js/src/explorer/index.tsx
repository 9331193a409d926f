/** The Explorer: attention of one text, every layer and head of it, in linked views. */
import { PageModel, placesIn } from "../host/page";
import { Stored } from "../host/stored";
import type { Model } from "../host/traits";
import { mount } from "./mount";

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** What a host calls for each view of the widget. */
const render = ({ model, el, signal }: RenderProps): (() => void) => mount({ model, el, signal });

/** Bring the places of a saved page to life; a picture that stands there gives way to the first that is drawn. */
async function openPage(page: ParentNode): Promise<void> {
  for await (const { element, traits, answers, still } of placesIn(page, "explorer")) {
    const el = document.createElement("div");
    element.append(el);
    mount({ model: new PageModel(traits), el, alone: new Stored(answers) });
    const host = el.firstElementChild as HTMLElement;
    const shown = new MutationObserver(() => {
      if (host.dataset.state !== "ready") return;
      shown.disconnect();
      still?.remove();
    });
    shown.observe(host, { attributes: true, attributeFilter: ["data-state"] });
  }
}

export default { render, openPage };
