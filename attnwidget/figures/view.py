"""View: what an Explorer shows, as arguments of a figure. It is known by its traits, and not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnwidget.figures.choosing import KINDS
from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps

__all__ = ["choices_of", "is_timeline", "is_view"]

_PROJECTED = ("neurons", "plane")
_READ = ("maps", "shown", "figure_kind", "place", "color_map", "color_scale", "color_range", "threshold")
_COLOURS = {"greys": "Greys"}  # others have the same name in matplotlib


def is_view(what: Any) -> bool:
    """Whether this has what an Explorer has."""
    # Asked of the class: `maps` of a closed Explorer raises.
    return all(hasattr(type(what), name) for name in _READ)


def is_timeline(what: Any) -> bool:
    """Whether this has what a Timeline has."""
    return all(hasattr(type(what), name) for name in ("maps_of", "readings", "events"))


def choices_of(view: Any, changes: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Maps and arguments of `figure` for what is shown, unless they are given."""
    kind = changes.get("kind") or view.figure_kind
    if kind == "image" and "kind" not in changes and not view.maps.key_tokens.images:
        kind = "row"  # where only the queries are patches, there is nothing to lay over them
    place, maps = view.place, view.maps
    if kind in _PROJECTED and "kind" not in changes and not _is_projected(view.maps, place.layer):
        kind = "head"  # as the view itself shows maps of which no queries and keys are held
    spans = view.spans_of(view.maps) if kind == "spans" else None
    if kind == "spans" and spans is None and not {"kind", "spans"} & changes.keys():
        kind = "head"  # a text in which no spans were found
    comparing: dict[str, Any] = {}
    if place.against is not None and view.compared == "first":
        place, maps = place.against, view.shown.maps[place.against.map]
    elif place.against is not None and view.compared != "second" and kind == "head" and "kind" not in changes:
        kind = view.compared if view.compared == "beside" else "difference"
        first = view.shown.maps[place.against.map]
        names = tuple(view.shown.runs[one].run for one in (place.against.map, place.map) if one in view.shown.runs)
        runs = len(set(names)) > 1
        comparing = {"against": (first, place.against.layer, place.against.head), "labels": names if runs else None}
    places = {"layer": place.layer, "head": place.head, "query": 0 if place.query is None else place.query}
    if kind == "flow":
        shown = {"query": -1 if place.query is None else place.query, "head": "mean"}
        if view.figure_kind == kind:
            shown |= {"head": view.flow_heads, "threshold": view.flow_threshold}
        return maps, {"kind": kind, **shown, **changes}
    if kind == "row" and place.query is not None and place.also:
        places["query"] = [place.query, *place.also]
    if kind == "lines" and view.heads:
        places["head"] = list(view.heads)
    return maps, {
        "kind": kind,
        **{name: places[name] for name in (*KINDS.get(kind, ()), *(["head"] if kind == "lines" else []))},
        **({"key": view.key} if kind == "neurons" and place.query is not None and view.key is not None else {}),
        "temperature": place.temperature,
        "scaling": place.scaling,
        "cmap": None if kind == "difference" else _COLOURS.get(view.color_map, view.color_map),
        "scale": view.color_scale,
        "vmax": _end(view.color_range, kind),
        "threshold": view.threshold,
        **({"spans": spans} if kind == "spans" else {}),
        # Made of several layers, and in none of them.
        **({"title": view.map} if view.map in view.shown.derived and view.maps.heads == (1,) and not comparing else {}),
        **comparing,
        **_of_effects(view, kind),
        **changes,
    }


def _of_effects(view: Any, kind: str) -> dict[str, str]:
    """What differences say where they are effects."""
    effects = view.shown.unit is not None and kind == "difference"
    return {"title": f"{view.stands().place}; 1 is {view.shown.unit:g} logits"} if effects else {}


def _is_projected(maps: AttentionMaps, layer: int) -> bool:
    return isinstance(maps.layers[layer], ProjectedLayer)


def _end(color_range: str, kind: str) -> float | str | None:
    """Where the colours end, as `figure` says it."""
    if color_range == "shared":
        return 1.0
    if color_range == "row" and kind in {"head", "difference"}:
        return "row"
    return None if kind in {"row", "lines", "beside"} else "each"
