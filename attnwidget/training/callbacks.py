"""Callbacks: a monitor in the training loops of others."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from attnwidget.training.monitor import AttentionMonitor

__all__ = ["MonitorCallback"]


class MonitorCallback(TrainerCallback):
    """An AttentionMonitor in a transformers Trainer: read at the beginning and after each step that is due.

    Parameters
    ----------
    monitor : AttentionMonitor
        Of the model that the Trainer trains; on every rank, where there are several. Where its rules say so, the
        Trainer saves a checkpoint and stops.

    Examples
    --------
    >>> Trainer(model, args, train_dataset=data, callbacks=[MonitorCallback(monitor)])
    """

    def __init__(self, monitor: AttentionMonitor) -> None:
        self.monitor = monitor

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Read before the first step, or where training is taken up again."""
        del args, control  # a Trainer says them all
        self.monitor.step(state.global_step)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Read where that is due, and stop where a rule says so."""
        del args
        if self.monitor.step(state.global_step):
            control.should_save = control.should_training_stop = True
