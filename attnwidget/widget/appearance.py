"""Appearance: how a view of maps looks, whatever it shows."""

from __future__ import annotations

from typing import Any

import traitlets as t

from attnwidget.widget.numbers import Index, Number
from attnwidget.widget.view import View

__all__ = ["PARTS", "Appearance"]

PARTS = ("head", "grid", "map", "heads", "sharpness", "row", "findings")
LEAST_HEIGHT = 120


class Appearance(View):
    """A view with colours, parts and a height: `Explorer` says what its traits mean."""

    color_map = t.Enum(["ink", "viridis", "cividis", "magma", "greys"], "ink").tag(sync=True)
    color_scale = t.Enum(["linear", "sqrt", "log"], "linear").tag(sync=True)
    color_range = t.Enum(["row", "map", "shared"], "map").tag(sync=True)
    threshold = Number(0.0).tag(sync=True)
    pooling = t.Enum(["max", "mean"], "max").tag(sync=True)
    parts = t.List(t.Enum(PARTS)).tag(sync=True)
    height = Index(None, allow_none=True).tag(sync=True)
    flow_threshold = Number(0.01).tag(sync=True)
    flow_heads = t.Enum(["mean", "each"], "mean").tag(sync=True)

    @t.validate("height")
    def _valid_height(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        if value is not None and value < LEAST_HEIGHT:
            raise t.TraitError(f"height={value}; expected pixels, {LEAST_HEIGHT} or more, or None.")
        return value

    @t.validate("threshold", "flow_threshold")
    def _valid_threshold(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, float(proposal["value"])
        if not 0 <= value <= 1:
            raise t.TraitError(f"{name}={value}; expected {'a weight' if name == 'threshold' else 'a share'}, 0 to 1.")
        return value
