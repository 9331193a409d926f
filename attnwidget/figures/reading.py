"""Reading: what a figure shows of maps, head by head, in no more cells than a page has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attnwidget.layers import Layer, blocks, temper
from attnwidget.lenses.heads import MeanOfHeads
from attnwidget.maps import AttentionMaps
from attnwidget.measures.information import row_entropy
from attnwidget.pooling import Grid, pool

__all__ = ["Array", "Cells", "Head", "cells", "difference", "entropies", "heads_of", "mean_row", "row"]

Head: TypeAlias = int | str
Array: TypeAlias = np.ndarray[Any, Any]
WORK = 1 << 28  # cells of attention that one figure reads: some seconds


@dataclass(frozen=True)
class Cells:
    """One map as it is drawn.

    Parameters
    ----------
    weights : masked array [height, width]
        The largest weight of each cell; masked where no query of it sees any key of it, or has no values.
    stride : tuple of int
        Queries and keys of a cell.
    sampled : tuple of int or None
        Rows read of each cell, and rows it has; None where all were read.
    outside : array [height]
        Mean mass outside the map; NaN where rows hold NaN.
    signed : bool
        Whether these are differences of weights.
    """

    weights: np.ma.MaskedArray[Any, Any]
    stride: tuple[int, int]
    sampled: tuple[int, int] | None
    outside: Array
    signed: bool = False

    @property
    def largest(self) -> float:
        """Largest weight of rows that see more than one key, for one key says nothing; 1 where there is none."""
        seen = ~np.ma.getmaskarray(self.weights)
        for rows in (seen.sum(1) > 1, seen.any(1)):
            best = float(np.abs(self.weights.filled(0))[rows].max(initial=0))
            if best > 0:
                return best
        return 1.0


def heads_of(maps: AttentionMaps, layer: int, head: Head) -> tuple[Layer, slice]:
    """Where one head is, or the mean of a layer's; IndexError where it is not."""
    if head != "mean":
        return maps.locate(layer, int(head))
    whole, _ = maps.locate(layer, 0)
    mean: Layer = MeanOfHeads(whole)
    return mean, slice(0, 1)


def cells(maps: AttentionMaps, layer: int, head: Head, *, factor: float, most: int, share: int = 1) -> Cells:
    """Weights of one head in at most so many cells a side, read with its share of the work of a figure."""
    source, heads = heads_of(maps, layer, head)
    n_queries, n_keys = maps.n_queries, maps.n_keys
    # A map of one row may be as wide as the page has dots.
    stride = -(-n_queries // most), -(-n_keys // most)
    read = max(1, min(stride[0], stride[0] * WORK // share // (n_queries * n_keys)))
    grid = Grid((0, n_queries), (0, n_keys), stride, read)
    with torch.no_grad():
        pooled = pool(source, heads, grid, factor=factor, pooling="max")
        weights = pooled.log_weights.exp().numpy()
    masked = ~np.isfinite(pooled.log_weights.numpy())
    return Cells(
        np.ma.masked_array(weights, masked),
        stride,
        (read, stride[0]) if grid.sampled else None,
        pooled.missing.numpy(),
    )


def difference(first: Cells, second: Cells) -> Cells:
    """What the second gives more, cell by cell; a key that one of the two may not see gets nothing of it."""
    masked = np.ma.getmaskarray(first.weights) & np.ma.getmaskarray(second.weights)
    missing = np.isnan(first.outside) | np.isnan(second.outside)
    less = second.weights.filled(0) - first.weights.filled(0)
    weights = np.ma.masked_array(less, masked | missing[:, None])
    return Cells(weights, second.stride, second.sampled, np.where(missing, np.nan, 0.0), signed=True)


def row(maps: AttentionMaps, layer: int, head: Head, query: int, *, factor: float) -> tuple[Array, Array, float]:
    """One row: weights [keys], NaN where it has none; which keys are seen [keys]; the mass outside the map."""
    source, heads = heads_of(maps, layer, head)
    rows = slice(query, query + 1)
    with torch.no_grad():
        log_weights, outside = _tempered(source, heads, rows, factor)
        visible = source.visible(heads, rows)[0, 0]
        weights = log_weights[0, 0].exp()
        if not bool(weights.sum() > 0):
            weights = torch.full_like(weights, math.nan)
    return weights.cpu().numpy(), visible.cpu().numpy(), float(outside[0, 0].exp())


def mean_row(
    maps: AttentionMaps, layer: int, head: Head, queries: list[int], *, factor: float
) -> tuple[Array, Array, float]:
    """The mean of some rows, as `row` gives one: NaN where one has no values, and seen where one sees."""
    weights, visible, outside = zip(*(row(maps, layer, head, query, factor=factor) for query in queries), strict=True)
    return np.mean(weights, 0), np.any(visible, 0), float(np.mean(outside))


def entropies(
    maps: AttentionMaps, layer: int, head: Head | None, *, factor: float, share: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Entropy of rows in nats [heads, rows], the largest it can be [heads, rows], and which rows were read [rows].

    NaN where a row has no values. Of long maps an even spread of rows is read.
    """
    source, heads = heads_of(maps, layer, 0 if head is None else head)
    heads = slice(0, source.shape[0]) if head is None else heads
    n_heads, n = heads.stop - heads.start, maps.n_queries
    count = max(2, min(n, WORK // share // (n_heads * maps.n_keys)))
    chosen = torch.arange(n) if count >= n else torch.linspace(0, n - 1, count).round().long()
    values, ceilings = [], []
    with torch.no_grad():
        for part in blocks(len(chosen), n_heads * maps.n_keys):
            rows = chosen[part]
            value = row_entropy(_tempered(source, heads, rows, factor)[0].exp()).cpu()
            values.append(value)
            ceiling = source.visible(heads, rows).sum(-1).cpu().float().log().expand_as(value)
            ceilings.append(ceiling.masked_fill(value.isnan(), math.nan))
    return torch.cat(values, -1), torch.cat(ceilings, -1), chosen


def _tempered(source: Layer, heads: slice, rows: slice | Tensor, factor: float) -> tuple[Tensor, Tensor]:
    log_weights, outside = source.log_weights(heads, rows)
    return (log_weights, outside) if factor == 1 else temper(log_weights, outside, factor)
