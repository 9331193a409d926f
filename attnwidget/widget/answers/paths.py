"""Paths: the strongest ways from one token back through the layers."""

from __future__ import annotations

import operator

import torch

from attnwidget.maps import AttentionMaps
from attnwidget.measures.paths import Paths
from attnwidget.measures.paths import paths as strongest
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import as_held, float32

__all__ = ["FOLLOWED", "LEAST_SHARE", "MOST_EDGES", "answered", "paths"]

LEAST_SHARE = 0.002  # the browser shows fewer edges by itself
MOST_EDGES = 4096
FOLLOWED = 1 << 30  # cells of all heads of all layers: a few seconds


def paths(maps: AttentionMaps, query: int, heads: str = "mean", threshold: float = LEAST_SHARE) -> Answer:
    """The edges of the strongest paths from one token, as `attnwidget.measures.paths` finds them.

    Parameters
    ----------
    maps : AttentionMaps
        Self-attention of several layers.
    query : int
        Which token.
    heads : {"mean", "each"}
        Whether heads have edges of their own.
    threshold : float
        Least share of an edge.

    Returns
    -------
    Answer
        Header ``threshold``, ``left_out``, and ``known``, the lowest layer below which something is known. Buffers:
        edges int32 [edges, 4] of layer, token above, token below and head, -1 for none; their shares and weights
        float32 [2, edges]; the nodes that they touch, int32 [nodes, 2] of layers below them and token; and the nodes'
        shares, float32 [nodes].

    Raises
    ------
    ValueError
        When there is no such token, when queries are not the keys, or when there is too much to read.
    """
    query = operator.index(query)
    if not 0 <= query < maps.n_queries:
        raise ValueError(f"query {query} was asked for; they go from 0 to {maps.n_queries - 1}.")
    cells = sum(maps.heads) * (query + 1 if maps.causal else maps.n_queries) ** 2
    if cells > FOLLOWED:
        raise ValueError(
            f"to follow token {query:,} back, {cells / 1e9:.1f} billion weights would be read, which takes longer than "
            f"a person waits; in Python attnwidget.measures.paths(maps, {query}) takes the time that it needs."
        )
    found = strongest(maps, query, threshold=threshold, heads=heads, most=MOST_EDGES, progress=False)
    return answered(found)


def answered(found: Paths) -> Answer:
    """Paths as the browser reads them."""
    layer, above, below, _ = found.edges.cpu().T
    ends = torch.cat([torch.stack([layer + 1, above], 1), torch.stack([layer, below], 1)])
    start = torch.tensor([[len(found.nodes) - 1, found.query]])
    nodes = torch.unique(torch.cat([start, ends]), dim=0)
    known = found.nodes.cpu().isfinite().all(-1).int()
    header = {"threshold": found.threshold, "left_out": found.left_out, "known": int(known.argmax())}
    return Answer(
        header,
        [
            as_held(found.edges.int()),
            float32(torch.stack([found.shares, found.weights])),
            as_held(nodes.int()),
            float32(found.nodes.cpu()[nodes[:, 0], nodes[:, 1]]),
        ],
    )
