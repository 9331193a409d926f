"""Rules: what makes a monitor speak up: NaN, heads that collapse or die, sinks, a prefix that nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnwidget.training.history import Reading

__all__ = ["RULES", "Alert", "Past", "Rule", "broken"]

MOST = 0.5  # of the heads, from which a thing is one of the model and not of a head
ONE_KEY, EVERYWHERE = 0.05, 0.98  # of the largest entropy: on one key, and everywhere alike
NOT_ONE_KEY, SOMEWHERE = 0.2, 0.9  # what most heads must have been before they came to that
ALIVE = 0.75  # what a single head must have been: some look somewhere for a while on their way to nothing
LARGE_SCORE = 30.0  # nats: sharper than heads become that learn to look at one key
SINK, GROWN = 0.9, 0.3  # mean weight of one key, and by how much it grew since it was least
IGNORED = 0.1  # of the mass that chance gives a prefix

Values = NDArray[np.float64]


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
    map : str
        Name of the maps in which it was seen.
    """

    rule: str
    step: int
    why: str
    map: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.why}"


@dataclass
class Past:
    """What readings so far held of some maps: the least and largest of each measure, and the last."""

    least: dict[str, Values] = field(default_factory=dict)
    largest: dict[str, Values] = field(default_factory=dict)
    last: dict[str, Values] = field(default_factory=dict)

    def fits(self, numbers: Mapping[str, Values]) -> bool:
        """Whether numbers are of as many layers and heads: a model that was pruned begins anew."""
        shapes = {values.shape for values in (*self.last.values(), *numbers.values())}
        return len(shapes) < 2

    def add(self, numbers: Mapping[str, Values]) -> None:
        """Another reading is past; what is NaN in it was not there."""
        if not self.fits(numbers):
            self.least, self.largest, self.last = {}, {}, {}
        for measure, values in numbers.items():
            self.least[measure] = np.fmin(self.least.get(measure, values), values)
            self.largest[measure] = np.fmax(self.largest.get(measure, values), values)
            self.last[measure] = values


class Seen(NamedTuple):
    """What a rule sees of some maps."""

    now: Mapping[str, Values]
    past: Past
    layers: Sequence[int]  # their numbers in the model
    chance: Mapping[str, float]  # mass that spans would get by chance
    hidden: bool  # whether no maps have the spans: what no query sees is cut as padding


class Rule(NamedTuple):
    """A rule, and the measures that it needs."""

    holds: Callable[[Seen], str]
    needs: tuple[str, ...]


def broken(
    rules: Sequence[str], reading: Reading, past: Mapping[str, Past], chance: Mapping[str, Mapping[str, float]]
) -> list[Alert]:
    """Rules that a reading breaks, held against those before it; each of all maps by itself."""
    alerts = []
    hidden = bool(chance) and not any(mass for of in chance.values() for mass in of.values())
    for name, now in reading.numbers.items():
        known = past.get(name, Past())
        seen = Seen(now, known if known.fits(now) else Past(), reading.numbers_of(name), chance.get(name, {}), hidden)
        said = {rule: RULES[rule].holds(seen) for rule in rules}
        alerts += [Alert(rule, reading.step, f"{name}: {why}", name) for rule, why in said.items() if why]
    return alerts


def _nan(seen: Seen) -> str:
    """Numbers that were there and are no more; at the first reading, layers without any."""
    now, before = seen.now["entropy"], seen.past.least.get("entropy")
    there = None if before is None else ~np.isnan(before)
    lost = np.isnan(now) & (np.isnan(now).all(-1, keepdims=True) if there is None else there)
    return f"heads {_heads(lost, seen)} have no entropy: their weights hold NaN" if lost.any() else ""


def _collapse(seen: Seen) -> str:
    """Most heads look at a single key, by scores that no head needs for that."""
    now, before = seen.now["normalized_entropy"], seen.past.largest.get("normalized_entropy")
    score = seen.now["score_max"]
    sharp = (now < ONE_KEY) & ~(score < LARGE_SCORE)  # of weights the scores are not known
    if before is None or not _is_most(sharp & (before > NOT_ONE_KEY), now):
        return ""
    said = "" if np.isnan(score).all() else f"; the largest score is {np.nanmax(score):.3g}"
    return f"{_count(sharp, now)} heads came to look at a single key{said}"


def _uniform(seen: Seen) -> str:
    """Most heads look everywhere alike, as they do in a model that has learned nothing, and once did not."""
    dead, now = _flat(seen, SOMEWHERE)
    return f"{_count(dead, now)} heads came to look everywhere alike" if _is_most(dead, now) else ""


def _dying(seen: Seen) -> str:
    """Heads that looked somewhere, and look everywhere alike."""
    dead, _ = _flat(seen, ALIVE)
    return f"heads {_heads(dead, seen)} came to look everywhere alike" if dead.any() else ""


def _flat(seen: Seen, below: float) -> tuple[NDArray[np.bool_], Values]:
    """Heads that are flat now, were at the reading before, and were not at some time; and how flat all are."""
    now = seen.now["normalized_entropy"]
    last, least = seen.past.last.get("normalized_entropy"), seen.past.least.get("normalized_entropy")
    if last is None or least is None:
        return np.zeros_like(now, dtype=bool), now
    return (now > EVERYWHERE) & (last > EVERYWHERE) & (least < below), now


def _sinks(seen: Seen) -> str:
    """Most heads came to give nearly everything to one key."""
    now, least = seen.now["sink"], seen.past.least.get("sink")
    if least is None:
        return ""
    grown = (now > SINK) & (now - least > GROWN)
    return f"{_count(grown, now)} heads came to give more than {SINK:g} to one key" if _is_most(grown, now) else ""


def _prefix(seen: Seen) -> str:
    """A prefix that no head gives a tenth of what chance would."""
    if seen.hidden and np.isfinite(seen.now["entropy"]).any():
        return "no query may look at the prefix: a mask hides it"
    for name in ("mass on prefix[1:]", "mass on prefix"):  # position 0 is a sink in most models, whatever stands there
        mass, chance = seen.now.get(name), seen.chance.get(name, 0.0)
        if mass is not None and np.isfinite(mass).any() and chance > 0:
            most = float(np.nanmax(mass))
            said = "the prefix" if name.endswith("prefix") else "the prefix, position 0 apart,"
            ignored = most < IGNORED * chance
            return f"no head gives {said} more than {most:.2g}, and chance would give {chance:.2g}" if ignored else ""
    return ""


def _count(which: NDArray[np.bool_], values: Values) -> str:
    return f"{int(which.sum())} of {int((~np.isnan(values)).sum())}"


def _is_most(which: NDArray[np.bool_], values: Values) -> bool:
    there = ~np.isnan(values)
    return bool(there.any()) and float(which[there].mean()) > MOST


def _heads(which: NDArray[np.bool_], seen: Seen, most: int = 6) -> str:
    found = [f"{seen.layers[layer]}.{head}" for layer, head in np.argwhere(which).tolist()]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


RULES: dict[str, Rule] = {
    "nan": Rule(_nan, ("entropy",)),
    "collapse": Rule(_collapse, ("normalized_entropy", "score_max")),
    "uniform": Rule(_uniform, ("normalized_entropy",)),
    "sinks": Rule(_sinks, ("sink",)),
    "prefix": Rule(_prefix, ("entropy", "mass on prefix", "mass on prefix[1:]")),
    "dying": Rule(_dying, ("normalized_entropy",)),
}
