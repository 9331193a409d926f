"""Choosing: what a figure was asked to show, checked, and what it is called."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from attnwidget.figures.colours import SCALES, colour_map, diverging
from attnwidget.figures.lettering import written
from attnwidget.figures.reading import Head
from attnwidget.layers import check_factor
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric, whole
from attnwidget.measures.spans import SpansLike

__all__ = ["KINDS", "Chosen", "choose", "maps_of"]

# Each kind with what it must be told and what it may be told of layer, head and query.
KINDS = {
    "head": ("layer", "head"),
    "heads": ("layer",),
    "layers": ("head",),
    "grid": (),
    "lines": ("layer",),
    "row": ("layer", "head", "query"),
    "image": ("layer", "head", "query"),
    "flow": ("query",),
    "neurons": ("layer", "head", "query"),
    "plane": ("layer", "head"),
    "entropy": (),
    "spans": ("layer", "head"),
    "difference": ("layer", "head"),
    "beside": ("layer", "head"),
}
_COMPARING = ("difference", "beside")
_MAY = {
    "entropy": ("layer", "head"),
    "flow": ("head",),
    "lines": ("layer", "head"),
    "neurons": ("key",),
}
_LISTED = {"lines": "head", "row": "query"}  # what of it may be several
_ONE_HEAD = ("neurons", "plane")  # which no mean has
FLOWING = 0.01  # least share of an edge, where nothing is said
_SEVERAL = ("heads", "layers", "beside")  # axes


@dataclass(frozen=True)
class Other:
    """The head that the chosen one is compared with, and what the two are called."""

    maps: AttentionMaps
    layer: int
    head: Head
    labels: tuple[str, str] | None


@dataclass(frozen=True)
class Chosen:
    """What is shown and how. Layer, head, query and key count from 0; each is None where the kind needs none."""

    maps: AttentionMaps
    kind: str
    layer: Any
    head: Any
    query: Any
    key: Any
    temperature: float
    scaling: float
    cmap: Colormap
    scale: str
    vmax: float | str | None
    threshold: float
    values: bool | None
    title: str | None
    width: float | None
    ax: Axes | None
    spans: SpansLike = None
    other: Other | None = None

    @property
    def factor(self) -> float:
        """What the scores are multiplied by."""
        return self.scaling / self.temperature

    @property
    def tempered(self) -> str:
        """The same in words; empty where nothing is changed."""
        parts = [f"{name} {value:g}" for name in ("temperature", "scaling") if (value := getattr(self, name)) != 1]
        return ", ".join(parts)

    def place(self, layer: int | None, head: Head | None) -> str:
        """What a layer, a head or both are called: by their numbers in the model."""
        return _place(self.maps, layer, head)

    @property
    def names(self) -> tuple[str, str]:
        """What the head that is compared with and the chosen one are called."""
        if self.other is None:
            return "", ""
        if self.other.labels is not None:
            return self.other.labels
        return _place(self.other.maps, self.other.layer, self.other.head), self.place(self.layer, self.head)

    @property
    def compared(self) -> str:
        """The place, and for a difference what is less what."""
        place, (first, second) = self.place(self.layer, self.head), self.names
        if self.other is None:
            return place
        if self.kind == "beside":
            return place if self.other.labels else f"{first} and {second}"
        if self.other.labels:
            return f"{place}, {second} \N{MINUS SIGN} {first}"
        return (
            f"{second} \N{MINUS SIGN} {first}" if self.other.maps is self.maps else f"{place}, difference of two runs"
        )

    def heading(self, *parts: str) -> str:
        """The title: what was given, or what is shown and under which temperature."""
        if self.title is not None:
            return written(self.title)
        kind = "" if self.maps.name == "attention" else self.maps.name
        return ", ".join(part for part in (kind, *parts, self.tempered) if part)


def _place(maps: AttentionMaps, layer: int | None, head: Head | None) -> str:
    parts = []
    if layer is not None:
        parts.append(f"layer {maps.layer_numbers[layer]}")
    if head == "mean":
        parts.append("mean of heads")
    elif head is not None and not (layer is not None and maps.head_numbers[layer] == (0,)):
        parts.append(f"head {head_number(maps, layer, int(head))}")
    return " · ".join(parts)


def head_number(maps: AttentionMaps, layer: int | None, head: int) -> int:
    """The number of a head in the model; without a layer of the first that has it."""
    if layer is None:
        layer = next(i for i, n in enumerate(maps.heads) if n > head)
    return maps.head_numbers[layer][head]


def maps_of(what: Any) -> AttentionMaps:
    """The maps to draw, of whatever came; TypeError or ValueError where there are none, or several."""
    if isinstance(what, AttentionMaps):
        return what
    if hasattr(what, "by_name"):
        held: AttentionMaps = what.maps
        return held
    if isinstance(what, Mapping) and what and all(isinstance(one, AttentionMaps) for one in what.values()):
        if len(what) > 1:
            raise ValueError(f"these are {len(what)} kinds of maps: {', '.join(map(str, what))}. Choose one of them.")
        only: AttentionMaps = next(iter(what.values()))
        return only
    try:
        return AttentionMaps.from_arrays(what)
    except (TypeError, ValueError) as error:
        error.add_note("What arrays mean is said to AttentionMaps.from_arrays; the maps it makes can be drawn.")
        raise


def choose(
    maps: AttentionMaps,
    kind: str | None,
    places: dict[str, Any],
    *,
    temperature: float,
    scaling: float,
    cmap: Any,
    scale: str,
    vmax: Any,
    threshold: float | None,
    values: bool | None,
    title: str | None,
    width: float | None,
    ax: Axes | None,
    spans: SpansLike = None,
    against: Any = None,
    labels: Any = None,
) -> Chosen:
    """Check everything that `figure` was given.

    Raises
    ------
    TypeError, ValueError, IndexError
        When something does not exist or does not fit; the message says what came and what to do.
    """
    if 0 in (maps.n_queries, maps.n_keys):
        raise ValueError(f"these maps have {maps.n_queries} queries x {maps.n_keys} keys: there is nothing to draw.")
    flow = kind == "flow"
    _check_places(maps, places, words=("mean", "each") if flow else ("mean",))
    wanted = "difference" if kind is None and against is not None else kind
    kind = _kind(maps, "spans" if kind is None and spans is not None else wanted, places)
    if spans is not None and kind != "spans":
        raise ValueError(f"kind={kind!r} has no use for spans=; leave it out, or draw kind='spans'.")
    if flow and (places["head"] not in {None, "mean", "each"} or temperature != 1 or scaling != 1):
        raise ValueError("kind='flow' takes head='mean' or 'each', and heads as the model has them: no temperature.")
    other = _other(maps, kind, places, against, labels)
    check_factor(temperature, scaling, maps.layers[0])
    choice("scale", scale, SCALES)
    vmax = _end(vmax, kind)
    threshold = numeric("threshold", (FLOWING if flow else 0.0) if threshold is None else threshold, 0, 1)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title is {type(title).__name__}; expected a string, '' for none.")
    width = None if width is None else numeric("width", width, 1, 100)
    if ax is not None:
        if not isinstance(ax, Axes):
            raise TypeError(f"ax is {type(ax).__name__}; expected matplotlib Axes.")
        if kind in _SEVERAL:
            raise ValueError(
                f"ax= takes one picture, and kind={kind!r} has one for each of its {kind}. Leave it out, or draw each "
                "into axes of its own with layer= and head=."
            )
        if width is not None:
            raise ValueError("width= is for a figure of its own; with ax= the axes decide.")
    colours = diverging() if cmap is None and kind == "difference" else colour_map(cmap)
    return Chosen(
        maps, kind, places["layer"], places["head"], places["query"], places.get("key"), temperature, scaling,
        colours, scale, vmax, threshold, values, title, width, ax, spans, other,
    )  # fmt: skip


def _other(maps: AttentionMaps, kind: str, places: Mapping[str, Any], against: Any, labels: Any) -> Other | None:
    """The head that the chosen one is compared with, where one is."""
    if against is None:
        if kind in _COMPARING:
            raise ValueError(f"kind={kind!r} needs against=, the maps or the (layer, head) to compare with.")
        return None
    if kind not in _COMPARING:
        raise ValueError(f"against= is for kind={' or '.join(map(repr, _COMPARING))}, and this is kind={kind!r}.")
    layer, head, of = places["layer"], places["head"], against
    if isinstance(against, tuple):
        (of,), (layer, head) = ((maps,) if len(against) == 2 else against[:1]), against[-2:]
    of = maps_of(of)
    where = {"layer": layer, "head": head, "query": None}
    _check_places(of, where, words=("mean",))
    if of.tokens.labels != maps.tokens.labels or of.key_tokens.labels != maps.key_tokens.labels:
        raise ValueError(
            f"against= stands on other tokens ({of.n_queries} x {of.n_keys}, these maps {maps.n_queries} x "
            f"{maps.n_keys}); compare runs on the same tokens, or let attnwidget.compare match them and draw its view."
        )
    if labels is not None and (len(labels) != 2 or not all(isinstance(label, str) for label in labels)):
        raise ValueError(f"labels={labels!r}; expected two names, of against= and of the maps.")
    return Other(of, where["layer"], where["head"], None if labels is None else (labels[0], labels[1]))


def _end(vmax: Any, kind: str) -> float | str | None:
    """The weight that has the last colour, or whose largest it is."""
    if vmax is None or vmax == "each":
        return None if vmax is None else "each"
    if vmax == "row":
        if kind not in {"head", "difference"}:
            raise ValueError(f"vmax='row' is for the map of one head, and this is kind={kind!r}; give vmax='each'.")
        return "row"
    if isinstance(vmax, (bool, str)) or not hasattr(vmax, "__float__"):
        raise TypeError(f"vmax={vmax!r}; expected a number above 0, 'row', 'each', or None.")
    if not 0 < float(vmax) < math.inf:
        raise ValueError(f"vmax={float(vmax)}; expected a number above 0, or None for the largest weight.")
    return float(vmax)


def _check_places(maps: AttentionMaps, places: dict[str, Any], *, words: tuple[str, ...]) -> None:
    """Make layer, head and query count from 0; IndexError where one is not there."""
    layer, head, query, key = (places.get(name) for name in ("layer", "head", "query", "key"))
    if layer is not None:
        places["layer"] = _inside("layer", whole("layer", layer), maps.n_layers, maps.layer_numbers)
    if head is not None and not (isinstance(head, str) and head in words):
        if isinstance(head, str):
            raise ValueError(f"head={head!r} is not known; expected a number or {' or '.join(map(repr, words))}.")
        layers = range(maps.n_layers) if layer is None else [places["layer"]]
        fewest = min(layers, key=lambda i: maps.heads[i])
        numbers, owner = maps.head_numbers[fewest], f"layer {maps.layer_numbers[fewest]}"
        places["head"] = _each("head", head, lambda one: _inside("head", one, maps.heads[fewest], numbers, owner))
    if query is not None:
        size = maps.n_queries
        places["query"] = _each("query", query, lambda one: _inside("query", one, size, range(size)))
    if key is not None:
        places["key"] = _inside("key", whole("key", key), maps.n_keys, range(maps.n_keys))


def _each(name: str, value: Any, inside: Callable[[int], int]) -> int | list[int]:
    """A position that exists, or a list of such, each once."""
    if not isinstance(value, (list, tuple, range)):
        return inside(whole(name, value))
    if not len(value):
        raise ValueError(f"{name}=[] names none; leave it out, or give one.")
    return list(dict.fromkeys(inside(whole(name, one)) for one in value))


def _inside(name: str, value: int, size: int, numbers: Any, owner: str = "these maps") -> int:
    if -size <= value < size:
        return value % size
    has = f"{owner} {'have' if owner == 'these maps' else 'has'}"
    there = f"{name} 0 only" if size == 1 else f"{'queries' if name == 'query' else name + 's'} 0 to {size - 1}"
    kept = "" if tuple(numbers) == tuple(range(size)) else f", which are {', '.join(map(str, numbers))} of the model"
    raise IndexError(f"{name} {value} does not exist: {has} {there}{kept}.")


def _kind(maps: AttentionMaps, kind: str | None, places: dict[str, Any]) -> str:
    """The kind that was asked for, or that follows from what was chosen. The only layer or head need not be named."""
    only = {"layer": 0 if maps.n_layers == 1 else None, "head": 0 if set(maps.heads) == {1} else None}
    if kind is None:
        for name, value in only.items():
            if places[name] is None and not (name == "head" and places["layer"] is None):
                places[name] = value
        kind = _inferred(maps, places)
    elif kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"expected one of {', '.join(map(repr, KINDS))}."
        )
        raise ValueError(f"kind={kind!r} is not known; {hint}")
    for name in KINDS[kind]:
        if places[name] is None:
            places[name] = only.get(name)
    lacking = [name for name in KINDS[kind] if places[name] is None]
    if lacking:
        needs = ", ".join(f"{name}=" for name in lacking)
        raise ValueError(f"kind={kind!r} needs {needs}; negative numbers count from the end.")
    if kind in _ONE_HEAD and places["head"] == "mean":
        raise ValueError(
            f"kind={kind!r} is about one head's queries and keys, which a mean of heads has not; choose one."
        )
    idle = [
        name for name, value in places.items() if value is not None and name not in (*KINDS[kind], *_MAY.get(kind, ()))
    ]
    _check_several(kind, places)
    if idle:
        raise ValueError(f"kind={kind!r} has no use for {', '.join(f'{name}=' for name in idle)}; leave it out.")
    return kind


def _check_several(kind: str, places: Mapping[str, Any]) -> None:
    """Refuse several heads or queries where the kind is of one."""
    for name, value in places.items():
        if isinstance(value, list) and _LISTED.get(kind) != name:
            takes = "row" if name == "query" else "lines"
            raise ValueError(
                f"{name}={value} are several, and kind={kind!r} is of one; only kind={takes!r} takes more."
            )


def _inferred(maps: AttentionMaps, places: Mapping[str, Any]) -> str:
    if places["query"] is not None:
        return "image" if maps.key_tokens.images else "row"
    given = places["layer"] is not None, places["head"] is not None
    return {(True, True): "head", (True, False): "heads", (False, True): "layers", (False, False): "grid"}[given]
