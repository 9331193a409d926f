"""Traits that take a number from anywhere."""

from __future__ import annotations

import operator
from contextlib import suppress
from typing import Any

import traitlets as t

__all__ = ["Index", "Indices", "Number"]


class Index(t.Int[Any, Any]):
    """An integer from anywhere, numpy and torch included."""

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as an int, where it is one."""
        if hasattr(value, "__index__") and not isinstance(value, bool):
            with suppress(TypeError):  # an array of several is no index
                value = operator.index(value)
        return super().validate(obj, value)


class Indices(t.List[int]):
    """Integers from anywhere, in the order in which they came."""

    def __init__(self) -> None:
        super().__init__(Index())

    def validate(self, obj: Any, value: Any) -> Any:
        """The values as a list of int, where they are some."""
        if hasattr(value, "tolist"):
            value = value.tolist()
        return super().validate(obj, list(value) if isinstance(value, (tuple, range)) else value)


class Number(t.Float[Any, Any]):
    """A number from anywhere, numpy and torch included."""

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as a float, where it is one."""
        if hasattr(value, "__float__") and not isinstance(value, bool):
            with suppress(TypeError, ValueError, RuntimeError):
                value = float(value)
        return super().validate(obj, value)
