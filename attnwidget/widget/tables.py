"""Traits that hold a small table: of numbers, of what may be seen, of words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import traitlets as t

from attnwidget.widget.numbers import Index

__all__ = ["LARGEST", "TOKENS", "WIDTH", "Mask", "Places", "Table", "Words"]

TOKENS, WIDTH = 12, 8  # what can still be read at 600 pixels
LARGEST = 1e6  # in size, of a number


class Table(t.TraitType[Any, Any]):
    """Rows of numbers from anywhere: lists, numpy, torch, a data frame. Held as lists of floats.

    Parameters
    ----------
    noun : str
        What a row is, in the plural.
    rows, columns : int
        The most there may be.
    column : bool
        Whether numbers that come without rows are a column, and not a row.
    """

    def __init__(
        self, noun: str = "tokens", *, rows: int = TOKENS, columns: int = WIDTH, column: bool = False, **more: Any
    ) -> None:
        super().__init__(**more)
        self._noun, self._rows, self._columns, self._column = noun, rows, columns, column

    def make_dynamic_default(self) -> list[list[float]]:
        """An empty table, each time another."""
        return []

    def validate(self, _obj: Any, value: Any) -> list[list[float]]:
        """The table as lists of floats, or TraitError."""
        array = _array(self.name, value)
        if array.size == 0:
            return []
        if array.ndim == 1:
            array = array[:, None] if self._column else array[None]
        if array.ndim != 2:
            raise t.TraitError(f"{self.name} has {array.ndim} axes {list(array.shape)}; expected rows of numbers.")
        rows, columns = array.shape
        if rows > self._rows or columns > self._columns:
            raise t.TraitError(
                f"{self.name} is {rows} x {columns}; a Playground shows up to {self._rows} {self._noun} of "
                f"{self._columns} numbers. Larger maps are for attnwidget.explore()."
            )
        worst = array.flat[int(np.argmax(np.where(np.isfinite(array), np.abs(array), np.inf)))]
        if not abs(worst) <= LARGEST:
            raise t.TraitError(f"{self.name} holds {worst:g}; expected numbers of up to {LARGEST:,.0f}.")
        rows_of_numbers: list[list[float]] = array.tolist()
        return rows_of_numbers


class Mask(t.TraitType[Any, Any]):
    """What each query may see: "none", "causal", or rows of booleans, true where a key may be seen."""

    default_value = "none"

    def validate(self, _obj: Any, value: Any) -> str | list[list[bool]]:
        """The name, or the table as lists of booleans."""
        if isinstance(value, str):
            if value not in {"none", "causal"}:
                raise t.TraitError(
                    f"mask={value!r} is not known; expected 'none', 'causal', or rows of booleans, true where a key "
                    "may be seen."
                )
            return value
        array = _array("mask", value)
        if array.ndim != 2 or array.size == 0:
            raise t.TraitError(f"mask has {array.ndim} axes {list(array.shape)}; expected rows of booleans.")
        if not np.isin(array, [0, 1]).all():
            raise t.TraitError("mask holds numbers other than 0 and 1; expected true where a key may be seen.")
        rows: list[list[bool]] = array.astype(bool).tolist()
        return rows


class Places(t.List[int]):
    """Where tokens stand: integers from a list, a range, numpy or torch."""

    def __init__(self, **more: Any) -> None:
        super().__init__(Index(), **more)

    def validate(self, obj: Any, value: Any) -> list[int]:
        """The positions as a list of int."""
        with suppress(AttributeError):
            value = value.tolist()
        return super().validate(obj, list(value) if isinstance(value, range) else value) or []


class Words(t.List[str]):
    """Labels of tokens: a list of strings, or a text that is cut at its spaces."""

    def __init__(self, **more: Any) -> None:
        super().__init__(t.Unicode(), **more)

    def set(self, obj: Any, value: Any) -> None:
        """Take a text apart, which a list would take for one label."""
        super().set(obj, value.split() if isinstance(value, str) else value)

    def validate(self, obj: Any, value: Any) -> list[str]:
        """The labels, with nothing in them that cannot be sent."""
        words = list(value) if isinstance(value, tuple) else value
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            words = [word.encode(errors="replace").decode() for word in words]
        labels: list[str] = super().validate(obj, words) or []
        if len(labels) > TOKENS:
            raise t.TraitError(f"{self.name} has {len(labels)} labels; a Playground shows up to {TOKENS} tokens.")
        return labels


def _array(name: str | None, value: Any) -> np.ndarray[Any, Any]:
    """Whatever holds numbers, in double precision."""
    with suppress(AttributeError):
        value = value.detach().cpu().double().numpy()
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise t.TraitError(
            f"{name} is {type(value).__name__} and no table of numbers ({error}); expected rows of equal length."
        ) from None
