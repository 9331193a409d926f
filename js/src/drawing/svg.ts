/** Marks as SVG: text that stays text, lines that stay lines, and XML that can be read whatever the tokens are. */
import { css, type Rgb } from "../attention/colour";
import { HATCH } from "./canvas";
import { type Box, DASHES, inside, type Lettering, type Lines, type Mark, type Pixels } from "./mark";
import { canvasOf } from "./paint";
import type { Sheet } from "./sheet";

/** Up to so many cells a side are drawn one by one; more are one embedded picture. */
const MOST_CELLS = 64;
/** From the middle of a line of text to its baseline; readers of SVG do not agree on what "middle" is. */
const BASELINE = 0.35;

/** What XML has no way to write: control characters, halves of a surrogate pair, and two that are no characters. */
const UNWRITABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

export const escaped = (text: string): string =>
  text.replace(UNWRITABLE, "\ufffd").replace(/[&<>"']/g, (sign) => ENTITIES[sign]!);

type Attributes = Record<string, string | number | undefined>;

/** Hundredths of a pixel are enough. */
const written = (value: string | number): string =>
  typeof value === "number" ? String(Number(value.toFixed(2))) : escaped(value);

/** An element; its content is XML already. */
export function element(name: string, attributes: Attributes, ...content: string[]): string {
  const listed = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${written(value!)}"`)
    .join("");
  return content.length > 0 ? `<${name}${listed}>${content.join("")}</${name}>` : `<${name}${listed}/>`;
}

/** What is defined once and named where it is used. */
class Definitions {
  readonly #made = new Map<string, { id: string; xml: string }>();

  name(kind: string, make: (id: string) => string): string {
    const body = make("");
    const made = this.#made.get(body) ?? this.#add(body, `${kind}-${this.#made.size + 1}`, make);
    return `url(#${made.id})`;
  }

  #add(body: string, id: string, make: (id: string) => string) {
    const made = { id, xml: make(id) };
    this.#made.set(body, made);
    return made;
  }

  toString(): string {
    return element("defs", {}, ...Array.from(this.#made.values(), ({ xml }) => xml));
  }
}

export function svgOf({ width, height, surface, family, title, marks }: Sheet): string {
  const definitions = new Definitions();
  const drawn = marks.map((mark) => drawnAs(mark, definitions));
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const root = element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      // Not every reader knows the newer name of a link.
      "xmlns:xlink": "http://www.w3.org/1999/xlink",
      ...size,
      "font-family": family,
      // Tokens may begin with a space.
      "xml:space": "preserve",
    },
    element("title", {}, escaped(title)),
    definitions.toString(),
    element("rect", { width, height, fill: surface }),
    ...drawn.map((line) => `\n${line}`),
    "\n",
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`;
}

function drawnAs(mark: Mark, definitions: Definitions): string {
  if (mark.kind === "text") return text(mark);
  if (mark.kind === "box") return box(mark, definitions);
  if (mark.kind === "lines") return lines(mark);
  return pixels(mark, definitions);
}

const opacityOf = ({ opacity = 1 }: Mark) => (opacity < 1 ? opacity : undefined);

function text(mark: Lettering): string {
  const { x, y, size, anchor, weight, italic, colour, turned } = mark;
  const place = turned
    ? { transform: `translate(${written(x)} ${written(y)}) rotate(-90)`, y: BASELINE * size }
    : { x, y: y + BASELINE * size };
  const look = {
    "font-size": size,
    "font-weight": weight,
    "font-style": italic ? "italic" : undefined,
    "text-anchor": anchor,
    fill: colour,
    opacity: opacityOf(mark),
  };
  return element("text", { ...place, ...look }, escaped(mark.text));
}

function box(mark: Box, definitions: Definitions): string {
  const { x, y, width, height, fill, hatched, ramp, stroke, line, radius } = mark;
  const paint = ramp ? gradient(ramp, definitions) : hatched ? hatching(hatched, definitions) : fill;
  return element("rect", {
    ...{ x, y, width, height, rx: radius },
    fill: paint ?? "none",
    stroke,
    "stroke-width": line,
    opacity: opacityOf(mark),
  });
}

const gradient = (ramp: readonly string[], definitions: Definitions) =>
  definitions.name("ramp", (id) => {
    const stops = ramp.map((colour, at) =>
      element("stop", { offset: String(at / (ramp.length - 1)), "stop-color": colour }),
    );
    return element("linearGradient", { id }, ...stops);
  });

/** The corners are drawn too, so that the lines go on from piece to piece. */
const hatching = (colour: string, definitions: Definitions) =>
  definitions.name("hatch", (id) =>
    element(
      "pattern",
      { id, width: HATCH, height: HATCH, patternUnits: "userSpaceOnUse" },
      element("path", {
        d: `M-1 1L1 -1M0 ${HATCH}L${HATCH} 0M${HATCH - 1} ${HATCH + 1}L${HATCH + 1} ${HATCH - 1}`,
        stroke: colour,
      }),
    ),
  );

function lines(mark: Lines): string {
  const d = mark.segments
    .map(([x1, y1, x2, y2]) => `M${written(x1)} ${written(y1)}L${written(x2)} ${written(y2)}`)
    .join("");
  const dashes = mark.dashed ? DASHES.join(" ") : undefined;
  const look = {
    ...{ stroke: mark.colour, "stroke-width": mark.line, "stroke-dasharray": dashes },
    opacity: opacityOf(mark),
  };
  return element("path", { d, fill: "none", ...look });
}

function pixels(mark: Pixels, definitions: Definitions): string {
  if (mark.vector && Math.max(mark.rows, mark.columns) <= MOST_CELLS) return cells(mark);
  const { x, y, width, height, clip } = mark;
  const image = element("image", {
    ...{ x, y, width, height },
    preserveAspectRatio: "none",
    style: mark.smooth ? undefined : "image-rendering:pixelated",
    opacity: opacityOf(mark),
    "xlink:href": canvasOf(mark).toDataURL("image/png"),
  });
  if (!clip) return image;
  const seen = definitions.name("clip", (id) => element("clipPath", { id }, element("rect", { ...clip })));
  return element("g", { "clip-path": seen }, image);
}

function cells(mark: Pixels): string {
  const [wide, high] = [mark.width / mark.columns, mark.height / mark.rows];
  const found: string[] = [];
  for (let at = 0; at < mark.pixels.length; at++) {
    const colour = mark.pixels[at]!;
    if (colour >>> 24 === 0) continue;
    const place = {
      x: mark.x + (at % mark.columns) * wide,
      y: mark.y + Math.floor(at / mark.columns) * high,
      width: wide,
      height: high,
    };
    const seen = mark.clip ? inside(place, mark.clip) : place;
    const rgb: Rgb = [colour & 255, (colour >>> 8) & 255, (colour >>> 16) & 255];
    const alpha = colour >>> 24;
    const thin = alpha < 255 ? alpha / 255 : undefined;
    if (seen) found.push(element("rect", { ...seen, fill: css(rgb), "fill-opacity": thin }));
  }
  // Cells touch, and smooth edges would let the surface through between them.
  return element("g", { "shape-rendering": "crispEdges", opacity: opacityOf(mark) }, ...found);
}
