"""Counting: the numbers of a whole batch, of one attention after the other while it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from attnwidget.capturing.attending import (
    exponentiated,
    log_weights_of,
    rows_of,
    sinks_of,
    unmasked,
    visible_in,
    weights_of,
)
from attnwidget.capturing.calls import Call
from attnwidget.capturing.projected import Projections
from attnwidget.measures.numbers import SINKS, Known, numbers_of, row_numbers, what_to_read
from attnwidget.measures.walk import Measure, Rows, settle

__all__ = ["BatchNumbers", "Counted", "Masses", "SeesPadding"]

BACKWARDS = ("locality",)  # large where its rows are small
OF_MASK = ("uniform_distance", "seen", "passed")  # the mask alone says, where every row that sees has values


class SeesPadding(Exception):  # noqa: N818 - what is done about it is no error
    """A model looks at padding, so that texts of several lengths cannot share a batch."""


@dataclass
class Masses:
    """Mass from label to label in one layer: each [batch, heads, labels, labels], and in which of them something is."""

    mass: Tensor
    chance: Tensor
    there: Tensor


class Counted(NamedTuple):
    """What was found of one attention.

    Attributes
    ----------
    values : Tensor [batch, heads, names]
        Numbers.
    places : Tensor of int [2, batch, heads, names]
        Where in each text.
    masses : Masses or None
        From label to label.
    broken : Tensor of bool [batch, heads]
        In which a row that sees keys holds NaN.
    """

    values: Tensor
    places: Tensor
    masses: Masses | None
    broken: Tensor


class BatchNumbers:
    """The numbers of every head for each text of a batch.

    Parameters
    ----------
    names : sequence of str
        Of `attnwidget.measures.numbers.NUMBERS`.
    ids : Tensor of int [batch, tokens]
        What was read, padding behind.
    real : Tensor of bool [batch, tokens]
        What is no padding.
    labels : Tensor of int [batch, tokens] or None
        Number of the label of each token, -1 where it has none.
    n_labels : int
        How many labels there are.
    causal : bool
        Whether no query of the model sees a later key.
    """

    def __init__(
        self,
        names: Sequence[str],
        ids: Tensor,
        real: Tensor,
        *,
        labels: Tensor | None = None,
        n_labels: int = 0,
        causal: bool,
    ) -> None:
        self.names, self.causal = names, causal
        self._ids, self._real, self._labels, self._n_labels = ids, real, labels, n_labels
        self._reading: dict[tuple[torch.device, bool], tuple[dict[str, Measure], dict[str, Measure]]] = {}
        self._seen: dict[tuple[int, bool, int, torch.device], _Seen] = {}

    def of(self, call: Call, *, scored: bool) -> Counted:
        """The numbers of a call.

        Parameters
        ----------
        call : Call
            The attention.
        scored : bool
            Whether its scores are told; a bias by distance hides them, but for texts of one token.

        Raises
        ------
        SeesPadding
            When a query looks at padding.
        ValueError
            When the queries and keys are not the tokens of the text.
        """
        batch, n = self._real.shape
        if (call.batch, call.n_queries, call.n_keys) != (batch, n, n):
            raise ValueError(
                f"layer {call.place.layer} attends with {call.n_queries} queries to {call.n_keys} keys in "
                f"{call.batch} rows, and the batch is {batch} texts of {n} tokens: a survey is of self-attention over "
                "the tokens of a text."
            )
        device, scored = call.device, scored and isinstance(call, Projections)
        if (device, scored) not in self._reading:
            ids = self._ids.to(device)[:, None] if self.causal else None
            first = torch.zeros(1, dtype=torch.long, device=device)
            known = Known(first, positions=True, causal=self.causal, ids=ids, scores=scored)
            self._reading[device, scored] = what_to_read(self.names, known)
        rows, sums = self._reading[device, scored]
        read: dict[str, list[Tensor]] = {name: [] for name in rows}
        total: dict[str, Tensor] = {}
        masses = None if self._labels is None else _Massing(self._labels.to(device), self._n_labels)
        broken = torch.zeros(batch, call.n_heads, dtype=torch.bool, device=device)
        for block, seen, without in self._blocks(call):
            shared = OF_MASK if without is None else ()
            if without is not None:
                broken |= without
            for name, measure in rows.items():
                read[name].append(seen.once(name, measure, block) if name in shared else measure(block))
            for name, measure in sums.items():
                value = (seen.once(name, measure, block) if name in shared else measure(block)).to(block.weights.dtype)
                total[name] = total[name] + value if name in total else value
            if masses is not None:
                masses.add(block)
        found = {name: parts[0] if len(parts) == 1 else torch.cat(parts, -1) for name, parts in read.items()} | total
        of_rows = row_numbers(found)
        numbers = numbers_of(found, of_rows, causal=self.causal)
        nothing = torch.full((batch, call.n_heads), math.nan, device=device)
        values = torch.stack([numbers.get(name, nothing).expand(batch, call.n_heads) for name in self.names], -1)
        places = _places(self.names, of_rows, found, values[..., 0])
        for at, name in enumerate(self.names):
            if name in SINKS:
                places[..., at] = numbers["sink_key"].nan_to_num(0).long()
        return Counted(values, places, None if masses is None else masses.done(), broken)

    def _blocks(self, call: Call) -> Iterator[tuple[Rows, _Seen, Tensor | None]]:
        """Rows, what they may see, and in which heads one that sees keys holds NaN, [batch, heads], or None."""
        for part in rows_of(call, range(call.n_heads), slice(0, call.n_queries)):
            seen = self._seen_in(call, part)
            rows = self._rows(call, part, seen, seen.add)
            without = rows.without & seen.anything
            if bool(without.any()):
                rows = self._rows(call, part, seen, seen.fill)
                yield rows, seen, (rows.without & seen.anything).any(-1)
            else:
                yield rows, seen, None

    @staticmethod
    def _rows(call: Call, part: slice, seen: _Seen, hide: Callable[[Tensor], Tensor]) -> Rows:
        """Some rows of all heads, with what is not seen hidden in a way."""
        heads = range(call.n_heads)
        scores = sink = None
        if not isinstance(call, Projections):
            weights, total = settle(weights_of(call, heads, part), seen.visible, owned=True)
        else:
            plain = call.mask is None or call.mask.dtype == torch.bool
            scores = unmasked(call, heads, part) if plain else log_weights_of(call, heads, part)[0]
            sink = sinks_of(call, heads, scores)
            if call.sinks is None:
                scores = hide(scores)
                # What `settle` would give: what is hidden has no weight, and a row that sees nothing is NaN.
                weights = scores.softmax(-1)
                total = weights.sum(-1)
                weights.div_(total[..., None])
            else:  # what is hidden does not spoil its whole row here, and is not found by that
                scores = seen.fill(scores)
                weights, total = settle(exponentiated(scores, sink), seen.visible, owned=True)
        return Rows(call.place.layer, part, seen.query, weights, seen.visible, total, scores, sink, seen.count)

    def _seen_in(self, call: Call, rows: slice) -> _Seen:
        """Which keys the rows of real tokens may see; layers share masks, and what was found of them."""
        rule = call.mask if isinstance(call, Projections) else getattr(call, "seeing", None)
        name = id(rule), getattr(call, "causal", False), rows.start, call.device
        if name not in self._seen:
            real = self._real.to(call.device)
            visible = visible_in(call, rows) & real[:, None, rows, None]
            if bool((visible & ~real[:, None, None]).any()):
                raise SeesPadding
            query = torch.arange(rows.start, rows.stop, device=call.device)[:, None]
            self._seen[name] = _Seen(rule, query, visible)
        return self._seen[name]


@dataclass
class _Seen:
    """Which keys some rows may see, bool [batch, heads or 1, rows, keys], where they stand, and what mask says so."""

    rule: object
    query: Tensor
    visible: Tensor
    _known: dict[tuple[str, torch.Size, torch.dtype], Tensor] = field(default_factory=dict)

    def once(self, name: str, measure: Measure, block: Rows) -> Tensor:
        """What a measure makes of the mask alone: found for the first layer of a shape, and no other."""
        of = name, block.weights.shape, block.weights.dtype
        if of not in self._known:
            self._known[of] = measure(block)
        return self._known[of]

    def add(self, scores: Tensor) -> Tensor:
        """Hide scores in place, in an eighth of the time of filling; not those that are infinite or NaN."""
        return scores.add_(self._terms.to(scores.dtype))

    def fill(self, scores: Tensor) -> Tensor:
        """Hide scores in place, whatever they are."""
        return scores.masked_fill_(~self.visible, -math.inf)

    @cached_property
    def anything(self) -> Tensor:
        """Which rows see any key: bool [batch, heads or 1, rows]."""
        return self.visible.any(-1)

    @cached_property
    def count(self) -> Tensor:
        """How many keys each row sees: float32 [batch, heads or 1, rows]."""
        return self.visible.sum(-1).float()

    @cached_property
    def _terms(self) -> Tensor:
        return torch.zeros(self.visible.shape, device=self.visible.device).masked_fill_(~self.visible, -math.inf)


def _places(names: Sequence[str], of_rows: dict[str, Tensor], found: dict[str, Tensor], like: Tensor) -> Tensor:
    """The token that speaks most for each number being large, and for its being small: int [2, batch, heads, names].

    Parameters
    ----------
    names : sequence of str
        The numbers.
    of_rows : dict of Tensor [batch, heads, queries]
        Numbers that rows have by themselves.
    found : dict of Tensor
        What was read.
    like : Tensor [batch, heads]
        Any number, for its shape.
    """
    rows = [found["distance"].neg() if name in BACKWARDS else of_rows.get(name) for name in names]
    known = [one.expand(*like.shape, -1) for one in rows if one is not None]
    places = torch.zeros(2, *like.shape, len(names), dtype=torch.long, device=like.device)
    if known:
        stacked = torch.stack(known, 2)  # [batch, heads, names, queries]
        without = stacked.isnan()
        at = [number for number, one in enumerate(rows) if one is not None]
        places[0][..., at] = stacked.masked_fill(without, -math.inf).argmax(-1)
        places[1][..., at] = stacked.masked_fill(without, math.inf).argmin(-1)
    return places


class _Massing:
    """Mass from label to label, added up over blocks of rows."""

    def __init__(self, labels: Tensor, n: int) -> None:
        self._of = torch.nn.functional.one_hot(labels + 1, n + 1)[..., 1:].double()  # [batch, tokens, labels]
        self._mass: Tensor | int = 0
        self._chance: Tensor | int = 0
        self._count: Tensor | int = 0

    def add(self, block: Rows) -> None:
        """Some rows."""
        with_values = ~block.without
        rows = self._of[:, block.rows]
        of_keys = self._of[:, None]
        counted = rows[:, None] * with_values[..., None]
        for name, weights in (("_mass", block.weights), ("_chance", block.uniform.expand_as(block.weights))):
            given = weights.masked_fill(~with_values[..., None], 0).double() @ of_keys
            setattr(self, name, getattr(self, name) + counted.mT @ given)
        self._count = self._count + counted.sum(-2)

    def done(self) -> Masses:
        """Means over the rows of each label."""
        count = torch.as_tensor(self._count)[..., None]
        there = (count > 0) & (self._of.sum(1) > 0)[:, None, None]
        mass, chance = (torch.as_tensor(one) / count.clamp(min=1) for one in (self._mass, self._chance))
        return Masses(mass, chance, there)
