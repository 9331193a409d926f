"""Queries and keys of a head in one plane, so placed that what is near is what is attended to, as far as that can be.

A score is q·k, and a picture shows distance. What leaves the weights as they are may be changed first (Yeh et al., IEEE
VIS 2023, AttentionViz): a vector may be added to all keys, which adds to each query's scores a constant that softmax
forgets; and queries may be divided by c where keys are multiplied by it. The same holds of any matrix T in place of c,
q T and k T^-T. So keys are centred, and T is taken from the singular value decomposition of the scores less their rows'
means, Q K^T = U S V^T: queries stand at U sqrt(S) and keys at V sqrt(S), and of these the first two axes are the plane
from which the scores are given back best (Eckart and Young, 1936). Since

    |q / c - (c k + t)|^2 = |q|^2 / c^2 + c^2 |k|^2 - 2 q·k + terms of the row + 2 c t·k,

the factor c and the shift t of the keys decide how much of a distance is score. t is a share of the way from the middle
of the keys to that of the queries: at the end their means agree, as in AttentionViz, and before it keys that all
queries look at stand nearer to all. A plane of principal components of both together is tried too. Of a few such planes
that is taken in which distance and score are ranked most alike.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps

__all__ = ["READABLE", "Plane", "plane"]

READABLE = 0.5  # a lower rank correlation says that distances say little about scores
PAIRS = 4096  # pairs that are ranked
FITTED = 1024  # queries and keys from which the axes are taken
CELLS = 1 << 20  # scores that are looked at for these pairs
FACTORS = (0.35, 0.5, 0.71, 1.0, 1.41, 2.0)  # times the factor at which queries and keys reach equally far
SHIFTS = (0.0, 0.5, 1.0)


class Plane(NamedTuple):
    """What `plane` found.

    Attributes
    ----------
    queries : Tensor [queries, 2]
        Where queries stand; NaN where one holds what is no number.
    keys : Tensor [keys, 2]
        Where keys stand.
    correlation : float
        Rank correlation (Spearman) between nearness in the plane and score, over pairs of a query and a key that it may
        see, in [-1, 1]; NaN where fewer than three pairs can be ranked, or all are alike.
    pairs : int
        How many pairs that was measured on.
    sampled : bool
        Whether these are an even sample of a long map's.
    """

    queries: Tensor
    keys: Tensor
    correlation: float
    pairs: int
    sampled: bool


def plane(maps: AttentionMaps, layer: int, head: int, *, normalize: bool = False) -> Plane:
    """One head's queries and keys in one plane in which distance reflects score.

    Parameters
    ----------
    maps : AttentionMaps
        Maps that hold queries and keys.
    layer, head : int
        Which head, from 0.
    normalize : bool
        Whether all keys are made equally long first, around their middle. That changes what the plane shows, and not
        the scores that it is compared with.

    Returns
    -------
    Plane
        Coordinates of queries and keys, float32, and how far distances can be read. The scores are those that the
        softmax takes, less the mean of their row over the keys that it sees, a constant that the softmax forgets.
        The same maps give the same plane.

    Raises
    ------
    TypeError
        When ``maps`` is no AttentionMaps.
    IndexError
        When there is no such head.
    ValueError
        When the layer is held as weights, which do not tell the queries and keys they came from.

    Notes
    -----
    A plane shows two of the directions in which queries and keys differ; where scores need more, the correlation says
    so. Below 0.5 distances should not be read. Of long maps the axes are fitted to 1,024 queries and keys, and the
    correlation is that of 4,096 pairs, both spread evenly; all tokens are placed.

    References
    ----------
    Yeh, Chen, Wu, Chen, Viégas, Wattenberg, AttentionViz, IEEE VIS 2023 (the shift of keys and the factor c); Eckart
    and Young, Psychometrika 1936.

    Examples
    --------
    >>> found = aw.measures.plane(run.maps, 5, 3)
    >>> found.correlation
    """
    if not isinstance(maps, AttentionMaps):
        raise TypeError(f"maps is {type(maps).__name__}; expected AttentionMaps that hold queries and keys.")
    source, heads = maps.locate(layer, head)
    if not isinstance(source, ProjectedLayer):
        raise ValueError(  # noqa: TRY004 - what a layer holds is no argument
            f"layer {layer} of the maps {maps.name!r} is held as weights, which do not tell the queries and keys they "
            "came from; capture the model (attnwidget.capture), or pass q and k (AttentionMaps.from_queries_keys)."
        )
    with torch.no_grad():
        q = source.q[heads.start].detach().cpu().double()
        k = source.k[heads.start * source.key_value_heads // source.shape[0]].detach().cpu().double()
        fitted_q, fitted_k = _sound(_spread(q)), _sound(_spread(k))
        if len(fitted_q) == 0 or len(fitted_k) == 0:
            nowhere = (torch.full((len(one), 2), math.nan) for one in (q, k))
            return Plane(next(nowhere), next(nowhere), math.nan, 0, sampled=False)
        middle = fitted_k.mean(0)
        k, fitted_k = k - middle, fitted_k - middle
        if normalize:
            length = fitted_k.norm(dim=-1).mean()
            k, fitted_k = ((one / one.norm(dim=-1, keepdim=True).clamp(min=1e-12)) * length for one in (k, fitted_k))
        pairs, scores, sampled = _pairs(source, heads)
        best: tuple[float, Tensor, Tensor] | None = None
        for to_q, to_k in _axes(fitted_q, fitted_k):
            flat_q, flat_k = fitted_q @ to_q, fitted_k @ to_k
            reach = (_reach(flat_q - flat_q.mean(0)) / _reach(flat_k)) ** 0.5
            for factor in FACTORS:
                c = reach * factor
                for shift in SHIFTS:
                    placed_q, placed_k = q @ to_q / c, k @ to_k * c + shift * flat_q.mean(0) / c
                    near = -(placed_q[pairs[0]] - placed_k[pairs[1]]).square().sum(-1)
                    found = _spearman(near, scores)
                    if best is None or found > best[0] or (math.isnan(best[0]) and not math.isnan(found)):
                        best = found, placed_q, placed_k
        assert best is not None  # noqa: S101 - there are axes always
        return Plane(best[1].float(), best[2].float(), best[0], len(scores), sampled)


def _spread(vectors: Tensor) -> Tensor:
    """An even spread of vectors."""
    return vectors[_evenly(len(vectors), FITTED)]


def _evenly(n: int, most: int) -> Tensor:
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most).round().long()


def _sound(vectors: Tensor) -> Tensor:
    return vectors[vectors.isfinite().all(-1)]


def _reach(points: Tensor) -> float:
    """How far points reach from the origin; 1 where they are all there."""
    return float(points.square().sum(-1).mean().sqrt()) or 1.0


def _axes(q: Tensor, k: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Matrices [width, 2] that lead queries and keys into a plane."""
    width = q.shape[-1]
    # The decomposition of all scores, from two small triangles: Q = Oq Rq, K = Ok Rk, Q K^T = Oq (Rq Rk^T) Ok^T.
    of_q, of_k = torch.linalg.qr(q, "r")[1], torch.linalg.qr(k, "r")[1]
    u, s, vh = torch.linalg.svd(of_q @ of_k.T, full_matrices=False)
    root = s[:2].sqrt()
    safe = torch.where(root > 1e-9 * max(float(root[0]), 1e-300), 1 / root, torch.zeros_like(root))
    by_scores = of_k.T @ (vh[:2].T * safe), of_q.T @ (u[:, :2] * safe)
    both = torch.cat([(q - q.mean(0)) / _reach(q - q.mean(0)), k / _reach(k)])
    principal = torch.linalg.svd(both, full_matrices=False)[2][:2].T
    return [_upright(*_two(*pair, width)) for pair in (by_scores, (principal, principal))]


def _two(to_q: Tensor, to_k: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Two axes, the second 0 where there is one only."""
    lacking = 2 - to_q.shape[1]
    if not lacking:
        return to_q, to_k
    blank = to_q.new_zeros(width, lacking)
    return torch.cat([to_q, blank], 1), torch.cat([to_k, blank], 1)


def _upright(to_q: Tensor, to_k: Tensor) -> tuple[Tensor, Tensor]:
    """A decomposition leaves the signs of its axes open: the largest number of each is made positive."""
    largest = to_q.abs().argmax(0)
    sign = to_q[largest, torch.arange(2)].sign()
    sign = torch.where(sign == 0, torch.ones_like(sign), sign)
    return to_q * sign, to_k * sign


def _pairs(layer: ProjectedLayer, heads: slice) -> tuple[tuple[Tensor, Tensor], Tensor, bool]:
    """Queries and keys of an even sample of pairs that see each other, and their scores less the mean of their row."""
    _, n_queries, n_keys = layer.shape
    rows = _evenly(n_queries, max(2, CELLS // max(1, n_keys)))
    # A rule that hides nothing and a mask that does look alike from here: both answer which keys are seen.
    scores = layer.scores(heads, rows)[0].cpu().double()
    seen = layer.visible(heads, rows)[0].cpu() & scores.isfinite()
    scores = scores.masked_fill(~seen, 0)
    scores = scores - scores.sum(-1, keepdim=True) / seen.sum(-1, keepdim=True).clamp(min=1)
    at = seen.nonzero()
    chosen = at[_evenly(len(at), PAIRS)]
    sampled = len(rows) < n_queries or len(chosen) < len(at)
    return (rows[chosen[:, 0]], chosen[:, 1]), scores[chosen[:, 0], chosen[:, 1]], sampled


def _spearman(one: Tensor, other: Tensor) -> float:
    """Correlation of ranks; NaN where there are fewer than three, or all are alike."""
    if len(one) < 3:
        return math.nan
    one, other = _ranks(one), _ranks(other)
    one, other = one - one.mean(), other - other.mean()
    sizes = one.norm() * other.norm()
    return float((one @ other) / sizes) if sizes > 0 else math.nan


def _ranks(values: Tensor) -> Tensor:
    """Ranks; equal values share the mean of theirs."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    mean: Tensor = (counts.cumsum(0) - (counts - 1) / 2)[place].double()
    return mean
