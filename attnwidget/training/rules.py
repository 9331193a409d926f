"""Rules: what makes a monitor speak up: NaN, heads that collapse or die, sinks, a prefix that nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnwidget.training.history import History, Reading

__all__ = ["RULES", "Alert", "broken"]

SHARE = 0.5  # of the heads, from which a thing is one of the model and not of a head
LOW, HIGH = 0.05, 0.98  # of the largest entropy: on one key, and everywhere alike
SINK, GROWN = 0.9, 0.3  # mass on one key, and by how much it grew since the first reading
IGNORED = 0.01  # mass on a prefix


@dataclass(frozen=True)
class Alert:
    """A rule that was broken.

    Attributes
    ----------
    rule : str
        "nan", "collapse", "uniform", "sinks", "prefix" or "dying".
    step : int
        At which it was seen.
    why : str
        What was measured.
    """

    rule: str
    step: int
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.why}"


Rule = Callable[[Reading, History], str]


def broken(rules: Sequence[str], reading: Reading, history: History) -> list[Alert]:
    """Rules that a reading breaks, held against those before it."""
    return [Alert(name, reading.step, why) for name in rules if (why := RULES[name](reading, history))]


def _nan(reading: Reading, history: History) -> str:
    """Numbers that were there and are no more; at the first reading, layers without any."""
    for name, of in reading.numbers.items():
        for measure in (one for one in ALWAYS if one in of):
            now, before = of[measure], _first(history, name, measure)
            lost = np.isnan(now) & (~np.isnan(before) if before is not None else np.isnan(now).all(-1, keepdims=True))
            if lost.any():
                heads = [f"{layer}.{head}" for layer, head in np.argwhere(lost).tolist()]
                return f"{name}: heads {_listed(heads)} have no {measure}: their weights hold NaN"
    return ""


def _collapse(reading: Reading, history: History) -> str:
    """Entropy that came near 0 in most heads: every query looks at one key."""
    return _came(reading, history, lambda values: values < LOW, "came to look at a single key")


def _uniform(reading: Reading, history: History) -> str:
    """Entropy that came near its largest in most heads, as it is in a model that has learned nothing."""
    return _came(reading, history, lambda values: values > HIGH, "came to look everywhere alike")


def _sinks(reading: Reading, history: History) -> str:
    """Mass on one key that grew in most heads."""
    if not len(history):
        return ""
    for name, of in reading.numbers.items():
        before = history[0].numbers.get(name, {}).get("sink")
        now = of.get("sink")
        if now is None or before is None or before.shape != now.shape:
            continue
        grown = (now > SINK) & (now - before > GROWN)
        if _is_most(grown, now):
            return (
                f"{name}: {int(grown.sum())} of {int((~np.isnan(now)).sum())} heads give more than {SINK:g} to one key"
            )
    return ""


def _prefix(reading: Reading, _history: History) -> str:
    """A prefix that gets next to nothing."""
    for name, of in reading.numbers.items():
        mass = of.get("mass on prefix")
        if mass is not None and np.isfinite(mass).any() and float(np.nanmax(mass)) < IGNORED:
            return f"{name}: no head gives the prefix more than {float(np.nanmax(mass)):.2g}"
    return ""


def _dying(reading: Reading, history: History) -> str:
    """Heads that were something, and became like the mean of their layer and everywhere alike."""
    for name, of in reading.numbers.items():
        now, before = of.get("normalized_entropy"), _first(history, name, "normalized_entropy")
        if now is None or before is None or before.shape != now.shape:
            continue
        dead = (now > HIGH) & (before < HIGH)
        if dead.any() and not _is_most(dead, now):
            heads = [f"{layer}.{head}" for layer, head in np.argwhere(dead).tolist()]
            return f"{name}: heads {_listed(heads)} came to look everywhere alike"
    return ""


def _came(
    reading: Reading, history: History, holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]], what: str
) -> str:
    """Of what most heads have now, and most had not at first."""
    for name, of in reading.numbers.items():
        now, before = of.get("normalized_entropy"), _first(history, name, "normalized_entropy")
        if now is None or before is None or not _is_most(holds(now), now) or _is_most(holds(before), before):
            continue
        return f"{name}: {_count(holds(now), now)} heads {what}"
    return ""


def _first(history: History, name: str, measure: str) -> NDArray[np.float64] | None:
    return history[0].numbers.get(name, {}).get(measure) if len(history) else None


def _count(which: NDArray[np.bool_], values: NDArray[np.float64]) -> str:
    return f"{int(which.sum())} of {int((~np.isnan(values)).sum())}"


def _is_most(which: NDArray[np.bool_], values: NDArray[np.float64]) -> bool:
    there = ~np.isnan(values)
    return bool(there.any()) and float(which[there].mean()) > SHARE


def _listed(some: Sequence[object], most: int = 6) -> str:
    shown = ", ".join(str(one) for one in some[:most])
    return shown if len(some) <= most else f"{shown} and {len(some) - most} more"


ALWAYS = ("entropy", "normalized_entropy", "confidence")  # what every head has
RULES: dict[str, Rule] = {
    "nan": _nan, "collapse": _collapse, "uniform": _uniform, "sinks": _sinks, "prefix": _prefix, "dying": _dying,
}  # fmt: skip
