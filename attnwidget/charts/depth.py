"""Depth: a measure along the layers, its mean over heads and how far these spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets as t
from bqplot import Label, LinearScale, Lines, Scatter

from attnwidget.charts.along import Along
from attnwidget.charts.chart import Array
from attnwidget.charts.look import CHOSEN, HEADS, TEXT, axis, figure_look, ticks

__all__ = ["Depth", "depth"]

APART = 0.07  # of the height of the plot: two labels closer than that would overlap


class Depth(Along):
    """A measure along depth; see `depth`.

    Attributes
    ----------
    measure : str
        What is drawn; can be set.
    """

    measure = t.Unicode()

    def __init__(self, what: Any, *, measure: str = "entropy") -> None:
        self._take(what)
        self.check_measure(measure)
        x, y = self._columns(color=("mean of its heads", ".3f")), LinearScale()
        at = {"scales": {"x": x, "y": y}}
        self.band = Lines(
            x=[0], y=[0], fill="between", colors=[HEADS], opacities=[0, 0], fill_opacities=[0.16], interactions={}, **at
        )
        self.mean = Lines(x=[0], y=[0], colors=[HEADS], marker="circle", marker_size=20, interactions={}, **at)
        self.own = Lines(x=[0], y=[0], colors=[CHOSEN], line_style="dashed", interactions={}, **at)
        self.chosen = Scatter(x=[], y=[], colors=[CHOSEN], stroke=CHOSEN, default_size=48, interactions={}, **at)
        self.names = Label(
            x=[], y=[], text=[], colors=[TEXT], default_size=12, font_weight="normal", x_offset=8,
            apply_clip=False, interactions={}, **at,
        )  # fmt: skip
        self.up = axis(y, "left")
        super().__init__(
            measure=measure,
            marks=[self.band, self.mean, self.own, self.chosen, self.names, self.layers],
            axes=[self.across, self.up],
            **figure_look(right=64),
        )

    @t.validate("measure")
    def _valid_measure(self, proposal: Any) -> str:
        return self.check_measure(proposal["value"])

    @t.observe("measure")
    def _draw_other(self, _change: Any) -> None:
        if self._drawn is not None:
            self._follow(None, anew=True)

    def _draw(self) -> None:
        numbers = self.numbers()
        if self.measure not in numbers:  # one of one's own, of the maps before
            self.measure = "entropy"
        values = self._values = numbers[self.measure]
        low, mean, high = _spread(values)
        band = "band: lowest to highest head" if max(self.maps.heads) > 1 else ""
        at = self._lay_out(mean, band, self.reading)
        # A band of one layer has no width of its own.
        ends = (at, low, high) if len(at) > 1 else ([at[0] - 0.2, at[0] + 0.2], [*low] * 2, [*high] * 2)
        self.band.x, self.band.y = np.asarray(ends[0]), np.asarray(ends[1:])
        there = bool(np.isfinite(values).any())
        self.band.visible = self.mean.visible = there
        self.mean.x, self.mean.y = at, mean if there else np.zeros(len(at))  # a mark of NaN has no place
        self.up.tick_values = ticks(values)
        name, self.up.label = self.named(self.measure)
        self.title = f"{name} along depth" if there else f"{name} does not exist for these maps"

    def _mark(self) -> None:
        super()._mark()
        at, values, last = self.mean.x, self._values, len(self._values) - 1
        head, chosen = self.chosen_head, self.chosen_heads
        own = values[:, head[1]] if head else np.full(len(at), np.nan)
        self.own.visible = bool(np.isfinite(own).any())
        if self.own.visible:
            self.own.x, self.own.y = at, own
        known = [(at[layer], values[layer, head]) for layer, head in chosen if np.isfinite(values[layer, head])]
        self.chosen.x, self.chosen.y = (np.array(one) for one in (zip(*known, strict=True) if known else ([], [])))
        ends = [("mean", self.mean.y[-1] if self.mean.visible else np.nan)]
        if head and np.isfinite(own[last]):
            ends.append((f"head {self.maps.head_numbers[head[0]][head[1]]}", own[last]))
        ends = [(name, end) for name, end in ends if np.isfinite(end)]
        heights = _apart([end for _, end in ends], float(np.nanmax(values) - np.nanmin(values)) if ends else 0)
        self.names.x, self.names.y = np.full(len(ends), at[-1]), np.array(heights)
        self.names.text = np.array([name for name, _ in ends], dtype=str)


def depth(what: Any, *, measure: str = "entropy") -> Depth:
    """A measure along the layers: the mean over the heads of each, in a band from the lowest to the highest of them.

    Parameters
    ----------
    what : Explorer, AttentionMaps, or Capture
        Of an Explorer, the chart shows the chosen head's own line too and follows every choice; a click on a layer
        goes there.
    measure : str
        A name that `attnwidget.summarize` knows, or one of your own of the Explorer.

    Returns
    -------
    bqplot.Figure
        Its ``measure`` can be set. It has its numbers from an even spread of the rows of long maps, and says so.

    Raises
    ------
    TypeError
        When what came is something else.
    ValueError
        When the Explorer is closed, there are several kinds of maps, or no such measure.

    Examples
    --------
    >>> view = aw.explore(run)
    >>> aw.charts.depth(view, measure="induction")
    """
    return Depth(what, measure=measure)


def _spread(values: Array) -> tuple[Array, Array, Array]:
    """Lowest, mean and highest of the heads of each layer that have a number; NaN where none has."""
    known = np.isfinite(values)
    some = known.any(1)
    low = np.where(some, np.where(known, values, np.inf).min(1), np.nan)
    high = np.where(some, np.where(known, values, -np.inf).max(1), np.nan)
    return low, np.where(known, values, 0).sum(1) / np.where(some, known.sum(1), np.nan), high


def _apart(heights: list[float], spread: float) -> list[float]:
    """Heights of labels, moved apart where two would overlap."""
    if len(heights) == 2 and abs(heights[0] - heights[1]) < (least := APART * spread):
        middle, sign = sum(heights) / 2, 1 if heights[0] >= heights[1] else -1
        return [middle + sign * least / 2, middle - sign * least / 2]
    return heights
