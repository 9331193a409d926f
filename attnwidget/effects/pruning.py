"""Pruning: how a model fares as its heads are taken away, one after the other and never put back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from attnwidget.capturing.inputs import load_model
from attnwidget.capturing.projecting import Projection, find_projections
from attnwidget.effects.ablation import CAVEATS
from attnwidget.effects.examples import Batch, batches, evaluating, hits, logits_of, losses, unlabelled
from attnwidget.effects.heads import HeadEffects, heads_there, warn_of
from attnwidget.effects.replacing import Replacing
from attnwidget.effects.stopping import Stopping
from attnwidget.measures.arguments import choice, numeric, whole
from attnwidget.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PruneCurve", "prune_curve"]

METRICS = {"loss": "loss (nats)", "accuracy": "share of right first choices"}
MEASURES = {"loss": losses, "accuracy": hits}
ORDERS = {"least": "the least important first", "most": "the most important first", "random": "in random order"}
GIVEN = "in the order that was given"
TENTHS = tuple(step / 10 for step in range(11))
CAVEAT = (
    "The order was fixed before: what a head is worth once others are gone is not in it. Nothing was trained again "
    "in between."
)


@dataclass(frozen=True)
class PruneCurve:
    """How a model fares with ever fewer heads.

    Attributes
    ----------
    removed : Tensor of int [steps]
        How many heads are gone, rising from 0.
    values : Tensor [steps]
        The metric then, the mean over examples; NaN where nothing was measured before an interrupt.
    order : tuple of (int, int)
        (layer, head) of all heads, the one that goes first first; layers by their place.
    layer_numbers : tuple of int
        What the model calls its layers.
    metric : str
        What was measured, and its unit.
    baseline : float
        The same of the whole model.
    n_examples : int
        How many examples are in each number.
    caveat : str
        What the numbers do not say.
    reason : str
        Why it stopped early, and how to go on; then the numbers are of the examples before. Empty where it did not.
    left_out : tuple of int
        Examples that are in no number, since theirs are not finite, counted from 0 in the order of the data.
    """

    removed: Tensor
    values: Tensor
    order: tuple[tuple[int, int], ...]
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
        stopped = f", {self.reason.split(';')[0]}" if self.reason else ""
        return f"<PruneCurve: {self.metric}, {len(self.order)} heads, {self.n_examples} examples{stopped}>"

    def to_frame(self) -> pd.DataFrame:
        """One row for each step: heads removed, their share, and the metric; ``attrs`` say what it is.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        removed = self.removed.tolist()
        share = [one / len(self.order) for one in removed]
        table = pd.DataFrame({"removed": removed, "share": share, "value": self.values.tolist()})
        table.attrs |= {"metric": self.metric, "baseline": self.baseline, "examples": self.n_examples}
        table.attrs["caveat"] = self.caveat
        return table


def prune_curve(
    model: Any,
    data: Any,
    tokenizer: Any = None,
    *,
    importance: HeadEffects | Tensor | None = None,
    order: str | Sequence[tuple[int, int]] = "least",
    seed: int = 0,
    metric: str = "loss",
    what: str = "zero",
    fractions: Sequence[float] = TENTHS,
    part: str | None = None,
    progress: bool = True,
) -> PruneCurve:
    """A metric of a model against the number of its heads that are taken away, one after the other.

    The model is in eval mode meanwhile and is afterwards as it was.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model, its name, or the folder it was saved to.
    data : str, mapping, or iterable of texts, mappings, or (inputs, labels)
        Examples, or batches of them; others than those that ``importance`` is from, if the curve is to be believed.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    importance : HeadEffects or Tensor [layers, heads], or None
        What `head_importance` or `ablate` found of the same model and part, or any numbers; NaN only where a layer has
        fewer heads. None where ``order`` is random, or a list.
    order : {"least", "most", "random"}, or list of (layer, head)
        Which heads go first: the least or the most important, or any, as a baseline; one order says little of others.
        A list is the order itself, of these heads alone, by the numbers of the model; then every step is measured.
    seed : int
        Of the random order.
    metric : {"loss", "accuracy"}
        The mean over examples of their loss, in nats, or of the share of their tokens, in [0, 1], whose first choice is
        right; of a class that is 0 or 1. Labels are needed; of a model that predicts the next token, that one will do.
    what : {"zero", "mean", "resample"}
        What heads are replaced by, as in `ablate`.
    fractions : sequence of float
        Shares of heads to take away, in [0, 1]; 0 is always among them.
    part : str or None
        Whose heads: "encoder", "decoder" or "cross", of a model that has several.
    progress : bool
        Show a progress bar.

    Returns
    -------
    PruneCurve
        Stopped by an interrupt or for want of memory, it has the batches before, and its ``reason`` says how to go on.

    Raises
    ------
    TypeError
        When model, data or importance is of a kind that cannot be read.
    ValueError
        When importance is of other layers or heads or holds NaN, a share is none, an argument has a value that is not
        listed, there is no example or no label, or the heads of a layer cannot be told apart; says why.

    Warns
    -----
    AttentionWarning
        When an example is left out since a number of it is NaN or infinite; names it.

    References
    ----------
    Michel, Levy & Neubig, NeurIPS 2019, section 4; Voita et al., ACL 2019.
    """
    if isinstance(order, str):
        choice("order", order, tuple(ORDERS))
    choice("metric", metric, tuple(METRICS))
    choice("what", what, tuple(CAVEATS))
    model, tokenizer = load_model(model, tokenizer)
    given = list(batches(model, data, tokenizer))
    layers = find_projections(model, lambda: model(**given[0])).of(part)
    fractions = fractions if isinstance(fractions, Iterable) else [fractions]
    shares = [numeric("fractions", one, 0, 1) for one in fractions]
    if isinstance(order, str):
        there = heads_there(layers)
        alike = torch.zeros(there.shape).masked_fill(~there, math.nan)
        known = alike if order == "random" and importance is None else _importance(importance, layers)
        places = _order(known, order, whole("seed", seed))
        removed = sorted({0, *(round(one * len(places)) for one in shares)})
    else:
        places = _named(order, layers)
        removed = list(range(len(places) + 1))
    curve = _Curve(len(removed))
    with evaluating(model), torch.no_grad():
        replacing = Replacing(model, layers, [unlabelled(model, batch) for batch in given], what)
        steps = [places[:count] for count in removed]
        reason = _measure(model, curve, given, replacing, steps, metric=metric, shown=progress)
    warn_of(curve.left_out)
    values = curve.sums / curve.n_examples if curve.n_examples else torch.full_like(curve.sums, math.nan)
    return PruneCurve(
        removed=torch.tensor(removed),
        values=values.float(),
        order=tuple(places),
        layer_numbers=tuple(one.place.layer for one in layers),
        metric=f"{METRICS[metric]}, {ORDERS[order] if isinstance(order, str) else GIVEN}",
        baseline=float(values[0]),
        n_examples=curve.n_examples,
        caveat=CAVEATS[what] + CAVEAT,
        reason=reason,
        left_out=tuple(curve.left_out),
    )


def _named(order: Any, layers: Sequence[Projection]) -> list[tuple[int, int]]:
    """Heads by the numbers of the model, as places among the layers."""
    numbers = [one.place.layer for one in layers]
    places: list[tuple[int, int]] = []
    for one in order if isinstance(order, Sequence) else [order]:
        if not isinstance(one, Sequence) or len(one) != 2:
            raise TypeError(f"order holds {one!r}; expected pairs (layer, head), or 'least', 'most' or 'random'.")
        layer, head = whole("layer", one[0]), whole("head", one[1])
        if layer not in numbers or not 0 <= head < layers[numbers.index(layer)].heads:
            raise ValueError(f"order names layer {layer}, head {head}, which is not there.")
        places.append((numbers.index(layer), head))
    if not places or len(set(places)) < len(places):
        raise ValueError(f"order={order!r}; expected at least one head, and each once.")
    return places


class _Curve:
    """Numbers of steps added up over batches; an example without a number at each step counts nowhere."""

    def __init__(self, steps: int) -> None:
        self.sums = torch.zeros(steps, dtype=torch.float64)
        self.n_seen, self.left_out = 0, list[int]()

    @property
    def n_examples(self) -> int:
        return self.n_seen - len(self.left_out)

    def add(self, found: Tensor) -> None:
        """A batch: [steps, batch]."""
        counts = found.isfinite().all(0)
        self.sums = self.sums + found[:, counts].sum(1)
        self.left_out += [self.n_seen + at for at in (~counts).nonzero().flatten().tolist()]
        self.n_seen += found.shape[1]


def _measure(
    model: nn.Module,
    curve: _Curve,
    given: list[Batch],
    replacing: Replacing,
    steps: list[list[tuple[int, int]]],
    *,
    metric: str,
    shown: bool,
) -> str:
    """Add up the metric at every step; why it ended early, if it did."""
    bar = progress_bar("steps of pruning", len(given) * len(steps), shown=shown, delay=1)
    with Stopping(lambda: curve.n_seen) as stopping, bar as ticking:
        for number, batch in enumerate(given):
            plain, found = unlabelled(model, batch), []
            for gone in steps:
                with replacing.without(number, gone):
                    logits = logits_of(model(**plain))
                found.append(MEASURES[metric](model, batch, logits).cpu().double())
                ticking.update()
            curve.add(torch.stack(found))
    return stopping.reason


def _importance(importance: Any, layers: Sequence[Projection]) -> Tensor:
    """A finite number for each head there is, as it came: [layers, heads]."""
    effect = importance.effect if isinstance(importance, HeadEffects) else importance
    effect = torch.as_tensor(effect) if isinstance(effect, np.ndarray) else effect
    if not isinstance(effect, Tensor):
        raise TypeError(
            f"importance is {type(importance).__name__}; expected what head_importance or ablate returned, or a tensor "
            "[layers, heads]."
        )
    there = heads_there(layers)
    if effect.shape != there.shape:
        raise ValueError(
            f"importance has shape {list(effect.shape)}; this model, or the part of it, has {there.shape[0]} layers of "
            f"{there.shape[1]} heads. Take it of the same model and part."
        )
    numbers = tuple(one.place.layer for one in layers)
    if isinstance(importance, HeadEffects) and importance.layer_numbers != numbers:
        raise ValueError(f"importance is of layers {importance.layer_numbers}; heads of layers {numbers} are removed.")
    effect = effect.detach().cpu().double()
    unknown = (effect.isnan() & there).nonzero().tolist()
    if unknown:
        raise ValueError(
            f"importance is NaN for layer {unknown[0][0]}, head {unknown[0][1]}, so that heads have no order; measure "
            "it anew on examples that have a loss."
        )
    return effect.masked_fill(~there, math.nan)


def _order(importance: Tensor, order: str, seed: int) -> list[tuple[int, int]]:
    """(layer, head) of every head, the one that goes first first; of equals the one nearer the input."""
    places = (~importance.isnan()).nonzero()
    if order == "random":
        chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))
    else:
        chosen = importance[tuple(places.T)].argsort(stable=True, descending=order == "most")
    return [(layer, head) for layer, head in places[chosen].tolist()]
