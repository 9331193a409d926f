"""Calls: attention as it was computed, for a whole batch: queries and keys, or weights where nothing else is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from attnwidget.layers import HIDDEN, DenseLayer, Layer, Mask, ProjectedLayer
from attnwidget.rotary import Rotary

__all__ = ["Call", "Place", "Probe", "Projections", "Weights", "agrees"]


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


@dataclass(frozen=True)
class Probe:
    """Some rows of a call as it ran, by which is seen whether what was made of it later is still the same.

    Parameters
    ----------
    rows : Tensor of int [probed]
        Positions of the rows among the queries.
    total : Tensor [batch, heads, probed]
        Logarithm of the sum of each row's exponentiated scores, sinks included; of weights, of their sum.
    """

    rows: Tensor
    total: Tensor


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
    """

    place: Place = field(default_factory=Place)
    heads: tuple[int, ...] | None = None
    all_heads: int = 0
    front: int = 0
    seen: int = 0
    probe: Probe | None = None

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


@dataclass(kw_only=True)
class Projections(Call):
    """A call held as queries [batch, heads, queries, width] and keys [batch, key-value heads, keys, width].

    ``mask`` is bool (True may be seen) or additive, [batch or 1, 1 or heads, queries, keys]; without one, ``causal``
    says whether later keys are hidden. ``rotary`` holds angles [batch or 1, tokens, pairs] of all queries and of the
    last keys.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    scaling: float = 1.0
    position_bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    dropout: float = 0.0
    causal: bool = False
    rotary: Rotary | None = None

    @property
    def n_queries(self) -> int:
        """Rows."""
        return self.query.shape[2]

    @property
    def n_keys(self) -> int:
        """Columns that are kept."""
        return self.key.shape[2]

    @property
    def n_heads(self) -> int:
        """Heads that are kept."""
        return self.query.shape[1]

    @property
    def batch(self) -> int:
        """Examples."""
        return self.query.shape[0]

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        return self.query.device

    def terms(self, rows: slice) -> Tensor:
        """What the mask adds to the scores of some rows: [batch or 1, 1 or heads, rows, keys]."""
        n_queries, n_keys = self.n_queries, self.n_keys
        if self.mask is None:
            terms = self.query.new_zeros(1, 1, rows.stop - rows.start, n_keys)
            if self.causal:
                hidden = torch.ones_like(terms, dtype=torch.bool).triu(rows.start + n_keys - n_queries + 1)
                terms.masked_fill_(hidden, torch.finfo(terms.dtype).min)
            return terms
        mask = self.mask[:, :, rows] if self.mask.shape[2] != 1 else self.mask
        if mask.dtype == torch.bool:
            return torch.zeros_like(mask, dtype=self.query.dtype).masked_fill(~mask, torch.finfo(self.query.dtype).min)
        return mask

    def probed(self) -> Probe | None:
        """The first, the middle and the last row, as they run."""
        n = self.n_queries
        if n == 0 or self.n_keys == 0:
            return None
        rows = _probed_rows(n)
        places = rows.to(self.device)
        wide = torch.promote_types(self.query.dtype, torch.float32)
        q = self.query[:, :, places].to(wide) * self.scaling
        # Heads that share keys stand below each other, so that the keys need no copies.
        scores = q.reshape(self.batch, self.key.shape[1], -1, q.shape[-1]) @ self.key.to(wide).mT
        scores = scores.view(*q.shape[:3], -1)

        def at(term: Tensor) -> Tensor:
            return (term if term.shape[2] == 1 else term[:, :, places])[..., : self.n_keys]

        if self.position_bias is not None:
            scores = scores + at(self.position_bias)
        if self.softcap is not None:
            scores = (scores / self.softcap).tanh() * self.softcap
        if self.mask is not None:
            mask = at(self.mask)
            scores = scores.masked_fill(~mask if mask.dtype == torch.bool else mask <= HIDDEN, -math.inf)
            scores = scores if mask.dtype == torch.bool else scores + mask.masked_fill(mask <= HIDDEN, 0)
        elif self.causal:
            last = places[:, None] + self.n_keys - n
            scores = scores.masked_fill(torch.arange(self.n_keys, device=self.device) > last, -math.inf)
        total = scores.logsumexp(-1)
        if self.sinks is not None:
            total = torch.logaddexp(total, self.sinks.flatten()[:, None].to(total))
        return Probe(rows, total.detach())

    def of_rows(self, rows: Tensor) -> Self:
        """The call of some rows of the batch, in that order."""
        if torch.equal(rows, torch.arange(self.batch)):
            return self

        def pick(tensor: Tensor) -> Tensor:
            return tensor if tensor.shape[0] == 1 and len(rows) == 1 else tensor[rows.to(tensor.device)]

        def pick_term(term: Tensor | None) -> Tensor | None:
            return term if term is None or term.shape[0] == 1 else term[rows.to(term.device)]

        return replace(
            self,
            query=pick(self.query),
            key=pick(self.key),
            mask=pick_term(self.mask),
            position_bias=pick_term(self.position_bias),
            rotary=self._turned(pick_term, pick_term),
            probe=self._probe_of(rows),
        )

    def first(self, n: int) -> Self:
        """The first n queries, with their keys."""
        less = 0 if self.place.crossing else self.n_queries - n
        return replace(
            self,
            query=self.query[:, :, :n],
            key=self.key[:, :, : self.n_keys - less],
            mask=None if self.mask is None else self.mask[:, :, :n],
            position_bias=None if self.position_bias is None else self.position_bias[:, :, :n],
            rotary=self._turned(lambda angles: angles[:, :n], lambda angles: angles[:, : angles.shape[1] - less]),
            seen=self.seen - less,
            probe=self._probe_of(n=n),
        )

    def keys_between(self, start: int, stop: int) -> Self:
        """The call with some of its keys alone; its mask goes on speaking of all."""
        front = self.n_keys - (0 if self.rotary is None else self.rotary.keys.shape[1])
        cut = slice(max(0, start - front), max(0, stop - front))

        def own(angles: Tensor) -> Tensor:
            return angles if cut == slice(0, angles.shape[1]) else angles[:, cut]  # what is whole stays shared

        return replace(self, key=self.key[:, :, start:stop], rotary=self._turned(lambda angles: angles, own))

    def _turned(self, queries: Callable[[Tensor], Any], keys: Callable[[Tensor], Any]) -> Rotary | None:
        """The turning of some queries and keys."""
        known = self.rotary
        return known and replace(known, queries=queries(known.queries), keys=keys(known.keys))

    def seen_by(self, example: int, rows: Tensor | None, shared: dict[Any, Tensor]) -> Tensor:
        """Which keys any of some queries of an example may see, in any head: bool [keys]."""
        n_keys = self.n_keys
        if self.mask is not None:
            return _seen(self.mask, example, rows, n_keys, shared)
        last = self.n_queries - 1 if rows is None else int(rows.max()) if len(rows) else -1
        if self.causal or last < 0:
            return torch.arange(n_keys, device=self.device) <= last + n_keys - self.n_queries
        return torch.ones(n_keys, dtype=torch.bool, device=self.device)

    def sees_itself(self, example: int) -> Tensor | None:
        """Which queries may see the key of their own position: bool [queries]; None where all may."""
        return None if self.mask is None else _diagonal(self.mask, example, self.front, self.n_keys)

    def layer_of(self, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        """One example as a layer of a map, with some of its queries and keys."""
        device = self.device  # layers may live on several
        rows = None if rows is None else rows.to(device)
        columns = None if columns is None else columns.to(device)

        def cut(term: Tensor, kind: str) -> Tensor:
            if (kind, id(term), device) not in shared:
                own = term[min(example, term.shape[0] - 1)][..., : self.n_keys].to(device)
                shared[kind, id(term), device] = _cut(own, rows, columns)
            kept: Tensor = shared[kind, id(term), device]
            return kept

        q, k = _own(self.query, example, rows), _own(self.key, example, columns)
        mask = Mask(causal=True, offset=k.shape[1] - q.shape[1]) if self.causal else Mask()
        if self.mask is not None:
            if ("rule", id(self.mask), device) not in shared:
                term = cut(self.mask, "mask")
                term = term.expand(-1, q.shape[1], -1)
                rule = Mask.from_visible(term) if term.dtype == torch.bool else Mask.from_additive(term)
                shared["rule", id(self.mask), device] = rule
            mask = shared["rule", id(self.mask), device]
        bias = None if self.position_bias is None else cut(self.position_bias, "bias")

        def turned(angles: Tensor, n: int, places: Tensor | None) -> Tensor:
            name = "angles", id(angles), n, None if places is None else tuple(places.tolist())
            if name not in shared:
                own = angles[min(example, angles.shape[0] - 1)]
                # What stood in front was turned before anybody listened.
                own = torch.cat([own.new_full((n - len(own), own.shape[1]), math.nan), own]) if n > len(own) else own
                shared[name] = own if places is None else own[places.to(own.device)]
            kept: Tensor = shared[name]
            return kept

        return ProjectedLayer(
            q=q,
            k=k,
            scaling=self.scaling,
            mask=mask,
            bias=bias if bias is not None and bool(bias.any()) else None,
            softcap=self.softcap,
            sinks=None if self.sinks is None else self.sinks.flatten(),
            dropout=self.dropout,
            rotary=self._turned(
                lambda own: turned(own, self.n_queries, rows), lambda own: turned(own, self.n_keys, columns)
            ),
        )


@dataclass(kw_only=True)
class Weights(Call):
    """A call held as its weights [batch, heads, queries, keys], where its queries and keys are not known.

    ``seeing`` says which keys a query may see, bool [batch or 1, 1 or heads, queries, keys]; None where all may.
    ``changed`` says that these weights are not what came out of their softmax.
    """

    weights: Tensor
    seeing: Tensor | None = None
    changed: bool = False

    @property
    def n_queries(self) -> int:
        """Rows."""
        return self.weights.shape[2]

    @property
    def n_keys(self) -> int:
        """Columns that are kept."""
        return self.weights.shape[3]

    @property
    def n_heads(self) -> int:
        """Heads that are kept."""
        return self.weights.shape[1]

    @property
    def batch(self) -> int:
        """Examples."""
        return self.weights.shape[0]

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        return self.weights.device

    def probed(self) -> Probe | None:
        """The first, the middle and the last row, as they ran."""
        n = self.n_queries
        if n == 0 or self.n_keys == 0:
            return None
        rows = _probed_rows(n)
        return Probe(rows, self.weights[:, :, rows.to(self.device)].float().sum(-1).log())

    def of_rows(self, rows: Tensor) -> Self:
        """The call of some rows of the batch, in that order."""
        if torch.equal(rows, torch.arange(self.batch)):
            return self
        seeing = self.seeing
        if seeing is not None and seeing.shape[0] > 1:
            seeing = seeing[rows.to(seeing.device)]
        weights = self.weights[rows.to(self.weights.device)]
        return replace(self, weights=weights, seeing=seeing, probe=self._probe_of(rows))

    def first(self, n: int) -> Self:
        """The first n queries, with their keys."""
        less = 0 if self.place.crossing else self.n_queries - n
        kept = self.n_keys - less
        return replace(
            self,
            weights=self.weights[:, :, :n, :kept],
            seeing=None if self.seeing is None else self.seeing[:, :, :n, :kept],
            seen=self.seen - less,
            probe=self._probe_of(n=n),
        )

    def seen_by(self, example: int, rows: Tensor | None, shared: dict[Any, Tensor]) -> Tensor:
        """Which keys any of some queries of an example may see, in any head: bool [keys]."""
        if self.seeing is not None:
            return _seen(self.seeing, example, rows, self.n_keys, shared)
        return torch.ones(self.n_keys, dtype=torch.bool, device=self.device)

    def sees_itself(self, example: int) -> Tensor | None:
        """Which queries may see the key of their own position: bool [queries]; None where all may."""
        return None if self.seeing is None else _diagonal(self.seeing, example, self.front, self.n_keys)

    def layer_of(self, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        """One example as a layer of a map, with some of its queries and keys."""
        matrix = _cut(self.weights[example], rows, columns)
        if matrix.shape == self.weights[example].shape and self.batch > 1:
            matrix = matrix.clone()  # does not keep the rest of the batch alive
        if self.seeing is None:
            # Of weights that were changed, it is not known what their softmax saw.
            return DenseLayer(matrix, None if self.changed else Mask())
        if ("rule", id(self.seeing)) not in shared:
            own = self.seeing[min(example, self.seeing.shape[0] - 1)]
            shared["rule", id(self.seeing)] = Mask.from_visible(_cut(own, rows, columns))
        return DenseLayer(matrix, shared["rule", id(self.seeing)])


def _probed_rows(n: int) -> Tensor:
    """The first, the middle and the last of n rows."""
    return torch.tensor(sorted({0, n // 2, n - 1}))


def _seen(term: Tensor, example: int, rows: Tensor | None, n_keys: int, shared: dict[Any, Tensor]) -> Tensor:
    """Keys that a mask shows to any of some rows; layers share masks, and what was found of them."""
    name = id(term), example, None if rows is None else tuple(rows.tolist())
    if name not in shared:
        own = term[min(example, term.shape[0] - 1)][..., :n_keys]
        own = own if rows is None or own.shape[1] == 1 else own[:, rows.to(own.device)]
        shared[name] = (own if own.dtype == torch.bool else own > HIDDEN).flatten(0, 1).any(0)
    return shared[name]


def _diagonal(term: Tensor, example: int, front: int, n_keys: int) -> Tensor:
    own = term[min(example, term.shape[0] - 1)][..., front:n_keys].diagonal(dim1=-2, dim2=-1)
    return (own if own.dtype == torch.bool else own > HIDDEN).any(0)


def agrees(layer: Layer, probe: Probe, rows: Tensor | None, example: int) -> bool:
    """Whether the probed rows that are still there are what they were when the call ran."""
    kept = torch.arange(layer.shape[1]) if rows is None else rows.cpu()
    place = {int(old): new for new, old in enumerate(kept.tolist())}
    known = [(i, place[int(row)]) for i, row in enumerate(probe.rows.tolist()) if int(row) in place]
    if not known or not layer.shape[2]:
        return True
    wanted = probe.total[min(example, len(probe.total) - 1)][:, [i for i, _ in known]].cpu()
    total = _total(layer, torch.tensor([new for _, new in known]), slice(0, layer.shape[0])).cpu()
    same = torch.isclose(total, wanted, rtol=1e-4, atol=2e-3) | (total.isnan() & wanted.isnan())
    same |= ~total.isfinite() | ~wanted.isfinite()  # rows of nothing, and overflow, which is said elsewhere
    return bool(same.all())


def _total(layer: Layer, rows: Tensor, heads: slice) -> Tensor:
    """Logarithm of the sum of rows, before they are divided by it: [heads, rows]."""
    if isinstance(layer, ProjectedLayer):
        scores, outside = layer.logits(heads, rows)
        return torch.logaddexp(scores.logsumexp(-1), outside)
    return layer.weights(heads, rows).sum(-1).log()


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
