"""The callback for Lightning, which goes by two names; importable where one of them is installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.training.monitor import AttentionMonitor

__all__ = ["LightningCallback"]

NAMES = ("lightning.pytorch", "pytorch_lightning")

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:

    def _callback() -> type:
        """The base class of the one that is in use, or else of the one that is installed."""
        for name in sorted(NAMES, key=lambda one: one not in sys.modules):
            try:
                return importlib.import_module(name).Callback
            except ImportError:
                continue
        raise ImportError("LightningCallback needs Lightning, which is not installed: pip install lightning.")

    Callback = _callback()


class LightningCallback(Callback):
    """An AttentionMonitor in a Lightning Trainer: read at the beginning and after each step that is due.

    Parameters
    ----------
    monitor : AttentionMonitor
        Of the model that trains: the LightningModule, or a model in it. Where its rules say so, a checkpoint is saved
        beside the others, or in the Trainer's root folder, named after the rule and the step, and the Trainer stops.

    Attributes
    ----------
    saved : Path or None
        That checkpoint.

    Raises
    ------
    ImportError
        On import, when neither lightning nor pytorch_lightning is installed.

    Examples
    --------
    >>> Trainer(callbacks=[aw.training.LightningCallback(monitor)])
    """

    def __init__(self, monitor: AttentionMonitor) -> None:
        self.monitor = monitor
        self.saved: Path | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Read before the first step, or where training is taken up again."""
        del pl_module
        self.monitor.step(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Read where that is due, and stop where a rule says so."""
        del pl_module, outputs, batch, batch_idx
        if not self.monitor.step(trainer.global_step) or self.saved is not None:
            return
        alert = self.monitor.stopped
        assert alert is not None  # noqa: S101 - it just said so
        kept = trainer.checkpoint_callback
        folder = Path(getattr(kept, "dirpath", None) or trainer.default_root_dir)
        self.saved = folder / f"attention-{alert.rule}-step={alert.step}.ckpt"
        trainer.save_checkpoint(self.saved)  # on every rank, as Lightning asks
        trainer.should_stop = True
