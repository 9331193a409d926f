"""Holding: which answers go with a page or an output, within a limit of bytes.

What is small comes first: numbers, thumbnails and findings of all that is shown. Then layers, from which the browser
makes any head exactly: the chosen one, those around it, those of the other maps. What is left out is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import torch
from torch.nn.functional import adaptive_max_pool2d

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole
from attnwidget.progress import progress_bar
from attnwidget.widget.answers import Answer, Shown, answer
from attnwidget.widget.answers.projections import LONGEST, held_form, layer_bytes
from attnwidget.widget.answers.spans import told_spans
from attnwidget.widget.halving import halved
from attnwidget.widget.packing import Packer
from attnwidget.widget.views import VIEWS

__all__ = ["PRECISIONS", "Place", "hold", "opening", "paged"]

PRECISIONS = ("float32", "float16")
GLANCE = 1 << 20  # cells of such a head that are computed
COARSE = 128  # cells on a side of a head that is not here as a whole
SIDE = 512  # cells on a side of the tiles of a long map
ZOOMS = (1, 2, 4)  # of the chosen head of a long map: tiles down and across, where these fit
OPENING = 64 << 10  # bytes that travel with the widget's own opening message
ROOM_FOR_LAYER = 0.75  # of it, where what is chosen fits whole
QUICK = 1 << 22  # cells of all heads together that are looked at before a widget is there: some hundredths of a second
SMALL_THUMBNAIL = 16
FEW = 1 << 14  # numbers of an answer about spans; the browser makes what is larger from the layer, if that is here
FOLLOWED = 1 << 23  # cells that are read to follow tokens of a short text back: a second
LONGEST_WAY = 1 << 28  # cells of a map whose pinned token is followed: a second or two
BEHIND = 1 / 8  # of a page, for queries and keys whose weights are here already
FEW_PLANES = 64  # heads whose queries and keys are placed for it: some tenths of a second
TEXT = 4 / 3  # bytes of a page for each of what is packed


@dataclass(frozen=True)
class Place:
    """What is chosen: a head of some maps, the queries whose rows are read, and how points are made.

    Parameters
    ----------
    map : str
        Name of the maps.
    layer, head : int
        Which of their heads.
    query, also : int or None, and list of int
        The pinned query, and those pinned with it.
    key, reading : int or None, {"row", "column"}
        The pinned key, and whether it is read what is paid to it.
    temperature, scaling : float
        At which points are made that stand for several cells: no browser can temper these.
    pooling : {"max", "mean"}
        What such a point shows.
    against : Place or None
        The head that it is compared with.
    """

    map: str
    layer: int
    head: int
    query: int | None = None
    also: Sequence[int] = ()
    key: int | None = None
    reading: str = "row"
    temperature: float = 1.0
    scaling: float = 1.0
    pooling: str = "max"
    against: Place | None = None


def hold(
    shown: Shown,
    place: Place,
    *,
    limit: int,
    layers: Sequence[int] | None = None,
    precision: str | None = None,
    progress: bool = True,
) -> bytes:
    """Answers to all that can be asked of what is shown, as far as they fit.

    Parameters
    ----------
    shown : Shown
        What is shown.
    place : Place
        What is chosen: nearest to it is held first.
    limit : int
        Bytes, compressed.
    layers : sequence of int or None
        The layers of the chosen maps that are held whole, and no other; None for as many as fit.
    precision : {"float32", "float16"} or None
        In which queries and keys are held; None as they are.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    bytes
        As `Packer` packs them.

    Raises
    ------
    ValueError
        When the chosen head does not fit, or there is no such precision.
    IndexError
        When there is no such layer.
    TypeError
        When layers are no list of integers.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(
            f"precision={precision!r}; expected {' or '.join(map(repr, PRECISIONS))}, or None for as it is."
        )
    return _Holding(shown, place, limit, layers, precision).all(progress=progress)


def paged(shown: Shown, place: Place) -> Shown:
    """What of it a page shows: of long maps the heads alone, unless what was made of them is chosen."""
    chosen = {place.map, place.against.map if place.against else place.map}

    def stays(name: str) -> bool:
        maps = shown.maps[name]
        return name in chosen or name not in shown.derived or max(maps.n_queries, maps.n_keys) <= LONGEST

    return replace(
        shown,
        maps={name: maps for name, maps in shown.maps.items() if stays(name)},
        derived={name: made for name, made in shown.derived.items() if stays(name)},
    )


def opening(shown: Shown, place: Place) -> bytes:
    """Answers to what is asked first, to travel with the widget itself: at most 64 KB, and quickly made."""
    packer = Packer(shown.version, OPENING, level=0)
    maps = shown.named(place.map)
    if 0 in (maps.n_queries, maps.n_keys, maps.heads[place.layer]):
        return packer.finished()
    layer = {"map": place.map, "layer": place.layer}
    wanted = [one for one in (place, place.against) if one is not None]
    for one in wanted:
        of = shown.named(one.map)
        if _bytes_of(of, one.layer) <= OPENING * ROOM_FOR_LAYER / len(wanted):
            _put(packer, shown, {"op": "projections", "map": one.map, "layer": one.layer})
        else:
            _put(packer, shown, _whole(of, one, COARSE), coarse=True)
    if sum(maps.heads) * maps.n_queries * maps.n_keys > QUICK:
        return packer.finished()
    _put(packer, shown, {"op": "profile", **layer})
    for near in _around(place.layer, maps.n_layers):
        request = {"op": "thumbnails", "map": place.map, "layer": near}
        small, coarse = _smaller(answer(shown, request))
        packer.add(request, small, coarse=coarse)
    return packer.finished()


class _Holding:
    """One packing: what is held already, and what is missing."""

    def __init__(
        self, shown: Shown, place: Place, limit: int, layers: Sequence[int] | None, precision: str | None
    ) -> None:
        self.shown, self.place, self.limit, self.precision = shown, place, limit, precision
        self.packer = Packer(shown.version, limit)
        chosen = shown.named(place.map)
        self.layers = None if layers is None else _chosen_layers(chosen, layers)
        # The chosen head, and what it is compared with.
        self.places = [one for one in (place, place.against) if one is not None]
        self.chosen = list(dict.fromkeys(one.map for one in self.places))
        others = [name for name in shown.maps if name not in self.chosen]
        # Heads of models before what was made of them.
        self.names = [*self.chosen, *sorted(others, key=lambda name: name in shown.derived)]
        self.whole: set[tuple[str, int]] = set()  # maps and layers that are here
        # Layers of which coarse points are here, and layers of which not even these are.
        self.missing: dict[str, tuple[list[int], list[int]]] = {}
        self.zooms = 1

    def all(self, *, progress: bool) -> bytes:
        """Put in what fits, the most wanted first."""
        steps = sum(2 * self.shown.maps[name].n_layers for name in self.names)
        with progress_bar("page", steps, shown=progress) as bar:
            self._put_chosen()
            for name in self.names:
                for _ in self._put_small(name):
                    bar.update()
            # Of two that are compared, every layer of the one goes with that of the other.
            for put in zip_longest(*map(self._put_layers, self.chosen)):
                bar.update(len(put))
            self._put_paths()
            for name in self.names[len(self.chosen) :]:
                for _ in self._put_layers(name):
                    bar.update()
            self._put_behind()
        return self.packer.finished(self._sentence())

    def _put_chosen(self) -> None:
        """The chosen head first, and what it is compared with: without them there is no page."""
        for place in self.places:
            self._put_head(place)

    def _put_head(self, place: Place) -> None:
        maps = self.shown.named(place.map)
        if 0 in (maps.n_queries, maps.n_keys, maps.heads[place.layer]):
            return
        if max(maps.n_queries, maps.n_keys) <= LONGEST:
            if not self._put_layer(place.map, place.layer):
                layers = {(one.map, one.layer) for one in self.places}
                taken = sum(_bytes_of(self.shown.named(name), layer) for name, layer in layers)
                needed = math.ceil(taken * TEXT / 1e5) / 10
                raise ValueError(
                    f"limit_mb leaves no room for the chosen layer, which takes up to {needed:g} MB; give limit_mb="
                    f"{math.ceil(needed) + 1} or more, or precision='float16', which halves single precision."
                )
        elif not _put(self.packer, self.shown, _whole(maps, place, SIDE)):
            raise ValueError(
                f"limit_mb leaves no room for the chosen head, of which {SIDE} x {SIDE} points take up to "
                f"{2 * SIDE * SIDE * TEXT / 1e6:.1f} MB; give limit_mb=1 or more."
            )
        known = isinstance(maps.layers[place.layer], ProjectedLayer)
        if known and place.query is not None and held_form(maps.layers[place.layer]) != "projections":
            row = {"map": place.map, "layer": place.layer, "head": place.head, "query": place.query}
            _put(self.packer, self.shown, {"op": "scores", **row})

    def _put_small(self, name: str) -> Iterator[None]:
        """Numbers, thumbnails, pictures and findings."""
        maps = self.shown.maps[name]
        measured = name in self.shown.measuring
        shares = measured and self.shown.unit is None
        of_heads = (*(("measures",) if measured else ()), *(("vitals",) if shares else ()))
        for layer in range(maps.n_layers):
            for op in ("profile", "thumbnails", *of_heads):
                if 0 not in maps.layers[layer].shape:
                    _put(self.packer, self.shown, {"op": op, "map": name, "layer": layer})
            yield
        if shares and 0 not in (maps.n_queries, maps.n_keys):
            for op in ("findings", "standouts"):
                _put(self.packer, self.shown, {"op": op, "map": name})
        if told_spans(maps.tokens) or told_spans(maps.key_tokens):
            _put(self.packer, self.shown, {"op": "spans", "map": name})
        if name == self.place.map and 0 not in maps.layers[self.place.layer].shape:
            self._put_spans(maps)
        self._put_pictures(name)

    def _put_pictures(self, name: str) -> None:
        """The pictures of some maps; and of layers that are not here whole the row by which heads are compared."""
        maps = self.shown.maps[name]
        for axis, tokens in (("queries", maps.tokens), ("keys", maps.key_tokens)):
            for number, image in enumerate(tokens.images):
                if image.picture is not None:
                    _put(self.packer, self.shown, {"op": "picture", "map": name, "axis": axis, "number": number})
        if not maps.key_tokens.images or max(maps.n_queries, maps.n_keys) <= LONGEST:
            return
        query = 0 if self.place.query is None or name != self.place.map else self.place.query
        for layer in range(maps.n_layers):
            if 0 not in maps.layers[layer].shape:
                _put(self.packer, self.shown, {"op": "rows", "map": name, "layer": layer, "query": query})

    def _put_spans(self, maps: AttentionMaps) -> None:
        """What the spans of the chosen layer give to each other, and where the queries of the chosen head look."""
        place = {"map": self.place.map, "layer": self.place.layer}
        of_queries, of_keys = told_spans(maps.tokens), told_spans(maps.key_tokens)
        for kind, spans in of_keys.items():
            if maps.heads[self.place.layer] * len(of_queries.get(kind, ())) * len(spans) in range(1, FEW):
                _put(self.packer, self.shown, {"op": "span_mass", **place, "kind": kind})
            if maps.n_queries * len(spans) < FEW:
                for head in (self.place.head, None):
                    _put(self.packer, self.shown, {"op": "span_rows", **place, "head": head, "kind": kind})

    def _put_paths(self) -> None:
        """The paths back from the pinned query, or the last; of a short text from all, to pick another."""
        name = self.place.map
        maps = self.shown.named(name)
        cells = sum(maps.heads) * maps.n_queries * maps.n_keys
        if name in self.shown.derived or not VIEWS["flow"].shows(maps) or not 0 < cells <= LONGEST_WAY:
            return
        start = maps.n_queries - 1 if self.place.query is None else self.place.query
        near = _around(start, maps.n_queries)[: max(1, FOLLOWED // cells)]
        for query in near:
            for heads in ("mean", "each"):
                request = {"op": "paths", "map": name, "query": query, "heads": heads}
                # Other tokens leave the layers their room.
                spare = 0 if query == start else self.limit * 7 // 8
                self.packer.add(request, answer(self.shown, request), spare=spare)

    def _put_behind(self) -> None:
        """What is behind the scores of the chosen maps, the nearest layers first, as far as it is small.

        Points of the heads, and where a layer is here as codes its queries and keys.
        """
        maps, place = self.shown.named(self.place.map), self.place
        heads, room = FEW_PLANES, self.limit * BEHIND
        for layer in _around(place.layer, maps.n_layers):
            held, of_layer = maps.layers[layer], {"map": place.map, "layer": layer}
            if not isinstance(held, ProjectedLayer) or 0 in held.shape:
                continue
            heads -= held.shape[0]
            if heads < 0 and layer != place.layer:
                return
            _put(self.packer, self.shown, {"op": "plane", **of_layer})
            room -= 4 * (held.q.numel() + held.k.numel())
            if room > 0 and held_form(held) == "codes":
                for head in range(held.shape[0]):
                    _put(self.packer, self.shown, {"op": "products", **of_layer, "head": head})

    def _put_layers(self, name: str) -> Iterator[None]:
        """The layers of some maps, those near the chosen one first; of what does not fit, coarse points."""
        maps = self.shown.maps[name]
        chosen = name in self.chosen
        long = max(maps.n_queries, maps.n_keys) > LONGEST
        if long:
            for place in self.places:
                if place.map == name:
                    self._zoom(maps, place)
        nearest = self.place.layer if self.shown.named(self.place.map).n_layers == maps.n_layers else 0
        order = [layer for layer in _around(nearest, maps.n_layers) if 0 not in maps.layers[layer].shape]
        fits = True  # a layer is whole only where all that are nearer are
        for at, layer in enumerate(order):
            yield
            if (name, layer) in self.whole:
                continue
            wanted = not (chosen and self.layers is not None and layer not in self.layers)
            # A layer that is whole must not cost the others their points.
            points = sum(maps.heads[other] for other in order[at + 1 :]) * _coarse_bytes(maps) if chosen else 0
            if long or not wanted:
                self._put_points(name, layer)
                continue
            fits = fits and self._put_layer(name, layer, spare=points)
            if not fits:
                self._put_points(name, layer)

    def _put_points(self, name: str, layer: int) -> None:
        """Coarse points of the heads of a layer, as far as they fit."""
        maps = self.shown.maps[name]
        side = _coarse_side(maps)
        found = True
        for head in range(maps.heads[layer]):
            place = replace(self.place, map=name, layer=layer, head=head)
            if name in self.shown.derived:
                place = replace(place, temperature=1.0, scaling=1.0)  # which act on one head's scores
            if place != self.place:
                found &= _put(self.packer, self.shown, _whole(maps, place, side, GLANCE), coarse=True)
        self.missing.setdefault(name, ([], []))[0 if found else 1].append(layer)

    def _put_layer(self, name: str, layer: int, *, spare: int = 0) -> bool:
        if (name, layer) in self.whole:
            return True
        request = {"op": "projections", "map": name, "layer": layer}
        answered = answer(self.shown, request)
        half = self.precision == "float16"
        if self.packer.add(request, halved(answered) if half else answered, spare=spare):
            self.whole.add((name, layer))
        return (name, layer) in self.whole

    def _zoom(self, maps: AttentionMaps, place: Place) -> None:
        """Finer tiles of a head, the rows of the pinned queries, and what is paid to the word that is read."""
        for query in [] if place.query is None else dict.fromkeys([place.query, *place.also]):
            row = {"rows": (query, query + 1), "columns": (0, maps.n_keys), "height": 1, "whole": "row"}
            _put(self.packer, self.shown, _tile(place, **row, width=maps.n_keys))
        word = place.query if place.key is None and maps.key_tokens is maps.tokens else place.key
        if place.reading == "column" and word is not None:
            of_head = {"map": place.map, "layer": place.layer, "head": place.head, "key": word}
            sharpness = {"temperature": place.temperature, "scaling": place.scaling}
            _put(self.packer, self.shown, {"op": "column", **of_head, **sharpness})
        for zoom in ZOOMS[1:]:
            stride = -(-max(maps.n_queries, maps.n_keys) // (SIDE * zoom))
            side = SIDE * stride
            for top in range(0, maps.n_queries, side):
                for left in range(0, maps.n_keys, side):
                    rows, columns = (top, min(top + side, maps.n_queries)), (left, min(left + side, maps.n_keys))
                    cells = {
                        "height": -(-(rows[1] - top) // stride),
                        "width": -(-(columns[1] - left) // stride),
                    }
                    if not _put(self.packer, self.shown, _tile(place, rows=rows, columns=columns, **cells)):
                        return
            self.zooms = max(self.zooms, 1 + ZOOMS.index(zoom))

    def _sentence(self) -> str:
        """What was left out, why, and how it is had."""
        parts = []
        limited = False
        for name, (coarse, absent) in self.missing.items():
            maps = self.shown.maps[name]
            if max(maps.n_queries, maps.n_keys) > LONGEST:
                zooms = f"{self.zooms} zooms" if self.zooms > 1 else "one zoom"
                here = f"the chosen head is here at {zooms}, the others" if name == self.place.map else "heads are here"
                parts.append(f"Of {name}, a long map, {here} in coarse points.")
            elif coarse:
                limited = True
                parts.append(f"Of {name}, {_layers(maps, coarse)} here in coarse points only.")
            if absent:
                limited = True
                parts.append(f"Of {name}, {_layers(maps, absent)} here as thumbnails only.")
        if any(max(self.shown.maps[name].n_queries, self.shown.maps[name].n_keys) > LONGEST for name in self.names):
            other = "What else is" if self.place.map in self.shown.derived else "What is"
            parts.append(f"{other} made of all heads of a long map, as their mean, is not in this page.")
        if limited and self.layers is None:
            parts.append("That is to stay within limit_mb: save again with more, or with layers=.")
        return " ".join(parts)


def _layers(maps: AttentionMaps, layers: list[int]) -> str:
    """Numbers of layers, those that follow one another as a run, and their verb."""
    if len(layers) == maps.n_layers:
        return "the layers are" if len(layers) > 1 else "the layer is"
    runs: list[list[int]] = []
    for number in sorted(maps.layer_numbers[layer] for layer in layers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    numbers = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
    return f"layers {numbers} are" if len(layers) > 1 else f"layer {numbers} is"


def _coarse_side(maps: AttentionMaps) -> int:
    """Cells on a side of a head that is not here as a whole."""
    return min(COARSE, max(32, max(maps.n_queries, maps.n_keys) // 3))


def _coarse_bytes(maps: AttentionMaps) -> int:
    """What such a head may take."""
    side = _coarse_side(maps)
    return 2 * min(side, maps.n_queries) * min(side, maps.n_keys) + 1000


def _put(packer: Packer, shown: Shown, request: dict[str, Any], *, coarse: bool = False) -> bool:
    return packer.add(request, answer(shown, request), coarse=coarse)


def _tile(place: Place, **asked: Any) -> dict[str, Any]:
    reading = {"temperature": place.temperature, "scaling": place.scaling, "pooling": place.pooling}
    return {"op": "tile", "map": place.map, "layer": place.layer, "head": place.head, **reading, **asked}


def _whole(maps: AttentionMaps, place: Place, side: int, cells: int | None = None) -> dict[str, Any]:
    """The question for all of a head in few cells."""
    rows, columns = (0, maps.n_queries), (0, maps.n_keys)
    size = {"height": min(side, rows[1]), "width": min(side, columns[1])}
    return _tile(place, rows=rows, columns=columns, **size, **({"cells": cells} if cells else {}))


def _bytes_of(maps: AttentionMaps, layer: int) -> float:
    """Bytes of a layer in the smaller form; infinite where it is not sent whole."""
    if max(maps.n_queries, maps.n_keys) > LONGEST:
        return math.inf
    projected, codes = layer_bytes(maps.layers[layer])
    return min(codes, codes if projected is None else projected)


def _around(layer: int, n_layers: int) -> list[int]:
    """All layers, the nearest first."""
    return sorted(range(n_layers), key=lambda other: (abs(other - layer), other))


def _chosen_layers(maps: AttentionMaps, layers: Any) -> list[int]:
    """Layers as they count from 0; TypeError or IndexError where there are none such."""
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise TypeError(f"layers={layers!r} is {type(layers).__name__}; expected a list of layers, as [0, 5], or None.")
    numbers = [whole("layers", layer) for layer in layers]
    for layer in numbers:
        if not -maps.n_layers <= layer < maps.n_layers:
            raise IndexError(f"layers={layer} does not exist; there are {maps.n_layers}, from 0.")
    return [layer % maps.n_layers for layer in numbers]


def _smaller(answered: Answer) -> tuple[Answer, bool]:
    """Thumbnails of few points, and whether they lost any."""
    height, width = answered.header["shape"]
    if max(height, width) <= SMALL_THUMBNAIL:
        return answered, False
    values = torch.frombuffer(bytearray(answered.buffers[0]), dtype=torch.uint8).view(-1, height, width)
    small = adaptive_max_pool2d(values.float(), (min(height, SMALL_THUMBNAIL), min(width, SMALL_THUMBNAIL)))
    shape = tuple(small.shape[1:])
    return replace(answered, header=answered.header | {"shape": shape}, buffers=[small.byte().numpy().tobytes()]), True
