"""Rotary positions, as they are heard in a pass: by what happens to queries and keys, whatever it is called.

A turning is heard as x * cos + y * sin, where y is x with the two halves, or each two neighbours, swapped and one of
them negated; or as the two halves of that put side by side; or as a product of complex numbers. It counts when y is
that, number by number, when cos² + sin² is the same everywhere, and when what came of it is what then attends, number
by number. What cannot be proved so is not told.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.projected import Projections
from attnwidget.rotary import Pairing, Rotary

__all__ = ["Rotations"]

_TIMES, _PLUS, _MINUS = {"mul", "__mul__", "__rmul__"}, {"add", "__add__", "__radd__"}, {"sub", "__sub__"}
_CONCATENATION = {"cat", "concat", "concatenate"}
_NEWEST = 4  # two for queries, two for keys
_EVEN = 2e-2  # cos² + sin² in bfloat16


@dataclass(frozen=True)
class _Turned:
    """Vectors that came of a turning [..., tokens, ..., turned], and angles of their pairs, spread to that shape."""

    vectors: Tensor
    pairing: Pairing
    angles: Tensor


class Rotations:
    """The turnings of one pass that may still be attended with."""

    def __init__(self) -> None:
        self._products: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=_NEWEST)
        self._sums: deque[tuple[Tensor, bool, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]] = deque(maxlen=_NEWEST)
        self._turned: deque[_Turned] = deque(maxlen=_NEWEST)
        self._known: list[Tensor] = []  # angles, so that layers that are turned alike share them

    def hear(self, name: str, args: tuple[Any, ...], output: Tensor) -> None:
        """A function was called, and gave this."""
        if name in _TIMES:
            if len(args) == 2 and output.ndim > 2 and all(isinstance(one, Tensor) for one in args):
                self._times(output, *sorted(args, key=torch.numel, reverse=True))
        elif name in _PLUS or name in _MINUS:
            if self._products and len(args) > 1:
                self._plus(args, output, minus=name in _MINUS)
        elif name in _CONCATENATION and self._sums and args:
            self._beside(args[0], output)

    def of(self, call: Projections) -> Rotary | None:
        """The turning that a call's queries and keys came of, newest first; None where none is proved."""
        turned, self._turned = list(self._turned), deque(maxlen=_NEWEST)
        self._products.clear()
        self._sums.clear()
        queries = _found(turned, call.query)
        keys = _found(turned, call.key)
        if queries is None or keys is None or queries[:2] != keys[:2]:
            return None
        (pairing, start, of_queries), (_, _, of_keys) = queries, keys
        return Rotary(pairing, start, self._shared(of_queries), self._shared(of_keys))

    def _times(self, output: Tensor, x: Tensor, factor: Tensor) -> None:
        if not output.is_complex():
            self._products.append((output, x, factor))
        elif factor.is_complex() and _is_even(factor.abs()):
            vectors = torch.view_as_real(output).flatten(-2)
            self._turned.append(_Turned(vectors, "neighbours", factor.angle().expand(output.shape)))

    def _plus(self, args: tuple[Any, ...], output: Tensor, *, minus: bool) -> None:
        found = [next((one for one in self._products if one[0] is arg), None) for arg in args[:2]]
        first, second = found
        if first is None or second is None:
            return
        self._sums.append((output, minus, first[1:], second[1:]))
        if minus:
            return
        for (x, cos), (y, sin) in ((first[1:], second[1:]), (second[1:], first[1:])):
            turned = _whole(x, cos, y, sin, output)
            if turned is not None:
                self._turned.append(turned)
                return

    def _beside(self, pieces: Any, output: Tensor) -> None:
        """x1 cos - x2 sin, and x2 cos + x1 sin."""
        if not isinstance(pieces, (tuple, list)) or len(pieces) != 2:
            return
        one, two = (next((known for known in self._sums if known[0] is piece), None) for piece in pieces)
        if one is None or two is None or not one[1] or two[1]:
            return
        (x1, cos), (x2, sin) = one[2:]
        same = all(a is b for a, b in zip((x2, cos, x1, sin), (*two[2], *two[3]), strict=True))
        if same and output.shape[-1] == 2 * x1.shape[-1] and _is_even(cos.float().square() + sin.float().square()):
            self._turned.append(_Turned(output, "halves", torch.atan2(sin.float(), cos.float()).expand(x1.shape)))

    def _shared(self, angles: Tensor) -> Tensor:
        for known in self._known:
            if known.shape == angles.shape and known.device == angles.device and torch.equal(known, angles):
                return known
        self._known = [*self._known[-3:], angles]
        return angles


def _whole(x: Tensor, cos: Tensor, y: Tensor, sin: Tensor, output: Tensor) -> _Turned | None:
    """The turning that x cos + y sin is; None where y is not x with its halves or neighbours swapped."""
    width = x.shape[-1]
    alike = x.shape == y.shape == output.shape and cos.shape == sin.shape and cos.shape[-1] == width
    if not alike or width % 2 or x.ndim < 3 or not x.is_floating_point():
        return None
    for pairing in ("halves", "neighbours"):
        for sign in (1, -1):
            # A look at the first vectors tells nearly always.
            few = (slice(0, 1),) * (x.ndim - 1)
            if all(torch.equal(sign * y[part], _swapped(x[part], pairing)) for part in (few, ())):
                (cos1, cos2), (sin1, sin2) = _pairs(cos, pairing), _pairs(sin, pairing)
                even = (
                    torch.equal(cos1, cos2)
                    and torch.equal(sin1, sin2)
                    and _is_even(cos1.float().square() + sin1.float().square())
                )
                angles = torch.atan2(sign * sin1.float(), cos1.float())
                return _Turned(output, pairing, angles.expand(*x.shape[:-1], width // 2)) if even else None
    return None


def _pairs(x: Tensor, pairing: str) -> tuple[Tensor, Tensor]:
    """The first and the second of each pair."""
    half = x.shape[-1] // 2
    return (x[..., :half], x[..., half:]) if pairing == "halves" else (x[..., 0::2], x[..., 1::2])


def _swapped(x: Tensor, pairing: str) -> Tensor:
    """Pairs (a, b) as (-b, a)."""
    one, two = _pairs(x, pairing)
    return torch.cat([-two, one], -1) if pairing == "halves" else torch.stack([-two, one], -1).flatten(-2)


def _is_even(values: Tensor) -> bool:
    """Whether all are the same, and above 0."""
    low, high = values.float().aminmax()
    return bool((low > 0) & (high - low <= _EVEN * high))


def _found(turned: list[_Turned], vectors: Tensor) -> tuple[Pairing, int, Tensor] | None:
    """Of which turning vectors [batch, heads, tokens, width] came: the pairing, the first dimension, the angles.

    Angles [batch or 1, tokens, pairs] are those of the last tokens: what a cache brought was turned before.
    """
    for one in reversed(turned):
        size = one.vectors.shape[-1]
        if size > vectors.shape[-1]:
            continue
        for made, angles in _laid_out(one.vectors, one.angles):
            n = made.shape[2]
            if made.shape[0] != vectors.shape[0] or vectors.shape[1] % made.shape[1] or n > vectors.shape[2]:
                continue
            newest = vectors[:, :, vectors.shape[2] - n :]
            for start in sorted({0, vectors.shape[-1] - size}):
                ours = newest[..., start : start + size]
                theirs = made.to(ours.dtype).repeat_interleave(ours.shape[1] // made.shape[1], 1)
                if torch.equal(ours, theirs) and (alike := _of_all_heads(angles)) is not None:
                    return one.pairing, start, alike
    return None


def _laid_out(vectors: Tensor, angles: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Vectors and angles as [batch, heads, tokens, ...], whichever of their axes these are."""
    if vectors.ndim == 3:
        vectors, angles = vectors[None], angles[None]
    if vectors.ndim != 4:
        return []
    return [(vectors, angles), (vectors.transpose(1, 2), angles.transpose(1, 2))]


def _of_all_heads(angles: Tensor) -> Tensor | None:
    """Angles [batch or 1, tokens, pairs] of all heads; None where heads are turned by angles of their own."""
    if angles.stride(1) != 0 and not bool((angles == angles[:, :1]).all()):
        return None
    alike = angles[:, 0]
    alike = alike[:1] if angles.stride(0) == 0 or alike.shape[0] == 1 else alike
    return alike.detach().float().clone()
