"""Spans: how much runs of tokens give to each other, and where each query looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget import measures
from attnwidget.layers import Layer, check_factor
from attnwidget.lenses.heads import MeanOfHeads
from attnwidget.lenses.tempered import Tempered
from attnwidget.maps import AttentionMaps
from attnwidget.measures.spans import axis_spans, sums_by_span
from attnwidget.measures.walk import Walk
from attnwidget.spans import find_spans
from attnwidget.tokens import Span, Tokens
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32
from attnwidget.widget.answers.spread import FEWEST_ROWS, LONG

__all__ = ["MOST_SPANS", "span_mass", "span_rows", "spans", "told_spans"]

MOST_SPANS = 256  # of a kind that are told and answered: a map of so many is as large as a screen
SPANNED = 1 << 25  # cells of all heads of a layer that are read for a map of spans: a third of a second


def told_spans(tokens: Tokens) -> dict[str, tuple[Span, ...]]:
    """Of the kinds of spans that were found, those that say something: not one run that is the whole text."""
    plain = len(tokens) - sum(tokens.special)

    def tells(spans: tuple[Span, ...]) -> bool:
        return len(spans) > 1 or sum(not special for special in tokens.special[spans[0].start : spans[0].stop]) < plain

    return {kind: spans for kind, spans in find_spans(tokens).items() if len(spans) <= MOST_SPANS and tells(spans)}


def spans(maps: AttentionMaps) -> Answer:
    """The spans that were found by themselves.

    Returns
    -------
    Answer
        Header ``queries`` and ``keys``, None where these are the same tokens: of each kind its runs, [name, start,
        stop].
    """
    queries, keys = (
        {kind: _listed(found) for kind, found in told_spans(tokens).items()}
        for tokens in (maps.tokens, maps.key_tokens)
    )
    return Answer({"queries": queries, "keys": None if maps.key_tokens is maps.tokens else keys})


def span_mass(
    maps: AttentionMaps,
    layer: int,
    *,
    kind: str | None = None,
    spans: Any = None,
    key_spans: Any = None,
    temperature: float = 1.0,
    scaling: float = 1.0,
) -> Answer:
    """How much each span gives to each span, for all heads of a layer.

    Parameters
    ----------
    maps : AttentionMaps
        Where the layer is.
    layer : int
        Which.
    kind : str or None
        Spans that were found, as the facts tell them.
    spans, key_spans : list of [name, start, stop], or None
        Others, named by hand; those of keys where keys are other tokens than queries.
    temperature, scaling : float
        At which the weights are taken.

    Returns
    -------
    Answer
        Buffers: mass float32 [heads, spans, key spans] and chance float32 [spans, key spans], NaN where no query of a
        span has values. Header ``spans`` and ``key_spans``, each [name, start, stop]; ``sampled``: rows read and rows
        that the spans have, None where all were read.

    Raises
    ------
    IndexError
        When there is no such layer.
    TypeError, ValueError
        When the spans cannot be used.
    """
    source, _ = maps.locate(layer, 0)
    one = _one(maps, source, slice(0, source.shape[0]), temperature, scaling)
    of_queries, of_keys = axis_spans(one, _asked(kind, spans), key_spans, (maps.n_queries, maps.n_keys))
    _check_number(of_queries)
    _check_number(of_keys)
    rows, of = _spread(of_queries, SPANNED // max(1, source.shape[0] * maps.n_keys))
    with torch.no_grad():
        mass, chance = sums_by_span(Walk(one, rows=rows, trimmed=True), of_queries, of_keys, "mass", "chance")
    header = {
        "layer": layer,
        "heads": source.shape[0],
        "spans": _listed(of_queries),
        "key_spans": _listed(of_keys),
        "sampled": None if len(rows) == of else (len(rows), of),
        "temperature": temperature,
        "scaling": scaling,
    }
    return Answer(header, [float32(mass[0]), float32(chance[0].nanmean(0))])


def span_rows(
    maps: AttentionMaps,
    layer: int,
    head: int | None = None,
    *,
    kind: str | None = None,
    spans: Any = None,
    rows: Sequence[int] | None = None,
    temperature: float = 1.0,
    scaling: float = 1.0,
) -> Answer:
    """Where each query looks: its mass on each span of keys, on itself, and on the rest.

    Parameters
    ----------
    maps : AttentionMaps
        Where the map is.
    layer : int
        Which layer.
    head : int or None
        Which head; None for the mean of the heads.
    rows : tuple of int or None
        Half-open range of queries, as the generated ones; None for all. Of many an even spread is read.
    kind, spans, temperature, scaling
        As in `span_mass`; spans are of keys.

    Returns
    -------
    Answer
        Buffers: mass float32 [rows, spans + 2], behind the spans what a query gives to itself (NaN where queries are no
        keys) and to keys in no span, NaN throughout where a query sees nothing; queries uint32 [rows]. Header
        ``spans``, and ``sampled``: queries read and queries in the range, None where all were read.

    Raises
    ------
    IndexError
        When there is no such layer or head, or when the rows lie outside the map.
    TypeError, ValueError
        When the spans cannot be used.
    """
    source, heads = maps.locate(layer, 0 if head is None else head)
    if head is None:
        source, heads = MeanOfHeads(source), slice(0, 1)
    one = _one(maps, source, heads, temperature, scaling)
    _, found = axis_spans(one, None, _asked(kind, spans), (maps.n_queries, maps.n_keys), queries=False)
    _check_number(found)
    start, stop = (0, maps.n_queries) if rows is None else rows
    if not 0 <= start < stop <= maps.n_queries:
        raise IndexError(f"rows {start} to {stop} lie outside the map, which has rows 0 to {maps.n_queries}.")
    n_heads = maps.heads[layer] if head is None else 1
    read = min(LONG, max(FEWEST_ROWS, 2 * SPANNED // (n_heads * maps.n_keys)))
    read = stop - start if maps.n_queries <= LONG else min(read, stop - start)
    chosen = torch.linspace(start, stop - 1, read).round().long()
    itself = maps.key_tokens is maps.tokens or maps.causal
    with torch.no_grad():
        mass = measures.span_rows(one, 0, 0, found, own=itself, queries=chosen.tolist())
    if not itself:
        mass = torch.cat([mass[:, :-1], torch.full_like(mass[:, -1:], math.nan), mass[:, -1:]], -1)
    header = {
        "layer": layer,
        "head": head,
        "spans": _listed(found),
        "sampled": None if read == stop - start else (read, stop - start),
        "temperature": temperature,
        "scaling": scaling,
    }
    return Answer(header, [float32(mass), chosen.numpy().astype(np.uint32).tobytes()])


def _one(maps: AttentionMaps, source: Layer, heads: slice, temperature: float, scaling: float) -> AttentionMaps:
    """Maps of some heads of one layer, at a temperature."""
    check_factor(temperature, scaling, source)
    as_it_is = temperature == scaling and heads == slice(0, source.shape[0])
    layer = source if as_it_is else Tempered(source, heads, scaling / temperature)
    return AttentionMaps([layer], maps.tokens, None if maps.key_tokens is maps.tokens else maps.key_tokens)


def _asked(kind: str | None, spans: Any) -> Any:
    if (kind is None) == (spans is None):
        raise ValueError("a question about spans names a kind of them, or lists them: kind= or spans=.")
    return kind if spans is None else spans


def _check_number(spans: Sequence[Span]) -> None:
    if len(spans) > MOST_SPANS:
        raise ValueError(
            f"these are {len(spans):,} spans, and {MOST_SPANS} can be shown; choose fewer, or measure them in Python: "
            "attnwidget.measures.span_mass."
        )


def _spread(spans: Sequence[Span], most: int) -> tuple[Tensor, int]:
    """Rows in spans, or of each an even spread, about so many in all; and how many rows the spans have."""
    of = sum(span.stop - span.start for span in spans)
    parts = []
    for span in spans:
        length = span.stop - span.start
        read = min(length, max(1, length * most // of))
        # Each row in the middle of those that it stands for.
        parts.append(span.start + ((torch.arange(read) + 0.5) * length / read).long())
    return torch.cat(parts).sort().values, of


def _listed(spans: Sequence[Span]) -> list[tuple[str, int, int]]:
    return [(span.name, span.start, span.stop) for span in spans]
