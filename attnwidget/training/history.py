"""History: what a monitor read, step by step, as lines of JSON that a crash cannot take back."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from attnwidget import files
from attnwidget.maps import AttentionMaps
from attnwidget.training.keeping import KeptMaps

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History", "Reading", "read_lines"]

FORMAT = 1
ENDINGS = (".jsonl", ".json", ".ndjson")
BEGINNING = f'{{"format": {FORMAT}, "step": '.encode()  # of every line
LARGE = 1e308  # JSON has no infinity
BEHIND = 1024  # bytes in front of where one goes on reading, by which the file is known again


@dataclass(frozen=True)
class Reading:
    """What was read at one step.

    Attributes
    ----------
    step : int
        Of the training.
    numbers : dict of str to dict of str to array [layers, heads]
        By the name of the maps and of the measure; NaN where a number does not exist.
    findings : list of str, or None
        Names of what `attnwidget.diagnose` found on the probe; None where nobody looked.
    alerts : list of str
        The rules that were broken, each "rule: what was measured".
    logged : dict of str to float
        What the caller wrote with it, as a loss.
    layers : dict of str to list of int
        By the name of the maps the numbers of their layers in the model, where these are not 0, 1, 2 and so on.
    probe : str
        Digest of the probe's tokens; empty where it was not written.
    """

    step: int
    numbers: dict[str, dict[str, NDArray[np.float64]]]
    findings: list[str] | None = None
    alerts: list[str] = field(default_factory=list)
    logged: dict[str, float] = field(default_factory=dict)
    layers: dict[str, list[int]] = field(default_factory=dict)
    probe: str = ""

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Layers and heads by the name of the maps."""
        return {name: next(iter(of.values())).shape if of else (0, 0) for name, of in self.numbers.items()}

    def numbers_of(self, name: str) -> list[int]:
        """Numbers that the layers of some maps have in the model."""
        return self.layers.get(name) or list(range(self.shapes[name][0]))

    def line(self) -> str:
        """The reading as one line of JSON; numbers have six digits."""
        numbers = {
            name: {measure: _listed(values) for measure, values in of.items()} for name, of in self.numbers.items()
        }
        told = {"format": FORMAT, "step": self.step, "numbers": numbers, "findings": self.findings}
        told |= {"alerts": self.alerts, "logged": {name: _plain(value) for name, value in self.logged.items()}}
        further = {name: value for name, value in (("layers", self.layers), ("probe", self.probe)) if value}
        return json.dumps(told | further, allow_nan=False)

    @classmethod
    def of_line(cls, line: str) -> Self:
        """The reading of a line; ValueError where it is none."""
        told = json.loads(line)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ValueError(f"it is no reading of format {FORMAT}")
        numbers = {
            str(name): {str(measure): _array(values) for measure, values in of.items()}
            for name, of in told["numbers"].items()
        }
        findings = None if told["findings"] is None else [str(one) for one in told["findings"]]
        logged = {str(name): _float(value) for name, value in told["logged"].items()}
        layers = {str(name): [int(one) for one in of] for name, of in told.get("layers", {}).items()}
        alerts = [str(one) for one in told["alerts"]]
        return cls(int(told["step"]), numbers, findings, alerts, logged, layers, str(told.get("probe", "")))


class History(Sequence[Reading]):
    """Readings in the order of their steps.

    Parameters
    ----------
    readings : sequence of Reading
        As they were read.
    kept : KeptMaps or None
        The maps of the probe, where they were kept.

    Attributes
    ----------
    generation : int
        How many times other readings came in the place of all of them, as where the file was written anew; 0 at first.

    Examples
    --------
    >>> history = aw.History.load("attention.jsonl")
    >>> history.curve("induction", layer=1, head=3)
    """

    def __init__(self, readings: Sequence[Reading] = (), kept: KeptMaps | None = None) -> None:
        self._readings, self._kept = list(readings), kept
        self.generation = 0
        self._path: Path | None = None
        self._whole, self._lines = 0, 0  # bytes and lines of it that are here
        self._behind = b""  # the last of these bytes
        self._lock = threading.Lock()  # a widget reads beside the running cell

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock, which every process has for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What was sent, with a lock of its own."""
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        return len(self._readings)

    def __getitem__(self, at: Any) -> Any:
        found = self._readings[at]
        return History(found, self._kept) if isinstance(at, slice) else found

    def __iter__(self) -> Iterator[Reading]:
        return iter(self._readings)

    def __repr__(self) -> str:
        steps = f", steps {self._readings[0].step} to {self._readings[-1].step}" if self._readings else ""
        return f"<History of {len(self)} readings{steps}>"

    def add(self, reading: Reading) -> None:
        """Put a reading behind the others."""
        self._readings.append(reading)

    def begin_again(self, readings: Sequence[Reading] = ()) -> None:
        """Hold these in the place of all readings; the generation is one more."""
        self._readings = list(readings)
        self.generation += 1

    def maps(self, step: int) -> dict[str, AttentionMaps]:
        """The maps of the probe at a step, by their names; empty where they were not kept."""
        return {} if self._kept is None or step not in self.steps else self._kept.get(step)

    def kept_steps(self) -> set[int]:
        """Steps of these readings whose maps were kept."""
        return set() if self._kept is None else set(self._kept.steps) & set(self.steps)

    def refresh(self) -> int:
        """Take what was written to the file since it was loaded; a line that is being written comes next time.

        Where the file was written anew, all readings are those that it holds now, and ``generation`` is one more.

        Returns
        -------
        int
            How many readings came; 0 of a History that was not loaded from a file.

        Raises
        ------
        ValueError
            When a line is no reading: names it. What is here stays.
        """
        if self._path is None or not self._path.is_file():
            return 0
        with self._lock:
            anew = _behind(self._path, self._whole) != self._behind
            readings, whole, lines = read_lines(self._path, *((0, 0) if anew else (self._whole, self._lines)))
            self._behind, self._whole, self._lines = _behind(self._path, whole), whole, lines
            if anew:
                self.begin_again(readings)
            else:
                self._readings += readings
            return len(readings)

    @property
    def steps(self) -> list[int]:
        """Of all readings."""
        return [reading.step for reading in self._readings]

    @property
    def alerts(self) -> list[tuple[int, str]]:
        """Steps at which rules were broken, and what was measured, one a rule and step."""
        return [(reading.step, alert) for reading in self._readings for alert in reading.alerts]

    def curve(self, measure: str, *, layer: int, head: int, map: str | None = None) -> NDArray[np.float64]:  # noqa: A002
        """A number of one head over all readings: array [readings]; NaN where it was not read.

        Parameters
        ----------
        measure : str
            Its name.
        layer, head : int
            Numbers in the model.
        map : str or None
            Name of the maps; None takes the first that a reading has.

        Raises
        ------
        KeyError
            When no reading has such maps or such a measure; the message says what there is.
        IndexError
            When there is no such layer or head.
        """
        names = list(dict.fromkeys(name for one in self._readings for name in one.numbers))
        if map is not None and self._readings and map not in names:
            raise KeyError(f"no reading has maps named {map!r}; there are {', '.join(names)}.")
        found = []
        for reading in self._readings:
            name = next(iter(reading.numbers), "") if map is None else map
            of = reading.numbers.get(name, {})
            found.append(_of_head(reading, name, of[measure], layer, head) if measure in of else math.nan)
        if self._readings and not any(measure in of for one in self._readings for of in one.numbers.values()):
            there = sorted({name for one in self._readings for of in one.numbers.values() for name in of})
            raise KeyError(f"no reading has {measure!r}; there are {', '.join(there)}.")
        return np.array(found, dtype=float)

    def to_frame(self) -> pd.DataFrame:
        """One row for each step and head, by the name of its maps; columns are measures.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        rows = []
        for reading in self._readings:
            for name, of in reading.numbers.items():
                layers = reading.numbers_of(name)
                for at, head in np.ndindex(reading.shapes[name]):
                    values = {measure: values[at, head] for measure, values in of.items()}
                    rows.append({"step": reading.step, "map": name, "layer": layers[at], "head": head, **values})
        return pd.DataFrame(rows).set_index(["step", "map", "layer", "head"]) if rows else pd.DataFrame()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that a monitor wrote, or is writing; a last line that was cut off is left out.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When a line is no reading: names it.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; expected a file that an AttentionMonitor wrote.")
        history = cls(kept=KeptMaps.beside(path))
        history._path = path
        history.refresh()
        return history

    def save(self, path: str | Path) -> Path:
        """Write all readings to a file, one a line; an older file is replaced.

        Raises
        ------
        ValueError
            When the name does not end in .jsonl, .json or .ndjson.
        OSError
            When it cannot be written.
        """
        text = "".join(reading.line() + "\n" for reading in self._readings)
        return files.write(path, text.encode(), endings=ENDINGS)


def read_lines(path: Path, whole: int = 0, lines: int = 0) -> tuple[list[Reading], int, int]:
    """The readings of a file from some byte and line on.

    Returns
    -------
    list of Reading
        Those that are whole.
    int, int
        Bytes and lines of the file that are: less than all where the last line was cut off.

    Raises
    ------
    ValueError
        When a line is no reading, nor the beginning of one at the end of the file: names it.
    """
    readings = []
    with path.open("rb") as file:
        file.seek(whole)
        for line in file:
            try:
                if line.strip():
                    readings.append(Reading.of_line(line.decode()))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if _is_cut(line, error):
                    break  # it was being written
                said = f"line {lines + 1} of {path} is no reading of an AttentionMonitor: {error}."
                raise ValueError(said) from error
            whole += len(line)
            lines += line.endswith(b"\n")
    return readings, whole, lines


def _is_cut(line: bytes, error: Exception) -> bool:
    """Whether a line that is no reading is the first part of one."""
    begun = line.startswith(BEGINNING) or BEGINNING.startswith(line)
    return begun and isinstance(error, json.JSONDecodeError) and not line.endswith(b"\n")


def _behind(path: Path, whole: int) -> bytes:
    """The bytes in front of some place in a file; fewer where it ends before."""
    with path.open("rb") as file:
        file.seek(max(whole - BEHIND, 0))
        return file.read(min(whole, BEHIND))


def _of_head(reading: Reading, name: str, values: NDArray[np.float64], layer: int, head: int) -> float:
    layers = reading.numbers_of(name)
    if layer not in layers or not 0 <= head < values.shape[1]:
        raise IndexError(
            f"there is no head {layer}.{head} in {name!r}: it has layers {', '.join(map(str, layers))} of "
            f"{values.shape[1]} heads."
        )
    return float(values[layers.index(layer), head])


def _listed(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[_plain(one) for one in row] for row in values.tolist()]


def _plain(value: float) -> float | None:
    if math.isnan(value):
        return None
    return float(f"{value:.6g}") if math.isfinite(value) else math.copysign(LARGE, value)


def _float(value: float | None) -> float:
    if value is None:
        return math.nan
    return float(value) if abs(value) < LARGE else math.copysign(math.inf, value)


def _array(values: Any) -> NDArray[np.float64]:
    return np.array([[_float(one) for one in row] for row in values], dtype=float)
