"""Rotary positions: by which angles a layer's queries and keys were turned, and what of their product is due to that.

Two dimensions that are turned together are a pair. With q and k as they are after the turning, at angles a and b, a
pair adds |q| |k| cos(phi) to q·k, phi being the angle between the two. Turned back, as if query and key stood side by
side, they would add |q| |k| cos(phi - (b - a)): that is the part of content. The rest, what the pair adds less what it
would add at distance 0, is the part of distance. What is not turned is content alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["Pairing", "Rotary"]

Pairing: TypeAlias = Literal["halves", "neighbours"]


@dataclass(frozen=True)
class Rotary:
    """The turning of a layer's queries and keys, the same in all heads.

    Parameters
    ----------
    pairing : {"halves", "neighbours"}
        Which dimensions turn together: i and i + pairs, or 2 i and 2 i + 1, counted from the first that is turned.
    start : int
        The first dimension that is turned; those outside are not.
    queries : Tensor [..., queries, pairs]
        Angles in radians, up to whole turns.
    keys : Tensor [..., keys, pairs]
        Likewise; NaN where a key's is not known.
    """

    pairing: Pairing
    start: int
    queries: Tensor
    keys: Tensor

    @property
    def pairs(self) -> int:
        """How many pairs are turned."""
        return self.queries.shape[-1]

    def of(self, queries: slice | Tensor, keys: slice | Tensor) -> Rotary:
        """The turning of some queries and keys, which stay turned as where they stood."""
        return replace(self, queries=self.queries[queries], keys=self.keys[keys])

    def dimensions(self) -> Tensor:
        """The two dimensions of each pair: Tensor of int [pairs, 2]."""
        both = torch.arange(2 * self.pairs) + self.start
        return both.view(2, -1).T if self.pairing == "halves" else both.view(-1, 2)

    def content(self, q: Tensor, k: Tensor, query: int, key: int) -> Tensor:
        """What each pair would add to q·k if query and key stood side by side: Tensor [pairs].

        Parameters
        ----------
        q, k : Tensor [width]
            As they are, turned.
        query, key : int
            Where they stand.
        """
        one, two = self.dimensions().to(q.device).T
        apart = (self.queries[query] - self.keys[key]).to(q)
        cos, sin = apart.cos(), apart.sin()
        return q[one] * (k[one] * cos - k[two] * sin) + q[two] * (k[one] * sin + k[two] * cos)
