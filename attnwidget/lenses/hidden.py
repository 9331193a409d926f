"""Tokens left out, and the rest of each row rescaled.

Where queries and keys are held the softmax is taken of the keys that are left, so that scores and temperature remain.
Where weights are held they are divided by what is left of them. Both are the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, ProjectedLayer, temper
from attnwidget.lenses.lensed import Masks, beyond, lensed, reach, standing
from attnwidget.maps import AttentionMaps
from attnwidget.measures.pictured import patches_among

__all__ = ["HiddenLayer", "Kept", "keep"]


class Kept:
    """The queries and keys that stay, and layers with these alone.

    Parameters
    ----------
    queries, keys : sequence of int
        Positions that stay, rising.
    shape : tuple of int
        How many queries and keys there were.
    sinks : bool
        Whether learned sinks stay in the softmax.
    """

    def __init__(self, queries: Sequence[int], keys: Sequence[int], shape: tuple[int, int], *, sinks: bool) -> None:
        self.n_queries, self.n_keys, self.sinks = len(queries), len(keys), sinks
        self.queries, self.keys = _index(queries), _index(keys)
        there = torch.zeros(shape[1], dtype=torch.long)
        there[self.keys] = 1
        self._before = torch.cat([there.new_zeros(1), there.cumsum(0)])  # keys that stay before each position
        self._positions = torch.tensor(queries)
        self._taken: dict[int, tuple[Tensor, Tensor]] = {}
        self.mask = Masks(self._moved)

    def rows(self, rows: slice | Tensor) -> slice | Tensor:
        """Where rows that stay were."""
        if isinstance(self.queries, Tensor):
            return self.queries[rows if isinstance(rows, slice) else rows.to(self.queries.device)]
        first = self.queries.start
        return slice(first + rows.start, first + rows.stop) if isinstance(rows, slice) else rows + first

    def layer(self, source: Layer) -> Layer:
        """A layer with these queries and keys."""
        if not isinstance(source, ProjectedLayer):
            return HiddenLayer(source, self)
        return replace(
            source,
            q=source.q[:, self.queries],
            k=source.k[:, self.keys],
            mask=self.mask(source.mask),
            bias=None if source.bias is None else self._cells(source.bias),
            sinks=source.sinks if self.sinks else None,
            values=None if source.values is None else source.values.of(self.keys),
            rotary=source.rotary and source.rotary.of(self.queries, self.keys),
        )

    def _moved(self, mask: Mask) -> Mask:
        """The rule among what stays."""
        first = int(self._positions[0])
        offset = int(beyond(self._before, torch.tensor(first + mask.offset)))
        if mask.additive is not None:
            return Mask(offset=offset, additive=self._cells(mask.additive))
        if not mask.causal:
            return Mask(offset=offset if mask.offset else 0)
        earliest, last = reach(mask, self._positions, self._positions)
        return Mask.from_spans(beyond(self._before, earliest), beyond(self._before, last + 1) - 1, self.n_keys)

    def _cells(self, term: Tensor) -> Tensor:
        """What stays of something [heads, queries, keys]; layers and axes that share it go on sharing it."""
        if id(term) not in self._taken:
            heads, rows, columns = (slice(0, 1) if stride == 0 else slice(None) for stride in term.stride())
            held = term[heads, rows, columns]
            if held.shape[1] > 1:
                held = held[:, self.queries]
            if held.shape[2] > 1:
                held = held[..., self.keys]
            self._taken[id(term)] = term, held.expand(len(term), self.n_queries, self.n_keys)
        return self._taken[id(term)][1]


class HiddenLayer:
    """A layer without some of another's queries and keys; its rows are made when they are looked at.

    Each row is divided by its sum and the mass outside the map, which stays where it is: in learned sinks, or missing
    as it was. A row that has nothing left is zero.

    Parameters
    ----------
    source : Layer
        The layer with all of them.
    kept : Kept
        Which stay.
    """

    def __init__(self, source: Layer, kept: Kept) -> None:
        self._source, self._kept = source, kept

    @cached_property
    def mask(self) -> Mask:
        """The rule of the source, among what stays."""
        return self._kept.mask(self._source.mask)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries and keys that stay."""
        return self._source.shape[0], self._kept.n_queries, self._kept.n_keys

    @property
    def key_value_heads(self) -> int:
        """Those of the source."""
        return self._source.key_value_heads

    @property
    def tempers(self) -> bool:
        """Where the source does: a softmax over fewer keys is one."""
        return self._source.tempers

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Those of the source, or its refusal: [heads, rows, keys]."""
        return self._source.scores(heads, self._kept.rows(rows))[..., self._kept.keys]

    @property
    def rescales(self) -> bool:
        """Whether rows are shares; what is no share stays what it is."""
        return bool(getattr(self._source, "rescales", True))

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass outside the map [heads, rows]."""
        log_weights, outside = self._source.log_weights(heads, self._kept.rows(rows))
        if not self.rescales:
            log_weights = log_weights[..., self._kept.keys]
            return log_weights, (1 - log_weights.exp().sum(-1)).clamp(min=0).log()
        if not self._kept.sinks:
            outside = torch.full_like(outside, -math.inf)
        return temper(log_weights[..., self._kept.keys], outside)

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys]."""
        rows = self._kept.rows(rows)
        whole = self._source.weights(heads, rows)
        weights = whole[..., self._kept.keys]
        if not self.rescales:
            return weights
        total = weights.sum(-1)
        # A second look only where there is something: and not a logarithm, whose gradient at a weight of 0 is none.
        if self._kept.sinks and bool((whole.sum(-1) < 1 - 1e-6).any()):
            total = total + self._source.log_weights(heads, rows)[1].exp()
        return weights / total.masked_fill(total == 0, 1)[..., None]

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        return self._source.visible(heads, self._kept.rows(rows))[..., self._kept.keys]

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds, without learned sinks where these are left out."""
        held = self._source.tensors()
        return {name: tensor for name, tensor in held.items() if name != "sinks" or self._kept.sinks}


def keep(
    maps: AttentionMaps, positions: Sequence[Sequence[int]], notes: Sequence[str], *, sinks: bool = True
) -> AttentionMaps:
    """Maps with some of their queries and keys alone, the rest of each row rescaled.

    Parameters
    ----------
    maps : AttentionMaps
        All of them.
    positions : two sequences of int
        Queries and keys that stay, rising.
    notes : sequence of str
        What is said of it.
    sinks : bool
        Whether learned sinks stay in the softmax.

    Raises
    ------
    ValueError
        When nothing stays.
    """
    queries, keys = positions
    for what, left in (("query", queries), ("key", keys)):
        if not left:
            alike = standing(maps) is not None
            raise ValueError(
                f"no {'token' if alike else what} of the maps {maps.name!r} is left to look at; leave "
                f"out fewer of the {maps.n_queries if what == 'query' else maps.n_keys} that there are."
            )
    kept = Kept(queries, keys, (maps.n_queries, maps.n_keys), sinks=sinks)
    tokens, key_tokens = maps.tokens.with_origins()[queries], maps.key_tokens.with_origins()[keys]
    lost = [
        f"{gone:,} of the {int(patches_among(before).sum()):,} patches of pictures are left out{where}."
        for before, after, where in (
            (maps.tokens, tokens, ""),
            (maps.key_tokens, key_tokens, ", on the keys' side too" if maps.tokens.images else ""),
        )[: 1 if maps.key_tokens is maps.tokens else 2]
        if (gone := int(patches_among(before).sum() - patches_among(after).sum()))
    ]
    return lensed(maps, [kept.layer(layer) for layer in maps.layers], tokens, key_tokens, [*notes, *lost])


def _index(positions: Sequence[int]) -> slice | Tensor:
    """Positions as an index: as a slice, which copies nothing, where they follow one another."""
    first, last = positions[0], positions[-1]
    return slice(first, last + 1) if last - first + 1 == len(positions) else torch.tensor(positions)
