"""Placing: an Explorer's place in a page."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Sequence
from typing import Any

from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.widget.explorer import Explorer
from attnwidget.widget.exploring import explore
from attnwidget.widget.facts import facts_of
from attnwidget.widget.halving import halving_error
from attnwidget.widget.holding import hold, paged
from attnwidget.widget.page import place, stood

__all__ = ["Placed", "explored"]


class Placed:
    """A picture for those who run no scripts, what is chosen, and the answers.

    Parameters
    ----------
    view : Explorer
        What is shown, as it stands.
    precision : {"float32", "float16"} or None
        Of queries and keys; None for their own.
    """

    def __init__(self, view: Explorer, precision: str | None) -> None:
        view.maps  # noqa: B018 - a closed one says so itself
        self.view, self.precision = view, precision
        self.shown = paged(view.shown, view.place)
        self.title, self.widgets, self.answers = view.facts["title"], ("explorer",), ""
        facts = facts_of(self.shown, view.facts["title"]) | {"lesson": view.facts.get("lesson")}
        if precision == "float16":
            for fact in facts["maps"]:
                fact["notes"] += _rounding(self.shown.maps[fact["name"]])
        self._stood = stood(view, facts, outcome=view.outcome, weighed=view.weighed)

    def fill(self, limit: int, layers: Sequence[int] | None, *, progress: bool) -> None:
        """Put in the answers, at most so many bytes before they are written as text."""
        options: dict[str, Any] = {"layers": layers, "precision": self.precision, "progress": progress}
        self.answers = base64.b64encode(hold(self.shown, self.view.place, limit=limit, **options)).decode()

    @property
    def body(self) -> str:
        """All of it, in HTML."""
        return place("explorer", self._stood, self.answers)


def explored(part: Any) -> Explorer:
    """What `explore` makes of whatever a page was given."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AttentionWarning)
        return explore(part)


def _rounding(maps: AttentionMaps) -> list[str]:
    """What half precision does to the weights, where it does anything."""
    error = halving_error(maps)
    if error is None:
        return []
    return [f"Queries and keys are in half precision here: weights are off by {error:.2g} at most, in rows compared."]
