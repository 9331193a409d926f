"""Training: the attention of a model watched while it trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attnwidget.training.history import History, Reading
from attnwidget.training.monitor import AttentionMonitor
from attnwidget.training.rules import Alert

if TYPE_CHECKING:
    from attnwidget.training.callbacks import MonitorCallback
    from attnwidget.training.lightning import LightningCallback

__all__ = ["Alert", "AttentionMonitor", "History", "LightningCallback", "MonitorCallback", "Reading"]

# Each needs a library that is loaded when it is asked for.
_HOME = {"LightningCallback": "attnwidget.training.lightning", "MonitorCallback": "attnwidget.training.callbacks"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'attnwidget.training' has no attribute {name!r}; it has {', '.join(__all__)}.")
