"""Similarity: every head against every other, as a matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import traitlets as t
from bqplot import ColorScale, GridHeatMap, OrdinalScale, Scatter

from attnwidget.charts.chart import Array, Chart, Head, short_name
from attnwidget.charts.look import CHOSEN, RAMP, axis, colour_axis, figure_look, tooltip
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole
from attnwidget.measures.heads import head_clusters

__all__ = ["Similarity", "similarity"]

# Cells of pairs of heads that are compared: of all once, in two seconds; of a layer when it is chosen, in half of one.
WORK, LAYER_WORK = 1 << 27, 1 << 25
FEWEST_ROWS, ROWS = 16, 64  # that are compared of many heads
MOST_HEADS = 144  # in one matrix: each cell is an element of the page
NAMED_DOWN, NAMED_ACROSS = 24, 5  # heads that an axis has room for


class Similarity(Chart):
    """Every head against every other; see `similarity`.

    Attributes
    ----------
    layer : int, "all" or "shown"
        Whose heads are compared; can be set.
    """

    layer = t.Any("all")

    def __init__(self, what: Any, *, layer: int | str = "all") -> None:
        self._take(what)
        layer = self._checked(layer)
        rows, columns = OrdinalScale(reverse=True), OrdinalScale()
        colour = ColorScale(colors=RAMP[::-1], min=0, max=math.log(2))
        self._found: dict[int | str, tuple[Array, int]] = {}
        self._heads: list[Head] = []
        self.cells = GridHeatMap(
            color=np.zeros((2, 2)), row=np.array(["0", "1"]), column=np.array(["0", "1"]),
            scales={"row": rows, "column": columns, "color": colour}, stroke="transparent", null_color="transparent",
            interactions={"hover": "tooltip"},
            **tooltip(row=("head", ""), column=("and head", ""), color=("divergence (nats)", ".3f")),
        )  # fmt: skip
        self.here = Scatter(
            x=[], y=[], scales={"x": columns, "y": rows}, colors=[CHOSEN], stroke=CHOSEN, stroke_width=2.5, fill=False,
            marker="square", default_size=90, interactions={},
            preserve_domain={"x": True, "y": True},  # else every cell is drawn again with it
        )  # fmt: skip
        self.across, self.down = axis(columns, "bottom"), axis(rows, "left")
        super().__init__(
            layer=layer,
            marks=[self.cells, self.here],
            axes=[self.across, self.down, colour_axis(colour, "nats")],
            **figure_look(right=64),
        )
        self.cells.on_element_click(self._pressed)

    def _checked(self, layer: Any) -> int | str:
        if isinstance(layer, str) and layer in {"all", "shown"}:
            return layer
        n_layers = self.maps.n_layers
        if isinstance(layer, str) or not -n_layers <= whole("layer", layer) < n_layers:
            raise ValueError(f"layer={layer!r} does not exist; expected 0 to {n_layers - 1}, 'all' or 'shown'.")
        return int(layer) % n_layers

    @t.validate("layer")
    def _valid_layer(self, proposal: Any) -> int | str:
        return self._checked(proposal["value"])

    @t.observe("layer")
    def _draw_other(self, _change: Any) -> None:
        if self._drawn is not None:
            self._follow(None, anew=True)

    @property
    def compared(self) -> int | str:
        """The layer whose heads are drawn, or "all"."""
        if self.layer == "all" and _affordable(self.maps):
            return "all"
        layer = self.chosen_layer if isinstance(self.layer, str) else self.layer
        return min(layer or 0, self.maps.n_layers - 1)

    def _draw(self) -> None:
        self._found = {}
        self._show()

    def _show(self) -> None:
        """Draw the heads of a layer, or all."""
        maps, compared = self.maps, self.compared
        self._shown_of = compared
        self._heads = [head for head in self.heads if compared in {"all", head[0]}]
        if compared not in self._found:
            part = maps if compared == "all" else _layer_of(maps, int(compared))
            self._found[compared] = _divergence(part, len(self._heads))
        found, rows = self._found[compared]
        names = np.array([short_name(maps, *head) for head in self._heads], dtype=str)
        self.cells.visible = len(names) > 1
        if self.cells.visible:
            self.cells.color, self.cells.row, self.cells.column = found, names, names
        # Of all heads the first of layers.
        step = 1 if compared != "all" or len(set(maps.heads)) > 1 else maps.heads[0]
        for one, most in ((self.down, NAMED_DOWN), (self.across, NAMED_ACROSS)):
            one.num_ticks = len(names) // (step * -(-len(names) // (step * most))) + 1
        words = [name.split()[0 if compared == "all" else 1] for name in names]
        self.across.tick_labels = self.down.tick_labels = dict(zip(names.tolist(), words, strict=True))
        read = "" if rows == maps.n_queries else f"from {rows:,} of {maps.n_queries:,} rows"
        whose = "all heads" if compared == "all" else f"heads of layer {maps.layer_numbers[int(compared)]}"
        many = self.layer == "all" and compared != "all"
        too_many = f"all {len(self.heads):,} are too many to be compared" if many else ""
        self.across.label = " · ".join(part for part in (read, too_many) if part)
        self.title = f"How far apart {whose} are"
        if not self.cells.visible:
            self.title = "A head alone has none to be compared with"
        elif not np.isfinite(found).all():
            self.title = "These heads have no row in common to be compared by"

    def _mark(self) -> None:
        if self._shown_of != self.compared:
            self._show()
        marked = [head for head in self.chosen_heads if head in self._heads] if self.cells.visible else []
        names = [short_name(self.maps, *head) for head in marked]
        self.here.x = self.here.y = np.array(names, dtype=str)

    def _pressed(self, _mark: Any, event: Any) -> None:
        row = event["data"]["rowNum"]
        if row < len(self._heads):
            self.choose([self._heads[row]])


def similarity(what: Any, *, layer: int | str = "all") -> Similarity:
    """Every head against every other: how far apart they look.

    Parameters
    ----------
    what : Explorer, AttentionMaps, or Capture
        Of an Explorer, the chart marks the chosen heads; a click on a cell shows the head of its row.
    layer : int, "all" or "shown"
        Whose heads are compared: those of a layer, of all layers, or of the layer that the Explorer shows. Where all
        are too many or too long, the chart says so and compares those of the layer shown, or of the first.

    Returns
    -------
    bqplot.Figure
        In each cell the mean Jensen-Shannon divergence of two heads' rows in nats, 0 for equal heads and ln 2 at most.
        Of long maps or many heads an even spread of rows is compared, and the chart says so. Its ``layer`` can be set.

    Raises
    ------
    TypeError
        When what came is something else.
    ValueError
        When the Explorer is closed, there are several kinds of maps, or no such layer.

    References
    ----------
    Lin, IEEE Transactions on Information Theory 1991; `attnwidget.measures.head_similarity`.

    Examples
    --------
    >>> aw.charts.similarity(run, layer=3)
    """
    return Similarity(what, layer=layer)


def _affordable(maps: AttentionMaps) -> bool:
    heads = sum(maps.heads)
    return heads <= MOST_HEADS and heads**2 // 2 * maps.n_keys * min(FEWEST_ROWS, maps.n_queries) <= WORK


def _layer_of(maps: AttentionMaps, layer: int) -> AttentionMaps:
    return AttentionMaps([maps.layers[layer]], maps.tokens, maps.key_tokens)


def _divergence(maps: AttentionMaps, heads: int) -> tuple[Array, int]:
    """Divergence of every two heads, NaN where they have no row in common, and how many rows were compared."""
    affordable = (WORK if maps.n_layers > 1 else LAYER_WORK) // max(1, heads**2 // 2 * maps.n_keys)
    rows = min(maps.n_queries, max(FEWEST_ROWS, affordable if maps.n_layers == 1 else min(ROWS, affordable)))
    try:
        with torch.no_grad():
            found = head_clusters(maps, max_queries=rows).distance.square().numpy()
    except ValueError:  # no row in common
        found = np.full((heads, heads), np.nan)
    return found.astype(np.float32), rows
