"""Maps seen through a lens: what is kept of them whatever the lens, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Tokens

__all__ = ["Lensed", "Masks", "beyond", "lensed", "reach", "standing"]


class Lensed(NamedTuple):
    """Maps seen through a lens.

    Attributes
    ----------
    maps : AttentionMaps
        What is seen; the very maps that came where the lens changes nothing.
    told : list of dict
        What the lens did: ``{"kind", "count"}`` each, the kinds "words", "special", "sinks", "tokens" and "only".
    """

    maps: AttentionMaps
    told: list[dict[str, Any]]


def lensed(
    maps: AttentionMaps, layers: Sequence[Layer], tokens: Tokens, key_tokens: Tokens, notes: Sequence[str]
) -> AttentionMaps:
    """Other layers on other tokens, of which all else is what it was."""
    alike = maps.key_tokens is maps.tokens
    return AttentionMaps(
        layers,
        _placed(tokens),
        None if alike else _placed(key_tokens),
        name=maps.name,
        layer_names=maps.layer_names,
        layer_numbers=maps.layer_numbers,
        head_numbers=maps.head_numbers,
        notes=[*maps.notes, *notes],
        following=maps.following,
    )


def standing(maps: AttentionMaps) -> int | None:
    """Position of the first query among the keys; None where queries are other tokens than keys."""
    if maps.key_tokens is maps.tokens:
        return 0
    mask = maps.layers[0].mask
    offset = mask.offset if mask.causal else maps.n_keys - maps.n_queries
    there = maps.key_tokens.labels[max(offset, 0) : offset + maps.n_queries]
    return offset if offset >= 0 and there == maps.tokens.labels else None


class Masks:
    """The masks of layers as they are after a lens; layers that share one go on sharing it.

    Parameters
    ----------
    moved : callable
        The mask after the lens, of one before it.
    """

    def __init__(self, moved: Callable[[Mask], Mask]) -> None:
        self._moved = moved
        self._known: dict[tuple[Any, ...], tuple[Mask, Mask]] = {}

    def __call__(self, mask: Mask) -> Mask:
        """The mask after the lens."""
        window = id(mask.window) if isinstance(mask.window, Tensor) else mask.window
        key = (mask.causal, mask.offset, window, id(mask.additive))
        if key not in self._known:
            self._known[key] = mask, self._moved(mask)  # while it is held, no other can have its id
        return self._known[key][1]


def reach(mask: Mask, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last key that causal queries from a first to a last see together: int [runs] each."""
    window = mask.window[first] if isinstance(mask.window, Tensor) else mask.window
    earliest = torch.zeros_like(first) if window is None else first + mask.offset + 1 - window
    return earliest, last + mask.offset


def beyond(table: Tensor, positions: Tensor) -> Tensor:
    """A table of new positions looked up; outside it they go on by one."""
    inside = positions.clamp(0, len(table) - 1)
    return table[inside] + positions - inside


def _placed(tokens: Tokens) -> Tokens:
    """Tokens that are all there need not say where they stood."""
    return replace(tokens, origins=None) if tokens.origins == tuple(range(len(tokens))) else tokens
