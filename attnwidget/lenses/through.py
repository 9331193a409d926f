"""Attention through the layers: rollout and flow, as layers that are computed when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from attnwidget.layers import DenseLayer, Mask
from attnwidget.maps import AttentionMaps
from attnwidget.measures.flow import rollout
from attnwidget.measures.maxflow import attention_flow

__all__ = ["FLOW_TOKENS", "ROLLOUT_TOKENS", "flowing", "rolling"]

ROLLOUT_TOKENS = 1024  # above, one rollout a layer would not fit beside the maps
FLOW_TOKENS = 32  # above, the full matrix of flows takes longer than a person waits


class Computed:
    """A layer of one head whose matrix is computed when somebody looks.

    Parameters
    ----------
    n : int
        Number of tokens.
    mask : Mask
        Which keys each query may see.
    compute : callable
        Gives the matrix [n, n].
    """

    key_value_heads = 1
    tempers = True

    def __init__(self, n: int, mask: Mask, compute: Callable[[], Tensor]) -> None:
        self.shape = (1, n, n)
        self.mask = mask
        self._compute = compute

    def _dense(self) -> DenseLayer:
        return DenseLayer(self._compute()[None], self.mask)

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Raise: there are none."""
        return self._dense().scores(heads, rows)

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the matrix [1, rows, keys] and of what its rows lack [1, rows]."""
        return self._dense().log_weights(heads, rows)

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """The matrix [1, rows, keys]."""
        return self._dense().weights(heads, rows)

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1, rows, keys]."""
        return self._dense().visible(heads, rows)

    def tensors(self) -> dict[str, Tensor]:
        """The matrix."""
        return self._dense().tensors()


def rolling(maps: AttentionMaps) -> list[Computed]:
    """Rollout up to each layer of self-attention; the first look computes all."""

    @cache
    def rolled() -> Tensor:
        with torch.no_grad():
            return rollout(maps, per_layer=True, progress=False)

    def up_to(layer: int) -> Callable[[], Tensor]:
        return lambda: rolled()[layer]

    mask = Mask(causal=maps.causal)
    return [Computed(maps.n_queries, mask, up_to(layer)) for layer in range(maps.n_layers)]


def flowing(maps: AttentionMaps) -> Computed:
    """Attention flow from the last layer of self-attention to the first."""

    @cache
    def flown() -> Tensor:
        return attention_flow(maps, queries="all", progress=False)

    return Computed(maps.n_queries, Mask(causal=maps.causal), flown)
