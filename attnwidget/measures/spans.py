"""Measures of spans: how much of its attention one run of tokens gives to another."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

from attnwidget.layers import blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, positions, whole
from attnwidget.measures.given import Excluded, Given, MaskLike
from attnwidget.measures.walk import Rows, Walk, settle, stack_layers
from attnwidget.spans import find_spans
from attnwidget.tokens import Span, Tokens

__all__ = ["SpansLike", "axis_spans", "by_span", "ends_of", "rows_inside", "span_mass", "span_rows", "sums_by_span"]

SpansLike: TypeAlias = str | Sequence[Span | tuple[str, int, int]] | None


def span_mass(
    a: Given,
    spans: SpansLike = None,
    key_spans: SpansLike = None,
    *,
    measure: str = "mass",
    queries: Sequence[int] | None = None,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """How much of its attention each span gives to each span.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax. The rows of maps that hold queries and keys are made once, in blocks.
    spans : str, sequence of Span or of (name, start, stop), or None
        Runs of queries, and of keys where these are the same tokens: explicit ones; those of a kind that `find_spans`
        finds in the tokens of maps, as "sentences"; or None for the spans that these tokens have.
    key_spans : as spans
        Runs of keys, where these are other tokens; None takes the same kind there.
    measure : {"mass", "per_token", "chance"}
        "mass" is M[S, T], the mean over the queries i of S that have values of sum over the keys j of T of A_ij, in [0,
        1]. "per_token" divides it by the number of keys of T. "chance" is what a head that looks everywhere alike
        would give: the mean of ``|T and what i sees| / |what i sees|``.
    queries : sequence of int or None
        Only these rows count; None for all.
    mask, causal, exclude_tokens
        As in `entropy`.

    Returns
    -------
    Tensor [..., spans of queries, spans of keys]
        For maps the first axes are layers x heads, NaN where a layer has fewer heads. NaN where no query of a span has
        values. Rows sum to 1 where the spans cover every key that is seen and no mass lies outside the map.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array, or a span is none.
    ValueError
        When spans overlap or lie outside the map, when there are none, or when an argument has a value that is not
        listed.

    Examples
    --------
    >>> aw.measures.span_mass(run.maps, "roles")[5, 3]
    >>> aw.measures.span_mass(weights, [("question", 0, 12), ("answer", 12, 40)])
    """
    choice("measure", measure, ("mass", "per_token", "chance"))
    walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens, trimmed=True)
    if queries is not None:
        chosen = sorted(set(positions(queries, walk.n_queries, "queries")))
        if not chosen:
            raise ValueError("queries is empty; name at least one query, or None for all.")
        rows = torch.tensor(chosen, dtype=torch.long)
        walk = Walk(a, mask=mask, causal=causal, exclude_tokens=exclude_tokens, rows=rows, trimmed=True)
    of_queries, of_keys = axis_spans(a, spans, key_spans, (walk.n_queries, walk.n_keys))
    (found,) = sums_by_span(walk, of_queries, of_keys, "chance" if measure == "chance" else "mass")
    if measure == "per_token":
        kept = torch.ones(walk.n_keys, device=walk.device).index_fill_(0, walk.excluded, 0)
        found = found / by_span(kept, ends_of(of_keys, walk.device)).to(found)
    return found


def span_rows(
    maps: AttentionMaps,
    layer: int,
    head: int | str = "mean",
    spans: SpansLike = None,
    *,
    own: bool = False,
    queries: Sequence[int] | None = None,
) -> Tensor:
    """Where each query looks: its mass on each span of keys.

    Parameters
    ----------
    maps : AttentionMaps
        Where the map is.
    layer : int
        Which layer; negative numbers count from the end.
    head : int or "mean"
        Which of its heads, or the mean of them.
    spans : str, sequence of Span or of (name, start, stop), or None
        Runs of keys, as in `span_mass`.
    own : bool
        Tell what a query gives to its own token from what it gives to the span that this is in.
    queries : sequence of int or None
        Whose rows, in this order; None for all.

    Returns
    -------
    Tensor [queries, spans + 1], or [queries, spans + 2] with ``own``
        Mass in [0, 1] on each span; with ``own`` next on the query itself; last on the keys in no span. Rows sum to 1
        where no mass lies outside the map; NaN where a query sees no key.

    Raises
    ------
    TypeError
        When these are no maps, or a span is none.
    IndexError
        When there is no such layer or head.
    ValueError
        When spans overlap or lie outside, or when ``own`` is asked of queries that are no keys.

    Examples
    --------
    >>> generated = [i for i in range(len(maps.tokens)) if i >= 40]
    >>> aw.measures.span_rows(run.maps, 5, "mean", "parts", own=True, queries=generated)
    """
    if not isinstance(maps, AttentionMaps):
        raise TypeError(
            f"maps is {type(maps).__name__}; expected AttentionMaps. Matrices become maps with "
            "AttentionMaps.from_arrays."
        )
    if isinstance(head, str) and head != "mean":
        raise ValueError(f"head={head!r} is not known; expected a number or 'mean'.")
    found = axis_spans(maps, None, spans, (maps.n_queries, maps.n_keys), queries=False)[1]
    source, heads = maps.mean_of_heads().locate(layer, 0) if isinstance(head, str) else maps.locate(layer, head)
    offset = source.mask.offset
    among = 0 <= offset <= maps.n_keys - maps.n_queries
    if own and not (among and (maps.n_queries == maps.n_keys or source.mask.hides_later_keys)):
        raise ValueError(
            f"these maps are {maps.n_queries} queries x {maps.n_keys} keys and not causal; own=True needs "
            "self-attention, in which every query is one of the keys."
        )
    chosen = range(maps.n_queries) if queries is None else positions(queries, maps.n_queries, "queries")
    numbers = torch.tensor(chosen, dtype=torch.long)
    parts = []
    for part in blocks(len(numbers), maps.n_keys * (maps.heads[layer] if head == "mean" else 1)):
        rows = numbers[part]
        weights = settle(source.weights(heads, rows), source.visible(heads, rows))[0][0]
        without = weights[:, :1].isnan()
        key = (rows + offset)[:, None].to(weights.device)
        itself = weights.gather(-1, key) if own else weights[:, :0]
        weights = weights.scatter(-1, key, 0) if own else weights
        inside = by_span(weights, ends_of(found, weights.device))
        rest = (weights.sum(-1, dtype=inside.dtype) - inside.sum(-1)).clamp(min=0)
        parts.append(torch.cat([inside, itself, rest[:, None]], -1).to(weights).masked_fill(without, math.nan))
    return torch.cat(parts) if parts else torch.empty(0, len(found) + 1 + own)


def axis_spans(
    a: Given, spans: SpansLike, key_spans: SpansLike, size: tuple[int, int], *, queries: bool = True
) -> tuple[list[Span], list[Span]]:
    """Spans of queries and of keys, checked; those of queries are empty where they are not wanted."""
    tokens, key_tokens = (a.tokens, a.key_tokens) if isinstance(a, AttentionMaps) else (None, None)
    same = size[0] == size[1] and tokens is key_tokens
    if queries and key_spans is None:
        if not (same or spans is None or isinstance(spans, str)):
            raise ValueError(
                f"spans are runs of the {size[0]} queries, and the {size[1]} keys are other tokens; give key_spans= "
                "too."
            )
        key_spans = spans
    keys = _checked(key_spans, key_tokens, size[1], "key_spans" if queries and not same else "spans")
    return (_checked(spans, tokens, size[0], "spans") if queries else []), keys


def sums_by_span(walk: Walk, spans: Sequence[Span], key_spans: Sequence[Span], *measures: str) -> tuple[Tensor, ...]:
    """Mean of the rows in each span of what lies on each span of keys: each Tensor [..., spans, key spans].

    Of "mass" and "chance", as in `span_mass`, those that are asked for, from one walk.
    """
    ends = ends_of(key_spans, walk.device)
    order = sorted(range(len(spans)), key=lambda number: spans[number].start)
    layers: dict[int | None, tuple[list[Tensor], Tensor]] = {}
    for block in walk:
        if block.layer not in layers:
            # Thousands of rows are added up: in double precision no digit of a weight is lost.
            count = torch.zeros(*block.weights.shape[:-2], len(spans), dtype=torch.float64, device=walk.device)
            layers[block.layer] = [count[..., None].repeat_interleave(len(key_spans), -1) for _ in measures], count
        totals, count = layers[block.layer]
        without = block.without
        given = [block.uniform if measure == "chance" else block.weights for measure in measures]
        if bool(without.any()):
            given = [masses.masked_fill(without[..., None], 0) for masses in given]
        for number, here in rows_inside(block, spans, order):
            for total, masses in zip(totals, given, strict=True):
                # First over the rows, of which there are many, and then over the keys.
                total[..., number, :] += by_span(masses[..., here, :].sum(-2), ends)
            count[..., number] += (~without[..., here]).sum(-1)
    found = [[(total / count[..., None]).to(walk.dtype) for total in totals] for totals, count in layers.values()]
    return tuple(found[0] if walk.maps is None else map(stack_layers, zip(*found, strict=True)))


def rows_inside(block: Rows, spans: Sequence[Span], order: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Of each span that has rows in a block, its number and which rows of the block these are."""
    rows: Sequence[int] = (
        range(block.rows.start, block.rows.stop) if isinstance(block.rows, slice) else block.rows.tolist()
    )
    first = bisect_right(order, rows[0], key=lambda number: spans[number].stop)
    for number in order[first:]:
        here = slice(bisect_left(rows, spans[number].start), bisect_left(rows, spans[number].stop))
        if here.start == len(rows):
            return
        if here.start < here.stop:
            yield number, here


def ends_of(spans: Sequence[Span], device: torch.device) -> Tensor:
    """First key of each span, and the one after its last: int [2, spans]."""
    return torch.tensor([[span.start for span in spans], [span.stop for span in spans]], device=device)


def by_span(masses: Tensor, ends: Tensor) -> Tensor:
    """Sums over the keys of each span, of masses [..., keys]: float64 [..., spans]; keys that are cut off have none."""
    # Differences of one running sum, which in double precision keep every digit of a float32.
    running = pad(masses.double().cumsum(-1), (1, 0))
    starts, stops = ends.clamp(max=masses.shape[-1])
    return running[..., stops] - running[..., starts]


def _checked(given: SpansLike, tokens: Tokens | None, n: int, name: str) -> list[Span]:
    """Spans of an axis of n tokens, from what was given or is known of them."""
    if given is None or isinstance(given, str):
        if tokens is None:
            raise ValueError(f"{name}={given!r}: an array has no tokens to find spans in; give (name, start, stop).")
        given = _of_tokens(given, tokens, name)
    spans = [_span(one, n, name) for one in given]
    if not spans:
        raise ValueError(f"{name} is empty; expected at least one span, (name, start, stop).")
    for one, other in pairwise(sorted(spans, key=lambda span: span.start)):
        if other.start < one.stop:
            raise ValueError(
                f"{name} {one.name!r} ({one.start} to {one.stop}) and {other.name!r} ({other.start} to {other.stop}) "
                "overlap; a token can be in one span only."
            )
    return spans


def _of_tokens(kind: str | None, tokens: Tokens, name: str) -> Sequence[Span]:
    found = tokens.spans if kind is None else find_spans(tokens, kind).get(kind, ())
    if not found:
        what = "these tokens have no spans of their own" if kind is None else f"no {kind} were found in these tokens"
        kinds = ", ".join(map(repr, find_spans(tokens))) or "nothing"
        raise ValueError(f"{name}={kind!r}: {what}, but {kinds}. Name one of these, or give (name, start, stop).")
    return found


def _span(given: Span | tuple[str, int, int], n: int, name: str) -> Span:
    parts = (given.name, given.start, given.stop) if isinstance(given, Span) else given
    if isinstance(parts, str) or not isinstance(parts, Sequence) or len(parts) != 3 or not isinstance(parts[0], str):
        raise TypeError(f"{name} holds {given!r}; expected spans, or (name, start, stop).")
    span = Span(parts[0], whole(f"{name} {parts[0]!r}", parts[1]), whole(f"{name} {parts[0]!r}", parts[2]))
    if not 0 <= span.start < span.stop <= n:
        raise ValueError(
            f"{name} {span.name!r} goes from {span.start} to {span.stop}; expected a run of tokens among 0 to {n}."
        )
    return span
