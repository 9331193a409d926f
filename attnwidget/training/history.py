"""History: what a monitor read, step by step, as lines of JSON that a crash cannot take back."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from attnwidget.maps import AttentionMaps
from attnwidget.training.keeping import KeptMaps

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History", "Reading", "Written"]

FORMAT = 1


@dataclass(frozen=True)
class Reading:
    """What was read at one step.

    Attributes
    ----------
    step : int
        Of the training.
    numbers : dict of str to dict of str to array [layers, heads]
        By the name of the maps and of the measure; NaN where a number does not exist.
    findings : list of str
        Names of what `attnwidget.diagnose` found on the probe.
    alerts : list of str
        The rules that were broken, each "rule: what was measured".
    logged : dict of str to float
        What the caller wrote with it, as a loss.
    """

    step: int
    numbers: dict[str, dict[str, NDArray[np.float64]]]
    findings: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    logged: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """The reading as one line of JSON."""
        numbers = {
            name: {measure: _listed(values) for measure, values in of.items()} for name, of in self.numbers.items()
        }
        told = {"format": FORMAT, "step": self.step, "numbers": numbers, "findings": self.findings}
        return json.dumps(told | {"alerts": self.alerts, "logged": _plain(self.logged)}, allow_nan=False)

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
        step, logged = (
            int(told["step"]),
            {str(k): math.nan if v is None else float(v) for k, v in told["logged"].items()},
        )
        return cls(step, numbers, [str(one) for one in told["findings"]], [str(one) for one in told["alerts"]], logged)


class History(Sequence[Reading]):
    """Readings in the order of their steps.

    Parameters
    ----------
    readings : sequence of Reading
        As they were read.
    kept : KeptMaps or None
        The maps of the probe, where they were kept.

    Examples
    --------
    >>> history = aw.training.History.load("attention.jsonl")
    >>> history.curve("induction", layer=1, head=3)
    """

    def __init__(self, readings: Sequence[Reading] = (), kept: KeptMaps | None = None) -> None:
        self._readings = list(readings)
        self._kept = kept
        self._path: Path | None = None
        self._read, self._line = 0, 0  # bytes and lines of it
        self._lock = threading.Lock()  # a widget reads beside the running cell

    def __len__(self) -> int:
        return len(self._readings)

    def __getitem__(self, at: Any) -> Any:
        found = self._readings[at]
        return History(found) if isinstance(at, slice) else found

    def __iter__(self) -> Iterator[Reading]:
        return iter(self._readings)

    def __repr__(self) -> str:
        steps = f", steps {self._readings[0].step} to {self._readings[-1].step}" if self._readings else ""
        return f"<History of {len(self)} readings{steps}>"

    def add(self, reading: Reading) -> None:
        """Put a reading behind the others."""
        self._readings.append(reading)

    def maps(self, step: int) -> dict[str, AttentionMaps]:
        """The maps of the probe at a step, by their names; empty where they were not kept."""
        return {} if self._kept is None else self._kept.get(step)

    def kept_steps(self) -> set[int]:
        """Steps whose maps were kept."""
        return set() if self._kept is None else set(self._kept.steps)

    def refresh(self) -> int:
        """Take what was written to the file since it was loaded; a line that is being written comes next time.

        Returns
        -------
        int
            How many readings came; 0 of a History that was not loaded from a file.

        Raises
        ------
        ValueError
            When a whole line is no reading.
        """
        if self._path is None or not self._path.is_file():
            return 0
        with self._lock, self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._read:  # written anew
                self._readings, self._read, self._line = [], 0, 0
            before = len(self)
            file.seek(self._read)
            for line in file:
                if not self._took(line):
                    break
            return len(self) - before

    def _took(self, line: bytes) -> bool:
        """Take a line of the file; not where it is being written, or was cut off."""
        try:
            reading = Reading.of_line(line.decode("utf-8")) if line.strip() else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if not line.endswith(b"\n"):
                return False
            said = f"line {self._line + 1} of {self._path} is no reading of an AttentionMonitor: {error}."
            raise ValueError(said) from error
        if reading is not None:
            self._readings.append(reading)
        self._read += len(line)
        self._line += line.endswith(b"\n")
        return True

    @property
    def steps(self) -> list[int]:
        """Of all readings."""
        return [reading.step for reading in self._readings]

    def curve(self, measure: str, *, layer: int, head: int, map: str | None = None) -> NDArray[np.float64]:  # noqa: A002
        """A number of one head over all readings: array [readings]; NaN where it was not read.

        Raises
        ------
        KeyError
            When no reading has such a measure; the message says what there is.
        IndexError
            When there is no such layer or head.
        """
        found = []
        for reading in self._readings:
            name = next(iter(reading.numbers), None) if map is None else map
            of = reading.numbers.get(name or "", {})
            found.append(of[measure][layer, head] if measure in of else math.nan)
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
                shape = next(iter(of.values())).shape if of else (0, 0)
                for layer, head in np.ndindex(shape):
                    values = {measure: values[layer, head] for measure, values in of.items()}
                    rows.append({"step": reading.step, "map": name, "layer": layer, "head": head, **values})
        return pd.DataFrame(rows).set_index(["step", "map", "layer", "head"]) if rows else pd.DataFrame()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that a monitor wrote, or is writing; a last line that was cut off is left out.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When a line in the middle is no reading: names it.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; expected a file that an AttentionMonitor wrote.")
        history = cls(kept=KeptMaps.beside(path))
        history._path = path
        history.refresh()
        return history


class Written:
    """A file of readings that goes on where it ended.

    Parameters
    ----------
    path : str or Path
        Where; a file that is there is gone on with, less a last line that was cut off.

    Raises
    ------
    ValueError
        When the file is something else.
    OSError
        When it cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.before = History()
        if self.path.exists():
            self.before = History.load(self.path)
            text = self.path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if whole != text:
                # Cut off by a crash: what follows must begin a line of its own.
                with self.path.open("r+b") as file:
                    file.truncate(len(whole))
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()

    def write(self, reading: Reading) -> None:
        """Write one line, and have it on the disk before anything else happens."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(reading.line() + "\n")
            file.flush()
            os.fsync(file.fileno())


def _listed(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if math.isnan(one) else float(f"{one:.6g}") if math.isfinite(one) else _large(one) for one in row]
            for row in values.tolist()]  # fmt: skip


def _large(value: float) -> float:
    """JSON has no infinity."""
    return math.copysign(1e308, value)


def _array(values: Any) -> NDArray[np.float64]:
    return np.array([[math.nan if one is None else float(one) for one in row] for row in values], dtype=float)


def _plain(logged: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in logged.items()}
