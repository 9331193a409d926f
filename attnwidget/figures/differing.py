"""Differing: the map of one head less that of another."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.heatmap import MOST, draw_cells, notes
from attnwidget.figures.reading import cells, difference

__all__ = ["draw"]


def draw(chosen: Chosen) -> Figure | Axes:
    """What the chosen head gives more and less than the one it is compared with."""
    other = chosen.other
    if other is None:
        raise ValueError("kind='difference' needs against=, the maps or the (layer, head) to compare with.")
    first = cells(other.maps, other.layer, other.head, factor=chosen.factor, most=MOST)
    second = cells(chosen.maps, chosen.layer, chosen.head, factor=chosen.factor, most=MOST)
    shown = difference(first, second)
    return draw_cells(chosen, shown, chosen.heading(chosen.compared), notes([shown]), "difference")
