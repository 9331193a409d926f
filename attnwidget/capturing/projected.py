"""Projected: a call held as the queries and keys that it attended with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call, cut, diagonal, own_vectors, seen
from attnwidget.capturing.probes import Probe, probed_rows
from attnwidget.layers import HIDDEN, Layer, Mask, ProjectedLayer
from attnwidget.rotary import Rotary

__all__ = ["Projections"]


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
        rows = probed_rows(n)
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
            value=None if self.value is None else pick(self.value),
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
            value=None if self.value is None else self.value[:, :, : self.n_keys - less],
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

        value = None if self.value is None else self.value[:, :, start:stop]
        rotary = self._turned(lambda angles: angles, own)
        return replace(self, key=self.key[:, :, start:stop], value=value, rotary=rotary)

    def _turned(self, queries: Callable[[Tensor], Any], keys: Callable[[Tensor], Any]) -> Rotary | None:
        """The turning of some queries and keys."""
        known = self.rotary
        return known and replace(known, queries=queries(known.queries), keys=keys(known.keys))

    def seen_by(self, example: int, rows: Tensor | None, shared: dict[Any, Tensor]) -> Tensor:
        """Which keys any of some queries of an example may see, in any head: bool [keys]."""
        n_keys = self.n_keys
        if self.mask is not None:
            return seen(self.mask, example, rows, n_keys, shared)
        last = self.n_queries - 1 if rows is None else int(rows.max()) if len(rows) else -1
        if self.causal or last < 0:
            return torch.arange(n_keys, device=self.device) <= last + n_keys - self.n_queries
        return torch.ones(n_keys, dtype=torch.bool, device=self.device)

    def sees_itself(self, example: int) -> Tensor | None:
        """Which queries may see the key of their own position: bool [queries]; None where all may."""
        return None if self.mask is None else diagonal(self.mask, example, self.front, self.n_keys)

    def layer_of(self, example: int, rows: Tensor | None, columns: Tensor | None, shared: dict[Any, Any]) -> Layer:
        """One example as a layer of a map, with some of its queries and keys."""
        device = self.device  # layers may live on several
        rows = None if rows is None else rows.to(device)
        columns = None if columns is None else columns.to(device)

        def shown(term: Tensor, kind: str) -> Tensor:
            if (kind, id(term), device) not in shared:
                own = term[min(example, term.shape[0] - 1)][..., : self.n_keys].to(device)
                shared[kind, id(term), device] = cut(own, rows, columns)
            kept: Tensor = shared[kind, id(term), device]
            return kept

        q, k = own_vectors(self.query, example, rows), own_vectors(self.key, example, columns)
        mask = Mask(causal=True, offset=k.shape[1] - q.shape[1]) if self.causal else Mask()
        if self.mask is not None:
            if ("rule", id(self.mask), device) not in shared:
                term = shown(self.mask, "mask")
                term = term.expand(-1, q.shape[1], -1)
                rule = Mask.from_visible(term) if term.dtype == torch.bool else Mask.from_additive(term)
                shared["rule", id(self.mask), device] = rule
            mask = shared["rule", id(self.mask), device]
        bias = None if self.position_bias is None else shown(self.position_bias, "bias")

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
            values=self.values_of(example, columns),
            rotary=self._turned(
                lambda own: turned(own, self.n_queries, rows), lambda own: turned(own, self.n_keys, columns)
            ),
        )
