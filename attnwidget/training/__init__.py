"""Training: the attention of a model watched while it trains."""

from attnwidget.training.history import History, Reading
from attnwidget.training.monitor import AttentionMonitor
from attnwidget.training.rules import Alert

__all__ = ["Alert", "AttentionMonitor", "History", "Reading"]
