"""Track: one run as a Timeline reads it: steps, numbers of every head, events, and maps where these were kept."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attnwidget.maps import AttentionMaps
from attnwidget.measures.table import by_name, head_measures, measured
from attnwidget.progress import progress_bar
from attnwidget.training.history import History
from attnwidget.training.monitor import AttentionMonitor

__all__ = ["Event", "Track", "track_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """What happened at a reading.

    Attributes
    ----------
    place : int
        Of the reading.
    kind : {"finding", "gone", "alert", "own"}
        A finding that came or went, a rule that was broken, or what the caller says.
    text : str
        Which.
    """

    place: int
    kind: str
    text: str


class Track(Protocol):
    """One run: readings in order, which may grow."""

    @property
    def labels(self) -> Sequence[str] | None:
        """What its steps are called, where that is no number."""

    def refresh(self) -> None:
        """Take what has come since."""

    @property
    def growing(self) -> bool:
        """Whether more may come."""

    @property
    def steps(self) -> Sequence[int]:
        """Of its readings."""

    @property
    def generation(self) -> int:
        """How often its file was begun anew."""

    def heads(self) -> dict[str, tuple[int, int]]:
        """Layers, and the most heads of one, by the name of the maps."""

    def layer_numbers(self, name: str) -> Sequence[int]:
        """Numbers of the layers in the model."""

    def measures(self) -> list[str]:
        """Names of what was measured."""

    def numbers(self, name: str, measure: str, after: int) -> Array:
        """Numbers of all heads from a reading on: [readings, layers, heads], NaN where there is none."""

    def events(self, after: int) -> list[Event]:
        """What happened from a reading on."""

    def logged(self, after: int) -> dict[str, list[float]]:
        """What was written with the readings from one on, by its name; NaN where it was not."""

    def maps(self, place: int) -> Mapping[str, AttentionMaps]:
        """The maps of a reading; empty where they were not kept."""

    def kept(self) -> list[bool]:
        """Of each reading, whether its maps were kept."""


class Recorded:
    """The readings of a monitor: those of this process, or of the file that another one writes."""

    labels: Sequence[str] | None = None

    def __init__(self, history: History) -> None:
        self._history = history

    def refresh(self) -> None:
        """Take what was written since."""
        self._history.refresh()

    @property
    def growing(self) -> bool:
        """A training may go on at any time."""
        return True

    @property
    def steps(self) -> Sequence[int]:
        """Of its readings."""
        return self._history.steps

    @property
    def generation(self) -> int:
        """How often its file was begun anew."""
        return self._history.generation

    def heads(self) -> dict[str, tuple[int, int]]:
        """The most layers of any reading, and the most heads of one: a model may grow."""
        found: dict[str, tuple[int, int]] = {}
        for reading in self._history:
            for name, (layers, heads) in reading.shapes.items():
                most = found.get(name, (0, 0))
                if layers and heads:
                    found[name] = max(most[0], layers), max(most[1], heads)
        return found

    def layer_numbers(self, name: str) -> Sequence[int]:
        """Numbers of the layers in the model, of the reading that has most."""
        return max((one.numbers_of(name) for one in self._history if name in one.numbers), key=len, default=[])

    def measures(self) -> list[str]:
        """Names of what was measured at any reading."""
        return list(dict.fromkeys(name for one in self._history for of in one.numbers.values() for name in of))

    def numbers(self, name: str, measure: str, after: int) -> Array:
        """Numbers of all heads from a reading on."""
        readings = self._history[after:]
        found = np.full((len(readings), *self.heads()[name]), np.nan)
        for place, reading in enumerate(readings):
            values = reading.numbers.get(name, {}).get(measure)
            if values is not None:
                found[place, : values.shape[0], : values.shape[1]] = values
        return found

    def events(self, after: int) -> list[Event]:
        """Findings that came and went, and rules that were broken."""
        found: list[Event] = []
        known: set[str] = set()
        rules: set[str] = set()
        for place, reading in enumerate(self._history):
            now = known if reading.findings is None else set(reading.findings)  # where nobody looked
            broken = {one.partition(": ")[0]: one for one in reading.alerts}
            if place >= after:
                found += [Event(place, "alert", said) for rule, said in broken.items() if rule not in rules]
                found += [Event(place, "finding", one) for one in sorted(now - known)]
                found += [Event(place, "gone", one) for one in sorted(known - now)]
            known, rules = now, set(broken)
        return found

    def logged(self, after: int) -> dict[str, list[float]]:
        """Losses and the like."""
        names = dict.fromkeys(name for one in self._history for name in one.logged)
        return {name: [one.logged.get(name, np.nan) for one in self._history[after:]] for name in names}

    def maps(self, place: int) -> Mapping[str, AttentionMaps]:
        """The maps of a reading; empty where they were not kept."""
        return self._history.maps(self._history[place].step)

    def kept(self) -> list[bool]:
        """Of each reading, whether its maps were kept."""
        there = self._history.kept_steps()
        return [one.step in there for one in self._history]


class Listed:
    """Captures in an order: checkpoints, epochs, generated tokens; measured once, when they come."""

    growing: bool = False
    generation: int = 0

    def __init__(self, runs: Iterable[Any], steps: Sequence[Any] | None, *, progress: bool) -> None:
        self._maps = [_named(one) for one in runs]
        if not self._maps:
            raise ValueError("there is no capture; expected at least one step.")
        _check_shapes(self._maps)
        self.steps: Sequence[int]
        self.labels: Sequence[str] | None
        self.steps, self.labels = _steps(steps, len(self._maps))
        first = self._maps[0]
        self._heads = {name: (maps.n_layers, max(maps.heads)) for name, maps in first.items()}
        self._measures = list(dict.fromkeys(one for maps in first.values() for one in measured(maps)))
        self._numbers: dict[str, list[dict[str, Array]]] = {name: [] for name in first}
        with progress_bar("steps measured", len(self._maps), shown=progress and len(self._maps) > 1) as bar:
            for maps in self._maps:
                for name, one in maps.items():
                    found = head_measures(one)
                    self._numbers[name].append({key: found[key].double().cpu().numpy() for key in self._measures})
                bar.update()

    def refresh(self) -> None:
        """Nothing comes."""

    def heads(self) -> dict[str, tuple[int, int]]:
        """Layers, and the most heads of one, by the name of the maps."""
        return self._heads

    def layer_numbers(self, name: str) -> Sequence[int]:
        """Numbers of the layers in the model."""
        return self._maps[0][name].layer_numbers

    def measures(self) -> list[str]:
        """Names of what was measured."""
        return self._measures

    def numbers(self, name: str, measure: str, after: int) -> Array:
        """Numbers of all heads from a step on."""
        found = [one[measure] for one in self._numbers[name][after:]]
        return np.stack(found) if found else np.zeros((0, *self._heads[name]))

    def events(self, after: int) -> list[Event]:  # noqa: ARG002 - as every track
        """Nobody watched."""
        return []

    def logged(self, after: int) -> dict[str, list[float]]:  # noqa: ARG002 - as every track
        """Nothing was written with them."""
        return {}

    def maps(self, place: int) -> Mapping[str, AttentionMaps]:
        """The maps of a step."""
        return self._maps[place]

    def kept(self) -> list[bool]:
        """All are here."""
        return [True] * len(self._maps)


def track_of(what: Any, steps: Sequence[Any] | None, *, progress: bool) -> Track:
    """A run from what came: a History, a monitor, the file of one, or captures in an order.

    Raises
    ------
    TypeError
        When it is something else.
    ValueError
        When there is nothing in it, or captures differ in shape.
    FileNotFoundError
        When there is no such file.
    """
    if isinstance(what, AttentionMonitor):
        what = what.history
    if isinstance(what, str | os.PathLike):
        what = History.load(Path(what))
    if isinstance(what, History):
        if steps is not None:
            raise TypeError("steps= came with a History, which has its own; leave it out.")
        return Recorded(what)
    if isinstance(what, AttentionMaps | Mapping) or not isinstance(what, Iterable):
        raise TypeError(
            f"what came is {type(what).__name__}; expected a History, an AttentionMonitor, the path of its file, or a "
            "list of captures in an order."
        )
    return Listed(what, steps, progress=progress)


def _named(run: Any) -> dict[str, AttentionMaps]:
    try:
        return dict(by_name(run))
    except TypeError as error:
        raise TypeError(
            f"a step is {type(run).__name__}; expected AttentionMaps, or a Capture as attnwidget.capture returns it."
        ) from error


def _check_shapes(steps: Sequence[Mapping[str, AttentionMaps]]) -> None:
    def shape(maps: Mapping[str, AttentionMaps]) -> dict[str, tuple[Any, ...]]:
        return {name: (one.heads, one.n_queries, one.n_keys) for name, one in maps.items()}

    first = shape(steps[0])
    labels = {name: (one.tokens.labels, one.key_tokens.labels) for name, one in steps[0].items()}
    for place, maps in enumerate(steps):
        if shape(maps) != first:
            raise ValueError(
                f"step {place} is {_said(shape(maps))}, and the first {_said(first)}; the steps of a Timeline are of "
                "one shape. Capture the same text at each."
            )
        other = next((n for n, one in maps.items() if (one.tokens.labels, one.key_tokens.labels) != labels[n]), None)
        if other is not None:
            raise ValueError(
                f"step {place} has other tokens than the first in {other!r}; the steps of a Timeline are of one text. "
                "Maps with labels of your own are AttentionMaps(maps.layers, labels)."
            )


def _said(shape: Mapping[str, tuple[Any, ...]]) -> str:
    return ", ".join(
        f"{name}: {len(heads)} layers x {max(heads)} heads, {queries} x {keys}"
        for name, (heads, queries, keys) in shape.items()
    )


def _steps(steps: Sequence[Any] | None, count: int) -> tuple[list[int], list[str] | None]:
    """Numbers of the steps, and what they are called where that is no number."""
    if steps is None:
        return list(range(count)), None
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise TypeError(f"steps is {type(steps).__name__}; expected a whole number, or a string, for each capture.")
    steps = list(steps)
    if len(steps) != count:
        raise ValueError(f"steps names {len(steps)}; there are {count} captures.")
    if all(isinstance(one, str) for one in steps):
        return list(range(count)), steps
    if not all(hasattr(one, "__index__") and not isinstance(one, bool) for one in steps):
        raise TypeError("steps holds something else; expected a whole number, or a string, for each capture.")
    numbers = [int(one) for one in steps]
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise ValueError("steps do not rise; give them in order, each once.")
    return numbers, None
