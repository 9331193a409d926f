/** Canvases that are sharp on every screen and follow the width they are given. */
import { effect, type ReadonlySignal, type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** Size a canvas in CSS pixels and give its context, cleared and scaled to them. */
export function prepare(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio);
  const high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Draw now, and again the moment that something changes which the drawing has read, or was given with it. */
export function useDrawing(draw: () => void, given: readonly unknown[] = []): void {
  const newest = useRef(draw);
  newest.current = draw;
  useLayoutEffect(() => effect(() => newest.current()), given);
}

/**
 * Width of a ruler in CSS pixels, 0 before the first layout. A ruler has no height, so what is drawn to the width
 * cannot start another round of measuring.
 */
export function useWidth(
  element: RefObject<HTMLElement | null>,
  into?: Signal<number>,
): ReadonlySignal<number> {
  const own: Signal<number> = useSignal(0);
  const width = into ?? own;
  useEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => {
      const measured = Math.floor(entry?.contentRect.width ?? 0);
      // Out of the page, or hidden in it: the picture stays as it was.
      if (measured > 0) width.value = measured;
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element, width]);
  return width;
}

/** Distance of the lines of hatching. */
export const HATCH = 6;

export interface Font {
  size: number;
  weight?: number;
  italic?: boolean;
}

export const fontOf = (family: string, { size, weight = 400, italic = false }: Font): string =>
  `${italic ? "italic " : ""}${weight} ${size}px ${family}`;

/** A pen that measures text. */
export const penOf = (): CanvasRenderingContext2D => document.createElement("canvas").getContext("2d")!;

/** The repeated piece of each colour and fineness. */
const pieces = new Map<string, HTMLCanvasElement>();

/** Fine diagonal lines: the sign of cells that a query may not see. */
export function hatch(context: CanvasRenderingContext2D, colour: string): CanvasPattern {
  // As fine as the canvas is, which for paper is finer than the screen.
  const ratio = context.getTransform().a;
  const size = Math.round(HATCH * ratio);
  const name = `${colour}/${ratio}`;
  const piece = pieces.get(name) ?? diagonals(size, colour, ratio);
  pieces.set(name, piece);
  const pattern = context.createPattern(piece, "repeat")!;
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

function diagonals(size: number, colour: string, line: number): HTMLCanvasElement {
  const piece = document.createElement("canvas");
  piece.width = size;
  piece.height = size;
  const pen = piece.getContext("2d")!;
  pen.strokeStyle = colour;
  pen.lineWidth = line;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return piece;
}
