"""Paths: the strongest ways from one token back through the layers, and the share that they carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnwidget.layers import blocks
from attnwidget.measures.arguments import choice, numeric, positions, whole
from attnwidget.measures.given import Excluded, MaskLike
from attnwidget.measures.transitions import GivenLayers, Known, Layers, Recipe, steps, through
from attnwidget.measures.walk import settle

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESIDUAL", "Paths", "paths"]

RESIDUAL = -1  # the head of an edge that is the residual path, or that all heads carry together


@dataclass(frozen=True)
class Paths:
    """Edges between the tokens of neighbouring layers, each with its share of what one token is made of.

    Parameters
    ----------
    query : int
        The token that is followed, from 0.
    threshold : float
        Edges with a smaller share are not here.
    residual : float
        Weight of the residual path in every layer.
    heads : {"mean", "each"}
        Whether an edge is what all heads and the residual path carry together, or each is an edge of its own.
    edges : Tensor of int64 [edges, 4]
        Layer, the token above (whose row it is), the token below (that it looks at), head. The head is -1 for the
        residual path, and for all together. From the last layer to the first, the heaviest of a layer first.
    shares : Tensor of float64 [edges]
        Share of the flow that goes through each edge, in [0, 1].
    weights : Tensor of float64 [edges]
        Share of its upper token that goes along it, in [0, 1]: what a path is multiplied by.
    nodes : Tensor of float64 [layers + 1, tokens]
        Share of the flow that goes through each token below layer 0, 1 ..., and above the last; rows sum to 1. NaN
        below a layer where it cannot be known.
    left_out : int
        How many edges with a share of at least the threshold are not here, because there are too many.
    """

    query: int
    threshold: float
    residual: float
    heads: str
    edges: Tensor
    shares: Tensor
    weights: Tensor
    nodes: Tensor
    left_out: int

    @property
    def carried(self) -> float:
        """What reaches the first layer along these edges alone: a share in [0, 1], NaN where it cannot be known."""
        below = torch.zeros_like(self.nodes[0])
        below[self.query] = 1
        for layer in range(len(self.nodes) - 2, -1, -1):
            here = self.edges[:, 0] == layer
            _, above, key, _ = self.edges[here].T
            below = torch.zeros_like(below).index_add_(0, key, below[above] * self.weights[here])
        return float(below.sum() + self.nodes[0].sum() * 0)

    def above(self, threshold: float) -> Paths:
        """Those whose edges have a share of at least so much; ValueError where that is less than is here."""
        if not numeric("threshold", threshold, 0, 1) >= self.threshold:
            raise ValueError(f"threshold={threshold}; these paths begin at {self.threshold}: ask paths() again.")
        kept = self.shares >= threshold
        least = float(self.shares.min()) if self.left_out else 0.0
        parts = {name: getattr(self, name)[kept] for name in ("edges", "shares", "weights")}
        return replace(self, threshold=threshold, left_out=self.left_out if threshold < least else 0, **parts)

    def table(self) -> pd.DataFrame:
        """The edges as a table: layer, from, to, head, share, weight."""
        import pandas as pd

        named = pd.DataFrame(self.edges.cpu().numpy(), columns=["layer", "from", "to", "head"])
        return named.assign(share=self.shares.cpu().numpy(), weight=self.weights.cpu().numpy())

    def __repr__(self) -> str:
        return f"<Paths from token {self.query}: {len(self.shares)} edges, which carry {self.carried:.3g}>"


def paths(
    a: GivenLayers,
    query: int = -1,
    *,
    threshold: float = 0.01,
    residual: float = 0.5,
    heads: str = "mean",
    most: int = 10_000,
    progress: bool = True,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Paths:
    """The strongest paths from one token back through all layers, by rollout.

    Each layer is made one matrix, ``a_l = rownorm(residual * I + (1 - residual) * mean of heads)``, and a path from the
    token at the output to a token of the input has the product of its edges' weights as its share; over all paths they
    sum to 1. What goes through an edge ``i -> j`` of layer l, over all paths that use it, is
    ``R[i] * a_l[i, j]``, where R is the rollout row of the token down to that layer. Edges are kept where that is at
    least the threshold, and `Paths.carried` says what the paths of kept edges alone carry.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, heads, n, n], or sequence of them [heads, n, n], one a layer
        Self-attention after softmax, as for `rollout`. One row is carried from layer to layer, and nothing of size
        [layers, n, n] is made.
    query : int
        Which token; negative numbers count from the end.
    threshold : float
        Least share of an edge, in [0, 1].
    residual : float
        Weight of the residual path, in [0, 1).
    heads : {"mean", "each"}
        "mean": one edge between two tokens, of all heads and the residual path. "each": one for each head, and one for
        the residual path. An edge of "mean" is the sum of those of "each".
    most : int
        How many edges are kept at most, the heaviest.
    progress : bool
        Show a progress bar where it takes long.
    mask, causal, exclude_tokens
        As for `rollout`.

    Returns
    -------
    Paths
        Edges, their shares, the share of each token in each layer, and what they carry. Where the flow comes to a row
        that holds NaN or has no mass left, nothing is known below that layer: no edges, and NaN. A row that sees no
        key keeps what it has.

    Raises
    ------
    TypeError
        When ``a`` holds no floating-point arrays, or something is no number.
    ValueError
        When ``a`` is not square or has a batch, or an argument has a value that does not exist.

    Warns
    -----
    AttentionWarning
        As `rollout`.

    References
    ----------
    Abnar & Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3, for the rollout.

    Examples
    --------
    >>> found = aw.measures.paths(run.maps, query=-1, threshold=0.05)
    >>> found.carried, found.table().head()
    """
    choice("heads", heads, ("mean", "each"))
    threshold = numeric("threshold", threshold, 0, 1)
    if whole("most", most) < 1:
        raise ValueError(f"most={most}; expected 1 or more edges.")
    layers = Layers.square(a, "flow", mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    if layers.batch:
        raise ValueError(f"a holds a batch of {layers.batch}; paths are those of one example: give a[:, 0].")
    (token,) = positions(query, layers.n_queries, "query")
    recipe = Recipe(residual=residual)
    layers.order = layers.order[::-1]
    kept = _Heaviest(most, threshold)
    nodes = torch.full((layers.n_layers + 1, layers.n_keys), torch.nan, dtype=layers.exact, device=layers.device)
    nodes[-1] = layers.identity([token])[0]
    with torch.no_grad(), layers.shown(progress=progress):
        for layer in layers.each():
            flow = nodes[layer + 1]
            if bool(flow.isnan().any()):
                continue
            here = _Heaviest(most, threshold)
            below, lost = _below(layers, layer, recipe, flow, None if heads == "each" else here)
            if lost:
                continue
            nodes[layer] = below
            if heads == "each":
                # No edge is heavier than its upper token: few rows are read a second time.
                strong = ((flow >= threshold) & (flow > 0)).nonzero()[:, 0]
                for rows, split in _split(layers, layer, recipe, strong):
                    here.take(layer, rows, flow, split)
            kept.join(here)
    return Paths(token, threshold, residual, heads, *kept.sorted(layers.exact), nodes, kept.left_out)


def _below(layers: Layers, layer: int, recipe: Recipe, flow: Tensor, kept: _Heaviest | None) -> tuple[Tensor, bool]:
    """What reaches each token below a layer, and whether part of it is not known; its edges go into what is kept."""
    below, lost = torch.zeros_like(flow), False
    some = flow.nonzero()
    for step in steps(layers, layer, recipe, slice(int(some[0]), int(some[-1]) + 1)):
        here = flow[step.rows][None]
        part = through(Known(here, torch.zeros_like(here[:, 0], dtype=torch.bool)), step.matrix)
        lost |= bool(part.unknown.any())
        below[: part.filled.shape[-1]] += part.filled[0]
        if kept is not None:
            rows = torch.arange(step.rows.start, step.rows.stop, device=flow.device)
            kept.take(layer, rows, flow, step.matrix.filled[:, None])
    return below, lost


def _split(layers: Layers, layer: int, recipe: Recipe, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of a layer's matrix as its heads and its residual path: [rows, heads + 1, keys], block by block."""
    n_heads = layers.heads(layer, slice(0, 1))[0].shape[-3]
    for part in blocks(len(rows), (n_heads + 1) * layers.n_keys):
        here = rows[part]
        raw, visible = layers.heads(layer, here)
        visible = layers.without_excluded(visible, here[:, None])
        weights, total = settle(raw.to(layers.exact), visible, rescale=bool(len(layers.excluded)))
        weights = weights.masked_fill((total == 0)[..., None], 0)
        # A head that sees no key in a row has no part in it; where none does, the token stays what it is.
        of_heads = weights / (total != 0).sum(-2).clamp(min=1)[..., None]
        mass = of_heads.sum((-3, -1))
        whole_row = recipe.residual + (1 - recipe.residual) * mass
        absent = (total == 0).all(-2)
        stay = torch.where(absent, 1, recipe.residual / whole_row.masked_fill(absent, 1))
        identity = torch.zeros_like(of_heads[0]).scatter_(-1, here[:, None], stay[:, None])
        moved = of_heads * ((1 - recipe.residual) / whole_row.masked_fill(absent, 1))[:, None]
        yield here, torch.cat([moved.transpose(0, 1), identity[:, None]], 1)


class _Heaviest:
    """Edges with a share of at least a threshold, the heaviest of all that came."""

    def __init__(self, most: int, threshold: float) -> None:
        self._most, self._threshold, self._came, self._least = most, threshold, 0, 0.0
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def left_out(self) -> int:
        """How many came and are not here."""
        return self._came - self._count

    @property
    def _count(self) -> int:
        return sum(len(shares) for _, shares, _ in self._parts)

    def take(self, layer: int, rows: Tensor, flow: Tensor, matrix: Tensor) -> None:
        """Take the edges of some rows of a layer [rows, heads, keys]; the last head is none."""
        shares = flow[rows][:, None, None] * matrix
        heavy = (shares >= self._threshold) & (shares > 0)
        self._came += int(heavy.sum())
        at, head, key = (heavy & (shares >= self._least)).nonzero().T
        number = torch.where(head == matrix.shape[1] - 1, RESIDUAL, head)
        edges = torch.stack([torch.full_like(at, layer), rows[at], key, number], 1)
        self._parts.append((edges, shares[at, head, key], matrix[at, head, key]))
        if self._count > 2 * self._most:
            self._cut()

    def join(self, other: _Heaviest) -> None:
        """Take all that came to another."""
        self._came += other._came
        self._parts += other._parts
        self._cut()

    def _cut(self) -> None:
        edges, shares, weights = (torch.cat(parts) for parts in zip(*self._parts, strict=True))
        if len(shares) > self._most:
            chosen = shares.topk(self._most).indices
            edges, shares, weights = edges[chosen], shares[chosen], weights[chosen]
            self._least = float(shares.min())
        self._parts = [(edges, shares, weights)]

    def sorted(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """From the last layer to the first, the heaviest of a layer first."""
        if not self._parts:
            none = torch.zeros(0, dtype=dtype)
            return torch.zeros(0, 4, dtype=torch.int64), none, none
        self._cut()
        edges, shares, weights = self._parts[0]
        order = shares.argsort(descending=True, stable=True)
        order = order[edges[order, 0].argsort(descending=True, stable=True)]
        return edges[order], shares[order], weights[order]
