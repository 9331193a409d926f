"""AttentionMonitor: the attention of a model on a fixed text, read while it trains."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from attnwidget.intake import AttentionWarning
from attnwidget.measures.arguments import whole
from attnwidget.training.history import History, Reading, Written
from attnwidget.training.probe import Probe
from attnwidget.training.rules import RULES, Alert, broken

__all__ = ["AttentionMonitor"]

MEASURES = ("entropy", "normalized_entropy", "sink", "induction", "previous", "score_max", "score_std")


class AttentionMonitor:
    """Reads the attention of a model on a fixed text every so many steps of its training.

    The model is in eval mode for the reading, needs no gradient, and draws no random number: training with a monitor is
    training without one.

    Parameters
    ----------
    model : nn.Module
        The model that trains.
    probe : str, mapping, or Tensor
        What it is read on, as in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for a text.
    every : int
        Steps between two readings; the first call is always one.
    measures : sequence of str
        Names of `attnwidget.summarize`, and "mass on NAME" for a span.
    spans : mapping of str to (start, stop), or None
        Named runs of tokens of the probe, as an anchor.
    prefix : int
        Number of learned positions in front; "mass on prefix" measures them.
    path : str, Path, or None
        A file of JSON lines, one a reading, each on the disk before training goes on. A file that is there is gone on
        with, as after a crash. None keeps readings in memory alone.
    alert : sequence of str
        Rules that are watched, each against the first reading: "nan", "collapse" (most heads came to look at one key),
        "uniform" (most came to look everywhere alike), "sinks" (most came to give above 0.9 to one key), "prefix" (no
        head looks at it), "dying" (some came to look everywhere alike).
    on_alert : callable or None
        Is told of each `Alert` when it comes up; None warns.
    stop_on : sequence of str
        Rules at which `step` says that training is to stop.
    save : callable or None
        Called once, before it says so, to save a checkpoint.

    Attributes
    ----------
    history : History
        All readings, those of the file before it included.
    stopped : Alert or None
        Why training is to stop.

    Raises
    ------
    TypeError
        When model is no module.
    ValueError
        When every is below 1, or a measure or a rule is not known; when the file is something else.

    Examples
    --------
    >>> monitor = aw.training.AttentionMonitor(model, text, tokenizer, every=100, path="attention.jsonl")
    >>> for batch in data:
    ...     loss = train(batch)
    ...     if monitor.step(loss=float(loss)):
    ...         break
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Any,
        tokenizer: Any = None,
        *,
        every: int = 100,
        measures: Sequence[str] = MEASURES,
        spans: Mapping[str, tuple[int, int]] | None = None,
        prefix: int = 0,
        path: str | Path | None = None,
        alert: Sequence[str] = ("nan", "collapse", "uniform"),
        on_alert: Callable[[Alert], Any] | None = None,
        stop_on: Sequence[str] = (),
        save: Callable[[], Any] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model is {type(model).__name__}; expected the module that trains.")
        if whole("every", every) < 1:
            raise ValueError(f"every={every}; expected 1 step or more between two readings.")
        alert, stop_on = ([one] if isinstance(one, str) else list(one) for one in (alert, stop_on))
        for name in (*alert, *stop_on):
            if name not in RULES:
                raise ValueError(f"there is no rule {name!r}; there are {', '.join(RULES)}.")
        self.model, self.every = model, every
        self._probe = Probe(probe, tokenizer, measures=measures, spans=spans, prefix=prefix)
        self._rules = list(dict.fromkeys([*alert, *stop_on]))
        self._stop_on, self._on_alert, self._save = set(stop_on), on_alert, save
        self._file = None if path is None else Written(path)
        self.history = History() if self._file is None else self._file.before
        self.stopped: Alert | None = None
        self._called = 0

    def __repr__(self) -> str:
        return f"<AttentionMonitor every {self.every} steps: {len(self.history)} readings>"

    def step(self, step: int | None = None, **logged: float) -> bool:
        """Say that a step of the training is done; reads where one is due.

        Parameters
        ----------
        step : int or None
            Its number; None counts the calls.
        **logged
            Numbers that are written with the reading, as ``loss=``.

        Returns
        -------
        bool
            Whether training is to stop; ``stopped`` says why.
        """
        number = self._called if step is None else whole("step", step)
        due = self._called == 0 or number % self.every == 0
        self._called += 1
        if due and (not len(self.history) or number > self.history[-1].step):
            self.read(number, **logged)
        return self.stopped is not None

    def read(self, step: int, **logged: float) -> Reading:
        """Read now, whatever is due.

        Parameters
        ----------
        step : int
            Its number.
        **logged
            As in `step`.
        """
        numbers, findings = self._probe.read(self.model)
        reading = Reading(step, numbers, findings, logged={name: float(value) for name, value in logged.items()})
        alerts = broken(self._rules, reading, self.history)
        reading.alerts.extend(map(str, alerts))
        before = {one.partition(": ")[0] for one in self.history[-1].alerts} if len(self.history) else set()
        if self._file is not None:
            self._file.write(reading)
        self.history.add(reading)
        for alert in alerts:
            if alert.rule not in before:
                self._tell(alert)
        return reading

    def _tell(self, alert: Alert) -> None:
        if self._on_alert is not None:
            self._on_alert(alert)
        else:
            warnings.warn(f"attention on the probe at step {alert.step}: {alert}.", AttentionWarning, stacklevel=4)
        if alert.rule in self._stop_on and self.stopped is None:
            if self._save is not None:
                self._save()
            self.stopped = alert
