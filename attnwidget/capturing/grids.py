"""Grids: where the cells of a picture stand in a sequence, followed from the convolution that made them.

A convolution leaves rows and columns; somebody flattens them, puts tokens in front, chooses some. Each of these is
heard, so that a sequence's places in the picture are what was computed, and not a number that fits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.lineage import Lineage, Node

__all__ = ["Laid", "laid_by", "laid_out", "lay"]

_FLATTENING = {"flatten", "reshape", "view"}
_CHOOSING = {"gather", "__getitem__"}
_MOVING = {
    "take_along_dim", "index_select", "roll", "flip", "sort", "take", "masked_select", "masked_scatter", "scatter",
    "unfold", "pixel_shuffle", "pixel_unshuffle", "interpolate", "avg_pool2d", "max_pool2d", "adaptive_avg_pool2d",
    "cumsum",
}  # fmt: skip
_NEAR = 32  # a norm and an activation at most stand between a convolution and what flattens it
_FAR = 1 << 14  # nodes looked at before a question counts as not answered
_WINDOWS = 6  # axes of a tensor that is turned in blocks


@dataclass(frozen=True)
class Laid:
    """Where the cells of a picture stand in a sequence.

    Parameters
    ----------
    rows, columns : int
        Size of the grid.
    start : int
        Position of the first of its cells.
    length : int
        Positions that are cells.
    cells : Tensor of int [batch, length] or None
        Number of each position's cell, row by row; None where they stand in their order.
    """

    rows: int
    columns: int
    start: int
    length: int
    cells: Tensor | None = None

    def places(self, example: int) -> list[int]:
        """Position of each cell, row by row, of one example; -1 where it was not chosen."""
        if self.cells is None:
            return list(range(self.start, self.start + self.length))
        places = [-1] * (self.rows * self.columns)
        for position, cell in enumerate(self.cells[min(example, len(self.cells) - 1)].tolist()):
            if places[cell] < 0:
                places[cell] = self.start + position
        return places


def laid_by(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: Tensor, lineage: Lineage
) -> tuple[str, Any] | None:
    """What a function of torch did to rows and columns; None where it left them as they were.

    "map" is what a convolution made of a picture, "grid" a map whose rows and columns became one axis, "part" a run of
    a sequence, "chosen" some of its positions, "moved" one whose positions nobody can follow.
    """
    if name == "conv2d":
        return ("map", tuple(output.shape[-2:])) if output.ndim == 4 else None
    if name in _FLATTENING:
        source = args[0] if args else None
        return _flattened(source, output, lineage) if isinstance(source, Tensor) else None
    if name in _CHOOSING:
        return _chosen(name, args, kwargs, output)
    moved = name in _MOVING or (name in {"permute", "transpose"} and output.ndim >= _WINDOWS)
    return ("moved", None) if moved else None


def _flattened(source: Tensor, output: Tensor, lineage: Lineage) -> tuple[str, Any] | None:
    """A grid, where the two axes that became one are those of a map."""
    if source.ndim != 4 or output.ndim != 3:
        return None
    batch, one, two, three = source.shape
    if tuple(output.shape) == (batch, one, two * three):
        size = two, three
    elif tuple(output.shape) == (batch, one * two, three):
        size = one, two
    else:
        return None
    for node in islice(Lineage.behind(lineage.of(source)), _NEAR):
        if node.laid is not None:
            return ("grid", size) if node.laid == ("map", size) else None
    return None


def _chosen(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: Tensor) -> tuple[str, Any] | None:
    """Which positions were taken, of a sequence [batch, positions, ...]."""
    if name == "__getitem__":
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        if not any(isinstance(one, (Tensor, list)) for one in index):
            return _part(args[0].shape, index)
        pair = len(index) == 2 and all(isinstance(one, Tensor) and one.ndim == 1 for one in index)
        if pair and output.is_floating_point():
            return "chosen", _by_example(*index)
    elif name == "gather" and output.ndim == 3:
        axis, index = kwargs.get("dim", args[1] if len(args) > 1 else None), kwargs.get("index", args[-1])
        if isinstance(index, Tensor) and axis in {1, -2}:
            return "chosen", index[..., 0].detach().cpu()
    return "moved", None


def _part(shape: Sequence[int], index: Sequence[Any]) -> tuple[str, Any] | None:
    """Which positions were cut out, where some were: the first, the one after the last, and how many there were."""
    if len(index) < 2 or len(shape) != 3 or not isinstance(index[1], slice) or index[0] is Ellipsis:
        return None
    first, stop, step = index[1].indices(shape[1])
    whole = stop - first == shape[1]
    return None if whole else ("moved", None) if step != 1 else ("part", (first, stop, shape[1]))


def _by_example(examples: Tensor, positions: Tensor) -> Tensor | None:
    """Positions taken of each example, [batch, n]; None where they are not as many in each, or not in order."""
    if examples.is_floating_point() or positions.is_floating_point() or examples.dtype == torch.bool:
        return None
    counts = examples.bincount()
    if not len(counts) or bool((counts != counts[0]).any()) or bool((examples.diff() < 0).any()):
        return None
    return positions.detach().view(len(counts), -1).cpu()


@dataclass(frozen=True)
class _Window:
    """Some positions of a sequence, and where they stand in the one that is asked about."""

    node: Node
    length: int  # of the whole sequence
    first: int
    n: int
    start: int
    cells: Tensor | None = None

    @property
    def whole(self) -> bool:
        return self.first == 0 and self.n == self.length

    @property
    def laid(self) -> Laid | None:
        """The cells that these positions are, where they are those of a grid."""
        kind, what = self.node.laid or ("", (0, 0))
        if kind != "grid":
            return None
        rows, columns = what
        if self.cells is None:
            return Laid(rows, columns, self.start, self.n) if self.whole and rows * columns == self.n else None
        return Laid(rows, columns, self.start, self.n, self.cells) if int(self.cells.max()) < rows * columns else None

    def behind(self) -> Iterator[_Window]:
        """The same positions in what the sequence was made of."""
        kind: str
        what: Any
        kind, what = self.node.laid or ("", None)
        if kind == "chosen" and self.cells is None and self.whole and what is not None and what.shape[1] == self.n:
            yield from self._in_parents(cells=what)
        elif kind == "part" and self.cells is None and what[1] - what[0] == self.length:
            yield from self._in_parents(length=what[2], first=self.first + what[0])
        elif not kind and self.node.kind != "cat":
            yield from self._in_parents()
        elif not kind and self.cells is None and self.node.what[0] == 1:
            yield from self._in_pieces(self.node.what[1])

    def _in_parents(self, **changed: Any) -> Iterator[_Window]:
        return (replace(self, node=parent, **changed) for parent in self.node.parents)

    def _in_pieces(self, pieces: Sequence[tuple[Node | None, int]]) -> Iterator[_Window]:
        """The same positions in the pieces that a sequence was joined of."""
        at = 0
        for piece, size in pieces if sum(size for _, size in pieces) == self.length else ():
            low, high = max(at, self.first), min(at + size, self.first + self.n)
            if piece is not None and low < high:
                yield _Window(piece, size, low - at, high - low, self.start + low - self.first)
            at += size


def laid_out(node: Node | None, length: int) -> Laid | None:
    """Where the cells of a picture stand in a sequence of so many positions; None where that cannot be followed."""
    todo = deque([] if node is None else [_Window(node, length, 0, length, 0)])
    seen: set[tuple[int, int]] = set()
    while todo and len(seen) < _FAR:
        one = todo.popleft()
        # What was made of parameters alone, as places that were learned, is added to a picture and comes of none.
        if (id(one.node), one.first) in seen or one.node.constant or one.node.kind == "embedding":
            continue
        seen.add((id(one.node), one.first))
        if (found := one.laid) is not None:
            return found
        todo += one.behind()
    return None


def lay(grids: dict[Any, Laid | None], key: Any, sides: Sequence[tuple[Node | None, int]]) -> None:
    """Note where patches stand among the queries and the keys of a call, once for each size."""
    for side, (node, n) in enumerate(sides):
        if (key, side, n) not in grids:
            grids[key, side, n] = laid_out(node, n)
