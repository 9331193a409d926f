"""Valuing: how large what the values of a layer add is, once they are projected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call, Place
from attnwidget.capturing.projecting import Projection
from attnwidget.layers import DenseLayer, Layer, ProjectedLayer, blocks, cells_for
from attnwidget.values import Values

__all__ = ["valued"]


def valued(layer: Layer, call: Call, projections: Mapping[Place, Projection | str]) -> Layer:
    """A layer whose values know how large what they add is, or why that is not known."""
    if not isinstance(layer, DenseLayer | ProjectedLayer) or layer.values is None:
        return layer
    known = projections.get(call.place, "its heads do not stand by themselves before they are projected")
    if isinstance(known, str):
        values = replace(layer.values, why=known)
    else:
        values = _projected(layer.values.v, known, call.heads)
    if isinstance(layer, ProjectedLayer):
        return replace(layer, values=values)
    return DenseLayer(layer.matrix, layer.mask, tempers=layer.tempers, values=values)


def _projected(v: Tensor, projection: Projection, heads: tuple[int, ...] | None) -> Values:
    with torch.no_grad():
        slices = projection.slices(v)
        slices = slices if heads is None else slices[list(heads)]
        n_heads, n_keys = len(slices), v.shape[1]
        group = n_heads // len(v)
        sizes = slices.new_zeros(n_heads, n_keys)
        products = slices.new_zeros(n_heads, n_heads, n_keys)
        for keys in blocks(n_keys, n_heads * slices.shape[2], cells_for(slices.device)):
            added = v[:, keys].float().repeat_interleave(group, 0) @ slices  # [heads, some keys, out]
            by_key = added.transpose(0, 1)
            products[:, :, keys] = (by_key @ by_key.mT).permute(1, 2, 0)
            sizes[:, keys] = added.norm(dim=-1)
    return Values(v, sizes, products)
