"""Groups: whether heads do something else in runs of one kind than in runs of another, with what chance would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attnwidget import measures
from attnwidget.effects.welch import FEWEST, corrected, welch
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, numeric
from attnwidget.measures.table import HEAD_MEASURES, head_measures
from attnwidget.measures.walk import mean_over_queries

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GroupDifference", "check_level", "difference_of", "groups"]

CORRECTIONS = {
    "holm": "Holm: the chance of any head at all being called different where none is, is at most 1 - confidence",
    "fdr": "Benjamini-Hochberg: of the heads called different, at most a share of 1 - confidence is expected not to be",
}
CAVEAT = (
    "Runs count as independent of each other: several of one text do not. Intervals are of single heads, without the "
    "correction for many."
)


@dataclass(frozen=True)
class GroupDifference:
    """How far a number of each head differs between two groups of runs; all Tensors are [layers, heads].

    Attributes
    ----------
    difference : Tensor
        Mean of the first group less that of the second; NaN where a group has fewer than 2 numbers.
    low, high : Tensor
        Its confidence interval, by Welch; NaN where neither group has any spread.
    effect_size : Tensor
        Hedges' g: the difference in standard deviations, corrected for small groups.
    p, corrected : Tensor
        Two-sided p-values of Welch's test, and the same corrected for the number of heads.
    means : tuple of Tensor
        Of each group.
    counts : tuple of Tensor of int
        Runs of each group that have a number for the head; the others are left out of it.
    layer_numbers : tuple of int
        What the model calls its layers.
    measure : str
        What was measured.
    confidence : float
        Of the intervals; a head is significant where ``corrected`` is below 1 less this.
    correction : str
        "holm" or "fdr".
    sizes : tuple of int
        Runs of each group.
    caveat : str
        What the numbers do not say.
    """

    difference: Tensor
    low: Tensor
    high: Tensor
    effect_size: Tensor
    p: Tensor
    corrected: Tensor
    means: tuple[Tensor, Tensor]
    counts: tuple[Tensor, Tensor]
    layer_numbers: tuple[int, ...]
    measure: str
    confidence: float
    correction: str
    sizes: tuple[int, int]
    caveat: str

    def __repr__(self) -> str:
        layers, heads = self.difference.shape
        return (
            f"<GroupDifference in {self.measure}, {self.sizes[0]} against {self.sizes[1]} runs, {layers} layers x "
            f"{heads} heads: {int(self.significant.sum())} significant ({self.correction})>"
        )

    @property
    def significant(self) -> Tensor:
        """Which heads differ by more than chance would make them: bool [layers, heads]."""
        return self.corrected < 1 - self.confidence

    @property
    def ranked(self) -> list[tuple[int, int]]:
        """(layer, head) of every head that has an effect size, the largest in size first; layers by their place."""
        values = self.effect_size.numpy()
        places = [(int(layer), int(head)) for layer, head in np.argwhere(~np.isnan(values))]
        return sorted(places, key=lambda place: -abs(values[place]))

    def to_frame(self) -> pd.DataFrame:
        """One row for each head, by the numbers of layers in the model; ``attrs`` say what it is.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        heads = self.difference.shape[1]
        places = [(number, head) for number in self.layer_numbers for head in range(heads)]
        columns = {
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "effect_size": self.effect_size,
            "p": self.p,
            "corrected": self.corrected,
            "significant": self.significant,
            "mean_a": self.means[0],
            "mean_b": self.means[1],
            "runs_a": self.counts[0],
            "runs_b": self.counts[1],
        }
        index = pd.MultiIndex.from_tuples(places, names=["layer", "head"])
        table = pd.DataFrame({name: value.flatten().numpy() for name, value in columns.items()}, index=index)
        table.attrs |= {"measure": self.measure, "confidence": self.confidence, "caveat": self.caveat}
        table.attrs["correction"] = CORRECTIONS[self.correction]
        return table


def groups(
    runs_a: Sequence[Any],
    runs_b: Sequence[Any],
    measure: str | Callable[[AttentionMaps], Tensor],
    *,
    confidence: float = 0.95,
    correction: str = "holm",
) -> GroupDifference:
    """Whether heads differ between two groups of runs in what a measure says of them.

    Parameters
    ----------
    runs_a, runs_b : sequence of Capture or AttentionMaps
        At least 2 each, of the same layers and heads; their texts may be of any length.
    measure : str or callable
        A column of `attnwidget.summarize`, as "entropy" or "induction"; the name of a function of
        `attnwidget.measures`; or a function of maps. It gives [layers, heads], or [layers, heads, queries], of which
        the mean is taken. NaN is left out, head by head.
    confidence : float
        Of the intervals, in (0, 1); 1 less it is the level of significance.
    correction : {"holm", "fdr"}
        For many heads: "holm" keeps the chance of any false alarm at that level (Holm-Bonferroni), "fdr" the expected
        share of false ones among those that are called significant (Benjamini-Hochberg).

    Returns
    -------
    GroupDifference
        For each head the difference of means, first less second, its interval, size and p-value.

    Raises
    ------
    TypeError
        When a run is neither a capture nor maps, or the measure is no name and no function.
    ValueError
        When a group has fewer than 2 runs, runs have other layers or heads, a name is not known, or a measure gives
        another shape.

    Notes
    -----
    A head without any spread in both groups has no p-value: NaN. Such heads are not counted in the correction.

    References
    ----------
    Welch, Biometrika 1947; Hedges, Journal of Educational Statistics 1981; Holm, Scandinavian Journal of Statistics
    1979; Benjamini & Hochberg, Journal of the Royal Statistical Society B 1995.
    """
    check_level(confidence, correction)
    maps = [[_maps(run) for run in _several(name, runs)] for name, runs in (("runs_a", runs_a), ("runs_b", runs_b))]
    first = maps[0][0]
    called, function = _measure(measure)
    a, b = (np.stack([_numbers(function, one, first, called) for one in group]) for group in maps)
    return difference_of(
        welch(a, b, confidence),
        layer_numbers=first.layer_numbers,
        measure=called,
        confidence=confidence,
        correction=correction,
        sizes=(len(a), len(b)),
    )


def check_level(confidence: float, correction: str) -> None:
    """Refuse a confidence that is none, and a correction that is not known."""
    choice("correction", correction, tuple(CORRECTIONS))
    if not 0 < numeric("confidence", confidence, 0, 1) < 1:
        raise ValueError(f"confidence={confidence}; expected a number between 0 and 1, as 0.95.")


def difference_of(
    tested: Mapping[str, Any],
    *,
    layer_numbers: tuple[int, ...],
    measure: str,
    confidence: float,
    correction: str,
    sizes: tuple[int, int],
) -> GroupDifference:
    """What `welch` found of two groups, with p-values corrected for the number of heads."""
    found = {name: torch.from_numpy(value) for name, value in tested.items()}
    return GroupDifference(
        difference=found["difference"],
        low=found["low"],
        high=found["high"],
        effect_size=found["effect_size"],
        p=found["p"],
        corrected=torch.from_numpy(corrected(found["p"].numpy(), correction)),
        means=(found["mean_a"], found["mean_b"]),
        counts=(found["count_a"], found["count_b"]),
        layer_numbers=layer_numbers,
        measure=measure,
        confidence=confidence,
        correction=correction,
        sizes=sizes,
        caveat=CAVEAT,
    )


def _several(name: str, runs: Any) -> Sequence[Any]:
    if isinstance(runs, AttentionMaps) or hasattr(runs, "by_name") or not isinstance(runs, Sequence):
        raise TypeError(f"{name} is {type(runs).__name__}; expected a list of captures or AttentionMaps.")
    if len(runs) < FEWEST:
        raise ValueError(f"{name} holds {len(runs)} runs; at least {FEWEST} are needed, or nothing is known of chance.")
    return runs


def _maps(run: Any) -> AttentionMaps:
    found = run.maps if hasattr(run, "by_name") else run
    if not isinstance(found, AttentionMaps):
        raise TypeError(f"a run is {type(run).__name__}; expected a Capture or AttentionMaps.")
    return found


def _measure(measure: Any) -> tuple[str, Callable[[AttentionMaps], Any]]:
    """What a measure is called, and the function."""
    if callable(measure):
        return getattr(measure, "__name__", type(measure).__name__), measure
    if not isinstance(measure, str):
        raise TypeError(f"measure is {type(measure).__name__}; expected a name, or a function of maps.")
    if measure in HEAD_MEASURES:
        return measure, lambda maps: head_measures(maps)[measure]
    if measure in measures.__all__:
        return measure, getattr(measures, measure)
    raise ValueError(
        f"measure={measure!r} is not known; expected {', '.join(HEAD_MEASURES)}, the name of a function of "
        "attnwidget.measures, or a function of maps."
    )


def _numbers(function: Callable[[AttentionMaps], Any], maps: AttentionMaps, first: AttentionMaps, called: str) -> Any:
    """One number for each head of a run: float64 [layers, heads]."""
    if maps.heads != first.heads or maps.layer_numbers != first.layer_numbers:
        raise ValueError(
            f"runs are of other layers or heads: layers {first.layer_numbers} of {first.heads} heads, and "
            f"{maps.layer_numbers} of {maps.heads}. Capture all with one model, and keep the same of it."
        )
    found = function(maps)
    found = torch.as_tensor(found).detach().cpu().double() if isinstance(found, (Tensor, np.ndarray)) else found
    shape = (maps.n_layers, max(maps.heads))
    if not isinstance(found, Tensor) or found.ndim not in {2, 3} or found.shape[:2] != shape:
        came = f"shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{called} gives {came}; expected {list(shape)}, layers x heads, or the same for each query.")
    return (mean_over_queries(found) if found.ndim == 3 else found).numpy()
