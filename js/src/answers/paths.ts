/** The strongest paths from one token back through the layers: edges that may be shown fewer of, without asking again. */
import { numbers } from "../attention/tile";
import type { Question } from "./question";

export type Heads = "mean" | "each";

/** The head of an edge that is the residual path, or that all heads carry together. */
export const NO_HEAD = -1;

export interface Paths {
  /** Edges of a smaller share are not here. */
  threshold: number;
  /** How many of the others are not here either: the lightest. */
  leftOut: number;
  /** The lowest layer below which the flow is known. */
  known: number;
  /** Layer, token above, token below and head of each edge, one after another. */
  edges: Int32Array;
  shares: Float32Array;
  /** The share of its upper token that goes along an edge. */
  weights: Float32Array;
  /** How many layers are below a token that is touched, and which one it is. */
  nodes: Int32Array;
  nodeShares: Float32Array;
}

/** So many are kept: whoever looks through all queries of a text leaves the first ones behind. */
const KEPT = 64;

export const paths = (map: string, query: number, heads: Heads): Question<Paths> => ({
  name: `paths/${map}/${query}/${heads}`,
  body: { op: "paths", map, query, heads },
  most: KEPT,
  // Another text has other paths.
  worth: () => "none",
  read({ header, buffers: [edges, shares, nodes, nodeShares] }) {
    const count = (edges?.byteLength ?? 0) / 16;
    const touched = (nodeShares?.byteLength ?? 0) / 4;
    const both = numbers(Float32Array, shares, 2 * count, "shares of edges");
    return {
      threshold: Number(header.threshold),
      leftOut: Number(header.left_out),
      known: Number(header.known),
      edges: numbers(Int32Array, edges, 4 * count, "edges"),
      shares: both.subarray(0, count),
      weights: both.subarray(count),
      nodes: numbers(Int32Array, nodes, 2 * touched, "nodes"),
      nodeShares: numbers(Float32Array, nodeShares, touched, "shares of nodes"),
    };
  },
});
