"""Scatter: one measure against another, a dot for every head."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets as t
from bqplot import ColorScale, LinearScale, Scatter
from bqplot.interacts import BrushSelector

from attnwidget.charts.chart import Chart, Head, short_name
from attnwidget.charts.look import CHOSEN, RAMP, RIM, axis, colour_axis, figure_look, ticks, tooltip

__all__ = ["Dots", "scatter"]


class Dots(Chart):
    """A dot for every head; see `scatter`.

    Attributes
    ----------
    x, y : str
        The measures of both axes; can be set.
    brushing : bool
        Whether a drag chooses several heads, instead of a click one; can be set.
    """

    x, y = t.Unicode(), t.Unicode()
    brushing = t.Bool()

    def __init__(self, what: Any, *, x: str = "locality", y: str = "entropy", brushing: bool = False) -> None:
        self._take(what)
        for measure in (x, y):
            self.check_measure(measure)
        across, up, colour = LinearScale(), LinearScale(), ColorScale(colors=RAMP)
        self._heads: list[Head] = []
        self.dots = Scatter(
            x=[], y=[], color=[], names=[], display_names=False, scales={"x": across, "y": up, "color": colour},
            stroke=RIM, stroke_width=0.7, default_size=44, interactions={"click": "select", "hover": "tooltip"},
            selected_style={"stroke": CHOSEN, "stroke-width": "2.5", "opacity": "1"},
            **tooltip(name=("head", ""), x=("across", ".3f"), y=("up", ".3f")),
        )  # fmt: skip
        # A ring around the head that the Explorer shows, which may be beside those that are chosen together.
        self.here = Scatter(
            x=[], y=[], scales={"x": across, "y": up}, colors=[CHOSEN], stroke=CHOSEN, stroke_width=2, fill=False,
            default_size=190, interactions={},
        )  # fmt: skip
        self.brush = BrushSelector(x_scale=across, y_scale=up, marks=[self.dots], color=CHOSEN)
        self.across, self.up = axis(across, "bottom"), axis(up, "left")
        self.depth = colour_axis(colour, "layer")
        super().__init__(
            x=x,
            y=y,
            brushing=brushing,
            marks=[self.here, self.dots],
            axes=[self.across, self.up, self.depth],
            **figure_look(right=64),
        )
        self.dots.observe(self._picked, "selected")
        self.brush.observe(self._brushed, "brushing")

    @t.validate("x", "y")
    def _valid_measure(self, proposal: Any) -> str:
        return self.check_measure(proposal["value"])

    @t.observe("x", "y")
    def _draw_other(self, _change: Any) -> None:
        if self._drawn is not None:
            self._follow(None, anew=True)

    @t.observe("brushing")
    def _take_brush(self, _change: Any) -> None:
        self.interaction = self.brush if self.brushing else None

    def _draw(self) -> None:
        numbers = self.numbers()
        for name in ("x", "y"):
            if getattr(self, name) not in numbers:  # one of one's own, of the maps before
                setattr(self, name, "entropy")
        x, y = numbers[self.x], numbers[self.y]
        self._heads = [head for head in self.heads if np.isfinite(x[head]) and np.isfinite(y[head])]
        self.dots.selected = None
        self.dots.x = np.array([x[head] for head in self._heads])
        self.dots.y = np.array([y[head] for head in self._heads])
        self.dots.color = np.array([float(self.maps.layer_numbers[layer]) for layer, _ in self._heads])
        self.dots.names = np.array([short_name(self.maps, *head) for head in self._heads], dtype=str)
        (name_x, across), (name_y, up) = self.named(self.x), self.named(self.y)
        self.across.tick_values, self.up.tick_values = ticks(self.dots.x, 5), ticks(self.dots.y)
        self.dots.tooltip.labels = ["head", across, up]
        self.across.label = " · ".join(part for part in [across, self.reading] if part)
        self.up.label = up
        self.title = f"{name_y} against {name_x.lower()}"
        # Without a dot the scale of the layers has no ends of its own, and its axis no picture.
        depth, layers = self.depth.scale, self.maps.layer_numbers
        depth.min, depth.max = (None, None) if self._heads else (float(layers[0]), float(layers[-1]) + 1.0)
        if not self._heads:
            absent = [name for name, one in ((name_y, y), (name_x, x)) if not np.isfinite(one).any()]
            self.title = f"{(absent or ['No head with both numbers'])[0]} does not exist for these maps"

    def _mark(self) -> None:
        at = {head: number for number, head in enumerate(self._heads)}
        marked = [at[head] for head in self.chosen_heads if head in at]
        here = [at[head] for head in [self.chosen_head] if head in at]
        self.here.x, self.here.y = self.dots.x[here], self.dots.y[here]
        self.dots.unselected_style = {"opacity": "0.35"} if len(marked) > 1 else {}
        self.dots.selected = np.array(marked, dtype=int) if marked else None

    def _picked(self, _change: Any) -> None:
        """Dots were pressed. What a brush covers is seen in the browser at once, and taken when it ends."""
        if self._following or self.brush.brushing:
            return
        if not self.brushing:
            picked = [] if self.dots.selected is None else self.dots.selected
            self.choose([self._heads[int(dot)] for dot in picked if dot < len(self._heads)])
        self._follow(None)

    def _brushed(self, _change: Any) -> None:
        """A brush has ended, or was taken away."""
        if self.brush.brushing:
            return
        covered = np.ones(len(self._heads), dtype=bool)
        for values, ends in ((self.dots.x, self.brush.selected_x), (self.dots.y, self.brush.selected_y)):
            known = ends is not None and len(ends) == 2
            covered &= (min(ends) <= values) & (values <= max(ends)) if known else False
        self.choose([self._heads[dot] for dot in np.flatnonzero(covered)])
        self._follow(None)

    def close(self) -> None:
        """Close the figure with all it is made of, and let go of the Explorer."""
        super().close()
        self.brush.close()  # also where a click chooses


def scatter(what: Any, *, x: str = "locality", y: str = "entropy", brushing: bool = False) -> Dots:
    """One measure against another, with a dot for every head in the colour of its layer.

    Parameters
    ----------
    what : Explorer, AttentionMaps, or Capture
        Of an Explorer, the chart marks the heads that are chosen there; a click on a dot shows the head, with Ctrl or
        Cmd held the mean of all heads clicked.
    x, y : str
        Names that `attnwidget.summarize` knows, or your own of the Explorer. Heads that lack one of these numbers
        have no dot.
    brushing : bool
        Whether a drag over the chart shows the mean of the heads in it. A brush covers the dots, so that they cannot
        be clicked and do not say their names meanwhile.

    Returns
    -------
    bqplot.Figure
        Its ``x``, ``y`` and ``brushing`` can be set. It has its numbers from an even spread of the rows of long maps,
        and says so.

    Raises
    ------
    TypeError
        When what came is something else.
    ValueError
        When the Explorer is closed, there are several kinds of maps, or no such measure.

    Examples
    --------
    >>> view = aw.explore(run)
    >>> aw.charts.scatter(view, x="locality", y="entropy")
    """
    return Dots(what, x=x, y=y, brushing=brushing)
