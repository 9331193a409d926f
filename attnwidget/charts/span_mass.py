"""Span mass: where the layers look, as shares of named runs of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from bqplot import Label, LinearScale, Lines

from attnwidget.charts.along import Along
from attnwidget.charts.chart import Array
from attnwidget.charts.look import TEXT, axis, figure_look
from attnwidget.measures.spans import SpansLike, axis_spans
from attnwidget.measures.spans import span_mass as mass_of
from attnwidget.widget.answers.measuring import MEASURED
from attnwidget.widget.answers.spread import even_rows

__all__ = ["SpanMass", "span_mass"]

# Told apart by every kind of colour vision (Okabe & Ito 2008).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"]
OTHERS = "#8c8c8c"
LEAST_NAMED = 0.04  # of the height: a name in less would overlap the next


class SpanMass(Along):
    """Shares of spans along the layers; see `span_mass`."""

    def __init__(self, what: Any, *, spans: SpansLike = None) -> None:
        self._take(what)
        self.spans = spans
        x, y = self._columns(color=("in these spans", ".0%")), LinearScale(min=0, max=1, allow_padding=False)
        at = {"scales": {"x": x, "y": y}}
        self.areas = Lines(x=[0], y=[0], fill="bottom", stroke_width=0.5, interactions={}, **at)
        self.names = Label(
            x=[], y=[], text=[], colors=[TEXT], default_size=12, font_weight="normal", x_offset=8, y_offset=4,
            apply_clip=False, interactions={}, **at,
        )  # fmt: skip
        self.up = axis(y, "left", label="share of the attention", tick_format=".0%", tick_values=np.linspace(0, 1, 5))
        super().__init__(
            marks=[self.areas, self.names, self.layers], axes=[self.across, self.up], **figure_look(right=110)
        )

    def _draw(self) -> None:
        try:
            names, shares = _shares(self.maps, self.spans)
        except ValueError as error:
            self.areas.visible, self.names.text = False, np.array([], dtype=str)
            self.title = str(error)
            return
        rows = even_rows(self.maps, MEASURED)
        read = "" if rows is None else f"from {len(rows):,} of {self.maps.n_queries:,} rows"
        at = self._lay_out(np.nansum(shares, 0), "mean of heads", read)
        self.areas.visible = True
        tops = shares.cumsum(0)
        middles = tops[:, -1] - shares[:, -1] / 2
        if len(at) == 1:  # an area of one layer has no width of its own
            at, tops = np.array([at[0] - 0.2, at[0] + 0.2]), np.repeat(tops, 2, 1)
        # Each over those that reach higher.
        self.areas.x, self.areas.y = at, tops[::-1] if len(tops) > 1 else np.vstack([tops, tops])
        colours = [OTHERS if name == "others" else COLOURS[number] for number, name in enumerate(names)][::-1]
        self.areas.colors = self.areas.fill_colors = colours if len(names) > 1 else colours * 2
        self.areas.fill_opacities = [1.0] * max(2, len(names))
        named = [number for number in range(len(names)) if shares[number, -1] >= LEAST_NAMED]
        self.names.x, self.names.y = np.full(len(named), at[-1]), middles[named]
        self.names.text = np.array([names[number] for number in named], dtype=str)
        self.title = "Where the layers look"


def span_mass(what: Any, *, spans: SpansLike = None) -> SpanMass:
    """Where the layers look: the share of the attention that each span of keys gets, along depth.

    Parameters
    ----------
    what : Explorer, AttentionMaps, or Capture
        Of an Explorer, the chart marks the layer that is shown, and a click on a layer goes there.
    spans : str, sequence of Span or of (name, start, stop), or None
        As in `attnwidget.measures.span_mass`: spans of a kind that is found, as "sentences", or your own; None for
        those that the tokens have.

    Returns
    -------
    bqplot.Figure
        Shares in [0, 1], the mean over heads and over the queries in spans, one upon the other; the smallest of more
        than seven together as "others". What they leave of 1 is looked at outside the spans. Of long maps an even
        spread of rows is read, and the chart says so. Where there are no such spans the chart says that.

    Raises
    ------
    TypeError
        When what came is something else.
    ValueError
        When the Explorer is closed, or there are several kinds of maps.

    Examples
    --------
    >>> aw.charts.span_mass(run, spans=[("question", 0, 12), ("answer", 12, 40)])
    """
    return SpanMass(what, spans=spans)


def _shares(maps: Any, spans: SpansLike) -> tuple[list[str], Array]:
    """Names of the spans of keys, and the share that each gets of every layer: [spans, layers]."""
    of_queries, of_keys = axis_spans(maps, spans, None, (maps.n_queries, maps.n_keys))
    rows = even_rows(maps, MEASURED)
    read = range(maps.n_queries) if rows is None else rows.tolist()
    with torch.no_grad():
        found = mass_of(maps, spans, queries=None if rows is None else read).nanmean(1)  # [layers, spans, spans]
    counts = torch.tensor([sum(span.start <= row < span.stop for row in read) for span in of_queries]).to(found)
    counts = counts * ~found.isnan().any(-1)  # [layers, spans]
    shares = (found.nan_to_num(0) * counts[..., None]).sum(1) / counts.sum(1, keepdim=True)
    return _largest([span.name for span in of_keys], shares.T.cpu().numpy())


def _largest(names: Sequence[str], shares: Array) -> tuple[list[str], Array]:
    """As many spans as there are colours, in their order, and the rest together."""
    if len(names) <= len(COLOURS):
        return [*names], shares
    order = np.argsort(-np.nan_to_num(shares).mean(1), kind="stable")
    kept = np.sort(order[: len(COLOURS)])
    rest = np.setdiff1d(np.arange(len(names)), kept)
    return [*(names[number] for number in kept), "others"], np.vstack([shares[kept], shares[rest].sum(0)])
