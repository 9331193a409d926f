"""Spanning: runs of tokens that a person names in a view."""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import traitlets as t

from attnwidget.maps import AttentionMaps
from attnwidget.spans import SPAN_KINDS
from attnwidget.tokens import Span
from attnwidget.widget.answers.spans import told_spans
from attnwidget.widget.looking import text_of
from attnwidget.widget.several import Several

__all__ = ["Spanning", "named_spans"]


class Spanning(Several):
    """A view in which runs of tokens are named: `Explorer` says what its traits mean."""

    spans: t.List[Any] = t.List().tag(sync=True)
    span_kind = t.Unicode().tag(sync=True)

    @t.validate("spans")
    def _valid_spans(self, proposal: Any) -> list[list[Any]]:
        return named_spans(proposal["value"], self._length)

    @t.validate("span_kind")
    def _valid_kind(self, proposal: Any) -> str:
        kind: str = proposal["value"]
        if kind not in {"", "own", *SPAN_KINDS}:
            raise t.TraitError(f"span_kind={kind!r} is not known; expected 'own' or one of {', '.join(SPAN_KINDS)}.")
        return kind

    @t.observe("facts")
    def _keep_spans_inside(self, _change: Any) -> None:
        """Other maps may have fewer tokens."""
        length = self._length
        if length is not None and any(stop > length for _, _, stop in self.spans):
            self.spans = [span for span in self.spans if span[2] <= length]

    def spans_of(self, maps: AttentionMaps) -> str | list[tuple[str, int, int]] | None:
        """The spans that are looked at, as `attnwidget.figure` takes them; None where there are none to look at."""
        same = maps.key_tokens is maps.tokens
        own = []
        for name, *ends in self.spans:
            start, stop = (bisect_left(maps.key_tokens.begins, end) for end in ends)
            if start < stop:
                own.append((name, start, stop))
        if own and same and self.span_kind in {"", "own"}:
            return own
        kinds = list(told_spans(maps.key_tokens))
        kind = self.span_kind if self.span_kind in kinds else next(iter(kinds), None)
        return kind if same or kind in told_spans(maps.tokens) else None

    @property
    def _length(self) -> int | None:
        """Number of tokens of the text; None where there are no maps yet."""
        if not self._given:
            return None
        begins = text_of(self._given, self.map).begins
        return begins[-1] + 1 if begins else 0


def named_spans(given: Any, length: int | None) -> list[list[Any]]:
    """Spans as [name, start, stop], in the order of the text.

    Raises
    ------
    traitlets.TraitError
        When they are none, overlap, or lie outside the text.
    """
    if isinstance(given, (str, Span)) or not isinstance(given, Iterable):
        raise t.TraitError(f"spans is {given!r}; expected a list, as [('question', 0, 12)].")
    found = sorted((_span(one) for one in given), key=lambda span: span[1:])
    for name, start, stop in found:
        if not 0 <= start < stop or (length is not None and stop > length):
            there = "" if length is None else f" of {length} tokens"
            raise t.TraitError(f"the span {name!r} goes from {start} to {stop}; expected 0 <= start < stop{there}.")
    for (name, start, stop), (other, first, last) in pairwise(found):
        if first < stop:
            raise t.TraitError(f"the spans {name!r} ({start} to {stop}) and {other!r} ({first} to {last}) overlap.")
    return found


def _span(one: Any) -> list[Any]:
    try:
        name, start, stop = (one.name, one.start, one.stop) if isinstance(one, Span) else one
        start, stop = operator.index(start), operator.index(stop)
    except (TypeError, ValueError):
        raise t.TraitError(f"spans holds {one!r}; expected (name, start, stop).") from None
    if not isinstance(name, str) or not name.strip():
        raise t.TraitError(f"a span is called {name!r}; expected a name.")
    return [name.encode(errors="replace").decode(), start, stop]
