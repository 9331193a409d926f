"""Own attention: somebody's weights, or queries and keys, made into maps that can be looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.diagnosis.causes import Cause, Reading, conclude
from attnwidget.diagnosis.findings import Evidence, Finding
from attnwidget.diagnosis.origin import Inputs
from attnwidget.diagnosis.projection import Projection, projection_of
from attnwidget.intake import as_tensor
from attnwidget.layers import HIDDEN, DenseLayer, Layer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import numeric
from attnwidget.measures.given import MaskLike, as_weights, check_weights
from attnwidget.tokens import Tokens

__all__ = ["Own", "given_maps", "own_attention", "second_softmax", "unexplained"]

AS_THEY_ENTER = "Pass q and k as they go into the product, and what is added to the scores as mask=."
ROWS_AGREE = 0.98  # of the log-weights' variance that scores must explain, to name a factor


@dataclass(frozen=True)
class Own:
    """Somebody's own attention."""

    maps: AttentionMaps
    inputs: list[Inputs]
    projections: list[Projection | None]
    factor: float | None  # of the weights over softmax(q k^T), in 1 / sqrt(width)
    explained: float | None  # share of the given weights' variance that the scores explain; None where none were given
    second: float  # share that a softmax of their softmax explains; NaN where it is not known
    unit: str  # what the first axis is


def given_maps(weights: Any, mask: MaskLike, *, causal: bool) -> AttentionMaps:
    """Maps of weights [..., heads, queries, keys]; the axes in front of the heads become layers."""
    if isinstance(weights, AttentionMaps):
        raise TypeError(
            "maps is AttentionMaps, which knows its own q and k; beside query= and key= pass the weights your code "
            "made of them."
        )
    matrix = as_weights(weights, "maps").detach()
    check_weights(matrix)
    if matrix.ndim < 3:
        matrix = matrix[None]
    visible = _additive(mask, tuple(matrix.shape), matrix.device)
    matrix = matrix.flatten(0, -4) if matrix.ndim > 3 else matrix[None]
    n_queries, n_keys = matrix.shape[-2:]
    rule = Mask(causal=True, offset=n_keys - n_queries) if causal else None
    masks = [rule] * len(matrix) if visible is None else [_rule(one) for one in visible]
    layers: list[Layer] = [DenseLayer(one, rule) for one, rule in zip(matrix, masks, strict=True)]
    return AttentionMaps(layers, Tokens.positions(n_queries), Tokens.positions(n_keys) if n_keys != n_queries else None)


def _additive(mask: MaskLike, shape: tuple[int, ...], device: torch.device) -> Tensor | None:
    """One additive mask [1 or heads, queries, keys] for each layer, from a mask of any accepted kind."""
    if mask is None:
        return None
    given = torch.as_tensor(np.array(mask) if isinstance(mask, np.ndarray) else mask, device=device).detach()
    try:
        given.expand(shape)
    except RuntimeError as error:
        raise ValueError(
            f"mask has shape {tuple(given.shape)}, which does not fit attention of shape {shape}."
        ) from error
    if given.dtype == torch.bool:
        given = torch.zeros(given.shape, device=device).masked_fill(~given, -math.inf)
    elif not given.is_floating_point():
        raise TypeError(f"mask holds {given.dtype}; expected bool, True where a query may attend, or numbers to add.")
    given = given.reshape((1,) * (len(shape) - given.ndim) + given.shape)
    given = given.expand(*shape[:-3], given.shape[-3], *shape[-2:]).float()
    return given.flatten(0, -4) if given.ndim > 3 else given[None]


def own_attention(
    query: Any,
    key: Any,
    value: Any = None,
    *,
    mask: MaskLike = None,
    scaling: float | None = None,
    causal: bool = False,
    weights: Any = None,
) -> Own:
    """Read somebody's queries and keys, the parameters being those of `attnwidget.diagnose`."""
    given = {"query": query, "key": key, "value": value}
    tensors = {name: as_tensor(one, name) if isinstance(one, np.ndarray) else one for name, one in given.items()}
    found, inputs = _projected(tensors["query"], tensors["key"], tensors["value"], mask, scaling, causal=causal)
    unit = "layer" if tensors["query"].ndim == 3 else "example"
    projections = [projection_of(layer) for layer in found.layers]
    if weights is None:
        return Own(found, inputs, projections, None, None, math.nan, unit)
    theirs = given_maps(weights, mask, causal=causal)
    return Own(theirs, inputs, projections, *_explained(theirs, found), unit)


def _projected(
    query: Tensor, key: Tensor, value: Tensor | None, mask: MaskLike, scaling: float | None, *, causal: bool
) -> tuple[AttentionMaps, list[Inputs]]:
    """Maps of somebody's own q and k, one layer for each example."""
    if scaling is not None:
        numeric("scaling", scaling, math.ulp(0.0), math.inf)
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(
                f"{name} is {getattr(tensor, 'dtype', type(tensor).__name__)}; expected floating-point numbers."
            )
        if tensor.ndim not in {3, 4} or tensor.ndim != query.ndim or 0 in tensor.shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; expected [heads, tokens, width] or [examples, heads, tokens, "
                "width], the same number of axes for all."
            )
    q, k = (tensor.detach() if tensor.ndim == 4 else tensor.detach()[None] for tensor in (query, key))
    v = None if value is None else value.detach() if value.ndim == 4 else value.detach()[None]
    if len(q) != len(k) or q.shape[-1] != k.shape[-1] or q.shape[1] % k.shape[1]:
        raise ValueError(
            f"query has shape {tuple(query.shape)} and key {tuple(key.shape)}; expected the same examples and width, "
            "and heads that the key's heads divide."
        )
    if v is not None and (v.shape[0] != k.shape[0] or v.shape[2] != k.shape[2] or q.shape[1] % v.shape[1]):
        raise ValueError(f"value has shape {tuple(v.shape)} and key {tuple(k.shape)}; expected the same tokens.")
    factor = q.shape[-1] ** -0.5 if scaling is None else scaling
    shape = (*q.shape[:3], k.shape[2])
    additive = _additive(mask, shape if query.ndim == 4 else shape[1:], q.device)
    plain = Mask(causal=True, offset=shape[3] - shape[2]) if causal else Mask()
    rules = [plain] * len(q) if additive is None else [_rule(one) for one in additive]
    layers = [ProjectedLayer(one, other, factor, rule) for one, other, rule in zip(q, k, rules, strict=True)]
    maps = AttentionMaps(
        layers, Tokens.positions(shape[2]), Tokens.positions(shape[3]) if shape[2] != shape[3] else None
    )
    inputs = [Inputs(layer, q[i], k[i], None if v is None else v[i]) for i, layer in enumerate(layers)]
    return maps, inputs


def _rule(additive: Tensor) -> Mask:
    """The mask as it is, NaN included, so that it can be looked at."""
    hidden = additive <= HIDDEN
    offset = max(0, additive.shape[-1] - additive.shape[-2])
    return Mask(offset=offset, additive=additive.masked_fill(hidden, -math.inf))


def _explained(given: AttentionMaps, expected: AttentionMaps) -> tuple[float | None, float | None, float]:
    """What q and k say of given weights.

    Their factor over softmax(q k^T), in 1 / sqrt(width); the share of their logarithms' variance that scores explain;
    and the share that the weights which the scores make explain, as they would if these went through a softmax again.
    The factor is None where scores do not explain the weights, and all are unknown where weights or scores do not vary.
    """
    shapes = [[layer.shape for layer in maps.layers] for maps in (given, expected)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"maps have layers of shape {shapes[0]} and query and key make {shapes[1]}; expected the same."
        )
    rows = torch.linspace(0, given.n_queries - 1, min(64, given.n_queries)).round().long()
    by_scores, by_weights = _Fit(), _Fit()
    for one, other in zip(given.layers, expected.layers, strict=True):
        heads = slice(0, one.shape[0])
        weights, scores = one.weights(heads, rows).double(), other.scores(heads, rows).double()
        there = (weights > 0) & scores.isfinite()
        by_scores.add(weights.log(), scores, there)
        by_weights.add(weights.log(), scores.softmax(-1), there)
    share = by_scores.share
    held = expected.layers[0]
    if share is None or not isinstance(held, ProjectedLayer):
        return None, None, math.nan
    if share >= ROWS_AGREE and by_scores.slope > 0:
        return by_scores.slope * held.scaling * math.sqrt(held.q.shape[-1]), share, math.nan
    again = by_weights.share if by_weights.share is not None and 0.8 < by_weights.slope < 1.25 else 0.0
    return None, share, again


@dataclass
class _Fit:
    """How well one number of every cell follows from another, but for a constant of each row."""

    shared: float = 0.0
    own: float = 0.0
    theirs: float = 0.0

    def add(self, log: Tensor, of: Tensor, there: Tensor) -> None:
        """Take cells into account: [heads, rows, keys]."""
        count = there.sum(-1, keepdim=True).clamp(min=1)
        log, of = (
            (value - value.masked_fill(~there, 0).sum(-1, keepdim=True) / count).masked_fill(~there, 0)
            for value in (log, of)
        )
        self.shared += float((log * of).sum())
        self.own += float(of.square().sum())
        self.theirs += float(log.square().sum())

    @property
    def share(self) -> float | None:
        """Share of the variance that is explained; None where nothing varies."""
        return self.shared**2 / (self.own * self.theirs) if self.own and self.theirs else None

    @property
    def slope(self) -> float:
        """By how much one changes with the other."""
        return self.shared / self.own


def unexplained(own: Own) -> Iterator[Finding]:
    """Weights that did not come from the queries and keys they were given with."""
    if own.factor is not None or own.explained is None:
        return
    again = second_softmax(own.second)
    grouped = any(given.layer.key_value_heads < given.layer.shape[0] for given in own.inputs)
    yield conclude(
        "unexplained",
        "Softmax is applied twice" if again.shown else "Weights that q and k do not explain",
        "alarm" if again.shown else "warning",
        "The weights are softmax(softmax(q k^T)): all but uniform, whatever the scores say."
        if again.shown
        else "The weights are not softmax(q k^T) times any factor.",
        evidence=[
            Evidence(
                "share of the scores' variance that is explained", f"{own.explained:.0%}", f"above {ROWS_AGREE:.0%}"
            )
        ],
        causes=[
            again,
            Cause("Other queries or keys, before a rotation or from another layer.", (AS_THEY_ENTER,)),
            Cause(
                "Shared keys repeated in another order: heads of a group stand next to each other.",
                (AS_THEY_ENTER,),
                (
                    Reading(
                        "heads that share keys", grouped, "none", high=0, shown=lambda some: "yes" if some else "no"
                    ),
                ),
                proves=False,
            ),
            Cause("A bias on the scores that was not passed as mask.", (AS_THEY_ENTER,)),
        ],
    )


def second_softmax(share: float) -> Cause:
    """The cause that weights went through a softmax twice, and how much of them that explains."""
    return Cause(
        "Softmax was applied twice (or the scores were scaled twice): weights went into a softmax where scores should.",
        ("Apply softmax once, to q k^T / sqrt(width); cross_entropy and scaled_dot_product_attention have their own.",),
        (
            Reading(
                "share that a softmax of the softmax explains",
                share,
                f"below {ROWS_AGREE:.0%}",
                high=ROWS_AGREE,
                shown=lambda value: f"{value:.0%}",
            ),
        ),
    )
