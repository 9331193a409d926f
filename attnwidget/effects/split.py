"""Split: the direct effect of heads, key by key: a map with signs beside the map of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.capturing import Recording
from attnwidget.capturing.projecting import Projection
from attnwidget.effects.stream import Parts
from attnwidget.maps import AttentionMaps
from attnwidget.values import values_of

__all__ = ["SplitEffects", "attended_by"]


@dataclass(frozen=True)
class SplitEffects:
    """What heads add to the logit of one token at every position, split by the keys that it comes through.

    A cell is its weight times a number of the key, what its value adds, times a number of the query, the scale of the
    norms behind it, both kept by layer: no map is held but that of the weights.

    Parameters
    ----------
    maps : AttentionMaps
        The weights.
    of_keys : sequence of Tensor [heads, keys]
        What the value of a key adds to the logit at the position that was asked about.
    of_queries : sequence of Tensor [queries]
        The scale of the norms at each position over that at the position that was asked about.
    """

    maps: AttentionMaps
    of_keys: Sequence[Tensor]
    of_queries: Sequence[Tensor]

    @classmethod
    def of(cls, maps: AttentionMaps, layers: Sequence[Projection], parts: Parts, row: Tensor) -> SplitEffects:
        """Effects on a row of the unembedding [width], of heads that are projected by some layers."""
        of_keys, of_queries = [], []
        for number, (layer, one) in enumerate(zip(maps.layers, layers, strict=True)):
            values = values_of(layer)
            if values is None:
                raise TypeError("values are not known here.")
            v = values.v.detach()
            way = parts.ways[number]
            directions = parts.frozen(way.of(one.slices(v).double().cpu(), parts.at)) @ row  # [heads, width]
            group = one.heads // len(v)
            each = torch.einsum("hkw,hw->hk", v.double().cpu().repeat_interleave(group, 0), directions)
            scales = parts.norm.scales * way.scales(maps.n_queries)
            of_keys.append(each.float())
            of_queries.append((scales / scales[parts.at]).float())
        return cls(maps, of_keys, of_queries)

    def map(self, layer: int, head: int, rows: slice | None = None) -> Tensor:
        """Effects of one head through each key, at each position: float32 [queries, keys], in logits."""
        rows = slice(0, self.maps.n_queries) if rows is None else rows
        weights = self.maps.layers[layer].weights(slice(head, head + 1), rows)[0].detach().cpu().float()
        return weights * self.of_keys[layer][head] * self.of_queries[layer][rows, None]

    def largest(self, layer: int) -> float:
        """A bound of the effects of a layer's cells, in size."""
        return float(self.of_keys[layer].abs().max() * self.of_queries[layer].abs().max())


def attended_by(recorder: Recording, layers: Sequence[Projection], n: int) -> AttentionMaps | None:
    """The maps that these layers attended by; None where they do not hold all of n tokens, with their values."""
    names = [one.place.module for one in layers]
    for maps in recorder.capture().by_name.values():
        complete = maps.n_queries == n == maps.n_keys and None not in map(values_of, maps.layers)
        if list(maps.layer_names) == names and complete:
            return maps
    return None
