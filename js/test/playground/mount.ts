/** Put a Playground on the page, find its parts, and do what hands do. */
import { expect, onTestFinished, vi } from "vitest";
import { hostIn } from "../../src/host/surface";
import type { Choices, PlaygroundFacts } from "../../src/playground/choices";
import { mount as mountInto } from "../../src/playground/mount";
import { MockTraits } from "../traits";
import told from "./scenes.json";

export const FACTS = told as unknown as PlaygroundFacts;
export type PlaygroundModel = MockTraits<Choices, PlaygroundFacts>;

/** What Python's `Playground(scene, preset=..., **changed)` tells. */
export function model(scene: string, changed: Partial<Choices> = {}): PlaygroundModel {
  const { presets } = FACTS.scenes.find(({ name }) => name === scene)!;
  const { name, state } = presets.find((one) => one.name === changed.preset) ?? presets[0]!;
  return new MockTraits<Choices, PlaygroundFacts>(FACTS, { ...state, ...changed, scene, preset: name });
}

export interface Mounted {
  host: HTMLElement;
  root: HTMLElement;
  close(): void;
  part<T extends Element = HTMLElement>(name: string, more?: string): T;
  parts(name: string, more?: string): HTMLElement[];
  /** A number of a table. */
  cell(name: string, row: number, column: number): HTMLElement;
  /** All numbers of a table, as they are written. */
  numbers(name: string): number[];
  ready(): Promise<void>;
}

export function mount(model: PlaygroundModel, width = 1000): Mounted {
  const el = document.createElement("div");
  el.style.width = `${width}px`;
  document.body.append(el);
  const host = hostIn(el, "playground");
  const close = mountInto({ model, host });
  const shadow = host.shadowRoot!;
  onTestFinished(() => {
    close();
    el.remove();
  });
  const select = (name: string, more: string) => `[data-part="${name}"]${more}`;
  const parts = (name: string, more = "") => [...shadow.querySelectorAll<HTMLElement>(select(name, more))];
  const part = <T extends Element = HTMLElement>(name: string, more = "") => {
    const found = shadow.querySelector<T>(select(name, more));
    if (!found) throw new Error(`There is no ${select(name, more)}.`);
    return found;
  };
  return {
    host,
    root: shadow.querySelector<HTMLElement>(".widget")!,
    close,
    part,
    parts,
    cell: (name, row, column) => part(name, `[data-row="${row}"][data-column="${column}"]`),
    numbers: (name) => parts(name).map(numberIn),
    ready: () => vi.waitFor(() => expect(host.dataset.state).toBe("ready")),
  };
}

/** A number as it is written, with its own minus sign. */
export const numberIn = (element: HTMLElement): number =>
  Number(element.textContent!.replace("−∞", "-Infinity").replace("−", "-"));

/** Drag from the middle of an element, so many pixels, in so many moves; it ends with the pointer up. */
export function drag(target: Element, by: { x?: number; y?: number }, moves = 4): void {
  const box = target.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const at = (type: string, share: number, more: PointerEventInit = {}) => {
    const place = { clientX: x + (by.x ?? 0) * share, clientY: y + (by.y ?? 0) * share };
    const event = { bubbles: true, composed: true, cancelable: true, pointerId: 1, ...place, ...more };
    target.dispatchEvent(new PointerEvent(type, event));
  };
  // A pointer of a script cannot be captured, and is always over its target.
  const { setPointerCapture, releasePointerCapture } = Element.prototype;
  Element.prototype.setPointerCapture = () => {};
  Element.prototype.releasePointerCapture = () => {};
  try {
    at("pointerdown", 0, { buttons: 1 });
    for (let move = 1; move <= moves; move++) at("pointermove", move / moves, { buttons: 1 });
    at("pointerup", 1);
  } finally {
    Object.assign(Element.prototype, { setPointerCapture, releasePointerCapture });
  }
}

export function hover(target: Element): void {
  target.dispatchEvent(new PointerEvent("pointerover", { bubbles: true, composed: true, pointerId: 1 }));
}

/** Paste a text as Ctrl+V does. */
export function paste(target: HTMLElement, text: string): void {
  target.focus();
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  target.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData, bubbles: true, composed: true, cancelable: true }),
  );
}

export function choose(select: HTMLSelectElement, value: string): void {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true, composed: true }));
}

/** What one sees once all that follows is drawn. */
export const drawn = () => new Promise<void>((resolve) => requestAnimationFrame(() => resolve()));
