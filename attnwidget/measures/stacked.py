"""Stacked: the layers of a short text as one with all their heads, since there it is the calls that take the time."""

from __future__ import annotations

from dataclasses import replace

import torch

from attnwidget.layers import Layer, ProjectedLayer, cells_for
from attnwidget.maps import AttentionMaps

__all__ = ["stacked"]


def stacked(maps: AttentionMaps) -> AttentionMaps | None:
    """Maps of one layer, whose heads are those of all layers in turn; None where that would save nothing, or not do.

    Every measure of single heads is the same in both. One that compares the heads of a layer is not.

    Parameters
    ----------
    maps : AttentionMaps
        Layers of one size and one rule, held as queries and keys.
    """
    first = maps.layers[0]
    if maps.n_layers < 2 or not isinstance(first, ProjectedLayer):
        return None
    heads = sum(maps.heads)
    if heads * maps.n_queries * maps.n_keys > cells_for(first.q.device):
        return None  # it would be cut into blocks as the layers are
    alike = [layer for layer in maps.layers if isinstance(layer, ProjectedLayer) and _alike(layer, first)]
    if len(alike) < maps.n_layers:
        return None
    q, k = torch.cat([layer.q for layer in alike]), torch.cat([layer.k for layer in alike])
    one = replace(first, q=q, k=k, rotary=None, values=None)
    return AttentionMaps([one], maps.tokens, None if maps.key_tokens is maps.tokens else maps.key_tokens)


def _alike(one: Layer, other: ProjectedLayer) -> bool:
    """Whether two layers differ in their queries and keys alone."""
    if not isinstance(one, ProjectedLayer) or one.bias is not None or one.sinks is not None:
        return False
    sizes = one.q.shape == other.q.shape and one.k.shape == other.k.shape
    kinds = one.q.dtype == other.q.dtype and one.q.device == other.q.device
    masks = one.mask is other.mask or (one.mask.is_rule and other.mask.is_rule and one.mask == other.mask)
    one_for_all = one.mask.additive is None or one.mask.additive.shape[0] == 1
    return sizes and kinds and masks and one_for_all and (one.scaling, one.softcap) == (other.scaling, other.softcap)
