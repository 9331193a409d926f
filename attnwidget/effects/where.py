"""Where: heads, and pairs of a query and a key, as a caller names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.changes import Attended
from attnwidget.measures.arguments import numeric, whole

__all__ = ["Pairs", "chosen_heads", "pairs_of"]

Positions = slice | Tensor | None


@dataclass(frozen=True)
class Pairs:
    """Pairs of queries and keys, by their places in the text; None is all.

    Parameters
    ----------
    queries, keys : slice, Tensor of int, or None
        Positions.
    factor : float
        What is done to them, where it is a number.
    """

    queries: Positions
    keys: Positions
    factor: float = 1.0

    def inside(self, attended: Attended, rows: slice) -> Tensor:
        """Which cells of some rows are such pairs: bool [batch, 1, rows, keys]."""
        device = attended.call.device
        row = torch.arange(rows.start, rows.stop, device=device) + attended.queries.to(device)[:, None]
        column = torch.arange(attended.call.n_keys, device=device) + attended.keys.to(device)[:, None]
        return _among(row, self.queries)[:, None, :, None] & _among(column, self.keys)[:, None, None, :]


def chosen_heads(heads: Any) -> dict[int, tuple[int, ...] | None] | None:
    """Heads by layer, each as its numbers or None for all of them; None where all of all are meant.

    Raises
    ------
    TypeError
        When heads are no pairs, and no mapping.
    ValueError
        When a number is below 0, or none is named.
    """
    if heads is None:
        return None
    if isinstance(heads, Tensor):
        heads = tuple(heads.tolist()) if heads.ndim == 1 else heads.tolist()
    if isinstance(heads, Mapping):
        named = {_number("layer", layer): _numbers(own) for layer, own in heads.items()}
    else:
        pair = isinstance(heads, tuple) and len(heads) == 2 and not isinstance(heads[0], Iterable)
        pairs = [heads] if pair else heads
        if isinstance(pairs, str) or not isinstance(pairs, Iterable):
            raise TypeError(f"heads={heads!r}; expected (layer, head), a list of such pairs, or {{layer: heads}}.")
        named = {}
        for one in pairs:
            if isinstance(one, str) or not isinstance(one, Iterable) or len(both := tuple(one)) != 2:
                raise TypeError(f"heads holds {one!r}; expected pairs (layer, head).")
            layer, head = _number("layer", both[0]), _numbers(both[1])
            known = named.get(layer, ())
            named[layer] = None if known is None or head is None else tuple(sorted({*known, *head}))
    if not named or () in named.values():
        raise ValueError(f"heads={heads!r} names no head; leave it out for all.")
    return named


def pairs_of(name: str, given: Any, spans: Mapping[str, tuple[int, int]] | None) -> list[Pairs]:
    """Pairs as they were given for an argument, "cut" or "boost", of which the latter has a factor.

    Raises
    ------
    TypeError
        When they are of another kind.
    ValueError
        When a span is not known, a position is below 0, or a factor is none.
    """
    if given is None:
        return []
    length, what = (3, "(queries, keys, factor)") if name == "boost" else (2, "(queries, keys)")
    listed = given if isinstance(given, list) else [given]
    found = []
    for one in listed:
        if not isinstance(one, tuple | list) or len(one) != length:
            raise TypeError(f"{name}={one!r}; expected {what}, or a list of such.")
        queries, keys = (_positions(name, side, spans) for side in one[:2])
        factor = 1.0
        if length == 3:
            factor = numeric(f"the factor of {name}", one[2], 0, 1e12)
            if not factor:
                raise ValueError(f"{name} multiplies by 0; expected a number above 0, or cut= for none.")
        found.append(Pairs(queries, keys, factor))
    return found


def _positions(name: str, given: Any, spans: Mapping[str, tuple[int, int]] | None) -> Positions:
    if given is None:
        return None
    if isinstance(given, str):
        known = dict(spans or {})
        if given not in known:
            there = f"there are {', '.join(map(repr, known))}" if known else "give spans={name: (start, stop)}"
            raise ValueError(f"{name} names the span {given!r}, which is not known; {there}.")
        span = known[given]
        if not isinstance(span, tuple | list) or len(span) != 2:
            raise TypeError(f"the span {given!r} is {span!r}; expected (start, stop).")
        start, stop = (_number(given, end) for end in span)
        if start >= stop:
            raise ValueError(f"the span {given!r} from {start} to {stop} holds no token.")
        return slice(start, stop)
    if isinstance(given, slice):
        if given.step not in {None, 1}:
            raise ValueError(f"{name} names {given!r}; expected a slice without a step, or a list of positions.")
        return slice(
            0 if given.start is None else _number(name, given.start),
            None if given.stop is None else _number(name, given.stop),
        )
    given = given.tolist() if isinstance(given, Tensor) else given
    listed = list(given) if isinstance(given, Iterable) else [given]
    if not listed:
        raise ValueError(f"{name} names no position; leave it out, or give None for all.")
    return torch.tensor([_number(name, one) for one in listed])


def _among(places: Tensor, wanted: Positions) -> Tensor:
    if wanted is None:
        return torch.ones_like(places, dtype=torch.bool)
    if isinstance(wanted, slice):
        inside: Tensor = places >= wanted.start
        return inside if wanted.stop is None else inside.logical_and(places < wanted.stop)
    found: Tensor = torch.isin(places, wanted.to(places.device))
    return found


def _numbers(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    given = given.tolist() if isinstance(given, Tensor) else given
    return tuple(sorted({_number("head", one) for one in (given if isinstance(given, Iterable) else [given])}))


def _number(name: str, value: Any) -> int:
    number = whole(name, value)
    if number < 0:
        raise ValueError(f"{name} holds {number}; what may go on growing is counted from 0, and not from its end.")
    return number
