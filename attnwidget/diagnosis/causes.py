"""Causes: why something may be so, each with the numbers that speak for it. One whose numbers are healthy is not named.

Every finding is made by `conclude`, so that no check can name a cause that its own evidence denies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from attnwidget.diagnosis.findings import Evidence, Finding, number

__all__ = ["Cause", "Reading", "conclude", "there"]


@dataclass(frozen=True)
class Reading:
    """A number that a cause rests on, and the bounds between which it is healthy.

    Parameters
    ----------
    label : str
        What was measured.
    value : float
        What it is; NaN where it could not be measured, which speaks neither for nor against anything.
    healthy : str
        What it is when all is well, in words.
    low, high : float
        Outside these it speaks for the cause.
    shown : callable
        How the number is written.
    """

    label: str
    value: float
    healthy: str
    low: float = -math.inf
    high: float = math.inf
    shown: Callable[[Any], str] = number

    @property
    def known(self) -> bool:
        """Whether it could be measured."""
        return not math.isnan(self.value)

    @property
    def unhealthy(self) -> bool:
        """Whether it speaks for the cause."""
        return self.known and not self.low <= self.value <= self.high

    @property
    def evidence(self) -> Evidence:
        """The number as a finding shows it."""
        return Evidence(self.label, self.shown(self.value), self.healthy)


@dataclass(frozen=True)
class Cause:
    """Something that may have led to a finding.

    Parameters
    ----------
    text : str
        What it is.
    remedies : tuple of str
        What to try.
    readings : tuple of Reading
        What was measured about it; none where nothing that came could tell.
    proves : bool
        Whether an unhealthy reading makes it the cause. Where it only allows it, other causes are named beside it.
    """

    text: str
    remedies: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    proves: bool = True

    @property
    def shown(self) -> bool:
        """Whether a measured number speaks for it."""
        return self.proves and any(reading.unhealthy for reading in self.readings)

    @property
    def denied(self) -> bool:
        """Whether all that was measured about it is healthy."""
        known = [reading for reading in self.readings if reading.known]
        return bool(known) and not any(reading.unhealthy for reading in known)


def there(label: str, some: bool) -> Reading:
    """A reading of what is there or not; a healthy attention has none of it."""
    return Reading(label, float(some), "no", high=0, shown=lambda value: "yes" if value else "no")


def conclude(
    name: str,
    title: str,
    severity: str,
    sentence: str,
    places: tuple[tuple[int, int | None], ...] = (),
    *,
    evidence: Sequence[Evidence] = (),
    causes: Sequence[Cause] = (),
    remedies: Sequence[str] = (),
) -> Finding:
    """A finding with the causes that its numbers leave: those that are shown, or else those that are not denied.

    Parameters
    ----------
    name, title, severity, sentence, places
        As for `Finding`.
    evidence : sequence of Evidence
        The numbers that make it a finding.
    causes : sequence of Cause
        All that it may come from, the likeliest first.
    remedies : sequence of str
        What to try whatever the cause is.
    """
    named = [cause for cause in causes if cause.shown] or [cause for cause in causes if not cause.denied]
    read = [reading for cause in named for reading in cause.readings if reading.known]
    tried = [remedy for cause in named for remedy in cause.remedies]
    return Finding(
        name,
        title,
        severity,
        sentence,
        places,
        tuple(dict.fromkeys([*evidence, *(reading.evidence for reading in read)])),
        tuple(cause.text for cause in named),
        tuple(dict.fromkeys([*tried, *remedies])),
    )
