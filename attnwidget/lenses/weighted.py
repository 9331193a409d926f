"""Weights times what they multiply: how much of a row comes from each key, by the size of its value, or its effect."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask
from attnwidget.values import values_of

__all__ = ["SizeOfSum", "TimesFactors", "WithItself", "products_of", "sizes_of"]

UNKNOWN = "values were not kept; capture with values=True"


class Unscored(ABC):
    """A layer whose rows are made of another's weights, and have no scores."""

    tempers = False

    def __init__(self, source: Layer) -> None:
        self._source = source

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys: those of the source."""
        return self._source.shape

    @property
    def key_value_heads(self) -> int:
        """Every head is its own."""
        return self.shape[0]

    @property
    def mask(self) -> Mask:
        """The rule of the source."""
        return self._source.mask

    @abstractmethod
    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """What rows hold [heads, rows, keys]."""

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of these, and nothing outside the map."""
        logs = self.weights(heads, rows).log()
        return logs, torch.full_like(logs[..., 0], -math.inf)

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Raise: what weights were multiplied with has no scores."""
        raise ValueError("scores are not known here: these are weights times what they multiply.")

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds."""
        return self._source.tensors()


class TimesFactors(Unscored):
    """The weights of another layer, each times a number of its key and one of its query.

    Parameters
    ----------
    source : Layer
        The layer.
    of_keys : Tensor [heads, keys]
        0 or more.
    of_queries : Tensor [queries] or None
        0 or more, so that no row sums to more than 1; None divides each row by its sum, so that it sums to 1.
    """

    def __init__(self, source: Layer, of_keys: Tensor, of_queries: Tensor | None = None) -> None:
        super().__init__(source)
        self._of_keys, self._of_queries = of_keys, of_queries

    @property
    def rescales(self) -> bool:
        """Whether rows are shares, and are rescaled where some keys are left out."""
        return self._of_queries is None

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms [heads, rows, keys], and of what rows lack; of shares nothing: what is no key has no value."""
        logs = self._source.log_weights(heads, rows)[0]
        logs = logs + self._of_keys[heads].to(logs).log()[:, None]
        if self._of_queries is not None:
            logs = logs + self._of_queries[rows].to(logs).log()[:, None]
            return logs, (1 - logs.exp().sum(-1)).clamp(min=0).log()
        total = logs.logsumexp(-1, keepdim=True)
        return logs - total.masked_fill(total == -math.inf, 0), torch.full_like(logs[..., 0], -math.inf)

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights times factors [heads, rows, keys]."""
        return self.log_weights(heads, rows)[0].exp()

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        return self._source.visible(heads, rows)


class SizeOfSum(Unscored):
    """The length of what all heads of a layer add together through each key, as a share of its row (one head).

    Parameters
    ----------
    source : Layer
        The layer.
    products : Tensor [heads, heads, keys]
        Scalar products of what its heads add through each key.
    """

    def __init__(self, source: Layer, products: Tensor) -> None:
        super().__init__(source)
        self._products = products.permute(2, 0, 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """One head, queries, keys."""
        return 1, *self._source.shape[1:]

    def sizes(self, rows: slice | Tensor) -> Tensor:
        """Lengths of sums [1, rows, keys]."""
        by_key = self._source.weights(slice(0, self._source.shape[0]), rows).permute(2, 1, 0)  # [keys, rows, heads]
        squares = ((by_key @ self._products.to(by_key)) * by_key).sum(-1)
        return squares.clamp(min=0).sqrt().T[None]

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Lengths of sums as shares of their row [1, rows, keys]."""
        sizes = self.sizes(rows)
        total = sizes.sum(-1, keepdim=True)
        return sizes / total.masked_fill(total == 0, 1)

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Which keys any head may see: bool [1, rows, keys]."""
        return self._source.visible(slice(0, self._source.shape[0]), rows).any(0, keepdim=True)


class WithItself(Unscored):
    """The heads of another layer, and one more in which each token sees itself alone: the residual stream.

    Parameters
    ----------
    source : Layer
        A layer of as many queries as keys.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads and one more, queries, keys."""
        heads, queries, keys = self._source.shape
        return heads + 1, queries, keys

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights of the heads, and ones where a token is its own key [heads, rows, keys]."""
        each = self._source.weights(slice(0, self._source.shape[0]), rows)
        return torch.cat([each, self._itself(rows).to(each)])[heads]

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [heads, rows, keys]."""
        each = self._source.visible(slice(0, self._source.shape[0]), rows)
        itself = self._itself(rows).to(each.device)
        return torch.cat([each.expand(self._source.shape[0], *itself.shape[1:]), itself])[heads]

    def _itself(self, rows: slice | Tensor) -> Tensor:
        keys = torch.arange(self.shape[2])
        return (keys[rows.cpu() if isinstance(rows, Tensor) else rows, None] == keys)[None]


def products_of(layers: Sequence[Layer]) -> list[Tensor]:
    """Products of what the heads of each layer add; ValueError with the reason where they are not known."""
    return _known(layers, "products")


def sizes_of(layers: Sequence[Layer]) -> list[Tensor]:
    """How large what each key of each layer adds is; ValueError with the reason where that is not known."""
    return _known(layers, "sizes")


def _known(layers: Sequence[Layer], what: str) -> list[Tensor]:
    found = []
    for layer in layers:
        values = values_of(layer)
        held = getattr(values, what, None)
        if held is None:
            raise ValueError(UNKNOWN if values is None else values.why)
        found.append(held)
    return found
