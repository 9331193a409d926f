"""Heatmap: the map of one head, queries down and keys across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import FAINT, HATCH, MUTED, TEXT, ink_on, norm, signed_norm
from attnwidget.figures.lettering import LABELLED, SMALL, depth, literal, mark_axis, room
from attnwidget.figures.reading import Cells, cells
from attnwidget.figures.sheet import EDGES, Sheet, entitle, inches
from attnwidget.maps import AttentionMaps

__all__ = [
    "BAR",
    "BELOW",
    "MOST",
    "NAME",
    "axis_names",
    "bar",
    "clipped",
    "draw",
    "draw_cells",
    "end_of_scale",
    "frame",
    "notes",
    "paint",
]

MOST = 512  # cells a side; beyond, a printer has no dots for more
SIDE = 4.2  # inches of a map that is not written out
PITCH = (0.1, 0.32)  # inches a cell, of many tokens and of few
LEAST = 0.6  # inches of an axis with one cell
NUMBERED = 12  # cells a side that have their numbers in them
MOST_NUMBERED = 40
BAR = 0.78  # inches of a colour bar, with its numbers
NAME, BELOW = 0.2, 0.16  # of the name of an axis, beside it and below


def draw(chosen: Chosen) -> Figure | Axes:
    """The map of one head; with axes of one's own without title and colour bar."""
    shown = cells(chosen.maps, chosen.layer, chosen.head, factor=chosen.factor, most=MOST)
    return draw_cells(chosen, shown, chosen.heading(chosen.place(chosen.layer, chosen.head)), notes([shown]))


def draw_cells(chosen: Chosen, shown: Cells, title: str, captions: list[str], name: str = "weight") -> Figure | Axes:
    """Cells, beside what stands on the axes of the chosen maps; ``name`` is what they show."""
    maps = chosen.maps
    largest = end_of_scale(chosen, [shown])
    if chosen.ax is not None:
        _fill(chosen, chosen.ax, shown, largest, inches(chosen.ax), own=False)
        return entitle(chosen.ax, title, axis_names(maps)[1], captions)
    width, height = _size(chosen, shown)
    left, below = _margins(maps, shown, width, height)
    sheet = Sheet(left + width + BAR, max(height, LEAST) + below, title, captions, inset=left)
    axes = sheet.box(left, 0, width, height)
    image = _fill(chosen, axes, shown, largest, (width, height), own=True)
    rowwise = chosen.vmax == "row"
    name = f"share of its row's largest{' difference' * shown.signed}" if rowwise else name
    beyond = not rowwise and clipped([shown], largest)
    bar(sheet, image, left + width + 0.12, 0, height, name=name, beyond=beyond)
    return sheet


def _size(chosen: Chosen, shown: Cells) -> tuple[float, float]:
    """Inches of the map itself."""
    rows, columns = shown.weights.shape
    most = max(rows, columns)
    pitch = min(PITCH[1], max(PITCH[0], SIDE / most)) if most <= LABELLED else SIDE / most
    if _numbered(chosen, shown):
        pitch = max(pitch, PITCH[1])
    if chosen.width is not None:
        # What stands beside the map depends on how large its letters are.
        for _ in range(3):
            left, _below = _margins(chosen.maps, shown, columns * pitch, rows * pitch)
            pitch = max(0.3, chosen.width - EDGES - left - BAR) / columns
    return max(LEAST, columns * pitch), max(LEAST, rows * pitch)


def _margins(maps: AttentionMaps, shown: Cells, width: float, height: float) -> tuple[float, float]:
    """Inches left of a map and below it, that its labels take."""
    rows, columns = shown.weights.shape
    left = room(maps.tokens, height / rows, shown.stride[0])
    return NAME + left, BELOW + depth(maps.key_tokens, width / columns, shown.stride[1])


def _fill(
    chosen: Chosen, axes: Axes, shown: Cells, largest: float, size: tuple[float, float], *, own: bool
) -> AxesImage:
    maps = chosen.maps
    rows, columns = shown.weights.shape
    image = paint(axes, shown, chosen, largest)
    mark_axis(axes.yaxis, maps.tokens, size[1] / rows, stride=shown.stride[0], own=own)
    mark_axis(axes.xaxis, maps.key_tokens, size[0] / columns, stride=shown.stride[1], own=own)
    down, across = axis_names(maps)
    axes.set_ylabel(down, **literal(size=SMALL, colour=MUTED))
    axes.set_xlabel(across, **literal(size=SMALL, colour=MUTED))
    if _numbered(chosen, shown):
        _number(axes, image, chosen, shown, min(SMALL, 72 * size[0] / columns / 3.4))
    return image


def axis_names(maps: AttentionMaps) -> tuple[str, str]:
    """What the axes are called: in cross-attention they hold two texts."""
    # A single query may be the last of a text as well as the first of another.
    if maps.name != "cross" and (maps.key_tokens is maps.tokens or maps.causal or maps.n_queries == 1):
        return "query", "key"
    return "query (target)", "key (source)"


def paint(axes: Axes, shown: Cells, chosen: Chosen, largest: float, extent: Any = None) -> AxesImage:
    """The cells of a map, hatched where it is masked."""
    image = axes.imshow(
        coloured(chosen, shown),
        cmap=chosen.cmap,
        norm=(signed_norm if shown.signed else norm)(chosen.scale, largest),
        interpolation="nearest",
        aspect="auto",
        origin="upper",
        extent=extent,
    )
    frame(axes)
    if np.ma.getmaskarray(shown.weights).any():
        axes.patch.set(hatch="/" * 7, edgecolor=HATCH, linewidth=0)
    return image


def coloured(chosen: Chosen, shown: Cells) -> Any:
    """What the colours stand for: weights, or shares of each row's largest; nothing below the threshold."""
    weights = shown.weights
    if chosen.vmax == "row":
        largest = np.abs(weights).max(-1, keepdims=True).filled(0)
        weights = weights / np.where(largest > 0, largest, 1)
    return weights * (np.abs(weights) >= chosen.threshold)


def frame(axes: Axes) -> None:
    """A thin line around axes, and white paper in them."""
    axes.set_facecolor("white")
    axes.grid(visible=False)
    axes.spines[:].set(linewidth=0.6, color=FAINT, visible=True)


def end_of_scale(chosen: Chosen, shown: Sequence[Cells]) -> float:
    """The weight that has the last colour, for all maps of a figure."""
    if isinstance(chosen.vmax, float):
        return chosen.vmax
    if chosen.vmax == "row":
        return 1.0
    return max(one.largest for one in shown)


def clipped(shown: Sequence[Cells], largest: float) -> bool:
    """Whether some weight lies above the end of the colours."""
    return any(float(np.abs(one.weights.filled(0)).max()) > largest * 1.000001 for one in shown)


def bar(
    sheet: Sheet,
    image: ScalarMappable,
    left: float,
    top: float,
    height: float,
    *,
    name: str = "weight",
    beyond: bool = False,
) -> None:
    """A colour bar beside what it explains; pointed where larger weights have the last colour too."""
    height = max(height, LEAST)
    axes = sheet.box(left, top, 0.1, height)
    signed = type(image.norm).__name__ == "FuncNorm" or float(np.min(image.norm.vmin or 0)) < 0
    extend = ("both" if signed else "max") if beyond else "neither"
    drawn = sheet.colorbar(image, cax=axes, extend=extend, extendfrac=min(0.05, 0.08 / height))
    if image.norm.vmax is not None and type(image.norm).__name__ not in {"LogNorm", "FuncNorm"}:
        drawn.locator = MaxNLocator(max(2, min(6, int(height / 0.4))), steps=[1, 2, 2.5, 5, 10])
        drawn.update_ticks()
    axes.tick_params(labelsize=SMALL, labelcolor=TEXT, length=2, width=0.6, color=MUTED, pad=2)
    for label in axes.get_yticklabels():
        label.set_usetex(False)
    drawn.outline.set(linewidth=0.6, edgecolor=FAINT)
    axes.set_ylabel(name, **literal(size=SMALL, colour=MUTED))


def _numbered(chosen: Chosen, shown: Cells) -> bool:
    rows, columns = shown.weights.shape
    if chosen.values is None:
        return shown.stride == (1, 1) and max(rows, columns) <= NUMBERED and chosen.ax is None
    if chosen.values and (max(rows, columns) > MOST_NUMBERED or shown.stride != (1, 1)):
        raise ValueError(
            f"values=True writes a number in each cell of at most {MOST_NUMBERED} x {MOST_NUMBERED}, and this map has "
            f"{chosen.maps.n_queries:,} x {chosen.maps.n_keys:,}. Leave it out."
        )
    return chosen.values


def _number(axes: Axes, image: AxesImage, chosen: Chosen, shown: Cells, size: float) -> None:
    colours = image.to_rgba(coloured(chosen, shown))
    for down, across in np.argwhere(~np.ma.getmaskarray(shown.weights)):
        style = literal(size=size, colour=ink_on(tuple(colours[down, across])))
        text = f"{shown.weights[down, across]:{'+' if shown.signed else ''}.2f}".replace("-", "\N{MINUS SIGN}")
        axes.text(across, down, text, ha="center", va="center_baseline", **style)


def notes(shown: Sequence[Cells]) -> list[str]:
    """What a reader of the maps should know of how they are drawn, in sentences."""
    found = []
    if any(np.ma.getmaskarray(one.weights).any() for one in shown):
        found.append("Hatched: keys that the query may not see.")
    (down, across), sampled = shown[0].stride, shown[0].sampled
    if max(down, across) > 1:
        read = "" if sampled is None else f", read in {sampled[0]} of its {sampled[1]} rows"
        of = "the difference of the largest weights" if shown[0].signed else "the largest weight"
        found.append(f"Each cell: {of} of {down} x {across}{read}.")
    outside = np.concatenate([one.outside for one in shown])
    without = int(np.isnan(outside).sum())
    if without:
        found.append(f"{without:,} row{'s have' if without > 1 else ' has'} no values: NaN.")
    lacking = outside[~np.isnan(outside)]
    if (lacking > 0).any():
        found.append(
            f"Rows lack {lacking.mean():.2g} on average and {lacking.max():.2g} at most: mass outside the map, in "
            "learned sinks or cut away."
        )
    return found
