"""Along: what all charts have whose axis is depth, a column for every layer that can be pressed."""

from __future__ import annotations

from typing import Any

import numpy as np
from bqplot import Bars, LinearScale

from attnwidget.charts.chart import Array, Chart
from attnwidget.charts.look import CHOSEN, axis, tooltip, unit_scale

__all__ = ["Along"]

MOST_TICKS = 12


class Along(Chart):
    """A chart along the layers; ``_columns`` comes before ``__init__``, and its marks last."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.layers.observe(self._pressed, "selected")

    def _columns(self, **told: tuple[str, str]) -> LinearScale:
        """Make the axis and what is pressed and hovered, over all else: the scale of both."""
        x = LinearScale()
        self.across = axis(x, "bottom")
        self.layers = Bars(
            x=[0], y=[1], scales={"x": x, "y": unit_scale()}, colors=[CHOSEN], opacities=[0], stroke="transparent",
            padding=0, interactions={"click": "select", "hover": "tooltip"}, selected_style={"opacity": "0.1"},
            unselected_style={"opacity": "0"}, **tooltip(**told),
        )  # fmt: skip
        return x

    def _lay_out(self, told: Array, *notes: str) -> Array:
        """Put the columns where the layers are: at their numbers, where these rise."""
        numbers = np.array(self.maps.layer_numbers, dtype=float)
        at = numbers if (np.diff(numbers) > 0).all() else np.arange(float(len(numbers)))
        step = float(np.diff(at).min()) if len(at) > 1 else 1.0
        scale = self.layers.scales["x"]
        scale.min, scale.max = float(at[0] - step / 2), float(at[-1] + step / 2)
        self.layers.x, self.layers.y, self.layers.color = at, np.ones(len(at)), told
        self.across.tick_values, self.across.tick_format = at[:: max(1, -(-len(at) // MOST_TICKS))], "d"
        self.across.label = " · ".join(part for part in ("layer", *notes) if part)
        return at

    def _mark(self) -> None:
        layer = self.chosen_layer
        self.layers.selected = None if layer is None else np.array([layer])

    def _pressed(self, change: Any) -> None:
        if self._following:
            return
        pressed = change["new"]
        if pressed is not None and len(pressed):
            self.choose_layer(int(pressed[-1]))
        # Pressed again, or beside everything, it stays the layer that it is.
        self._follow(None)
