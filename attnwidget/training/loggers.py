"""Loggers: what a monitor reads, told to TensorBoard, wandb and MLflow, each where it is installed and asked for."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnwidget.intake import AttentionWarning
from attnwidget.measures.faults import outside
from attnwidget.training.history import Reading

__all__ = ["Loggers", "scalars"]

NAMES = ("tensorboard", "wandb", "mlflow")
_LIBRARIES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
_X = "attention_step"  # wandb counts steps of its own


class Loggers:
    """Where readings are told beside the file.

    Parameters
    ----------
    to : str, object, or sequence of them
        "tensorboard" (a SummaryWriter in its own folder), "wandb" and "mlflow" (the run that is active at the first
        reading); or a SummaryWriter, a run of wandb, a run of MLflow.
    heads : bool
        Tell the numbers of every head too.

    Raises
    ------
    TypeError
        When one is something else.
    ValueError
        When a name is not known.
    ImportError
        When a library is asked for that is not installed.
    """

    def __init__(self, to: Any = (), *, heads: bool = False) -> None:
        asked = list(to) if isinstance(to, list | tuple) else [to]
        self._heads = heads
        self._told: set[str] = set()
        self._asked = [_checked(one) for one in asked]
        self._logs: list[_Log] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but the runs that were found, which belong to this process."""
        return self.__dict__ | {"_logs": None}

    def begin(self) -> None:
        """Find the runs that are active, before training begins.

        Raises
        ------
        ValueError
            When wandb is asked for and no run is active.
        """
        if self._logs is None:
            self._logs = [kind(one) for kind, one in self._asked]

    def tell(self, reading: Reading, rules: Sequence[str]) -> None:
        """Tell of one reading; what fails is told once, and training goes on."""
        if not self._asked:
            return
        self.begin()
        numbers = scalars(reading, rules, heads=self._heads)
        for log in self._logs or ():
            try:
                log.write(reading.step, numbers)
            except Exception as error:  # noqa: BLE001 - a training does not end because a logger fails
                if log.name not in self._told:
                    self._told.add(log.name)
                    warnings.warn(
                        f"{log.name} does not take readings ({type(error).__name__}: {error}). Training goes on, and "
                        "monitor.history holds them all.",
                        AttentionWarning,
                        outside(),
                    )


def scalars(reading: Reading, rules: Sequence[str] = (), *, heads: bool = False) -> dict[str, float]:
    """A reading as single numbers by name: of layers the mean, least and largest, of rules whether they are broken.

    Parameters
    ----------
    reading : Reading
        The reading.
    rules : sequence of str
        Rules that are watched.
    heads : bool
        The number of every head too.

    Returns
    -------
    dict of str to float
        "attention_entropy/layer_0_mean", with the name of the maps in front of "layer" where there are several;
        "attention_alert/nan". Numbers that do not exist are left out.
    """
    found: dict[str, float] = {}
    for name, of in reading.numbers.items():
        front = f"{name}_" if len(reading.numbers) > 1 else ""
        for measure, values in of.items():
            group = "attention_" + "".join(one if one.isalnum() else "_" for one in measure).strip("_")
            for layer, row in zip(reading.numbers_of(name), values, strict=True):
                there = row[np.isfinite(row)]
                place = f"{group}/{front}layer_{layer}"
                if len(there):
                    found |= {f"{place}_mean": there.mean(), f"{place}_min": there.min(), f"{place}_max": there.max()}
                if heads:
                    found |= {f"{place}_head_{i}": one for i, one in enumerate(row) if np.isfinite(one)}
    broken = {alert.partition(":")[0] for alert in reading.alerts}
    return {name: float(value) for name, value in found.items()} | {
        f"attention_alert/{rule}": float(rule in broken) for rule in rules
    }


class _Log:
    """One place that takes numbers."""

    name = ""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of one step."""
        raise NotImplementedError


class _TensorBoard(_Log):
    name = "TensorBoard"

    def __init__(self, writer: Any) -> None:
        self._writer = importlib.import_module(_LIBRARIES["tensorboard"]).SummaryWriter() if writer is None else writer

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


class _Wandb(_Log):
    name = "wandb"

    def __init__(self, run: Any) -> None:
        self._run = importlib.import_module("wandb").run if run is None else run
        if self._run is None:
            raise ValueError("to='wandb' and no run is active; call wandb.init() before training, or pass the run.")
        self._run.define_metric(_X)
        self._run.define_metric("attention_*", step_metric=_X)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        # wandb drops what comes with a step behind its own, which others may have counted on.
        self._run.log({**numbers, _X: step}, step=max(step, self._run.step))


class _MLflow(_Log):
    name = "MLflow"

    def __init__(self, run: Any) -> None:
        self._mlflow = importlib.import_module("mlflow")
        self._run = None if run is None else run.info.run_id

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(numbers), step=step, run_id=self._run)


def _checked(one: Any) -> tuple[type[Any], Any]:
    """What kind of place it is, and what was given of it."""
    kinds: dict[str, type[Any]] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _MLflow}
    if isinstance(one, str):
        if one not in kinds:
            raise ValueError(f"to={one!r} is not known; there are {', '.join(map(repr, NAMES))}.")
        try:
            importlib.import_module(_LIBRARIES[one])
        except ImportError as error:
            raise ImportError(f"to={one!r} needs {one}, which is not installed: pip install {one}.") from error
        return kinds[one], None
    if callable(getattr(one, "add_scalar", None)):
        return _TensorBoard, one
    if callable(getattr(one, "define_metric", None)) and callable(getattr(one, "log", None)):
        return _Wandb, one
    if hasattr(getattr(one, "info", None), "run_id"):
        return _MLflow, one
    raise TypeError(
        f"to holds {type(one).__name__}; expected {', '.join(map(repr, NAMES))}, a SummaryWriter, a run of wandb or a "
        "run of MLflow."
    )
