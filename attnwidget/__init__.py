"""Look at a transformer's attention in a notebook.

The public names are loaded when they are first used: importing attnwidget imports no torch, transformers
or matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnwidget import charts as charts
    from attnwidget import demo as demo
    from attnwidget import effects as effects
    from attnwidget import measures as measures
    from attnwidget import training as training
    from attnwidget.capturing import Capture, Recording, capture, recording
    from attnwidget.charts.dashboard import Dashboard, dashboard
    from attnwidget.diagnosis import Finding, Findings, diagnose
    from attnwidget.figures import figure
    from attnwidget.intake import AttentionWarning
    from attnwidget.maps import AttentionMaps
    from attnwidget.measures.table import summarize
    from attnwidget.spans import find_spans
    from attnwidget.surveying.result import Survey
    from attnwidget.surveying.running import survey
    from attnwidget.teaching.collecting import collect
    from attnwidget.teaching.lesson import Lesson
    from attnwidget.tokens import ImageGrid, Span, Tokens
    from attnwidget.widget.comparing import compare
    from attnwidget.widget.explorer import Explorer
    from attnwidget.widget.exploring import explore
    from attnwidget.widget.page import Page, page
    from attnwidget.widget.playground import Playground

__version__ = "0.1.0"

_HOME = {
    "AttentionMaps": "attnwidget.maps",
    "AttentionWarning": "attnwidget.intake",
    "Capture": "attnwidget.capturing",
    "Dashboard": "attnwidget.charts.dashboard",
    "Explorer": "attnwidget.widget.explorer",
    "Finding": "attnwidget.diagnosis",
    "Findings": "attnwidget.diagnosis",
    "ImageGrid": "attnwidget.tokens",
    "Lesson": "attnwidget.teaching.lesson",
    "Page": "attnwidget.widget.page",
    "Playground": "attnwidget.widget.playground",
    "Span": "attnwidget.tokens",
    "Survey": "attnwidget.surveying.result",
    "Tokens": "attnwidget.tokens",
    "capture": "attnwidget.capturing",
    "dashboard": "attnwidget.charts.dashboard",
    "collect": "attnwidget.teaching.collecting",
    "compare": "attnwidget.widget.comparing",
    "diagnose": "attnwidget.diagnosis",
    "explore": "attnwidget.widget.exploring",
    "page": "attnwidget.widget.page",
    "figure": "attnwidget.figures",
    "find_spans": "attnwidget.spans",
    "Recording": "attnwidget.capturing",
    "recording": "attnwidget.capturing",
    "summarize": "attnwidget.measures.table",
    "survey": "attnwidget.surveying.running",
}
_MODULES = ("charts", "demo", "effects", "measures", "training")

__all__ = [
    "AttentionMaps",
    "AttentionWarning",
    "Capture",
    "Dashboard",
    "Explorer",
    "Finding",
    "Findings",
    "ImageGrid",
    "Lesson",
    "Page",
    "Playground",
    "Recording",
    "Span",
    "Survey",
    "Tokens",
    "capture",
    "charts",
    "collect",
    "compare",
    "dashboard",
    "demo",
    "diagnose",
    "effects",
    "explore",
    "figure",
    "find_spans",
    "measures",
    "page",
    "recording",
    "summarize",
    "survey",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"attnwidget.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'attnwidget' has no attribute {name!r}; it has {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
