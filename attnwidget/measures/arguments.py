"""Arguments: what a measure may be given, and the sentence for what it may not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

__all__ = ["choice", "numeric", "positions", "whole"]


def choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise ValueError where a value is none of those allowed."""
    if not any(value is one or (isinstance(value, str) and value == one) for one in allowed):
        *others, last = map(repr, allowed)
        raise ValueError(f"{name}={value!r} is not known; expected {', '.join(others)} or {last}.")


def numeric(name: str, value: Any, least: float, most: float) -> float:
    """A number within bounds; TypeError or ValueError where it is none."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}={value!r} is {type(value).__name__}; expected a number.")
    if not least <= float(value) <= most:
        raise ValueError(f"{name}={value}; expected a number from {least:g} to {most:g}.")
    return float(value)


def whole(name: str, value: Any) -> int:
    """An integer, of numpy and torch too; TypeError where it is none."""
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        with suppress(TypeError):  # an array of several is no index
            return operator.index(value)
    raise TypeError(f"{name}={value!r} is {type(value).__name__}; expected an integer.")


def positions(chosen: int | Iterable[int], n: int, name: str, what: str = "token") -> list[int]:
    """Positions from 0, of what may count from the end.

    Raises
    ------
    TypeError
        When something is no integer.
    ValueError
        When there is no such position.
    """
    if isinstance(chosen, Tensor) and chosen.ndim:
        chosen = chosen.tolist()
    several = isinstance(chosen, Iterable) and not isinstance(chosen, (str, Tensor))
    wanted = [whole(name, position) for position in (chosen if several else [chosen])]  # type: ignore[union-attr]
    outside = [position for position in wanted if not -n <= position < n]
    if outside:
        raise ValueError(f"{name} names {what} {outside[0]}; there are {what}s 0 to {n - 1}, and -1 is the last.")
    return [position % n for position in wanted]
