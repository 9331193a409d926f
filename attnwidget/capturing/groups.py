"""Groups: the calls, or the matrices, of one stack of layers, made into maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.axes import Axis
from attnwidget.capturing.recorder import Call
from attnwidget.intake import AttentionWarning, dense_layers
from attnwidget.layers import Layer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps

__all__ = ["Calls", "Group", "Matrices"]


@dataclass
class Calls:
    """Calls of one kind, one a layer."""

    stack: str
    calls: Sequence[Call]

    @property
    def batch(self) -> int:
        """Examples in a call."""
        return self.calls[0].query.shape[0]

    @property
    def n_keys(self) -> int:
        """Keys of every call."""
        return self.calls[0].key.shape[2]

    def maps(self, example: int, name: str, queries: Axis, keys: Axis) -> AttentionMaps:
        """Maps of one example, padding cut."""
        first = self.calls[0]
        device = first.query.device
        rows, row_tokens = queries.of_example(example, first.query.shape[2], device)
        columns, column_tokens = keys.of_example(example, first.key.shape[2], device)
        shared: dict[Any, Any] = {}  # layers of one pass share their mask and bias
        layers = [self._layer(call, example, rows, columns, shared) for call in self.calls]
        numbers = [call.layer for call in self.calls]
        heads = [tuple(range(call.n_heads)) if call.heads is None else call.heads for call in self.calls]
        return AttentionMaps(
            layers,
            row_tokens,
            None if row_tokens == column_tokens else column_tokens,
            name=name,
            layer_names=[call.module for call in self.calls],
            notes=[*self._notes(), *_check_finite(self.calls, name)],
            layer_numbers=numbers,
            head_numbers=heads,
        )

    def _notes(self) -> list[str]:
        notes = []
        if any(call.position_bias is not None and call.position_bias.any() for call in self.calls):
            notes.append("This model adds a position bias to its scores; temperature and scaling act on the sum.")
        if any(call.softcap is not None for call in self.calls):
            notes.append("This model caps its scores; temperature and scaling act on the capped scores.")
        if any(call.sinks is not None for call in self.calls):
            notes.append("Part of each row goes to a learned sink that is no token: rows sum to less than 1.")
        return notes

    @staticmethod
    def _layer(call: Call, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        # Layers may live on several devices.
        device = call.query.device
        rows = None if rows is None else rows.to(device)
        columns = None if columns is None else columns.to(device)

        def cut(term: Tensor, kind: str) -> Tensor:
            if (kind, id(term), device) not in shared:
                own = term[min(example, term.shape[0] - 1)][..., : call.key.shape[2]].to(device)
                shared[kind, id(term), device] = _cut(own, rows, columns)
            kept: Tensor = shared[kind, id(term), device]
            return kept

        q, k = _own(call.query, example, rows), _own(call.key, example, columns)
        mask = Mask(causal=True, offset=k.shape[1] - q.shape[1]) if call.causal else Mask()
        if call.mask is not None:
            if ("rule", id(call.mask), device) not in shared:
                term = cut(call.mask, "mask")
                term = term.expand(-1, q.shape[1], -1)
                rule = Mask.from_visible(term) if term.dtype == torch.bool else Mask.from_additive(term)
                shared["rule", id(call.mask), device] = rule
            mask = shared["rule", id(call.mask), device]
        bias = None if call.position_bias is None else cut(call.position_bias, "bias")
        return ProjectedLayer(
            q=q,
            k=k,
            scaling=call.scaling,
            mask=mask,
            bias=bias if bias is not None and bool(bias.any()) else None,
            softcap=call.softcap,
            sinks=None if call.sinks is None else call.sinks.flatten(),
            dropout=call.dropout,
        )


@dataclass
class Matrices:
    """Matrices that the model itself returned, one [batch, heads, queries, keys] a layer."""

    matrices: Sequence[Tensor]
    numbers: Sequence[int]
    heads: Sequence[tuple[int, ...]]
    stack: str = ""

    @property
    def batch(self) -> int:
        """Examples in a matrix."""
        return self.matrices[0].shape[0]

    @property
    def n_keys(self) -> int:
        """Keys of every matrix."""
        return self.matrices[0].shape[3]

    def maps(self, example: int, name: str, queries: Axis, keys: Axis) -> AttentionMaps:
        """Maps of one example, padding cut."""
        n_queries, n_keys = self.matrices[0].shape[2:]
        device = self.matrices[0].device
        rows, row_tokens = queries.of_example(example, n_queries, device)
        columns, column_tokens = keys.of_example(example, n_keys, device)
        kept = [
            _cut(matrix[example][list(heads)], rows, columns)
            for matrix, heads in zip(self.matrices, self.heads, strict=True)
        ]
        layers, notes = dense_layers(kept)
        return AttentionMaps(
            layers,
            row_tokens,
            None if row_tokens == column_tokens else column_tokens,
            name=name,
            notes=notes,
            layer_numbers=self.numbers,
            head_numbers=self.heads,
        )


Group = Calls | Matrices


def _own(vectors: Tensor, example: int, real: Tensor | None) -> Tensor:
    """Real positions of one example, which do not keep the rest of the batch alive."""
    if real is not None:
        return vectors[example][:, real]
    return vectors[example] if vectors.shape[0] == 1 else vectors[example].clone()


def _cut(term: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Real rows and columns of [heads, queries, keys]; an axis of length 1 stays as it is."""
    if rows is not None and term.shape[1] != 1:
        term = term[:, rows.to(term.device)]
    return term if columns is None else term[..., columns.to(term.device)]


def _check_finite(calls: Sequence[Call], name: str) -> list[str]:
    """Say where NaN came into the model: its rows have no values."""
    for call in calls:
        for what, vectors in (("queries", call.query), ("keys", call.key)):
            broken = (~vectors.isfinite()).flatten(2).any(-1).any(0).nonzero().flatten().tolist()
            if broken:
                note = (
                    f"{name}: the {what} of layer {call.layer} hold NaN or infinity in heads "
                    f"{', '.join(map(str, broken))}: rows made from them have no values, here and in the layers above."
                )
                warnings.warn(note, AttentionWarning, stacklevel=6)
                return [note]
    return []
