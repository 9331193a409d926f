"""Calls: attention as it was computed, for a whole batch, and what all calls can answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from attnwidget.capturing.probes import Probe
from attnwidget.layers import HIDDEN, Layer
from attnwidget.values import Values

__all__ = ["Call", "Place", "cut", "diagonal", "own_vectors", "seen"]


@dataclass(frozen=True)
class Place:
    """Where in a model a call came from, and what it attends to.

    Parameters
    ----------
    module : str
        Name of the module that attended.
    stack : str
        Path of the stack of layers it belongs to.
    tail : str
        The rest of its name, numbers left out: what it is called within its layer.
    layer : int
        Number of its layer in the stack.
    crossing : bool
        Whether keys come from another sequence than queries.
    turn : int
        How many times its stack had run before, from something else, in the same pass.
    """

    module: str = ""
    stack: str = ""
    tail: str = ""
    layer: int = 0
    crossing: bool = False
    turn: int = 0


@dataclass(kw_only=True)
class Call:
    """What all calls know.

    Parameters
    ----------
    place : Place
        Where it came from.
    heads : tuple of int or None
        Numbers of the heads kept; None for all.
    all_heads : int
        How many heads there were.
    front : int
        Keys in front of those of the call's own queries: cached ones, or a prefix.
    seen : int
        Keys that the call could see, in front of any room that was still empty.
    probe : Probe or None
        Some rows as they ran.
    value : Tensor [batch, key-value heads, keys, width] or None
        What the weights are multiplied with; None where that is not known, or not kept.
    """

    place: Place = field(default_factory=Place)
    heads: tuple[int, ...] | None = None
    all_heads: int = 0
    front: int = 0
    seen: int = 0
    probe: Probe | None = None
    value: Tensor | None = None

    @property
    def n_queries(self) -> int:
        """Rows."""
        raise NotImplementedError

    @property
    def n_keys(self) -> int:
        """Columns that are kept."""
        raise NotImplementedError

    @property
    def n_heads(self) -> int:
        """Heads that are kept."""
        raise NotImplementedError

    @property
    def batch(self) -> int:
        """Examples."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        raise NotImplementedError

    def probed(self) -> Probe | None:
        """The first, the middle and the last row, as they run."""
        raise NotImplementedError

    def of_rows(self, rows: Tensor) -> Self:
        """The call of some rows of the batch, in that order."""
        raise NotImplementedError

    def first(self, n: int) -> Self:
        """The first n queries, with their keys."""
        raise NotImplementedError

    def seen_by(self, example: int, rows: Tensor | None, shared: dict[Any, Tensor]) -> Tensor:
        """Which keys any of some queries of an example may see, in any head: bool [keys]."""
        raise NotImplementedError

    def sees_itself(self, example: int) -> Tensor | None:
        """Which queries may see the key of their own position: bool [queries]; None where all may."""
        raise NotImplementedError

    def layer_of(self, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        """One example as a layer of a map, with some of its queries and keys."""
        raise NotImplementedError

    def values_of(self, example: int, columns: Tensor | None) -> Values | None:
        """Values of some keys of one example."""
        if self.value is None:
            return None
        columns = None if columns is None else columns.to(self.value.device)
        return Values(own_vectors(self.value, min(example, len(self.value) - 1), columns))

    def _probe_of(self, rows: Tensor | None = None, n: int | None = None) -> Probe | None:
        probe = self.probe
        if probe is None:
            return None
        total, places = probe.total, probe.rows
        if rows is not None:
            total = total[rows.to(total.device)] if total.shape[0] > 1 else total.expand(len(rows), -1, -1)
        if n is not None:
            kept = places < n
            total, places = total[..., kept], places[kept]
        return Probe(places, total)


def seen(term: Tensor, example: int, rows: Tensor | None, n_keys: int, shared: dict[Any, Tensor]) -> Tensor:
    """Keys that a mask shows to any of some rows; layers share masks, and what was found of them."""
    name = id(term), example, None if rows is None else tuple(rows.tolist())
    if name not in shared:
        own = term[min(example, term.shape[0] - 1)][..., :n_keys]
        own = own if rows is None or own.shape[1] == 1 else own[:, rows.to(own.device)]
        shared[name] = (own if own.dtype == torch.bool else own > HIDDEN).flatten(0, 1).any(0)
    return shared[name]


def diagonal(term: Tensor, example: int, front: int, n_keys: int) -> Tensor:
    """Which queries may see the key of their own position, as a mask says: bool [queries]."""
    own = term[min(example, term.shape[0] - 1)][..., front:n_keys].diagonal(dim1=-2, dim2=-1)
    return (own if own.dtype == torch.bool else own > HIDDEN).any(0)


def cut(term: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Real rows and columns of [heads, queries, keys]; an axis of length 1 stays as it is."""
    if rows is not None and term.shape[1] != 1:
        term = term[:, rows.to(term.device)]
    return term if columns is None else term[..., columns.to(term.device)]


def own_vectors(vectors: Tensor, example: int, real: Tensor | None) -> Tensor:
    """Real positions of one example, which do not keep the rest of the batch alive."""
    if real is not None:
        return vectors[example][:, real]
    return vectors[example] if vectors.shape[0] == 1 else vectors[example].clone()
