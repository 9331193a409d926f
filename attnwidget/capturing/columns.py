"""Columns: which of the keys that a call saw are those of its own queries."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call
from attnwidget.capturing.lineage import Lineage
from attnwidget.capturing.listening import Heard
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights
from attnwidget.layers import HIDDEN

__all__ = ["placed"]


def placed(call: Call, heard: Heard, *, cached: bool) -> Call:
    """The call with the columns of its own queries known, without the room that is empty behind them."""
    n_queries, n_keys = call.n_queries, call.n_keys
    if call.place.crossing or n_keys == n_queries:
        return replace(call, front=0, seen=n_keys, probe=call.probed())
    front = _front_in(heard, n_queries, n_keys)
    if front is None and not cached:
        # Nothing says that keys stand in front: some queries of a sequence look at all of it, or another relation.
        return replace(call, front=0, seen=n_keys, probe=call.probed())
    if front is None:
        stop = max(int(_last_seen(call)), min(n_queries, n_keys))
        front = max(0, stop - n_queries)
    stop = front + n_queries
    if cached and stop < n_keys and not _sees_behind(call, stop):
        call = _without_room(call, stop)
    return replace(call, front=front, seen=call.n_keys, probe=call.probed())


def _front_in(heard: Heard, n_queries: int, n_keys: int) -> int | None:
    """How many keys stand in front of those of the queries, where they were put side by side; None if not known."""
    since = heard.running[-1].since
    wanted = Lineage.sources(heard.queries, since)
    for step, node in enumerate(Lineage.behind(heard.keys)):
        if step > 16 or node.order <= since:
            return None
        if node.kind != "cat":
            continue
        _, pieces = node.what
        if sum(length for _, length in pieces) != n_keys:
            continue
        start = 0
        for piece, length in pieces:
            if length == n_queries and Lineage.sources(piece, since) & wanted:
                return start
            start += length
    return None


def _last_seen(call: Call) -> int:
    """The key behind the last one that the last query sees."""
    row: Tensor | None = None
    if isinstance(call, Projections) and call.mask is not None:
        last = call.mask[:, :, -1]
        row = (last if last.dtype == torch.bool else last > HIDDEN).flatten(0, 1).any(0)
    elif isinstance(call, Weights) and call.seeing is not None:
        row = call.seeing[:, :, -1].flatten(0, 1).any(0)
    if row is None or not bool(row.any()):
        return call.n_keys
    return int(row.nonzero().max()) + 1


def _sees_behind(call: Call, stop: int) -> bool:
    """Whether any query sees a key from some place on."""
    term = call.mask if isinstance(call, Projections) else call.seeing if isinstance(call, Weights) else None
    if term is None:
        return True
    behind = term[..., stop : call.n_keys]
    return bool((behind if behind.dtype == torch.bool else behind > HIDDEN).any())


def _without_room(call: Call, stop: int) -> Call:
    if isinstance(call, Projections):
        return replace(
            call.keys_between(0, stop),
            mask=None if call.mask is None else call.mask[..., :stop],
            position_bias=None if call.position_bias is None else call.position_bias[..., :stop],
        )
    if isinstance(call, Weights):
        seeing = None if call.seeing is None else call.seeing[..., :stop]
        value = None if call.value is None else call.value[:, :, :stop]
        return replace(call, weights=call.weights[..., :stop], seeing=seeing, value=value)
    return call
