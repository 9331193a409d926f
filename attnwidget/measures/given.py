"""What a measure is given: arrays of weights, masks, and tokens to leave out, checked and made into tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attnwidget.intake import as_tensor, instead_of_weights
from attnwidget.layers import blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import positions

__all__ = [
    "Excluded",
    "Given",
    "MaskLike",
    "as_mask",
    "as_weights",
    "check_weights",
    "excluded_keys",
    "hides_later_keys",
]

Given: TypeAlias = AttentionMaps | Tensor | np.ndarray[Any, Any]
MaskLike: TypeAlias = Tensor | np.ndarray[Any, Any] | None
Excluded: TypeAlias = str | Sequence[int] | None


def as_weights(a: Any, name: str = "a") -> Tensor:
    """A tensor [..., queries, keys] of float32 or float64; TypeError or ValueError where that cannot be."""
    if hasattr(a, "by_name"):
        raise TypeError(f"{name} is {type(a).__name__}, which may hold several maps; pass one of them: run.maps.")
    if not isinstance(a, (Tensor, np.ndarray)):
        raise TypeError(f"{name} is {type(a).__name__}; expected AttentionMaps, a torch tensor or a numpy array.")
    weights = as_tensor(a, name)
    if weights.ndim < 2 or 0 in weights.shape:
        raise ValueError(f"{name} has shape {tuple(weights.shape)}; expected [..., queries, keys] with none empty.")
    return weights if weights.dtype in {torch.float32, torch.float64} else weights.float()


def as_mask(mask: MaskLike, weights: Tensor) -> Tensor | None:
    """A mask [..., queries, keys] of bool for weights; TypeError or ValueError where it is none."""
    if mask is None:
        return None
    # torch takes no array that is read-only or runs backwards.
    given = torch.as_tensor(np.array(mask) if isinstance(mask, np.ndarray) else mask, device=weights.device)
    if given.dtype != torch.bool:
        raise TypeError(f"mask holds {given.dtype}; expected bool, True where a query may attend.")
    try:
        given.expand_as(weights)
    except RuntimeError as error:
        raise ValueError(
            f"mask has shape {tuple(given.shape)}, which does not fit weights of shape {tuple(weights.shape)}."
        ) from error
    # Only queries and keys are spread out: heads that share a mask go on sharing it.
    return given.expand(*given.shape[:-2], *weights.shape[-2:])


def check_weights(weights: Tensor, total: Tensor | None = None) -> None:
    """Refuse what softmax cannot have made; where rows have been summed, an infinite weight shows in their sums."""
    values = weights.detach()
    lowest = float(values.amin())
    highest = float((values if total is None else total.detach()).amax())
    if lowest >= 0 and highest < math.inf:
        return
    finite = values.nan_to_num(0, math.inf, -math.inf)  # NaN must not hide what else is there
    lowest, highest = float(finite.amin()), float(finite.amax())
    if lowest < 0 or highest == math.inf:
        raise ValueError(
            f"the map holds weights from {lowest:.3g} to {highest:.3g}; weights after softmax lie in [0, 1]. "
            + instead_of_weights(values, highest)
        )


def hides_later_keys(mask: Tensor) -> bool:
    """Whether a mask [..., queries, keys] shows no query a later key; the last query stands at the last key."""
    n_queries, n_keys = mask.shape[-2:]
    return 1 < n_queries <= n_keys and not any(
        bool(mask[..., rows, :].triu(rows.start + n_keys - n_queries + 1).any())
        for rows in blocks(n_queries, mask[..., 0, :].numel())
    )


def excluded_keys(chosen: Excluded, n_keys: int, maps: AttentionMaps | None, name: str) -> list[int]:
    """Positions of keys to leave out: given, or the special tokens of maps.

    Raises
    ------
    TypeError, ValueError
        When they are no positions, or "special" is asked of a bare array.
    """
    if chosen is None:
        return []
    if not isinstance(chosen, str):
        return positions(chosen, n_keys, name)
    if chosen != "special" or maps is None:
        raise ValueError(
            f"{name}={chosen!r} is not known here; expected positions, or 'special' for maps, whose tokens say which "
            "they are."
        )
    return [i for i, special in enumerate(maps.key_tokens.special) if special]
