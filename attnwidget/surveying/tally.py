"""Tally: all that is kept of some texts, put together with that of others in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attnwidget.surveying.between import Between
from attnwidget.surveying.extremes import Extremes
from attnwidget.surveying.moments import Moments
from attnwidget.surveying.sketches import Sketches

__all__ = ["MOST_GROUPS", "MOST_SKIPPED", "Group", "Left", "Skipped", "Tally", "in_order"]

MOST_GROUPS = 100
MOST_SKIPPED = 1000  # that are listed; all are counted

Group: TypeAlias = str | int | float | bool


@dataclass(frozen=True, order=True)
class Skipped:
    """A row of the data that was left out.

    Attributes
    ----------
    number : int
        Which row, from 0.
    reason : str
        Why.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class Left:
    """What was left out, or in part.

    Attributes
    ----------
    skipped : tuple of Skipped
        Rows that were left out, the first 1,000 of them.
    n_skipped : int
        How many there are.
    n_cut : int
        How many texts were cut.
    """

    skipped: tuple[Skipped, ...] = ()
    n_skipped: int = 0
    n_cut: int = 0

    @classmethod
    def of(cls, skipped: Sequence[Skipped], n_cut: int) -> Self:
        """Of some rows, and how many were cut."""
        return cls(tuple(sorted(skipped)[:MOST_SKIPPED]), len(skipped), n_cut)

    def __add__(self, other: Left) -> Left:
        skipped = tuple(sorted([*self.skipped, *other.skipped])[:MOST_SKIPPED])
        return Left(skipped, self.n_skipped + other.n_skipped, self.n_cut + other.n_cut)


def in_order(groups: Mapping[Group, Moments]) -> dict[Group, Moments]:
    """Groups in the same order however they came: by kind, then by value."""
    return {name: groups[name] for name in sorted(groups, key=lambda one: (type(one).__name__, one))}


@dataclass(frozen=True)
class Tally:
    """What is kept of some texts; arrays begin with layers, heads, measures.

    Attributes
    ----------
    count : int
        Texts that were read.
    moments : Moments
        Count, mean and spread.
    sketches : Sketches
        Quantiles.
    extremes : Extremes
        The texts with the largest and the smallest numbers.
    texts : dict of int to str
        Those texts, by what they are known by.
    broken : array of int [layers, heads]
        In how many texts a row of the head held NaN.
    groups : dict
        Moments of the texts of each group.
    between : Between or None
        Mass from label to label.
    """

    count: int
    moments: Moments
    sketches: Sketches
    extremes: Extremes
    texts: Mapping[int, str]
    broken: NDArray[np.int64]
    groups: Mapping[Group, Moments] = field(default_factory=dict)
    between: Between | None = None

    def __post_init__(self) -> None:
        if len(self.groups) > MOST_GROUPS:
            some = ", ".join(map(repr, list(self.groups)[:5]))
            raise ValueError(
                f"by= gives more than {MOST_GROUPS} different groups, as {some}; expected labels that many texts share."
            )

    def __add__(self, other: Tally) -> Tally:
        extremes = self.extremes + other.extremes
        texts = {**self.texts, **other.texts}
        groups = dict(self.groups)
        for name, moments in other.groups.items():
            groups[name] = groups[name] + moments if name in groups else moments
        between = self.between
        if other.between is not None:
            between = other.between if between is None else between + other.between
        return Tally(
            self.count + other.count,
            self.moments + other.moments,
            self.sketches + other.sketches,
            extremes,
            {known: texts[known] for known in sorted(extremes.texts())},
            self.broken + other.broken,
            in_order(groups),
            between,
        )
