"""Asking: what is right when a lesson asks about the heads of real attention."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch

from attnwidget.teaching.lesson import Lesson
from attnwidget.widget.answers import Shown

__all__ = ["right_answer"]

TIE = 1e-6


def right_answer(lesson: Lesson, shown: Shown, choices: Mapping[str, Any]) -> Any:
    """What is right: heads as [layer, head], or cells as [query, key]; None where nothing is asked.

    Parameters
    ----------
    lesson : Lesson
    shown : Shown
        What the Explorer shows.
    choices : mapping
        Of it, with map, layer and head.

    Raises
    ------
    ValueError
        When it asks for what an Explorer does not have.
    """
    asked = lesson.prediction
    if asked is None or lesson.answer is not None:
        return lesson.answer
    if asked.kind == "head":
        return _highest_heads(asked.measure, shown, choices["map"])
    if asked.kind != "cell" or asked.step != "weights":
        raise ValueError(
            f"predict={lesson.predict!r} is for a Playground; in an Explorer a head is guessed, as 'previous', or the "
            "key that gets most of a query, as 'largest weights[5]'."
        )
    maps, row = shown.named(choices["map"]), asked.row or 0
    if row >= maps.n_queries:
        raise ValueError(f"predict={lesson.predict!r} does not exist; there are {maps.n_queries} queries, from 0.")
    weights = maps.weights(choices["layer"], choices["head"])[row]
    top = weights.max()
    # Of a row that sees nothing no key gets most.
    return [[row, key] for key in torch.nonzero(weights >= top - TIE).flatten().tolist()] or None


def _highest_heads(name: str, shown: Shown, where: str) -> list[list[int]]:
    """The heads with the highest number."""
    measuring = shown.behind(where)
    known = [fact["name"] for fact in measuring.facts()]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}."
        raise ValueError(f"predict={name!r} is no measure of these maps; {hint}")
    layers = range(shown.named(where).n_layers)
    numbers = [measuring.numbers(layer)[known.index(name)] for layer in layers]
    tops = [row[row.isfinite()].max() for row in numbers if row.isfinite().any()]
    if not tops:
        raise ValueError(f"predict={name!r} is NaN for every head of these maps; ask for another measure.")
    top = max(float(one) for one in tops)
    return [
        [layer, head]
        for layer, row in zip(layers, numbers, strict=True)
        for head, number in enumerate(row.tolist())
        if number >= top - TIE
    ]
