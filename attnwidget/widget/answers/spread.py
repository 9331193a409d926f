"""Spread: which rows of a long map are read by what looks at all heads of a layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attnwidget.layers import Layer, blocks
from attnwidget.maps import AttentionMaps

__all__ = ["PICTURED", "even_rows", "pictured_rows"]

LONG = 1024  # maps with more rows than that are read in part
FEWEST_ROWS = 32
PICTURED = 1 << 24  # cells that thumbnails and profiles read of all heads of a layer: a fifth of a second


def even_rows(maps: AttentionMaps, cells: int) -> Tensor | None:
    """Positions of an even spread of rows of a long map, about so many cells in all heads of a layer; None for all."""
    most = max(FEWEST_ROWS, cells // max(1, max(maps.heads) * maps.n_keys))
    if maps.n_queries <= max(LONG, most):
        return None
    return torch.linspace(0, maps.n_queries - 1, min(most, LONG)).round().long()


def pictured_rows(maps: AttentionMaps, source: Layer) -> Iterator[slice | Tensor]:
    """The rows that thumbnails and profiles read, in blocks."""
    rows = even_rows(maps, PICTURED)
    for part in blocks(maps.n_queries if rows is None else len(rows), source.shape[0] * maps.n_keys):
        yield part if rows is None else rows[part]
