"""Moments: count, mean and spread of many numbers, which can be put together in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Of each of several numbers how often it came, its mean, its spread and its ends: arrays of one shape.

    Attributes
    ----------
    count : array of int
        How often there was a number; NaN and infinity are none.
    middle : array of float
        Their mean; 0 where there was none.
    squares : array of float
        Sum of their squared distances from it.
    least, most : array of float
        The ends; infinite where there was none.

    References
    ----------
    Chan, Golub & LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    """

    count: NDArray[np.int64]
    middle: NDArray[np.float64]
    squares: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Of values [n, ...]."""
        there = np.isfinite(values)
        count = there.sum(0)
        middle = np.where(there, values, 0).sum(0) / np.maximum(count, 1)
        squares = np.where(there, values - middle, 0)
        return cls(
            count.astype(np.int64),
            middle,
            (squares * squares).sum(0),
            np.where(there, values, math.inf).min(0, initial=math.inf),
            np.where(there, values, -math.inf).max(0, initial=-math.inf),
        )

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        apart = other.middle - self.middle
        return Moments(
            count,
            np.where(self.count == 0, other.middle, self.middle + apart * share),
            self.squares + other.squares + np.where(self.count == 0, 0, apart * apart * self.count * share),
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean; NaN where there was no number."""
        return np.where(self.count > 0, self.middle, math.nan)

    @property
    def std(self) -> NDArray[np.float64]:
        """The standard deviation, divided by n - 1; NaN of fewer than 2."""
        spread = np.sqrt(self.spread / np.maximum(self.count - 1, 1))
        return np.where(self.count > 1, spread, math.nan)

    @property
    def spread(self) -> NDArray[np.float64]:
        """Sum of squares about the mean; 0 where all are the same, which a rounded mean would hide."""
        return np.where(self.least == self.most, 0, self.squares)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is held, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
