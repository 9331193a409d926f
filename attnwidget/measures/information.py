"""What the rows of a map say in nats: their entropy, and how far two of them are apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["over_largest", "plogp", "row_divergence", "row_entropy"]


def row_entropy(
    weights: Tensor, epsilon: float = 0.0, *, total: Tensor | None = None, top: Tensor | None = None
) -> Tensor:
    """Entropy of each row in nats.

    Parameters
    ----------
    weights : Tensor [..., keys]
        Weights; a row that does not sum to 1 is rescaled first.
    epsilon : float
        Added inside the logarithm, as some course texts do; rows are then taken as they are.
    total, top : Tensor [...] or None
        Sum and largest weight of each row, where somebody has them.

    Returns
    -------
    Tensor [...]
        NaN for a row without mass or with NaN.
    """
    total = weights.sum(-1) if total is None else total
    if epsilon:
        return (-(weights * (weights + epsilon).log()).sum(-1)).masked_fill(total == 0, math.nan)
    # H(w / s) = H(w) / s + log s, without a second tensor of rescaled rows.
    rescaled: Tensor = -plogp(weights).sum(-1) / total + total.log()
    # All mass on one key is certain, to the last digit.
    certain = (weights.amax(-1) if top is None else top) == total
    return rescaled.clamp(min=0).masked_fill(certain, 0).masked_fill(total == 0, math.nan)


def over_largest(entropy: Tensor, count: Tensor) -> Tensor:
    """Entropy over its largest value, the logarithm of the number of keys; NaN where that is 1."""
    # Rounding may put a uniform row a hair above 1.
    largest = count.log().masked_fill(count <= 1, 1)  # a division by 0 would spoil the gradient
    return (entropy / largest).clamp(max=1).masked_fill(count <= 1, math.nan)


def row_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of rows, in nats: [...]."""
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    return (row_entropy((p + q) / 2) - (row_entropy(p) + row_entropy(q)) / 2).clamp(min=0)


def plogp(weights: Tensor) -> Tensor:
    """Weights times their logarithm; the gradient at 0 is finite, so that it can pass through a softmax."""
    logs = weights.clamp(min=torch.finfo(weights.dtype).tiny)
    if not weights.requires_grad:
        return logs.log_().mul_(weights)  # entr and xlogy take ten times as long
    return torch.xlogy(weights, logs)
