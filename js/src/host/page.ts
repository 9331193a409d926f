/** A page of one file: each place in it carries what a model would have, and its answers. */
import { Stored } from "./stored";
import type { Model } from "./traits";

type Listener = (...args: unknown[]) => void;

/** Choices that nobody else hears of. */
export class PageModel implements Model {
  readonly #traits: Map<string, unknown>;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(traits: object) {
    this.#traits = new Map(Object.entries(traits));
  }

  get(name: string): unknown {
    return this.#traits.get(name);
  }

  set(name: string, value: unknown): void {
    this.#traits.set(name, value);
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  save_changes(): void {}

  on(event: string, callback: Listener): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: Listener): void {
    this.#listeners.get(event)?.delete(callback);
  }

  send(): void {
    throw new Error("There is no kernel behind a page.");
  }
}

export interface Place {
  element: HTMLElement;
  traits: object;
  /** Null where the widget asks nobody anything. */
  answers: Stored | null;
  /** The picture that is there without a script. */
  still: HTMLElement | null;
}

/** The places of a kind of widget in a page, one after another, as they are unpacked. */
export async function* placesIn(page: ParentNode, widget: string): AsyncGenerator<Place> {
  for (const element of page.querySelectorAll<HTMLElement>(`[data-attnwidget-place="${widget}"]`)) {
    const part = (name: string) => element.querySelector<HTMLElement>(`:scope > [data-part="${name}"]`);
    try {
      const traits = JSON.parse(part("traits")!.textContent!);
      const packed = part("answers")?.textContent?.trim();
      const answers = packed === undefined ? null : new Stored(await unpacked(packed));
      yield { element, traits, answers, still: part("still") };
    } catch {
      // A file that was cut or changed: its picture stays, and the other places open.
      const said = document.createElement("p");
      said.textContent = "What this page holds of this view is damaged; this is its picture.";
      element.prepend(said);
    }
  }
}

/** Bytes that were compressed and written as text. */
async function unpacked(text: string): Promise<Uint8Array> {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
