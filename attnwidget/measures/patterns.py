"""Patterns of attention: the diagonal, its neighbours, the first token, and what repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from attnwidget.layers import ROW_SUM_TOLERANCE, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric
from attnwidget.measures.given import Excluded, Given, MaskLike
from attnwidget.measures.information import over_largest, row_entropy
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries, root
from attnwidget.tokens import Tokens

__all__ = ["PatternLabels", "head_scores", "pattern_labels", "pattern_report", "pattern_rows", "pattern_scores"]

THRESHOLDS = {"diagonal": 0.5, "previous": 0.5, "next": 0.5, "first": 0.5, "uniform": 0.9}


class PatternLabels(NamedTuple):
    """What `pattern_labels` found.

    Attributes
    ----------
    labels : nested list of tuple of str
        As the leading axes of the maps; ("mixed",) where no score is above its threshold, and empty where there are no
        scores: a head without rows that have values, or a head that a layer does not have.
    scores : dict of Tensor [...]
        What `pattern_scores` gave.
    thresholds : dict of float
        What was used.
    """

    labels: Any
    scores: dict[str, Tensor]
    thresholds: dict[str, float]


def pattern_scores(
    a: Given,
    *,
    sparsity: str = "hoyer",
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> dict[str, Tensor]:
    """How much a head looks at itself, its neighbours, the first token, everything, or few keys.

    Rows that see one key count nowhere: they are diagonal, first and uniform at once.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Self-attention.
    sparsity : {"hoyer", "share"}
        "hoyer" is ``(sqrt k - |p|_1 / |p|_2) / (sqrt k - 1)`` over the k keys a query may see; "share" is the share of
        them with a weight below 1 / (10 k).
    mask, causal, exclude_tokens
        As in `attnwidget.measures.entropy`.

    Returns
    -------
    dict of Tensor [...]
        Means over rows, in [0, 1]: "diagonal" A[i, i], "previous" A[i, i - 1], "next" A[i, i + 1] (NaN for causal
        maps), "first" the weight on the first token from those after it, "uniform" the normalised entropy, "sparse".
        Beside each, as "diagonal_baseline" and so on, what a head that looks everywhere alike would get.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When the map is no self-attention, or ``sparsity`` is not listed.

    References
    ----------
    Clark et al., BlackboxNLP 2019; Hoyer, JMLR 2004.
    """
    choice("sparsity", sparsity, ("hoyer", "share"))
    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    walk.require_positions("a pattern")
    measures = pattern_rows(walk.first_key, sparsity)
    return {name: mean_over_queries(value) for name, value in walk.gather(measures).items()}


def pattern_rows(first: Tensor, sparsity: str = "hoyer") -> dict[str, Measure]:
    """Measures of rows for every pattern and its baseline; ``first`` [..., 1] is the position of the first token."""

    def on(steps: int, *, of: str) -> Measure:
        return lambda rows: _at(rows, of, rows.query[:, 0] + steps)

    def to_first(of: str) -> Measure:
        def measure(rows: Rows) -> Tensor:
            value: Tensor = getattr(rows, of).expand_as(rows.weights).take_along_dim(_expanded(first, rows), -1)[..., 0]
            without = rows.weights[..., 0].isnan() | (rows.count <= 1) | (rows.query[:, 0] <= first)
            return value.masked_fill(without, math.nan)

        return measure

    def sparse(rows: Rows) -> Tensor:
        return (_hoyer if sparsity == "hoyer" else _share_of_small)(rows)

    measures: dict[str, Measure] = {}
    for name, steps in (("diagonal", 0), ("previous", -1), ("next", 1)):
        measures[name] = on(steps, of="weights")
        measures[f"{name}_baseline"] = on(steps, of="uniform")
    measures["first"], measures["first_baseline"] = to_first("weights"), to_first("uniform")
    measures["uniform"] = lambda rows: over_largest(rows.entropy, rows.count)
    measures["uniform_baseline"] = lambda rows: _constant(rows, 1.0)
    measures["sparse"], measures["sparse_baseline"] = sparse, lambda rows: _constant(rows, 0.0)
    return measures


def _expanded(first: Tensor, rows: Rows) -> Tensor:
    """The position once for each row: [..., rows, 1]; rows that stand before it have no use for it."""
    return first[..., None, :].clamp(max=rows.weights.shape[-1] - 1).expand(*rows.weights.shape[:-1], 1)


def _at(rows: Rows, of: str, key: Tensor) -> Tensor:
    """What each row gives to one key of its own [..., rows]; NaN where that key does not exist for it."""
    inside = (key >= 0) & (key < rows.weights.shape[-1])
    index = key.clamp(0, rows.weights.shape[-1] - 1)[:, None]

    def pick(values: Tensor) -> Tensor:
        return values.take_along_dim(index.expand(*values.shape[:-1], 1), -1)[..., 0]

    there = inside & pick(rows.visible) & (rows.count > 1) & ~rows.weights[..., 0].isnan()
    return pick(getattr(rows, of)).masked_fill(~there, math.nan)


def _constant(rows: Rows, value: float) -> Tensor:
    return torch.full_like(rows.total, value).masked_fill(rows.weights[..., 0].isnan() | (rows.count <= 1), math.nan)


def _hoyer(rows: Rows) -> Tensor:
    side = rows.count.sqrt()
    score = (side - rows.mass / rows.weights.square().sum(-1).sqrt()) / (side - 1).masked_fill(
        rows.count <= 1,
        1,  # a division by 0 would spoil the gradient
    )
    return score.clamp(0, 1).masked_fill(rows.count <= 1, math.nan)


def _share_of_small(rows: Rows) -> Tensor:
    small = rows.visible & (rows.weights < 1 / (10 * rows.count.clamp(min=1))[..., None])
    return (small.sum(-1) / rows.count).masked_fill(rows.weights[..., 0].isnan() | (rows.count <= 1), math.nan)


def pattern_labels(
    a: Given,
    thresholds: Mapping[str, float] | None = None,
    *,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> PatternLabels:
    """Names of the patterns that each head shows.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Self-attention.
    thresholds : mapping of str to float or None
        Scores of `pattern_scores` that a label must exceed; those not named keep their default: 0.5, and 0.9 for
        "uniform". "sparse" is a label only when it is named here.
    mask, causal, exclude_tokens
        As in `attnwidget.measures.entropy`.

    Returns
    -------
    PatternLabels
        Several labels are possible, and ("mixed",) where there is none; with the scores, their baselines, and the
        thresholds.

    Raises
    ------
    ValueError
        When a threshold names no pattern, or lies outside [0, 1].
    """
    limits = THRESHOLDS | dict(thresholds or {})
    for name, limit in limits.items():
        if name not in {*THRESHOLDS, "sparse"}:
            raise ValueError(f"thresholds names {name!r}; expected some of {', '.join(THRESHOLDS)}, sparse.")
        numeric(f"thresholds[{name!r}]", limit, 0, 1)
    scores = pattern_scores(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    hits = [scores[name] > limit for name, limit in limits.items()]
    known = ~torch.stack([scores[name].isnan() for name in limits]).all(0)
    above = torch.stack([*hits, known & ~torch.stack(hits).any(0)], -1)

    def named(hits: Any) -> Any:
        if isinstance(hits[0], list):
            return [named(inner) for inner in hits]
        return tuple(name for name, hit in zip([*limits, "mixed"], hits, strict=True) if hit)

    return PatternLabels(named(above.tolist()), scores, limits)


def pattern_report(
    a: Given, threshold: float = 0.3, *, correction: int = 0, mask: MaskLike = None, causal: bool = False
) -> dict[str, Tensor]:
    """The simpler report of course texts, over all rows and all cells; `pattern_scores` is the careful one.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., n, n]
        Self-attention.
    threshold : float
        What a score must exceed for its test to hold, and what a weight must exceed to count as large.
    correction : {0, 1}
        Taken from the number of cells in the standard deviation: numpy divides by n, torch by n - 1.
    mask, causal
        As in `attnwidget.measures.entropy`.

    Returns
    -------
    dict of Tensor [...]
        "diagonal", "first" (row 0 included) and "previous": mean weights there; "deviation": standard deviation of
        all weights; "sparsity": 1 - share of weights above the threshold; "entropy": mean of -sum A log(A + 1e-10);
        "max_entropy": log of the number of keys. And the tests, bool: "is_diagonal", "is_first", "is_previous",
        "is_sparse" above the threshold, "is_uniform" when the deviation is below 0.1.

    Raises
    ------
    ValueError
        When the maps are not square, the threshold is outside [0, 1], or the correction is neither 0 nor 1.
    """
    numeric("threshold", threshold, 0, 1)
    if correction not in {0, 1}:
        raise ValueError(f"correction={correction}; expected 0 (as numpy) or 1 (as torch).")
    walk = Walk(a, mask=mask, causal=causal)
    walk.require_square("the report of patterns")
    seen, first = walk.seen, walk.first_key
    found = walk.gather(
        {
            "entropy": lambda rows: row_entropy(rows.weights, 1e-10),
            "diagonal": lambda rows: _cell(rows, 0, seen),
            "previous": lambda rows: _cell(rows, -1, seen),
            "first": lambda rows: rows.weights.take_along_dim(_expanded(first, rows), -1)[..., 0],
        },
        {
            "sum": lambda rows: rows.weights.double().nansum((-2, -1)),
            "squares": lambda rows: rows.weights.double().square().nansum((-2, -1)),
            "large": lambda rows: (rows.weights > threshold).sum((-2, -1)).double(),
            "rows": lambda rows: (~rows.weights[..., 0].isnan()).sum(-1).double(),
        },
    )
    keys = seen.sum(-1).double()  # padding has no cells
    cells = found["rows"].double() * keys
    variance = (found["squares"].double() - found["sum"].double().square() / cells) / (cells - correction)
    report = {name: mean_over_queries(found[name]) for name in ("diagonal", "first", "previous", "entropy")}
    report["deviation"] = root(variance.clamp(min=0)).to(walk.dtype)
    report["sparsity"] = (1 - found["large"].double() / cells).to(walk.dtype)
    report["max_entropy"] = keys.log().to(walk.dtype).expand_as(report["entropy"])
    for test, score in (("diagonal",) * 2, ("first",) * 2, ("previous",) * 2, ("sparse", "sparsity")):
        report[f"is_{test}"] = report[score] > threshold
    return report | {"is_uniform": report["deviation"] < 0.1}


def _cell(rows: Rows, steps: int, seen: Tensor) -> Tensor:
    """Weight of each row at its own position plus some steps: [..., rows]; NaN where no token stands there."""
    key = rows.query[:, 0] + steps
    index = key.clamp(min=0)
    value = rows.weights.take_along_dim(index[:, None].expand(*rows.weights.shape[:-1], 1), -1)[..., 0]
    return value.masked_fill((key < 0) | ~seen[..., index], math.nan)


def head_scores(
    a: Given,
    tokens_or_ids: Tokens | Sequence[Any] | Tensor | None = None,
    *,
    style: str = "target",
    exclude_bos: bool = False,
    exclude_current: bool = False,
    mask: MaskLike = None,
) -> dict[str, Tensor]:
    """How much a head attends to the previous token, to earlier copies of the token, and to what followed them.

    The score is the mean, over the queries that have such a key, of the attention it gets: 1 for an ideal head,
    however many tokens repeat.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., n, n]
        Causal self-attention.
    tokens_or_ids : Tokens, sequence, Tensor or None
        What stands at each position; equal ids are copies. None takes the tokens of the maps.
    style : {"target", "transformerlens"}
        "transformerlens" gives the two scores of that library's head detector instead. Their size depends on how
        many tokens repeat.
    exclude_bos, exclude_current : bool
        Leave out column 0, and the diagonal, as that library does.
    mask : Tensor or ndarray of bool, broadcast to the weights, or None
        True where a query may attend, for bare arrays.

    Returns
    -------
    dict of Tensor [...]
        "previous", "duplicate" and "induction", each in [0, 1], NaN where no query has such a key. In the other
        style "previous_mul" ...: share of all mass that lies on such keys, NaN where no mass remains; and
        "previous_abs" ...: ``1 - n mean|A - P|``, P 1 at such keys, at most 1. For maps the axes are layers x heads.

    Raises
    ------
    ValueError
        When the maps are not square, when a query sees later keys, when the tokens do not fit, when the style is
        not listed or does not know what is to be excluded.

    References
    ----------
    Elhage et al. 2021; Olsson et al., In-context Learning and Induction Heads, Transformer Circuits Thread 2022.
    """
    choice("style", style, ("target", "transformerlens"))
    if style == "target" and (exclude_bos or exclude_current):
        raise ValueError("exclude_bos and exclude_current belong to style='transformerlens'.")
    if tokens_or_ids is None and isinstance(a, AttentionMaps):
        tokens_or_ids = a.tokens
    walk = Walk(a, mask=mask)
    walk.require_square("head scores")
    ids = token_numbers(tokens_or_ids, walk.n_queries).to(walk.device)
    _require_causal(a, walk)
    if style == "target":
        found = walk.gather(copy_rows(ids))
        return {name: mean_over_queries(value) for name, value in found.items()}
    return _detector_scores(walk, ids, exclude_bos=exclude_bos, exclude_current=exclude_current)


def copy_rows(ids: Tensor) -> dict[str, Measure]:
    """Attention that the keys of each copying pattern get [..., rows]; NaN where a row has no such key."""
    # Every pattern of a block is asked for in turn, and layers may share what their queries see.
    newest: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []

    def targets(rows: Rows) -> dict[str, Tensor]:
        if not newest or newest[0][0] is not rows.visible or newest[0][1] is not rows.query:
            newest[:] = [(rows.visible, rows.query, _targets(ids, rows))]
        return newest[0][2]

    def on(pattern: str) -> Measure:
        def measure(rows: Rows) -> Tensor:
            target = targets(rows)[pattern]
            return rows.sum_over(target).masked_fill(~target.any(-1), math.nan)

        return measure

    return {name: on(name) for name in ("previous", "duplicate", "induction")}


def _detector_scores(walk: Walk, ids: Tensor, *, exclude_bos: bool, exclude_current: bool) -> dict[str, Tensor]:
    def kept(rows: Rows) -> Tensor:
        weights = rows.weights.masked_fill(rows.weights.isnan(), 0)
        if exclude_bos:
            weights = weights.masked_fill(rows.key == 0, 0)
        return weights.masked_fill(rows.key == rows.query, 0) if exclude_current else weights

    def pattern(rows: Rows, name: str) -> Tensor:
        target = _targets(ids, rows)[name] & ~rows.weights[..., :1].isnan()
        if exclude_bos:
            target = target.masked_fill(rows.key == 0, 0)
        return target.masked_fill(rows.key == rows.query, 0) if exclude_current else target

    def shared(name: str) -> Measure:
        return lambda rows: (kept(rows) * pattern(rows, name)).sum((-2, -1))

    def apart(name: str) -> Measure:
        return lambda rows: (kept(rows) - pattern(rows, name).to(rows.weights)).abs().sum((-2, -1))

    sums: dict[str, Measure] = {
        "all": lambda rows: kept(rows).sum((-2, -1)),
        "rows": lambda rows: (~rows.weights[..., 0].isnan()).sum(-1),
    }
    for name in ("previous", "duplicate", "induction"):
        sums |= {f"{name}_mul": shared(name), f"{name}_abs": apart(name)}
    found = walk.gather({}, sums)
    mass, n = found.pop("all"), found.pop("rows")
    return {
        name: (value / mass).masked_fill(mass == 0, math.nan) if name.endswith("mul") else 1 - value / n
        for name, value in found.items()
    }


def _targets(ids: Tensor, rows: Rows) -> dict[str, Tensor]:
    """For each copying pattern the keys [..., rows, keys] that a query of that pattern attends to, of those it sees."""
    same = ids[..., rows.query[:, 0], None] == ids[..., None, rows.key]
    same_before = same & (rows.key < rows.query)
    # What followed a copy counts where the copy itself is no padding.
    after_copy = pad((same_before & rows.visible)[..., :-1], (1, 0))
    found = {"previous": rows.key == rows.query - 1, "duplicate": same_before, "induction": after_copy}
    return {name: target & rows.visible for name, target in found.items()}


def _require_causal(a: Given, walk: Walk) -> None:
    later = not walk.causal
    if not isinstance(a, AttentionMaps):
        later = not walk.causal and any(
            bool((_shown(walk, rows).triu(rows.start + 1) > ROW_SUM_TOLERANCE).any())
            for rows in blocks(walk.n_queries, walk.weights[..., 0, :].numel())
        )
    if later:
        raise ValueError(
            "these maps let queries see later keys; previous-token, duplicate-token and induction heads are defined "
            "for causal attention."
        )


def _shown(walk: Walk, rows: slice) -> Tensor:
    weights = walk.weights[..., rows, :]
    return weights if walk.mask is None else weights.masked_fill(~walk.mask[..., rows, :], 0)


def token_numbers(tokens: Tokens | Sequence[Any] | Tensor | None, expected: int) -> Tensor:
    """A number for each position [expected], equal where the same token stands; ValueError where they do not fit."""
    if tokens is None:
        raise ValueError("the tokens are not known; pass token ids or labels as tokens_or_ids.")
    values: Sequence[Any]
    if isinstance(tokens, Tokens):
        values = tokens.labels if tokens.ids is None else tokens.ids
    else:
        values = tokens.tolist() if isinstance(tokens, (Tensor, np.ndarray)) else list(tokens)
    if len(values) != expected:
        raise ValueError(f"tokens_or_ids has {len(values)} entries and the maps have {expected} positions.")
    numbers: dict[Any, int] = {}
    return torch.tensor([numbers.setdefault(value, len(numbers)) for value in values])
