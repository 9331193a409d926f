"""Head effects: a number for each head of a model, with what was measured, on how much, and what it does not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnwidget.capturing.projecting import Projection

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HeadEffects", "Sums"]


class Sums:
    """Numbers of heads added up over batches, each of which counts whole or not at all.

    Parameters
    ----------
    layers : sequence of Projection
        Whose heads.
    """

    def __init__(self, layers: Sequence[Projection]) -> None:
        self.layers = layers
        self.of_heads, self.baseline, self.n_examples = self.nothing(), 0.0, 0

    def nothing(self) -> Tensor:
        """0 for each head, NaN where a layer has fewer: float64 [layers, heads]."""
        counts = torch.tensor([one.heads for one in self.layers])
        there = torch.arange(int(counts.max())) < counts[:, None]
        return torch.zeros(there.shape, dtype=torch.float64).masked_fill(~there, math.nan)

    def add(self, of_heads: Tensor, baseline: Tensor) -> None:
        """A batch: its sums of heads, and the baseline of each of its examples."""
        self.of_heads = self.of_heads + of_heads
        self.baseline += float(baseline.sum())
        self.n_examples += len(baseline)

    def over(self, count: int) -> Tensor:
        """The sums over a count; NaN where nothing was counted."""
        return self.of_heads / count if count else torch.full_like(self.of_heads, math.nan)

    def effects(self, effect: Tensor, metric: str, caveat: str, *, interrupted: bool) -> HeadEffects:
        """What was found of these layers, with their mean baseline."""
        baseline = self.baseline / self.n_examples if self.n_examples else math.nan
        numbers = tuple(one.place.layer for one in self.layers)
        return HeadEffects(effect.float(), numbers, metric, baseline, self.n_examples, caveat, interrupted)


@dataclass(frozen=True)
class HeadEffects:
    """A number for each head.

    Attributes
    ----------
    effect : Tensor [layers, heads]
        NaN where a layer has fewer heads, or nothing was measured before an interrupt.
    layer_numbers : tuple of int
        What the model calls its layers.
    metric : str
        What was measured, and its unit.
    baseline : float
        The same of the whole model: its mean loss. NaN where the metric is a difference from it.
    n_examples : int
        How many examples are in each number.
    caveat : str
        What the numbers do not say.
    interrupted : bool
        Whether somebody stopped it; then the numbers are of the examples before.
    """

    effect: Tensor
    layer_numbers: tuple[int, ...]
    metric: str
    baseline: float
    n_examples: int
    caveat: str
    interrupted: bool = False

    def __repr__(self) -> str:
        layers, heads = self.effect.shape
        stopped = ", interrupted" if self.interrupted else ""
        return f"<HeadEffects: {self.metric}, {layers} layers x {heads} heads, {self.n_examples} examples{stopped}>"

    @property
    def ranked(self) -> list[tuple[int, int]]:
        """(layer, head) of every head that has a number, the largest first; layers by their place."""
        values = self.effect.detach().cpu().numpy()
        places = [place for place in np.ndindex(values.shape) if not np.isnan(values[place])]
        return sorted(((int(layer), int(head)) for layer, head in places), key=lambda place: -values[place])

    def to_frame(self) -> pd.DataFrame:
        """One row for each head, by the numbers of layers and heads in the model; ``attrs`` say what it is.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        rows = [
            (number, head, float(self.effect[layer, head]))
            for layer, number in enumerate(self.layer_numbers)
            for head in range(self.effect.shape[1])
            if not np.isnan(float(self.effect[layer, head]))
        ]
        table = pd.DataFrame(rows, columns=["layer", "head", "effect"]).set_index(["layer", "head"])
        table.attrs |= {"metric": self.metric, "baseline": self.baseline, "examples": self.n_examples}
        table.attrs["caveat"] = self.caveat
        return table
