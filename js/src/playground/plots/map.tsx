/** A small map of numbers too many to be read, drawn on a canvas. */
import { useRef } from "preact/hooks";
import { colourOf, css, ramp } from "../../attention/colour";
import { mix, toLab, toRgb } from "../../attention/oklab";
import type { Rows } from "../../attention/steps";
import { prepare, useDrawing } from "../../drawing/canvas";
import type { Store } from "../store";

interface Props {
  store: Store;
  title: string;
  part: string;
  rows: Rows;
  scale: "weight" | "signed";
  /** What the darkest colour stands for. */
  largest: number;
  side: number;
}

export function NumberMap({ store, title, part, rows, scale, largest, side }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useDrawing(() => {
    if (!canvas.current) return;
    const colours = store.colours.value;
    const context = prepare(canvas.current, side, side);
    const shades = ramp("ink", colours);
    const surface = toLab(colours.surface);
    const negative = toLab(NEGATIVE[colours.dark ? "dark" : "light"]);
    const cell = side / rows.length;
    for (const [y, row] of rows.entries()) {
      for (const [x, number] of row.entries()) {
        const share = Math.min(1, Math.abs(number) / (largest || 1));
        context.fillStyle =
          scale === "weight" || number >= 0
            ? css(colourOf(shades, share, 1, "linear"))
            : css(toRgb(mix(surface, negative, share)));
        context.fillRect(x * cell, y * cell, Math.ceil(cell), Math.ceil(cell));
      }
    }
  });
  return (
    <figure class="plot" data-part={part}>
      <figcaption>{title}</figcaption>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${title}: ${rows.length} queries by ${rows.length} keys`}
      />
    </figure>
  );
}

const NEGATIVE: Record<"light" | "dark", [number, number, number]> = {
  light: [150, 70, 0],
  dark: [255, 190, 120],
};
