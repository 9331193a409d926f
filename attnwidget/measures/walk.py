"""The one walk over attention rows: block by block, so that no layer's matrices are ever held together.

One policy for rows that are no distribution holds for every measure. A row that sums to 1 within rounding is rescaled.
A row that sees no key, or holds NaN, has no values: it is NaN throughout and counts in no mean. A row that lacks mass
(learned sinks) or has too much (dropout) is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

from attnwidget.layers import ROW_SUM_TOLERANCE, Layer, ProjectedLayer, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.faults import Faults
from attnwidget.measures.given import (
    Excluded,
    Given,
    MaskLike,
    as_mask,
    as_weights,
    check_weights,
    excluded_keys,
    hides_later_keys,
)
from attnwidget.measures.information import row_entropy
from attnwidget.progress import progress_bar

__all__ = [
    "Measure",
    "Rows",
    "Walk",
    "mean_over_queries",
    "root",
    "row_scale",
    "rows_of",
    "settle",
    "stack_layers",
    "uniform_rows",
]

LONG_WORK = 1 << 28  # cells; in less time a progress bar could not be read

Measure: TypeAlias = Callable[["Rows"], Tensor]


@dataclass(frozen=True)
class Rows:
    """A block of rows of several heads.

    Parameters
    ----------
    layer : int or None
        The layer of maps; None for a bare array, whose leading axes come whole.
    rows : slice or Tensor [rows]
        Which rows of the map these are.
    query : Tensor of int [rows, 1]
        Position of each query among the keys.
    weights : Tensor [..., rows, keys]
        Weights; NaN throughout where a row has no values.
    visible : Tensor of bool [..., rows, keys]
        Which keys the queries may see; the leading axes may be 1.
    total : Tensor [..., rows]
        Sum of each row before anything was rescaled.
    scores : Tensor [..., rows, keys] or None
        What the softmax was taken of, -inf for keys that are not seen; None where not asked for, or not known.
    sink : Tensor [..., rows] or None
        The learned logit that competes with them; -inf where there is none.
    n_visible : Tensor [..., rows] or None
        How many keys the queries may see, where that was counted before.
    """

    layer: int | None
    rows: slice | Tensor
    query: Tensor
    weights: Tensor
    visible: Tensor
    total: Tensor
    scores: Tensor | None = None
    sink: Tensor | None = None
    n_visible: Tensor | None = None

    @cached_property
    def key(self) -> Tensor:
        """Position of each key: int [keys]."""
        return torch.arange(self.weights.shape[-1], device=self.weights.device)

    @cached_property
    def count(self) -> Tensor:
        """Number of keys that each query may see: [..., rows], in the dtype of the weights."""
        return (self.visible.sum(-1) if self.n_visible is None else self.n_visible).to(self.weights.dtype)

    @cached_property
    def mass(self) -> Tensor:
        """Sum of each row's weights as they are here: [..., rows]."""
        return self.weights.sum(-1)

    @cached_property
    def top(self) -> Tensor:
        """Largest weight of each row: [..., rows]."""
        return self.weights.amax(-1)

    @cached_property
    def top_score(self) -> Tensor:
        """Largest score of each row, where scores came: [..., rows]."""
        if self.scores is None:
            return torch.full_like(self.total, math.nan)
        return self.scores.amax(-1)

    @cached_property
    def entropy(self) -> Tensor:
        """Entropy of each row in nats: [..., rows]."""
        return row_entropy(self.weights, total=self.mass, top=self.top)

    @cached_property
    def without(self) -> Tensor:
        """Which rows have no values: bool [..., rows]."""
        return self.weights[..., 0].isnan()

    def sum_over(self, factors: Tensor) -> Tensor:
        """Sum of each row's weights [..., rows], times factors that all heads share or that each has; NaN stays NaN."""
        factors = factors.to(self.weights.dtype)
        if self.weights.ndim == 3 and factors.shape[:-2].numel() == 1:
            # One product a row for all heads, without weights times factors in between.
            column = factors.reshape(*factors.shape[-2:], 1)
            return torch.bmm(self.weights.transpose(0, 1), column)[..., 0].mT
        return (self.weights * factors).sum(-1)

    @property
    def uniform(self) -> Tensor:
        """What a head that looks everywhere alike would have: [..., rows, keys]; NaN where a row sees nothing."""
        return uniform_rows(self.visible, self.weights)


class Walk:
    """Every row of every head once.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax.
    mask : Tensor or ndarray of bool, broadcast to the weights, or None
        True where a query may attend, for bare arrays. A row without any True counts nowhere: that is how padding
        queries are left out.
    causal : bool
        For bare arrays: the last query sees all keys, each one before it one key less.
    exclude_tokens : "special", sequence of int, or None
        Tokens whose query rows and key columns are left out; what remains of each row is rescaled.
    rows : Tensor of int or None
        Look at these rows only.
    faults : Faults or None
        Collects what there is to warn of from several walks; None warns at the end of each.
    trimmed : bool
        Blocks of causal maps come without the keys that stand after all of their queries: half of the cells.
    scored : bool
        Blocks come with their scores, where maps know them.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or ``mask`` not boolean.
    ValueError
        When a shape does not fit, when weights are negative or infinite, when maps come with a mask.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and when rows of a bare array do not sum to 1. Names layer and head.
    """

    def __init__(
        self,
        a: Given,
        *,
        mask: MaskLike = None,
        causal: bool = False,
        exclude_tokens: Excluded = None,
        rows: Tensor | None = None,
        faults: Faults | None = None,
        trimmed: bool = False,
        scored: bool = False,
    ) -> None:
        self._faults = faults
        self._trimmed, self._scored = trimmed, scored
        self.mask: Tensor | None
        self.maps = a if isinstance(a, AttentionMaps) else None
        self._wanted = rows
        self._bar: Any = None
        if isinstance(a, AttentionMaps):
            if mask is not None or causal:
                raise ValueError("mask and causal are for bare arrays; these maps know what their queries may see.")
            first = next(iter(a.layers[0].tensors().values()))
            self.dtype = torch.float64 if first.dtype == torch.float64 else torch.float32
            self.device = first.device
            self.leading: tuple[int, ...] = (a.n_layers, max(a.heads))
            self.n_queries, self.n_keys = a.n_queries, a.n_keys
            self.causal = a.causal
            self.mask = None
        else:
            self.weights = as_weights(a)
            self.dtype, self.device = self.weights.dtype, self.weights.device
            self.leading = tuple(self.weights.shape[:-2])
            self.n_queries, self.n_keys = self.weights.shape[-2:]
            self.mask = as_mask(mask, self.weights)
            self.causal = causal or (self.mask is not None and hides_later_keys(self.mask))
        excluded = excluded_keys(exclude_tokens, self.n_keys, self.maps, "exclude_tokens")
        self.excluded = torch.tensor(excluded, dtype=torch.long, device=self.device)
        # Position of query 0 of a causal array: the last query stands at the last key.
        self.offset = self.n_keys - self.n_queries if self.causal else 0

    def __iter__(self) -> Iterator[Rows]:
        """Rows, block by block; a warning comes at the end."""
        faults = Faults() if self._faults is None else self._faults
        n_rows = self.n_queries if self._wanted is None else len(self._wanted)
        for block in self._settled_blocks():
            faults.look(block.layer, block.total, sums=self.maps is None and not len(self.excluded))
            yield block
            self._advance(block.total.numel() / (n_rows * math.prod(self.leading)))
        if self._faults is None:
            faults.warn()

    @contextmanager
    def shown(self, *, progress: bool) -> Iterator[None]:
        """Show a progress bar from 0 to 1 for a walk inside, where it is long.

        Not a matter of ``__iter__``: an exception in a loop over it would leave the bar standing.
        """
        n_rows = self.n_queries if self._wanted is None else len(self._wanted)
        long = n_rows * self.n_keys * math.prod(self.leading) >= LONG_WORK
        with progress_bar("rows", 1, shown=progress and long, unit_scale=True) as bar:
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None

    def _advance(self, share: float) -> None:
        if self._bar is not None:
            self._bar.update(share)

    @property
    def first_key(self) -> Tensor:
        """Position of the first key that anybody sees: int [..., 1]; padding and what is excluded may come before."""
        return self.seen.int().argmax(-1, keepdim=True)

    @property
    def seen(self) -> Tensor:
        """Which keys anybody sees: bool [..., keys]."""
        seen = torch.ones(self.n_keys, dtype=torch.bool, device=self.device)
        if self.mask is not None:
            seen = self.mask.any(-2)
        elif self.maps is not None:
            additive = [layer.mask.additive for layer in self.maps.layers if layer.mask.additive is not None]
            if len(additive) == self.maps.n_layers:
                found = [(one > -math.inf).any(0).any(0) for one in {id(one): one for one in additive}.values()]
                seen = torch.stack([one.to(self.device) for one in found]).any(0)
        seen[..., self.excluded] = False
        return seen

    @property
    def has_positions(self) -> bool:
        """Whether every query has a position among the keys."""
        return self.n_queries == self.n_keys or self.causal

    def require_square(self, what: str) -> None:
        """Raise ValueError where queries and keys are not the same positions."""
        if self.n_queries != self.n_keys:
            raise ValueError(f"a is {self.n_queries} queries x {self.n_keys} keys; {what} needs square self-attention.")

    def require_positions(self, what: str) -> None:
        """Raise ValueError where a query has no position among the keys."""
        if not self.has_positions:
            raise ValueError(
                f"a is {self.n_queries} queries x {self.n_keys} keys and not causal; {what} needs self-attention, in "
                "which every query has a position among the keys. For cached keys pass causal=True."
            )

    def gather(self, rows: Mapping[str, Measure], sums: Mapping[str, Measure] | None = None) -> dict[str, Tensor]:
        """Several measures from one walk.

        Parameters
        ----------
        rows : mapping of str to callable
            Measures that give one number a row: [..., rows].
        sums : mapping of str to callable or None
            Measures that are added over all rows: [...] or [..., keys].

        Returns
        -------
        dict of Tensor
            [..., queries] for ``rows``, what the measures give for ``sums``. For maps the first axes are layers x
            heads, NaN where a layer has fewer heads.
        """
        n_rows = self.n_queries if self._wanted is None else len(self._wanted)
        layers: dict[int | None, dict[str, Tensor]] = {}
        done = 0
        for block in self:
            found = layers.setdefault(block.layer, {})
            done = 0 if not found else done
            here = slice(done, done + block.total.shape[-1])
            # Into room made at the start: small results left between large temporaries would tear the memory to pieces.
            for name, measure in rows.items():
                value = measure(block)
                if name not in found:
                    found[name] = value.new_empty(*value.shape[:-1], n_rows)
                found[name][..., here] = value
            for name, measure in (sums or {}).items():
                value = measure(block)
                if (
                    self._trimmed and value.ndim == block.weights.ndim - 1
                ):  # one number a key, of those that the block has
                    value = pad(value, (0, self.n_keys - value.shape[-1]))
                found[name] = found[name] + value if name in found else value
            done = here.stop
        joined = [
            {name: value.to(self.dtype) if sums and name in sums else value for name, value in found.items()}
            for found in layers.values()
        ]
        if self.maps is None:
            return joined[0]
        return {name: stack_layers([layer[name].to(self.device) for layer in joined]) for name in joined[0]}

    def per_row(self, measure: Measure) -> Tensor:
        """One number a row: [..., queries]."""
        return self.gather({"": measure})[""]

    def _settled_blocks(self) -> Iterator[Rows]:
        if self.maps is None:
            for rows in self._blocks(math.prod(self.leading)):
                query = self._query(rows, self.offset)
                keys = self._keys(query, causal=self._trimmed and self.causal)
                raw = self.weights[..., rows, keys]
                block = self._settled(None, rows, query, raw, self._visible(self.mask, rows, query, keys))
                check_weights(raw, block.total)
                yield block
            return
        for number, layer in enumerate(self.maps.layers):
            heads = slice(0, layer.shape[0])
            causal = self._trimmed and layer.mask.hides_later_keys
            for rows in self._blocks(layer.shape[0]):
                query = self._query(rows, layer.mask.offset)
                keys = self._keys(query, causal=causal)
                scores = sink = None
                if isinstance(layer, ProjectedLayer) and self._scored:
                    scores, sink = layer.logits(heads, rows, keys)
                    visible = layer.visible(heads, rows)[..., keys]
                    raw = layer.weigh(scores, sink, visible)
                    scores, sink = scores.to(self.device), sink.to(self.device)
                else:
                    raw, visible = rows_of(layer, heads, rows, keys)
                raw, visible = raw.to(self.device), visible.to(self.device)  # layers may live on several
                owned = isinstance(layer, ProjectedLayer)  # its rows are made anew
                block = self._settled(number, rows, query, raw, visible, owned=owned)
                if scores is not None and len(self.excluded):
                    scores = scores.masked_fill(~block.visible, -math.inf)
                yield block if scores is None else replace(block, scores=scores, sink=sink)

    def _keys(self, query: Tensor, *, causal: bool) -> slice:
        """Keys up to the last query of a causal block, or all."""
        return slice(0, min(int(query.max()) + 1, self.n_keys) if causal else self.n_keys)

    def _visible(self, mask: Tensor | None, rows: slice | Tensor, query: Tensor, keys: slice) -> Tensor:
        """Which of some keys the rows of a bare array may see."""
        visible = torch.ones(len(query), keys.stop, dtype=torch.bool, device=self.device)
        if self.causal:
            visible = torch.arange(keys.stop, device=self.device) <= query
        return visible if mask is None else visible & mask[..., rows, keys]

    def without_excluded(self, visible: Tensor, query: Tensor) -> Tensor:
        """What may be seen, less what is left out."""
        if not len(self.excluded):
            return visible
        kept = torch.ones(self.n_keys, dtype=torch.bool, device=self.device)
        kept[self.excluded] = False
        visible = visible & kept[: visible.shape[-1]]
        return visible & ~torch.isin(query, self.excluded) if self.has_positions else visible

    def _blocks(self, heads: int) -> Iterator[slice | Tensor]:
        if self._wanted is None:
            yield from blocks(self.n_queries, heads * self.n_keys)
        else:
            for part in blocks(len(self._wanted), heads * self.n_keys):
                yield self._wanted[part]

    def _query(self, rows: slice | Tensor, offset: int) -> Tensor:
        numbers = torch.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return numbers.to(self.device)[:, None] + offset

    def _settled(
        self,
        layer: int | None,
        rows: slice | Tensor,
        query: Tensor,
        raw: Tensor,
        visible: Tensor,
        *,
        owned: bool = False,
    ) -> Rows:
        visible = self.without_excluded(visible, query)
        weights, total = settle(raw, visible, rescale=bool(len(self.excluded)), owned=owned)
        return Rows(layer, rows, query, weights, visible, total)


def rows_of(layer: Layer, heads: slice, rows: slice | Tensor, keys: slice) -> tuple[Tensor, Tensor]:
    """Weights of some rows on some keys, outside which they see none, and which of them they may see."""
    if isinstance(layer, ProjectedLayer) and keys.stop < layer.shape[2]:
        weights = layer.weights(heads, rows, keys)
    else:
        weights = layer.weights(heads, rows)[..., keys]
    return weights, layer.visible(heads, rows)[..., keys]


def stack_layers(layers: Sequence[Tensor]) -> Tensor:
    """Layers of [heads, ...] as one tensor; NaN where a layer has fewer heads."""
    if len(layers) == 1:
        return layers[0][None]
    largest = [max(sizes) for sizes in zip(*(layer.shape for layer in layers), strict=True)]
    stacked = layers[0].new_full((len(layers), *largest), math.nan)
    for number, layer in enumerate(layers):
        stacked[number][tuple(slice(size) for size in layer.shape)] = layer
    return stacked


def settle(weights: Tensor, visible: Tensor, *, rescale: bool = False, owned: bool = False) -> tuple[Tensor, Tensor]:
    """Rows as distributions, by the one policy, and what they summed to.

    Parameters
    ----------
    weights : Tensor [..., rows, keys]
        Weights; not changed, unless they are owned.
    visible : Tensor of bool, broadcast to the weights
        Which keys the queries may see; what others got is left out.
    rescale : bool
        Rescale every row, and not only those that sum to 1 within rounding.
    owned : bool
        The weights are nobody else's, and may be changed in place.

    Returns
    -------
    tuple of Tensor [..., rows, keys] and Tensor [..., rows]
        NaN throughout where a row sees no key, has no mass, or holds NaN.
    """
    owned = owned and not weights.requires_grad
    if not bool(visible.all()):
        weights = weights.masked_fill_(~visible, 0) if owned else weights.masked_fill(~visible, 0)
        owned = not weights.requires_grad
    total = weights.sum(-1)
    empty = (total == 0) | total.isnan()
    scale = row_scale(total, rescale=rescale)[..., None]
    weights = weights.div_(scale) if owned else weights / scale
    # Filled last: the gradient of what is filled in is 0, that of a division by NaN is not.
    return weights.masked_fill(empty[..., None], math.nan) if bool(empty.any()) else weights, total


def row_scale(total: Tensor, *, rescale: bool) -> Tensor:
    """What rows of these sums are divided by: their sum where that is 1 within rounding, or always; else 1."""
    divide = (total != 0) & ~total.isnan() if rescale else (total - 1).abs() <= ROW_SUM_TOLERANCE
    return total.masked_fill(~divide, 1)


def uniform_rows(visible: Tensor, like: Tensor) -> Tensor:
    """Rows that look everywhere alike, in the precision of others: [..., rows, keys]; NaN where they see nothing."""
    count = visible.sum(-1, keepdim=True).to(like)
    return visible / count.masked_fill(count == 0, math.nan)


def mean_over_queries(values: Tensor) -> Tensor:
    """Mean over the last axis of what is not NaN: Tensor [...]; NaN where nothing is left."""
    counted = ~values.isnan()
    number = counted.sum(-1)
    mean = values.masked_fill(~counted, 0).sum(-1) / number.clamp(min=1)
    return mean.masked_fill(number == 0, math.nan)


def root(values: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, where that of sqrt has no value; NaN stays NaN."""
    zero = values <= 0
    return values.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
