"""Measures: all numbers of the heads of a layer."""

from __future__ import annotations

from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32
from attnwidget.widget.answers.measuring import Measuring

__all__ = ["measures"]


def measures(measuring: Measuring, layer: int) -> Answer:
    """All numbers of a layer's heads.

    Returns
    -------
    Answer
        Buffer: float32 [measures, heads], in the order of the facts; NaN where a number does not exist.
    """
    numbers = measuring.numbers(layer)
    return Answer({"layer": layer, "heads": numbers.shape[1]}, [float32(numbers)])
