"""Standouts: which heads are worth a look."""

from __future__ import annotations

from attnwidget.measures.standouts import REASONS
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.measuring import Measuring

__all__ = ["standouts"]


def standouts(measuring: Measuring) -> Answer:
    """Heads that are worth a look.

    Returns
    -------
    Answer
        Header ``heads``: for each its layer, head, and ``reasons``, each [measure, value, why]; ``looked``: what heads
        were looked for, in words.
    """
    names = {fact["name"] for fact in measuring.facts()}
    heads = [
        {
            "layer": layer,
            "head": head,
            "reasons": [[reason.measure, round(value, 4), reason.why] for reason, value in named],
        }
        for layer, head, named in measuring.standouts()
    ]
    return Answer({"heads": heads, "looked": [reason.why for reason in REASONS if reason.measure in names]})
