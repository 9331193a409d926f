/** Put an Explorer on the page and find its parts. */
import { expect, vi } from "vitest";
import { mount as mountInto } from "../../src/explorer/mount";
import type { MockModel } from "../mock";
import { type Placed, placed } from "../mounted";

export interface Mounted extends Placed {
  state(): string | undefined;
  heatmap(): HTMLCanvasElement;
}

export function mount(model: MockModel, width = 1000, className = ""): Mounted {
  const view = placed("explorer", (host) => mountInto({ model, host }), { width, className });
  return {
    ...view,
    state: () => view.host.dataset.state,
    heatmap: () => view.part<HTMLCanvasElement>("heatmap"),
  };
}

/** The rectangle of the cells in CSS pixels within the canvas. */
export function plotOf(canvas: HTMLElement): { x: number; y: number; width: number; height: number } {
  const [x, y, width, height] = canvas.dataset.plot!.split(",").map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return { x, y, width, height };
}

export function windowOf(canvas: HTMLElement): [number, number, number, number] {
  return canvas.dataset.window!.split(",").map(Number) as [number, number, number, number];
}

/** Where a cell is on the page. */
export function pointOf(
  canvas: HTMLElement,
  query: number,
  key: number,
): { clientX: number; clientY: number } {
  const plot = plotOf(canvas);
  const [r0, r1, c0, c1] = windowOf(canvas);
  const box = canvas.getBoundingClientRect();
  return {
    clientX: box.left + plot.x + ((key + 0.5 - c0) / (c1 - c0)) * plot.width,
    clientY: box.top + plot.y + ((query + 0.5 - r0) / (r1 - r0)) * plot.height,
  };
}

/** The colour of a cell, near its corner where no number is written. */
export function pixelOf(canvas: HTMLCanvasElement, query: number, key: number): [number, number, number] {
  const plot = plotOf(canvas);
  const [r0, r1, c0, c1] = windowOf(canvas);
  const ratio = canvas.width / canvas.clientWidth;
  const x = plot.x + ((key + 0.12 - c0) / (c1 - c0)) * plot.width;
  const y = plot.y + ((query + 0.12 - r0) / (r1 - r0)) * plot.height;
  const { data } = canvas.getContext("2d")!.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1);
  return [data[0]!, data[1]!, data[2]!];
}

export function point(
  canvas: HTMLElement,
  type: string,
  query: number,
  key: number,
  more: MouseEventInit = {},
): void {
  const place = { ...pointOf(canvas, query, key), bubbles: true, composed: true, cancelable: true, ...more };
  if (type.startsWith("pointer")) canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, ...place }));
  else if (type === "wheel") canvas.dispatchEvent(new WheelEvent(type, { deltaY: -120, ...place }));
  else canvas.dispatchEvent(new MouseEvent(type, { detail: 1, ...place }));
}

export function press(target: HTMLElement, key: string): void {
  target.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }),
  );
}

export function slide(input: HTMLInputElement, value: number): void {
  input.value = String(value);
  input.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
}

export function choose(select: HTMLSelectElement, value: string): void {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true, composed: true }));
}

/** The views that can be chosen: side by side, or in a menu where there is little room. */
export function viewsOffered(view: Mounted): string[] {
  const [menu] = view.parts("view") as HTMLSelectElement[];
  if (menu) return [...menu.options].map(({ value }) => value);
  return [...view.part("views").querySelectorAll<HTMLElement>("button")].map(({ dataset }) =>
    dataset.part!.slice(5),
  );
}

export function showView(view: Mounted, name: string): void {
  const [menu] = view.parts("view") as HTMLSelectElement[];
  if (menu) choose(menu, name);
  else view.part(`view-${name}`).click();
}

/** A control behind a button of the head line. */
export async function behind<T extends HTMLElement>(view: Mounted, panel: string, part: string): Promise<T> {
  if (view.parts(`${panel}-panel`).length === 0) view.part(panel).click();
  await vi.waitFor(() => expect(view.parts(part)).toHaveLength(1));
  return view.part<T>(part);
}

/** Put text into a field, as a hand does before it presses Enter or goes on. */
export function enter(input: HTMLInputElement, text: string): void {
  input.focus();
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
}
