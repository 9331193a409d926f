"""Surveying: the numbers of every head over many texts."""

from attnwidget.surveying.result import Survey
from attnwidget.surveying.running import survey

__all__ = ["Survey", "survey"]
