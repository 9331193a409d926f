"""Extremes: the texts in which a head's number was largest and smallest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "SMALLEST", "Extremes"]

LARGEST, SMALLEST = 0, 1


@dataclass(frozen=True)
class Extremes:
    """Of each of several numbers the texts with the largest, and with the smallest: arrays [2, ..., top].

    Equal numbers stand in the order of the data.

    Attributes
    ----------
    value : array of float
        The numbers, the most extreme first; NaN where there are fewer.
    number : array of int
        Which row of the data it was; -1 where there is none.
    place : array of int
        The token in it that speaks most for that number.
    text : array of int
        What the text is known by.
    """

    value: NDArray[np.float64]
    number: NDArray[np.int64]
    place: NDArray[np.int64]
    text: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        places: NDArray[np.int64],
        numbers: NDArray[np.int64],
        texts: NDArray[np.int64],
        top: int,
    ) -> Self:
        """Of values [n, ...] and their places [2, n, ...] in texts [n]."""
        value = np.moveaxis(np.stack([values, values]), 1, -1)
        place = np.moveaxis(places, 1, -1)
        everywhere = np.broadcast_to
        return cls(*_first([value, everywhere(numbers, value.shape), place, everywhere(texts, value.shape)], top))

    def __add__(self, other: Extremes) -> Extremes:
        both: list[NDArray[Any]] = [
            np.concatenate([getattr(self, field.name), getattr(other, field.name)], -1) for field in fields(self)
        ]
        return Extremes(*_first(both, self.top))

    @property
    def top(self) -> int:
        """How many are kept."""
        return int(self.value.shape[-1])

    def texts(self) -> set[int]:
        """What the texts are known by that are in here."""
        return set(np.unique(self.text[self.number >= 0]).tolist())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is held, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _first(held: Sequence[NDArray[Any]], top: int) -> list[NDArray[Any]]:
    """The most extreme of what is there, in an order of its own whatever order it came in."""
    value, number, _, text = held
    sign = np.array([-1.0, 1.0]).reshape(2, *[1] * (value.ndim - 1))
    there = np.isfinite(value)
    order = np.lexsort((text, number, np.where(there, sign * value, math.inf)), -1)[..., :top]
    room = [(0, 0)] * (value.ndim - 1) + [(0, top - order.shape[-1])]
    return [
        np.pad(np.take_along_axis(np.where(there, one, nothing), order, -1), room, constant_values=nothing)
        for one, nothing in zip(held, (math.nan, -1, -1, 0), strict=True)
    ]
