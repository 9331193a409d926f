"""Answers: what the browser may ask, one file a question, and the one table of them.

Whoever shows maps answers from this table: a widget in its kernel, and what is written to be looked at without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.column import column
from attnwidget.widget.answers.findings import findings, vitals
from attnwidget.widget.answers.measures import measures
from attnwidget.widget.answers.paths import paths
from attnwidget.widget.answers.picture import picture
from attnwidget.widget.answers.plane import planes
from attnwidget.widget.answers.products import products
from attnwidget.widget.answers.profile import profile
from attnwidget.widget.answers.projections import projections
from attnwidget.widget.answers.rows import rows
from attnwidget.widget.answers.scores import scores
from attnwidget.widget.answers.shown import Shown
from attnwidget.widget.answers.spans import span_mass, span_rows, spans
from attnwidget.widget.answers.standouts import standouts
from attnwidget.widget.answers.thumbnails import thumbnails
from attnwidget.widget.answers.tile import asked_tile

__all__ = ["QUESTIONS", "Answer", "Shown", "answer"]


def _of_maps(question: Callable[..., Answer]) -> Callable[..., Answer]:
    def of_maps(shown: Shown, map: str, **asked: Any) -> Answer:  # noqa: A002
        return question(shown.named(map), **asked)

    return of_maps


def _of_measures(question: Callable[..., Answer]) -> Callable[..., Answer]:
    def of_measures(shown: Shown, map: str, **asked: Any) -> Answer:  # noqa: A002
        return question(shown.measured(map), **asked)

    return of_measures


def _with_version(question: Callable[..., Answer]) -> Callable[..., Answer]:
    """Of what changes with every version, so that an answer that comes late is known for what it is."""

    def versioned(shown: Shown, **asked: Any) -> Answer:
        answered = question(shown, **asked)
        return replace(answered, header=answered.header | {"version": shown.version})

    return versioned


QUESTIONS: dict[str, Callable[..., Answer]] = {
    "tile": _with_version(_of_maps(asked_tile)),
    "profile": _of_maps(profile),
    "thumbnails": _of_maps(thumbnails),
    "rows": _of_maps(rows),
    "projections": _with_version(_of_maps(projections)),
    "scores": _of_maps(scores),
    "spans": _of_maps(spans),
    "span_mass": _of_maps(span_mass),
    "span_rows": _of_maps(span_rows),
    "paths": _of_maps(paths),
    "products": _of_maps(products),
    "plane": _of_maps(planes),
    "column": _of_maps(column),
    "measures": _of_measures(measures),
    "vitals": _of_measures(vitals),
    "findings": _of_measures(findings),
    "standouts": _of_measures(standouts),
    "picture": _of_maps(picture),
}


def answer(shown: Shown, request: Mapping[str, Any]) -> Answer:
    """Answer a question.

    Parameters
    ----------
    shown : Shown
        What is shown.
    request : mapping
        ``{"op", ...}``: the name of the question, and its arguments.

    Raises
    ------
    ValueError, IndexError, TypeError
        When there is no such question, or nothing that it could be about, or when its arguments cannot be read.
    """
    asked = dict(request)
    op = asked.pop("op", None)
    if not isinstance(op, str) or op not in QUESTIONS:
        raise ValueError(f"the widget does not know the request {op!r}; it knows {', '.join(QUESTIONS)}.")
    return QUESTIONS[op](shown, **asked)
