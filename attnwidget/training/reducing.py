"""Reducing: numbers of several examples, or of several ranks, made into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Numbers", "reduced"]

LARGEST = ("score_max",)
ALIKE = ("sink_key",)  # a mean of positions is no position

Numbers = dict[str, dict[str, NDArray[np.float64]]]


def reduced(several: Sequence[Numbers]) -> Numbers:
    """One set of numbers [layers, heads] by maps and measure.

    A largest score is the largest, a position the one that all agree on and else NaN, and everything else the mean of
    those that are numbers; NaN where none is.

    Raises
    ------
    ValueError
        When maps of one name have different shapes.
    """
    if len(several) == 1:
        return several[0]
    names = dict.fromkeys(name for one in several for name in one)
    return {name: _of_maps(name, [one[name] for one in several if name in one]) for name in names}


def _of_maps(name: str, several: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    measures = dict.fromkeys(measure for one in several for measure in one)
    found = {}
    for measure in measures:
        values = [one[measure] for one in several if measure in one]
        if len({one.shape for one in values}) > 1:
            shapes = ", ".join(str(list(one.shape)) for one in values)
            raise ValueError(f"{name} has {shapes} layers and heads, and they cannot be made one: is it one model?")
        found[measure] = _one(measure, np.stack(values))
    return found


def _one(measure: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(values)
    least = np.where(there, values, np.inf).min(0)
    largest = np.where(there, values, -np.inf).max(0)
    if measure in LARGEST:
        made = largest
    elif measure in ALIKE:
        made = np.where(least == largest, least, np.nan)
    else:
        made = np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1)
    return np.where(there.any(0), made, np.nan)
