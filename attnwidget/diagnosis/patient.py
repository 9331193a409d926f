"""Patient: what the checks judge, and how they speak of places in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from attnwidget.diagnosis.vitals import Vitals
from attnwidget.maps import AttentionMaps

__all__ = ["Patient"]


@dataclass(frozen=True)
class Patient:
    """What is judged: maps, the vitals of each layer, and what the caller knows."""

    maps: AttentionMaps
    vitals: Sequence[Vitals]
    causal: bool = False  # the caller says that it should be
    factor: float | None = None  # of given weights over softmax(q k / sqrt(width)), where both are known
    second: float = math.nan  # share of given weights that a softmax of the softmax explains, where both are known
    layer: str = "layer"  # what the first axis is

    def places(self, chosen: Callable[[Vitals], Tensor]) -> tuple[tuple[int, int | None], ...]:
        """Heads for which something holds; a layer stands for all of its heads."""
        found: list[tuple[int, int | None]] = []
        for layer, vitals in enumerate(self.vitals):
            hits = chosen(vitals)
            if bool(hits.all()) and len(hits) > 1:
                found.append((layer, None))
            else:
                found += [(layer, head) for head in hits.nonzero().flatten().tolist()]
        return tuple(found)

    def where(self, places: Sequence[tuple[int, int | None]], limit: int = 4) -> str:
        """Places in words."""
        if len(places) == len(self.vitals) and all(head is None for _, head in places) and len(places) > 1:
            return f"all {self.layer}s"
        numbers = [self.numbers(place) for place in places[:limit]]
        words = [f"{self.layer} {layer}" + ("" if head is None else f", head {head}") for layer, head in numbers]
        return "; ".join(words) + (f" and {len(places) - limit} more" if len(places) > limit else "")

    def numbers(self, place: tuple[int, int | None]) -> tuple[int, int | None]:
        """The numbers that a layer and a head have in the model."""
        layer, head = place
        return self.maps.layer_numbers[layer], None if head is None else self.maps.head_numbers[layer][head]

    def key(self, position: int) -> str:
        """A key with its label."""
        label = self.maps.key_tokens.labels[position]
        return f"token {position}" + ("" if label == str(position) else f" ({label!r})")
