"""Head effects: a number for each head of a model, with what was measured, on how much, and what it does not say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnwidget.capturing.projecting import Projection
from attnwidget.intake import AttentionWarning

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HeadEffects", "Sums", "heads_there", "warn_of"]


class Sums:
    """Numbers of heads added up over batches, each of which counts whole or not at all.

    Parameters
    ----------
    layers : sequence of Projection
        Whose heads.
    """

    def __init__(self, layers: Sequence[Projection]) -> None:
        self.layers = layers
        self.of_heads, self.baseline = self.nothing(1)[..., 0], 0.0
        self.n_seen, self.left_out = 0, list[int]()

    @property
    def n_examples(self) -> int:
        """How many examples are in the sums."""
        return self.n_seen - len(self.left_out)

    def nothing(self, n_examples: int) -> Tensor:
        """0 for each head and example, NaN where a layer has fewer heads: float64 [layers, heads, examples]."""
        there = heads_there(self.layers)
        return torch.zeros(*there.shape, n_examples, dtype=torch.float64).masked_fill(~there[..., None], math.nan)

    def add(self, of_heads: Tensor, baseline: Tensor) -> Tensor:
        """A batch: [layers, heads, batch], and its baseline [batch]; which examples count, bool [batch].

        An example without a finite number for every head would make all of them NaN: it is left out, and kept in mind.
        """
        baseline = baseline.detach().cpu().double()
        counts = baseline.isfinite() & of_heads[heads_there(self.layers)].isfinite().all(0)
        self.of_heads = self.of_heads + of_heads[..., counts].sum(-1)
        self.baseline += float(baseline[counts].sum())
        self.left_out += [self.n_seen + at for at in (~counts).nonzero().flatten().tolist()]
        self.n_seen += len(baseline)
        return counts

    def over(self, count: int) -> Tensor:
        """The sums over a count; NaN where nothing was counted."""
        return self.of_heads / count if count else torch.full_like(self.of_heads, math.nan)

    def effects(self, effect: Tensor, metric: str, caveat: str, *, reason: str) -> HeadEffects:
        """What was found of these layers, with their mean baseline; warns of examples that were left out."""
        warn_of(self.left_out)
        baseline = self.baseline / self.n_examples if self.n_examples else math.nan
        numbers = tuple(one.place.layer for one in self.layers)
        left_out = tuple(self.left_out)
        return HeadEffects(effect.float(), numbers, metric, baseline, self.n_examples, caveat, reason, left_out)


def heads_there(layers: Sequence[Projection]) -> Tensor:
    """Which heads there are, of the most that a layer has: bool [layers, heads]."""
    counts = torch.tensor([one.heads for one in layers])
    return torch.arange(int(counts.max())) < counts[:, None]


def warn_of(left_out: Sequence[int]) -> None:
    """Say which examples count nowhere."""
    if not left_out:
        return
    named = ", ".join(map(str, left_out[:10])) + (" and others" if len(left_out) > 10 else "")
    warnings.warn(
        f"left out, since a number of theirs is NaN or infinite: example {named}, counted from 0 in the order of the "
        "data. Half precision or an input that holds NaN does this; try model.float().",
        AttentionWarning,
        stacklevel=4,
    )


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
    reason : str
        Why it stopped early, somebody's interrupt or memory that ran out, and how to go on; then the numbers are of the
        examples before. Empty where it came to its end.
    left_out : tuple of int
        Examples that are in no number, since theirs are not finite, counted from 0 in the order of the data.
    """

    effect: Tensor
    layer_numbers: tuple[int, ...]
    metric: str
    baseline: float
    n_examples: int
    caveat: str
    reason: str = ""
    left_out: tuple[int, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether it stopped before its end."""
        return bool(self.reason)

    def __repr__(self) -> str:
        layers, heads = self.effect.shape
        stopped = f", {self.reason.split(';')[0]}" if self.reason else ""
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
