/** A sheet of paper: marks on an opaque surface, with all that a picture needs to be read without the widget around it. */
import { css, type Rgb } from "../attention/colour";
import type { Colours } from "../host/theme";
import type { Mark } from "./mark";
import { paint } from "./paint";

export interface Sheet {
  /** CSS pixels. */
  width: number;
  height: number;
  surface: string;
  /** Families of fonts, as CSS names them. */
  family: string;
  /** What it is, in a line. */
  title: string;
  marks: Mark[];
}

/** Dots of a picture for each of the screen. */
const FINER = 2;
/** Browsers refuse canvases beyond these. */
const MOST_DOTS = 2 ** 24;
const LONGEST = 16_384;

/** Twice as fine as the screen, where a browser can hold so much. */
export function dotsOf({ width, height }: Sheet, screen: number): number {
  return Math.min(
    FINER * Math.max(1, screen),
    LONGEST / Math.max(width, height),
    Math.sqrt(MOST_DOTS / (width * height)),
  );
}

export async function pngOf(sheet: Sheet): Promise<Blob> {
  const dots = dotsOf(sheet, window.devicePixelRatio || 1);
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(sheet.width * dots);
  canvas.height = Math.floor(sheet.height * dots);
  const context = canvas.getContext("2d")!;
  context.fillStyle = sheet.surface;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(dots, 0, 0, dots, 0, 0);
  paint(context, sheet.family, sheet.marks);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The browser could not make a picture of this size.");
  return blob;
}

/** Colours as every reader of pictures knows them: hosts name theirs in all ways that CSS has, some half transparent. */
export function opaque(colours: Colours): Colours {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
  const solid = (colour: string): string => {
    pen.fillStyle = css(colours.surface);
    pen.fillRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0] = pen.getImageData(0, 0, 1, 1).data;
    return css([red, green, blue] as Rgb);
  };
  const names = ["text", "muted", "faint", "accentText", "line", "hatch", "fault"] as const;
  return { ...colours, ...Object.fromEntries(names.map((name) => [name, solid(colours[name])])) };
}
