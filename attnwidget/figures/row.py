"""Row: what one query gives to each key, as bars; under a temperature before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, FAINT, MUTED
from attnwidget.figures.heatmap import BELOW, axis_names
from attnwidget.figures.lettering import LABELLED, SMALL, depth, literal, mark_axis, readable
from attnwidget.figures.reading import Array, mean_row
from attnwidget.figures.sheet import EDGES, Sheet, entitle, inches

__all__ = ["LEFT", "draw", "plot_width", "query_name", "rule"]

MOST = 200  # bars; the keys of a longer row share them
HEIGHT, WIDTH = 1.6, 6.0
PITCH = 0.34  # inches a key, of few
LEFT = 0.55


def draw(chosen: Chosen) -> Figure | Axes:
    """Bars of the weights of one query, for the keys that it may see."""
    maps, layer, head = chosen.maps, chosen.layer, chosen.head
    series, captions = [], []
    for factor in dict.fromkeys((1.0, chosen.factor)):
        weights, visible, outside = mean_row(maps, layer, head, queries_of(chosen), factor=factor)
        series.append((weights[visible], outside))
    keys = maps.key_tokens[np.flatnonzero(visible).tolist()]
    hidden = len(visible) - len(keys)
    if hidden:
        may_not = "it may not" if len(queries_of(chosen)) == 1 else "none of them may"
        are = "s that {} see are" if hidden > 1 else " that {} see is"
        captions.append(f"{hidden:,} key{are.format(may_not)} left out.")
    if not len(keys) or np.isnan(series[0][0]).any():
        captions.append("This row has no values.")
    stride = max(1, -(-len(keys) // MOST))
    if stride > 1:
        captions.append(f"Each bar: the largest weight of {stride} keys.")
    if any(outside > 0 for _, outside in series):
        shares = " before and ".join(f"{outside:.3g}" for _, outside in series)
        captions.append(f"Outside the map: {shares}{' after' * (len(series) > 1)}.")
    bars = [_pooled(weights, stride) for weights, _ in series]
    title = chosen.heading(chosen.place(layer, head), query_name(chosen))
    n = max(1, len(bars[0]))
    across = axis_names(maps)[1]
    if chosen.ax is not None:
        _bars(chosen, chosen.ax, bars)
        mark_axis(chosen.ax.xaxis, keys, inches(chosen.ax)[0] / n, stride=stride, own=False)
        return entitle(chosen.ax, title, across, captions)
    width = plot_width(chosen, n)
    below = BELOW + depth(keys, width / n, stride)
    sheet = Sheet(LEFT + width, HEIGHT + below, title, captions, inset=LEFT)
    axes = sheet.box(LEFT, 0, width, HEIGHT)
    _bars(chosen, axes, bars)
    mark_axis(axes.xaxis, keys, width / n, stride=stride)
    axes.set_xlabel(across, **literal(size=SMALL, colour=MUTED))
    return sheet


def _bars(chosen: Chosen, axes: Axes, bars: list[Array]) -> None:
    """One bar a key, or two beside each other."""
    n = len(bars[0])
    thick = 0.78 / len(bars)
    names = ["before", chosen.tempered] if len(bars) > 1 else [""]
    for number, (heights, name) in enumerate(zip(bars, names, strict=True)):
        offset = (number - (len(bars) - 1) / 2) * thick
        colour = FAINT if number + 1 < len(bars) else ACCENT
        axes.bar(np.arange(n) + offset, heights, thick, color=colour, label=name)
    largest = max((float(np.nanmax(b, initial=0)) for b in bars), default=0)
    top = chosen.vmax if isinstance(chosen.vmax, float) else (largest or 1) * 1.05
    axes.set(xlim=(-0.5, max(n, 1) - 0.5), ylim=(0, top))
    rule(axes)
    axes.set_ylabel("weight", **literal(size=SMALL, colour=MUTED))
    if len(bars) > 1:
        legend = axes.legend(frameon=False, fontsize=SMALL, handlelength=1, handleheight=1, borderaxespad=0)
        for text in legend.get_texts():
            text.set(parse_math=False, usetex=False)


def plot_width(chosen: Chosen, n: int) -> float:
    """Inches of a plot of so many keys, queries or heads."""
    if chosen.width is not None:
        return max(1.0, chosen.width - LEFT - EDGES)
    return WIDTH if n > LABELLED else min(WIDTH, max(2.6, n * PITCH))


def rule(axes: Axes) -> None:
    """Lines of an ordinary plot, as thin as the rest."""
    axes.set_facecolor("white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(linewidth=0.6, color=MUTED)
    axes.tick_params(axis="y", labelsize=SMALL, length=2.5, width=0.6, color=MUTED, pad=2)


def queries_of(chosen: Chosen) -> list[int]:
    """Whose rows are read."""
    return chosen.query if isinstance(chosen.query, list) else [chosen.query]


def query_name(chosen: Chosen) -> str:
    """Whose row it is, in words."""
    if len(queries_of(chosen)) > 1:
        return f"mean of queries {', '.join(map(str, queries_of(chosen)))}"
    return f"query “{readable(chosen.maps.tokens.labels[queries_of(chosen)[0]])}” at {queries_of(chosen)[0]}"


def _pooled(weights: Array, stride: int) -> Array:
    """The largest of every few; NaN stays NaN."""
    if stride == 1:
        return weights
    padded = np.append(weights, np.full(-len(weights) % stride, -np.inf))
    largest: Array = padded.reshape(-1, stride).max(1)
    return largest
