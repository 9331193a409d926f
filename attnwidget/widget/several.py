"""Several: heads of whatever layers that are chosen together, and their mean as one of the maps."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import traitlets as t

from attnwidget.lenses import CHOSEN, derived_name
from attnwidget.maps import AttentionMaps
from attnwidget.widget.facts import facts_of
from attnwidget.widget.looking import Looking, Seen

__all__ = ["Several"]


class Heads(t.List[Any]):
    """A list from anything that can be gone through, numpy and torch included."""

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as a list, where it is one."""
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)):
            value = list(value)
        return super().validate(obj, value)


class Several(Looking):
    """A view in which several heads can be chosen: while two or more are, their mean is one of the maps."""

    layer: Any
    head: Any
    # Where the mean was come to from.
    _left: tuple[str, int, int] | None = None

    selected = Heads().tag(sync=True)

    def _select(self, choices: dict[str, Any]) -> None:
        """Heads that are chosen from the beginning."""
        if choices.get("selected") is not None:
            source = self._shown.source(choices["map"])
            choices["selected"] = chosen_heads(choices["selected"], self._shown.maps[source])
            self._show_mean(source, choices["selected"])

    def _show_mean(self, source: str, heads: Sequence[Sequence[int]]) -> None:
        """Have the mean of heads among the maps; where it goes, the view goes back to where it came from."""
        shown = self._shown.choosing(source, heads)
        if shown is self._shown:
            return
        if self.map in self._shown.maps and self.map not in shown.maps:
            self.map, self.layer, self.head = self._left or (source, 0, 0)
        self._shown = shown
        self.set_trait("facts", self.facts | facts_of(shown, self.facts["title"]))
        self.set_trait("opening", b"")  # about the maps before

    def _take(
        self,
        heads: dict[str, AttentionMaps],
        title: str | None,
        measures: Mapping[str, Any] | None,
        seen: dict[str, Seen],
    ) -> None:
        """Hold maps; heads that these have too stay chosen."""
        super()._take(heads, title, measures, seen)
        source = self._shown.source(self.map)
        same = self.map in self._shown.maps or self.map == derived_name(CHOSEN, source, self._shown.measuring)
        selected = existing_heads(self.selected, self._shown.maps[source]) if same else []
        self._show_mean(source, selected)
        self.selected = selected

    @t.validate("selected")
    def _valid_selected(self, proposal: Any) -> list[list[int]]:
        if not self._shown.maps:
            return []
        return chosen_heads(proposal["value"], self._shown.maps[self._shown.source(self.map)])

    @t.observe("selected")
    def _follow_selected(self, _change: Any) -> None:
        if self._shown.maps:
            with self.hold_sync():
                self._show_mean(self._shown.source(self.map), self.selected)

    @t.observe("map")
    def _choose_in_other_maps(self, change: Any) -> None:
        """Remember where the mean is come to from; other maps have other heads."""
        if not change["old"] or not self._shown.maps:
            return
        if self._shown.derived.get(self.map, ("",))[0] == CHOSEN:
            self._left = (change["old"], self.layer, self.head)
        elif self.selected and self._shown.source(self.map) != self._shown.source(change["old"]):
            self.selected = []


def chosen_heads(given: Any, maps: AttentionMaps, name: str = "selected") -> list[list[int]]:
    """Heads as [layer, head] from 0, each once, in the order of the model.

    Raises
    ------
    traitlets.TraitError
        When they are no pairs of numbers, or there is no such layer or head.
    """
    found = set()
    for pair in given if isinstance(given, Iterable) else [given]:
        try:
            layer, head = map(operator.index, pair)
        except (TypeError, ValueError):
            raise t.TraitError(
                f"{name} holds {pair!r}; expected pairs of layer and head, as [[0, 3], [2, 1]]."
            ) from None
        if not -maps.n_layers <= layer < maps.n_layers:
            raise t.TraitError(f"{name} names layer {layer}, which does not exist; there are 0 to {maps.n_layers - 1}.")
        n_heads = maps.heads[layer]
        if not -n_heads <= head < n_heads:
            raise t.TraitError(
                f"{name} names head {head} of layer {layer % maps.n_layers}, which has heads 0 to {n_heads - 1}."
            )
        found.add((layer % maps.n_layers, head % n_heads))
    return [[*pair] for pair in sorted(found)]


def existing_heads(chosen: Sequence[Sequence[int]], maps: AttentionMaps) -> list[list[int]]:
    """Those that other maps have too."""
    return [[layer, head] for layer, head in chosen if layer < maps.n_layers and head < maps.heads[layer]]
