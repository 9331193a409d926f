/** The flow as a diagram: a column for each token, a line for each layer, the output above and the input below. */
import { labelFont, widest } from "../../../drawing/axes";
import { fontOf } from "../../../drawing/canvas";
import type { Plot } from "../../../drawing/geometry";
import type { Mark } from "../../../drawing/mark";
import { elide, readable } from "../../../drawing/words";
import { layerNumber, type MapFacts } from "../../../host/facts";
import type { Colours } from "../../../host/theme";
import type { Edge, Flow, Node } from "./flow";

/** Tokens nearer to each other than this are left out where nothing goes through them. */
const NARROW = 14;
const UPRIGHT = 12;
const TALLEST_LABEL = 96;
const WIDEST_COLUMN = 96;
const SIZE = 12;
const EDGE = 10;
/** Names above and below. */
const AROUND = 180;
/** Pixels of a line, and across a dot, that all of the flow goes through. */
const WIDEST_LINE = 16;
const LARGEST_DOT = 20;
const LEAST_DOT = 3;

export interface Stage {
  width: number;
  height: number;
  plot: Plot;
  /** The tokens that have columns, in the order of the text. */
  tokens: readonly number[];
  columns: ReadonlyMap<number, number>;
  levels: number;
  upright: boolean;
}

/** Where everything is in so much room. */
export function stageOf(
  pen: CanvasRenderingContext2D,
  colours: Colours,
  map: MapFacts,
  flow: Flow,
  room: number,
  tallest: number,
): Stage {
  pen.font = labelFont(colours, SIZE, 600);
  const left = Math.ceil(
    Math.max(pen.measureText("input").width, pen.measureText(levelName(map, map.heads.length)).width) + 18,
  );
  const free = Math.max(60, room - left - 2 * EDGE);
  const all = map.n_keys * NARROW <= free;
  const touched = new Set(flow.nodes.map(({ token }) => token));
  const tokens = all ? [...map.queries.labels.keys()] : [...touched].sort((one, other) => one - other);
  const step = Math.min(WIDEST_COLUMN, free / Math.max(1, tokens.length));
  const label = widest(pen, map.queries);
  const upright = label + 6 <= step;
  const levels = map.heads.length;
  const line = Math.max(16, Math.min(64, (tallest - AROUND) / levels));
  const plot = { x: left + EDGE, y: 34, width: step * tokens.length, height: line * levels };
  const bottom = upright ? 26 : Math.min(TALLEST_LABEL, label + 8) + 14;
  return {
    width: plot.x + plot.width + EDGE,
    height: Math.ceil(plot.y + plot.height + bottom + 4),
    plot,
    tokens,
    columns: new Map(tokens.map((token, at) => [token, at])),
    levels,
    upright,
  };
}

export const levelName = (map: MapFacts, level: number): string =>
  level === 0 ? "input" : `after layer ${layerNumber(map, level - 1)}`;

export const xOf = ({ plot, columns, tokens }: Stage, token: number): number =>
  plot.x + ((columns.get(token) ?? 0) + 0.5) * (plot.width / Math.max(1, tokens.length));

export const yOf = ({ plot, levels }: Stage, level: number): number =>
  plot.y + (1 - level / levels) * plot.height;

const lineOf = (share: number): number => Math.max(0.75, share * WIDEST_LINE);

const dotOf = (share: number): number =>
  Math.max(LEAST_DOT, Math.sqrt(Number.isNaN(share) ? 0 : share) * LARGEST_DOT);

/** Edges, the lightest first, so that none hides a heavier one. */
export function* edgeMarks(stage: Stage, edges: readonly Edge[], colour: string): Generator<Mark> {
  for (const { layer, from, to, share, whole } of [...edges].sort((one, other) => one.share - other.share)) {
    const segment = [xOf(stage, from), yOf(stage, layer + 1), xOf(stage, to), yOf(stage, layer)] as const;
    yield { kind: "lines", segments: [segment], colour, line: lineOf(share), opacity: whole ? 0.6 : 0.2 };
  }
}

export function* nodeMarks(stage: Stage, nodes: readonly Node[], fill: string): Generator<Mark> {
  for (const { level, token, share } of nodes) {
    const size = dotOf(share);
    const [x, y] = [xOf(stage, token) - size / 2, yOf(stage, level) - size / 2];
    yield { kind: "box", x, y, width: size, height: size, radius: size / 2, fill };
  }
}

/** Names of layers at the left, tokens below, and the one that is followed above. */
export function* nameMarks(
  pen: CanvasRenderingContext2D,
  stage: Stage,
  map: MapFacts,
  flow: Flow,
  { colours, layer, lit }: { colours: Colours; layer: number | null; lit: number | null },
): Generator<Mark> {
  const { plot, levels, tokens } = stage;
  const every = Math.ceil(14 / (plot.height / levels));
  for (let level = 0; level <= levels; level++) {
    const y = yOf(stage, level);
    yield { kind: "lines", segments: [[plot.x, y, plot.x + plot.width, y]], colour: colours.line, line: 0.5 };
    const chosen = layer !== null && level === layer + 1;
    if (level > 0 && level < levels && level % every !== 0 && !chosen) continue;
    const look = chosen ? { colour: colours.text, weight: 600 } : { colour: colours.muted };
    yield {
      kind: "text",
      x: plot.x - EDGE,
      y,
      text: levelName(map, level),
      size: SIZE,
      anchor: "end",
      ...look,
    };
  }
  const step = plot.width / Math.max(1, tokens.length);
  const thinned = stage.upright ? 1 : Math.ceil(UPRIGHT / step);
  const touched = new Set(flow.nodes.filter(({ level }) => level === 0).map(({ token }) => token));
  const bottom = plot.y + plot.height;
  const room = stage.upright ? step : TALLEST_LABEL;
  for (const [at, token] of tokens.entries()) {
    const named = token === flow.query || token === lit;
    const crowded = [flow.query, lit].some((other) => {
      const column = other === null ? undefined : stage.columns.get(other);
      return column !== undefined && column !== at && Math.abs(column - at) < thinned;
    });
    if (!named && (at % thinned !== 0 || crowded)) continue;
    const weight = named ? 600 : 400;
    const colour =
      token === flow.query ? colours.accentText : touched.has(token) || named ? colours.text : colours.muted;
    pen.font = fontOf(colours.font, { size: SIZE, weight });
    const text = elide(pen, readable(map.queries.labels[token] ?? ""), room);
    const look = { text, size: SIZE, weight, colour };
    if (stage.upright)
      yield { kind: "text", x: xOf(stage, token), y: bottom + 18, anchor: "middle", ...look };
    else yield { kind: "text", x: xOf(stage, token), y: bottom + 12, anchor: "end", turned: true, ...look };
  }
  pen.font = fontOf(colours.font, { size: SIZE, weight: 600 });
  const top = elide(pen, readable(map.queries.labels[flow.query] ?? ""), 160);
  const half = pen.measureText(top).width / 2;
  const x = Math.min(Math.max(xOf(stage, flow.query), half), Math.max(half, stage.width - half));
  yield {
    kind: "text",
    x,
    y: plot.y - 20,
    text: top,
    size: SIZE,
    weight: 600,
    anchor: "middle",
    colour: colours.accentText,
  };
}

/** What is nearest to a pixel: a dot, a token's name, or a line; null where nothing is near. */
export function nearest(stage: Stage, flow: Flow, x: number, y: number): Node | Edge | null {
  let best: Node | Edge | null = null;
  let least = 12;
  for (const node of flow.nodes) {
    const away = Math.hypot(xOf(stage, node.token) - x, yOf(stage, node.level) - y) - dotOf(node.share) / 2;
    if (away < least) [best, least] = [node, away];
  }
  if (best && least < 5) return best;
  const bottom = stage.plot.y + stage.plot.height;
  if (y > bottom + 6 && x >= stage.plot.x && x < stage.plot.x + stage.plot.width) {
    const at = Math.floor(((x - stage.plot.x) / stage.plot.width) * stage.tokens.length);
    const token = stage.tokens[at] ?? 0;
    return (
      flow.nodes.find((node) => node.level === 0 && node.token === token) ?? { level: 0, token, share: 0 }
    );
  }
  let line = 5;
  let found: Edge | null = null;
  for (const edge of flow.edges) {
    const [x1, y1, x2, y2] = [
      xOf(stage, edge.from),
      yOf(stage, edge.layer + 1),
      xOf(stage, edge.to),
      yOf(stage, edge.layer),
    ];
    const along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2);
    if (along < 0 || along > 1) continue;
    const away = Math.hypot(x1 + along * (x2 - x1) - x, y1 + along * (y2 - y1) - y) - lineOf(edge.share) / 2;
    if (away < line) [found, line] = [edge, away];
  }
  return found ?? best;
}
