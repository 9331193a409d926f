"""Measures of rows: how widely a query spreads its attention, how far it looks, and what it looks at most."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import torch
from torch import Tensor

from attnwidget.layers import ROW_SUM_TOLERANCE
from attnwidget.measures.arguments import choice, numeric, positions, whole
from attnwidget.measures.given import Excluded, Given, MaskLike
from attnwidget.measures.information import over_largest, row_entropy
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries, root

__all__ = [
    "SINK_SUMS",
    "entropy",
    "locality",
    "mass_received",
    "prefix_mass",
    "row_distance",
    "row_outside",
    "row_window",
    "sink_scores",
    "sinks",
    "times_passed",
    "times_seen",
    "top_targets",
]

LEAST_QUERIES = 5  # a causal column that fewer queries see is mostly its own diagonal


def row_distance(rows: Rows) -> Tensor:
    """Attention-weighted distance between query and key: [..., rows]."""
    return rows.sum_over((rows.query - rows.key).abs())


def row_window(rows: Rows, window: int) -> Tensor:
    """Mass on the keys at most ``window`` positions away: [..., rows]."""
    near = (rows.query - rows.key).abs() <= window
    return rows.sum_over(near)


def row_outside(rows: Rows) -> Tensor:
    """Mass outside the map, in [0, 1]; 0 where a row only lacks what rounding took: [..., rows]."""
    lacking = (1 - rows.total).clamp(min=0)
    lacking = lacking.masked_fill(lacking <= ROW_SUM_TOLERANCE, 0)
    return lacking.masked_fill(rows.weights[..., 0].isnan(), math.nan)


def mass_received(rows: Rows) -> Tensor:
    """What each key gets from these rows: [..., keys]."""
    return rows.weights.nansum(-2)  # a row without values is NaN throughout


def times_seen(rows: Rows) -> Tensor:
    """How many of these rows, of those that have values, see each key: [..., keys]."""
    return _counted(rows, rows.visible)


def times_passed(rows: Rows) -> Tensor:
    """How many of these rows, of those that have values, stand at each key or after it: [..., keys]."""
    return _counted(rows, rows.query >= rows.key)


def _counted(rows: Rows, there: Tensor) -> Tensor:
    without = rows.without
    if bool(without.any()):
        if without.ndim > 1 and bool((without == without[..., :1, :]).all()):
            without = without[..., :1, :]  # of all heads the same rows, as in padding
        there = there & ~without[..., None]
    return there.sum(-2).expand(*rows.weights.shape[:-2], rows.weights.shape[-1])


def sink_scores(mass: Tensor, seen: Tensor, passed: Tensor | None = None) -> Tensor:
    """Mean weight from the queries that see a key: [..., keys].

    NaN where nobody does; where it is the only key that anybody sees, which gets all there is; and, for causal maps,
    where fewer than 5 queries stand at the key or after it.
    """
    known = seen > 0
    known = known & (known.sum(-1, keepdim=True) > 1)
    if passed is not None:
        known = known & (passed >= LEAST_QUERIES)
    return (mass / seen.clamp(min=1)).masked_fill(~known, math.nan)


SINK_SUMS: dict[str, Measure] = {"mass": mass_received, "seen": times_seen, "passed": times_passed}


def entropy(
    a: Given,
    *,
    normalize: bool = False,
    unit: str = "nats",
    epsilon: float = 0.0,
    reduce: str | None = None,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Entropy of attention rows: how widely a query spreads its attention.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax.
    normalize : bool
        Divide by the logarithm of the number of keys the query may see. Rows that see one key are NaN.
    unit : {"nats", "bits"}
        Unit of the result; a normalised entropy has none.
    epsilon : float
        Added to the weight inside the logarithm. 1e-10 is what some course texts do; 0 is right.
    reduce : {None, "queries"}
        "queries" takes the mean over rows that are not NaN.
    mask : Tensor or ndarray of bool, broadcast to the weights, or None
        True where a query may attend, for bare arrays; maps know their own. A row without any True counts nowhere,
        which is how padding queries are left out.
    causal : bool
        For bare arrays: the last query sees all keys, each one before it one key less.
    exclude_tokens : "special", sequence of int, or None
        Tokens whose rows and columns are left out; the rest is rescaled.

    Returns
    -------
    Tensor [..., queries], or [...] when reduced
        Entropy in [0, log k], k the number of keys the query may see, or in [0, 1] when normalised. NaN for rows
        that see no key. For maps the leading axes are layers x heads, NaN where a layer has fewer heads.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When an argument has a value that is not listed.

    References
    ----------
    Clark et al., BlackboxNLP 2019.
    """
    choice("unit", unit, ("nats", "bits"))
    choice("reduce", reduce, (None, "queries"))
    numeric("epsilon", epsilon, 0, math.inf)

    def measure(rows: Rows) -> Tensor:
        value = row_entropy(rows.weights, epsilon) if epsilon else rows.entropy
        if normalize:
            return over_largest(value, rows.count)
        return value / math.log(2) if unit == "bits" else value

    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    value = walk.per_row(measure)
    return mean_over_queries(value) if reduce == "queries" else value


def locality(
    a: Given,
    *,
    measure: str = "score",
    window: int = 3,
    reduce: str | None = None,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """How near to themselves queries look.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Self-attention.
    measure : {"score", "distance", "window"}
        "distance" is the mean of ``sum_j A_ij |i - j|``, in tokens, in [0, n - 1]. "score" is 1 - distance / the
        distance of a head that looks everywhere alike: 1 all on itself, 0 as the uniform head, negative farther.
        "window" is the mass on keys at most ``window`` positions away, in [0, 1].
    window : int
        Positions on either side.
    reduce : {None, "heads"}
        "heads" takes the mean over the heads, which is the locality of their averaged map.
    mask, causal, exclude_tokens
        As in `entropy`.

    Returns
    -------
    Tensor [...], without the heads' axis when reduced
        Means over the queries that have values. A score is NaN where the uniform head has no distance either, as
        with one token.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or ``window`` no integer.
    ValueError
        When the map is no self-attention, ``window`` is negative, or an argument has a value that is not listed.

    References
    ----------
    Vig & Belinkov, BlackboxNLP 2019.
    """
    choice("measure", measure, ("score", "distance", "window"))
    choice("reduce", reduce, (None, "heads"))
    if whole("window", window) < 0:
        raise ValueError(f"window={window} is negative; expected 0 or more positions.")
    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    walk.require_positions("locality")
    if measure == "window":
        value = mean_over_queries(walk.per_row(lambda rows: row_window(rows, window)))
    else:
        found = walk.gather({"distance": row_distance, "uniform": uniform_distance})
        value = mean_over_queries(found["distance"])
        if measure == "score":
            value = locality_score(value, mean_over_queries(found["uniform"]))
    if reduce == "heads":
        if value.ndim == 0:
            raise ValueError("reduce='heads' needs an axis of heads; a is a single map.")
        value = mean_over_queries(value)
    return value


def uniform_distance(rows: Rows) -> Tensor:
    """Distance of a head that looks everywhere alike, for the rows that have values: [..., rows]."""
    distance = (rows.visible * (rows.query - rows.key).abs()).sum(-1) / rows.count.clamp(min=1)
    return distance.masked_fill(rows.weights[..., 0].isnan(), math.nan)


def locality_score(distance: Tensor, uniform: Tensor) -> Tensor:
    """1 where all attention stays, 0 for the uniform head: 1 - distance / uniform; NaN where the uniform is 0."""
    return (1 - distance / uniform).masked_fill(uniform == 0, math.nan)


def sinks(
    a: Given,
    epsilon: float = 0.3,
    *,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> dict[str, Tensor]:
    """Keys that hold attention whatever the query is.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax.
    epsilon : float
        A head has a sink at a key whose score is above this. The published 0.3 was fixed at 64 tokens; what a head
        gives the first token falls with length.
    mask, causal, exclude_tokens
        As in `entropy`.

    Returns
    -------
    dict of Tensor
        "score" [..., keys]: mean weight from the queries that can see the key, in [0, 1]. NaN where nobody sees it,
        where it is the only key, and for causal keys that fewer than 5 queries see: those are mostly their own
        diagonal.
        "rate" [keys]: share of all maps whose score there is above epsilon.
        "first" [...]: the score of the first token.
        "top" [...] and "top_score" [...]: the key with the largest score; -1 and NaN where none has a score.
        "outside" [...]: mean mass outside the map, where models with learned sinks keep theirs.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When epsilon is outside [0, 1].

    References
    ----------
    Xiao et al., ICLR 2024; Gu et al., ICLR 2025.
    """
    numeric("epsilon", epsilon, 0, 1)
    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    found = walk.gather({"outside": row_outside}, SINK_SUMS)
    score = sink_scores(found["mass"], found["seen"], found["passed"] if walk.causal else None)
    there = ~score.isnan()
    maps = there.any(-1)
    above = ((score > epsilon) & there).flatten(0, -2).sum(0) if score.ndim > 1 else (score > epsilon) & there
    known = there.flatten(0, -2).sum(0) if score.ndim > 1 else there.long()
    top_score, top = score.nan_to_num(-1).max(-1)
    return {
        "score": score,
        "rate": (above.to(score.dtype) / known.clamp(min=1)).masked_fill(known == 0, math.nan),
        "first": score.take_along_dim(walk.first_key.expand(*score.shape[:-1], 1), -1)[..., 0],
        "top": top.masked_fill(~maps, -1),
        "top_score": top_score.masked_fill(~maps, math.nan),
        "outside": mean_over_queries(found["outside"]),
    }


def prefix_mass(
    a: Given,
    prefix: int | Sequence[int],
    anchor: Sequence[int] | None = None,
    *,
    queries: str | int | Sequence[int] | None = None,
    correction: int = 0,
    mask: MaskLike = None,
    causal: bool = False,
) -> dict[str, Tensor]:
    """How much attention a soft-prompt prefix gets, beside an anchor and beside chance.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Self-attention; with cached prefix keys there are more keys than queries, and the last query is the last key.
    prefix : int or sequence of int
        Number of positions at the start, or the positions themselves.
    anchor : sequence of int or None
        Positions to compare with, the words of a task description for example.
    queries : None, "all", int or sequence of int
        Which rows: None those outside the prefix, -1 the last, where generation starts.
    correction : {0, 1}
        Taken from the number of heads in "prefix_std": numpy divides by n, torch by n - 1.
    mask, causal
        As in `entropy`.

    Returns
    -------
    dict of Tensor [...]
        Means over the chosen rows. "prefix": mass on it, in [0, 1]; "prefix_without_first": the same without position
        0, which often is a sink; "prefix_chance": what a uniform head would give it; "prefix_per_token": mass over its
        length; "prefix_mean" and "prefix_std" [..., without heads]: over the
        heads. With an anchor the same five names beginning with "anchor", and "ratio": prefix per token over
        anchor per token, NaN where the anchor gets nothing.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or positions are no integers.
    ValueError
        When positions are outside the map, given twice, or leave no row.

    References
    ----------
    Li & Liang, ACL 2021; Lester et al., EMNLP 2021.
    """
    if correction not in {0, 1}:
        raise ValueError(f"correction={correction}; expected 0 (as numpy) or 1 (as torch).")
    walk = Walk(a, mask=mask, causal=causal)
    if hasattr(prefix, "__index__") and not isinstance(prefix, bool):
        prefix = range(_length(operator.index(prefix), walk.n_keys))
    spans = {"prefix": _span("prefix", prefix, walk.n_keys)}
    if anchor is not None:
        spans["anchor"] = _span("anchor", anchor, walk.n_keys)
    rows = _chosen_rows(queries, spans["prefix"], walk)
    walk = Walk(a, mask=mask, causal=causal, rows=rows)
    measures = {}
    for name, span in spans.items():
        measures[name] = _on(span, "weights")
        measures[f"{name}_without_first"] = _on([key for key in span if key], "weights")
        measures[f"{name}_chance"] = _on(span, "uniform")
    found = {name: mean_over_queries(value) for name, value in walk.gather(measures).items()}
    for name, span in spans.items():
        found[f"{name}_per_token"] = found[name] / len(span)
        if found[name].ndim:
            found[f"{name}_mean"] = mean_over_queries(found[name])
            spread = mean_over_queries((found[name] - found[f"{name}_mean"][..., None]).square())
            heads = (~found[name].isnan()).sum(-1)
            found[f"{name}_std"] = root(spread * heads / (heads - correction))
    if anchor is not None:
        per_token = found["anchor_per_token"]
        found["ratio"] = (found["prefix_per_token"] / per_token).masked_fill(per_token == 0, math.nan)
    return found


def top_targets(
    a: Given, query: int, k: int = 5, threshold: float = 0.05, *, mask: MaskLike = None, causal: bool = False
) -> dict[str, Tensor]:
    """The keys that one query looks at most.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax.
    query : int
        The row; negative numbers count from the end.
    k : int
        How many keys at most.
    threshold : float
        Only keys with a larger weight.
    mask, causal
        As in `entropy`.

    Returns
    -------
    dict of Tensor [..., k]
        "key", the positions from the largest weight down, and "weight", in [0, 1]; -1 and NaN where fewer keys are
        above the threshold.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or ``query`` or ``k`` no integer.
    ValueError
        When there is no such query, ``k`` is no number of keys, or the threshold is outside [0, 1].
    """
    walk = Walk(a, mask=mask, causal=causal)
    wanted = positions(whole("query", query), walk.n_queries, "query", "row")
    if not 1 <= whole("k", k) <= walk.n_keys:
        raise ValueError(f"k={k}; expected 1 to {walk.n_keys}, the number of keys.")
    numeric("threshold", threshold, 0, 1)
    walk = Walk(a, mask=mask, causal=causal, rows=torch.tensor(wanted))
    weights = walk.gather({}, {"row": lambda rows: rows.weights[..., 0, :]})["row"]
    weight, key = weights.nan_to_num(-1).topk(k, -1)
    below = ~(weight > threshold)
    return {"key": key.masked_fill(below, -1), "weight": weight.masked_fill(below, math.nan)}


def _on(span: Sequence[int], what: str) -> Measure:
    """The mass that rows give to some keys."""

    def measure(rows: Rows) -> Tensor:
        value: Tensor = getattr(rows, what)[..., list(span)].sum(-1)
        # An empty span has no NaN to pass on.
        return value.expand_as(rows.total).masked_fill(rows.weights[..., 0].isnan(), math.nan)

    return measure


def _span(name: str, chosen: int | Sequence[int], size: int) -> list[int]:
    found = positions(chosen, size, name)
    if not found:
        raise ValueError(f"{name} names no position; expected some of 0 to {size - 1}.")
    if len(set(found)) < len(found):
        raise ValueError(f"{name} names a position twice.")
    return found


def _length(prefix: int, size: int) -> int:
    if not 1 <= prefix <= size:
        raise ValueError(f"prefix={prefix}; expected 1 to {size}, the number of keys, or positions.")
    return prefix


def _chosen_rows(queries: str | int | Sequence[int] | None, prefix: Sequence[int], walk: Walk) -> Tensor:
    if queries is None or isinstance(queries, str):
        choice("queries", queries, (None, "all"))
        # With cached keys in front, the last query stands at the last key.
        place = torch.arange(walk.n_queries) + walk.n_keys - walk.n_queries
        inside = torch.isin(place, torch.tensor(prefix)) & (queries is None)
        if bool(inside.all()):
            raise ValueError("prefix covers every query; pass queries='all' to measure inside it.")
        return (~inside).nonzero().flatten()
    return torch.tensor(_span("queries", queries, walk.n_queries))
