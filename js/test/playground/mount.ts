/** Put a Playground on the page, find its parts, and do what hands do. */
import type { Choices, PlaygroundFacts } from "../../src/playground/choices";
import { mount as mountInto } from "../../src/playground/mount";
import { type Placed, placed } from "../mounted";
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

export interface Mounted extends Placed {
  root: HTMLElement;
  /** A number of a table. */
  cell(name: string, row: number, column: number): HTMLElement;
  /** All numbers of a table, as they are written. */
  numbers(name: string): number[];
}

export function mount(model: PlaygroundModel, width = 1000): Mounted {
  const view = placed("playground", (host) => mountInto({ model, host }), { width });
  return {
    ...view,
    root: view.host.shadowRoot!.querySelector<HTMLElement>(".widget")!,
    cell: (name, row, column) => view.part(name, `[data-row="${row}"][data-column="${column}"]`),
    numbers: (name) => view.parts(name).map(numberIn),
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
