"""Trends: a measure of every head over the steps of a training, linked with a Timeline."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import traitlets as t
from bqplot import Figure, LinearScale, Lines
from bqplot.interacts import IndexSelector

from attnwidget.charts.chart import Array, close_all
from attnwidget.charts.look import CHOSEN, HEADS, RIM, axis, figure_look, ticks
from attnwidget.measures.table import HEAD_MEASURES

__all__ = ["Trends", "trends"]

FOLLOWED = ["map", "layer", "head", "step", "readings"]
RUNS = (CHOSEN, HEADS, "#009e73", "#cc79a7")  # told apart by every kind of colour vision
MOST_LINES = 256  # of other heads: beyond, a browser takes long


class Trends(Figure):
    """A measure over the steps; see `trends`.

    Attributes
    ----------
    measure : str
        What is drawn; can be set.
    """

    measure = t.Unicode()
    view: Any = None
    _linked = False

    def __init__(self, view: Any, *, measure: str | None = None) -> None:
        from attnwidget.widget.timeline import Timeline

        if not isinstance(view, Timeline):
            raise TypeError(f"view is {type(view).__name__}; expected a Timeline.")
        view.check_open()
        self.view = view
        self._own = measure is not None
        self._followed = [*FOLLOWED, *(() if self._own else ("measure",))]
        x, y = LinearScale(), LinearScale()
        at = {"scales": {"x": x, "y": y}, "interactions": {}}
        self.others = Lines(x=[0], y=[0], colors=[RIM], opacities=[0.35], stroke_width=1, **at)
        self.chosen = [
            Lines(
                x=[0], y=[0], colors=[colour], stroke_width=2, labels=[name], display_legend=len(view.runs) > 1, **at
            )
            for name, colour in zip(view.runs, RUNS, strict=False)
        ]  # fmt: skip
        unit = {"scales": {"x": x, "y": LinearScale(min=0, max=1, allow_padding=False)}, "interactions": {}}
        self.cursor = Lines(x=[0, 0], y=[0, 1], colors=[RIM], line_style="dashed", **unit)
        self.across, self.up = axis(x, "bottom", label="step"), axis(y, "left")
        self.selector = IndexSelector(scale=x, marks=[self.chosen[0]], color=CHOSEN, line_width=1)
        self._marking = False
        super().__init__(
            measure=measure or view.measure,
            marks=[self.others, self.cursor, *self.chosen],
            axes=[self.across, self.up],
            interaction=self.selector,
            **figure_look(),
        )
        self._draw(None)
        self.selector.observe(self._pressed, "selected")
        view.observe(self._draw, self._followed)
        view.observe(self._close_too, "comm")
        self._linked = True

    @t.validate("measure")
    def _valid_measure(self, proposal: Any) -> str:
        name = str(proposal["value"])
        known = [one["name"] for one in self.view.facts["measures"]]
        if known and name not in known:
            raise ValueError(f"measure {name!r} was not read; there are {', '.join(known)}.")
        return name

    @t.observe("measure")
    def _draw_other(self, _change: Any) -> None:
        if self.marks:
            self._draw(None)

    def _draw(self, change: Any) -> None:
        """Draw what has come, and mark what is chosen."""
        view = self.view
        if view is None or not view.map:
            return
        if change is not None and change["name"] == "measure":
            self.measure = view.measure
            return
        curves = [self._curves(track) for track in view.runs.values()]
        self._marking = True
        try:
            with ExitStack() as together:
                for widget in (self, *self.marks):
                    together.enter_context(widget.hold_sync())
                if change is None or change["name"] != "step":
                    self._put(curves)
                step = view.step if view.step is not None else max((one[0][-1] for one in curves if one), default=0)
                self.cursor.x = np.array([step, step], dtype=float)
        finally:
            self._marking = False

    def _curves(self, track: Any) -> tuple[Array, Array] | None:
        """Steps, and numbers [readings, heads of all layers]; None where there are none."""
        if not len(track.steps) or self.view.map not in track.heads() or self.measure not in track.measures():
            return None
        numbers = track.numbers(self.view.map, self.measure, 0)
        return np.asarray(track.steps, dtype=float), numbers.reshape(len(numbers), -1)

    def _put(self, curves: Sequence[tuple[Array, Array] | None]) -> None:
        view = self.view
        heads = view.facts["maps"][[one["name"] for one in view.facts["maps"]].index(view.map)]["most"]
        place = view.layer * heads + view.head
        told = HEAD_MEASURES.get(self.measure)
        label = told.label if told else self.measure
        self.up.label = f"{label} ({told.unit})" if told and told.unit else label
        drawn = []
        for line, curve in zip(self.chosen, curves, strict=True):
            line.visible = curve is not None and bool(np.isfinite(curve[1][:, place]).any())
            if curve is not None and line.visible:
                line.x, line.y = curve[0], curve[1][:, place]
                drawn.append(curve)
        self.title = label if drawn else f"{label} does not exist for this head"
        # Of several runs the chosen head alone: all heads of all runs say nothing.
        others = []
        if len(curves) == 1 and drawn:
            known = np.flatnonzero(np.isfinite(drawn[0][1]).any(0))
            others = known[known != place][:MOST_LINES]
        self.others.visible = len(others) > 0
        if len(others):
            self.others.x, self.others.y = drawn[0][0], drawn[0][1][:, others].T
        if drawn:
            shown = drawn[0][1] if len(curves) == 1 else np.concatenate([one[:, place] for _, one in drawn])
            self.up.tick_values = ticks(shown)

    def _pressed(self, change: Any) -> None:
        pressed = change["new"]
        if self._marking or pressed is None or not len(pressed) or self.view is None:
            return
        self.view.step = round(float(pressed[0]))

    def _close_too(self, change: Any) -> None:
        if change["new"] is None:
            self.close()

    def close(self) -> None:
        """Close the figure with all it is made of, and let go of the Timeline."""
        view, self.view = self.view, None
        if view is not None and self._linked:  # ipywidgets also closes what was made half-way
            view.unobserve(self._draw, self._followed)
            view.unobserve(self._close_too, "comm")
        close_all(self)


def trends(view: Any, *, measure: str | None = None) -> Trends:
    """A measure of every head over the steps, linked with a Timeline.

    The chosen head stands out, of several runs a line each; the step is marked, and a click goes to another. It follows
    what is chosen in the Timeline, and what comes while a training goes on.

    Parameters
    ----------
    view : Timeline
        What it follows, and what follows it.
    measure : str or None
        What is drawn; None is the Timeline's own, and follows it.

    Returns
    -------
    bqplot.Figure
        Its ``measure`` can be set.

    Raises
    ------
    TypeError
        When what came is no Timeline.
    ValueError
        When it is closed, or the measure was not read.

    Examples
    --------
    >>> view = aw.Timeline(monitor)
    >>> aw.charts.trends(view, measure="entropy")
    """
    return Trends(view, measure=measure)
