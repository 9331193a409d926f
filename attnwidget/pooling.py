"""Pooling: a rectangle of one map in few cells. Rows are read in blocks, and no row is held longer than its block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from attnwidget.layers import ROW_SUM_TOLERANCE, Layer, ProjectedLayer, blocks

__all__ = ["LOWEST", "Grid", "Pooled", "Pooling", "pool"]

Pooling = Literal["max", "mean"]
LOWEST = -104.0  # log-weights below it are below float32, and would spoil the steps of the others
BLOCK = 1 << 20  # 4 MB of scores: few enough for a cache, and enough to make the calls worth their while


@dataclass(frozen=True)
class Grid:
    """How a rectangle of queries and keys is divided into cells, and how many rows of each cell are read.

    Parameters
    ----------
    rows, columns : tuple of int
        Half-open ranges of queries and keys.
    stride : tuple of int
        Queries and keys of a cell; the last cells may have fewer.
    read : int
        Rows read of each cell: all, or an even spread of them.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    stride: tuple[int, int]
    read: int

    @property
    def shape(self) -> tuple[int, int]:
        """Cells down and across."""
        (top, bottom), (left, right) = self.rows, self.columns
        return -(-(bottom - top) // self.stride[0]), -(-(right - left) // self.stride[1])

    @property
    def n_rows(self) -> int:
        """Rows that are read."""
        return self.shape[0] * self.read if self.sampled else self.rows[1] - self.rows[0]

    @property
    def sampled(self) -> bool:
        """Whether some rows are left out."""
        return self.read < self.stride[0]

    def part(self, numbers: slice) -> tuple[slice | Tensor, Tensor]:
        """Positions of some of the rows that are read, and the cell of each: int [rows]."""
        number = torch.arange(numbers.start, numbers.stop)
        if not self.sampled:
            return slice(self.rows[0] + numbers.start, self.rows[0] + numbers.stop), number // self.stride[0]
        cell = number // self.read
        first = self.rows[0] + cell * self.stride[0]
        size = (self.rows[1] - first).clamp(max=self.stride[0])
        # In the middle of their shares of the cell, so that neither its first nor its last rows are preferred.
        return first + (2 * (number % self.read) + 1) * size // (2 * self.read), cell


@dataclass(frozen=True)
class Pooled:
    """What the cells of a grid hold."""

    log_weights: Tensor  # [height, width], -inf where no key is visible
    missing: Tensor  # [height], mean mass outside the map, below 0 for excess; NaN where no row has values
    entropy: Tensor  # [height], mean entropy in nats; NaN where no row has one


def pool(source: Layer, heads: slice, grid: Grid, *, factor: float, pooling: Pooling) -> Pooled:
    """Weights of one head, re-tempered and pooled.

    Parameters
    ----------
    source : Layer
        Where the head is.
    heads : slice
        The head, as a slice of one.
    grid : Grid
        What is read, and into which cells.
    factor : float
        scaling / temperature.
    pooling : {"max", "mean"}
        What a cell shows of its visible keys: the largest weight, or the mean weight.
    """
    height, width = grid.shape
    (left, right), across = grid.columns, grid.stride[1]
    largest = torch.full((height, width), -math.inf)
    sums, counts = torch.zeros(height, width), torch.zeros(height, width)
    missing, entropy = torch.empty(grid.n_rows), torch.empty(grid.n_rows)
    owner = torch.empty(grid.n_rows, dtype=torch.long)
    for numbers in blocks(grid.n_rows, source.shape[2], BLOCK):
        rows, cell = grid.part(numbers)
        owner[numbers] = cell
        here = slice(int(cell[0]), int(cell[-1]) + 1)
        scores, outside, keys = _logits(source, heads, rows, factor)
        peaks = _peaks(scores, keys, grid) if pooling == "max" else None
        block = _normalised(scores, outside, given=factor == 1 and not isinstance(source, ProjectedLayer))
        alive = block.total > 0  # neither masked throughout nor NaN
        missing[numbers], entropy[numbers] = block.missing.cpu(), block.entropy.cpu()
        if peaks is not None:
            visible = peaks > -math.inf
            if not isinstance(source, ProjectedLayer):
                # A key that may be seen and has a weight of 0 is not a masked key.
                visible |= _pool_sum(source.visible(heads, rows)[0, :, left:right].float(), across) > 0
            peaks = (peaks + block.shift[:, None]).float().clamp_(min=LOWEST)
            peaks = peaks.masked_fill_(~(visible & alive[:, None]), -math.inf).cpu()
            into = (cell - here.start)[:, None].expand(-1, width)
            largest[here] = largest[here].scatter_reduce(0, into, peaks, "amax")
        else:
            # Rows are added first, which is the faster way; NaN must not spread over the others.
            weights = block.exp if bool(alive.all()) else block.exp.masked_fill(~alive[:, None], 0)
            share = (block.top + block.shift).exp().float().masked_fill(~alive, 0)
            member = (cell == torch.arange(here.start, here.stop)[:, None]).to(share)
            mass = _placed((member * share) @ weights, keys, grid.columns, 0)
            sums[here] += _pool_sum(mass, across).cpu()
            visible = source.visible(heads, rows)[0, :, left:right] & alive[:, None]
            counts[here] += _pool_sum(member @ visible.to(member), across).cpu()
    if pooling == "mean":
        largest = torch.where(counts > 0, (sums / counts).log().clamp(min=LOWEST), -math.inf)
    return Pooled(largest, _mean_of_cells(missing, owner, height), _mean_of_cells(entropy, owner, height))


def _logits(source: Layer, heads: slice, rows: slice | Tensor, factor: float) -> tuple[Tensor, Tensor, slice]:
    """What the weights are the softmax of, what competes with the keys, and the keys that are there."""
    keys = slice(0, source.shape[2])
    if isinstance(source, ProjectedLayer):
        keys = source.mask.span(rows, source.shape[2])
        scores, outside = source.logits(heads, rows, keys)
    else:
        scores, outside = source.log_weights(heads, rows)  # nobody else's: made anew for every block
    scores, outside = scores[0], outside[0]
    if factor != 1:
        # A factor of 0 must make visible keys equal and leave hidden ones hidden: 0 * inf is no number.
        scores = (scores * factor).masked_fill_(scores == -math.inf, -math.inf)
        outside = (outside * factor).masked_fill_(outside == -math.inf, -math.inf)
    return scores, outside, keys


@dataclass(frozen=True)
class _Normalised:
    """The softmax of a block of rows: weight = exp * exp(top + shift) = exp(score + shift)."""

    exp: Tensor  # [rows, keys], relative to the largest of the row
    total: Tensor  # [rows], of exp
    top: Tensor  # [rows], the largest score
    shift: Tensor  # [rows], minus the log of the row's normaliser
    missing: Tensor  # [rows]
    entropy: Tensor  # [rows]


def _normalised(scores: Tensor, outside: Tensor, *, given: bool) -> _Normalised:
    """Softmax and entropy of rows [rows, keys], in the memory of their scores and one copy.

    Rows of given weights that have too much stay as they are, and miss less than nothing.
    """
    top = scores.amax(-1)
    top = top.masked_fill(top == -math.inf, 0)
    # What counts for nothing in float32 stays finite: times its weight of 0 it is 0, where -inf would be NaN.
    falls = scores.sub_(top[:, None]).float().clamp_(min=LOWEST)
    exp = falls.exp()
    total = exp.sum(-1)
    mass = top + total.log()
    everything = torch.logaddexp(mass, outside)
    everything = everything.masked_fill(everything == -math.inf, 0)
    missing = (outside - everything).exp()
    excess = everything > math.log1p(ROW_SUM_TOLERANCE)
    if given and bool(excess.any()):
        missing, everything = torch.where(excess, 1 - mass.exp(), missing), everything.masked_fill(excess, 0)
    missing = missing.masked_fill(total.isnan(), math.nan)
    entropy = (total.log() - falls.mul_(exp).sum(-1) / total).clamp(min=0)
    # All mass on one key is certain, to the last digit.
    return _Normalised(exp, total, top, -everything, missing, entropy.masked_fill(total == 1, 0))


def _peaks(scores: Tensor, keys: slice, grid: Grid) -> Tensor:
    """Largest score of each cell of keys: [rows, cells]; -inf where all are masked."""
    stride, (left, right) = grid.stride[1], grid.columns
    first = max(keys.start - left, 0) // stride * stride + left  # the first cell that the span reaches
    if stride == 1 or first < keys.start:
        placed = _placed(scores, keys, (first, right), -math.inf)
    else:
        placed = scores[:, first - keys.start : max(right - keys.start, 0)]
    if placed.shape[1] == 0:
        return scores.new_full((len(scores), grid.shape[1]), -math.inf)
    pooled = placed if stride == 1 else max_pool1d(placed, stride, ceil_mode=True)
    before = (first - left) // stride
    return pad(pooled, (before, grid.shape[1] - before - pooled.shape[1]), value=-math.inf)


def _placed(values: Tensor, keys: slice, columns: tuple[int, int], empty: float) -> Tensor:
    """Values of a span of keys as values of some columns; ``empty`` where the span has none."""
    left, right = columns
    inside = values[:, max(left - keys.start, 0) : max(right - keys.start, 0)]
    before = min(max(keys.start - left, 0), right - left)
    return pad(inside, (before, right - left - before - inside.shape[1]), value=empty)


def _pool_sum(values: Tensor, stride: int) -> Tensor:
    """Sum of each cell of keys; the last may cover fewer."""
    if stride == 1:
        return values
    padded = pad(values, (0, -values.shape[1] % stride))
    return padded.view(len(padded), -1, stride).sum(-1)


def _mean_of_cells(values: Tensor, owner: Tensor, height: int) -> Tensor:
    """Mean over the rows of each cell that have a value."""
    there = ~values.isnan()
    sums = torch.zeros(height).index_add_(0, owner, values.masked_fill(~there, 0))
    return sums / torch.zeros(height).index_add_(0, owner, there.float())
