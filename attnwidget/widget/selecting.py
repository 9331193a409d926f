"""Selecting: which head, which queries and keys, and how sharp: the numbers that a person chooses in an Explorer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets as t

from attnwidget.maps import AttentionMaps
from attnwidget.widget.numbers import Index, Indices, Number
from attnwidget.widget.spanning import Spanning

__all__ = ["Selecting"]


class Selecting(Spanning):
    """A view in which heads and tokens are chosen: `Explorer` says what its traits mean."""

    layer = Index(0).tag(sync=True)
    head = Index(0).tag(sync=True)
    query = Index(None, allow_none=True).tag(sync=True)
    key = Index(None, allow_none=True).tag(sync=True)
    also = Indices().tag(sync=True)
    joined = t.Enum(["mean", "sum"], "mean").tag(sync=True)
    heads = Indices().tag(sync=True)
    reading = t.Enum(["row", "column"], "row").tag(sync=True)
    temperature = Number(1.0).tag(sync=True)
    scaling = Number(1.0).tag(sync=True)

    @property
    def maps(self) -> AttentionMaps:
        """The maps that are shown."""
        raise NotImplementedError

    @property
    def _maps(self) -> Mapping[str, AttentionMaps]:
        return self._shown.maps

    @t.validate("layer", "head", "query", "key", "also", "heads")
    def _valid_place(self, proposal: Any) -> Any:
        """Positions from 0, where they exist; of lists each."""
        name, value = proposal["trait"].name, proposal["value"]
        maps = self.maps
        if name == "layer":
            size = maps.n_layers
        elif name in {"head", "heads"}:
            size = maps.heads[self.layer]
        else:
            size = maps.n_keys if name == "key" else maps.n_queries
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            if not -size <= one < size:
                raise t.TraitError(f"{name}={one} does not exist; it goes from 0 to {size - 1}.")
        if isinstance(value, list):
            return list(dict.fromkeys(one % size for one in value))
        return None if value is None else value % size

    @t.validate("temperature")
    def _valid_temperature(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not 0 < value < float("inf"):
            raise t.TraitError(f"temperature={value}; expected a number above 0.")
        return value

    @t.validate("scaling")
    def _valid_scaling(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not 0 <= value < float("inf"):
            raise t.TraitError(f"scaling={value}; expected 0 or more.")
        return value

    @t.observe("layer", "map")
    def _keep_selection_inside(self, _change: Any) -> None:
        """Another layer may have fewer heads, other maps fewer of everything."""
        if not self._maps:
            return
        maps = self.maps
        self.layer = min(self.layer, maps.n_layers - 1)
        self.head = min(self.head, maps.heads[self.layer] - 1)
        self.heads = [head for head in self.heads if head < maps.heads[self.layer]]
        self.also = [query for query in self.also if query < maps.n_queries]
        if self.query is not None and self.query >= maps.n_queries:
            self.query = self.key = None
        if self.key is not None and self.key >= maps.n_keys:
            self.key = None

    @t.observe("query")
    def _unpin_all(self, _change: Any) -> None:
        if self.query is None:
            self.also = []
