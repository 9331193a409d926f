"""Panels: the heads of a layer, one head through the layers, or two that are compared, as maps side by side."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen, Other
from attnwidget.figures.heatmap import BAR, BELOW, NAME, axis_names, bar, clipped, end_of_scale, notes, paint
from attnwidget.figures.lettering import depth, mark_axis, room
from attnwidget.figures.reading import Cells, Head, cells
from attnwidget.figures.sheet import EDGES, Sheet
from attnwidget.maps import AttentionMaps

__all__ = ["draw"]

MOST = 128  # cells a side
WIDTH = 6.5  # inches, a page of text
LARGEST = 2.2  # inches a side
GAP, HEADING = 0.1, 0.17
SMALLEST, ROOM = 0.3, 1.2  # inches a side, and of the page for each map


def draw(chosen: Chosen) -> Figure:
    """One map a head of a layer, or a layer of a head, on one scale of colours unless each has its own."""
    maps = chosen.maps
    places: list[tuple[int, Head]]
    if chosen.kind == "beside" and chosen.other is not None:
        return _side_by_side(chosen, chosen.other)
    if chosen.kind == "heads":
        places = [(chosen.layer, head) for head in range(maps.heads[chosen.layer])]
        title = chosen.place(chosen.layer, None)
        names = [f"head {number}" for number in maps.head_numbers[chosen.layer]]
    else:
        places = [(layer, chosen.head) for layer in range(maps.n_layers)]
        title, names = chosen.place(None, chosen.head), [f"layer {number}" for number in maps.layer_numbers]
    shown = [cells(maps, *place, factor=chosen.factor, most=MOST, share=len(places)) for place in places]
    return _drawn(chosen, shown, title, names)


def _side_by_side(chosen: Chosen, other: Other) -> Figure:
    """Two heads that are compared, each under its name."""
    places: list[tuple[AttentionMaps, int, Head]] = [
        (other.maps, other.layer, other.head),
        (chosen.maps, chosen.layer, chosen.head),
    ]
    shown = [cells(*place, factor=chosen.factor, most=MOST, share=2) for place in places]
    return _drawn(chosen, shown, chosen.compared, list(chosen.names))


def _drawn(chosen: Chosen, shown: list[Cells], title: str, names: list[str]) -> Figure:
    maps = chosen.maps
    n_rows, n_columns = shown[0].weights.shape
    down_stride, across_stride = shown[0].stride
    whole = chosen.width or WIDTH
    columns = _columns(len(shown), max(1, int(whole / ROOM)))
    rows = math.ceil(len(shown) / columns)
    each = chosen.vmax == "each"
    beside = 0.0 if each else BAR
    left, wide = 0.5, 1.0
    # How wide a map is depends on how wide its labels are, which depends on how wide it is.
    for _ in range(3):
        wide = (whole - EDGES - left - beside - GAP * (columns - 1)) / columns
        wide = max(SMALLEST, wide if chosen.width else min(LARGEST, wide))
        tall = min(3 * wide, max(SMALLEST, wide * n_rows / n_columns))
        left = NAME + room(maps.tokens, tall / n_rows, down_stride)
    below = BELOW + depth(maps.key_tokens, wide / n_columns, across_stride)
    right, bottom = left + columns * (wide + GAP) - GAP, rows * (tall + HEADING + GAP) - GAP
    sheet = Sheet(right + beside, bottom + below, chosen.heading(title), notes(shown), inset=left)
    largest = end_of_scale(chosen, shown)
    for number, (one, name) in enumerate(zip(shown, names, strict=True)):
        row, column = divmod(number, columns)
        x, y = left + column * (wide + GAP), row * (tall + HEADING + GAP) + HEADING
        axes = sheet.box(x, y, wide, tall)
        image = paint(axes, one, chosen, one.largest if each else largest)
        sheet.write(x, y - 0.035, name, va="baseline")
        axes.set(xticks=[], yticks=[])
        if column == 0:
            mark_axis(axes.yaxis, maps.tokens, tall / n_rows, stride=down_stride)
        if number + columns >= len(shown):
            mark_axis(axes.xaxis, maps.key_tokens, wide / n_columns, stride=across_stride)
    down, across = axis_names(maps)
    sheet.write(0, bottom / 2, down, rotation=90, ha="left", va="center")
    sheet.write((left + right) / 2, bottom + below, across, ha="center", va="bottom")
    if not each:
        bar(sheet, image, right + 0.12, HEADING, bottom - HEADING, beyond=clipped(shown, largest))
    return sheet


def _columns(n: int, most: int) -> int:
    """Maps side by side, so that rows are full where that can be, and no map is too small."""
    if n <= min(4, most):
        return n
    allowed = [columns for columns in ((3, 4) if n <= 16 else (6, 8)) if columns <= most] or [most]
    return min(allowed, key=lambda columns: (-n % columns, -columns))
