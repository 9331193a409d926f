"""Keep: how much of what passes by is kept."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Keep"]

_LOGITS = ("auto", "all", "last", "none")


@dataclass(frozen=True)
class Keep:
    """Which layers and heads are kept, where, and which logits beside them.

    Parameters
    ----------
    layers : frozenset of int or None
        Numbers of the layers; None for all.
    heads : tuple of int, dict of int to tuple of int, or None
        Numbers of the heads, in every layer or by layer; None for all.
    offload : bool
        Move what is kept to the host as each layer finishes.
    logits : {"auto", "all", "last", "none"}
        Which positions' logits.
    values : bool
        Keep what the weights are multiplied with.
    """

    layers: frozenset[int] | None = None
    heads: tuple[int, ...] | dict[int, tuple[int, ...]] | None = None
    offload: bool = False
    logits: str = "auto"
    values: bool = False

    @classmethod
    def of(cls, layers: Any, heads: Any, *, offload: bool, logits: str, values: bool = False) -> Keep:
        """What a caller asked for, checked.

        Raises
        ------
        TypeError
            When layers or heads are no numbers.
        ValueError
            When a number is negative or comes twice, when none is left, or when logits has another value.
        """
        if logits not in _LOGITS:
            raise ValueError(f"logits={logits!r}; expected one of {', '.join(map(repr, _LOGITS))}.")
        by_layer: Any = None
        if isinstance(heads, Mapping):
            if layers is not None and (other := sorted(set(heads) - set(layers))):
                raise ValueError(f"heads speaks of layers {other}, and layers={sorted(layers)} leaves them out.")
            by_layer = {_number("heads", layer): _numbers(f"heads[{layer}]", own) for layer, own in heads.items()}
            if layers is None:
                layers = list(by_layer)
        elif heads is not None:
            by_layer = _numbers("heads", heads)
        return cls(None if layers is None else frozenset(_numbers("layers", layers)), by_layer, offload, logits, values)

    @property
    def everything(self) -> bool:
        """Whether every head of every layer is kept."""
        return self.layers is None and self.heads is None

    def layer(self, number: int) -> bool:
        """Whether a layer is kept."""
        return self.layers is None or number in self.layers

    def heads_of(self, layer: int, n_heads: int) -> tuple[int, ...] | None:
        """Numbers of the heads kept of a layer; None for all.

        Raises
        ------
        ValueError
            When the layer has no such head.
        """
        wanted = self.heads.get(layer) if isinstance(self.heads, dict) else self.heads
        if wanted is None:
            return None
        if wanted[-1] >= n_heads:
            raise ValueError(f"head {wanted[-1]} does not exist: layer {layer} has heads 0 to {n_heads - 1}.")
        return wanted if len(wanted) < n_heads else None


def _numbers(name: str, given: Any) -> tuple[int, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} is {type(given).__name__}; expected a sequence of numbers, as in [0, 5].")
    numbers = sorted(_number(name, value) for value in given)
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"{name}={numbers}; expected at least one number, and each once.")
    return tuple(numbers)


def _number(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} holds {value!r}; expected whole numbers from 0 on.") from None
    if number < 0:
        raise ValueError(f"{name} holds {number}; layers and heads are counted from 0, and not from the end.")
    return number
