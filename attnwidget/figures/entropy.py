"""Entropy: how widely queries spread their attention, beside the most it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, MUTED, ink_on
from attnwidget.figures.grid import name_heads
from attnwidget.figures.heatmap import BAR, BELOW, NAME, NUMBERED, bar, frame
from attnwidget.figures.lettering import LABELLED, SMALL, depth, literal, mark_axis, width_of
from attnwidget.figures.reading import Array, entropies
from attnwidget.figures.row import LEFT, plot_width, rule
from attnwidget.figures.sheet import EDGES, Sheet, entitle, inches

__all__ = ["draw"]

HEIGHT, WIDTH, LEGEND = 1.8, 6.0, 0.2
CELL = (0.16, 0.34)  # inches a head
UNIT = "entropy (nats)"


def draw(chosen: Chosen) -> Figure | Axes:
    """Of the queries of one head as a line; of a layer's heads, or one head in all layers, as bars; of all as cells."""
    if chosen.layer is not None and chosen.head is not None:
        return _queries(chosen)
    return _heads(chosen) if chosen.layer is None and chosen.head is None else _bars(chosen)


def _queries(chosen: Chosen) -> Figure | Axes:
    maps, layer = chosen.maps, chosen.layer
    values, most, rows = entropies(maps, layer, chosen.head, factor=chosen.factor)
    n = maps.n_queries
    captions = [f"Read in {len(rows):,} of {n:,} queries."] if len(rows) < n else []
    without = int(values.isnan().sum())
    if without:
        captions.append(f"{without:,} quer{'ies have' if without > 1 else 'y has'} no values.")
    title = chosen.heading(chosen.place(layer, chosen.head), "entropy of queries")
    width = plot_width(chosen, n)
    axes, sheet = _plot(chosen, title, captions, width, BELOW + depth(maps.tokens, width / n))
    pitch = width / n if sheet is not None else inches(axes)[0] / n
    axes.plot(
        rows.numpy(),
        most[0].numpy(),
        color=MUTED,
        linewidth=0.9,
        linestyle=(0, (4, 2)),
        label="most: log of the keys it sees",
    )
    axes.plot(
        rows.numpy(),
        values[0].numpy(),
        color=ACCENT,
        label="entropy",
        linewidth=1.2,
        marker="o" if n <= LABELLED else "",
        markersize=2.5,
    )
    axes.set(xlim=(-0.5, n - 0.5), ylim=(0, _top(most.numpy())))
    mark_axis(axes.xaxis, maps.tokens, pitch, own=sheet is not None)
    return _finished(axes, sheet, title, "query", captions)


def _bars(chosen: Chosen) -> Figure | Axes:
    maps = chosen.maps
    if chosen.layer is not None:
        values, most, _ = entropies(maps, chosen.layer, None, factor=chosen.factor)
        numbers, title, across = maps.head_numbers[chosen.layer], chosen.place(chosen.layer, None), "head"
    else:
        read = [
            entropies(maps, layer, chosen.head, factor=chosen.factor, share=maps.n_layers)
            for layer in range(maps.n_layers)
        ]
        values, most = (torch.cat([one[part] for one in read]) for part in (0, 1))
        numbers, title, across = maps.layer_numbers, chosen.place(None, chosen.head), "layer"
    n = len(numbers)
    width = plot_width(chosen, n)
    title = chosen.heading(title, "mean entropy of queries")
    axes, sheet = _plot(chosen, title, [], width, NAME + 0.2)
    ceiling = most.nanmean(-1).numpy()
    axes.bar(range(n), values.nanmean(-1).numpy(), 0.7, color=ACCENT, label="entropy")
    axes.hlines(
        ceiling,
        np.arange(n) - 0.5,
        np.arange(n) + 0.5,
        color=MUTED,
        linewidth=0.9,
        linestyle=(0, (4, 2)),
        label="most: uniform attention",
    )
    axes.set(xlim=(-0.5, n - 0.5), ylim=(0, _top(ceiling)))
    every = max(1, -(-n // 40))
    axes.xaxis.set_ticks(range(0, n, every), [str(number) for number in numbers[::every]], **literal(size=SMALL))
    axes.xaxis.set_tick_params(length=0, pad=3)
    return _finished(axes, sheet, title, across, [])


def _heads(chosen: Chosen) -> Figure | Axes:
    maps = chosen.maps
    table, ceilings = np.full((maps.n_layers, max(maps.heads)), np.nan), []
    for layer, n in enumerate(maps.heads):
        values, most, rows = entropies(maps, layer, None, factor=chosen.factor, share=maps.n_layers)
        table[layer, :n] = values.nanmean(-1)
        ceilings.append(float(most.nanmean().nan_to_num(0)))
    captions = [f"Mean over the queries; uniform attention has {max(ceilings):.3g} nats."]
    if len(rows) < maps.n_queries:
        captions.append(f"Read in {len(rows):,} of {maps.n_queries:,} queries.")
    title = chosen.heading("entropy of heads")
    down, across = table.shape
    if chosen.ax is not None:
        axes, sheet = chosen.ax, None
    else:
        left = NAME + width_of([str(number) for number in maps.layer_numbers]) + 0.08
        pitch = min(CELL[1], max(CELL[0], (WIDTH - left - BAR) / across))
        pitch = pitch if chosen.width is None else max(0.05, (chosen.width - EDGES - left - BAR) / across)
        width, height = across * pitch, down * pitch
        sheet = Sheet(left + width + BAR, max(height, 0.6) + NAME + 0.2, title, captions, inset=left)
        axes = sheet.box(left, 0, width, height)
    largest = chosen.vmax if isinstance(chosen.vmax, float) else max(ceilings) or 1.0
    image = axes.imshow(
        np.ma.masked_invalid(table),
        cmap=chosen.cmap,
        norm=Normalize(0, largest),
        interpolation="nearest",
        aspect="auto",
    )
    name_heads(axes, chosen)
    frame(axes)
    if chosen.values or (chosen.values is None and max(down, across) <= NUMBERED):
        colours = image.to_rgba(table)
        for (row, column), value in np.ndenumerate(table):
            if not np.isnan(value):
                style = literal(size=6.0, colour=ink_on(tuple(colours[row, column])))
                axes.text(column, row, f"{value:.1f}", ha="center", va="center_baseline", **style)
    if sheet is not None:
        bar(sheet, image, left + width + 0.12, 0, height, name=UNIT)
        return sheet
    return entitle(axes, title, axes.get_xlabel(), captions)


def _plot(chosen: Chosen, title: str, captions: list[str], width: float, below: float) -> tuple[Axes, Sheet | None]:
    """Axes to plot in, of one's own or of a sheet."""
    if chosen.ax is not None:
        return chosen.ax, None
    sheet = Sheet(LEFT + width, HEIGHT + LEGEND + below, title, captions, inset=LEFT)
    return sheet.box(LEFT, LEGEND, width, HEIGHT), sheet


def _finished(axes: Axes, sheet: Sheet | None, title: str, across: str, captions: list[str]) -> Figure | Axes:
    rule(axes)
    axes.set_ylabel(UNIT, **literal(size=SMALL, colour=MUTED))
    axes.set_xlabel(across, **literal(size=SMALL, colour=MUTED))
    above: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "borderpad": 0} if sheet else {}
    axes.legend(frameon=False, fontsize=SMALL, ncols=2 if sheet else 1, handlelength=1.6, **above)
    return sheet or entitle(axes, title, across, captions)


def _top(most: Array) -> float:
    """The end of an axis of entropies."""
    return (float(np.nan_to_num(most).max()) or 1.0) * 1.06
