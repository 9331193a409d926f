"""AttentionMonitor: the attention of a model on fixed inputs, read while it trains."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from attnwidget.capturing import Capture
from attnwidget.intake import AttentionWarning
from attnwidget.measures.arguments import whole
from attnwidget.measures.faults import outside
from attnwidget.training import ranks
from attnwidget.training.history import History, Reading
from attnwidget.training.keeping import Keeping
from attnwidget.training.loggers import Loggers
from attnwidget.training.probe import Probe
from attnwidget.training.reducing import Numbers, reduced
from attnwidget.training.rules import RULES, Alert, Past, broken
from attnwidget.training.writing import Written

__all__ = ["AttentionMonitor"]

MEASURES = ("entropy", "normalized_entropy", "sink", "induction", "previous", "score_max", "score_std")


class AttentionMonitor:
    """Reads the attention of a model on fixed inputs every so many steps of its training.

    The model is in eval mode for the reading, needs no gradient, and draws no random number: training with a monitor is
    training without one.

    Where torch.distributed is in use, `step` is called on every rank. Numbers are means over the ranks, of a largest
    score the largest; a rule is broken where they break it, "nan" where a single rank's do. Rank 0 writes and warns.

    Parameters
    ----------
    model : nn.Module
        The model that trains.
    probe : str, list of str, mapping, or Tensor
        What it is read on, as in `attnwidget.capture`. Of several examples the numbers are means.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for a text.
    every : int
        Steps between two readings; the first call is always one.
    measures : sequence of str
        Names of `attnwidget.summarize`, "mass on NAME" for a span, and "mass on NAME[1:]" for the span without its
        first token. What the rules need is read in any case.
    spans : mapping of str to (start, stop), or None
        Named runs of tokens of the probe, as an anchor.
    prefix : int
        Number of learned positions in front; "mass on prefix" measures them.
    diagnose_every : int
        Readings between two looks of `attnwidget.diagnose`, which takes longer than all numbers; it also looks where a
        rule comes to be broken. ``Reading.findings`` is None where it did not look.
    path : str, Path, or None
        A file of JSON lines, one a reading, each on the disk before training goes on. A file that is there is gone on
        with, as after a crash. One that is removed is written anew, with all readings. None keeps readings in memory
        alone.
    maps : int
        Of how many readings the probe's maps are kept, for a `attnwidget.Timeline`: in a folder beside the file
        ("attention.maps" beside "attention.jsonl"), without a file in one that goes with the monitor. Where there are
        more readings, every second one's go; the newest stays. Each takes what the queries and keys of the probe do (of
        several examples the first). 0 keeps none. Where the file is empty or new, maps of a former run go.
    to : str, object, or sequence of them
        Where readings go beside the file: "tensorboard" (a SummaryWriter in its own folder), "wandb" and "mlflow" (the
        active run); or a SummaryWriter, a run of wandb, a run of MLflow. They get the mean, least and largest of each
        layer, and which rules are broken.
    log_heads : bool
        Tell them the numbers of every head too.
    alert : sequence of str
        Rules that are watched, each held against all readings before: "nan"; "collapse" (most heads came to look at
        one key, by scores above 30); "uniform" (most came to look everywhere alike); "sinks" (most came to give above
        0.9 to one key); "prefix" (no head gives it a tenth of what chance would); "dying" (some came to look
        everywhere alike).
    on_alert : callable or None
        Is told of each `Alert` when it comes up, on every rank; None warns, on rank 0. What it raises comes out of
        `step` once all is told and saved, and it is told of that alert again at the next reading.
    stop_on : sequence of str
        Rules at which `step` says that training is to stop.
    save : callable or None
        Called once, before it says so, to save a checkpoint; on every rank, as shared-out weights need.

    Attributes
    ----------
    history : History
        All readings, those of the file before it included; one object for the life of the monitor.
    stopped : Alert or None
        Why training is to stop.

    Raises
    ------
    TypeError
        When model is no module, or the probe nothing that it reads.
    ValueError
        When the probe is empty or too long for the model; when every is below 1, or a measure or a rule is not known;
        when the file is something else.
    ImportError
        When readings are to go to a library that is not installed.
    OSError
        When the file cannot be written to.

    Examples
    --------
    >>> monitor = aw.AttentionMonitor(model, text, tokenizer, every=100, path="attention.jsonl")
    >>> for batch in data:
    ...     loss = train(batch)
    ...     if monitor.step(loss=loss.item()):
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
        diagnose_every: int = 20,
        path: str | Path | None = None,
        maps: int = 100,
        to: Any = (),
        log_heads: bool = False,
        alert: Sequence[str] = ("nan", "collapse", "uniform"),
        on_alert: Callable[[Alert], Any] | None = None,
        stop_on: Sequence[str] = (),
        save: Callable[[], Any] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model is {type(model).__name__}; expected the module that trains.")
        for name, number, least in (("every", every, 1), ("diagnose_every", diagnose_every, 1), ("maps", maps, 0)):
            if whole(name, number) < least:
                raise ValueError(f"{name}={number}; expected {least} or more.")
        alert, stop_on, measures = ([one] if isinstance(one, str) else list(one) for one in (alert, stop_on, measures))
        for name in (*alert, *stop_on):
            if name not in RULES:
                raise ValueError(f"there is no rule {name!r}; there are {', '.join(RULES)}.")
        self.model, self.every, self._diagnose_every = model, every, diagnose_every
        self._rules = list(dict.fromkeys([*alert, *stop_on]))
        if "prefix" in self._rules and not prefix and "prefix" not in (spans or {}):
            raise ValueError("the rule 'prefix' needs to know the prefix: give prefix=LENGTH, or a span of that name.")
        needed = [measure for rule in self._rules for measure in RULES[rule].needs]
        self._probe = Probe(probe, tokenizer, measures=[*measures, *needed], spans=spans, prefix=prefix)
        self._probe.check(model)
        self._stop_on, self._on_alert, self._save = set(stop_on), on_alert, save
        self._loggers = Loggers(to, heads=log_heads)
        self._file = None if path is None else Written(path)
        self._maps = Keeping(path, maps)
        self.history = History(() if self._file is None else self._file.before, self._maps.kept)
        self.stopped: Alert | None = None
        self._begun = False
        self._called: int | None = None  # the number of the last call
        self._count = 0  # of calls that bring no number
        self._went_back = False
        self._undiagnosed: int | None = None  # readings since the last look; None before the first
        self._past: dict[str, Past] = {}
        self._standing: set[tuple[str, str]] = set()  # rules that the last reading broke, with their maps

    def __repr__(self) -> str:
        return f"<AttentionMonitor every {self.every} steps: {len(self.history)} readings>"

    def step(self, step: int | None = None, **logged: float) -> bool:
        """Say that a step of the training is done; reads where one is due.

        Parameters
        ----------
        step : int or None
            Its number, which goes on over the epochs; None counts the calls, from 0 or on behind the last step that
            the file holds. Steps up to the last reading are not read again.
        **logged
            Numbers that are written with the reading, as ``loss=``; of several ranks their mean.

        Returns
        -------
        bool
            Whether training is to stop; ``stopped`` says why. It is the same on every rank.

        Raises
        ------
        TypeError
            When step is no integer, or what is logged no number.
        ValueError
            When the file is of a model of another shape, or of another probe.
        """
        self._begin()
        number = self._count if step is None else whole("step", step)
        self._count += 1
        # A trainer with several optimisers counts several at a time, and may step over a multiple.
        due = self._called is None or number // self.every > self._called // self.every
        if self._called is not None and number < self._called:
            self._say_back(number, self._called)
        self._called = number
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

        Returns
        -------
        Reading
            Also the last of ``history``.

        Raises
        ------
        TypeError, ValueError
            As in `step`; or when a later step was read.
        """
        self._begin()
        step = whole("step", step)
        if len(self.history) and step < self.history[-1].step:
            last = self.history[-1].step
            raise ValueError(f"step={step} came after the reading of step {last}; expected {last} or more.")
        given, run = ranks.together(lambda: (_numbers(logged), self._probe.look(self.model)))
        several = ranks.gathered((self._probe.measure(run), given, self._probe.digest))
        numbers = reduced([one for one, *_ in several])
        layers = {name: list(maps.layer_numbers) for name, maps in run[0].by_name.items()}
        layers = {name: of for name, of in layers.items() if of != list(range(len(of)))}
        means = _means([one for _, one, _ in several])
        reading = Reading(step, numbers, logged=means, layers=layers, probe=several[0][2])
        self._check_same(reading)
        alerts = self._broken(reading, [one for one, *_ in several], run)
        new = [alert for alert in alerts if (alert.rule, alert.map) not in self._standing]
        reading = replace(reading, findings=self._findings(run, wanted=bool(new)), alerts=[str(one) for one in alerts])
        if ranks.first() and (self._file is None or self._file.is_ours()):
            self._maps.put(step, run[0].by_name)  # before the line that says that they are there
        self._keep(reading)
        self._standing &= {(alert.rule, alert.map) for alert in alerts}
        self._tell_all(new)
        return reading

    def _begin(self) -> None:
        """At the first call, when the ranks and the loggers' runs are there."""
        if self._begun:
            return
        ranks.together(lambda: self._loggers.begin() if ranks.first() else None)
        readings = ranks.told_by_first(list(self.history))
        if ranks.first():
            self._maps.begin()
        else:
            self.history.begin_again(readings)
        for reading in self.history:
            self._remember(reading)
        self._count = self.history[-1].step + 1 if len(self.history) else 0
        self._begun = True

    def _say_back(self, number: int, before: int) -> None:
        """Say once that steps went back, as in a loop that counts anew in each epoch."""
        if self._went_back or not ranks.first() or not len(self.history):
            return
        self._went_back = True
        warnings.warn(
            f"step {number} came after step {before}: what goes back is not read until it is behind step "
            f"{self.history[-1].step}, the last reading. Give a number that goes on over the epochs, or none: step() "
            "counts.",
            AttentionWarning,
            outside(),
        )

    def _check_same(self, reading: Reading) -> None:
        """Refuse to go on with the file of another model or probe."""
        if self._undiagnosed is not None or not len(self.history):
            return
        where = "the history" if self._file is None else str(self._file.path)
        if self.history[-1].shapes == reading.shapes:
            if self.history[-1].probe not in ("", reading.probe):
                raise ValueError(
                    f"{where} was read on another probe, of other tokens; give another path, or that probe."
                )
            return
        there, here = (
            ", ".join(f"{name} of {layers} layers x {heads} heads" for name, (layers, heads) in one.shapes.items())
            for one in (self.history[-1], reading)
        )
        raise ValueError(f"{where} is of another model: it holds {there}, and this one has {here}; give another path.")

    def _broken(self, reading: Reading, several: Sequence[Numbers], run: Capture) -> list[Alert]:
        """Rules that are broken, by all ranks together, or NaN by any of them."""
        chance = self._probe.chance(run) if "prefix" in self._rules else {}
        alerts = broken(self._rules, reading, self._past, chance)
        if "nan" not in self._rules or len(several) == 1:
            return alerts
        seen = {alert.map for alert in alerts if alert.rule == "nan"}
        for rank, numbers in enumerate(several):
            for alert in broken(["nan"], replace(reading, numbers=numbers), self._past, chance):
                if alert.map not in seen:
                    seen.add(alert.map)
                    alerts.append(replace(alert, why=f"{alert.why}, on rank {rank}"))
        return alerts

    def _findings(self, run: Capture, *, wanted: bool) -> list[str] | None:
        """What is wrong with the probe's attention on any rank, where it is time to look."""
        if self._undiagnosed is not None and self._undiagnosed + 1 < self._diagnose_every and not wanted:
            self._undiagnosed += 1
            return None
        self._undiagnosed = 0
        found = ranks.gathered(self._probe.diagnose(run))
        return list(dict.fromkeys(name for one in found for name in one))

    def _keep(self, reading: Reading) -> None:
        """Write a reading before anything else happens, and remember it."""
        self.history.add(reading)
        self._remember(reading)
        if ranks.first():
            if self._file is not None:
                self._file.write(self.history)
            self._loggers.tell(reading, self._rules)

    def _remember(self, reading: Reading) -> None:
        for name, numbers in reading.numbers.items():
            self._past.setdefault(name, Past()).add(numbers)

    def _tell_all(self, alerts: Sequence[Alert]) -> None:
        """Tell of each, even where telling of another raises."""
        if alerts:
            try:
                self._tell(alerts[0])
            finally:
                self._tell_all(alerts[1:])

    def _tell(self, alert: Alert) -> None:
        stops = alert.rule in self._stop_on and self.stopped is None
        if stops:
            self.stopped = alert
        try:
            if self._on_alert is not None:
                self._on_alert(alert)
            elif ranks.first():
                warnings.warn(f"attention on the probe at step {alert.step}: {alert}.", AttentionWarning, outside())
            self._standing.add((alert.rule, alert.map))
        finally:
            if stops and self._save is not None:
                self._save()


def _numbers(logged: Mapping[str, Any]) -> dict[str, float]:
    """What was logged; TypeError where something is no number."""
    found = {}
    for name, value in logged.items():
        try:
            found[name] = float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            said = f"{name} is {type(value).__name__}; expected a number, as float({name}), or leave it out."
            raise TypeError(said) from error
    return found


def _means(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What the ranks logged, in the mean; NaN on one rank is for all to see."""
    names = dict.fromkeys(name for one in several for name in one)
    return {name: fmean([one[name] for one in several if name in one]) for name in names}
