"""Measures between heads: how alike they look, and how diverse a layer is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from torch import Tensor
from torch.nn.functional import pad

from attnwidget.layers import DenseLayer, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, positions, whole
from attnwidget.measures.faults import Faults
from attnwidget.measures.given import Excluded, Given, MaskLike, as_weights
from attnwidget.measures.information import plogp, row_entropy
from attnwidget.measures.walk import Rows, Walk, mean_over_queries, root
from attnwidget.progress import progress_bar
from attnwidget.tokens import Tokens

__all__ = ["HeadClusters", "divergences", "head_clusters", "head_diversity", "head_similarity", "row_unlike"]

METRICS = ("js", "cosine", "euclidean")
FEW_HEADS = 64  # fewer are compared before a progress bar could be read


class HeadClusters(NamedTuple):
    """What `head_clusters` found.

    Attributes
    ----------
    order : list of tuple of int
        (layer, head), neighbours alike: an order for a grid.
    labels : Tensor of int [layers, heads] or None
        Number of the cluster of each head, from 0 in the order above; -1 where a layer has fewer heads. None when no
        number of clusters was asked for.
    distance : Tensor [N, N]
        Square root of the mean Jensen-Shannon divergence between any two heads, in model order.
    linkage : ndarray [N - 1, 4]
        The tree, as scipy.cluster.hierarchy reads it.
    """

    order: list[tuple[int, int]]
    labels: Tensor | None
    distance: Tensor
    linkage: np.ndarray[Any, Any]


def head_similarity(
    a: Given,
    *,
    metric: str = "js",
    rows: str = "informative",
    query: int | None = None,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Every head of a layer against every other.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., heads, queries, keys]
        Weights after softmax.
    metric : {"js", "cosine", "euclidean"}
        "js" is the Jensen-Shannon divergence of two heads' rows in nats, averaged over rows: 0 for equal heads, ln 2
        at most; the divergence, not its square root. "cosine" is that of the flattened maps, 1 for equal heads.
        "euclidean" is the distance of the flattened maps.
    rows : {"informative", "all"}
        "informative" leaves out rows that see one key, for there all heads are equal.
    query : int or None
        Compare this row only, CLS for example.
    mask, causal, exclude_tokens
        As in `attnwidget.measures.entropy`.

    Returns
    -------
    Tensor [..., heads, heads]
        Symmetric. NaN for heads without rows in common, and where a layer has fewer heads.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When there is no axis of heads, no such query, or an argument has a value that is not listed.

    References
    ----------
    Lin, IEEE Transactions on Information Theory 1991.
    """
    choice("metric", metric, METRICS)
    choice("rows", rows, ("informative", "all"))
    walk = _walk_of_heads(a, query, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    least = 1 if rows == "informative" else 0
    compared = {"js": divergences, "cosine": _products, "euclidean": _square_distances}[metric]

    def counted(block: Rows) -> Tensor:
        return ~block.weights[..., 0].isnan() & (block.count > least)

    def squares(block: Rows) -> Tensor:
        """Squared norm of each head over the rows that count in the other."""
        own = block.weights.masked_fill(~counted(block)[..., None], 0).square().sum(-1)
        return own @ counted(block).to(own).transpose(-1, -2)

    found = walk.gather(
        {},
        {
            "sum": lambda block: compared(block.weights, counted(block)),
            "rows": lambda block: _products(counted(block)[..., None].to(walk.dtype), counted(block)),
            "squares": squares,
        },
    )
    value, number = found["sum"], found["rows"]
    if metric == "js":
        value = value / number.clamp(min=1)
    elif metric == "cosine":
        norms = root(found["squares"] * found["squares"].transpose(-1, -2))
        value = (value / norms.masked_fill(norms == 0, 1)).clamp(max=1)
    else:
        value = root(value)
    return value.masked_fill((number == 0) | number.isnan(), math.nan)


def head_diversity(
    a: Given,
    *,
    metric: str = "js",
    rows: str = "informative",
    query: int | None = None,
    normalize: bool = False,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """How different the heads of a layer are.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., heads, queries, keys]
        Weights after softmax.
    metric : {"js", "cosine", "euclidean", "joint"}
        The mean over pairs of two different heads of what `head_similarity` gives: the divergence, 1 - cosine, or
        the distance. "joint" is the divergence of all heads at once, H(mean) - mean(H), in [0, ln H].
    rows, query
        As in `head_similarity`.
    normalize : bool
        Divide "js" by ln 2, and "joint" by the logarithm of the number of heads.
    mask, causal, exclude_tokens
        As in `attnwidget.measures.entropy`.

    Returns
    -------
    Tensor [...], without the heads
        0 for equal heads. NaN for a single head, which has nothing to differ from.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When there is no axis of heads, no such query, or an argument has a value that is not listed.

    References
    ----------
    Lin, IEEE Transactions on Information Theory 1991. The "disagreement" of Li et al., EMNLP 2018, counts each head
    against itself and is not comparable.
    """
    choice("metric", metric, (*METRICS, "joint"))
    choice("rows", rows, ("informative", "all"))
    if normalize and metric not in {"js", "joint"}:
        raise ValueError(
            f"normalize=True is for metric='js' and 'joint'; {metric!r} has no largest value to divide by."
        )
    if metric == "joint":
        walk = _walk_of_heads(a, query, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
        return _joint(walk, rows, normalize=normalize)
    value = head_similarity(
        a, metric=metric, rows=rows, query=query, mask=mask, causal=causal, exclude_tokens=exclude_tokens
    )
    heads = value.shape[-1]
    pairs = torch.ones(heads, heads, dtype=torch.bool, device=value.device).triu(1)
    between = value[..., pairs]
    known = ~between.isnan()
    mean = between.masked_fill(~known, 0).sum(-1) / known.sum(-1).clamp(min=1)
    mean = mean.masked_fill(known.sum(-1) == 0, math.nan)
    if metric == "cosine":
        return 1 - mean
    return mean / math.log(2) if normalize else mean


def head_clusters(
    a: Given, k: int | None = None, *, max_queries: int | None = 64, progress: bool = True
) -> HeadClusters:
    """Groups of heads that look alike, over all layers: for ordering a grid.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, heads, queries, keys]
        Weights after softmax.
    k : int or None
        Number of clusters to cut the tree into.
    max_queries : int or None
        Compare at most so many rows, evenly spread, because the work grows with the square of the number of heads;
        None compares all.
    progress : bool
        Show a progress bar where there are many heads.

    Returns
    -------
    HeadClusters

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When ``a`` has other axes, k is no number of clusters, or heads have no row in common.
    """
    maps = a if isinstance(a, AttentionMaps) else _layers_of(a)
    heads = [(layer, head) for layer, number in enumerate(maps.heads) for head in range(number)]
    if k is not None and not 1 <= whole("k", k) <= len(heads):
        raise ValueError(f"k={k}; expected 1 to {len(heads)}, the number of heads.")
    if max_queries is not None and whole("max_queries", max_queries) < 1:
        raise ValueError(f"max_queries={max_queries}; expected 1 or more, or None.")
    divergence = _divergences_between_layers(maps, len(heads), max_queries, progress=progress)
    if bool(divergence.isnan().any()):
        raise ValueError("some heads have no row in common, so that their distance is not known.")
    distance = divergence.sqrt()
    if len(heads) == 1:
        return HeadClusters(
            heads, None if k is None else torch.zeros(1, 1, dtype=torch.long), distance, np.empty((0, 4))
        )
    tree = hierarchy.linkage(squareform(distance.double().numpy(), checks=False), "average", optimal_ordering=True)
    leaves = hierarchy.leaves_list(tree).tolist()
    labels = None
    if k is not None:
        cut = hierarchy.cut_tree(tree, [k])[:, 0]
        number: dict[int, int] = {}
        for leaf in leaves:
            number.setdefault(int(cut[leaf]), len(number))
        labels = torch.full((maps.n_layers, max(maps.heads)), -1)
        for (layer, head), cluster in zip(heads, cut.tolist(), strict=True):
            labels[layer, head] = number[cluster]
    return HeadClusters([heads[leaf] for leaf in leaves], labels, distance, tree)


def row_unlike(rows: Rows) -> Tensor:
    """Jensen-Shannon divergence of rows [..., heads, rows] from the mean of all heads' rows, in nats.

    NaN where a query sees one key, where a row has no values, and where there is no other head.
    """
    seeing = ~rows.without
    if rows.weights.shape[-3] < 2:
        return torch.full_like(rows.total, math.nan)
    weights = rows.weights if bool(seeing.all()) else rows.weights.masked_fill(~seeing[..., None], 0)
    mean = weights.sum(-3, keepdim=True)
    mean = mean / mean.sum(-1, keepdim=True)
    twice = (weights / rows.mass[..., None]).add_(mean)  # the mixture of the two
    mixed = math.log(2) - plogp(twice).sum(-1) / 2
    unlike = (mixed - (rows.entropy + row_entropy(mean)) / 2).clamp(min=0)
    return unlike.masked_fill(~seeing | (rows.count <= 1), math.nan)


def _walk_of_heads(a: Given, query: int | None, **options: Any) -> Walk:
    walk = Walk(a, **options)
    if not walk.leading:
        raise ValueError("a is a single map; heads are compared along the axis before queries and keys: [heads, n, n].")
    if query is None:
        return walk
    wanted = positions(whole("query", query), walk.n_queries, "query", "row")
    return Walk(a, **options, rows=torch.tensor(wanted))


def _over_pairs(counted: Tensor, between: Callable[[slice, slice], Tensor]) -> Tensor:
    """A measure [..., rows] between some heads and others, summed over the rows that count in both: [..., H, H]."""
    found = []
    for head in range(counted.shape[-2]):
        one, others = slice(head, head + 1), slice(head + 1, None)
        both = counted[..., one, :] & counted[..., others, :]
        found.append(pad(between(one, others).masked_fill(~both, 0).sum(-1), (head + 1, 0)))
    upper = torch.stack(found, -2)
    return upper + upper.transpose(-1, -2)


def divergences(weights: Tensor, counted: Tensor) -> Tensor:
    """Jensen-Shannon divergence of every two heads [..., H, H], summed over the rows that count in both."""
    weights = (weights / weights.sum(-1, keepdim=True)).masked_fill(~counted[..., None], 0)
    own = row_entropy(weights)

    def between(one: slice, others: slice) -> Tensor:
        mixed = row_entropy((weights[..., one, :, :] + weights[..., others, :, :]) / 2)
        return (mixed - (own[..., one, :] + own[..., others, :]) / 2).clamp(min=0)

    return _over_pairs(counted, between)


def _square_distances(weights: Tensor, counted: Tensor) -> Tensor:
    def between(one: slice, others: slice) -> Tensor:
        return (weights[..., one, :, :] - weights[..., others, :, :]).square().sum(-1)

    return _over_pairs(counted, between)


def _products(weights: Tensor, counted: Tensor) -> Tensor:
    flat = weights.masked_fill(~counted[..., None], 0).flatten(-2)
    return flat @ flat.transpose(-1, -2)


def _joint(walk: Walk, rows: str, *, normalize: bool) -> Tensor:
    def measure(block: Rows) -> Tensor:
        heads = block.weights.shape[-3]
        counted = (~block.weights[..., 0].isnan() & (block.count > (rows == "informative"))).all(-2)
        own = row_entropy(block.weights)
        shared = row_entropy((block.weights / block.weights.sum(-1, keepdim=True)).mean(-3))
        value = (shared - own.mean(-2)).clamp(min=0) / (math.log(heads) if normalize and heads > 1 else 1)
        return value.masked_fill(~counted | (heads == 1), math.nan)

    return mean_over_queries(walk.per_row(measure))


def _layers_of(a: Any) -> AttentionMaps:
    weights = as_weights(a)
    if weights.ndim != 4:
        raise ValueError(f"a has shape {tuple(weights.shape)}; expected [layers, heads, queries, keys].")
    _, n_queries, n_keys = weights.shape[1:]
    keys = None if n_keys == n_queries else Tokens.positions(n_keys)
    return AttentionMaps([DenseLayer(layer) for layer in weights], Tokens.positions(n_queries), keys)


@torch.no_grad()
def _divergences_between_layers(
    maps: AttentionMaps, n_heads: int, max_queries: int | None, *, progress: bool
) -> Tensor:
    """Mean divergence of every head to every other of all layers: [N, N], on the CPU."""
    n_rows = maps.n_queries if max_queries is None else min(max_queries, maps.n_queries)
    wanted = torch.linspace(0, maps.n_queries - 1, n_rows).round().long()
    total, number = torch.zeros(n_heads, n_heads), torch.zeros(n_heads, n_heads)
    parts, faults = list(blocks(n_rows, n_heads * maps.n_keys)), Faults()
    with progress_bar("heads compared", len(parts), shown=progress and n_heads >= FEW_HEADS) as bar:
        for part in parts:
            found = list(Walk(maps, rows=wanted[part], faults=faults))
            weights = torch.cat([block.weights.cpu() for block in found])
            informative = [~block.weights[..., 0].isnan() & (block.count > 1) for block in found]
            counted = torch.cat([rows.cpu() for rows in informative])
            total += divergences(weights, counted).float()
            number += _products(counted[..., None].float(), counted)
            bar.update()
    faults.warn()
    return (total / number).fill_diagonal_(0)
