"""Figures: attention as matplotlib draws it, for print. `attnwidget.figure` is the door.

Each kind has its file: `heatmap` (one head), `panels` (heads of a layer, one head through the layers), `grid` (all
heads), `lines` (two columns of tokens), `row` (one query before and after), `image` (patches over their picture),
`neurons` (what one score is the sum of), `plane` (queries and keys as points), `flow` (paths back through the layers),
`entropy`, `spans` (runs of tokens), and `differing` (one head less another). pyplot is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnwidget.arguments import refuse_unknown
from attnwidget.figures import (
    differing,
    entropy,
    flow,
    grid,
    heatmap,
    image,
    lines,
    neurons,
    panels,
    plane,
    row,
    timeline,
)
from attnwidget.figures import spans as span_map
from attnwidget.figures.choosing import Chosen, choose, maps_of
from attnwidget.figures.sheet import save
from attnwidget.figures.view import choices_of, is_timeline, is_view
from attnwidget.measures.spans import SpansLike

__all__ = ["figure", "of_view", "save"]

_DRAWN: dict[str, Callable[[Chosen], Figure | Axes]] = {
    "head": heatmap.draw,
    "heads": panels.draw,
    "layers": panels.draw,
    "grid": grid.draw,
    "lines": lines.draw,
    "row": row.draw,
    "image": image.draw,
    "flow": flow.draw,
    "neurons": neurons.draw,
    "plane": plane.draw,
    "entropy": entropy.draw,
    "spans": span_map.draw,
    "difference": differing.draw,
    "beside": panels.draw,
}
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("kind", "layer", "head", "query", "key")),
    "temperature": 1.0,
    "scaling": 1.0,
    "scale": "linear",
    **dict.fromkeys(("cmap", "threshold", "vmax", "values", "title", "width", "ax", "spans", "against", "labels")),
}


def figure(
    maps: Any,
    *,
    kind: str | None = None,
    layer: int | None = None,
    head: int | str | Sequence[int] | None = None,
    query: int | Sequence[int] | None = None,
    key: int | None = None,
    temperature: float = 1.0,
    scaling: float = 1.0,
    cmap: Any = None,
    scale: str = "linear",
    vmax: float | str | None = None,
    threshold: float | None = None,
    values: bool | None = None,
    title: str | None = None,
    width: float | None = None,
    ax: Axes | None = None,
    spans: SpansLike = None,
    against: Any = None,
    labels: Any = None,
    **others: Any,
) -> Any:
    """Attention as a matplotlib figure, for print.

    Parameters
    ----------
    maps : AttentionMaps, Capture, Explorer, Timeline, or arrays
        What is drawn: maps; a capture of one kind of maps; an Explorer or a Timeline, as it stands; or anything that
        `AttentionMaps.from_arrays` takes without further arguments.
    kind : str or None
        None follows from what is chosen:

        * "head": the map of one head (``layer=``, ``head=``);
        * "heads": the heads of a layer side by side (``layer=``);
        * "layers": one head through the layers (``head=``);
        * "grid": all heads, as small pictures (nothing chosen);
        * "row": what one query gives, as bars (``layer=``, ``head=``, ``query=``), before and after a temperature; of
          a list of queries the mean;
        * "image": the same over the picture whose patches the keys are;
        * "neurons": the products of query and key behind one score, sorted (``layer=``, ``head=``, ``query=``,
          ``key=``), by rotary pair where the layer is known to turn its vectors, as
          `attnwidget.measures.score_products` has them;
        * "plane": a head's queries and keys as points (``layer=``, ``head=``), as `attnwidget.measures.plane` places
          them;
        * "spans": the mass that spans of tokens give to each other in one head (``layer=``, ``head=``, ``spans=``);
        * "difference": one head less the one of ``against=``, on both sides of 0; "beside" has both side by side.

        "lines" is for the asking: queries and keys in two columns, a line for each weight (``layer=``, and ``head=``
        one, a list of heads with a colour each, or left out for all). So is "flow": the strongest paths from one token
        (``query=``) back through the layers, as `attnwidget.measures.paths` finds them; and "entropy": of all heads as
        cells, of a layer's heads or of one head through the layers as bars, of the queries of one head as a line, each
        beside the most that it can be.
    layer : int or None
        Which layer, among those of the maps; negative numbers count from the end. Titles bear the model's numbers.
    head : int, "mean", "each", list of int, or None
        Which head; "mean" is the mean of a layer's heads. Of "flow" "each" gives every head edges of its own. Several
        are for "lines".
    query : int, list of int, or None
        Whose row. Several are for "row".
    key : int or None
        Which key, of "neurons"; None for the heaviest of the query.
    temperature, scaling : float
        The weights are softmax(scores * scaling / temperature), as in `AttentionMaps.weights`.
    cmap : str, Colormap or None
        "ink" (None), from white to a dark blue in even steps of lightness, or any of matplotlib.
    scale : {"linear", "sqrt", "log"}
        How weights map to colours.
    vmax : float, "row", "each" or None
        The weight that has the last colour. None is the largest of the whole figure, among rows that see more than
        one key; "each" the largest of each map of "heads", "layers" and "grid"; "row" that of each row of "head".
    threshold : float or None
        Weights of maps below it look like none; with ``vmax="row"`` it is a share of each row's largest. Of "flow" the
        least share of an edge. In [0, 1]; None is 0, of "flow" 0.01.
    values : bool or None
        Whether cells have their numbers in them; None where there are at most 12 x 12 of them.
    title : str or None
        "" for none; None says what is shown.
    width : float or None
        Inches; None is what the tokens need. The height follows.
    ax : Axes or None
        Axes to draw into, of a figure of your own, without a colour bar. Not for "heads", "layers" and "beside", which
        have several.
    spans : str, sequence of Span or of (name, start, stop), or None
        For "spans": a kind that `attnwidget.find_spans` finds, or spans of one's own, as in
        `attnwidget.measures.span_mass`. None takes the first kind of several runs that was found: named spans, parts,
        roles, documents, paragraphs, sentences, pictures.
    against : AttentionMaps, Capture, tuple or None
        What the head is compared with: another run on the same tokens, at the same layer and head; ``(layer, head)`` of
        the same maps; or ``(maps, layer, head)``.
    labels : pair of str or None
        What the head of ``against`` and the chosen one are called.
    **others
        Nothing: a keyword that is not known is refused, with the near ones.

    Returns
    -------
    Figure, or Axes where ``ax`` was given
        The figure shows itself as the last line of a cell. ``figure.savefig(path)`` writes it; in SVG and PDF text
        stays text.

    Raises
    ------
    TypeError, ValueError, IndexError
        When something is not known, is not there, or does not fit; the message says what to do.

    Notes
    -----
    Axes of up to 60 tokens have them written out, longer ones their positions. What a page has no room for is pooled,
    each cell the largest weight under it, and the caption says so; so it does where rows lack mass.

    Examples
    --------
    >>> aw.figure(run, layer=5, head=3).savefig("head.pdf")
    >>> aw.figure(run, layer=5, head=3, query=-1, temperature=0.5)
    >>> aw.figure(run, kind="entropy")
    >>> aw.figure(run, layer=5, head="mean", spans="roles")
    >>> aw.figure(after, layer=5, head=3, against=before, labels=("before", "after"))
    """
    refuse_unknown(others, list(_DEFAULTS), "figure")
    given: dict[str, Any] = {
        "kind": kind, "layer": layer, "head": head, "query": query, "key": key,
        "temperature": temperature, "scaling": scaling,
        "cmap": cmap, "scale": scale, "vmax": vmax,
        "threshold": threshold, "values": values, "title": title, "width": width, "ax": ax,
        "spans": spans,
        "against": against, "labels": labels,
    }  # fmt: skip
    if is_timeline(maps):
        refuse_unknown(
            [name for name, value in given.items() if value is not _DEFAULTS[name]], [], "a Timeline's figure"
        )
        return timeline.draw(maps)
    if is_view(maps):
        return of_view(maps, **{name: value for name, value in given.items() if value is not _DEFAULTS[name]})
    places = {name: given.pop(name) for name in ("layer", "head", "query", "key")}
    chosen = choose(maps_of(maps), given.pop("kind"), places, **given)
    return _DRAWN[chosen.kind](chosen)


def of_view(view: Any, /, **changes: Any) -> Any:
    """What an Explorer shows now, as a figure.

    Parameters
    ----------
    view : Explorer
        Its view decides the kind: the heatmap is "head", the lines "lines", the grid "grid", the picture "image", the
        layers "layers", the flow "flow", of the pinned query or the last, and the text "row", of the pinned query or
        the first; of several pinned ones the mean.
    **changes
        Arguments of `figure` that shall be otherwise than in the view.

    Returns
    -------
    Figure, or Axes where ``ax`` was given
    """
    maps, choices = choices_of(view, changes)
    return figure(maps, **choices)
