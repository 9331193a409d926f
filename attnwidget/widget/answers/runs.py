"""Runs: two runs of one kind, as maps by name that know which belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from attnwidget.maps import AttentionMaps
from attnwidget.measures.table import by_name

__all__ = ["Run", "Runs", "named"]


class Run(NamedTuple):
    """Of which run maps are, and which of its maps: the same part of the other run stands on the same tokens."""

    run: str
    part: str


class Runs(dict[str, AttentionMaps]):
    """The maps of two runs by name: those of the second run first, which are what is looked at.

    Parameters
    ----------
    labels : tuple of str
        What the first and the second run are called.
    parts : mapping of str to tuple of AttentionMaps
        Of the first and the second run, by what the maps are called in each.
    unit : float or None
        Where they are the two sides of an effect, what 1 stands for in them, in logits.
    """

    def __init__(
        self,
        labels: tuple[str, str],
        parts: Mapping[str, tuple[AttentionMaps, AttentionMaps]],
        *,
        unit: float | None = None,
    ) -> None:
        self.labels, self.unit = labels, unit
        self.place: dict[str, Run] = {}
        super().__init__()
        for side in (1, 0):
            for part, pair in parts.items():
                name = labels[side] if len(parts) == 1 else f"{labels[side]}: {part}"
                self[name] = pair[side]
                self.place[name] = Run(labels[side], part)

    def other(self, name: str) -> AttentionMaps:
        """The same part of the other run."""
        place = self.place[name]
        return next(self[one] for one, at in self.place.items() if at.part == place.part and at.run != place.run)


def named(maps: Any) -> dict[str, AttentionMaps]:
    """Maps by name; two runs stay what they are."""
    return maps if isinstance(maps, Runs) else by_name(maps)
