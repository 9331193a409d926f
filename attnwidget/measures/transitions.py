"""Layers of self-attention made into one matrix each: heads fused, small weights dropped, the residual path added.

Row i of a layer's matrix says where the content of token i came from in the layer below. Everything here is float64:
products over layers lose digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric
from attnwidget.measures.walk import Excluded, Given, MaskLike, Rows, Walk, as_weights, check_weights

__all__ = ["GivenLayers", "Known", "Layers", "Recipe", "Step", "fuse", "through", "transitions"]

GivenLayers: TypeAlias = Given | Sequence[Tensor | np.ndarray[Any, Any]]

_NEUTRAL = {"mean": 0.0, "max": -math.inf, "min": math.inf}  # what a head without values adds to the others


class Layers(Walk):
    """A walk layer by layer, in either direction.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, ..., heads, queries, keys], or sequence of them [..., heads, queries,
        keys], one a layer
        Weights after softmax.
    mask, causal, exclude_tokens
        As for `Walk`.

    Raises
    ------
    TypeError, ValueError
        As for `Walk`; and when a bare array has no axis of layers, or when layers differ in shape.
    """

    def __init__(
        self,
        a: GivenLayers,
        *,
        mask: MaskLike = None,
        causal: bool = False,
        exclude_tokens: Excluded = None,
    ) -> None:
        options: dict[str, Any] = {"causal": causal, "exclude_tokens": exclude_tokens}
        if isinstance(a, (list, tuple)):
            arrays = _checked([as_weights(array, f"a[{number}]") for number, array in enumerate(a)])
            super().__init__(arrays[0], mask=mask, **options)
            self.leading = (len(arrays), *self.leading)
            self._arrays, self._masks = arrays, [self.mask] * len(arrays)
        elif isinstance(a, AttentionMaps):
            super().__init__(a, mask=mask, **options)
        else:
            whole = as_weights(a)
            if whole.ndim < 4:
                raise ValueError(
                    f"a has shape {tuple(whole.shape)}; expected [layers, heads, queries, keys] or [layers, batch, "
                    "heads, queries, keys]. For one layer write a[None], for layers of one head a[:, None]."
                )
            super().__init__(whole, mask=mask, **options)
            self._arrays, self._masks = list(whole), [self.mask] * len(whole)
            if self.mask is not None and self.mask.ndim == whole.ndim:
                self._masks = list(self.mask.expand(len(whole), *self.mask.shape[1:]))
        self.n_layers = len(self._arrays) if self.maps is None else self.maps.n_layers
        self.batch: tuple[int, ...] = tuple(self._arrays[0].shape[:-3]) if self.maps is None else ()
        self.order: Sequence[int] = range(self.n_layers)
        # Apple's GPUs have no float64.
        self.exact = torch.float32 if self.device.type == "mps" else torch.float64

    @classmethod
    def square(cls, a: GivenLayers, what: str, **options: Any) -> Self:
        """Layers whose queries and keys are the same tokens; ValueError where they are not."""
        layers = cls(a, **options)
        layers.require_square(what)
        return layers

    def start_at(self, start_layer: int) -> None:
        """Leave out the layers before this one."""
        if not 0 <= start_layer < self.n_layers:
            raise ValueError(f"start_layer={start_layer}; there are layers 0 to {self.n_layers - 1}.")
        self.order = range(start_layer, self.n_layers)

    def identity(self, rows: Sequence[int] | None = None) -> Tensor:
        """Rows of the identity, or all of it, for every example: [..., rows, keys]."""
        position = torch.arange(self.n_keys, device=self.device)
        wanted = position if rows is None else torch.tensor(list(rows), device=self.device)
        eye = (wanted[:, None] == position).to(self.exact)
        return eye.expand(*self.batch, *eye.shape)

    def heads(self, layer: int, rows: slice | None = None) -> tuple[Tensor, Tensor]:
        """Weights [..., heads, rows, keys] of one layer, as they came, and which keys the queries may see."""
        rows = slice(0, self.n_queries) if rows is None else rows
        if self.maps is not None:
            held = self.maps.layers[layer]
            every = slice(0, held.shape[0])
            return held.weights(every, rows).to(self.device), held.visible(every, rows).to(self.device)
        raw, mask = self._arrays[layer][..., rows, :], self._masks[layer]
        check_weights(raw)
        visible = torch.ones(raw.shape[-2:], dtype=torch.bool, device=self.device)
        if self.causal:
            visible = torch.arange(self.n_keys, device=self.device) <= self._query(rows, self.n_keys - self.n_queries)
        return raw, visible if mask is None else visible & mask[..., rows, :]

    def _settled_blocks(self) -> Iterator[Rows]:
        for layer in self.order:
            n_heads = math.prod(self._arrays[layer].shape[:-2]) if self.maps is None else self.maps.heads[layer]
            for rows in self._blocks(n_heads):
                raw, visible = self.heads(layer, rows if isinstance(rows, slice) else None)
                exact = raw.to(self.exact)
                yield self._settled(layer, rows, self._query(rows, 0), exact, visible, owned=exact is not raw)


@dataclass(frozen=True)
class Recipe:
    """How heads become one matrix; the parameters are those of `rollout`."""

    fusion: str = "mean"
    residual: float = 0.5
    discard: float = 0.0
    discard_scope: str = "matrix"
    discard_after_residual: bool = False
    keep: tuple[int, ...] = ()
    uniform: bool = False  # every head as if it looked everywhere alike
    normalize: bool = True

    def __post_init__(self) -> None:
        choice("fusion", self.fusion, tuple(_NEUTRAL))
        choice("discard_scope", self.discard_scope, ("matrix", "row"))
        for name in ("residual", "discard"):
            if not numeric(name, getattr(self, name), 0, 1) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; expected a share from 0 to below 1.")


@dataclass(frozen=True)
class Step:
    """A block of rows of one layer's matrix.

    Parameters
    ----------
    layer : int
        The layer.
    rows : slice
        Which rows these are.
    matrix : Tensor [..., rows, keys]
        The rows; NaN throughout where a head's row held NaN, or where nothing is left of it.
    absent : Tensor of bool [..., rows]
        Rows in which no head sees a key.
    """

    layer: int
    rows: slice
    matrix: Tensor
    absent: Tensor


@dataclass(frozen=True)
class Known:
    """A matrix [..., rows, keys] with 0 where rows are NaN, and which rows those are [..., rows]."""

    filled: Tensor
    unknown: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> Self:
        """Take apart a matrix whose rows are NaN throughout or not at all."""
        unknown = matrix[..., 0].isnan()
        return cls(matrix.masked_fill(unknown[..., None], 0) if bool(unknown.any()) else matrix, unknown)


def transitions(layers: Layers, recipe: Recipe) -> Iterator[Step]:
    """Blocks of the matrix of every layer, in the order of the layers.

    A row in which no head sees a key is that of the identity: what such a token holds stays what it is.
    """
    by_matrix = recipe.discard > 0 and (recipe.discard_scope == "matrix" or recipe.discard_after_residual)
    for _, group in groupby(layers, key=lambda block: block.layer):
        # A threshold for the matrix needs all its rows, of the fused heads alone.
        for block in [_joined(list(_fused(group, recipe)))] if by_matrix else _fused(group, recipe):
            yield _finished(block, recipe)


def fuse(block: Rows, fusion: str, *, uniform: bool = False) -> tuple[Tensor, Tensor]:
    """Heads as one: weights [..., rows, keys], 0 where no head has any; and which rows those are [..., rows].

    A head that sees no key in a row has no part in that row; a head with NaN makes the row NaN.
    """
    weights = torch.where(block.weights.isnan(), block.weights, block.uniform) if uniform else block.weights
    silent = block.total == 0
    filled = weights.masked_fill(silent[..., None], _NEUTRAL[fusion]) if bool(silent.any()) else weights
    if fusion == "mean":
        fused = filled.sum(-3) / (~silent).sum(-2).clamp(min=1)[..., None]
    else:
        fused = filled.amax(-3) if fusion == "max" else filled.amin(-3)
    absent = silent.all(-2)
    return fused.masked_fill(absent[..., None], 0), absent


def through(left: Tensor, right: Known) -> Tensor:
    """Matrix product in which NaN reaches only the rows that put weight on what is NaN.

    Parameters
    ----------
    left : Tensor [..., rows, inner]
        Weights; a row is NaN throughout or not at all.
    right : Known [..., inner, keys]
        Likewise.

    Returns
    -------
    Tensor [..., rows, keys]
    """
    known = Known.of(left)
    product = known.filled @ right.filled
    lost = known.unknown
    if bool(right.unknown.any()):
        lost = lost | ((left > 0) & right.unknown[..., None, :]).any(-1)
    return product.masked_fill(lost[..., None], math.nan)


@dataclass(frozen=True)
class _Fused:
    layer: int
    rows: slice
    weights: Tensor
    allowed: Tensor
    absent: Tensor


def _fused(group: Iterable[Rows], recipe: Recipe) -> Iterator[_Fused]:
    for block in group:
        weights, absent = fuse(block, recipe.fusion, uniform=recipe.uniform)
        visible = block.visible.any(-3) if block.visible.ndim > 2 else block.visible
        rows = block.rows if isinstance(block.rows, slice) else slice(0, 0)
        yield _Fused(block.layer or 0, rows, weights, visible.expand_as(weights), absent)


def _joined(parts: list[_Fused]) -> _Fused:
    return _Fused(
        parts[0].layer,
        slice(0, parts[-1].rows.stop),
        torch.cat([part.weights for part in parts], -2),
        torch.cat([part.allowed for part in parts], -2),
        torch.cat([part.absent for part in parts], -1),
    )


def _finished(block: _Fused, recipe: Recipe) -> Step:
    matrix = block.weights
    here = torch.arange(block.rows.start, block.rows.stop, device=matrix.device)
    identity = (here[:, None] == torch.arange(matrix.shape[-1], device=matrix.device)).to(matrix)
    if recipe.discard and not recipe.discard_after_residual:
        matrix = _drop_lowest(matrix, block.allowed, recipe)
    if recipe.normalize:
        matrix = _rows_to_one(recipe.residual * identity + (1 - recipe.residual) * matrix)
    if recipe.discard and recipe.discard_after_residual:
        matrix = _rows_to_one(_drop_lowest(matrix, torch.ones_like(block.allowed), recipe))
    return Step(block.layer, block.rows, torch.where(block.absent[..., None], identity, matrix), block.absent)


def _rows_to_one(matrix: Tensor) -> Tensor:
    total = matrix.sum(-1, keepdim=True)
    # Filled after the division, so that the gradient of what is filled is 0.
    return (matrix / total.masked_fill(total == 0, 1)).masked_fill(total == 0, math.nan)


def _drop_lowest(matrix: Tensor, allowed: Tensor, recipe: Recipe) -> Tensor:
    """The matrix with the lowest share of its allowed entries set to 0; of equal ones the first go first."""
    by_row = recipe.discard_scope == "row"
    values, counted = matrix.detach(), allowed & ~matrix.isnan()
    if not by_row:
        values, counted = values.flatten(-2), counted.flatten(-2)
    number = (counted.sum(-1, keepdim=True).double() * recipe.discard).floor()
    order = values.masked_fill(~counted, math.inf).argsort(dim=-1, stable=True)
    lowest = torch.arange(values.shape[-1], device=matrix.device) < number
    dropped = torch.zeros_like(counted).scatter_(-1, order, lowest).view_as(matrix)
    dropped[..., list(recipe.keep)] = False
    return matrix.masked_fill(dropped, 0)


def _checked(arrays: list[Tensor]) -> list[Tensor]:
    if not arrays:
        raise ValueError("a is an empty sequence; expected one array a layer.")
    if arrays[0].ndim < 3:
        raise ValueError(
            f"a[0] has shape {tuple(arrays[0].shape)}; expected one array a layer, [heads, queries, keys] or [batch, "
            "heads, queries, keys]."
        )
    for number, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            what = "length" if array.shape[-2:] != arrays[0].shape[-2:] else "shape"
            raise ValueError(
                f"a holds layers of different {what}: a[0] has shape {tuple(arrays[0].shape)} and a[{number}] "
                f"{tuple(array.shape)}; a token must have a place in every layer. Layers that differ in heads alone "
                "are read by AttentionMaps.from_arrays."
            )
    return arrays
