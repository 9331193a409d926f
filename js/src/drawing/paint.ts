/** Marks on a canvas. */
import { fontOf, hatch } from "./canvas";
import { type Box, DASHES, type Lettering, type Lines, type Mark, type Pixels } from "./mark";

export function paint(context: CanvasRenderingContext2D, family: string, marks: Iterable<Mark>): void {
  for (const mark of marks) {
    context.save();
    context.globalAlpha = mark.opacity ?? 1;
    if (mark.kind === "text") letter(context, family, mark);
    else if (mark.kind === "box") box(context, mark);
    else if (mark.kind === "lines") lines(context, mark);
    else pixels(context, mark);
    context.restore();
  }
}

function letter(context: CanvasRenderingContext2D, family: string, mark: Lettering): void {
  const { anchor = "start" } = mark;
  context.font = fontOf(family, mark);
  context.fillStyle = mark.colour;
  context.textBaseline = "middle";
  context.textAlign = anchor === "middle" ? "center" : anchor === "end" ? "right" : "left";
  context.translate(mark.x, mark.y);
  if (mark.turned) context.rotate(-Math.PI / 2);
  context.fillText(mark.text, 0, 0);
}

function box(context: CanvasRenderingContext2D, mark: Box): void {
  const { x, y, width, height, ramp } = mark;
  context.beginPath();
  if (mark.radius) context.roundRect(x, y, width, height, mark.radius);
  else context.rect(x, y, width, height);
  if (ramp) {
    const gradient = context.createLinearGradient(x, 0, x + width, 0);
    for (const [at, colour] of ramp.entries()) gradient.addColorStop(at / (ramp.length - 1), colour);
    context.fillStyle = gradient;
    context.fill();
  } else if (mark.hatched) {
    context.fillStyle = hatch(context, mark.hatched);
    context.fill();
  } else if (mark.fill) {
    context.fillStyle = mark.fill;
    context.fill();
  }
  if (!mark.stroke) return;
  context.strokeStyle = mark.stroke;
  context.lineWidth = mark.line ?? 1;
  context.stroke();
}

function lines(context: CanvasRenderingContext2D, { segments, colour, line, dashed }: Lines): void {
  context.setLineDash(dashed ? DASHES : []);
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.beginPath();
  for (const [x1, y1, x2, y2] of segments) {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  }
  context.stroke();
}

function pixels(context: CanvasRenderingContext2D, mark: Pixels): void {
  const { x, y, width, height, clip } = mark;
  if (clip) {
    context.beginPath();
    context.rect(clip.x, clip.y, clip.width, clip.height);
    context.clip();
  }
  context.imageSmoothingEnabled = Boolean(mark.smooth);
  context.imageSmoothingQuality = "high";
  context.drawImage(canvasOf(mark), x, y, width, height);
}

const made = new WeakMap<Uint32Array, HTMLCanvasElement>();

/** One dot a pixel; made once, however often what is around it changes. */
export function canvasOf({ pixels, rows, columns }: Pick<Pixels, "pixels" | "rows" | "columns">) {
  const known = made.get(pixels);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  new Uint32Array(image.data.buffer).set(pixels);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  made.set(pixels, canvas);
  return canvas;
}
