/** What is drawn of the paths from one token: the edges of at least a share, and what these carry. */
import { NO_HEAD, type Paths } from "../../../answers/paths";

/** All that goes from one token to one of the layer below, whoever carries it. */
export interface Edge {
  layer: number;
  /** The token above, whose row it is, and the one below, which it looks at. */
  from: number;
  to: number;
  share: number;
  /** The heads that carry it, the strongest first; the residual path is -1. */
  heads: { head: number; share: number }[];
  /** Whether it is on a way from the top to the bottom. */
  whole: boolean;
}

export interface Node {
  /** Layers below it: the input has none. */
  level: number;
  token: number;
  share: number;
}

export interface Flow {
  query: number;
  edges: Edge[];
  nodes: Node[];
  /** What reaches the input along these edges alone; NaN where that cannot be known. */
  carried: number;
  /** How many lighter edges were not sent. */
  leftOut: number;
}

const nodeName = (level: number, token: number) => `${level}/${token}`;

export function flowOf(paths: Paths, query: number, layers: number, threshold: number): Flow {
  const drawn = new Map<string, Edge>();
  const shares = new Map<string, number>();
  for (let at = 0; at < paths.nodeShares.length; at++) {
    shares.set(nodeName(paths.nodes[2 * at]!, paths.nodes[2 * at + 1]!), paths.nodeShares[at]!);
  }
  // Edges come from the last layer to the first.
  const reaching = new Map<string, number>([[nodeName(layers, query), 1]]);
  const touched = new Map<string, Node>();
  const touch = (level: number, token: number) => {
    const name = nodeName(level, token);
    touched.set(name, { level, token, share: shares.get(name) ?? Number.NaN });
  };
  touch(layers, query);
  for (let at = 0; at < paths.shares.length; at++) {
    const share = paths.shares[at]!;
    if (share < threshold) continue;
    const [layer = 0, from = 0, to = 0, head = NO_HEAD] = paths.edges.subarray(4 * at, 4 * at + 4);
    const name = `${layer}/${from}/${to}`;
    const edge = drawn.get(name) ?? { layer, from, to, share: 0, heads: [], whole: false };
    edge.share += share;
    edge.heads.push({ head, share });
    drawn.set(name, edge);
    touch(layer + 1, from);
    touch(layer, to);
    const above = reaching.get(nodeName(layer + 1, from)) ?? 0;
    const below = nodeName(layer, to);
    reaching.set(below, (reaching.get(below) ?? 0) + above * paths.weights[at]!);
  }
  const edges = [...drawn.values()];
  for (const edge of edges) edge.heads.sort((one, other) => other.share - one.share);
  markWhole(edges, query, layers);
  let carried = 0;
  for (const [name, mass] of reaching) if (name.startsWith("0/")) carried += mass;
  if (paths.known > 0) carried = Number.NaN;
  return { query, edges, nodes: [...touched.values()], carried, leftOut: paths.leftOut };
}

/** Edges on a way from the token at the top to the bottom; they come from the last layer to the first. */
function markWhole(edges: readonly Edge[], query: number, layers: number): void {
  const fromTop = new Set([nodeName(layers, query)]);
  const toBottom = new Set<string>();
  const led = edges.filter(({ layer, from, to }) => {
    const leads = fromTop.has(nodeName(layer + 1, from));
    if (leads) fromTop.add(nodeName(layer, to));
    return leads;
  });
  for (const edge of led.reverse()) {
    edge.whole = edge.layer === 0 || toBottom.has(nodeName(edge.layer, edge.to));
    if (edge.whole) toBottom.add(nodeName(edge.layer + 1, edge.from));
  }
}

/** The edges of all ways that lead through a node or an edge: down from it, and up. */
export function leadingThrough(flow: Flow, at: Node | Edge): Edge[] {
  const isNode = "token" in at;
  const down = new Set([isNode ? nodeName(at.level, at.token) : nodeName(at.layer, at.to)]);
  const up = new Set([isNode ? nodeName(at.level, at.token) : nodeName(at.layer + 1, at.from)]);
  const found = new Set<Edge>(isNode ? [] : [at]);
  for (const edge of flow.edges) {
    if (!down.has(nodeName(edge.layer + 1, edge.from))) continue;
    down.add(nodeName(edge.layer, edge.to));
    found.add(edge);
  }
  for (const edge of [...flow.edges].reverse()) {
    if (!up.has(nodeName(edge.layer, edge.to))) continue;
    up.add(nodeName(edge.layer + 1, edge.from));
    found.add(edge);
  }
  return [...found];
}

/** Who carries an edge, in words: its strongest heads, or all of them together. */
export function carriers({ heads }: Edge, nameOf: (head: number) => string, each: boolean): string {
  if (!each) return "all heads and the residual path";
  return heads
    .slice(0, 3)
    .map(({ head, share }) => `${head === NO_HEAD ? "residual path" : nameOf(head)} ${share.toFixed(3)}`)
    .join(", ");
}
