"""Layers of self-attention made into one matrix each: heads fused, small weights dropped, the residual path added.

Row i of a layer's matrix says where the content of token i came from in the layer below. Heads are fused in the
precision they come in; the matrix is float64, for it is products over layers that lose digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from attnwidget.layers import ProjectedLayer, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric
from attnwidget.measures.faults import Faults
from attnwidget.measures.given import Excluded, Given, MaskLike, as_weights, check_weights
from attnwidget.measures.walk import Walk, row_scale, rows_of, settle, uniform_rows

__all__ = ["Fused", "GivenLayers", "Heads", "Known", "Layers", "Recipe", "Step", "fuse", "steps", "through"]

GivenLayers: TypeAlias = Given | Sequence[Tensor | np.ndarray[Any, Any]]

PANEL = 128  # rows of a matrix product at least: with fewer it takes twice as long
ROUNDED = 8  # steps of a precision that a row's sum may be off by itself: to rescale it changes nothing
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
        self._bar: Any = None
        self._seen = Faults()

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

    def each(self) -> Iterator[int]:
        """Layer after layer; what there is to warn of is said at the end."""
        self._seen = Faults()
        for done, layer in enumerate(self.order, 1):
            yield layer
            if self._bar is not None:
                self._bar.update(done / len(self.order) - self._bar.n)
        self._seen.warn()

    def heads(self, layer: int, rows: slice | Tensor | None = None, keys: slice | None = None) -> tuple[Tensor, Tensor]:
        """Weights [..., heads, rows, keys] of one layer, as they came, and which keys the queries may see."""
        rows = slice(0, self.n_queries) if rows is None else rows
        keys = slice(0, self.n_keys) if keys is None else keys
        if self.maps is not None:
            held = self.maps.layers[layer]
            raw, visible = rows_of(held, slice(0, held.shape[0]), rows, keys)
            return raw.to(self.device), visible.to(self.device)
        raw = self._arrays[layer][..., rows, keys]
        return raw, self._visible(self._masks[layer], rows, self._query(rows, self.offset), keys)

    def blocks_of(self, layer: int, rows: slice, *, trimmed: bool = False) -> Iterator[Heads]:
        """Some rows of all heads of a layer, block by block; trimmed as for `Walk`."""
        n_heads = math.prod(self._arrays[layer].shape[:-2]) if self.maps is None else self.maps.heads[layer]
        owned = self.maps is not None and isinstance(self.maps.layers[layer], ProjectedLayer)
        for part in blocks(rows.stop - rows.start, n_heads * self.n_keys):
            here = slice(rows.start + part.start, rows.start + part.stop)
            query = self._query(here, self.offset)
            raw, visible = self.heads(layer, here, self._keys(query, causal=trimmed and self.causal))
            yield Heads(layer, here, query, raw, self.without_excluded(visible, query), owned)
            self._advance((part.stop - part.start) / (self.n_queries * len(self.order)))

    def look(self, block: Heads, total: Tensor) -> None:
        """Refuse what is no attention, and keep in mind which rows are not sound; ``total`` are their sums."""
        if self.maps is None:
            check_weights(block.weights, total)
        self._seen.look(block.layer, total, sums=self.maps is None and not len(self.excluded))


@dataclass(frozen=True)
class Heads:
    """Rows of all heads of a layer as they came."""

    layer: int
    rows: slice
    query: Tensor  # [rows, 1]
    weights: Tensor  # [..., heads, rows, keys]
    visible: Tensor  # bool, broadcast to the weights
    owned: bool  # whether the weights may be changed in place


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
    """Some rows of one layer's matrix.

    Parameters
    ----------
    rows : slice
        Which rows these are.
    matrix : Known [..., rows, keys]
        The rows, less the keys that stand after all of them in causal maps. Unknown are those in which a head held
        NaN, and those of which nothing is left.
    absent : Tensor of bool [..., rows]
        Rows in which no head sees a key.
    """

    rows: slice
    matrix: Known
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

    def shown(self, also: Tensor) -> Tensor:
        """The matrix with NaN in the rows that are not known, and in some others."""
        without = self.unknown | also
        return self.filled.masked_fill(without[..., None], math.nan) if bool(without.any()) else self.filled


def steps(
    layers: Layers, layer: int, recipe: Recipe, rows: slice | None = None, *, whole: bool = False
) -> Iterator[Step]:
    """The matrix of a layer in blocks of rows that a matrix product likes; ``whole``, in one.

    A row in which no head sees a key is that of the identity: what such a token holds stays what it is.
    """
    # A threshold for the matrix needs all its rows, of the fused heads alone.
    by_matrix = recipe.discard > 0 and (recipe.discard_scope == "matrix" or recipe.discard_after_residual)
    rows = slice(0, layers.n_queries) if rows is None or by_matrix else rows
    height = layers.n_queries if whole or by_matrix else PANEL
    parts: list[Fused] = []
    for block in layers.blocks_of(layer, rows, trimmed=not whole and not recipe.discard):
        parts.append(fuse(layers, block, recipe))
        if parts[-1].rows.stop - parts[0].rows.start >= height or parts[-1].rows.stop == rows.stop:
            yield _finished(_joined(parts), recipe, layers.exact)
            parts = []


@dataclass(frozen=True)
class Fused:
    """Rows of the heads of a layer made into one.

    Parameters
    ----------
    rows : slice
        Which rows.
    weights : Tensor [..., rows, keys]
        0 where no head has any, NaN throughout where a head holds NaN.
    allowed : Tensor of bool [..., rows, keys]
        Keys that any head may see.
    absent : Tensor of bool [..., rows]
        Rows in which no head sees a key.
    """

    rows: slice
    weights: Tensor
    allowed: Tensor
    absent: Tensor


def fuse(layers: Layers, block: Heads, recipe: Recipe) -> Fused:
    """Heads as one.

    A head that sees no key in a row has no part in that row; a head with NaN makes the row NaN.
    """
    mean = recipe.fusion == "mean" and not recipe.uniform
    weights, total = (_mean if mean else _picked)(layers, block, recipe)
    layers.look(block, total)
    visible = block.visible.any(-3) if block.visible.ndim > 2 else block.visible
    lost, absent = total.isnan().any(-2), (total == 0).all(-2)
    for rows, value in ((lost, math.nan), (absent, 0)):
        weights = weights.masked_fill(rows[..., None], value) if bool(rows.any()) else weights
    return Fused(block.rows, weights, visible.expand_as(weights), absent)


def _mean(layers: Layers, block: Heads, recipe: Recipe) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """Mean of the heads that see something in a row, and the sums of their rows [..., heads, rows].

    Heads are fused in the precision that they came in: only products over layers lose digits.
    """
    raw, visible = block.weights, block.visible
    rescale = bool(len(layers.excluded))
    fused, total = _mean_of(raw, rescale=rescale)
    shared = visible if visible.ndim == 2 else visible[..., 0, :, :] if visible.shape[-3] == 1 else None
    # Code that masks before its softmax leaves 0 behind the mask: only where it does not are the heads masked here.
    if shared is None or not (block.owned or float(torch.where(shared, 0, fused.detach()).sum()) == 0):
        fused, total = _mean_of(raw.masked_fill(~visible, 0), rescale=rescale)
    return fused, total


def _mean_of(raw: Tensor, *, rescale: bool) -> tuple[Tensor, Tensor]:
    total = raw.sum(-1)
    if not raw.requires_grad and bool(((total - 1).abs() <= ROUNDED * torch.finfo(total.dtype).eps).all()):
        return raw.mean(-3), total
    share = 1 / (row_scale(total, rescale=rescale) * (total != 0).sum(-2, keepdim=True).clamp(min=1))[..., None]
    fused = raw[..., 0, :, :] * share[..., 0, :, :]
    for head in range(1, raw.shape[-3]):  # a sum over an axis would need all products at once
        fused.addcmul_(raw[..., head, :, :], share[..., head, :, :])
    return fused, total


def _picked(layers: Layers, block: Heads, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The largest or the least of the heads, or what they would have if they looked everywhere alike."""
    exact = block.weights.to(layers.exact)
    weights, total = settle(
        exact, block.visible, rescale=bool(len(layers.excluded)), owned=block.owned or exact is not block.weights
    )
    if recipe.uniform:
        weights = torch.where(weights.isnan(), weights, uniform_rows(block.visible, weights))
    silent = total == 0
    if bool(silent.any()):
        weights = weights.masked_fill(silent[..., None], _NEUTRAL[recipe.fusion])
    if recipe.fusion == "mean":
        return weights.sum(-3) / (~silent).sum(-2).clamp(min=1)[..., None], total
    return weights.amax(-3) if recipe.fusion == "max" else weights.amin(-3), total


def through(left: Known, right: Known) -> Known:
    """Matrix product in which what is unknown reaches only the rows that put weight on it.

    Parameters
    ----------
    left : Known [..., rows, inner]
        Weights.
    right : Known [..., inner, keys]
        Likewise.
    """
    lost = left.unknown
    if bool(right.unknown.any()):
        lost = lost | ((left.filled > 0) & right.unknown[..., None, :]).any(-1)
    return Known(left.filled @ right.filled, lost)


def _joined(parts: list[Fused]) -> Fused:
    if len(parts) == 1:
        return parts[0]
    width = parts[-1].weights.shape[-1]
    weights, allowed = (
        torch.cat([pad(one, (0, width - one.shape[-1])) for one in tensors], -2)
        for tensors in ([part.weights for part in parts], [part.allowed for part in parts])
    )
    rows = slice(parts[0].rows.start, parts[-1].rows.stop)
    return Fused(rows, weights, allowed, torch.cat([part.absent for part in parts], -1))


def _finished(block: Fused, recipe: Recipe, exact: torch.dtype) -> Step:
    matrix = block.weights
    if recipe.discard:
        matrix = matrix.to(exact)
        if not recipe.discard_after_residual:
            matrix = _drop_lowest(matrix, block.allowed, recipe)
    if recipe.normalize:
        matrix = _with_residual(matrix, block.rows.start, recipe.residual, exact)
    if recipe.discard_after_residual:
        matrix = _drop_lowest(matrix, torch.ones_like(block.allowed), recipe)
        matrix = _with_residual(matrix, block.rows.start, 0, exact)
    matrix = matrix.to(exact)
    if bool(block.absent.any()):
        identity = torch.zeros_like(matrix)
        identity.diagonal(block.rows.start, -2, -1).fill_(1)
        matrix = torch.where(block.absent[..., None], identity, matrix)
    return Step(block.rows, Known.of(matrix), block.absent)


def _with_residual(matrix: Tensor, first: int, residual: float, exact: torch.dtype) -> Tensor:
    """Rows with the residual path that sum to 1; NaN where nothing is left. Row 0 is that of token ``first``."""
    total = residual + (1 - residual) * matrix.sum(-1, keepdim=True).to(exact)
    nothing = total == 0
    if bool(nothing.any()):
        total = total.masked_fill(nothing, 1)
    mixed = matrix.to(exact) * ((1 - residual) / total)
    if residual:
        diagonal = mixed.diagonal(first, -2, -1)
        diagonal += residual / total[..., 0]
    # Filled after the division, so that the gradient of what is filled is 0.
    return mixed.masked_fill(nothing, math.nan) if bool(nothing.any()) else mixed


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
