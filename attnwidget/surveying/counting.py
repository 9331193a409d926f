"""Counting: the numbers of a whole batch, of one attention after the other while it is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.capturing.attending import exponentiated, log_weights_of, rows_of, visible_in
from attnwidget.capturing.calls import Call
from attnwidget.capturing.projected import Projections
from attnwidget.measures.numbers import Known, numbers_of, row_numbers, what_to_read
from attnwidget.measures.walk import Rows, settle

__all__ = ["BatchNumbers", "Masses", "SeesPadding"]

BACKWARDS = ("locality",)  # large where its rows are small


class SeesPadding(Exception):  # noqa: N818 - what is done about it is no error
    """A model looks at padding, so that texts of several lengths cannot share a batch."""


@dataclass
class Masses:
    """Mass from label to label in one layer: each [batch, heads, labels, labels], and in which of them something is."""

    mass: Tensor
    chance: Tensor
    there: Tensor


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
        self._seen: dict[tuple[int, bool, int], tuple[object, Tensor]] = {}

    def of(self, call: Call) -> tuple[Tensor, Tensor, Masses | None]:
        """Numbers of a call [batch, heads, names], where in each text [2, batch, heads, names], and masses.

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
        device = call.device
        ids = self._ids.to(device)[:, None] if self.causal else None
        first = torch.zeros(1, dtype=torch.long, device=device)
        known = Known(first, positions=True, causal=self.causal, ids=ids, scores=isinstance(call, Projections))
        rows, sums = what_to_read(self.names, known)
        read: dict[str, list[Tensor]] = {name: [] for name in rows}
        total: dict[str, Tensor] = {}
        masses = None if self._labels is None else _Massing(self._labels.to(device), self._n_labels)
        for block in self._blocks(call):
            for name, measure in rows.items():
                read[name].append(measure(block))
            for name, measure in sums.items():
                value = measure(block).to(block.weights.dtype)
                total[name] = total[name] + value if name in total else value
            if masses is not None:
                masses.add(block)
        found = {name: parts[0] if len(parts) == 1 else torch.cat(parts, -1) for name, parts in read.items()} | total
        of_rows = row_numbers(found)
        numbers = numbers_of(found, of_rows, causal=self.causal)
        nothing = torch.full((batch, call.n_heads), math.nan, device=device)
        values = torch.stack([numbers.get(name, nothing).expand(batch, call.n_heads) for name in self.names], -1)
        places = torch.stack([self._places(name, of_rows, found, numbers, values[..., 0]) for name in self.names], -1)
        return values, places, None if masses is None else masses.done()

    def _places(
        self, name: str, of_rows: dict[str, Tensor], found: dict[str, Tensor], numbers: dict[str, Tensor], like: Tensor
    ) -> Tensor:
        """The token that speaks most for a number being large, and for its being small: int [2, batch, heads]."""
        if name in {"sink", "sink_key"}:
            key = numbers["sink_key"].nan_to_num(0).long()
            return torch.stack([key, key])
        rows = found.get("distance") if name in BACKWARDS else of_rows.get(name)
        if rows is None:
            return torch.zeros(2, *like.shape, dtype=torch.long, device=like.device)
        largest = rows.masked_fill(rows.isnan(), -math.inf).argmax(-1)
        smallest = rows.masked_fill(rows.isnan(), math.inf).argmin(-1)
        both = [smallest, largest] if name in BACKWARDS else [largest, smallest]
        return torch.stack(both).expand(2, *like.shape)

    def _blocks(self, call: Call) -> Iterator[Rows]:
        heads = range(call.n_heads)
        for part in rows_of(call, heads, slice(0, call.n_queries)):
            visible = self._visible(call, part)
            scores, sink = log_weights_of(call, heads, part)
            scores = scores.masked_fill(~visible, -math.inf)
            if bool((sink > -math.inf).any()):
                weights = exponentiated(scores, sink)
            else:
                seeing = visible.any(-1, keepdim=True)
                weights = scores.masked_fill(~seeing, 0).softmax(-1).masked_fill_(~seeing, 0)
            query = torch.arange(part.start, part.stop, device=call.device)[:, None]
            weights, total = settle(weights, visible, owned=True)
            known = isinstance(call, Projections)
            yield Rows(
                call.place.layer, part, query, weights, visible, total,
                scores if known else None, sink if known else None,
            )  # fmt: skip

    def _visible(self, call: Call, rows: slice) -> Tensor:
        """Which keys the rows of real tokens may see: bool [batch, heads or 1, rows, keys]; layers share masks."""
        rule = call.mask if isinstance(call, Projections) else getattr(call, "seeing", None)
        name = id(rule), getattr(call, "causal", False), rows.start
        if name not in self._seen:
            real = self._real.to(call.device)
            seen = visible_in(call, rows) & real[:, None, rows, None]
            if bool((seen & ~real[:, None, None]).any()):
                raise SeesPadding
            self._seen[name] = rule, seen
        return self._seen[name][1].to(call.device)


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
