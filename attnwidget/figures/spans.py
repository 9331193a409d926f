"""Spans: how much of its attention each run of tokens gives to each, as a small map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.heatmap import draw_cells
from attnwidget.figures.reading import Cells, heads_of
from attnwidget.layers import DenseLayer, Mask
from attnwidget.lenses.tempered import Tempered
from attnwidget.maps import AttentionMaps
from attnwidget.measures.spans import SpansLike, axis_spans, sums_by_span
from attnwidget.measures.walk import Walk
from attnwidget.spans import find_spans
from attnwidget.tokens import Tokens

__all__ = ["draw"]

_ORDER = ("named", "parts", "roles", "documents", "paragraphs", "sentences", "pictures")


def draw(chosen: Chosen) -> Figure | Axes:
    """Spans of queries down and of keys across, each cell the mean mass that the queries of one give to the other."""
    maps = chosen.maps
    wanted = _likely(maps) if chosen.spans is None else chosen.spans
    source, heads = heads_of(maps, chosen.layer, chosen.head)
    keys = None if maps.key_tokens is maps.tokens else maps.key_tokens
    one = AttentionMaps([Tempered(source, heads, chosen.factor)], maps.tokens, keys, name=maps.name)
    down, across = axis_spans(one, wanted, None, (maps.n_queries, maps.n_keys))
    with torch.no_grad():
        found = sums_by_span(Walk(one), down, across, "mass", "chance")
    mass, chance = (value[0, 0].cpu() for value in found)
    # Nobody who sees no key of a span can look at it.
    weights = np.ma.masked_array(mass.numpy(), (chance == 0) | mass.isnan())
    names, key_names = (Tokens(tuple(span.name for span in spans)) for spans in (down, across))
    drawn = AttentionMaps([DenseLayer(mass[None], Mask())], names, key_names if keys else None, name=maps.name)
    what = wanted if isinstance(wanted, str) else "spans"
    title = chosen.heading(chosen.place(chosen.layer, chosen.head), f"mass between {what}")
    shown = Cells(weights, (1, 1), None, 1 - mass.sum(-1).numpy())
    return draw_cells(replace(chosen, maps=drawn), shown, title, _captions(shown), name="mass")


def _likely(maps: AttentionMaps) -> SpansLike:
    """The kind of spans that says most of what is there."""
    found = [find_spans(tokens) for tokens in (maps.tokens, maps.key_tokens)]
    return next((kind for kind in _ORDER if all(len(kinds.get(kind, ())) > 1 for kinds in found)), None)


def _captions(shown: Cells) -> list[str]:
    captions = ["Each cell: the mean, over the queries of a span, of their mass on the keys of another."]
    if np.ma.getmaskarray(shown.weights).any():
        captions.append("Hatched: spans of which the queries see nothing.")
    lacking = shown.outside[~np.isnan(shown.outside)]
    if (lacking > 0.01).any():
        captions.append(
            f"Rows lack {lacking.mean():.2g} on average: mass on keys in none of these spans, or outside the map."
        )
    return captions
