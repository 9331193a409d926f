"""Weighed: a call held as its weights, where its queries and keys are not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call, cut, diagonal, seen
from attnwidget.capturing.probes import Probe, probed_rows
from attnwidget.layers import DenseLayer, Layer, Mask

__all__ = ["Weights"]


@dataclass(kw_only=True)
class Weights(Call):
    """A call held as its weights [batch, heads, queries, keys], where its queries and keys are not known.

    ``seeing`` says which keys a query may see, bool [batch or 1, 1 or heads, queries, keys]; None where all may.
    ``changed`` says that these weights are not what came out of their softmax.
    """

    weights: Tensor
    seeing: Tensor | None = None
    changed: bool = False

    @property
    def n_queries(self) -> int:
        """Rows."""
        return self.weights.shape[2]

    @property
    def n_keys(self) -> int:
        """Columns that are kept."""
        return self.weights.shape[3]

    @property
    def n_heads(self) -> int:
        """Heads that are kept."""
        return self.weights.shape[1]

    @property
    def batch(self) -> int:
        """Examples."""
        return self.weights.shape[0]

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        return self.weights.device

    def probed(self) -> Probe | None:
        """The first, the middle and the last row, as they ran."""
        n = self.n_queries
        if n == 0 or self.n_keys == 0:
            return None
        rows = probed_rows(n)
        return Probe(rows, self.weights[:, :, rows.to(self.device)].float().sum(-1).log())

    def of_rows(self, rows: Tensor) -> Self:
        """The call of some rows of the batch, in that order."""
        if torch.equal(rows, torch.arange(self.batch)):
            return self
        seeing = self.seeing
        if seeing is not None and seeing.shape[0] > 1:
            seeing = seeing[rows.to(seeing.device)]
        weights = self.weights[rows.to(self.weights.device)]
        value = None if self.value is None else self.value[rows.to(self.value.device)]
        return replace(self, weights=weights, seeing=seeing, value=value, probe=self._probe_of(rows))

    def first(self, n: int) -> Self:
        """The first n queries, with their keys."""
        less = 0 if self.place.crossing else self.n_queries - n
        kept = self.n_keys - less
        return replace(
            self,
            weights=self.weights[:, :, :n, :kept],
            seeing=None if self.seeing is None else self.seeing[:, :, :n, :kept],
            value=None if self.value is None else self.value[:, :, :kept],
            seen=self.seen - less,
            probe=self._probe_of(n=n),
        )

    def seen_by(self, example: int, rows: Tensor | None, shared: dict[Any, Tensor]) -> Tensor:
        """Which keys any of some queries of an example may see, in any head: bool [keys]."""
        if self.seeing is not None:
            return seen(self.seeing, example, rows, self.n_keys, shared)
        return torch.ones(self.n_keys, dtype=torch.bool, device=self.device)

    def sees_itself(self, example: int) -> Tensor | None:
        """Which queries may see the key of their own position: bool [queries]; None where all may."""
        return None if self.seeing is None else diagonal(self.seeing, example, self.front, self.n_keys)

    def layer_of(self, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        """One example as a layer of a map, with some of its queries and keys."""
        matrix = cut(self.weights[example], rows, columns)
        if matrix.shape == self.weights[example].shape and self.batch > 1:
            matrix = matrix.clone()  # does not keep the rest of the batch alive
        values = self.values_of(example, columns)
        if self.seeing is None:
            # Of weights that were changed, it is not known what their softmax saw.
            return DenseLayer(matrix, None if self.changed else Mask(), values=values)
        if ("rule", id(self.seeing)) not in shared:
            own = self.seeing[min(example, self.seeing.shape[0] - 1)]
            shared["rule", id(self.seeing)] = Mask.from_visible(cut(own, rows, columns))
        return DenseLayer(matrix, shared["rule", id(self.seeing)], values=values)
