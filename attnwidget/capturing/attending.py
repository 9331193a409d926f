"""Attending: what heads put out, computed anew from what they attend with, some rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights
from attnwidget.layers import HIDDEN, blocks, cells_for, lacking, temper

__all__ = ["exponentiated", "log_weights_of", "put_out", "rows_of", "sinks_of", "unmasked", "visible_in", "weights_of"]


def weights_of(call: Call, heads: Sequence[int], rows: slice) -> Tensor:
    """Weights of some heads in some rows: [batch, heads, rows, keys], in single precision at least.

    A row that sees nothing is 0. Gradients go through to queries and keys.
    """
    if isinstance(call, Weights):
        return _wide(call.weights[:, torch.tensor(list(heads), device=call.device)][:, :, rows])
    return exponentiated(*log_weights_of(call, heads, rows))


def exponentiated(logs: Tensor, outside: Tensor) -> Tensor:
    """Weights of scores, and of what competes with the keys; a row that sees nothing is 0."""
    # Filled on both sides: the gradient of a softmax over nothing is NaN.
    empty = ((logs == -math.inf).all(-1) & (outside == -math.inf))[..., None]
    return temper(logs.masked_fill(empty, 0), outside)[0].exp().masked_fill(empty, 0)


def log_weights_of(call: Call, heads: Sequence[int], rows: slice) -> tuple[Tensor, Tensor]:
    """Scores, or logarithms of weights, of some heads in some rows, and of what competes with the keys."""
    at = torch.tensor(list(heads), device=call.device)
    if isinstance(call, Weights):
        weights = _wide(call.weights[:, at][:, :, rows])
        # The logarithm of 0 has no slope.
        return torch.where(weights > 0, weights, 1).log().masked_fill(weights <= 0, -math.inf), lacking(weights).log()
    if not isinstance(call, Projections):
        raise TypeError(type(call).__name__)
    scores = _masked(call, unmasked(call, heads, rows), at, rows)
    return scores, sinks_of(call, heads, scores)


def unmasked(call: Projections, heads: Sequence[int], rows: slice) -> Tensor:
    """Scores of some heads in some rows, scaled, with their bias and cap, before any mask: a tensor of its own."""
    query, key = call.query, call.key
    if tuple(heads) == tuple(range(call.n_heads)):
        # Heads that share keys stand below each other, so that the keys need no copies.
        groups, (batch, n_heads) = key.shape[1], query.shape[:2]
        query = _wide(query[:, :, rows]) * call.scaling
        stacked = query.reshape(batch, groups, -1, query.shape[-1])
        scores = (stacked @ _wide(key).mT).view(batch, n_heads, -1, call.n_keys)
    else:
        at = torch.tensor(list(heads), device=call.device)
        group = call.n_heads // key.shape[1]
        scores = _wide(query[:, at][:, :, rows]) * call.scaling @ _wide(key[:, at // group]).mT
    if call.position_bias is not None:
        at = torch.tensor(list(heads), device=call.device)
        scores = scores + _of(call.position_bias, at, rows)[..., : call.n_keys]
    if call.softcap is not None:
        scores = torch.tanh(scores / call.softcap) * call.softcap
    return scores


def sinks_of(call: Projections, heads: Sequence[int], scores: Tensor) -> Tensor:
    """Learned logits that compete with the keys of scores [batch, heads, rows, keys]: [batch, heads, rows]."""
    if call.sinks is None:
        return scores.new_full(scores.shape[:3], -math.inf)
    at = torch.tensor(list(heads), device=call.device)
    return call.sinks.flatten()[at].to(scores)[:, None].expand(scores.shape[:3])


def visible_in(call: Call, rows: slice) -> Tensor:
    """Which keys some rows may see: bool [batch or 1, heads or 1, rows, keys]."""
    if isinstance(call, Weights):
        blank = torch.ones(1, 1, rows.stop - rows.start, call.n_keys, dtype=torch.bool, device=call.device)
        return blank if call.seeing is None else call.seeing[:, :, rows]
    if not isinstance(call, Projections):
        raise TypeError(type(call).__name__)
    if call.mask is None or call.mask.dtype != torch.bool:
        return call.terms(rows)[..., : call.n_keys] > HIDDEN
    return (call.mask[:, :, rows] if call.mask.shape[2] > 1 else call.mask)[..., : call.n_keys]


def _masked(call: Projections, scores: Tensor, heads: Tensor, rows: slice) -> Tensor:
    """Scores of some heads in some rows, with what the mask adds to them, -inf where it hides a key."""
    if call.mask is not None and call.mask.dtype != torch.bool:
        terms = call.terms(rows)[..., : call.n_keys]
        terms = terms[:, heads] if terms.shape[1] > 1 else terms
        return (scores + terms.masked_fill(terms <= HIDDEN, 0)).masked_fill(terms <= HIDDEN, -math.inf)
    if call.mask is None and not call.causal:
        return scores
    visible = visible_in(call, rows)
    return scores.masked_fill(~(visible[:, heads] if visible.shape[1] > 1 else visible), -math.inf)


def put_out(call: Call, heads: Sequence[int], *, rows: slice | None = None) -> Tensor:
    """What some heads put out: their weights times their values, [batch, heads, queries, width].

    Raises
    ------
    ValueError
        When values are not known.
    """
    if call.value is None:
        raise ValueError(f"the values that {call.place.module!r} multiplies its weights with are not seen.")
    at = torch.tensor(list(heads), device=call.value.device)
    value = _wide(call.value[:, at // (call.n_heads // call.value.shape[1])])
    rows = slice(0, call.n_queries) if rows is None else rows
    return torch.cat([weights_of(call, heads, part) @ value for part in rows_of(call, heads, rows)], 2)


def rows_of(call: Call, heads: Sequence[int], rows: slice) -> Iterator[slice]:
    """Some rows at a time of some heads, as many as their device has room for."""
    for part in blocks(rows.stop - rows.start, call.batch * len(heads) * call.n_keys, cells_for(call.device)):
        yield slice(rows.start + part.start, rows.start + part.stop)


def _of(term: Tensor, heads: Tensor, rows: slice) -> Tensor:
    term = term[:, heads] if term.shape[1] > 1 else term
    return term[:, :, rows] if term.shape[2] > 1 else term


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
