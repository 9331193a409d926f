/** Put a widget on the page and find its parts. */
import { expect, onTestFinished, vi } from "vitest";
import { hostIn } from "../src/host/surface";

export interface Placed {
  host: HTMLElement;
  el: HTMLElement;
  close: () => void;
  part<T extends Element = HTMLElement>(name: string, more?: string): T;
  parts(name: string, more?: string): HTMLElement[];
  ready(): Promise<void>;
}

interface Placing {
  width: number;
  className?: string;
}

/** The widget is taken away when the test has ended. */
export function placed(
  widget: string,
  mount: (host: HTMLElement) => () => void,
  { width, className = "" }: Placing,
): Placed {
  const el = document.createElement("div");
  el.className = className;
  el.style.width = `${width}px`;
  document.body.append(el);
  const host = hostIn(el, widget);
  const close = mount(host);
  const shadow = host.shadowRoot!;
  onTestFinished(() => {
    close();
    el.remove();
  });
  const select = (name: string, more: string) => `[data-part="${name}"]${more}`;
  return {
    host,
    el,
    close,
    parts: (name, more = "") => [...shadow.querySelectorAll<HTMLElement>(select(name, more))],
    part: <T extends Element = HTMLElement>(name: string, more = "") => {
      const found = shadow.querySelector<T>(select(name, more));
      if (!found) throw new Error(`There is no ${select(name, more)}.`);
      return found;
    },
    ready: () =>
      vi.waitFor(() => expect(host.dataset.state).toBe("ready"), { timeout: 10_000, interval: 10 }),
  };
}
