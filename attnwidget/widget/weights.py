"""Weights: the numbers that a view shows, of one head or of two that are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnwidget.layers import temper
from attnwidget.widget.holding import Place

__all__ = ["differs", "name_of", "shown_weights"]


def differs(view: Any) -> bool:
    """Whether an Explorer shows the difference of two heads."""
    return view.place.against is not None and view.compared == "difference"


def name_of(view: Any) -> str:
    """What is shown of two heads that are compared, in few words; empty where none are."""
    place, runs = view.place, view.shown.runs
    if place.against is None:
        return ""
    if view.shown.unit is not None:
        told = view.weighed
        return f"effect on {told['target']!r}" + (f" against {told['versus']!r}" if told["versus"] else "")
    names = [runs[name].run if name in runs else "" for name in (place.against.map, place.map)]
    if len(set(names)) == 1:
        name, layer, head = place.against.map, place.against.layer, place.against.head
        maps = view.shown.maps[name]
        names = [f"A: {name}, layer {maps.layer_numbers[layer]} head {maps.head_numbers[layer][head]}", "B"]
    first, second = names
    ways = {"first": first, "second": second, "beside": f"{first} and {second}"}
    return str(ways.get(view.compared, f"{second} less {first}"))


def shown_weights(view: Any, rows: slice) -> tuple[Tensor, Tensor]:
    """Rows of what an Explorer shows.

    Returns
    -------
    tuple of Tensor
        Weights, what the chosen head gives more than the other, or effects in logits [rows, keys]; and which keys are
        seen, by either of the two for a difference.
    """
    place = view.place
    first = None if place.against is None else _weights(view, place.against, rows)
    if first is not None and view.compared == "first":
        return first
    second = _weights(view, place, rows)
    if first is None or not differs(view):
        return second
    unit = 1.0 if view.shown.unit is None else view.shown.unit
    return (second[0] - first[0].to(second[0])) * unit, second[1] | first[1]


def _weights(view: Any, place: Place, rows: slice) -> tuple[Tensor, Tensor]:
    source, heads = view.shown.named(place.map).locate(place.layer, place.head)
    factor = place.scaling / place.temperature
    with torch.no_grad():
        weights: Tensor = source.weights(heads, rows)
        if factor != 1:
            log_weights, outside = source.log_weights(heads, rows)
            weights = temper(log_weights, outside, factor)[0].exp()
        seen = source.visible(heads, rows)[0]
    return weights[0].cpu(), seen.cpu()
