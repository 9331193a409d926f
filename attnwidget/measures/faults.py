"""Faults: rows that hold NaN or do not sum to 1, told in one warning at the caller's line."""

from __future__ import annotations

import sys
import warnings

from torch import Tensor

from attnwidget.intake import AttentionWarning
from attnwidget.layers import ROW_SUM_TOLERANCE

__all__ = ["Faults", "outside"]


class Faults:
    """Where rows hold NaN or do not sum to 1, for one warning at the end of a walk."""

    def __init__(self) -> None:
        self._nan: dict[str, None] = {}
        self._sums: dict[str, None] = {}
        self._worst = 0.0

    def look(self, layer: int | None, total: Tensor, *, sums: bool) -> None:
        """Keep in mind what is wrong with a block of rows of one layer, or of an array, that have these sums."""
        total = total.detach()
        if bool(((total - 1).abs() <= ROW_SUM_TOLERANCE).all()):
            return
        for place in self._places(layer, total.isnan()):
            self._nan[place] = None
        if sums:
            off = (total - 1).masked_fill((total == 0) | total.isnan(), 0)
            for place in self._places(layer, off.abs() > ROW_SUM_TOLERANCE):
                self._sums[place] = None
            worst = float(off.flatten()[off.abs().argmax()])
            self._worst = max(self._worst, worst, key=abs)

    @staticmethod
    def _places(layer: int | None, rows: Tensor) -> list[str]:
        heads = rows.any(-1)
        if not bool(heads.any()):
            return []
        if layer is not None:
            return [f"layer {layer}, head {index[-1]}" for index in heads.nonzero().tolist()]
        if heads.ndim == 0:
            return ["the map"]
        return [f"a{index}" for index in heads.nonzero().tolist()]

    def warn(self) -> None:
        """Say it, once, at the caller's line."""
        if self._nan:
            warnings.warn(
                f"NaN in rows of {_listed(list(self._nan))}: those rows have no values, and count in no mean. Usual "
                "causes: a row in which every key is masked, or an overflow in half precision.",
                AttentionWarning,
                stacklevel=outside(),
            )
        if self._sums:
            warnings.warn(
                f"Rows of {_listed(list(self._sums))} do not sum to 1 (the worst to {1 + self._worst:.3f}): they are "
                "not rescaled, except where only a row's shape counts (entropy, divergence, rollout). Less than 1 "
                "means that mass went elsewhere, more than 1 that dropout was on.",
                AttentionWarning,
                stacklevel=outside(),
            )


def outside() -> int:
    """How many calls up the caller's own line is."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("attnwidget."):
        level, frame = level + 1, frame.f_back
    return level


def _listed(places: list[str], limit: int = 6) -> str:
    return "; ".join(places[:limit]) + (f"; and {len(places) - limit} more" if len(places) > limit else "")
