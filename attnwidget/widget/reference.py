"""Reference: the head that others are compared with, as an Explorer keeps it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import traitlets as t

from attnwidget.widget.answers import Shown
from attnwidget.widget.holding import Place
from attnwidget.widget.view import View

__all__ = ["Comparing", "checked", "found", "has_place"]

KEYS = ("map", "layer", "head")


class Comparing(View):
    """A view that can hold a head against others: `Explorer` says what its traits mean."""

    against = t.Any(None).tag(sync=True)
    compared = t.Enum(["difference", "beside", "first", "second"], "difference").tag(sync=True)

    _shown: Shown

    @t.validate("against")
    def _valid_against(self, proposal: Any) -> Any:
        if not self._shown.maps:  # it is closed
            return proposal["value"]
        try:
            return checked(proposal["value"], self._shown)
        except (ValueError, IndexError, TypeError) as error:
            raise t.TraitError(str(error)) from None

    @property
    def place(self) -> Place:
        """Which head is chosen, which row, and how it is read: what is made of several heads or pieces, untempered."""
        return self._place(self.state)

    def _place(self, choices: Mapping[str, Any]) -> Place:
        at = found(choices.get("against"), self._shown, choices["map"], choices["layer"], choices.get("head", 0))
        names = ("map", "layer", "head")
        other = at and self._place({**choices, **dict(zip(names, at, strict=True)), "against": None})
        read = ("map", "layer", "head", "query", "also", "key", "reading", "pooling")
        chosen = {name: choices[name] for name in read if name in choices}
        tempers = choices["map"] not in self._shown.maps or self._shown.maps[choices["map"]].tempers
        if tempers and choices["map"] not in self._shown.derived:
            chosen |= {name: float(choices[name]) for name in ("temperature", "scaling") if name in choices}
        return Place(**chosen, against=other)


def checked(against: Any, shown: Shown) -> dict[str, Any] | None:
    """What a head is compared with, as the browser takes it.

    Raises
    ------
    ValueError
        When there is no such head; the message says what there is.
    """
    if against is None:
        return None
    if not isinstance(against, Mapping) or not against.keys() <= set(KEYS) or "map" not in against:
        raise ValueError(
            f"against={against!r}; expected None, or the head to compare with, as {{'map': 'attention', 'layer': 0, "
            "'head': 3}; without layer and head, the same place in another run."
        )
    name = against["map"]
    layer, head = (None if against.get(key) is None else operator.index(against[key]) for key in ("layer", "head"))
    runs = {place.run for place in shown.runs.values()}
    if name not in shown.maps and name not in runs:
        raise ValueError(f"against: there are no maps called {name!r}; there are {', '.join([*shown.maps, *runs])}.")
    if (layer is None) != (head is None) or (layer is None and name in shown.maps and name not in runs):
        raise ValueError(f"against={dict(against)!r} names no head; give its layer and its head.")
    if layer is not None and head is not None:
        maps = shown.named(name)
        source, heads = maps.locate(layer, head)
        layer, head = layer % maps.n_layers, heads.start % source.shape[0]
    return {"map": name, "layer": layer, "head": head}


def has_place(against: Any, shown: Shown) -> bool:
    """Whether what was compared with is there."""
    try:
        checked(against, shown)
    except (ValueError, IndexError):
        return False
    return True


def found(
    against: Mapping[str, Any] | None, shown: Shown, name: str, layer: int, head: int
) -> tuple[str, int, int] | None:
    """Maps, layer and head that a head is compared with; None where there is none, or none on the same tokens."""
    if against is None:
        return None
    reference = against["map"]
    if against["layer"] is None:
        part = shown.runs[name].part if name in shown.runs else ""
        same = [one for one, place in shown.runs.items() if place == (reference, part)]
        if not same:
            return None
        reference = same[0]
    else:
        layer, head = against["layer"], against["head"]
    maps, chosen = shown.maps[reference], shown.maps[name]
    if layer >= maps.n_layers or head >= maps.heads[layer]:
        return None
    alike = maps.tokens.labels == chosen.tokens.labels and maps.key_tokens.labels == chosen.key_tokens.labels
    return (reference, layer, head) if alike else None
