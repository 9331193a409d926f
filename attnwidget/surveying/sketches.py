"""Sketches: quantiles of many numbers in bounded memory, the same in whatever order they are put together.

A DDSketch of each: buckets that grow by a constant factor, of which the counts are kept. The factor, and what a bucket
stands for, are those of the library ddsketch. Its own sketch takes one number at a time; here the counts of all heads
are one array, so that a batch is counted in one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ddsketch.mapping import LogarithmicMapping
from numpy.typing import NDArray

__all__ = ["ACCURACY", "Sketches"]

ACCURACY = 0.01
SMALLEST = 1e-9  # nearer to 0 is 0: what a head gives to nothing has digits that mean nothing

_mapping = LogarithmicMapping(ACCURACY)
_FIRST = _mapping.key(SMALLEST)


@dataclass(frozen=True)
class Sketches:
    """Counts of numbers in buckets, for each of several numbers.

    Bucket 0 holds 0; those above and below it grow by a constant factor, negative numbers below.

    Attributes
    ----------
    low : int
        The bucket that the counts begin with.
    counts : array of int [..., buckets]
        How many numbers fell in each.

    References
    ----------
    Masson, Rim & Lee, DDSketch, VLDB 2019.
    """

    low: int
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Of values [n, ...]; NaN and infinity are none."""
        shape = values.shape[1:]
        flat = values.reshape(len(values), -1)
        there = np.isfinite(flat)
        bucket = _buckets(np.where(there, flat, 0))
        low = int(bucket.min(initial=0))
        counts = np.zeros((flat.shape[1], int(bucket.max(initial=0)) - low + 1), dtype=np.int64)
        rows, cells = there.nonzero()
        np.add.at(counts, (cells, bucket[rows, cells] - low), 1)
        return cls(low, counts.reshape(*shape, counts.shape[1]))

    def __add__(self, other: Sketches) -> Sketches:
        low = min(self.low, other.low)
        stop = max(one.low + one.counts.shape[-1] for one in (self, other))
        counts = np.zeros((*self.counts.shape[:-1], stop - low), dtype=np.int64)
        for one in (self, other):
            counts[..., one.low - low : one.low - low + one.counts.shape[-1]] += one.counts
        return Sketches(low, counts)

    def quantile(self, share: float) -> NDArray[np.float64]:
        """The quantile of each, right to 1 %, or to 1e-9: [...]; NaN where there was no number."""
        running = self.counts.cumsum(-1)
        total = running[..., -1]
        at = (running <= (share * np.maximum(total - 1, 0))[..., None]).sum(-1)
        known = _values(self.low, self.counts.shape[-1])
        return np.where(total > 0, known[np.minimum(at, len(known) - 1)], math.nan)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is held, without the empty buckets."""
        full = np.flatnonzero(self.counts)
        size = np.array([self.low, *self.counts.shape], dtype=np.int64)
        return {"full": full, "counts": self.counts.reshape(-1)[full], "size": size}

    @classmethod
    def of_arrays(cls, held: dict[str, NDArray[Any]]) -> Self:
        """Back from what `arrays` gave."""
        low, *shape = held["size"].tolist()
        counts = np.zeros(math.prod(shape), dtype=np.int64)
        counts[held["full"]] = held["counts"]
        return cls(low, counts.reshape(shape))


def _buckets(values: NDArray[np.float64]) -> NDArray[np.int64]:
    size = np.abs(values)
    key = np.ceil(np.log(np.maximum(size, SMALLEST)) / math.log(_mapping.gamma)).astype(np.int64)
    return np.where(size > SMALLEST, np.sign(values).astype(np.int64) * (key - _FIRST + 1), 0)


def _values(low: int, n: int) -> NDArray[np.float64]:
    """What each bucket stands for."""
    return np.array(
        [math.copysign(_mapping.value(abs(at) + _FIRST - 1), at) if at else 0.0 for at in range(low, low + n)]
    )
