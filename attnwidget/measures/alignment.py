"""Cross-attention as an alignment of target and source: rows are target tokens, columns source tokens.

The transpose gives other numbers without a complaint: every row of an attention map sums to 1, so that a transposed
map has coverage 1 everywhere and no penalty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attnwidget.layers import blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric
from attnwidget.measures.given import Given, MaskLike, as_weights, excluded_keys
from attnwidget.measures.information import over_largest
from attnwidget.measures.rows import mass_received, times_seen
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries, settle

__all__ = [
    "alignment_entropy",
    "coverage",
    "coverage_penalty",
    "focus",
    "monotonicity",
    "without_sources",
]


def coverage(
    c: Given,
    *,
    measure: str = "share",
    threshold: float | None = None,
    exclude_source: str | Sequence[int] | None = None,
    mask: MaskLike = None,
) -> Tensor:
    """How much of the source the target tokens look at.

    Parameters
    ----------
    c : AttentionMaps, Tensor or ndarray [..., target, source]
        Cross-attention after softmax; rows are the target.
    measure : {"share", "max", "vector"}
        "share": the share of source tokens that get at least ``threshold`` times what each would get if all were
        looked at alike, T / S, in sum over the target. "max": the share of source tokens to which some target token
        gives more than ``threshold``. "vector": the sum over the target for every source token.
    threshold : float or None
        None is 0.5 for "share" and 0.1 for "max".
    exclude_source : "special", sequence of int, or None
        Source tokens that are left out, such as the end-of-sentence token that often takes what is not needed; the rest
        of each row is rescaled. "special" is for maps.
    mask : Tensor or ndarray of bool, broadcast to ``c``, or None
        True where a target token may look, for bare arrays. Rows without any True are padding of the target, columns
        without any True padding of the source: they count neither in T nor in S.

    Returns
    -------
    Tensor [...], or [..., source] for "vector"
        A share in [0, 1]; or sums in [0, T], which add up to T where rows sum to 1, NaN for source tokens that do
        not count. For maps the first axes are layers x heads. NaN where no target token has values. Only "vector" is
        differentiable.

    Raises
    ------
    TypeError
        When ``c`` is no floating-point array.
    ValueError
        When an argument has a value that is not listed.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and when rows of a bare array do not sum to 1.
    """
    choice("measure", measure, ("share", "max", "vector"))
    if threshold is None:
        threshold = 0.1 if measure == "max" else 0.5
    threshold = numeric("threshold", threshold, 0, math.inf)
    received, counted, n_targets, above = _columns(c, exclude_source, mask, above=threshold)
    if measure == "vector":
        return received.masked_fill(~counted, math.nan)
    n_sources = counted.sum(-1).to(received)
    fair = (n_targets / n_sources)[..., None]
    covered = above > 0 if measure == "max" else received >= threshold * fair
    return (covered & counted).sum(-1) / n_sources


def coverage_penalty(
    c: Given,
    style: str = "gnmt",
    *,
    exclude_source: str | Sequence[int] | None = None,
    mask: MaskLike = None,
) -> Tensor:
    """Penalty for source tokens that are looked at too little, or too much.

    With c_j the sum over the target for source token j (`coverage` with measure "vector"), over S source tokens:

    =========== ============================================ ====================================================
    style       formula                                      range
    =========== ============================================ ====================================================
    "gnmt"      -sum_j log min(c_j, 1)                       [0, inf], 0 when all get 1 or more, inf where one gets 0
    "deviation" mean_j log 1 / (1 + abs(1 - c_j) ** 6)       (-inf, 0], 0 when every one gets exactly 1
    "summary"   sum_j max(c_j, 1) - S                        [0, inf), 0 when none gets more than 1
    =========== ============================================ ====================================================

    The columns are the source: for the transpose of a map "gnmt", "deviation" and "summary" are all 0, for its columns
    sum to 1.

    Parameters
    ----------
    c, exclude_source, mask
        As for `coverage`.
    style : {"gnmt", "deviation", "summary"}
        Which penalty.

    Returns
    -------
    Tensor [...]
        For maps the axes are layers x heads. Source tokens that do not count have no part; NaN where no target token
        has values. Differentiable.

    Raises
    ------
    TypeError, ValueError
        As for `coverage`.

    References
    ----------
    "gnmt": Wu et al., arXiv:1609.08144, 2016. "deviation": Rikters & Fishel, MT Summit 2017. "summary": Gehrmann,
    Deng & Rush, EMNLP 2018.
    """
    choice("style", style, ("gnmt", "deviation", "summary"))
    received, counted, _, _ = _columns(c, exclude_source, mask)
    # 1 is no penalty in all three.
    received = received.masked_fill(~counted, 1)
    if style == "gnmt":
        penalty = (1 / received.clamp(max=1)).log().sum(-1)
    elif style == "deviation":
        penalty = -(1 + (1 - received).abs() ** 6).log().sum(-1) / counted.sum(-1)
    else:
        penalty = (received.clamp(min=1) - 1).sum(-1)
    return penalty.masked_fill(~counted.any(-1), math.nan)


def monotonicity(
    c: Given,
    *,
    measure: str = "tau",
    exclude_source: str | Sequence[int] | None = None,
    mask: MaskLike = None,
) -> Tensor:
    """Whether the target goes through the source in order.

    Parameters
    ----------
    c, exclude_source, mask
        As for `coverage`.
    measure : {"tau", "steps"}
        "tau": Kendall's tau-b between the target position and the expected source position, sum_j j c_tj. "steps": the
        share of steps from one target token to the next in which the most attended source token does not go back.

    Returns
    -------
    Tensor [...]
        Tau in [-1, 1], or a share in [0, 1]. NaN where the source position never changes, as for uniform rows or rows
        that all look at one token, and where fewer than two target tokens have values. For maps the axes are layers x
        heads. Not differentiable: both count signs.

    Raises
    ------
    TypeError, ValueError
        As for `coverage`.

    References
    ----------
    Kendall, The Treatment of Ties in Ranking Problems, Biometrika 1945.
    """
    choice("measure", measure, ("tau", "steps"))
    place = expected_position if measure == "tau" else _top_position
    (position,) = _gathered(c, exclude_source, mask, {"": place}).values()
    return tau(position.detach(), _n_keys(c)) if measure == "tau" else _steps_forward(position)


def focus(c: Given, *, exclude_source: str | Sequence[int] | None = None, mask: MaskLike = None) -> Tensor:
    """Focus rate: the largest weight of each target token, in the mean over target tokens.

    Parameters
    ----------
    c, exclude_source, mask
        As for `coverage`.

    Returns
    -------
    Tensor [...]
        Focus in [1 / S, 1]. For maps the axes are layers x heads. NaN where no target token has values. Differentiable.

    Raises
    ------
    TypeError, ValueError
        As for `coverage`.

    References
    ----------
    Ren et al., FastSpeech, NeurIPS 2019.
    """
    largest = _gathered(c, exclude_source, mask, {"": lambda rows: rows.weights.amax(-1)})
    return mean_over_queries(largest[""])


def alignment_entropy(
    c: Given,
    *,
    normalize: bool = True,
    exclude_source: str | Sequence[int] | None = None,
    mask: MaskLike = None,
) -> Tensor:
    """Entropy of the rows in the mean over target tokens: how undecided the alignment is.

    Parameters
    ----------
    c, exclude_source, mask
        As for `coverage`.
    normalize : bool
        Divide by the logarithm of the number of source tokens; otherwise the entropy is in nats.

    Returns
    -------
    Tensor [...]
        In [0, 1], or in [0, log S] nats. NaN where no target token has values, and for one source token when
        normalised. For maps the axes are layers x heads. Rows are rescaled first. Differentiable.

    Raises
    ------
    TypeError, ValueError
        As for `coverage`.
    """

    def measure(rows: Rows) -> Tensor:
        return over_largest(rows.entropy, rows.count) if normalize else rows.entropy

    return mean_over_queries(_gathered(c, exclude_source, mask, {"": measure})[""])


def _gathered(
    c: Given, exclude_source: str | Sequence[int] | None, mask: MaskLike, rows: Mapping[str, Measure],
    sums: Mapping[str, Measure] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Measures of the rows, without the excluded source tokens."""
    walk = Walk(c if isinstance(c, AttentionMaps) else as_weights(c, "c"), mask=mask)
    # Not the walk's own exclusion, which takes the query rows of a square map with it.
    excluded = excluded_keys(exclude_source, walk.n_keys, walk.maps, "exclude_source")

    def of_the_rest(measure: Measure) -> Measure:
        return lambda rows: measure(without_sources(rows, excluded))

    wrapped = [{name: of_the_rest(measure) for name, measure in group.items()} for group in (rows, sums or {})]
    return walk.gather(*wrapped)


def without_sources(rows: Rows, excluded: list[int]) -> Rows:
    """Rows without some source tokens, the rest rescaled."""
    if not excluded:
        return rows
    visible = rows.visible.clone()
    visible[..., excluded] = False
    weights, _ = settle(rows.weights, visible, rescale=True)
    return replace(rows, weights=weights.masked_fill(rows.weights.isnan(), math.nan), visible=visible)


def _columns(
    c: Given, exclude_source: str | Sequence[int] | None, mask: MaskLike, *, above: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each source token what it gets, whether it counts, and how often it gets more; and how many targets count."""
    sums: dict[str, Measure] = {
        "received": mass_received,
        "seen": times_seen,
        "targets": lambda rows: (~rows.weights[..., 0].isnan()).sum(-1),
        "above": lambda rows: (rows.weights > above).sum(-2),
    }
    found = _gathered(c, exclude_source, mask, {}, sums)
    return found["received"], found["seen"] > 0, found["targets"], found["above"]


def _n_keys(c: Given) -> int:
    return c.n_keys if isinstance(c, AttentionMaps) else c.shape[-1]


def expected_position(rows: Rows) -> Tensor:
    return (rows.weights * rows.key).sum(-1)


def _top_position(rows: Rows) -> Tensor:
    largest = rows.weights.argmax(-1).to(rows.weights)
    return largest.masked_fill(rows.weights[..., 0].isnan(), math.nan)


def tau(position: Tensor, n_keys: int) -> Tensor:
    """Kendall's tau-b between the order of the last axis and its values; NaN values have no part."""
    n_rows = position.shape[-1]
    # Rounding is no order: a sum over n_keys products of size n_keys is known to about this.
    tolerance = 4 * torch.finfo(position.dtype).eps * n_keys
    agree = torch.zeros(position.shape[:-1], dtype=torch.float64, device=position.device)
    untied, pairs = torch.zeros_like(agree), torch.zeros_like(agree)
    order = torch.arange(n_rows, device=position.device)
    for part in blocks(n_rows, position.numel()):
        difference = (position[..., part, None] - position[..., None, :]).masked_fill(
            order >= order[part, None], math.nan
        )
        agree += (difference > tolerance).sum((-1, -2)) - (difference < -tolerance).sum((-1, -2))
        untied += (difference.abs() > tolerance).sum((-1, -2))
        pairs += (~difference.isnan()).sum((-1, -2))
    tau = agree / (pairs * untied).sqrt()
    return tau.masked_fill(untied == 0, math.nan).to(position.dtype)


def _steps_forward(position: Tensor) -> Tensor:
    """Share of steps between neighbours that are not NaN in which the value does not fall; NaN where it is constant."""
    valid = ~position.isnan()
    order = torch.arange(position.shape[-1], device=position.device)
    last = torch.where(valid, order, -1).cummax(-1).values
    before = last[..., :-1]
    counted = valid[..., 1:] & (before >= 0)
    forward = counted & (position[..., 1:] >= position.gather(-1, before.clamp(min=0)))
    share = forward.sum(-1).to(position.dtype) / counted.sum(-1)
    highest = position.masked_fill(~valid, -math.inf).amax(-1)
    lowest = position.masked_fill(~valid, math.inf).amin(-1)
    return share.masked_fill(highest <= lowest, math.nan)
