"""Flow: the strongest paths from one token back through the layers, columns for tokens and a line for each layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, MUTED, TEXT
from attnwidget.figures.heatmap import BELOW
from attnwidget.figures.lettering import LABELLED, SMALL, depth, literal, mark_axis
from attnwidget.figures.row import plot_width, query_name
from attnwidget.figures.sheet import Sheet, entitle, inches
from attnwidget.measures.paths import Paths, paths

__all__ = ["draw"]

LEFT = 0.85  # inches, for the names of layers
LINE, LEAST = 0.42, 1.4  # inches a layer, and of all of them
WIDEST = 7.0  # points of a line that all of it goes through
LARGEST = 11.0  # points across a token that all of it goes through


def draw(chosen: Chosen) -> Figure | Axes:
    """Lines as wide, and dots as large, as the share of the token that goes through them."""
    maps = chosen.maps
    found = paths(maps, chosen.query, threshold=chosen.threshold, heads=chosen.head or "mean", progress=False)
    captions = [_carried(chosen, found)]
    touched = np.unique(np.append(found.edges[:, 1:3].numpy(), found.query))
    if len(maps.tokens) <= LABELLED:
        touched = np.arange(found.query + 1 if maps.causal else len(maps.tokens))
    elif len(touched) < len(maps.tokens):
        captions.append(f"Of {len(maps.tokens):,} tokens the {len(touched):,} that it goes through have columns.")
    if found.left_out:
        captions.append(f"{found.left_out:,} lighter edges are left out.")
    tokens = maps.tokens[touched.tolist()]
    title = chosen.heading("flow", query_name(chosen))
    if chosen.ax is not None:
        _diagram(chosen.ax, chosen, found, touched)
        mark_axis(chosen.ax.xaxis, tokens, inches(chosen.ax)[0] / len(touched), own=False)
        return entitle(chosen.ax, title, "token", captions)
    width = plot_width(chosen, len(touched))
    height = max(LEAST, LINE * maps.n_layers + 0.2)
    sheet = Sheet(LEFT + width, height + BELOW + depth(tokens, width / len(touched)), title, captions, inset=LEFT)
    axes = sheet.box(LEFT, 0, width, height)
    _diagram(axes, chosen, found, touched)
    mark_axis(axes.xaxis, tokens, width / len(touched))
    axes.set_xlabel("token", **literal(size=SMALL, colour=MUTED))
    return sheet


def _carried(chosen: Chosen, found: Paths) -> str:
    of = "each head and of the residual path" if found.heads == "each" else "all heads and the residual path together"
    least = f"Edges of {of}, each at least {found.threshold:.3g} of the flow."
    if np.isnan(found.carried):
        lost = int(found.nodes.isfinite().all(-1).numpy().argmax()) - 1
        return f"{least} A row of layer {chosen.maps.layer_numbers[lost]} holds NaN: nothing is known below it."
    return f"{least} Their paths carry {found.carried:.3g} of what reaches the first layer."


def _diagram(axes: Axes, chosen: Chosen, found: Paths, touched: Any) -> None:
    """The output above, the input below."""
    # Edges of several heads between the same two tokens are one line.
    between, which = np.unique(found.edges[:, :3].numpy(), axis=0, return_inverse=True)
    layer, above, below = between.T
    shares = np.bincount(which, found.shares.numpy())
    column = np.full(len(chosen.maps.tokens), -1)
    column[touched] = np.arange(len(touched))
    ends = np.stack([np.stack([column[above], layer + 1], 1), np.stack([column[below], layer], 1)], 1)
    lines = LineCollection(
        list(ends), linewidths=np.maximum(0.3, WIDEST * shares), colors=[ACCENT], alpha=0.55, capstyle="round"
    )
    axes.add_collection(lines)
    points = np.unique(np.append(ends.reshape(-1, 2), [[column[found.query], chosen.maps.n_layers]], 0), axis=0)
    size = np.nan_to_num(found.nodes.numpy()[points[:, 1], touched[points[:, 0]]])
    axes.scatter(points[:, 0], points[:, 1], s=np.maximum(1.0, LARGEST**2 * size), color=TEXT, linewidths=0, zorder=3)
    axes.set(xlim=(-0.5, len(touched) - 0.5), ylim=(-0.3, chosen.maps.n_layers + 0.3))
    axes.set_facecolor("white")
    axes.spines[:].set_visible(False)
    names = ["input", *(f"after layer {number}" for number in chosen.maps.layer_numbers)]
    axes.set_yticks(range(len(names)), names, **literal(names, SMALL, MUTED))
    axes.tick_params(axis="y", length=0, pad=2)
