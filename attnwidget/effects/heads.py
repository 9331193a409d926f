"""Head effects: a number for each head of a model, with what was measured, on how much, and what it does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HeadEffects"]


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
