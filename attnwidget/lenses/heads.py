"""All heads of a layer as one: their mean, or the largest of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, blocks, lacking

__all__ = ["LargestOfHeads", "MeanOfHeads"]


class OneOfHeads(ABC):
    """A layer of one head, made of all heads of another; its rows are made when they are looked at.

    A head that sees no key in a row has no part in that row; a head with NaN makes the row NaN.

    Parameters
    ----------
    source : Layer
        The layer with all heads.
    """

    key_value_heads = 1
    kind: str

    def __init__(self, source: Layer) -> None:
        self._source = source

    @cached_property
    def mask(self) -> Mask:
        """The rule of the source; where it has one for each head, what any of them may see."""
        rule = self._source.mask
        if rule.additive is None or rule.additive.shape[0] == 1:
            return rule
        seen = (rule.additive > -math.inf).any(0, keepdim=True)
        return Mask(offset=rule.offset, additive=torch.zeros_like(rule.additive[:1]).masked_fill(~seen, -math.inf))

    @property
    def shape(self) -> tuple[int, int, int]:
        """One head, queries, keys."""
        return 1, *self._source.shape[1:]

    @property
    def tempers(self) -> bool:
        """Where a temperature can act on each of them, it acts on what they are together."""
        return self._source.tempers

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Raise: weights of several heads have no scores together."""
        raise ValueError(
            f"scores are not known here: this map is the {self.kind} of several heads. Look at one of them."
        )

    @abstractmethod
    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [1, rows, keys] and of the mass outside the map [1, rows]."""

    @abstractmethod
    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [1, rows, keys]."""

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Which keys any head may see: bool [1, rows, keys]."""
        return self._source.visible(slice(0, self._source.shape[0]), rows).any(0, keepdim=True)

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds."""
        return self._source.tensors()

    def _parts(self, rows: slice | Tensor) -> Iterator[slice]:
        """As many heads at a time as fit a cache."""
        n_heads, _, n_keys = self._source.shape
        n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        return blocks(n_heads, n_rows * n_keys)


class MeanOfHeads(OneOfHeads):
    """A layer of one head, the mean of another's."""

    kind = "mean"

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Log of the weights [1, rows, keys] and of the mean mass outside the map [1, rows]."""
        logs = (self._source.log_weights(part, rows) for part in self._parts(rows))
        weights, outside = _mean((weights.exp(), outside.exp()) for weights, outside in logs)
        return weights.log(), outside.log()

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Weights [1, rows, keys]."""
        parts = (self._source.weights(part, rows) for part in self._parts(rows))
        return _mean((weights, torch.zeros_like(weights[..., 0])) for weights in parts)[0]


class LargestOfHeads(OneOfHeads):
    """A layer of one head: for every query and key the largest weight that another's heads give. Rows may exceed 1."""

    kind = "largest"

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [1, rows, keys] and of the mass that the rows lack [1, rows]."""
        weights = self.weights(heads, rows)
        return weights.log(), lacking(weights).log()

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Weights [1, rows, keys]."""
        parts = (self._source.weights(part, rows).amax(0, keepdim=True) for part in self._parts(rows))
        largest = next(parts)
        for part in parts:
            largest = torch.maximum(largest, part)  # NaN wins
        return largest


def _mean(parts: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean of weights [heads, rows, keys] and of mass outside [heads, rows], over the heads that see something."""
    weights, outside, seeing = torch.tensor(0.0), torch.tensor(0.0), torch.tensor(0)
    for part, missing in parts:
        sees = part.sum(-1) != 0
        weights = weights.to(part) + part.sum(0, keepdim=True)
        outside = outside.to(missing) + missing.masked_fill(~sees, 0).sum(0, keepdim=True)
        seeing = seeing.to(sees.device) + sees.sum(0, keepdim=True)
    seeing = seeing.clamp(min=1)
    return weights / seeing[..., None], outside / seeing
