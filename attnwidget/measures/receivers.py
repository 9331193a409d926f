"""Receivers: whether later sentences look at a few single sentences, over and over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole
from attnwidget.measures.given import Excluded, Given, MaskLike
from attnwidget.measures.spans import SpansLike, axis_spans, by_span, ends_of, rows_inside, span_mass
from attnwidget.measures.walk import Measure, Rows, Walk
from attnwidget.spans import find_spans
from attnwidget.tokens import Span

__all__ = ["FEWEST", "GAP", "UNKNOWN_RECEIVERS", "Receiving", "receiver_score"]

GAP = 4  # sentences between one that looks and one that is looked at, so that neighbours do not count
FEWEST = 8  # values, for a kurtosis to mean anything
_EVEN = 1e-5  # share of the mean: less spread than that is rounding
UNKNOWN_RECEIVERS = (
    f"It needs self-attention over a text of {FEWEST + GAP} sentences or more; attnwidget.find_spans says which there "
    "are."
)


def receiver_score(
    a: Given,
    spans: SpansLike = "sentences",
    gap: int = GAP,
    *,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Whether later spans look at a few single spans, over and over: the kurtosis of what each gets from later ones.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Self-attention.
    spans : str, sequence of Span or of (name, start, stop), or None
        As in `span_mass`; of a text of reasoning, its sentences.
    gap : int
        Only spans at least so many places later count, at least 1.
    mask, causal, exclude_tokens
        As in `entropy`.

    Returns
    -------
    Tensor [...]
        For maps layers x heads. Excess kurtosis (Fisher's, of the population, at least -2, and 0 for a normal
        distribution) of r[s], the mean over the spans S at least ``gap`` later of M[S, s] / tokens of s. NaN where
        fewer than 8 spans have a value, or where all have the same.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or ``gap`` no integer.
    ValueError
        When the map is no self-attention, ``gap`` is below 1, or the spans cannot be used.

    References
    ----------
    Bogdan et al., Thought Anchors, 2025.
    """
    if whole("gap", gap) < 1:
        raise ValueError(f"gap={gap}; expected 1 or more places from one span to a later one.")
    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    walk.require_square("a receiver score")
    found = span_mass(a, spans, measure="per_token", mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    of_queries, _ = axis_spans(a, spans, None, (walk.n_queries, walk.n_keys))
    order = sorted(range(len(of_queries)), key=lambda number: of_queries[number].start)
    found = found[..., order, :][..., order].double()
    place = torch.arange(len(order), device=found.device)
    counted = (place[:, None] - place >= gap) & ~found.isnan()
    mean = found.masked_fill(~counted, 0).sum(-2) / counted.sum(-2)
    return _kurtosis(mean).to(walk.dtype)


class Receiving:
    """The same of the sentences of maps, added up in a walk beside other measures.

    A head with a row that has no values in some sentence has no score: how many such rows there are is not known
    before all are read.

    Parameters
    ----------
    maps : AttentionMaps
        What is measured.
    rows : Tensor of int or None
        The rows that are read, in ascending order; None for all.
    """

    def __init__(self, maps: AttentionMaps, rows: Tensor | None = None) -> None:
        self.spans: Sequence[Span] = ()
        if maps.n_queries == maps.n_keys and maps.key_tokens is maps.tokens:
            self.spans = find_spans(maps.tokens, "sentences").get("sentences", ())
        read = torch.arange(maps.n_queries) if rows is None else rows.cpu()
        counts = [int(((read >= span.start) & (read < span.stop)).sum()) for span in self.spans]
        self._share = [1 / max(1, count) for count in counts]
        self._later = torch.tensor([sum(map(bool, counts[number + GAP :])) for number in range(len(counts))])
        self._ends = ends_of(self.spans, torch.device("cpu"))

    @property
    def known(self) -> bool:
        """Whether there are sentences enough."""
        return len(self.spans) >= FEWEST + GAP

    @property
    def sums(self) -> dict[str, Measure]:
        """What is added over all rows."""
        return {"receiver": self._received}

    def _received(self, rows: Rows) -> Tensor:
        """What each sentence gets from rows of sentences late enough: [..., sentences]."""
        total = rows.weights.new_zeros(*rows.weights.shape[:-2], len(self.spans), dtype=torch.float64)
        ends = self._ends.to(total.device)
        for number, here in rows_inside(rows, self.spans, range(len(self.spans))):
            last = number + 1 - GAP
            if last > 0:
                mass = rows.weights[..., here, : self.spans[last - 1].stop].sum(-2)
                total[..., :last] += by_span(mass, ends[:, :last]) * self._share[number]
        return total

    def score(self, total: Tensor) -> Tensor:
        """The score of each head, of the sums [..., sentences or more]."""
        lengths = self._ends[1] - self._ends[0]
        received = total[..., : len(self.spans)]
        return _kurtosis(received / (self._later * lengths).to(received)).to(total.dtype)


def _kurtosis(values: Tensor) -> Tensor:
    """Excess kurtosis over the last axis of what is not NaN; NaN of fewer than 8, or where all are the same."""
    values = values.double()
    known = ~values.isnan()
    count = known.sum(-1)
    mean = values.masked_fill(~known, 0).sum(-1) / count
    apart = (values - mean[..., None]).masked_fill(~known, 0)
    second, fourth = (apart.pow(power).sum(-1) / count for power in (2, 4))
    even = second.sqrt() <= _EVEN * mean.abs()
    return (fourth / second.square() - 3).masked_fill((count < FEWEST) | even, math.nan)
