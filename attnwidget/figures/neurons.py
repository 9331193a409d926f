"""Neurons: the products of query and key behind one score, sorted, as bars, and their running sum."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, FAINT, MUTED, TEXT
from attnwidget.figures.heatmap import BELOW
from attnwidget.figures.lettering import SMALL, literal, readable
from attnwidget.figures.reading import Array, row
from attnwidget.figures.row import LEFT, rule
from attnwidget.figures.sheet import EDGES, Sheet, entitle
from attnwidget.measures.products import score_products

__all__ = ["draw"]

HEIGHT, SUMS, GAP = 1.5, 0.8, 0.22
WIDTH = 6.0


def draw(chosen: Chosen) -> Figure | Axes:
    """Bars from the largest positive product to the largest negative, each with what it would be at distance 0."""
    maps, layer, head, query = chosen.maps, chosen.layer, chosen.head, chosen.query
    weights, visible, _ = row(maps, layer, head, query, factor=1.0)
    key = int(np.nan_to_num(np.where(visible, weights, -1), nan=-1).argmax()) if chosen.key is None else chosen.key
    found = score_products(maps, layer, head, query, key)
    order = found.products.argsort(descending=True, stable=True).cpu()
    products = found.products.cpu()[order].numpy()
    content = None if found.content is None else found.content.cpu()[order].numpy()
    names = [
        f"“{readable(tokens.labels[at])}” at {at}" for tokens, at in ((maps.tokens, query), (maps.key_tokens, key))
    ]
    title = chosen.heading(chosen.place(layer, head), f"{names[0]} → {names[1]}")
    what = "pair" if content is not None else "dimension"
    weight = f"weight {weights[key]:.3g}" if visible[key] else "masked"
    captions = [
        f"q·k = {products.sum():.4g}, {weight}" + (", the heaviest key of this query." if chosen.key is None else ".")
    ]
    if content is not None:
        captions.append(
            f"Ticks: what a pair would add side by side, content alone; their sum is {content.sum():.4g}, and distance "
            f"adds {products.sum() - content.sum():.4g}."
        )
    across = f"{what}s of q and k, the largest product first"
    if chosen.ax is not None:
        _bars(chosen.ax, products, content)
        return entitle(chosen.ax, title, across, captions)
    width = chosen.width - LEFT - EDGES if chosen.width is not None else WIDTH
    whole = HEIGHT + GAP + SUMS
    sheet = Sheet(LEFT + width, whole + BELOW, title, captions, inset=LEFT)
    _bars(sheet.box(LEFT, 0, width, HEIGHT), products, content)
    sums = sheet.box(LEFT, HEIGHT + GAP, width, SUMS)
    at = np.arange(len(products))
    if content is not None:
        sums.plot(at, content.cumsum(), color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), label="content")
    sums.plot(at, products.cumsum(), color=ACCENT, linewidth=1.2, label="all")
    sums.axhline(0, color=FAINT, linewidth=0.6)
    sums.set(xlim=(-0.5, len(products) - 0.5), xticks=[])
    rule(sums)
    sums.set_ylabel("running sum", **literal(size=SMALL, colour=MUTED))
    sums.set_xlabel(across, **literal(size=SMALL, colour=MUTED))
    return sheet


def _bars(axes: Axes, products: Array, content: Array | None) -> None:
    at = np.arange(len(products))
    axes.bar(at, products, 0.8, color=np.where(products >= 0, ACCENT, MUTED))
    if content is not None:
        axes.hlines(content, at - 0.4, at + 0.4, color=TEXT, linewidth=1)
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.set(xlim=(-0.5, len(products) - 0.5), xticks=[])
    rule(axes)
    axes.set_ylabel("q x k", **literal(size=SMALL, colour=MUTED))
