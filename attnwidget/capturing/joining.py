"""Joining: the calls of one layer in steps that went on from each other, made into one call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call
from attnwidget.capturing.probes import Probe
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights
from attnwidget.rotary import Rotary

__all__ = ["joined"]


def joined(calls: Sequence[Any], past: int, shared: dict[Any, Any]) -> Any:
    """Calls of one layer in steps that went on from each other, as one call.

    Parameters
    ----------
    calls : sequence of Projections, or of Weights
        The steps, each with its own keys only, but for the first and for attention across.
    past : int
        Keys in front of the first step's own.
    shared : dict
        Masks that layers share.
    """
    if len(calls) == 1:
        return calls[0]
    # Room behind the first step's keys was still empty.
    calls = [_up_to(calls[0], calls[0].front + calls[0].n_queries), *calls[1:]]
    first = calls[0]
    ends = torch.tensor([call.n_queries for call in calls]).cumsum(0).tolist()
    n_queries = ends[-1]
    crossing = first.place.crossing
    n_keys = first.n_keys if crossing else past + n_queries
    # Of the keys a step saw, the last is that of its own last query; a sliding cache has dropped its first.
    places = []
    for call, end in zip(calls, ends, strict=True):
        total = n_keys if crossing else past + end
        left = 0 if crossing or call.seen >= total else total - call.seen
        places.append((slice(end - call.n_queries, end), left, total))
    probe = _joined_probe(calls, ends)
    make = _joined_weights if isinstance(first, Weights) else _joined_projections
    return replace(make(calls, places, (n_queries, n_keys), shared), probe=probe, seen=n_keys, front=past)


def _up_to(call: Any, stop: int) -> Any:
    """A call without the keys behind some place, where nobody sees them."""
    if call.place.crossing or call.n_keys <= stop or bool(call.seen_by(0, None, {})[stop:].any()):
        return call
    if isinstance(call, Weights):
        seeing = None if call.seeing is None else call.seeing[..., :stop]
        value = None if call.value is None else call.value[:, :, :stop]
        return replace(call, weights=call.weights[..., :stop], seeing=seeing, value=value, seen=stop)
    mask, bias = (None if term is None else term[..., :stop] for term in (call.mask, call.position_bias))
    return replace(call.keys_between(0, stop), mask=mask, position_bias=bias, seen=stop)


def _joined_probe(calls: Sequence[Call], ends: list[int]) -> Probe | None:
    probes = [(call.probe, end - call.n_queries) for call, end in zip(calls, ends, strict=True)]
    known = [(probe, start) for probe, start in probes if probe is not None]
    if not known:
        return None
    return Probe(
        torch.cat([probe.rows + start for probe, start in known]),
        torch.cat([probe.total.to(known[0][0].total.device) for probe, _ in known], -1),
    )


def _joined_projections(
    calls: Sequence[Projections], places: list[tuple[slice, int, int]], shape: tuple[int, int], shared: dict[Any, Any]
) -> Projections:
    first = calls[0]
    crossing = first.place.crossing
    query = torch.cat([call.query for call in calls], 2)
    key = first.key if crossing else torch.cat([call.key for call in calls], 2)
    plain = all(call.mask is None for call in calls) and all(left == 0 for _, left, _ in places)
    plain = plain and (crossing or first.causal or first.n_queries == 1)

    def spread(kind: str) -> Tensor:
        """Terms of the steps in one tensor, where each stands in the whole map."""
        pieces = [call.mask if kind == "mask" else call.position_bias for call in calls]
        name = (kind, crossing, *map(id, pieces), *(call.seen for call in calls))
        if name not in shared:
            shared[name] = _spread(pieces, calls, places, shape, bias=kind == "bias")
        kept: Tensor = shared[name]
        return kept

    return replace(
        first,
        query=query,
        key=key,
        value=_joined_values(calls),
        mask=None if plain else spread("mask"),
        position_bias=spread("bias") if any(call.position_bias is not None for call in calls) else None,
        causal=plain and not crossing,
        rotary=_joined_rotary(calls, shared),
    )


def _joined_rotary(calls: Sequence[Projections], shared: dict[Any, Any]) -> Rotary | None:
    """The turnings of the steps; None where one is not known, or is another kind."""
    known = [call.rotary for call in calls if call.rotary is not None]
    first = known[0] if len(known) == len(calls) else None
    if first is None or any((one.pairing, one.start) != (first.pairing, first.start) for one in known):
        return None

    def beside(pieces: list[Tensor]) -> Tensor:
        name = ("angles", *map(id, pieces))
        if name not in shared:
            batch = max(len(piece) for piece in pieces)
            shared[name] = torch.cat([piece.expand(batch, -1, -1) for piece in pieces], 1)
        kept: Tensor = shared[name]
        return kept

    queries = beside([one.queries for one in known])
    crossing = calls[0].place.crossing
    return replace(first, queries=queries, keys=first.keys if crossing else beside([one.keys for one in known]))


def _spread(
    pieces: Sequence[Tensor | None],
    calls: Sequence[Projections],
    places: list[tuple[slice, int, int]],
    shape: tuple[int, int],
    *,
    bias: bool,
) -> Tensor:
    given = [piece for piece in pieces if piece is not None]
    boolean = not bias and all(piece.dtype == torch.bool for piece in given)
    leading = (max((p.shape[0] for p in given), default=1), max((p.shape[1] for p in given), default=1))
    device = calls[0].device
    dtype = torch.bool if boolean else torch.float32
    whole = torch.full((*leading, *shape), 0.0 if bias or boolean else -math.inf, device=device).to(dtype)
    for piece, call, (rows, left, right) in zip(pieces, calls, places, strict=True):
        if piece is not None:
            whole[:, :, rows, left:right] = piece[..., : right - left].to(whole)
        elif not bias:
            seen = torch.ones(rows.stop - rows.start, right - left, dtype=torch.bool, device=device)
            if call.causal:
                seen = seen.tril(right - left - (rows.stop - rows.start))
            blank = seen if boolean else torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, -math.inf)
            whole[:, :, rows, left:right] = blank
    return whole


def _joined_values(calls: Sequence[Call]) -> Tensor | None:
    values = [call.value for call in calls]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return known[0] if calls[0].place.crossing else torch.cat(known, 2)


def _joined_weights(
    calls: Sequence[Weights], places: list[tuple[slice, int, int]], shape: tuple[int, int], shared: dict[Any, Any]
) -> Weights:
    first = calls[0]
    whole = first.weights.new_zeros(*first.weights.shape[:2], *shape)
    for call, (rows, left, right) in zip(calls, places, strict=True):
        whole[:, :, rows, left:right] = call.weights[..., : right - left]
    name = ("seeing", *(id(call.seeing) for call in calls), *(call.seen for call in calls))
    if name not in shared:
        leading = [max((c.seeing.shape[axis] for c in calls if c.seeing is not None), default=1) for axis in (0, 1)]
        seeing = torch.zeros(*leading, *shape, dtype=torch.bool, device=whole.device)
        for call, (rows, left, right) in zip(calls, places, strict=True):
            seeing[:, :, rows, left:right] = True if call.seeing is None else call.seeing[..., : right - left]
        shared[name] = seeing
    return replace(first, weights=whole, seeing=shared[name], value=_joined_values(calls))
