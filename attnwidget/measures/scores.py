"""Health of the scores: how large they are, how far they spread, and how large a number the softmax divides by.

Only queries and keys say what the scores were: a softmax forgets a constant of each row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.given import Excluded
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries, root

__all__ = ["SCORE_ROWS", "UNKNOWN_SCORES", "holds_scores", "largest", "score_health"]

UNKNOWN_SCORES = (
    "Scores are known where queries and keys are held; these maps are weights, and a softmax forgets a constant of "
    "each row. Capture the model (attnwidget.capture), or pass q and k (AttentionMaps.from_queries_keys)."
)


def score_health(maps: AttentionMaps, *, exclude_tokens: Excluded = None) -> dict[str, Tensor]:
    """How large the scores are that a softmax is taken of, how far they spread, and their log-sum-exp.

    Scores as the softmax sees them: scaled, the bias added, capped; of the keys that a query may see.

    Parameters
    ----------
    maps : AttentionMaps
        Maps that hold queries and keys.
    exclude_tokens : "special", sequence of int, or None
        Tokens whose query rows and key columns are left out.

    Returns
    -------
    dict of Tensor [layers, heads]
        "score_max": the largest score. "score_std": population standard deviation of a row's scores, mean over the
        rows that see several keys. "lse": log of the sum of exp(score) over the keys, the logit of a learned sink
        included, mean over rows. In nats, computed in float32 at least. Rows that see no key or hold NaN count
        nowhere. NaN where a layer is held as weights, or has no such head.

    Raises
    ------
    TypeError
        When ``maps`` is no AttentionMaps.
    ValueError
        When no layer knows its scores.

    Examples
    --------
    >>> aw.measures.score_health(aw.capture(model, "A text.", tokenizer).maps)["score_max"].max()
    """
    if not isinstance(maps, AttentionMaps):
        raise TypeError(f"maps is {type(maps).__name__}; expected AttentionMaps. {UNKNOWN_SCORES}")
    if not holds_scores(maps):
        raise ValueError(UNKNOWN_SCORES)
    found = Walk(maps, exclude_tokens=exclude_tokens, trimmed=True, scored=True).gather(SCORE_ROWS)
    return {name: largest(value) if name == "score_max" else mean_over_queries(value) for name, value in found.items()}


def holds_scores(maps: AttentionMaps) -> bool:
    """Whether any layer knows its scores."""
    return any(isinstance(layer, ProjectedLayer) for layer in maps.layers)


def largest(values: Tensor) -> Tensor:
    """The largest of what is not NaN along the last axis: Tensor [...]; NaN where nothing is left."""
    found = values.nan_to_num(-math.inf, math.inf, -math.inf).amax(-1)
    return found.masked_fill(values.isnan().all(-1), math.nan)


def _row_max(rows: Rows) -> Tensor:
    return rows.top_score.masked_fill(rows.count == 0, math.nan)


def _row_std(rows: Rows) -> Tensor:
    if rows.scores is None:
        return rows.top_score
    # Seen from the largest, which is sqrt(keys - 1) deviations from the mean at most: no digit of large scores is lost.
    apart = rows.scores - rows.top_score[..., None]
    if not bool(rows.visible.all()):
        apart = apart.masked_fill(~rows.visible, 0)
    count = rows.count.clamp(min=1)
    variance = apart.square().sum(-1) / count - (apart.sum(-1) / count).square()
    return root(variance).masked_fill(rows.count <= 1, math.nan)


def _row_lse(rows: Rows) -> Tensor:
    if rows.scores is None or rows.sink is None:
        return rows.top_score
    if bool((rows.sink > -math.inf).any()):
        lse = torch.logaddexp(rows.scores.logsumexp(-1), rows.sink)
    else:  # a weight is exp(score - lse), and the largest of a row is above 0
        lse = rows.top_score - rows.top.log()
    return lse.masked_fill(rows.count == 0, math.nan)


SCORE_ROWS: dict[str, Measure] = {"score_max": _row_max, "score_std": _row_std, "lse": _row_lse}
