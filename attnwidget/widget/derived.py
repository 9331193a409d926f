"""Derived maps: what becomes of all heads together, as maps like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from attnwidget.layers import DenseLayer, Layer, Mask
from attnwidget.maps import AttentionMaps
from attnwidget.measures.flow import rollout
from attnwidget.measures.maxflow import attention_flow

__all__ = ["ROLLOUT_TOKENS", "derived_by_name", "derived_maps"]

ROLLOUT_TOKENS = 1024  # above, one rollout a layer would not fit beside the maps
FLOW_TOKENS = 32  # above, the full matrix of flows takes longer than a person waits


class MeanOfHeads:
    """A layer of one head, the mean of another's; its rows are made when they are looked at.

    Parameters
    ----------
    source : Layer
        The layer with all heads.
    """

    key_value_heads = 1

    def __init__(self, source: Layer) -> None:
        self._source = source

    @property
    def mask(self) -> Mask:
        """The rule of the source, where it is one."""
        rule = self._source.mask
        return rule if rule.additive is None else Mask(causal=rule.hides_later_keys, offset=rule.offset)

    @property
    def shape(self) -> tuple[int, int, int]:
        """One head, queries, keys."""
        return 1, *self._source.shape[1:]

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Raise: a mean of weights has no scores."""
        raise ValueError("scores are not known here: this map is the mean of several heads. Look at one of them.")

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [1, rows, keys] and of the mean mass outside the map [1, rows]."""
        log_weights, outside = self._source.log_weights(self._all, rows)
        del heads
        return log_weights.exp().mean(0, keepdim=True).log(), outside.exp().mean(0, keepdim=True).log()

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Weights [1, rows, keys]."""
        return self._source.weights(self._all, rows).mean(0, keepdim=True)

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Which keys any head may see: bool [1, rows, keys]."""
        return self._source.visible(self._all, rows).any(0, keepdim=True)

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds."""
        return self._source.tensors()

    @property
    def _all(self) -> slice:
        return slice(0, self._source.shape[0])


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


def derived_maps(maps: AttentionMaps) -> dict[str, AttentionMaps]:
    """Maps that all heads of some maps make together.

    Parameters
    ----------
    maps : AttentionMaps
        The maps of single heads.

    Returns
    -------
    dict of str to AttentionMaps
        "mean of heads" of each layer; for self-attention "rollout" up to each layer, and for short texts "flow" from
        the last. Nothing is computed before it is looked at.
    """
    found = {}
    if max(maps.heads) > 1:
        found["mean of heads"] = _like(maps, [MeanOfHeads(layer) for layer in maps.layers], "mean of heads")
    n = maps.n_queries
    if n != maps.n_keys or n < 2:
        return found
    mask = Mask(causal=maps.causal)
    if n <= ROLLOUT_TOKENS:

        @cache
        def rolled() -> Tensor:
            with torch.no_grad():
                return rollout(maps, per_layer=True, progress=False)

        def up_to(layer: int) -> Callable[[], Tensor]:
            return lambda: rolled()[layer]

        layers = [Computed(n, mask, up_to(layer)) for layer in range(maps.n_layers)]
        found["rollout"] = _like(maps, layers, "rollout")
    if n <= FLOW_TOKENS and maps.n_layers > 1:

        @cache
        def flown() -> Tensor:
            return attention_flow(maps, queries="all", progress=False)

        found["flow"] = AttentionMaps(
            [Computed(n, mask, flown)],
            maps.tokens,
            name="flow",
            layer_numbers=maps.layer_numbers[-1:],
            following=maps.following,
        )
    return found


def derived_by_name(heads: dict[str, AttentionMaps]) -> dict[str, tuple[AttentionMaps, str, str]]:
    """Derived maps with the names they are chosen by, what they are, and what they were derived from."""
    found = {}
    for name, maps in heads.items():
        for kind, derived in derived_maps(maps).items():
            chosen = kind if len(heads) == 1 else f"{name}: {kind}"
            if chosen not in heads:
                found[chosen] = (derived, kind, name)
    return found


def _like(maps: AttentionMaps, layers: Sequence[Layer], name: str) -> AttentionMaps:
    keys = None if maps.key_tokens is maps.tokens else maps.key_tokens
    return AttentionMaps(
        layers,
        maps.tokens,
        keys,
        name=name,
        layer_names=maps.layer_names,
        layer_numbers=maps.layer_numbers,
        following=maps.following,
    )
