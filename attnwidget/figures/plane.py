"""Plane: queries and keys of one head as points, near where they attend."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, FAINT, MUTED, TEXT
from attnwidget.figures.lettering import SMALL, literal, readable
from attnwidget.figures.sheet import EDGES, Sheet, entitle
from attnwidget.measures.plane import READABLE, Plane, plane

__all__ = ["draw", "verdict"]

SIDE = 3.6  # inches
LABELLED = 40  # tokens that have their names beside them


def draw(chosen: Chosen) -> Figure | Axes:
    """Queries as circles and keys as squares, with how far distances can be read."""
    maps, layer, head = chosen.maps, chosen.layer, chosen.head
    found = plane(maps, layer, head)
    title = chosen.heading(chosen.place(layer, head))
    captions = ["Circles: queries. Squares: keys, moved and stretched as leaves the weights alike.", verdict(found)]
    if chosen.ax is not None:
        _points(chosen, chosen.ax, found)
        return entitle(chosen.ax, title, "", captions)
    side = SIDE if chosen.width is None else chosen.width - EDGES
    sheet = Sheet(side, side, title, captions)
    _points(chosen, sheet.box(0, 0, side, side), found)
    return sheet


def verdict(found: Plane) -> str:
    """How far distances can be read, in a sentence."""
    if math.isnan(found.correlation):
        return "Too few pairs to say how far distances can be read."
    of = f"over {found.pairs:,} pairs{', an even sample' if found.sampled else ''}"
    measured = f"Nearness and score have a rank correlation of {found.correlation:.2f} {of}"
    if found.correlation < READABLE:
        return f"{measured}. Not readable: distance in this picture says little about the scores of this head."
    return f"{measured}."


def _points(chosen: Chosen, axes: Axes, found: Plane) -> None:
    maps = chosen.maps
    queries, keys = found.queries.numpy(), found.keys.numpy()
    axes.scatter(keys[:, 0], keys[:, 1], s=14, marker="s", color="none", edgecolors=MUTED, linewidths=0.9)
    axes.scatter(queries[:, 0], queries[:, 1], s=14, marker="o", color=ACCENT, linewidths=0)
    for tokens, points, colour in ((maps.key_tokens, keys, MUTED), (maps.tokens, queries, TEXT)):
        if len(tokens) <= LABELLED:
            for label, (x, y) in zip(tokens.labels, points, strict=True):
                if math.isfinite(x + y):
                    axes.annotate(
                        readable(label), (x, y), (3, 3), textcoords="offset points",
                        **literal([label], SMALL - 1, colour),
                    )  # fmt: skip
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.set_facecolor("white")
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=FAINT)
